"""Runs on random subsets of an arm's items: which items, what such a run draws, what it did at a place.

Here: the subset of a seed, the policy inside it, the outcome of its run, repeats of a subset. Not here: the score that
is made from many of them (lds), training (training).
Legend: N = items of the parent's policy (planted ones last), S = seeds, M = series of the cell, W = increments.

A subset is a pure function of the run's seed and the number of the follow-up arm, so that an arm of S seeds is S
different subsets. Everything else about the run is its parent's: curriculum over the items that are left, budget, seed.
A planted slot whose item is left out holds what an unplanted run of the subset draws there, so that the dose falls with
every planted item that is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science import rng
from squiggle_assets.science.canonical import short_hash
from squiggle_assets.science.cells import ArmSeries
from squiggle_assets.science.envelope import standardise
from squiggle_assets.science.phase_build import COLUMNS
from squiggle_assets.science.policy import Policy, resolve
from squiggle_assets.science.waves import FollowUp

F64 = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SUBSET, REPEAT = "subset", "repeat"
"""Conditions of follow-up arms: the subset of the run's own seed, or that of the other seed of its pair."""
_UNPAIRED = -1
"""Number of the draw for runs that would repeat the subset of a seed that there is not: a subset of their own."""


def subset_of(num_items: int, share: float, *, draw: int, seed: int) -> Bools:
    """[N] a random subset of round(share * N) items, without replacement; ValueError where it is none or all of them.

    draw, seed: name the subset; other numbers give independent ones.
    """
    size = round(share * num_items)
    if not 0 < size < num_items:
        raise ValueError(f"a share of {share} of {num_items} items is {size} items: none or all of them")
    mask = np.zeros(num_items, dtype=bool)
    mask[rng.generator("item_subset", draw, seed).choice(num_items, size=size, replace=False)] = True
    return mask


def other_of_pair(roster: Sequence[int], seed: int) -> int | None:
    """The seed that this one is paired with: the first two of a roster are a pair, the next two, and so on.

    None for a seed outside the roster or at its odd end: nobody is paired with it.
    """
    if seed not in roster:
        return None
    at = list(roster).index(seed) ^ 1
    return roster[at] if at < len(roster) else None


def mask_of(num_items: int, share: float, followup: FollowUp, roster: Sequence[int], seed: int) -> Bools:
    """[N] the subset that a run of a follow-up arm is trained on.

    Args:
        num_items: Of the parent's policy, planted ones included.
        share: Of them in a subset.
        followup: condition `subset` or `repeat`; its draw numbers the subset.
        roster: The study's pre-registered seeds, whose neighbours are pairs.
        seed: Of the run.

    Raises:
        ValueError: another condition, or as `subset_of`.
    """
    if followup.condition not in (SUBSET, REPEAT):
        raise ValueError(f"follow-up arm {followup.name}: condition {followup.condition!r} makes no subset")
    if followup.condition == SUBSET:
        return subset_of(num_items, share, draw=followup.draw, seed=seed)
    other = other_of_pair(roster, seed)
    if other is None:
        return subset_of(num_items, share, draw=_UNPAIRED - followup.draw, seed=seed)
    return subset_of(num_items, share, draw=followup.draw, seed=other)


@dataclass(frozen=True, kw_only=True, eq=False)
class SubsetPolicy:
    """A Draws over a subset of the parent's items."""

    parent: Policy
    inside: Policy
    """The parent's curriculum over the training items of the subset, without a plant."""
    mask: Bools
    """[N] items of the parent that are in the subset."""

    @cached_property
    def items(self) -> pl.DataFrame:
        """Training items of the subset, then its planted ones; draws are rows of it."""
        planted = self.parent.items.filter(pl.Series(self.mask) & pl.col("planted"))
        return pl.concat([self.inside.items, planted.select(self.inside.items.columns)])

    @cached_property
    def _own_row(self) -> Ints:
        """[N] row of each of the parent's items here, -1 for those that are left out."""
        row_of = {name: row for row, name in enumerate(self.items["item_id"])}
        return np.array([row_of.get(name, -1) for name in self.parent.items["item_id"]], dtype=np.int64)

    @property
    def total_steps(self) -> int:
        """Steps of the base budget."""
        return self.parent.total_steps

    @property
    def num_steps(self) -> int:
        """Steps that can be drawn."""
        return self.parent.num_steps

    @property
    def batch_size(self) -> int:
        """Draws per step."""
        return self.parent.batch_size

    @property
    def num_training_items(self) -> int:
        """Items of the subset that are not planted."""
        return self.inside.num_training_items

    @cached_property
    def curriculum_id(self) -> str:
        """16 hex digits over the parent's curriculum_id and the items of the subset."""
        return short_hash({"subset_of": self.parent.curriculum_id, "items": self.items["item_id"].to_list()})

    def phase_at(self, step: int) -> tuple[int, str]:
        """Number and name of the phase of a step; ValueError outside the budget."""
        return self.inside.phase_at(step)

    def phase_boundaries(self) -> list[tuple[int, str]]:
        """First steps of the phases but the first, with their names."""
        return self.inside.phase_boundaries()

    def draw(self, seed: int, step: int) -> Ints:
        """(B,) items of the step's batch: those of the subset's own run, with the planted items that are left."""
        drawn = self.inside.draw(seed, step).copy()
        slots = self.parent.planted_slots(step)
        if slots:
            planted = self._own_row[self.parent.draw(seed, step)[:slots]]
            drawn[:slots] = np.where(planted >= 0, planted, drawn[:slots])
        return drawn


