"""Checkpoints and captures of a run that is still training, under work/<run_id>/.

Here: the folder implementations of science.ports.CheckpointStore and TensorSink, and what becomes of them when the run
is finished. Not here: what is in a checkpoint (science), the store that takes the finished folders (store.py).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from io_managers import commit, folders
from io_managers.pointers import DamagedError, ObjectRef
from io_managers.store import Store
from squiggle_assets.science.ports import Checkpoint
from squiggle_assets.science.spec import check_name

if TYPE_CHECKING:
    from torch import Tensor

    from squiggle_assets.schemas.handles import Origin

_LOG = logging.getLogger("squiggle.checkpoints")
_NAME = re.compile(r"checkpoint_(?P<step>\d{9})(?P<kept>_kept)?")
_NUM_LATEST = 2
_STORED = re.compile(r"checkpoint-(?P<step>\d{9})")
_TENSORS = "tensors.safetensors"
_STATE = "state.json"
LADDER = "ladder"
"""Name of the checkpoint from which a longer run of the ladder goes on."""


class Past(NamedTuple):
    """Where a run may go on from: a checkpoint that another run with the same past left in the store."""

    run_id: str
    name: str
    """Of the checkpoint in that run's object."""


def stored_checkpoints(store: Store, run_id: str) -> dict[int, Past]:
    """Step -> checkpoint, of a finished run that kept them, and only if its captures are there too."""
    if store.find(run_id, "captures") is None:
        return {}
    found = ((_STORED.fullmatch(name), name) for name in store.names(run_id))
    return {int(match["step"]): Past(run_id, name) for match, name in found if match is not None}


class FolderCheckpoints:
    """A science.ports.CheckpointStore: one sealed folder each; all stay, or the newest two and the kept."""

    def __init__(
        self,
        folder: Path,
        origin: Origin,
        *,
        past: Path | None = None,
        keep_all: bool = False,
        before_save: Callable[[], None] | None = None,
        ops: commit.FileOps = commit.OPS,
    ):
        """Checkpoints of one run.

        Args:
            folder: work/<run_id>/checkpoints.
            origin: of the run; enters each manifest.
            past: folder of a checkpoint that another run with the same past left, if any.
            keep_all: whether none is dropped when newer ones come.
            before_save: called first by save: makes durable what the run put elsewhere up to this step, so that no
                checkpoint outlives captures that it takes for granted.
            ops: the file operations.
        """
        self.folder = folder
        self._before_save = before_save
        self.skipped: list[str] = []
        """Damaged checkpoints that were passed over, as messages: part of the run's record."""
        self._origin = origin
        self._past = past
        self._keep_all = keep_all
        self._ops = ops

    def save(self, checkpoint: Checkpoint, *, keep: bool = False) -> None:
        """Store it; the same step again replaces it. CommitError names path and remedy, older ones stay whole."""
        if self._before_save is not None:
            self._before_save()
        path = self.folder / f"checkpoint_{checkpoint.step:09d}{'_kept' if keep else ''}"
        if path.exists():
            self._ops.remove(path)

        def fill(folder: Path) -> None:
            folders.write_tensors(folder / _TENSORS, checkpoint.tensors)
            state = json.dumps(checkpoint.state, sort_keys=True, ensure_ascii=False)
            (folder / _STATE).write_text(state, encoding="utf-8")
            folders.write_manifest(folder, {"step": checkpoint.step}, self._origin)

        commit.commit_folder(path, fill, same=folders.same_content, ops=self._ops)
        if self._keep_all:
            return
        for old in [found for found in self._paths() if not found.name.endswith("_kept")][:-_NUM_LATEST]:
            self._ops.remove(old)

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint, or None. A damaged one is passed over, logged and listed in skipped."""
        for path in reversed(self._paths()):
            try:
                return load_checkpoint(path)
            except DamagedError as error:
                self.skipped.append(str(error))
                _LOG.warning("%s; the one before it is used", error)
        return None

    def inherited(self) -> Checkpoint | None:
        """The checkpoint of the other run, or None if there is none; DamagedError if it is not whole."""
        return None if self._past is None else load_checkpoint(self._past)

    def named(self) -> dict[str, Path]:
        """Name in the store -> folder: the newest kept one under LADDER, all others by step if all are kept."""
        kept = [path for path in self._paths() if path.name.endswith("_kept")]
        others = [path for path in self._paths() if path not in kept] if self._keep_all else []
        named = {path.name.replace("_", "-"): path for path in others}
        return {LADDER: kept[-1], **named} if kept else named

    def _paths(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("checkpoint_*") if _NAME.fullmatch(path.name))


class FolderSink:
    """A science.ports.TensorSink: one safetensors file a captured step, published whole.

    A capture is safe from kills at once, and from power cuts when settle has been called: waiting for the disk at
    every capture would cost more than the captures themselves.
    """

    def __init__(self, folder: Path, *, ops: commit.FileOps = commit.OPS):
        self.folder = folder
        self._ops = ops
        self._unsettled: list[Path] = []

    def put(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Store the tensors of one captured step; putting a step again replaces it."""
        if not 0 <= step <= 999_999:
            raise ValueError(f"step must be from 0 to 999999, got {step}")
        path = self.folder / f"step_{step:06d}.safetensors"
        commit.commit_file(
            path, lambda part: folders.write_tensors(part, tensors), replace=True, durable=False, ops=self._ops
        )
        self._unsettled.append(path)

    def settle(self) -> None:
        """Wait until every capture put so far is on the disk."""
        if self._unsettled:
            commit.sync_all([*self._unsettled, self.folder], ops=self._ops)
            self._unsettled = []


