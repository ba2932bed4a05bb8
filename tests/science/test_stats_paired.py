"""Statistics of pairs and of times with censoring, against formulas by hand, other libraries and brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as of_scipy
from scipy.special import gammaln
from statsmodels.stats.weightstats import ttost_paired

from squiggle_assets.science.stats import (
    logrank,
    max_sign_flip,
    newcombe,
    paired_exact,
    paired_hedges_g,
    paired_newcombe,
    restricted_mean,
    sign_flip,
    tost_paired,
)


def table(both: int, only_1: int, only_2: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of two conditions over the units of a 2 x 2 table."""
    first = [1.0] * (both + only_1) + [0.0] * (only_2 + neither)
    second = [1.0] * both + [0.0] * only_1 + [1.0] * only_2 + [0.0] * neither
    return np.array(first), np.array(second)


def tables(num: int):
    """Every 2 x 2 table of that many units."""
    for both, only_1, only_2 in product(range(num + 1), repeat=3):
        if both + only_1 + only_2 <= num:
            yield both, only_1, only_2, num - both - only_1 - only_2


def test_none_of_eight_against_all_of_eight_by_hand():
    # Wilson of 0 of 8 at 95 %: z^2 / (8 + z^2) = 3.8415 / 11.8415 = .3244; no correlation: -1 + sqrt(2) * .3244
    found = paired_newcombe(np.zeros(8), np.ones(8))
    assert found.lo == -1 and found.hi == pytest.approx(-1 + np.sqrt(2) * 3.8415 / 11.8415, abs=1e-4)


def test_without_correlation_the_paired_interval_is_the_unpaired_one():
    for both, only_1, only_2, neither in ((4, 4, 4, 4), (0, 0, 7, 2), (9, 0, 3, 0), (0, 0, 0, 5)):
        pairs = table(both, only_1, only_2, neither)
        num = len(pairs[0])
        expected = newcombe((both + only_1, num), (both + only_2, num))
        assert paired_newcombe(*pairs) == pytest.approx(expected, abs=1e-12)


def test_pairs_that_agree_give_a_narrower_interval_and_pairs_that_exclude_each_other_a_wider_one():
    alike, apart = paired_newcombe(*table(10, 2, 0, 8)), paired_newcombe(*table(0, 10, 10, 0))
    assert alike.hi - alike.lo < np.diff(newcombe((12, 20), (10, 20)))[0]
    assert apart.hi - apart.lo > np.diff(newcombe((10, 20), (10, 20)))[0]


def test_swapping_the_conditions_mirrors_both_intervals():
    for counts in tables(6):
        first, second = table(*counts)
        there, back = paired_newcombe(first, second), paired_newcombe(second, first)
        assert (there.lo, there.hi) == pytest.approx((-back.hi, -back.lo))
    there, back = paired_exact(1, 4, 7), paired_exact(4, 1, 7)
    assert (there.lo, there.hi) == pytest.approx((-back.hi, -back.lo))


def test_draws_of_one_unit_are_no_units():
    # eight seeds, of whose placebo draws every second shows the event: as wide as 4 of 8, not as 20 of 40
    averaged = paired_newcombe(np.zeros(8), np.full(8, 0.5))
    assert averaged == pytest.approx(newcombe((0, 8), (4, 8)), abs=1e-12)


def test_the_paired_interval_holds_the_truth_about_as_often_as_it_says():
    # exact coverage over all tables of 10 units: independent conditions, and conditions of which one implies the other
    for p_1, p_2, both in ((0.3, 0.7, 0.21), (0.5, 0.5, 0.25), (0.3, 0.7, 0.3), (0.5, 0.8, 0.5)):
        cells = np.array([both, p_1 - both, p_2 - both, 1 - p_1 - p_2 + both])
        covered = 0.0
        for counts in tables(10):
            chance = float(of_scipy.multinomial.pmf(counts, 10, cells))
            found = paired_newcombe(*table(*counts))
            covered += chance * (found.lo <= p_1 - p_2 <= found.hi)
        assert covered > 0.935


def test_the_exact_interval_by_hand():
    # all 8 pairs down: P = p_down^8 with p_down - p_up = -d and p_up + p_down = 1, so ((1 - d) / 2)^8 = .025
    found = paired_exact(0, 8, 8)
    assert found.lo == -1 and found.hi == pytest.approx(1 - 2 * 0.025 ** (1 / 8), abs=1e-6)
    # without discordant pairs: symmetric, and P(0 up, 0 down) = (1 - d)^n at the least nuisance: (1 - d)^8 <= .025
    nothing = paired_exact(0, 0, 8)
    assert nothing.lo == pytest.approx(-nothing.hi) and nothing.hi >= 1 - 0.025 ** (1 / 8) - 1e-6


