"""How often two arms that are equal are called different: by swaps of labels, by null draws, and by the larger p.

Pairs of arms are made of event strengths alone, without increments, so that hundreds of them are cheap. Each bound is
passed with probability .998 at a rate of .05 (`bound`); all five together with .99.
"""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from squiggle_assets.science import matching
from squiggle_assets.science.comparison import ArmData, Difference, excess_difference
from squiggle_assets.science.nulls import FAMILIES, Null, least_support, observe
from squiggle_assets.science.simulation import DETECTION, Design, simulated_arm
from squiggle_assets.science.spec import Arm, ConsensusSpec

SPEC, ALPHA = ConsensusSpec(), 0.05 + 1e-9
NUM_SEEDS, NUM_PAIRS, NUM_DRAWS = 6, 200, 39
ARM = Arm(name="a", curriculum="iid_baseline", role="baseline", description=".")
PLACES = 25 * np.arange(4) + np.random.default_rng(4).integers(3, 20, size=(6, 4))
"""[6, 4] increments with a common event in each cell and polarity: without a period that turning could meet."""
KINDS = {"nothing": (0.06, 0.0), "common": (0.01, 0.8)}
"""Kind of arm: probability of an event of a seed at any increment, and at each of PLACES.

nothing: events meet by chance. common: of 6 seeds 5 or 6 show an event with probability .655, so that two equal arms
differ by 24 * 2 * .655 * .345 = 10.8 (variance) in their numbers of events, while draws hardly have any.
"""


def bound(num: int) -> int:
    """Most rejections in so many tests: passed with probability .998 at a rate of .05, below .001 at .20."""
    most = int(binom.ppf(0.998, num, 0.05))
    assert binom.cdf(most, num, 0.05) >= 0.998 and binom.cdf(most, num, 0.20) < 0.001
    return most


@cache
def stand(num_seeds: int) -> ArmData:
    """An arm whose strengths are to be replaced: 3 cells, 100 increments two steps apart."""
    series = simulated_arm(Design(num_layers=1, num_seeds=num_seeds), np.random.default_rng(0))
    return ArmData(arm=ARM, series=series, seen=observe(series, DETECTION, SPEC), num_items=1, total_steps=200)


def arm_with(strength_CSPT: np.ndarray, draws: np.random.Generator) -> ArmData:
    """The arm with these strengths; both null families turn each seed round the run by an amount of its own."""
    arm = stand(strength_CSPT.shape[1])
    steps, tau = arm.series.steps, arm.seen.tau
    support = least_support(strength_CSPT.shape[1], SPEC)
    nulls = []
    for name in FAMILIES:
        turns = draws.integers(0, len(steps), size=(NUM_DRAWS, strength_CSPT.shape[1]))
        index = (np.arange(len(steps)) - turns[..., None]) % len(steps)
        moved = np.take_along_axis(strength_CSPT[None], index[:, None, :, None, :], axis=-1)
        found = matching.scan(moved, steps, tau)
        count = matching.count(found, steps, tau, support).sum(axis=-1)
        nulls.append(Null(name=name, best=matching.best_total(found), count=count))
    found = matching.scan(strength_CSPT, steps, tau)
    return dataclasses.replace(
        arm, seen=dataclasses.replace(arm.seen, strength=strength_CSPT, found=found, nulls=tuple(nulls))
    )


def equal_arms(number: int, kind: str) -> tuple[np.random.Generator, ArmData, ArmData]:
    """Two arms of one of the KINDS."""
    chance, common = KINDS[kind]
    draws = np.random.default_rng([13, number])

    def strength() -> np.ndarray:
        shape = 3, NUM_SEEDS, 2, 100
        there = draws.random(shape) < chance
        for i, places in enumerate(PLACES):
            there[i // 2, :, i % 2, places] |= draws.random((len(places), NUM_SEEDS)) < common
        return np.where(there, draws.uniform(2, 6, size=shape), 0).astype(np.float32)

    return draws, arm_with(strength(), draws), arm_with(strength(), draws)


@cache
def differences(kind: str) -> list[Difference]:
    found = []
    for number in range(NUM_PAIRS):
        draws, first, second = equal_arms(number, kind)
        found.append(excess_difference(first, second, SPEC, "greater", draws))
    return found


def p_of(kind: str, explanation: str) -> np.ndarray:
    return np.array([found.p_values[explanation] for found in differences(kind)])


@pytest.mark.parametrize("kind", list(KINDS))
def test_exchanged_labels_call_equal_arms_different_as_seldom_as_alpha(kind):
    p = p_of(kind, "label_swaps")
    assert p.min() >= 1 / 2**NUM_SEEDS
    assert (p <= ALPHA).sum() <= bound(NUM_PAIRS)
    # 3 of the 64 values lie at most at .05, so a rate of .047; far below that nothing could be found
    assert (p <= ALPHA).sum() >= 2 and 0.4 < p.mean() < 0.6


def test_null_draws_call_arms_of_nothing_different_as_seldom_as_alpha():
    p = p_of("nothing", "null_draws")
    assert p.min() >= 1 / (1 + NUM_DRAWS)
    assert 1 <= (p <= ALPHA).sum() <= bound(NUM_PAIRS)


def test_null_draws_alone_would_call_equal_arms_with_events_different():
    p = p_of("common", "null_draws")
    assert p.min() >= 1 / (1 + NUM_DRAWS)
    assert (p <= ALPHA).sum() > bound(NUM_PAIRS)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_p_of_a_difference_is_the_larger_one_and_as_large_as_it_says(kind):
    p = np.array([found.p_value for found in differences(kind)])
    np.testing.assert_array_equal(p, np.maximum(p_of(kind, "label_swaps"), p_of(kind, "null_draws")))
    assert (p <= ALPHA).sum() <= bound(NUM_PAIRS)


def one_event(num_seeds: int, size: float) -> np.ndarray:
    strength = np.zeros((3, num_seeds, 2, 100), dtype=np.float32)
    strength[0, :, 0, 50] = size
    return strength


def test_no_p_of_a_difference_is_ever_zero():
    # an event in every seed of one arm and none in the other; each swap takes a seed from it, so the observed labels
    # are the one most extreme assignment of 64, and no draw of the quiet arm or the turned one comes near
    draws = np.random.default_rng(0)
    loud, quiet = arm_with(one_event(6, 6.0), draws), arm_with(one_event(6, 0.0), draws)
    found = excess_difference(loud, quiet, SPEC, "greater", draws)
    assert found.estimate == pytest.approx(1.0, abs=0.05)
    assert found.p_values == {"label_swaps": 1 / 64, "null_draws": 1 / 40}
    assert found.smallest_p == found.p_value == 1 / 40
    assert excess_difference(quiet, loud, SPEC, "less", draws).p_values == found.p_values
    # both ends: the mirrored assignment is as extreme, and either tail of the draws
    both = excess_difference(loud, quiet, SPEC, "two-sided", draws)
    assert both.p_values == {"label_swaps": 2 / 64, "null_draws": 2 / 40}
    assert excess_difference(quiet, loud, SPEC, "greater", draws).p_values["label_swaps"] == 1.0


def test_among_sampled_swaps_the_observed_labels_are_one_of_them():
    # 12 pairs: 2000 of 4096 assignments, and the observed one; the most extreme is drawn again about 0.5 times
    draws = np.random.default_rng(1)
    loud, quiet = arm_with(one_event(12, 6.0), draws), arm_with(one_event(12, 0.0), draws)
    found = excess_difference(loud, quiet, SPEC, "greater", draws)
    assert round(found.p_values["label_swaps"] * 2001) in {1, 2, 3, 4}
