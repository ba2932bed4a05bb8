"""The store: objects addressed by content, pointers that say which object a partition is.

Here: put, find, point, read with verification, refusal of damaged and of blocked partitions, the lock of an object.
Not here: how a file is published (commit.py), its encoding (parquet.py, folders.py), Dagster (tables.py, handles.py).
"""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from io_managers import commit, folders, locks, parquet
from io_managers.gate import check_frame, schema_sha256
from io_managers.pointers import (
    DamagedError,
    ObjectRef,
    Pointer,
    asset_folder,
    blocked_message,
    check_object_name,
    decode_pointer,
    decode_ref,
    encode_pointer,
    encode_ref,
    pointer_path,
    remake_command,
    sort_key,
)
from io_managers.verification import check_object
from squiggle_assets.schemas.base import Table
from squiggle_assets.schemas.handles import CheckOutcome, Handle, HandleDraft, Origin
from squiggle_assets.science.spec import check_name

_LOG = logging.getLogger("squiggle.store")


class BlockedError(RuntimeError):
    """A partition's blocking check failed, so nothing may be made from it; the message says which and how to look."""


class Store:
    """Everything under one data root. Cheap to make; holds no state but the root and the file operations."""

    def __init__(
        self, root: Path | str, *, pointers: Path | str | None = None, ops: commit.FileOps = commit.OPS
    ) -> None:
        """A store.

        Args:
            root: where objects, locks and work lie.
            pointers: where this workspace's pointers lie (they say which objects are current); default: root.
            ops: the file operations.
        """
        self.root = local_root(root)
        self.pointers_root = self.root if pointers is None else local_root(pointers)
        self.ops = ops

    # ---- objects

    def find(self, object_id: str, name: str) -> ObjectRef | None:
        """What is stored whole under this id and name, or None: then it has to be made.

        A damaged object is not whole: it is set aside (never deleted), a warning says so, and the answer is None, so
        that running the asset again is all it takes to have it back.
        """
        path = self._ref_path(object_id, name)
        if not path.exists():
            return None
        try:
            ref = decode_ref(path)
            self._check_or_set_aside(ref, path)
        except DamagedError as error:
            if path.exists():
                self._set_aside(path, error)
            return None
        return ref

    def looks_whole(self, ref: ObjectRef) -> bool:
        """Whether every byte is there by count; what the bytes are is verified when they are read."""
        path = self.path(ref)
        if ref.kind == "table":
            return path.is_file() and path.stat().st_size == ref.num_bytes
        try:
            listed = folders.read_manifest(path)["files"]
            return all((path / name).stat().st_size == entry["bytes"] for name, entry in listed.items())
        except (OSError, ValueError, KeyError, DamagedError):
            return False

    def names(self, object_id: str) -> list[str]:
        """What is stored under this id, by name."""
        return sorted(path.stem for path in self._object_folder(object_id).glob("*.json") if path.name[0] != ".")

    def look(self, ref: ObjectRef) -> pl.DataFrame | Handle:
        """The object itself, verified, whichever partitions point at it; DamagedError if it is not whole."""
        path = self.path(ref)
        check_object(ref, path)
        if ref.kind == "table":
            return pl.read_parquet(path, glob=False)
        manifest = folders.read_manifest(path)
        return Handle(path=path, sha256=ref.sha256, files=tuple(sorted(manifest["files"])), meta=manifest["meta"])

    def path(self, ref: ObjectRef) -> Path:
        """Where the object's parquet file or folder lies."""
        folder = self._object_folder(ref.object_id)
        return folder / (f"{ref.name}.parquet" if ref.kind == "table" else ref.name)

    def put_table(
        self, object_id: str, name: str, frame: pl.DataFrame, model: type[Table], origin: Origin
    ) -> ObjectRef:
        """Store a frame that fits its model; the same rows again are fine.

        GateError: the frame does not fit; nothing was written. ConflictError: other rows are stored under this id.
        CommitError: the file system failed; nothing was published.
        """
        folder, name = self._object_folder(object_id), check_object_name(name)
        check_frame(frame, model, f"table {name} of {origin.asset}")
        path = folder / f"{name}.parquet"
        record = dataclasses.asdict(origin)
        with self._publishing(object_id, path):
            commit.commit_file(
                path, lambda temporary: parquet.write(frame, temporary, record), same=_same_rows, ops=self.ops
            )
            found = parquet.hashes(path)
            ref = ObjectRef(
                object_id=object_id,
                name=name,
                kind="table",
                sha256=found.content,
                file_sha256=found.file,
                num_bytes=path.stat().st_size,
                num_rows=frame.height,
                schema_sha256=schema_sha256(model),
            )
            return self._announce(ref, origin)

    def put_handle(self, object_id: str, name: str, draft: HandleDraft, origin: Origin) -> ObjectRef:
        """Store a handle that is in memory; errors as put_table, ValueError for a file name that leaves the folder."""
        folders.check_draft(draft)
        return self._put_folder(object_id, name, lambda folder: folders.write_draft(draft, folder), draft.meta, origin)

    def adopt_folder(
        self, object_id: str, name: str, folder: Path, meta: Mapping[str, Any], origin: Origin
    ) -> ObjectRef:
        """Store the files of a finished folder on the same disk (a sink's captures); the folder is consumed."""
        if not folder.is_dir():
            raise FileNotFoundError(f"no folder {folder} to adopt as {name} of {object_id}")
        ref = self._put_folder(object_id, name, lambda target: folders.link_files(folder, target), meta, origin)
        self.ops.remove(folder)
        return ref

    @contextmanager
    def lock(self, object_id: str, *, timeout: float | None = None) -> Iterator[None]:
        """Hold the right to make this object, so that no two processes make it at once.

        Wait for it, then look again with find: the other process may have made it. timeout as in locks.hold.
        HeldError names the holder. What killed writers left in the object's folder is removed.
        """
        folder = self._object_folder(object_id)
        path = self.root / "locks" / f"object-{object_id}.lock"
        with locks.hold(path, f"making object {object_id}", timeout=timeout):
            commit.sweep(folder, ops=self.ops)
            yield

    # ---- pointers

    def point(
        self,
        asset_key: str,
        arm: str | None,
        seed: int | None,
        ref: ObjectRef,
        origin: Origin,
        checks: tuple[CheckOutcome, ...] = (),
    ) -> Pointer:
        """Make the partition be that object from now on, atomically."""
        pointer = Pointer(asset=asset_key, arm=arm, seed=seed, ref=ref, origin=origin, checks=checks)
        path = pointer_path(self.pointers_root, asset_key, arm, seed)
        commit.commit_file(path, encode_pointer(pointer), replace=True, ops=self.ops)
        return pointer

    def record_checks(self, pointer: Pointer, checks: tuple[CheckOutcome, ...]) -> Pointer:
        """Point again with these outcomes beside the recorded ones; an outcome of the same name is superseded."""
        new = {check.name for check in checks}
        kept = tuple(check for check in pointer.checks if check.name not in new)
        return self.point(pointer.asset, pointer.arm, pointer.seed, pointer.ref, pointer.origin, kept + checks)

    def pointer(self, asset_key: str, arm: str | None = None, seed: int | None = None) -> Pointer | None:
        """The partition's pointer, or None if it was never made; DamagedError if the pointer file is."""
        path = pointer_path(self.pointers_root, asset_key, arm, seed)
        return decode_pointer(path) if path.exists() else None

    def pointers(self, asset_key: str) -> list[Pointer]:
        """All partitions of an asset that were made, by arm, then by seed as a number."""
        folder = asset_folder(self.pointers_root, asset_key)
        files = [path for pattern in ("*.json", "*/*.json") for path in folder.glob(pattern)]
        found = [decode_pointer(path) for path in files if not path.name.startswith(".")]
        mine = [pointer for pointer in found if pointer.asset == asset_key]
        return sorted(mine, key=lambda pointer: sort_key(pointer.arm, pointer.seed))

    # ---- reading

    def scan(self, pointer: Pointer, *, allow_blocked: bool = False) -> pl.LazyFrame:
        """The table, lazily, verified. allow_blocked: read it although a blocking check failed (for people, to look).

        BlockedError, DamagedError, ValueError if the object is no table.
        """
        return pl.scan_parquet(self.table_path(pointer, allow_blocked=allow_blocked), glob=False)

    def read(self, pointer: Pointer, *, allow_blocked: bool = False) -> pl.DataFrame:
        """The table in memory, as scan."""
        return self.scan(pointer, allow_blocked=allow_blocked).collect()

    def table_path(self, pointer: Pointer, *, allow_blocked: bool = False) -> Path:
        """The verified parquet file of a partition (for SQL views); errors as scan."""
        return self._verified(pointer, "table", allow_blocked)

    def open_handle(self, pointer: Pointer, *, allow_blocked: bool = False) -> Handle:
        """The handle, every file of it verified against its manifest; errors as scan."""
        path = self._verified(pointer, "handle", allow_blocked)
        manifest = folders.read_manifest(path)
        return Handle(path=path, sha256=pointer.sha256, files=tuple(sorted(manifest["files"])), meta=manifest["meta"])

    def sweep(self) -> list[Path]:
        """Remove what killed writers left anywhere under the root; the removed paths."""
        return commit.sweep(self.root, recursive=True, ops=self.ops)

    # ---- parts

    def _put_folder(
        self, object_id: str, name: str, fill: Callable[[Path], None], meta: Mapping[str, Any], origin: Origin
    ) -> ObjectRef:
        path = self._object_folder(object_id) / check_object_name(name)

        def fill_and_list(folder: Path) -> None:
            fill(folder)
            folders.write_manifest(folder, meta, origin)

        with self._publishing(object_id, path):
            commit.commit_folder(path, fill_and_list, same=folders.same_content, ops=self.ops)
            manifest = folders.read_manifest(path)
            ref = ObjectRef(
                object_id=object_id,
                name=name,
                kind="handle",
                sha256=folders.content_sha256(manifest),
                file_sha256=commit.sha256_file(path / folders.MANIFEST),
                num_bytes=sum(entry["bytes"] for entry in manifest["files"].values()),
                meta=manifest["meta"],
            )
            return self._announce(ref, origin)

    @contextmanager
    def _publishing(self, object_id: str, path: Path) -> Iterator[None]:
        """Hold the object's publication; bytes without a reference are a dead writer's, never announced: redo them."""
        with locks.hold(self.root / "locks" / f"put-{object_id}.lock", f"publishing {path}"):
            if not self._ref_path(object_id, path.name.removesuffix(".parquet")).exists():
                self.ops.remove(path)
            yield

    def _announce(self, ref: ObjectRef, origin: Origin) -> ObjectRef:
        """Write the object's reference, last: an object without one does not exist."""
        path = self._ref_path(ref.object_id, ref.name)
        commit.commit_file(path, encode_ref(ref, origin), same=_same_ref, ops=self.ops)
        return decode_ref(path)

    def _object_folder(self, object_id: str) -> Path:
        return self.root / "objects" / check_name(object_id, "object id")

    def _ref_path(self, object_id: str, name: str) -> Path:
        return self._object_folder(object_id) / f"{check_object_name(name)}.json"

    def _verified(self, pointer: Pointer, kind: str, allow_blocked: bool) -> Path:
        """Where the partition's object lies, once it is known to be allowed, of that kind, and whole."""
        where = f"{pointer.asset} {pointer.partition}"
        if pointer.ref.kind != kind:
            raise ValueError(f"{where} is a {pointer.ref.kind}, not a {kind}")
        if pointer.blocking_failures and not allow_blocked:
            raise BlockedError(blocked_message(pointer, self.path(pointer.ref)))
        path = self.path(pointer.ref)
        try:
            # The reference beside the object and not the pointer's copy: a damaged object that was remade has the
            # same content under a younger origin, and pointers of other studies to it stay good.
            ref_path = self._ref_path(pointer.ref.object_id, pointer.ref.name)
            ref = decode_ref(ref_path)
            if ref.sha256 != pointer.sha256:
                raise DamagedError(f"{path} has content {ref.sha256}, expected {pointer.sha256}: it was remade since")
            self._check_or_set_aside(ref, ref_path)
        except DamagedError as error:
            raise DamagedError(f"{where}: {error}. Remake it with `{remake_command(pointer)}`") from None
        return path

    def _check_or_set_aside(self, ref: ObjectRef, ref_path: Path) -> None:
        """DamagedError for what is not whole, which is then out of the way: whoever asks next finds it missing."""
        try:
            check_object(ref, self.path(ref))
        except DamagedError as error:
            self._set_aside(ref_path, error)
            raise

    def _set_aside(self, ref_path: Path, error: DamagedError) -> None:
        """Move a damaged object and its reference out of the way, under a name nothing reads."""
        _LOG.warning("%s; set aside, it will be made again", error)
        stem = ref_path.with_suffix("")
        target = self.root / "damaged" / ref_path.parent.name / uuid.uuid4().hex[:8]
        self.ops.make_folder(target)
        for path in (ref_path, stem.with_name(f"{stem.name}.parquet"), stem):
            if path.exists():
                self.ops.replace(path, target / path.name)


def local_root(root: Path | str) -> Path:
    """The root as an absolute local path; ValueError for a remote URL."""
    if isinstance(root, Path):
        return root.absolute()
    parts = urlsplit(root)
    if len(parts.scheme) > 1 and parts.scheme != "file":
        raise ValueError(
            f"data root {root!r} is remote: the store needs locks, hard links and fsync, which only a (possibly "
            "network-mounted) file system has; mount it and give its path"
        )
    return Path(parts.path if parts.scheme == "file" else root).absolute()


def _same_rows(left: Path, right: Path) -> bool:
    return parquet.hashes(left).content == parquet.hashes(right).content


def _same_ref(left: Path, right: Path) -> bool:
    return decode_ref(left).sha256 == decode_ref(right).sha256
