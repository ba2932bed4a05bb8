"""Location, scale and correlation that one wild value or a shared trend cannot move.

Here: medians, scaled MADs, robust z, correlation of detrended differences. Not here: intervals, tests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

MAD_SIGMA = 1.4826
"""1 / the 75 % point of the standard normal: makes a MAD a standard deviation under normality."""


def robust_scale(values: F64, axis: int = -1) -> F64:
    """1.4826 * median |x - median x| along an axis, in units of the values; 0 if most values are equal.

    nan for no values and where a value is nan.
    """
    if values.shape[axis] == 0:
        return np.full(np.delete(values.shape, axis), np.nan)
    centre = np.median(values, axis=axis, keepdims=True)
    return np.asarray(MAD_SIGMA * np.median(np.abs(values - centre), axis=axis))


def robust_z(values: F64) -> F64:
    """(x - median) / (1.4826 MAD) of one sample; nan where the MAD is 0: no spread gives no score."""
    scale = float(robust_scale(values))
    if not scale > 0:
        return np.full(np.shape(values), np.nan)
    return np.asarray((values - np.median(values)) / scale)


def difference_correlation(first: F64, second: F64) -> float:
    """Pearson correlation of the linearly detrended first differences of two series of equal length.

    Levels of two trending series correlate whatever they measure; differences without their own linear
    trend do not. nan with fewer than 5 points or where one of them does not vary. ValueError on unequal lengths.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"two series of equal length are needed, got shapes {first.shape} and {second.shape}")
    if len(first) < 5:
        return float("nan")
    return pearson(_detrended(np.diff(first)), _detrended(np.diff(second)))


def pearson(first: F64, second: F64) -> float:
    """Pearson correlation of two samples of equal length; nan where one of them does not vary."""
    x, y = first - first.mean(), second - second.mean()
    spread = np.sqrt((x @ x) * (y @ y))
    flat = np.ptp(first) <= 1e-12 * np.abs(first).max() or np.ptp(second) <= 1e-12 * np.abs(second).max()
    return float("nan") if flat or spread == 0 else float(np.clip((x @ y) / spread, -1.0, 1.0))


def _detrended(values: F64) -> F64:
    time = np.arange(len(values), dtype=np.float64) - (len(values) - 1) / 2
    return np.asarray(values - values.mean() - time * (time @ values) / (time @ time))
