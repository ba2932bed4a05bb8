"""Correction over a family of tests. Not here: the p-values (permutation)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def benjamini_hochberg(p_values: F64) -> F64:
    """BH-adjusted p-values (q) of one family, in the given order; nan stays nan and is not a test.

    ValueError on a p outside 0..1.
    """
    from statsmodels.stats.multitest import multipletests

    p = np.asarray(p_values, dtype=np.float64)
    known = ~np.isnan(p)
    if ((p[known] < 0) | (p[known] > 1)).any():
        raise ValueError(f"p-values lie between 0 and 1, got {p_values}")
    q = np.full(p.shape, np.nan)
    if known.any():
        q[known] = multipletests(p[known], method="fdr_bh")[1]
    return q
