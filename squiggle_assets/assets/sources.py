"""What lies outside the store and enters identities: files and folders that a person names, hub ids.

Here: their digests. Not here: reading them (resources.item_source, resources.base_model).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from io_managers.commit import sha256_file
from squiggle_assets.science.canonical import sha256_json


def path_digest(source: str) -> str:
    """sha256 of a file's bytes, or of names and bytes of all files in a folder; a hub id is its own digest.

    A file is read again only when its size or time of change differ, so that asking is cheap, also of large models,
    and an edited file is noticed, also by a process that lives long. A hub id stands for what was first downloaded
    under it: the commit is in the handle's facts; give a revision to pin another one.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return _file_digest(path)
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.is_file())
        return sha256_json([[str(each.relative_to(path)), _file_digest(each)] for each in files])
    return source


def _file_digest(path: Path) -> str:
    found = path.stat()
    return _digest(path, found.st_size, found.st_mtime_ns, found.st_ino)


@cache
def _digest(path: Path, size: int, changed: int, inode: int) -> str:
    return sha256_file(path)
