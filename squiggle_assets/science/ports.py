"""What the science needs of the outside world, as protocols.

Here: interfaces only. Not here: implementations (io_managers, resources), so that science stays free of
paths, clocks and servers, and a test can pass a dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Checkpoint(NamedTuple):
    """What a training run needs to go on as if it had never stopped."""

    step: int
    """Optimiser steps done."""
    tensors: dict[str, Tensor]
    """Model and optimiser tensors by flat name."""
    state: dict[str, Any]
    """Plain JSON: counters, logs so far, controller state."""


class CheckpointStore(Protocol):
    """Keeps checkpoints of one run; a saved one is whole or absent, never half."""

    def save(self, checkpoint: Checkpoint, *, keep: bool = False) -> None:
        """Store it. keep: do not drop it when newer ones come (the step ladder starts from it)."""

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint of this run, or None."""

    def inherited(self) -> Checkpoint | None:
        """A checkpoint of another run whose past this run shares, or None.

        That is the kept one of a shorter run of the same ladder, or one of the run that this one replays.
        """


class TensorSink(Protocol):
    """Takes the captures of one run, step by step; putting a step again replaces it."""

    def put(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Store the tensors of one captured step."""


class Progress(Protocol):
    """Hears how far a long piece of work is."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Done of total units are finished; note is a few words such as the current loss."""


def silent(done: int, total: int, note: str = "") -> None:
    """A Progress that tells nobody."""
