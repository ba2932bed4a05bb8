"""One core against several random ones: is it more than one more random core would be?

Here: p and interval over cores, consensus events of one arm against the mean of several. Not here: the other outcomes
(impact_effects), which items a random core holds (impact_core).
Legend: K = random cores, Q = swaps of labels, G = groups of seeds.

Seeds say how sure the difference to these random cores is, not what other items would have done: every core is one set
of items in all of its runs. So the core is also one more draw of cores among the random ones (p_cores: prediction t,
K - 1 degrees of freedom, outcomes being means over seeds, or excesses), and p is the larger. The interval is the wider
of that over seeds and the prediction interval over cores: it is the control of other claims too, which have no p over
cores. docs/decisions.md ("The impact core") has how often a random core passes.

Event counts belong to all seeds together, so there is no difference by seed to average. What is averaged is the
difference of weighted counts after a swap of labels: in each of the 2^n patterns the core's runs change places with
those of each random core in turn, and the mean over random cores is taken. For a quantity that is a sum over seeds this
is the sign flip of core less mean of the random ones; with one random core it is comparison.excess_difference.
p_cores of counts takes sqrt (count + 3/8), since counts of cores that differ are skewed, and a spread of at least what
chance gives one count (.5 on that scale, the sd of null counts in the interval): three cores without any event would
otherwise have none. One more Poisson count (mean 1 to 8, rates of cores log-normal) then has p at most .05 in .000 to
.054 of simulations at a log sd of 0 to .5, and up to .085 at 1 (plain counts: .12).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science import matching
from squiggle_assets.science.comparison import ArmData, label_swaps
from squiggle_assets.science.nulls import least_support
from squiggle_assets.science.spec import ConsensusSpec
from squiggle_assets.science.stats import (
    Direction,
    Interval,
    interval_around,
    jackknife_error,
    permutation_p,
    prediction_p,
    smallest_sign_flip_p,
    without_one,
)

F64 = NDArray[np.float64]

COUNT_SPREAD = 0.5
"""Sd of the square root of a Poisson count."""
HALF = 0.5
"""Added to counts of which a logarithm or a ratio is taken, so that no events are a number too."""


class OverCores(NamedTuple):
    """A core as one more draw of the random ones."""

    p_value: float
    """One-sided; nan with fewer than 2 random cores or without spread among them."""
    interval: Interval
    """95 % prediction interval of its difference from their mean; nan where p is."""
    own: float
    others: tuple[float, ...]
    """Outcomes of the core and of each random one."""


class Excess(NamedTuple):
    """Consensus events beyond the null, of one arm less the mean of several."""

    estimate: float
    interval: Interval
    """Over seeds."""
    p_value: float
    """Over seeds."""
    smallest_p: float
    cores: OverCores


def over_cores(own: float, others_K: F64, direction: Direction, least_spread: float = 0.0) -> OverCores:
    """The outcome of a core against those of the random ones; ValueError on a claim without a direction.

    least_spread: sd of an outcome by chance alone; random cores that differ by less count as differing by it.
    """
    if direction == "two-sided":
        raise ValueError("one more draw of random cores is asked about in one direction")
    sign, sample_K = (-1.0 if direction == "less" else 1.0), _spread_out(others_K, least_spread)
    num = len(sample_K)
    p = prediction_p(sign * own, sign * sample_K)
    error = float(np.std(sample_K, ddof=1) * np.sqrt(1 + 1 / num)) if p == p else p
    interval = interval_around(float(own - others_K.mean()), error, num - 1)
    return OverCores(p, interval, own, tuple(map(float, others_K)))


def _spread_out(sample_K: F64, least: float) -> F64:
    """The sample, or one with its mean and the least spread: a prediction takes nothing else of it."""
    if len(sample_K) < 2 or np.std(sample_K, ddof=1) >= least:
        return sample_K
    places = np.arange(len(sample_K)) - (len(sample_K) - 1) / 2
    return np.asarray(sample_K.mean() + least * places / np.std(places, ddof=1))


def wider(first: Interval, second: Interval) -> Interval:
    """From the lower of both lower ends to the higher of both upper ends; nan where one is."""
    return Interval(float(np.minimum(first.lo, second.lo)), float(np.maximum(first.hi, second.hi)))


def excess_over(
    arm: ArmData,
    others: Sequence[ArmData],
    spec: ConsensusSpec,
    direction: Direction,
    draws: Callable[[], np.random.Generator],
) -> Excess:
    """Excess of consensus events of one arm less the mean excess of others, random cores with the same seeds.

    p_value and estimate as in comparison.excess_difference, label swaps and null draws averaged over the others.
    draws: a fresh, equal generator every time, so that all pairs swap the same seeds. ValueError without others or on
    other seeds.
    """
    if not others or any(other.series.seeds != arm.series.seeds for other in others):
        raise ValueError(f"cores need the same seeds as {arm.series.seeds}: {[one.series.seeds for one in others]}")
    num_seeds, num = len(arm.series.seeds), len(others)
    swapped = np.stack([label_swaps(arm, other, spec, draws()) for other in others]).mean(axis=0)
    # Means of weights differ by rounding where patterns tie, and a tie is as extreme.
    swapped_Q = np.round(swapped, 6)
    swap_p = float(permutation_p(swapped_Q[0], swapped_Q[1:], direction))
    families = []
    for family, mine in enumerate(arm.seen.nulls):
        theirs = [other.seen.nulls[family].count for other in others]
        least = min(map(len, (mine.count, *theirs)))
        # Sums and not means: whole numbers, whose ties are no matter of rounding.
        drawn = num * mine.count[:least] - np.sum([count[:least] for count in theirs], axis=0)
        null_p = float(permutation_p(num * arm.count - sum(other.count for other in others), drawn, direction))
        own = float(arm.count - mine.count.mean())
        excess_K = np.array([other.count - count.mean() for other, count in zip(others, theirs, strict=True)])
        chance = max(float(count.std()) for count in (mine.count, *theirs))
        families.append((null_p, over_cores(own, excess_K, direction, chance), 1 / (1 + least)))
    null_p, cores, least_p = max(families, key=lambda found: found[0])
    roots = np.sqrt([one.count + 0.375 for one in (arm, *others)])
    p_cores = over_cores(float(roots[0]), roots[1:], direction, COUNT_SPREAD).p_value
    estimate = float(cores.own - np.mean(cores.others))
    support = least_support(num_seeds, spec)
    left_out = counts_without_each(arm, support) - np.mean([counts_without_each(o, support) for o in others], axis=0)
    error = float(np.max([jackknife_error(left_out), chance_of_difference(arm, others)]))
    return Excess(
        estimate=estimate,
        interval=interval_around(estimate, error, num_seeds - 1),
        p_value=max(swap_p, null_p),
        smallest_p=max(1 / len(swapped_Q), least_p, smallest_sign_flip_p(num_seeds, direction)),
        cores=cores._replace(p_value=p_cores),
    )


def chance_of_difference(arm: ArmData, others: Sequence[ArmData], scale: tuple[float, float] = (1.0, 1.0)) -> float:
    """Sd of null counts of one arm less the mean of others, in the larger family; each side divided by its scale."""
    found = []
    for family, mine in enumerate(arm.seen.nulls):
        theirs = np.sqrt(np.sum([other.seen.nulls[family].count.var() for other in others])) / len(others)
        found.append(float(np.hypot(mine.count.std() / scale[0], theirs / scale[1])))
    return max(found)


def counts_without_each(arm: ArmData, support: int) -> F64:
    """[G] consensus events of the groups that leave one seed out, at the support that all seeds need."""
    steps, tau = arm.series.steps, arm.seen.tau
    groups = without_one(len(arm.series.seeds))
    strength_GCSPT = arm.seen.strength[:, groups].transpose(1, 0, 2, 3, 4)
    found = matching.count(matching.scan(strength_GCSPT, steps, tau), steps, tau, support)
    return np.asarray(found.sum(axis=-1), dtype=np.float64)