class RunFolder:
    """work/<run_id>: what a run needs while it trains, and its end."""

    def __init__(self, store: Store, run_id: str, origin: Origin, *, past: Past | None = None, keep_all: bool = False):
        """The work of one run.

        Args:
            store: where the finished folders go.
            run_id: of this run.
            origin: of the run.
            past: the checkpoint that this run may go on from; ignored if it is not there.
            keep_all: whether every checkpoint goes into the store, for replays of this run to go on from.
        """
        self.path = store.root / "work" / check_name(run_id, "run id")
        inherited = None if past is None else store.find(*past)
        self.captures = FolderSink(self.path / "captures", ops=store.ops)
        self.checkpoints = FolderCheckpoints(
            self.path / "checkpoints",
            origin,
            past=None if inherited is None else store.path(inherited),
            keep_all=keep_all,
            before_save=self.captures.settle,
            ops=store.ops,
        )
        self._store, self._run_id, self._origin = store, run_id, origin
        for folder in (self.path / "checkpoints", self.path / "captures"):
            commit.sweep(folder, ops=store.ops)

    def take_captures(self, run_id: str, *, up_to: int) -> None:
        """Put another run's captures up to a step (itself included) beside this run's own, file by file.

        DamagedError if that run has no whole captures: this one has to be trained from the start.
        """
        ref = self._store.find(run_id, "captures")
        if ref is None:
            raise DamagedError(f"run {run_id} left a checkpoint but no whole captures; remove objects/{run_id}")
        for path in sorted(self._store.path(ref).glob("step_*.safetensors")):
            if int(path.stem.removeprefix("step_")) <= up_to:
                commit.commit_file(
                    self.captures.folder / path.name, path.read_bytes(), replace=True, ops=self._store.ops
                )

    def finish(self, meta: Mapping[str, object]) -> ObjectRef:
        """Adopt the captures (with meta) and the checkpoints that are to stay into the store; the captures.

        The checkpoints stay until discard: the run's tables are stored after this, and a kill between the two costs
        the last checkpoint's steps only. May be repeated: what is already adopted is found. FileNotFoundError if there
        are no captures.
        """
        for name, path in self.checkpoints.named().items():
            if self._store.find(self._run_id, name) is None:
                manifest = folders.read_manifest(path)
                self._store.adopt_folder(self._run_id, name, path, manifest["meta"], self._origin)
        captures = self._store.find(self._run_id, "captures")
        if captures is None:
            captures = self._store.adopt_folder(self._run_id, "captures", self.captures.folder, meta, self._origin)
        return captures

    @staticmethod
    def discard(store: Store, run_id: str) -> None:
        """Remove the work of a run whose results are all in the store."""
        store.ops.remove(store.root / "work" / check_name(run_id, "run id"))


def load_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a folder, every byte of it verified; DamagedError if it is not whole."""
    from safetensors.torch import load

    try:
        manifest = folders.read_manifest(path)
        tensors, state = (folders.verified_bytes(path, name, manifest) for name in (_TENSORS, _STATE))
        step = int(manifest["meta"]["step"])
    except (OSError, ValueError, KeyError) as error:
        raise DamagedError(f"checkpoint {path} is not whole: {error}") from None
    return Checkpoint(step=step, tensors=load(tensors), state=json.loads(state))
