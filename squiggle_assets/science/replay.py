"""A recorded run drawn again, item by item, with or without edits.

Here: what a run asks of its policy (Draws), a trace as draws (Recorded), the policy that replays it, and what is
refused before training. Not here: which edits a condition makes (edits), what replay and parent share (prefix),
training (training), measuring what came of it (frozen_location).

Legend: T = steps, B = draws per step, N = items of the policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.canonical import canonical_json, short_hash
from squiggle_assets.science.policy import Policy
from squiggle_assets.science.prefix import trace_sha256

Ints = NDArray[np.int64]

EDIT_SCHEMA = pl.Schema(
    {"step": pl.Int64(), "slot": pl.Int64(), "item_from": pl.String(), "item_to": pl.String(), "reason": pl.String()}
)
"""One row per edited slot: there the replay draws item_to where the parent drew item_from."""


class Draws(Protocol):
    """What a training run and its trace ask of a policy; Policy and ReplayPolicy both answer."""

    @property
    def items(self) -> pl.DataFrame:
        """(N,) item_id, content_sha256, family_id, planted; draws are rows of it."""

    @property
    def total_steps(self) -> int:
        """Steps of the base budget."""

    @property
    def num_steps(self) -> int:
        """Steps that can be drawn."""

    @property
    def batch_size(self) -> int:
        """Draws per step."""

    @property
    def num_training_items(self) -> int:
        """Items that are not planted."""

    @property
    def curriculum_id(self) -> str:
        """Names what is drawn when."""

    def phase_at(self, step: int) -> tuple[int, str]:
        """Number and name of the phase of a step."""

    def phase_boundaries(self) -> list[tuple[int, str]]:
        """First steps of the phases but the first, with their names."""

    def draw(self, seed: int, step: int) -> Ints:
        """(B,) items of the step's batch."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Recorded:
    """What one run of a policy drew, as its trace tells."""

    policy: Policy
    seed: int
    drawn: Ints
    """(T, B) rows of policy.items; slot k of a batch is column k."""
    trace_sha256: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ReplayPolicy:
    """A Draws that emits a recorded run with edits applied; phases, budget and items are the parent's."""

    parent: Recorded
    drawn: Ints
    """(T, B) rows of items, edits applied."""
    curriculum_id: str
    """16 hex digits over the parent's curriculum_id, the parent's trace and the edits: another one for every seed."""
    first_edit: int | None
    """First step whose batch differs from the parent's; None: none does."""

    @property
    def items(self) -> pl.DataFrame:
        """(N,) the parent's items, in its order."""
        return self.parent.policy.items

    @property
    def total_steps(self) -> int:
        """Steps of the base budget."""
        return self.parent.policy.total_steps

    @property
    def num_steps(self) -> int:
        """Steps that can be drawn."""
        return self.parent.policy.num_steps

    @property
    def batch_size(self) -> int:
        """Draws per step."""
        return self.parent.policy.batch_size

    @property
    def num_training_items(self) -> int:
        """Items that are not planted."""
        return self.parent.policy.num_training_items

    def phase_at(self, step: int) -> tuple[int, str]:
        """Number and name of the parent's phase; ValueError outside the budget."""
        return self.parent.policy.phase_at(step)

    def phase_boundaries(self) -> list[tuple[int, str]]:
        """Those of the parent: an edit makes no boundary."""
        return self.parent.policy.phase_boundaries()

    def draw(self, seed: int, step: int) -> Ints:
        """(B,) items of the step's batch; ValueError for another seed than the parent's, or outside the budget."""
        if seed != self.parent.seed:
            raise ValueError(f"this replays the run of seed {self.parent.seed}, and seed {seed} was asked for")
        self.phase_at(step)
        drawn: Ints = self.drawn[step].copy()
        return drawn


def recorded(policy: Policy, trace: pl.DataFrame, *, seed: int, curriculum_id: str) -> Recorded:
    """A run's trace as draws of the policy as it is now.

    Args:
        policy: The parent arm's policy over today's pool.
        trace: sample_trace rows of one run, in any order.
        seed: Of the run.
        curriculum_id: Of the run, from its manifest.

    Raises:
        ValueError: an item of the trace is no longer in the pool, or its content is another one; the trace lacks
            draws or has one twice, or is of another run or curriculum.
    """
    _refuse_changed_items(policy, trace)
    if curriculum_id != policy.curriculum_id:
        raise ValueError(
            f"the trace is of curriculum {curriculum_id} and the arm's is {policy.curriculum_id} now: train the parent "
            "again"
        )
    rows = trace.sort("step", "micro", "pos")
    _refuse_incomplete(policy, rows, seed)
    row_of = {name: row for row, name in enumerate(policy.items["item_id"])}
    drawn = np.array([row_of[name] for name in rows["item_id"]], dtype=np.int64).reshape(-1, policy.batch_size)
    for step, (name, number) in enumerate(zip(*_phases(rows, policy.batch_size), strict=True)):
        if policy.phase_at(step) != (number, name):
            raise ValueError(
                f"the trace has phase {name!r} at step {step}, the curriculum {policy.phase_at(step)[1]!r}"
            )
    return Recorded(policy=policy, seed=seed, drawn=_frozen(drawn), trace_sha256=trace_sha256(rows))


