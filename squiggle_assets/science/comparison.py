"""Counts of consensus events of arms and their differences: swaps of labels, subsets of seeds, draws of the nulls.

Here: an arm as comparisons need it, intervals and p-values of counts. Not here: rows (outcomes, claims).
Legend: C = cells, S = seeds, P = polarity, T = increments, Q = groups of seeds.

Seeds are never drawn with replacement: a copy of a seed agrees with itself and would make consensus out of nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science import matching
from squiggle_assets.science.cells import ArmSeries
from squiggle_assets.science.nulls import FAMILIES, Agreement, Null, least_support, observe, with_nulls
from squiggle_assets.science.spec import Arm, ConsensusSpec, DetectionSpec
from squiggle_assets.science.stats import (
    Direction,
    Interval,
    interval_around,
    jackknife_error,
    permutation_p,
    signs_of,
    smallest_sign_flip_p,
    without_one,
)

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MAX_SWAPS = 10
"""Up to this many pairs every swap of labels is counted; above, NUM_SWAPS random ones."""
NUM_SWAPS = 2000


@dataclass(frozen=True, kw_only=True)
class ArmData:
    """One arm on the pre-registered probe set, with the draws that its consensus stored."""

    arm: Arm
    series: ArmSeries
    seen: Agreement
    """With its nulls."""
    num_items: int
    """Distinct training items of the curriculum."""
    total_steps: int

    @property
    def count(self) -> int:
        """Observed number of consensus events."""
        return self.seen.num_events(self.series.steps)

    def null_mean(self) -> float:
        """Mean count, in the null family with more of them."""
        return max(float(null.count.mean()) for null in self.seen.nulls)

    def count_p(self) -> float:
        """How often a draw has as many events, the larger over the families."""
        return max(float(permutation_p(self.count, null.count)) for null in self.seen.nulls)


class Strongest(NamedTuple):
    """The most surprising moment of an arm, wherever it lies."""

    cell: int
    by_seed: Mapping[int, float]
    """Capped strength of each seed's event there, in envelopes; 0 for a seed without one."""
    null_mean: float
    """Mean over draws of the largest cell's mean strength, in the null family with more of it."""

    @property
    def estimate(self) -> float:
        """Mean over seeds."""
        return float(np.mean(list(self.by_seed.values())))


class Difference(NamedTuple):
    """One arm against another."""

    estimate: float
    interval: Interval
    p_values: Mapping[str, float]
    """By innocent explanation."""
    smallest_p: float
    num_pairs: int

    @property
    def p_value(self) -> float:
        """The larger over the explanations: the difference has to beat all of them."""
        return max(self.p_values.values())


def agreement_with(
    series: ArmSeries, null_draws: pl.DataFrame, detection: DetectionSpec, spec: ConsensusSpec
) -> Agreement:
    """Observed agreement with the stored draws of this arm and probe set put back.

    ValueError where the stored observation is not what these series give (the draws belong to other data), and where
    the draws are not those of both null families: a p against one of them alone would be another test.
    """
    seen = observe(series, detection, spec)
    names = {(f"layers_{cell.layer_lo}_{cell.layer_hi}", cell.group): i for i, cell in enumerate(series.cells)}
    nulls = {name[0]: _stored(rows, names) for name, rows in null_draws.group_by("null", maintain_order=True)}
    observed = nulls.pop("observed", None)
    if observed is None or not np.allclose(observed.best[0], seen.best, atol=1e-4):
        raise ValueError("stored null draws do not belong to this geometry: materialise the consensus again")
    if set(nulls) != set(FAMILIES):
        raise ValueError(f"stored null draws of {sorted(map(str, nulls))} where {list(FAMILIES)} are needed")
    return replace(seen, nulls=tuple(replace(nulls[name], name=name) for name in FAMILIES))


def _stored(rows: pl.DataFrame, names: Mapping[tuple[str, str], int]) -> Null:
    num = int(rows["draw"].max() or 0) + 1  # type: ignore[arg-type]
    best, count = np.full((num, len(names)), np.nan, dtype=np.float32), np.zeros(num, dtype=np.int64)
    for (band, group), own in rows.group_by("band", "metric_group"):
        if band == "all":
            count[own["draw"].to_numpy()] = own["statistic"].to_numpy().astype(np.int64)
        else:
            best[own["draw"].to_numpy(), names[str(band), str(group)]] = own["statistic"].to_numpy()
    return Null(name="", best=best, count=count)


