"""Pointers and object references: the small sealed JSON records that say which bytes are the truth.

Here: ObjectRef (what lies under an id), Pointer (which object a partition is), their file form with a seal, and where
pointer files lie. Not here: the bytes themselves (store.py) and how a file is published (commit.py).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from squiggle_assets.schemas.handles import CheckOutcome, Origin
from squiggle_assets.science.canonical import sha256_text
from squiggle_assets.science.spec import check_name

UNPARTITIONED = "_"
_RESERVED = (".json", ".parquet", ".tmp")


class DamagedError(RuntimeError):
    """A stored file is missing or is not what was written; the message says which and how to remake it."""


@dataclass(frozen=True, kw_only=True)
class ObjectRef:
    """What is stored under objects/<object_id>/<name>."""

    object_id: str
    name: str
    kind: Literal["table", "handle"]
    sha256: str
    """Of the content alone: equal for equal results whenever and by whichever commit they were made. This is the hash
    that enters identities and data versions."""
    file_sha256: str
    """Of the parquet file, or of the handle's manifest.json: what reading verifies. It covers the origin too."""
    num_bytes: int
    num_rows: int | None = None
    """Rows of a table; None for a handle."""
    schema_sha256: str | None = None
    """Of the table model's columns, types and constraints; None for a handle."""
    meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """A handle's own facts, as in its manifest."""


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """Which object one partition of one asset is, since when it was last made."""

    asset: str
    """Asset key, joined by '/'."""
    arm: str | None
    seed: int | None
    ref: ObjectRef
    origin: Origin
    checks: tuple[CheckOutcome, ...] = ()

    @property
    def partition(self) -> str:
        """'arm|seed', 'arm', or '_' for an unpartitioned asset: unique within the asset."""
        return partition_name(self.arm, self.seed)

    @property
    def sha256(self) -> str:
        """The content hash: what enters the identity of everything made from this."""
        return self.ref.sha256

    @property
    def blocking_failures(self) -> tuple[CheckOutcome, ...]:
        """Blocking checks that failed: while there are any, the store refuses to read this partition."""
        return tuple(check for check in self.checks if check.blocking and not check.passed)


def partition_name(arm: str | None, seed: int | None) -> str:
    """'arm|seed', 'arm' or '_'."""
    if arm is None:
        return UNPARTITIONED
    return arm if seed is None else f"{arm}|{seed}"


def sort_key(arm: str | None, seed: int | None) -> tuple[str, int]:
    """Order of partitions: by arm, then by seed as a number (2 before 10)."""
    return (arm or "", -1 if seed is None else seed)


def check_object_name(name: str) -> str:
    """The name if an object may have it: a usable name that is no file suffix of the store's own."""
    check_name(name, "object")
    if name.endswith(_RESERVED):
        raise ValueError(f"object {name!r} may not end in {', '.join(_RESERVED)}: the store adds those itself")
    return name


def pointer_path(root: Path, asset: str, arm: str | None, seed: int | None) -> Path:
    """Where the pointer of a partition lies; ValueError for anything that is no plain name."""
    folder = asset_folder(root, asset)
    if arm is None:
        if seed is not None:
            raise ValueError(f"asset {asset!r}: seed {seed} without an arm; partitions are arm|seed, arm, or none")
        return folder / f"{UNPARTITIONED}.json"
    check_name(arm, "arm")
    if seed is None:
        return folder / f"{arm}.json"
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ValueError(f"asset {asset!r}: seed must be an integer from 0 to 2**63 - 1, got {seed!r}")
    return folder / arm / f"{seed}.json"


def asset_folder(root: Path, asset: str) -> Path:
    """Where an asset's pointers lie."""
    parts = asset.split("/")
    return root.joinpath("assets", *(check_name(part, "asset") for part in parts))


def encode_ref(ref: ObjectRef, origin: Origin) -> bytes:
    """The sealed file form of what lies under an id, with where it first came from."""
    return _seal({"ref": dataclasses.asdict(ref), "origin": dataclasses.asdict(origin)})


def decode_ref(path: Path) -> ObjectRef:
    """The reference in a sealed file; DamagedError if it is not what was written."""
    return ObjectRef(**_unseal(path)["ref"])


def encode_pointer(pointer: Pointer) -> bytes:
    """The sealed file form of a pointer."""
    return _seal(dataclasses.asdict(pointer))


def decode_pointer(path: Path) -> Pointer:
    """The pointer in a sealed file; DamagedError if it is not what was written."""
    fields = _unseal(path)
    return Pointer(
        asset=fields["asset"],
        arm=fields["arm"],
        seed=fields["seed"],
        ref=ObjectRef(**fields["ref"]),
        origin=Origin(**fields["origin"]),
        checks=tuple(_check(check) for check in fields["checks"]),
    )


def remake_command(pointer: Pointer) -> str:
    """The command that makes this partition again."""
    study, _, name = pointer.asset.partition("/")
    words = ["squiggle run", study if name else "<any study>", "--select", name or study]
    words += ["--arms", pointer.arm] if pointer.arm is not None else []
    words += ["--seeds", str(pointer.seed)] if pointer.seed is not None else []
    return " ".join(words)


def blocked_message(pointer: Pointer, path: Path) -> str:
    """Which blocking checks failed, how to look at what they failed on, and how to make it again."""
    failed = "; ".join(
        f"{check.name} ({check.description}; {check.num_failing} failing)" for check in pointer.blocking_failures
    )
    return (
        f"{pointer.asset} {pointer.partition} failed a blocking check, so nothing may be made from it: {failed}. "
        f"Look at it on the asset's Checks tab or in {path}; mend the cause, then `{remake_command(pointer)}`"
    )


def _check(fields: dict[str, Any]) -> CheckOutcome:
    return CheckOutcome(**{**fields, "failing_rows": tuple(fields["failing_rows"])})


def _seal(fields: dict[str, Any]) -> bytes:
    body = json.loads(json.dumps(fields, default=_jsonable, allow_nan=True))
    text = json.dumps({**body, "seal": _digest(body)}, indent=1, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode()


def _unseal(path: Path) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = json.loads(path.read_bytes())
        seal = fields.pop("seal")
        whole = seal == _digest(fields)
    except FileNotFoundError:
        raise DamagedError(f"{path} is missing") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        whole = False
    if not whole:
        raise DamagedError(
            f"{path} is damaged: its content does not match its own seal. Remove the file and run the asset again; "
            "objects that are whole are found and not computed again"
        )
    return fields


def _digest(body: dict[str, Any]) -> str:
    return sha256_text(json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True))


def _jsonable(value: Any) -> Any:
    """Numbers of numpy and the like as Python numbers; everything else as its text."""
    return value.item() if hasattr(value, "item") else str(value)
