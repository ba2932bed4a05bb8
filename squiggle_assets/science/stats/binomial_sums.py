"""Upper tails of counts that add up over groups with shares of their own: exact, or pooled with a proven side.

Here: P(X >= count) for X = sum over groups of Binomial(trials, share), which is a Poisson-binomial with runs of equal
probabilities. Not here: what is counted (triggers), correction over a family (multiplicity).
Legend: R = rows (tests), G = groups (seeds), C = a count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def binomial_sum_tail(count_R: I64, trials_RG: I64, share_RG: F64) -> F64:
    """[R] exact P(X >= count), X a sum of independent Binomial(trials, share) over the groups.

    Rows are taken together by count C: a convolution over the groups with the states 0 .. C - 1 and "C or more". All
    terms are positive, so a tail of 1e-200 keeps its relative precision, as 1 - cdf would not. 1 for a count of 0,
    0 for a count above all trials. Cost: rows × groups × C².

    Raises:
        ValueError: shapes that do not fit, negative counts or trials, a share outside 0..1.
    """
    if trials_RG.ndim != 2 or trials_RG.shape != share_RG.shape or count_R.shape != trials_RG.shape[:1]:
        raise ValueError(
            f"got shapes {count_R.shape}, {trials_RG.shape} and {share_RG.shape}; (R,), (R, G), (R, G) fit"
        )
    if count_R.size and (count_R.min() < 0 or (trials_RG.size and trials_RG.min() < 0)):
        raise ValueError("counts and trials must not be negative")
    if not ((share_RG >= 0) & (share_RG <= 1)).all():
        raise ValueError(f"shares lie between 0 and 1, got {share_RG.min()} to {share_RG.max()}")
    tail = np.ones(len(count_R))
    for count in np.unique(count_R[count_R > 0]):
        rows = np.flatnonzero(count_R == count)
        tail[rows] = _tail_of(int(count), trials_RG[rows], share_RG[rows])
    return tail


def _tail_of(count: int, trials_RG: I64, share_RG: F64) -> F64:
    from scipy.special import xlog1py

    if count == 1:
        return np.asarray(-np.expm1(xlog1py(trials_RG, -share_RG).sum(axis=1)))
    below = np.zeros((len(trials_RG), count))
    below[:, 0] = 1.0
    above = np.zeros(len(trials_RG))
    for group in np.flatnonzero(trials_RG.any(axis=0)):
        exactly, at_least = _binomial(trials_RG[:, group], share_RG[:, group], count)
        above += (below * at_least[:, count:0:-1]).sum(axis=1)
        step = below * exactly[:, :1]
        for more in range(1, count):
            step[:, more:] += below[:, :-more] * exactly[:, more : more + 1]
        below = step
    return np.minimum(above, 1.0)


def _binomial(trials_R: I64, share_R: F64, most: int) -> tuple[F64, F64]:
    """[R, most + 1] P(X = k) and P(X >= k) for k = 0 .. most, X ~ Binomial(trials, share)."""
    from scipy.special import gammaln, xlog1py, xlogy

    trials, share = trials_R[:, None], share_R[:, None]
    k = np.arange(max(int(trials_R.max()), most) + 1)
    # gammaln is infinite where k > trials, so that the probability there is 0.
    ways = gammaln(trials + 1) - gammaln(k + 1) - gammaln(trials - k + 1)
    exactly = np.exp(ways + xlogy(k, share) + xlog1py(np.maximum(trials - k, 0), -share))
    at_least = np.cumsum(exactly[:, ::-1], axis=1)[:, ::-1]
    return exactly[:, : most + 1], at_least[:, : most + 1]


def pooled_binomial_tail(count: I64, trials: I64, mean: NDArray[np.floating]) -> F64:
    """P(X >= count) as if all trials had the one share mean / trials; shapes broadcast.

    Exact if they do. Otherwise never below the exact tail for count >= mean + 1 (Hoeffding 1956, theorem 5): unequal
    shares make a sum less variable. Closer to the mean it may fall below it, where neither is small but for a count
    of 1, and there by a factor of at least 1 - mean / 2. 1 for a count of 0, 0 for a count above the trials.
    """
    from scipy.special import betainc

    count, trials, mean = np.broadcast_arrays(count, trials, mean)
    inside = (count > 0) & (count <= trials)
    share = np.clip(mean / np.maximum(trials, 1), 0.0, 1.0)
    tail = betainc(np.where(inside, count, 1), np.where(inside, trials - count + 1, 1), share)
    return np.where(inside, tail, np.where(count > trials, 0.0, 1.0))