@pytest.mark.parametrize("num", [4, 7])
def test_the_exact_interval_never_covers_less_than_it_says(num):
    ends = {(u, d): paired_exact(u, d, num) for u in range(num + 1) for d in range(num + 1 - u)}
    for p_up, p_down in product(np.linspace(0, 1, 9), repeat=2):
        if p_up + p_down <= 1:
            covered = sum(
                float(of_scipy.multinomial.pmf((u, d, num - u - d), num, (p_up, p_down, max(0.0, 1 - p_up - p_down))))
                for (u, d), end in ends.items()
                if end.lo - 1e-9 <= p_up - p_down <= end.hi + 1e-9
            )
            assert covered >= 0.95 - 1e-9


def test_the_exact_interval_holds_the_other_one_and_shrinks_with_units():
    for up, down, num in ((0, 8, 8), (1, 5, 8), (2, 2, 12)):
        wide, narrow = paired_exact(up, down, num), paired_newcombe(*table(0, up, down, num - up - down))
        assert wide.hi > narrow.hi - 0.02
    assert paired_exact(0, 13, 13).hi < -0.5 < paired_exact(0, 12, 12).hi


def test_hedges_g_against_its_parts():
    draws = np.random.default_rng(0).normal(0.4, 1.0, size=9)
    g, interval = paired_hedges_g(draws)
    # Hedges' approximation of J is within a thousandth of the exact one at 8 degrees of freedom
    plain = draws.mean() / draws.std(ddof=1)
    assert g == pytest.approx((1 - 3 / (4 * 8 - 1)) * plain, rel=2e-3)
    assert interval.lo < g < interval.hi


def test_the_interval_of_g_excludes_zero_exactly_where_the_t_test_rejects():
    rng = np.random.default_rng(1)
    for _ in range(40):
        draws = rng.normal(0.8, 1.0, size=8)
        interval = paired_hedges_g(draws)[1]
        assert (interval.lo > 0 or interval.hi < 0) == (of_scipy.ttest_1samp(draws, 0).pvalue < 0.05)


def test_the_interval_of_g_inverts_the_noncentral_t():
    draws = np.random.default_rng(0).normal(0.9, 1.0, size=7)
    correction = np.exp(gammaln(3.0) - gammaln(2.5)) / np.sqrt(3.0)
    t = of_scipy.ttest_1samp(draws, 0).statistic
    lo, hi = (end / correction * np.sqrt(7) for end in paired_hedges_g(draws)[1])
    assert of_scipy.nct.cdf(t, 6, lo) == pytest.approx(0.975, abs=1e-6)
    assert of_scipy.nct.cdf(t, 6, hi) == pytest.approx(0.025, abs=1e-6)


def test_a_huge_effect_has_an_interval_too():
    interval = paired_hedges_g(np.array([7.0, 7.1, 6.9, 7.0, 7.05, 6.95]))[1]
    assert 30 < interval.lo < 100 < interval.hi < 200


def test_the_interval_of_g_covers_the_true_effect():
    rng, hits = np.random.default_rng(2), 0
    for _ in range(200):
        interval = paired_hedges_g(rng.normal(1.0, 1.0, size=8))[1]
        correction = 1 - 3 / (4 * 7 - 1)
        hits += interval.lo <= correction <= interval.hi
    assert 180 <= hits <= 199


def test_equal_differences_have_no_effect_size():
    assert np.isnan(paired_hedges_g(np.full(8, 2.0))[0]) and np.isnan(paired_hedges_g(np.array([1.0, 2.0]))[0])


def test_equivalence_agrees_with_statsmodels():
    rng = np.random.default_rng(3)
    for shift in (0.0, 0.3, 1.5):
        first, second = rng.normal(shift, 1, size=12), rng.normal(size=12)
        expected = ttost_paired(first, second, -1.0, 0.8)[0]
        assert tost_paired(first - second, -1.0, 0.8) == pytest.approx(expected)


def test_equivalence_of_equal_differences_is_a_comparison():
    assert tost_paired(np.zeros(8), -1, 1) == 0 and tost_paired(np.full(8, 2.0), -1, 1) == 1
    assert tost_paired(np.full(8, 1.0), -1, 1) == 1
    assert np.isnan(tost_paired(np.zeros(1), -1, 1))


def test_one_outcome_gives_the_sign_flip_test():
    draws = np.random.default_rng(4).normal(0.5, 1, size=8)
    assert max_sign_flip(draws[None]).p_value == sign_flip(draws).p_value
    assert max_sign_flip(np.stack([draws, np.zeros(8), -3 * draws])).p_value == sign_flip(draws).p_value


