"""Heterogeneity of lifts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from statsmodels.stats.meta_analysis import combine_effects

from squiggle_assets.science.stats.heterogeneity import cochran_q, i_squared, lift_q, log_lifts, split_p


def test_q_and_i2_by_hand():
    # weights 1, 1, 2: mean (0 + 2 + 6) / 4 = 2; Q = 4 + 0 + 2 * 1 = 6; I² = 1 - 2 / 6
    q = cochran_q(np.array([[0.0, 2.0, 3.0]]), np.array([[1.0, 1.0, 0.5]]))
    assert q[0] == pytest.approx(6.0)
    assert i_squared(q[0], 3) == pytest.approx(2 / 3)
    assert i_squared(1.0, 3) == 0.0


def test_split_p_by_hand():
    # 2 showings over two groups with equal expectations: splits 2-0, 1-1, 0-2 with chances 1/4, 1/2, 1/4
    assert split_p(np.array([2, 0]), np.array([1.0, 1.0])) == pytest.approx(0.5)
    assert split_p(np.array([1, 1]), np.array([1.0, 1.0])) == pytest.approx(1.0)
    assert split_p(np.array([0, 0, 0]), np.ones(3)) == 1.0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(0.05, 4)), min_size=2, max_size=5))
def test_q_is_that_of_statsmodels(values):
    effect, variance = map(np.array, zip(*values, strict=True))
    found = combine_effects(effect, variance)
    assert cochran_q(effect[None], variance[None])[0] == pytest.approx(found.q, abs=1e-9)
    assert i_squared(float(found.q), len(values)) == pytest.approx(max(0.0, found.i2) if found.q > 0 else 0, abs=1e-6)


@pytest.mark.parametrize("count", [[60, 80, 70], [50, 90, 70], [40, 95, 75]])
def test_the_exact_p_nears_that_of_chi_square_where_counts_are_large(count):
    count, expected = np.array(count), np.array([20.0, 20.0, 20.0])
    q = lift_q(count[None], expected[None])[0]
    assert split_p(count, expected) == pytest.approx(chi2.sf(q, 2), rel=0.15, abs=1e-4)


def test_counts_with_one_lift_are_called_different_no_more_often_than_the_level():
    draws, expected = np.random.default_rng(0), np.array([0.4, 1.1, 0.7])
    p = np.array([split_p(draws.poisson(4 * expected), expected) for _ in range(600)])
    assert (p <= 0.05).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)
    # and where one group has 17 times the lift of the others it is seen
    different = np.array([split_p(draws.poisson([12.0, 0.7, 0.7]), np.ones(3)) for _ in range(200)])
    assert (different <= 0.05).mean() > 0.8


def test_lifts_have_half_a_count_added():
    lift, variance = log_lifts(np.array([[1]]), np.array([[0.25]]))
    assert lift[0, 0] == pytest.approx(np.log(1.5 / 0.75))
    assert variance[0, 0] == pytest.approx(1 / 1.5)


def test_one_group_says_nothing_and_bad_input_is_refused():
    assert np.isnan(split_p(np.array([3]), np.array([1.0]))) and np.isnan(i_squared(3.0, 1))
    with pytest.raises(ValueError, match="positive"):
        split_p(np.array([1, 1]), np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="too many splits"):
        split_p(np.full(4, 100_000), np.ones(4))
    with pytest.raises(ValueError, match="positive"):
        cochran_q(np.zeros((1, 2)), np.zeros((1, 2)))
