"""p-values by draws, correction, power, robust measures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from squiggle_assets.science.stats import (
    benjamini_hochberg,
    clipped_scale,
    detectable_paired,
    detrended_correlation,
    difference_correlation,
    max_statistic_p,
    permutation_p,
    robust_scale,
    robust_z,
    sign_flip,
    sign_flip_power,
    signs_of,
    smallest_corrected_p,
    smallest_effect,
    smallest_sign_flip_p,
)


def test_a_p_by_draws_is_never_zero():
    # nothing of 99 draws as large: (1 + 0) / (1 + 99)
    assert permutation_p(5.0, np.zeros(99)) == pytest.approx(0.01)


def test_a_draw_equal_to_the_observed_counts_as_extreme():
    # 2 of 4 draws >= 1: (1 + 2) / 5; <= 1: all 4; two-sided 2 * .6 capped at 1
    draws = np.array([0.0, 0.0, 1.0, 1.0])
    assert permutation_p(1.0, draws) == pytest.approx(0.6)
    assert permutation_p(1.0, draws, "less") == pytest.approx(1.0)
    assert permutation_p(1.0, draws, "two-sided") == pytest.approx(1.0)


def test_a_p_of_a_missing_value_is_missing():
    assert np.isnan(permutation_p(float("nan"), np.zeros(9)))


def test_p_by_draws_is_uniform_when_the_observed_is_one_of_them():
    values = np.random.default_rng(0).normal(size=(200, 40))
    p = permutation_p(values[:, 0], values[:, 1:].T)
    assert scipy_stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("direction", ["greater", "less", "two-sided"])
def test_sign_flip_agrees_with_scipy(direction):
    differences = np.array([0.9, -0.2, 1.4, 0.3, 0.8, -0.1, 0.5, 1.1])
    oracle = scipy_stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", alternative=direction, n_resamples=np.inf
    )
    assert sign_flip(differences, direction).p_value == pytest.approx(oracle.pvalue)


def test_three_seeds_can_never_be_significant_and_eight_can():
    # two-sided: 2 of 8 assignments, 2 of 256
    assert sign_flip(np.array([5.0, 6.0, 7.0])).p_value == 0.25 == smallest_sign_flip_p(3)
    assert sign_flip(np.arange(1.0, 9.0)).p_value == pytest.approx(2 / 256)
    assert smallest_corrected_p(smallest_sign_flip_p(8, "greater"), 5) == pytest.approx(5 / 256)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=8))
@settings(max_examples=40, deadline=None)
def test_sign_flip_is_never_below_its_smallest_p(values):
    result = sign_flip(np.array(values))
    assert result.smallest_p - 1e-12 <= result.p_value <= 1.0


def test_many_pairs_are_sampled_and_need_a_generator():
    differences = np.random.default_rng(0).normal(0.8, 1, size=20)
    exactish = scipy_stats.ttest_1samp(differences, 0).pvalue
    assert sign_flip(differences, rng=np.random.default_rng(1)).p_value == pytest.approx(exactish, abs=0.01)
    with pytest.raises(ValueError, match="20 pairs"):
        sign_flip(differences)


def test_all_signs_start_with_the_observed_and_are_all_different():
    signs = signs_of(4)
    assert (signs[0] == 1).all()
    assert len(np.unique(signs, axis=0)) == 16


def test_max_statistic_p_is_one_test_when_all_cells_are_the_same():
    draws = np.random.default_rng(0).normal(size=(199, 1))
    one = max_statistic_p(np.array([2.0]), draws)
    many = max_statistic_p(np.full(12, 2.0), np.repeat(draws, 12, axis=1))
    np.testing.assert_allclose(many, one[0])


def test_max_statistic_p_is_larger_than_the_single_p_when_cells_are_independent():
    draws = np.random.default_rng(0).normal(size=(999, 12))
    observed = np.array([2.5, *np.zeros(11)])
    assert max_statistic_p(observed, draws)[0] > 5 * permutation_p(2.5, draws[:, 0])


def test_max_statistic_p_does_not_depend_on_the_scale_of_a_cell():
    draws = np.random.default_rng(0).normal(size=(199, 3))
    observed, scale = np.array([2.0, 0.5, 1.0]), np.array([1.0, 100.0, 0.01])
    np.testing.assert_allclose(max_statistic_p(observed * scale, draws * scale), max_statistic_p(observed, draws))


def test_max_statistic_p_rejects_noise_as_often_as_alpha():
    values = np.random.default_rng(5).normal(size=(300, 100, 6))
    rejected = sum(max_statistic_p(each[0], each[1:]).min() < 0.05 for each in values)
    assert rejected <= 25  # 300 * .05 = 15, sd 3.8


def test_benjamini_hochberg_by_hand():
    # sorted .01 .02 .03 .5 of 4: .04 .04 .04 .5 (each min over larger ranks of p * 4 / rank)
    np.testing.assert_allclose(benjamini_hochberg(np.array([0.5, 0.01, 0.03, 0.02])), [0.5, 0.04, 0.04, 0.04])


def test_a_missing_p_is_no_test():
    q = benjamini_hochberg(np.array([0.01, np.nan, 0.04]))
    np.testing.assert_allclose(q, [0.02, np.nan, 0.04])


def test_q_agrees_with_scipy():
    p = np.random.default_rng(0).uniform(size=40) ** 2
    np.testing.assert_allclose(benjamini_hochberg(p), scipy_stats.false_discovery_control(p))


def test_detectable_difference_falls_with_seeds_and_matches_the_t_distribution():
    effect = detectable_paired(8, power=0.8)
    critical, shift = scipy_stats.t.ppf(0.975, 7), effect * np.sqrt(8)
    power = scipy_stats.nct.sf(critical, 7, shift) + scipy_stats.nct.cdf(-critical, 7, shift)
    assert power == pytest.approx(0.8, abs=1e-4)
    assert detectable_paired(4) > detectable_paired(8) > detectable_paired(16)
    assert np.isnan(detectable_paired(1))


def test_sign_flip_has_no_power_with_three_seeds_whatever_the_effect():
    rng = np.random.default_rng(0)
    assert sign_flip_power(50.0, 3, rng) == 0.0
    assert sign_flip_power(2.0, 8, rng) > 0.9
    assert sign_flip_power(0.0, 8, rng) < 0.1


def test_smallest_effect_lies_where_the_power_crosses():
    # power .4 at 1 and .8 at 2: .6 is half way
    assert smallest_effect(lambda size: 0.4 * size, np.array([1.0, 2.0]), 0.6) == pytest.approx(1.5)
    assert np.isnan(smallest_effect(lambda size: 0.1, np.array([1.0, 2.0]), 0.6))


def test_robust_scale_by_hand_and_for_a_normal_sample():
    # 1, 2, 3, 4, 100: median 3, deviations 2 1 0 1 97, median 1
    assert robust_scale(np.array([1.0, 2.0, 3.0, 4.0, 100.0])) == pytest.approx(1.4826)
    assert robust_scale(np.random.default_rng(0).normal(0, 3, size=20_000)) == pytest.approx(3.0, rel=0.03)
    oracle = scipy_stats.median_abs_deviation(np.arange(7.0), scale="normal")
    assert robust_scale(np.arange(7.0)) == pytest.approx(oracle, rel=1e-4)


def test_robust_z_of_a_flat_sample_is_no_score():
    assert np.isnan(robust_z(np.array([2.0, 2.0, 2.0, 9.0]))).all()
    assert robust_z(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))[4] == pytest.approx(97 / 1.4826)


def test_clipped_scale_is_a_standard_deviation_that_one_wild_value_cannot_move():
    sizes = np.abs(np.random.default_rng(0).normal(0, 2, size=20_000))
    assert clipped_scale(sizes) == pytest.approx(2.0, rel=0.02)
    wild = np.array([*sizes[:99], 1e9])
    assert clipped_scale(wild) == pytest.approx(clipped_scale(sizes[:99]), rel=0.1)
    assert clipped_scale(np.zeros(5)) == 0.0


def test_two_trends_correlate_in_level_but_not_in_detrended_differences():
    draws = np.random.default_rng(0)
    first, second = (np.cumsum(1 + 0.3 * draws.normal(size=200)) for _ in range(2))
    assert np.corrcoef(first, second)[0, 1] > 0.99
    assert abs(difference_correlation(first, second)) < 0.2


def test_detrended_correlation_agrees_with_scipy():
    from scipy.signal import detrend

    values = np.random.default_rng(0).normal(size=(2, 30)).cumsum(axis=1)
    oracle = scipy_stats.pearsonr(*(detrend(each) for each in values)).statistic
    assert detrended_correlation(values[0], values[1]) == pytest.approx(oracle)


def test_what_does_not_vary_correlates_with_nothing():
    line = np.arange(20.0)
    assert np.isnan(detrended_correlation(line, np.random.default_rng(0).normal(size=20)))
    assert np.isnan(difference_correlation(line[:3], line[:3]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: permutation_p(1.0, np.empty(0)), "got none"),
        (lambda: signs_of(17), "17"),
        (lambda: sign_flip(np.array([1.0, np.nan])), "nan"),
        (lambda: benjamini_hochberg(np.array([1.2])), "1.2"),
        (lambda: smallest_corrected_p(0.1, 0), "got 0"),
        (lambda: detectable_paired(8, power=1.0), "1.0"),
        (lambda: smallest_effect(lambda size: size, np.array([2.0, 1.0])), "increase"),
        (lambda: difference_correlation(np.ones(3), np.ones(4)), "3"),
    ],
)
def test_bad_input_is_refused_with_the_value(call, words):
    with pytest.raises(ValueError, match=words):
        call()
