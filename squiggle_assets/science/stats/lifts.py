"""How far counts lie above what was expected: shrunken lifts, and bounds of a single one.

Here: Gamma-Poisson (empirical Bayes) lifts with a lower bound, the exact lower bound of a rate. Not here: p-values
(binomial_sums).
Legend: N = counts judged together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

LEAST_VARIANCE = 0.01
"""Of the prior of a lift, where the counts vary no more than chance has them: then all lifts shrink to about 1."""


class Lifts(NamedTuple):
    """Natural logarithms of lifts, shrunk towards 0."""

    log_lift: F64
    """[N] posterior mean of the log lift."""
    lower: F64
    """[N] quantile of its posterior at the wanted level."""


def lift_variance(count_N: I64, expected_N: F64) -> float:
    """Variance of the true lifts about 1 by moments: sum((c - mu)² - mu) / sum(mu²), at least LEAST_VARIANCE.

    Under c ~ Poisson(mu λ), E λ = 1, the mean of (c - mu)² is mu + mu² Var λ.
    """
    size = float((expected_N**2).sum())
    if not size > 0:
        return LEAST_VARIANCE
    return max(LEAST_VARIANCE, float(((count_N - expected_N) ** 2 - expected_N).sum()) / size)


def shrunken_lifts(count: I64, expected: F64, variance: float | F64, level: float = 0.05) -> Lifts:
    """Lifts under a Gamma prior of mean 1 and this variance (lift_variance of all counts), which may be one a count.

    Posterior: Gamma(1 / variance + c, rate 1 / variance + mu). The prior's mean is 1, not fitted: expectations come
    from a known sampler, and the counts of a window add up to what was drawn in it. Conjugate Gamma-Poisson as in
    DuMouchel 1999, with one component.

    Raises:
        ValueError: a negative count or expectation, a variance that is not positive.
    """
    from scipy.special import digamma, gammaincinv

    if (count < 0).any() or (expected < 0).any() or not np.all(np.asarray(variance) > 0):
        raise ValueError("counts and expectations must not be negative and the variance must be positive")
    prior = 1 / np.asarray(variance, dtype=np.float64)
    shape, rate = prior + count, prior + expected
    return Lifts(digamma(shape) - np.log(rate), np.log(gammaincinv(shape, level)) - np.log(rate))


def poisson_lower(count: I64 | int, level: float = 0.05) -> F64:
    """Exact one-sided lower bound of a Poisson mean (Garwood 1936): 0 for a count of 0.

    For a sum of Bernoulli draws it is conservative: their sum varies less than a Poisson count.
    """
    from scipy.special import gammaincinv

    number = np.asarray(count, dtype=np.float64)
    return np.where(number > 0, gammaincinv(np.maximum(number, 1.0), level), 0.0)
