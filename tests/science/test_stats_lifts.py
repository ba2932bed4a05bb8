"""Shrunken lifts and the lower bound of a rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import digamma
from scipy.stats import chi2, gamma

from squiggle_assets.science.stats import lift_variance, poisson_lower, shrunken_lifts


def test_lift_by_hand():
    # prior Gamma(2, 2), 4 seen where 1 was expected: posterior Gamma(6, 3)
    found = shrunken_lifts(np.array([4]), np.array([1.0]), 0.5)
    assert found.log_lift[0] == pytest.approx(digamma(6) - np.log(3))
    assert np.exp(found.lower[0]) == pytest.approx(gamma.ppf(0.05, 6, scale=1 / 3))


def test_the_variance_of_lifts_is_recovered():
    rng = np.random.default_rng(1)
    expected = rng.uniform(0.5, 3, 20_000)
    counts = rng.poisson(expected * rng.gamma(4, 0.25, 20_000))
    assert lift_variance(counts, expected) == pytest.approx(0.25, abs=0.02)


def test_counts_without_true_lifts_shrink_to_almost_nothing():
    rng = np.random.default_rng(2)
    expected = np.full(2000, 0.5)
    counts = rng.poisson(expected)
    lifts = shrunken_lifts(counts, expected, lift_variance(counts, expected))
    assert np.abs(lifts.log_lift).max() < 0.5 < np.log((counts.max() + 0.5) / 1.0)


def test_more_evidence_for_the_same_lift_has_the_higher_lower_bound():
    found = shrunken_lifts(np.array([2, 20]), np.array([0.5, 5.0]), 1.0)
    assert found.lower[0] < found.lower[1] < np.log(4)


def test_lower_bound_of_a_rate_is_that_of_garwood():
    np.testing.assert_allclose(poisson_lower(np.array([0, 1, 7])), [0, *(chi2.ppf(0.05, 2 * np.array([1, 7])) / 2)])


def test_negative_counts_are_refused():
    with pytest.raises(ValueError, match="negative"):
        shrunken_lifts(np.array([-1]), np.array([1.0]), 1.0)
