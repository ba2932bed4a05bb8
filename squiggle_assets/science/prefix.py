"""What a replay shares with its parent: everything before its first edit, bit for bit.

Here: hashes of traces, the comparison of two runs before a step, the checkpoint a replay may start from. Not here:
replays themselves (replay).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import polars as pl

from squiggle_assets.science.canonical import sha256_json

_ROW = ("step", "micro", "pos", "phase_idx", "item_id", "content_sha256")
"""The columns of a trace that say what was drawn when; the others follow from them."""
_MEASURED = {
    "scalars": ("step", "metric", "value"),
    "geometry": ("step", "probe_set", "component", "layer", "metric", "value"),
}
"""Table -> columns that say what came of the draws."""


class PrefixProof(NamedTuple):
    """Whether a replay is its parent up to its first edit, by hash over the rows of both traces."""

    first_edit: int | None
    num_rows: int
    """Rows of the parent's trace before the first edit (all of them without edits)."""
    parent_sha256: str
    replay_sha256: str

    @property
    def identical(self) -> bool:
        """The same draws before the first edit."""
        return self.parent_sha256 == self.replay_sha256


def trace_sha256(trace: pl.DataFrame, before: int | None = None) -> str:
    """Hex sha256 of what a trace says was drawn at steps below `before` (None: at all steps), in order."""
    return sha256_json([list(row) for row in _before(trace, before).iter_rows()])


def _before(trace: pl.DataFrame, before: int | None) -> pl.DataFrame:
    rows = trace.select(_ROW).sort("step", "micro", "pos")
    return rows if before is None else rows.filter(pl.col("step") < before)


def prefix_proof(parent_trace: pl.DataFrame, replay_trace: pl.DataFrame, first_edit: int | None) -> PrefixProof:
    """Hashes of both traces before the first edited step; equal seeds, spec and hash mean bit-identical training."""
    return PrefixProof(
        first_edit,
        len(_before(parent_trace, first_edit)),
        trace_sha256(parent_trace, first_edit),
        trace_sha256(replay_trace, first_edit),
    )


def same_past(parent: Mapping[str, pl.DataFrame], replay: Mapping[str, pl.DataFrame], first_edit: int | None) -> bool:
    """Whether two runs are one run before the first edit: the same draws, losses, rates and geometry, bit for bit.

    Args:
        parent: sample_trace, scalars and geometry of the parent's run.
        replay: the same tables of its replay.
        first_edit: the first edited step; None: nothing was edited, and the whole runs have to agree.

    What belongs to a step is measured before its update, so rows of the first edited step itself count, but not its
    loss. A value is compared by its bits: nan equals nan.
    """
    if not prefix_proof(parent["sample_trace"], replay["sample_trace"], first_edit).identical:
        return False
    return all(
        _measured(parent[name], columns, first_edit).equals(_measured(replay[name], columns, first_edit))
        for name, columns in _MEASURED.items()
    )


def _measured(table: pl.DataFrame, columns: tuple[str, ...], first_edit: int | None) -> pl.DataFrame:
    rows = table.select(columns).sort(columns[:-1])
    if first_edit is None:
        return rows
    captured = pl.col("step") == first_edit if "layer" in columns else pl.lit(value=False)
    return rows.filter((pl.col("step") < first_edit) | captured)


def reusable_checkpoint(first_edit: int | None, checkpoint_steps: Iterable[int]) -> int | None:
    """The parent's latest checkpoint that a replay may start from; None: start from the beginning.

    A checkpoint at step k has seen the draws of steps 0 to k - 1, so k may be the first edited step itself. An exact
    replay starts from the beginning: it is there to show that a run can be repeated.
    """
    if first_edit is None:
        return None
    return max((step for step in checkpoint_steps if step <= first_edit), default=None)


def spared_steps(first_edit: int | None, *, total_steps: int, checkpoint_every: int) -> int:
    """Steps that a parent with checkpoints of that cadence spares its replay."""
    return reusable_checkpoint(first_edit, range(checkpoint_every, total_steps, checkpoint_every)) or 0