def strongest_of(arm: ArmData) -> Strongest:
    """The moment with the largest total in the cell with the smallest familywise p.

    It was searched for over all cells and times; so was the null mean, draw by draw.
    """
    seen, seeds = arm.seen, arm.series.seeds
    p, spread = seen.familywise_p(), np.max([null.best.std(axis=0) for null in seen.nulls], axis=0)
    above = (seen.best - np.max([null.best.mean(axis=0) for null in seen.nulls], axis=0)) / np.maximum(spread, 1e-9)
    cell = int(np.lexsort((-above, p))[0])
    side, centre = np.unravel_index(int(seen.found.total[cell].argmax()), seen.found.total[cell].shape)
    own = seen.strength[cell, :, side]
    at = matching.members(own, arm.series.steps, seen.tau, int(centre))
    strength = np.where(at >= 0, own[np.arange(len(seeds)), at], 0.0)
    null_mean = max(float(null.best.max(axis=1).mean()) for null in seen.nulls) / len(seeds)
    return Strongest(cell, dict(zip(seeds, map(float, strength), strict=True)), null_mean)


def _counts(strength_QCSPT: matching.F32, arm: ArmData, support: int) -> I64:
    """[Q] consensus events of groups of seeds, over all cells."""
    steps, tau = arm.series.steps, arm.seen.tau
    return np.asarray(matching.count(matching.scan(strength_QCSPT, steps, tau), steps, tau, support).sum(axis=-1))


def _weights(strength_QCSPT: matching.F32, arm: ArmData, support: int) -> F64:
    """[Q] the same with events weighted by their totals."""
    steps, tau, num = arm.series.steps, arm.seen.tau, strength_QCSPT.shape[2]
    found = matching.scan(strength_QCSPT, steps, tau)
    return np.asarray(matching.weight(found, steps, tau, support, num).sum(axis=-1))


def _without_each(strength: matching.F32, arm: ArmData, support: int) -> F64:
    """[S] counts without each seed in turn, at the support that all seeds together need."""
    groups = without_one(strength.shape[1])
    return _counts(strength[:, groups].transpose(1, 0, 2, 3, 4), arm, support).astype(float)


def _larger(first: float, second: float) -> float:
    """The larger of two errors; nan if one is."""
    return float(np.max([first, second]))


def count_interval(arm: ArmData) -> Interval:
    """95 % t interval of the count over seeds; nan below 3 seeds.

    Standard error: the larger of the delete-one jackknife (an event that hangs on each of its seeds adds about
    1.1 to it, one with seeds to spare nothing) and the standard deviation of the null counts (chance alone).
    """
    left_out = _without_each(arm.seen.strength, arm, arm.seen.min_support)
    chance = max(float(null.count.std()) for null in arm.seen.nulls)
    return interval_around(arm.count, _larger(jackknife_error(left_out), chance), len(left_out) - 1)


def shared_seeds(arm: ArmData, against: ArmData) -> tuple[int, ...]:
    """Seeds that both arms have, sorted."""
    return tuple(sorted(set(arm.series.seeds) & set(against.series.seeds)))


def on_shared_seeds(
    arm: ArmData, against: ArmData, detection: DetectionSpec, spec: ConsensusSpec, rng: np.random.Generator
) -> tuple[ArmData, ArmData]:
    """Both arms with the seeds that both have, and with nulls of as many seeds.

    Counts of 7 seeds against draws of 8 would compare numbers of seeds. An arm that has no other seeds comes back as
    it is, with its stored draws; the other one is searched and drawn again. ValueError with fewer than 2 shared seeds
    or where the captures differ.
    """
    shared = shared_seeds(arm, against)
    names = f"{arm.arm.name!r} and {against.arm.name!r}"
    if len(shared) < 2:
        raise ValueError(f"arms {names} share fewer than 2 seeds: {arm.series.seeds} and {against.series.seeds}")
    if not np.array_equal(arm.series.steps, against.series.steps) or arm.series.cells != against.series.cells:
        raise ValueError(f"arms {names} were captured at different steps or layers and cannot be compared")
    first, second = (_of_seeds(one, shared, detection, spec, rng) for one in (arm, against))
    return first, second


def _of_seeds(
    arm: ArmData, seeds: tuple[int, ...], detection: DetectionSpec, spec: ConsensusSpec, rng: np.random.Generator
) -> ArmData:
    if arm.series.seeds == seeds:
        return arm
    at = [arm.series.seeds.index(seed) for seed in seeds]
    series = replace(arm.series, seeds=seeds, increments=arm.series.increments[at], levels=arm.series.levels[at])
    return replace(arm, series=series, seen=with_nulls(series, detection, spec, rng))


