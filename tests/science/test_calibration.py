"""False alarms of the consensus test in arms that hold nothing: as often as alpha, on cheap simulated studies.

Small arms (3 cells, 39 draws, so that p <= .05 means at most 2 of 40) stand for the large ones: the same code, the same
nulls. Every bound is chosen so that a rate of .05 passes it and one of .10 does not (`bound`). The bounds of 200
studies of the demo's size are in test_simulation, slow.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from squiggle_assets.science.nulls import Agreement, with_nulls
from squiggle_assets.science.simulation import DETECTION, Design, Noise, simulated_arm
from squiggle_assets.science.spec import ConsensusSpec
from squiggle_assets.science.stats import max_statistic_p

SPEC, ALPHA = ConsensusSpec(draws_per_cell=13), 0.05 + 1e-9
SIZES: dict[Noise, tuple[int, Design]] = {
    "white": (470, Design(num_layers=1, num_seeds=5, num_increments=60)),
    "boundary_3": (157, Design(num_layers=1, noise="boundary_3")),
}
"""Studies and design by noise. A study has 3 cells, whose increments are independent of each other."""


def bound(num: int) -> int:
    """Most rejections in so many tests: passed with probability .9983 at a rate of .05, and below .1 at .10.

    All six bounds together are passed with probability .99 at least (6 * .0017 = .01). It takes some 470 tests.
    """
    most = int(binom.ppf(0.9983, num, 0.05))
    assert binom.cdf(most, num, 0.05) >= 0.9983
    assert binom.sf(most, num, 0.10) >= 0.9
    return most


@cache
def arms_of_nothing(noise: Noise) -> list[Agreement]:
    num, design = SIZES[noise]
    found = []
    for number in range(num):
        draws = np.random.default_rng([5, number])
        found.append(with_nulls(simulated_arm(design, draws), DETECTION, SPEC, draws))
    return found


def cell_p(noise: Noise) -> np.ndarray:
    """[N, family] p of every cell of every study."""
    return np.concatenate([np.stack(list(seen.cell_p().values()), axis=1) for seen in arms_of_nothing(noise)])


@pytest.mark.parametrize("family", [0, 1])
def test_the_strongest_of_all_cells_is_significant_as_seldom_as_alpha(family):
    # without the correction for three cells it would be 1 - .95^3 = .14
    p = np.array([max_statistic_p(seen.best, seen.nulls[family].best).min() for seen in arms_of_nothing("white")])
    assert (p <= ALPHA).sum() <= bound(len(p))


def test_the_p_of_an_arm_is_the_larger_of_both_families_corrected_for_its_cells():
    for seen in arms_of_nothing("white"):
        corrected = [max_statistic_p(seen.best, null.best) for null in seen.nulls]
        assert seen.study_p() == np.maximum(*corrected).min()


@pytest.mark.parametrize("noise", list(SIZES))
def test_a_cell_of_nothing_beats_both_nulls_as_seldom_as_alpha(noise):
    p = cell_p(noise).max(axis=1)
    assert (p <= ALPHA).sum() <= bound(len(p))


@pytest.mark.parametrize("family", [0, 1])
def test_without_a_schedule_each_null_is_by_itself_as_large_as_it_says(family):
    p = cell_p("white")[:, family]
    assert (p <= ALPHA).sum() <= bound(len(p))
    # Not far below either, or nothing could be found: uniform p over k / 40 have mean .5125 and standard error .008.
    assert 0.45 < p.mean() < 0.62
    assert 0.6 < (p <= 0.5).mean() / 0.5 < 1.15


def test_a_null_that_forgets_the_schedule_would_be_caught_by_the_same_bound():
    shift = cell_p("boundary_3")[:, 0]
    assert (shift <= ALPHA).sum() > 2 * bound(len(shift))
