"""Upper tails of sums of binomials."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from squiggle_assets.science.stats import binomial_sum_tail, pooled_binomial_tail


def convolved(count: int, trials, shares) -> float:
    total = np.ones(1)
    for num, share in zip(trials, shares, strict=True):
        total = np.convolve(total, binom.pmf(np.arange(num + 1), num, share))
    return float(total[count:].sum())


def test_tail_by_hand():
    # one trial of .5 and one of .2: none .4, both .1, so P(X >= 1) = .6 and P(X >= 2) = .1
    trials, shares = np.ones((4, 2), dtype=int), np.tile([0.5, 0.2], (4, 1))
    np.testing.assert_allclose(binomial_sum_tail(np.arange(4), trials, shares), [1, 0.6, 0.1, 0], atol=1e-15)


shares_of = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
groups = st.lists(st.tuples(st.integers(0, 12), shares_of), min_size=1, max_size=6)


@given(groups, st.integers(0, 30))
@settings(max_examples=50, deadline=None)
def test_tail_agrees_with_convolving_the_groups(parts, count):
    trials, shares = np.array([[n for n, _ in parts]]), np.array([[q for _, q in parts]])
    found = binomial_sum_tail(np.array([count]), trials, shares)[0]
    assert found == pytest.approx(convolved(count, trials[0], shares[0]), rel=1e-9, abs=1e-13)


def test_large_counts_do_not_overflow():
    # 1,600 trials of which 1,200 are wanted: the binomial coefficient alone exceeds the largest float
    found = binomial_sum_tail(np.array([1200]), np.array([[800, 800]]), np.full((1, 2), 0.74))
    assert found[0] == pytest.approx(binom.sf(1199, 1600, 0.74), rel=1e-9)


def test_rows_do_not_depend_on_each_other():
    rng = np.random.default_rng(0)
    count, trials, shares = rng.integers(0, 9, 50), rng.integers(0, 7, (50, 4)), rng.random((50, 4)) ** 3
    whole = binomial_sum_tail(count, trials, shares)
    alone = [binomial_sum_tail(count[i : i + 1], trials[i : i + 1], shares[i : i + 1])[0] for i in range(50)]
    np.testing.assert_allclose(whole, alone, rtol=1e-12)


def test_tiny_tails_keep_their_precision():
    # all 40 of 40 trials with share 1e-5: 1e-200
    found = binomial_sum_tail(np.array([40]), np.array([[20, 20]]), np.full((1, 2), 1e-5))
    assert found[0] == pytest.approx(1e-200, rel=1e-10)


@given(groups, st.integers(0, 30))
@settings(max_examples=50, deadline=None)
def test_pooled_tail_is_never_below_the_exact_one_from_a_trial_above_the_mean_on(parts, count):
    trials, shares = np.array([[n for n, _ in parts]]), np.array([[q for _, q in parts]])
    mean = float((trials * shares).sum())
    if count < mean + 1:
        return
    exact = binomial_sum_tail(np.array([count]), trials, shares)[0]
    assert pooled_binomial_tail(np.array(count), trials.sum(), np.array(mean)) >= exact - 1e-12


def test_pooled_tail_is_exact_where_shares_are_equal():
    found = pooled_binomial_tail(np.array([0, 3, 11]), np.array(10), np.array(2.0))
    np.testing.assert_allclose(found, [1, binom.sf(2, 10, 0.2), 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("count", "trials", "shares", "words"),
    [
        ([1], [[1, 2]], [[0.5]], "shapes"),
        ([-1], [[1]], [[0.5]], "negative"),
        ([1], [[1]], [[1.5]], "shares"),
    ],
)
def test_what_is_no_sum_of_binomials_is_refused(count, trials, shares, words):
    with pytest.raises(ValueError, match=words):
        binomial_sum_tail(np.array(count), np.array(trials), np.array(shares))
