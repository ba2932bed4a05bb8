"""Who was shown when: the traces of several runs as arrays over the items of their policy, and what to expect.

Here: draws of each seed by step, counts in a range of steps, when the policy would have shown an item. Not here: which
steps matter (trigger_windows) and what is tested (triggers, exposure_locked).
Legend: S = seeds, N = items of the policy, B = draws per step, E = edges (steps), T = ranges between edges.

A range of steps is half-open and counts draws: the draw of step t makes the model after t + 1 updates.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.policy import Policy

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Exposures:
    """The draws of the runs of one arm."""

    seeds: tuple[int, ...]
    """Sorted."""
    drawn: tuple[I64, ...]
    """S arrays [steps, B] of item indices (rows of Policy.items)."""
    num_items: int

    @property
    def num_steps(self) -> tuple[int, ...]:
        """Steps that each run was trained for."""
        return tuple(len(drawn) for drawn in self.drawn)

    def counts(self, seed: int, start: int, stop: int) -> I64:
        """[N] draws of each item in start <= step < stop of that seed's run."""
        drawn = self.drawn[self.seeds.index(seed)][start:stop]
        return np.bincount(drawn.ravel(), minlength=self.num_items)

    def totals(self) -> I64:
        """[S, N] draws of each item in each whole run."""
        return np.stack([self.counts(seed, 0, num) for seed, num in zip(self.seeds, self.num_steps, strict=True)])


def exposures_of(traces: pl.DataFrame, policy: Policy) -> Exposures:
    """The traces (seed, step, item_id; any order) of runs that were drawn from a policy, or edited from such draws.

    Raises:
        ValueError: no rows, an item that the policy does not know, a step outside its budget, a step without exactly
            batch_size draws, a run that does not begin at step 0 or has gaps.
    """
    if traces.is_empty():
        raise ValueError("traces without rows: nothing was drawn")
    index = policy.items.select("item_id", item=pl.int_range(pl.len(), dtype=pl.Int64))
    rows = traces.select("seed", "step", "item_id").join(index, on="item_id", how="left")
    unknown = rows.filter(pl.col("item").is_null())
    if len(unknown):
        item, seed = unknown["item_id"][0], unknown["seed"][0]
        raise ValueError(f"the policy does not know item {item!r} of the trace of seed {seed}: another policy's trace")
    own = {int(seed): part for (seed,), part in rows.sort("seed", "step").group_by("seed", maintain_order=True)}
    return Exposures(
        seeds=tuple(own),
        drawn=tuple(_draws_of(seed, part, policy) for seed, part in own.items()),
        num_items=len(policy.items),
    )


def _draws_of(seed: int, rows: pl.DataFrame, policy: Policy) -> I64:
    steps, size = rows["step"].to_numpy(), policy.batch_size
    num = len(steps) // size
    if len(steps) % size or not np.array_equal(steps, np.repeat(np.arange(num), size)):
        raise ValueError(
            f"trace of seed {seed}: {len(steps)} draws over steps {steps[0]} to {steps[-1]} are not {size} a step from "
            "step 0 on without gaps"
        )
    if num > policy.num_steps:
        raise ValueError(f"trace of seed {seed}: {num} steps, but the policy's budget is {policy.num_steps}")
    return rows["item"].to_numpy().reshape(num, size)


def expected_up_to(policy: Policy, edges_E: I64) -> F64:
    """[E, N] expected draws of each item before each of these ascending steps, plant included."""
    parts = [policy.expected_draws(start, stop) for start, stop in pairwise([0, *edges_E.tolist()])]
    return np.cumsum(parts, axis=0)


def untimed(policy: Policy, num_steps: int) -> NDArray[np.bool_]:
    """[N] items whose timing the policy does not randomise within so many steps: planted ones and never drawn ones."""
    return np.asarray(policy.items["planted"].to_numpy() | (policy.expected_draws(0, num_steps) == 0))
