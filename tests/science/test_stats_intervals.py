"""Intervals against closed forms and other people's code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from squiggle_assets.science.stats import (
    bootstrap,
    clopper_pearson,
    interval_around,
    jackknife_error,
    newcombe,
    percentile_interval,
    t_interval,
    wilson,
    without_one,
)


def test_wilson_of_no_success_in_ten_is_z_squared_over_n_plus_z_squared():
    # p = 0: lower end 0, upper end z^2 / (n + z^2) with z = 1.959964: 3.841459 / 13.841459
    assert wilson(0, 10) == pytest.approx((0.0, 3.841459 / 13.841459), abs=1e-6)


def test_clopper_pearson_of_no_success_is_one_minus_root_of_half_alpha():
    # P(0 of n | p) = (1 - p)^n = .025
    assert clopper_pearson(0, 8) == pytest.approx((0.0, 1 - 0.025 ** (1 / 8)), abs=1e-9)


@pytest.mark.parametrize(("successes", "trials"), [(1, 8), (5, 8), (16, 200), (8, 8)])
def test_share_intervals_agree_with_scipy(successes, trials):
    oracle = scipy_stats.binomtest(successes, trials)
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        theirs = oracle.proportion_ci(method=method)
        assert ours(successes, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_newcombe_gives_the_published_interval():
    # Newcombe 1998, table II row a: 56/70 - 48/80, method 10: .0524 to .3339
    assert newcombe((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_eight_of_eight_against_none_of_eight_is_clear_of_one_half():
    # the label "kills" needs a risk difference whose interval lies beyond one half; 3 of 3 cannot reach it
    assert newcombe((8, 8), (0, 8)).lo > 0.5
    assert newcombe((3, 3), (0, 3)).lo < 0.5


def test_t_interval_agrees_with_scipy():
    values = np.array([0.3, 1.2, -0.4, 2.2, 0.9])
    oracle = scipy_stats.t.interval(0.95, 4, values.mean(), values.std(ddof=1) / np.sqrt(5))
    assert t_interval(values) == pytest.approx(oracle)


@given(st.floats(-5, 5), st.floats(0.1, 10))
@settings(max_examples=30, deadline=None)
def test_t_interval_follows_a_change_of_units(shift, scale):
    values = np.array([0.3, 1.2, -0.4, 2.2, 0.9])
    lo, hi = t_interval(values)
    assert t_interval(values * scale + shift) == pytest.approx((lo * scale + shift, hi * scale + shift))


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_agrees_with_scipy(method):
    values = np.random.default_rng(3).exponential(size=40)
    ours = bootstrap(values, np.mean, np.random.default_rng(0), num_draws=8000, method=method)
    result = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=8000, method="BCa" if method == "bca" else method, rng=np.random.default_rng(1)
    )
    theirs = result.confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_the_same_seed_gives_the_same_bootstrap_and_another_does_not():
    values = np.random.default_rng(3).normal(size=12)
    first, second, other = (bootstrap(values, np.mean, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first == second
    assert first != other


def test_jackknife_error_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).normal(size=8)
    left_out = np.array([values[list(kept)].mean() for kept in without_one(8)])
    error = jackknife_error(left_out)
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(8))
    assert interval_around(values.mean(), error, 7) == pytest.approx(t_interval(values))


def test_a_statistic_whose_level_falls_with_the_number_of_seeds_is_not_read_as_spread():
    assert jackknife_error(np.full(8, 3.0)) == 0.0


def test_an_event_that_hangs_on_each_of_six_of_eight_seeds():
    # it is lost in 6 of 8 groups: variance 7/8 * (6 * .25^2 + 2 * .75^2) = 1.3125
    assert jackknife_error(np.array([0, 0, 0, 0, 0, 0, 1, 1.0])) == pytest.approx(1.3125**0.5)


@pytest.mark.parametrize(
    "interval",
    [
        wilson(0, 0),
        clopper_pearson(0, 0),
        newcombe((0, 0), (1, 2)),
        t_interval(np.array([1.0])),
        t_interval(np.array([1.0, np.nan])),
        bootstrap(np.array([1.0, 2.0]), np.mean, np.random.default_rng(0)),
        percentile_interval(np.array([np.nan])),
        interval_around(1.0, jackknife_error(np.array([1.0, 2.0])), 1),
    ],
)
def test_an_interval_that_cannot_be_computed_is_nan_and_never_zero(interval):
    assert np.isnan(interval.lo) and np.isnan(interval.hi)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: wilson(3, 2), "3 of 2"),
        (lambda: clopper_pearson(-1, 2), "-1 of 2"),
        (lambda: t_interval(np.ones(3), level=1.0), "1.0"),
        (lambda: bootstrap(np.ones(5), np.mean, np.random.default_rng(0), method="magic"), "magic"),
    ],
)
def test_bad_input_is_refused_with_the_value(call, words):
    with pytest.raises(ValueError, match=words):
        call()
