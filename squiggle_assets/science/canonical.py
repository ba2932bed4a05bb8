"""Canonical JSON and content hashes: the one way a value becomes an identity.

Here: turning plain values and frozen dataclasses into bytes, and bytes into sha256.
Not here: files (io_managers.commit) and what goes into an identity (science.spec, assets.node).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

JSON = None | bool | int | float | str | list[Any] | dict[str, Any]


def plain(value: Any) -> JSON:
    """The value as plain JSON types; dataclasses become objects, tuples become lists.

    ValueError on a float that JSON cannot say (nan, inf), TypeError on any other type:
    an identity must not depend on how a stranger type happens to print.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no canonical JSON form")
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(v) for v in value)
    if isinstance(value, Sequence):
        return [plain(v) for v in value]
    raise TypeError(f"{type(value).__name__} has no canonical JSON form: {value!r}")


def canonical_json(value: Any) -> str:
    """Sorted keys, no spaces, UTF-8 characters as they are."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_text(text: str) -> str:
    """Hex sha256 of the text's UTF-8 bytes; a lone surrogate raises UnicodeEncodeError."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sha256_json(value: Any) -> str:
    """Hex sha256 of the canonical JSON of a value."""
    return sha256_text(canonical_json(value))


def short_hash(value: Any, length: int = 16) -> str:
    """The first characters of sha256_json: long enough for a name, never for a proof."""
    return sha256_json(value)[:length]
