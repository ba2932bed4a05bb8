"""Verification on reading: a file is what was written, or an error says which is not and how to remake it.

Here: hashing with a cache for this process, the check of a table and of a handle.
Not here: refusing partitions whose checks failed (store.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from io_managers import folders
from io_managers.commit import sha256_file
from io_managers.pointers import DamagedError, ObjectRef

_Stamp = tuple[str, int, int, int, int]
_HASHED: dict[_Stamp, str] = {}
"""Hashes taken by this process, by path, inode, size, mtime and ctime: every file is hashed at least once a process,
and again when anything about it changed."""


def check_object(ref: ObjectRef, path: Path) -> None:
    """DamagedError unless the object at path is, byte for byte, what ref says."""
    if ref.kind == "table":
        _expect_hash(path, ref.file_sha256)
        return
    manifest_path = path / folders.MANIFEST
    _expect_hash(manifest_path, ref.file_sha256)
    listed: dict[str, Any] = folders.read_manifest(path)["files"]
    for name, entry in listed.items():
        _expect_hash(path / name, entry["sha256"])
    if extra := sorted(set(folders.file_names(path)) - set(listed)):
        raise DamagedError(f"{path} holds files that its manifest does not list: {extra}")


def cached_sha256(path: Path) -> str:
    """Hex sha256 of the file; from this process's memory if the file has not changed since."""
    stat = path.stat()
    stamp = (str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    if stamp not in _HASHED:
        _HASHED[stamp] = sha256_file(path)
    return _HASHED[stamp]


def _expect_hash(path: Path, expected: str) -> None:
    try:
        actual = cached_sha256(path)
    except FileNotFoundError:
        raise DamagedError(f"{path} is missing (expected sha256 {expected})") from None
    if actual != expected:
        raise DamagedError(f"{path} is damaged: expected sha256 {expected}, found {actual}")
