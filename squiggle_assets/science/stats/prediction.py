"""Whether one value is another draw of a small sample.

Here: the p of a single new observation, how far off it has to be for a p. Not here: tests of a mean (permutation,
paired), intervals (intervals).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def prediction_p(value: float, sample_N: NDArray[np.float64]) -> float:
    """One-sided p that a value is one more draw of the sample's normal distribution: how often a draw is as large.

    Upper tail of Student's t with N - 1 degrees of freedom at (value - mean) / (sd sqrt(1 + 1 / N)) (Geisser 1993,
    section 2.2: the prediction interval of a normal sample). Never 0. nan with fewer than 2 draws, without any spread
    among them (no spread gives no scale) and on any nan.
    """
    from scipy.special import stdtr

    sample = np.asarray(sample_N, dtype=np.float64)
    num = len(sample)
    spread = float(np.std(sample, ddof=1)) if num > 1 else 0.0
    if not spread > 1e-12 * float(np.abs(sample).max(initial=0.0)):
        return math.nan
    return float(stdtr(num - 1, -(value - sample.mean()) / (spread * np.sqrt(1 + 1 / num))))


def prediction_spreads(p_value: float, num: int) -> float:
    """Standard deviations of a sample of num draws above its mean at which prediction_p is p_value: its inverse.

    nan with fewer than 2 draws. ValueError unless 0 < p_value < 1.
    """
    from scipy.special import stdtrit

    if not 0 < p_value < 1:
        raise ValueError(f"a p that can be reached lies between 0 and 1, got {p_value}")
    if num < 2:
        return math.nan
    return float(-stdtrit(num - 1, p_value) * np.sqrt(1 + 1 / num))
