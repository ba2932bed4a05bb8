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


def detrended(values: F64) -> F64:
    """The values less their own least-squares line over equally spaced points, along the last axis."""
    time = np.arange(values.shape[-1], dtype=np.float64) - (values.shape[-1] - 1) / 2
    centred = values - values.mean(axis=-1, keepdims=True)
    return np.asarray(centred - (centred @ time / (time @ time))[..., None] * time)


def correlation(first: F64, second: F64) -> F64:
    """Pearson correlation along the last axis, shapes broadcast; nan where one of the two does not vary.

    Variation below 1e-9 of the largest absolute value is rounding, not variation.
    """
    x, y = (values - values.mean(axis=-1, keepdims=True) for values in (first, second))
    size_x, size_y = np.sqrt((x**2).sum(axis=-1)), np.sqrt((y**2).sum(axis=-1))
    varies = (size_x > 1e-9 * np.abs(first).max(axis=-1)) & (size_y > 1e-9 * np.abs(second).max(axis=-1))
    product = (x * y).sum(axis=-1) / np.where(varies, size_x * size_y, 1.0)
    return np.where(varies, np.clip(product, -1.0, 1.0), np.nan)


def detrended_correlation(first: F64, second: F64) -> F64:
    """Correlation of the detrended values, along the last axis; nan with fewer than 4 points.

    Two straight lines correlate whatever they measure; what is left of them does not vary, so it gives nan.
    """
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(f"series of equal length are needed, got shapes {first.shape} and {second.shape}")
    shape = np.broadcast_shapes(first.shape[:-1], second.shape[:-1])
    if first.shape[-1] < 4:
        return np.full(shape, np.nan)
    rests = []
    for values in (first, second):
        rest = detrended(values)
        tiny = np.abs(rest).max(axis=-1, keepdims=True) <= 1e-9 * np.abs(values).max(axis=-1, keepdims=True)
        rests.append(np.where(tiny, 0.0, rest))
    return correlation(*rests)


def difference_correlation(first: F64, second: F64) -> F64:
    """Correlation of the detrended first differences of two series, along the last axis; nan below 5 points.

    Levels of two trending series correlate whatever they measure; differences without their own linear
    trend do not. ValueError on unequal lengths.
    """
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(f"series of equal length are needed, got shapes {first.shape} and {second.shape}")
    return detrended_correlation(np.diff(first), np.diff(second))


def clipped_scale(sizes: F64) -> float:
    """Standard deviation from absolute deviations: root mean square of them, clipped at 2 first estimates.

    The first estimate is 1.4826 times their median; the factor .9205 = E min(|x|, 2)^2 of a standard normal
    makes it consistent. About nine tenths of the precision of a standard deviation, and a value however wild
    counts as 2. 0 where most sizes are 0.
    """
    first = MAD_SIGMA * float(np.median(sizes))
    if not first > 0:
        return 0.0
    return first * float(np.sqrt(np.mean(np.minimum(sizes / first, 2.0) ** 2) / 0.9205))