def test_several_outcomes_against_brute_force():
    draws = np.random.default_rng(5).normal(0.4, 1, size=(3, 6))
    largest = []
    for signs in product((1, -1), repeat=6):
        flipped = draws * np.array(signs)
        largest.append(max(abs(row.sum()) / np.sqrt((row**2).sum()) for row in flipped))
    expected = np.mean(np.array(largest) >= largest[0] - 1e-9)
    assert max_sign_flip(draws).p_value == pytest.approx(expected)
    assert max_sign_flip(np.ones((3, 8))).p_value == 2 / 2**8 == max_sign_flip(draws[:, :1] * np.ones(8)).smallest_p


def test_several_outcomes_without_effect_reject_as_often_as_they_may():
    rng = np.random.default_rng(6)
    rejected = sum(max_sign_flip(rng.normal(size=(3, 8))).p_value <= 0.05 for _ in range(400))
    assert 8 <= rejected <= 32


def test_many_pairs_are_drawn():
    draws = np.random.default_rng(7).normal(0.3, 1, size=(1, 20))
    sampled = max_sign_flip(draws, rng=np.random.default_rng(8)).p_value
    assert sampled == pytest.approx(of_scipy.ttest_1samp(draws[0], 0).pvalue, abs=0.03)
    with pytest.raises(ValueError, match="pass rng"):
        max_sign_flip(draws)


def kaplan_meier_area(times, observed, horizon) -> float:
    """By definition, step by step."""
    area, share, last = 0.0, 1.0, 0.0
    for time in sorted(set(times)):
        area += share * (min(time, horizon) - min(last, horizon))
        at_risk = sum(t >= time for t in times)
        events = sum(t == time and seen for t, seen in zip(times, observed, strict=True))
        share, last = share * (1 - events / at_risk), time
    return area + share * max(0.0, horizon - last)


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=12), st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_the_restricted_mean_is_the_area_under_kaplan_meier(units, horizon):
    # whoever has no event is watched to the horizon at least
    times = np.array([float(t if seen else max(t, horizon)) for t, seen in units])
    observed = np.array([seen for _, seen in units])
    assert restricted_mean(times, observed, horizon) == pytest.approx(kaplan_meier_area(times, observed, horizon))


def test_the_restricted_mean_by_hand():
    # watched to 10: events at 2 and 4, two without: (2 + 4 + 10 + 10) / 4
    observed = np.array([True, True, False, False])
    assert restricted_mean(np.array([2.0, 4.0, 10.0, 10.0]), observed, 10) == pytest.approx(6.5)
    # one left at 3: the other two halve the curve at 4: 4 + 6 / 2
    assert restricted_mean(np.array([4.0, 3.0, 10.0]), np.array([True, False, False]), 10) == pytest.approx(7.0)
    assert np.isnan(restricted_mean(np.empty(0), np.empty(0, dtype=bool), 10))
    with pytest.raises(ValueError, match="less than the horizon of 10"):
        restricted_mean(np.array([2.0, 9.0]), np.array([True, False]), 10)


def test_the_log_rank_test_by_hand():
    # 1, 2 | 3, 4, all observed. At 1: 2 of 4 at risk, expected 1/2, variance 1/4; at 2: 1 of 3, 1/3, 2/9; then none.
    found = logrank((np.array([1.0, 2.0]), np.ones(2, bool)), (np.array([3.0, 4.0]), np.ones(2, bool)))
    assert found.statistic == pytest.approx((2 - 5 / 6) / np.sqrt(1 / 4 + 2 / 9))
    assert found.p_value == pytest.approx(2 * of_scipy.norm.sf(found.statistic))


def test_times_that_cannot_be_compared_give_no_p():
    nothing = np.array([5.0, 5.0]), np.zeros(2, bool)
    assert np.isnan(logrank(nothing, nothing).p_value)
    assert np.isnan(logrank((np.empty(0), np.empty(0, bool)), nothing).p_value)
    at_once = np.array([5.0, 5.0]), np.ones(2, bool)
    assert np.isnan(logrank(at_once, at_once).p_value)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: paired_newcombe(np.array([1.2]), np.array([0.0])), "between 0 and 1"),
        (lambda: paired_newcombe(np.zeros(2), np.zeros(3)), "equal number"),
        (lambda: paired_exact(3, 3, 5), "do not fit into 5"),
        (lambda: tost_paired(np.zeros(3), 0.0, 1.0), "both sides of 0"),
        (lambda: max_sign_flip(np.array([[np.nan, 1.0]])), "without nan"),
        (lambda: restricted_mean(np.array([-1.0]), np.array([True]), 3), "from 0 on"),
        (lambda: logrank((np.ones(2), np.ones(3, bool)), (np.ones(2), np.ones(2, bool))), "one flag a unit"),
    ],
)
def test_values_that_make_no_sense_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_no_units_give_no_interval():
    for interval in (paired_newcombe(np.empty(0), np.empty(0)), paired_exact(0, 0, 0)):
        assert np.isnan(interval).all()
    assert np.isnan(max_sign_flip(np.empty((2, 0))).p_value)