def excess_difference(
    arm: ArmData, against: ArmData, spec: ConsensusSpec, direction: Direction, rng: np.random.Generator
) -> Difference:
    """Excess of consensus events over the null, of one arm less another with the same seeds (`on_shared_seeds`).

    Two innocent explanations, and the p is the larger. Labels mean nothing: swap the two runs of a seed and search
    both arms again, over all 2^n swaps, events weighted by their totals (a plain count stays the same until a
    quarter of the seeds is swapped and so could never be significant). Each arm's schedule explains its count:
    difference of the null draws of the two arms about their means, per family. Estimate in the family with the
    larger p; interval as `count_interval`, over pairs of seeds, null means held fixed. ValueError on other seeds.
    """
    if arm.series.seeds != against.series.seeds:
        raise ValueError(f"pairs of runs need the same seeds, got {arm.series.seeds} and {against.series.seeds}")
    first, second = arm.seen.strength, against.seen.strength
    num_seeds = len(arm.series.seeds)
    support = least_support(num_seeds, spec)
    swapped = _swapped(first, second, arm, support, rng)
    swap_p = float(_tail(swapped[0], swapped, direction))
    counted = int((_counts(first[None], arm, support) - _counts(second[None], arm, support))[0])
    nulls = []
    for mine, theirs in zip(arm.seen.nulls, against.seen.nulls, strict=True):
        num = min(len(mine.count), len(theirs.count))
        # Whole numbers: about their means, equal counts would differ by rounding, and a tie is as extreme.
        drawn = mine.count[:num] - theirs.count[:num]
        excess = float(counted - (mine.count.mean() - theirs.count.mean()))
        least = (2 if direction == "two-sided" else 1) / (1 + num)
        nulls.append((float(permutation_p(counted, drawn, direction)), excess, least))
    null_p, estimate, least_p = max(nulls, key=lambda found: found[0])
    return Difference(
        estimate=estimate,
        interval=_difference_interval(first, second, estimate, arm, against, support),
        p_values={"label_swaps": swap_p, "null_draws": null_p},
        smallest_p=max(1 / len(swapped), least_p, smallest_sign_flip_p(num_seeds, direction)),
        num_pairs=num_seeds,
    )


def label_swaps(arm: ArmData, against: ArmData, spec: ConsensusSpec, rng: np.random.Generator) -> F64:
    """[Q] difference of weighted counts for every swap of labels between two arms with the same seeds, observed first.

    The swaps that excess_difference counts. With equal seeds, and above MAX_SWAPS pairs equal rng, entry q swaps the
    same seeds whatever the other arm is.
    """
    support = least_support(len(arm.series.seeds), spec)
    return _swapped(arm.seen.strength, against.seen.strength, arm, support, rng)


def _tail(observed: float, values: F64, direction: Direction) -> float:
    above, below = np.mean(values >= observed - 1e-9), np.mean(values <= observed + 1e-9)
    both = np.mean(np.abs(values) >= abs(observed) - 1e-9)
    return float({"greater": above, "less": below, "two-sided": both}[direction])


def _swapped(first: matching.F32, second: matching.F32, arm: ArmData, support: int, rng: np.random.Generator) -> F64:
    """[Q] difference of weighted counts for every swap of labels (a sample above MAX_SWAPS pairs), observed first."""
    num = first.shape[1]
    if num <= MAX_SWAPS:
        signs = signs_of(num)
    else:
        drawn = rng.choice(np.array([1, -1], dtype=np.int8), size=(NUM_SWAPS, num))
        signs = np.concatenate([np.ones((1, num), dtype=np.int8), drawn])
    both = np.stack([first, second])
    seeds, found = np.arange(num), []
    for part in np.array_split(signs, max(1, len(signs) // 64)):
        which = (part < 0).astype(np.int64)
        mine = both[which, :, seeds].transpose(0, 2, 1, 3, 4)
        theirs = both[1 - which, :, seeds].transpose(0, 2, 1, 3, 4)
        found.append(_weights(mine, arm, support) - _weights(theirs, arm, support))
    return np.concatenate(found)


def _difference_interval(
    first: matching.F32, second: matching.F32, estimate: float, arm: ArmData, against: ArmData, support: int
) -> Interval:
    left_out = _without_each(first, arm, support) - _without_each(second, arm, support)
    pairs = zip(arm.seen.nulls, against.seen.nulls, strict=True)
    chance = max(float(np.hypot(mine.count.std(), theirs.count.std())) for mine, theirs in pairs)
    return interval_around(estimate, _larger(jackknife_error(left_out), chance), len(left_out) - 1)
