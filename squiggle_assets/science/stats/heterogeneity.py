"""Do several estimates of one effect agree: Cochran's Q, I², and an exact p for lifts of small counts.

Here: heterogeneity over groups. Not here: lifts of one group (lifts), what the groups are (mode_heterogeneity).
Legend: K = effects, M = groups, R = ways to split a total.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MAX_SPLITS = 1_000_000
"""Ways to split a total over groups that are listed; above that `split_p` refuses."""


def cochran_q(effect_KM: F64, variance_KM: F64) -> F64:
    """[K] sum over groups of (effect - weighted mean)² / variance (Cochran 1954); nan where an entry is nan.

    ValueError on a variance that is not positive.
    """
    if (variance_KM <= 0).any():
        raise ValueError(f"variances must be positive, got {variance_KM.min()}")
    weight_KM = 1 / variance_KM
    mean_K = (weight_KM * effect_KM).sum(axis=-1) / weight_KM.sum(axis=-1)
    return np.asarray((weight_KM * (effect_KM - mean_K[..., None]) ** 2).sum(axis=-1))


def i_squared(q: float, num_groups: int) -> float:
    """Share of the variation that is more than chance: max(0, 1 - (groups - 1) / Q), 0 for Q = 0 (Higgins 2002).

    nan with fewer than 2 groups.
    """
    if num_groups < 2 or np.isnan(q):
        return float("nan")
    return max(0.0, 1 - (num_groups - 1) / q) if q > 0 else 0.0


def log_lifts(count_KM: I64, expected_KM: F64) -> tuple[F64, F64]:
    """Natural log of (count + .5) / (expected + .5), and its variance 1 / (count + .5), for Poisson counts."""
    count = np.asarray(count_KM, dtype=np.float64)
    return np.log((count + 0.5) / (expected_KM + 0.5)), 1 / (count + 0.5)


def lift_q(count_KM: I64, expected_KM: F64) -> F64:
    """[K] Cochran's Q of log lifts."""
    return cochran_q(*log_lifts(count_KM, expected_KM))


def split_p(count_M: I64, expected_M: F64) -> float:
    """Exact p of the Q of log lifts, given the total count: where lifts are equal, the split is multinomial.

    Given their sum, Poisson counts with one lift are multinomial with the expectations' shares; p is the chance of
    all splits whose Q is at least the observed one. Counts of a sum of Bernoulli draws vary less than Poisson ones, and
    groups that share draws less than independent ones: in both cases p errs to the safe side. nan with fewer than 2
    groups; 1 for a total of 0.

    Raises:
        ValueError: an expectation that is not positive, more than MAX_SPLITS splits.
    """
    from scipy.special import gammaln, xlogy

    num_groups, total = len(count_M), int(count_M.sum())
    if num_groups < 2:
        return float("nan")
    if (expected_M <= 0).any():
        raise ValueError(f"expectations must be positive, got {expected_M}")
    if comb(total + num_groups - 1, num_groups - 1) > MAX_SPLITS:
        raise ValueError(f"{total} counts over {num_groups} groups are too many splits to list (at most {MAX_SPLITS})")
    split_RM = _splits(total, num_groups)
    logs_R = gammaln(total + 1) - gammaln(split_RM + 1).sum(axis=1)
    logs_R = logs_R + xlogy(split_RM, expected_M / expected_M.sum()).sum(axis=1)
    q_R = lift_q(split_RM, np.broadcast_to(expected_M, split_RM.shape))
    observed = float(lift_q(count_M[None], expected_M[None])[0])
    return float(min(1.0, np.exp(logs_R)[q_R >= observed - 1e-9].sum()))


def _splits(total: int, num_groups: int) -> I64:
    """[R, M] every way to split a total over groups."""
    splits = np.arange(total + 1)[:, None]
    for _ in range(num_groups - 2):
        left = total - splits.sum(axis=1)
        more = np.concatenate([np.arange(size + 1) for size in left])
        splits = np.column_stack([np.repeat(splits, left + 1, axis=0), more])
    return np.column_stack([splits, total - splits.sum(axis=1)]).astype(np.int64)
