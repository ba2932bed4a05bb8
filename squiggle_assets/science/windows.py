"""Medians and maxima of a series in windows around each of its points.

Here: centred windows that are cut at the ends of the series. Not here: trailing windows (dynamics).
Legend: S = series, T = points, W = 2 * radius + 1.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def windows_of(values_ST: F64, radius: int) -> F64:
    """The points within `radius` of each point, [S, T, W]; nan where the window reaches past an end."""
    if radius < 0:
        raise ValueError(f"the radius of a window must not be negative, got {radius}")
    padded = np.pad(values_ST, ((0, 0), (radius, radius)), constant_values=np.nan)
    return sliding_window_view(padded, 2 * radius + 1, axis=1)


def upper_median_of(windows: F64) -> F64:
    """sorted[n // 2] of the n values that are not nan, along the last axis; nan where there are none."""
    counts = np.count_nonzero(~np.isnan(windows), axis=-1)
    picked = np.take_along_axis(np.sort(windows, axis=-1), (counts // 2)[..., None] * (counts > 0)[..., None], axis=-1)
    return picked[..., 0]


def window_median(values_ST: F64, radius: int) -> F64:
    """Upper median of the window around each point, [S, T]."""
    return upper_median_of(windows_of(values_ST, radius))


def window_mad(values_ST: F64, radius: int) -> F64:
    """Unscaled median absolute deviation (upper medians) of the window around each point, [S, T]."""
    windows = windows_of(values_ST, radius)
    return upper_median_of(np.abs(windows - upper_median_of(windows)[..., None]))


def window_max(values_ST: F64, radius: int) -> F64:
    """Largest value of the window around each point, [S, T]."""
    largest_ST: F64 = np.nanmax(windows_of(values_ST, radius), axis=-1)
    return largest_ST