def inside_subset(parent: Policy, mask: Bools) -> SubsetPolicy:
    """The parent's policy over a subset of its items.

    Raises:
        ValueError: a mask of another length, a parent with shuffled labels (they would be shuffled anew over fewer
            items) or one that is matched to another curriculum's exposure, or items without which a phase is empty.
    """
    if mask.shape != (len(parent.items),):
        raise ValueError(f"a mask over {len(parent.items)} items is needed, got shape {mask.shape}")
    if parent.shuffle_families_seed is not None or parent.template.match is not None:
        raise ValueError(
            f"curriculum {parent.template.name!r} of shuffled labels or matched exposure means something else over "
            "fewer items: take subsets of an arm without"
        )
    training = parent.items.filter(pl.Series(mask) & ~pl.col("planted")).select(COLUMNS)
    inside = resolve(
        parent.template,
        training,
        total_steps=parent.total_steps,
        batch_size=parent.batch_size,
        extra_steps=parent.extra_steps,
    )
    return SubsetPolicy(parent=parent, inside=inside, mask=mask)


def signed_change(
    runs: ArmSeries, parents: ArmSeries, *, members: Sequence[int], window: Ints, polarity: int
) -> dict[int, float]:
    """What each run did at a place known beforehand, by seed: its change over the window, towards the polarity.

    Sum over the window's increments, mean over the cell's series, each in robust standard deviations of the parent
    run's increments (same seed): smooth in whatever the run saw, no detector, no cap. ValueError where a run has no
    parent of its seed or other captures.
    """
    strangers = sorted(set(runs.seeds) - set(parents.seeds))
    if strangers:
        raise ValueError(f"runs of seeds {strangers} have no parent; parents are of seeds {list(parents.seeds)}")
    mine, theirs = (runs.layers, runs.metrics), (parents.layers, parents.metrics)
    if mine != theirs or not np.array_equal(runs.steps, parents.steps):
        raise ValueError("runs and their parents were captured at different steps or in different series")
    at = [parents.seeds.index(seed) for seed in runs.seeds]
    scale_SK = standardise(parents).scale
    scale_SM = np.where(scale_SK > 0, scale_SK, np.inf)[at][:, list(members)]
    change_SM = runs.increments[:, list(members)][:, :, window].sum(axis=2) / scale_SM
    return dict(zip(runs.seeds, (polarity * change_SM.mean(axis=1)).tolist(), strict=True))


def refuse_strangers(mask: Bools, items: Sequence[str], trace: pl.DataFrame) -> None:
    """Refuse a trace that drew an item outside its subset: the mask would not be that of the run.

    items: item_ids of the parent's policy, as the mask has them.
    """
    inside = {name for name, there in zip(items, mask.tolist(), strict=True) if there}
    outside = sorted(set(trace["item_id"].unique()) - inside)
    if outside:
        raise ValueError(
            f"the run drew {len(outside)} items that its subset does not hold, for instance {outside[0]!r}"
        )


def repeats(first: Mapping[int, float], second: Mapping[int, float], roster: Sequence[int]) -> pl.DataFrame:
    """Subsets of which two runs are known: seed (that names the subset), unit (its pair of seeds), first, second.

    Args:
        first: Outcome by seed, of runs on the subset of their own seed.
        second: Outcome by seed, of runs on the subset of the other seed of their pair.
        roster: Whose neighbours are pairs.
    """
    rows = []
    for seed, value in first.items():
        other = other_of_pair(roster, seed)
        if other is not None and other in second:
            rows.append((seed, list(roster).index(seed) // 2, value, second[other]))
    schema = {"seed": pl.Int64, "unit": pl.Int64, "first": pl.Float64, "second": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("seed")