def _phases(rows: pl.DataFrame, size: int) -> tuple[list[str], list[int]]:
    first = rows.gather_every(size)
    return first["phase"].to_list(), first["phase_idx"].to_list()


def _frozen(array: Ints) -> Ints:
    array.flags.writeable = False
    return array


def _refuse_changed_items(policy: Policy, trace: pl.DataFrame) -> None:
    now = policy.items.select("item_id", now="content_sha256")
    drawn = trace.select("item_id", "content_sha256").unique().join(now, on="item_id", how="left")
    changed = drawn.filter(pl.col("now").is_null() | (pl.col("now") != pl.col("content_sha256"))).sort("item_id")
    if len(changed):
        name, _, content = changed.row(0)
        what = "is no longer in the pool" if content is None else "has another content now"
        raise ValueError(
            f"{len(changed)} items of the trace cannot be replayed: {name!r} {what}. Bring back the pool that the "
            "parent was trained on, or train the parent again"
        )


def _refuse_incomplete(policy: Policy, rows: pl.DataFrame, seed: int) -> None:
    if "seed" in rows.columns and set(rows["seed"].unique()) != {seed}:
        raise ValueError(f"a trace of the run of seed {seed} is needed, got seeds {sorted(rows['seed'].unique())}")
    steps, size = policy.num_steps, policy.batch_size
    expected = np.repeat(np.arange(steps), size)
    places = rows.select("step", "micro", "pos").n_unique()
    if places != len(rows) or not np.array_equal(rows["step"].to_numpy(), expected):
        raise ValueError(
            f"the trace is not whole: {len(rows)} rows ({places} places, {rows['step'].n_unique()} steps) where "
            f"{steps} steps of {size} draws are needed; a run that was stopped has no replay"
        )


def refuse_other_origin(parent: Mapping[str, Any], replay: Mapping[str, Any]) -> None:
    """Refuse a replay whose run_spec differs from its parent's in more than the curriculum.

    Base model with its tokenizer, data, training, probe and seed have to be the same, or a difference between the runs
    would have another explanation than the edits. ValueError naming the field and both values.
    """
    names = sorted((set(parent) | set(replay)) - {"curriculum_id"})
    for name in names:
        mine, theirs = (canonical_json(spec.get(name)) for spec in (parent, replay))
        if mine != theirs:
            raise ValueError(
                f"the replay would run with another {name} than its parent ({theirs[:80]} for {mine[:80]}): bring back "
                "what the parent was trained with, or train the parent again"
            )


def replay_of(parent: Recorded, edits: pl.DataFrame) -> ReplayPolicy:
    """The run drawn again with these edits (EDIT_SCHEMA; reasons change nothing); none: an exact replay.

    Raises:
        ValueError: a slot edited twice or outside the run, an item that the policy does not hold, or an item_from that
            is not what the parent drew there.
    """
    rows = edits.select(*EDIT_SCHEMA).cast(EDIT_SCHEMA).sort("step", "slot")
    if rows.select("step", "slot").is_duplicated().any():
        raise ValueError(f"a slot is edited twice: {rows.filter(rows.select('step', 'slot').is_duplicated()).row(0)}")
    row_of = {name: row for row, name in enumerate(parent.policy.items["item_id"])}
    drawn = parent.drawn.copy()
    for step, slot, before, after, _ in rows.iter_rows():
        if not (0 <= step < len(drawn) and 0 <= slot < drawn.shape[1]):
            raise ValueError(f"step {step}, slot {slot} is outside the run of {drawn.shape} draws")
        if after not in row_of or row_of.get(before) != drawn[step, slot]:
            raise ValueError(
                f"the edit of step {step}, slot {slot} from {before!r} to {after!r} does not fit: the parent drew "
                f"{parent.policy.items['item_id'][int(drawn[step, slot])]!r} there, and only items of its policy can "
                "be put in"
            )
        drawn[step, slot] = row_of[after]
    differs = np.flatnonzero((drawn != parent.drawn).any(axis=1))
    edited = [list(row) for row in rows.drop("reason").iter_rows()]
    identity = {"replay_of": parent.policy.curriculum_id, "trace_sha256": parent.trace_sha256, "edits": edited}
    return ReplayPolicy(
        parent=parent,
        drawn=_frozen(drawn),
        curriculum_id=short_hash(identity),
        first_edit=int(differs[0]) if len(differs) else None,
    )
