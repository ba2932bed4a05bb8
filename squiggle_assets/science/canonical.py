"""Canonical JSON and content hashes: the one way a value becomes an identity.

Here: turning plain values and frozen dataclasses into bytes, and bytes into sha256.
Not here: files (io_managers.commit) and what goes into an identity (science.spec, assets.node).
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib.util
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
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


_OURS = ("squiggle_assets", "resources", "partitions", "io_managers")


def _source_path(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def _imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom) and statement.module and statement.level == 0:
            found.add(statement.module)
            found |= {f"{statement.module}.{alias.name}" for alias in statement.names}
    return {name for name in found if name.split(".")[0] in _OURS}


def _is_module(name: str) -> bool:
    parent = name.rpartition(".")[0]
    try:
        # looking for "module.function" would import the module, and with it torch: only packages have modules in them
        spec = importlib.util.find_spec(parent) if parent else None
        if spec is not None and spec.submodule_search_locations is None:
            return False
        return _source_path(name) is not None
    except ModuleNotFoundError:
        return False


@cache
def source_closure(*modules: str) -> tuple[tuple[str, str], ...]:
    """(module, sha256 of its syntax tree) for the modules and all of ours that they import.

    The tree and not the text is hashed: comments, docstrings of nobody's numbers and layout may
    change without every run becoming another run. ModuleNotFoundError names a module that is not ours.
    """
    todo, seen = list(modules), {}
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        path = _source_path(name)
        if path is None:
            raise ModuleNotFoundError(f"no source for {name!r}: a code version needs modules of this project")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for statement in ast.walk(tree):
            body = getattr(statement, "body", None)
            if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
                first = body[0].value
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    body[0] = ast.Expr(ast.Constant(""))
        seen[name] = sha256_text(ast.dump(tree))
        todo += [found for found in _imports(tree) if found not in seen and _is_module(found)]
    return tuple(sorted(seen.items()))


def code_version(*modules: str) -> str:
    """16 hex digits that change exactly when the code that makes a result changes."""
    return short_hash(source_closure(*sorted(modules)))
