"""Rank correlation, of one pair of samples or of many at once.

Here: Spearman's rho. Not here: Pearson's (robust), its intervals and tests (intervals, permutation).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science.stats.robust import correlation

F64 = NDArray[np.float64]


def spearman(first: F64, second: F64) -> F64:
    """Spearman's rank correlation along the last axis, ties at their mean rank, shapes broadcast (scipy's ranks).

    nan where one of the two does not vary, with fewer than 3 values, and where a value is nan. ValueError on unequal
    lengths.
    """
    from scipy.stats import rankdata

    if first.shape[-1] != second.shape[-1]:
        raise ValueError(f"samples of equal length are needed, got shapes {first.shape} and {second.shape}")
    known = ~(np.isnan(first).any(axis=-1) | np.isnan(second).any(axis=-1))
    if first.shape[-1] < 3:
        return np.full(np.shape(known), np.nan)
    found = correlation(rankdata(first, axis=-1), rankdata(second, axis=-1))
    return np.where(known, found, np.nan)
