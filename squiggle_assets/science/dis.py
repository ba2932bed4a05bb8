"""Dynamics impact score of an event, its factors apart: magnitude, structure modifier, score.

Here: the formulas on arrays. Not here: what an event is compared with (baselines), coherence across seeds
(consensus). The score is for ranking; nothing may be thresholded on the product.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

Z_CAP = 6.0
"""Robust z above which more size adds no magnitude."""
DAMPING = 0.7
"""Decay of the structure modifier per unit of volatility in excess of the baseline's."""


def robust_z(value: F64, median: F64, sigma: F64) -> F64:
    """(value - median) / sigma, signed; nan where there is no baseline or it does not vary."""
    usable = np.isfinite(sigma) & (sigma > 0)
    return np.where(usable, (value - median) / np.where(usable, sigma, 1.0), np.nan)


def metric_z(size: F64, median: F64, sigma: F64) -> F64:
    """robust_z of a size, clipped to 0..6; nan stays nan.

    Departure: the earlier rule divided by an unscaled MAD + 1e-8; here the sigma is 1.4826 * MAD and a
    baseline without spread gives no z instead of the largest one.
    """
    return np.clip(robust_z(size, median, sigma), 0.0, Z_CAP)


def magnitude(z: F64) -> F64:
    """Sigmoid of the metric z: .5 for a typical size, .9975 at the cap."""
    return 1.0 / (1.0 + np.exp(-z))


def structure_modifier(volatility_ratio: F64) -> F64:
    """exp(-.7 * max(0, ratio - 1)): less for an event in a stretch that moves all the time; 1 where ratio is nan."""
    return np.where(np.isnan(volatility_ratio), 1.0, np.exp(-DAMPING * np.maximum(0.0, volatility_ratio - 1.0)))


def centred(magnitude_eff: F64) -> F64:
    """M' = 2 * magnitude_eff - 1: 0 for a typical size, below 0 where volatility damps it."""
    return 2.0 * magnitude_eff - 1.0


def score(magnitude_eff: F64, coherence: float = 1.0, novelty: float = 1.0) -> F64:
    """Product of the components, clipped to 0..1.

    Departure: the earlier score was raised to |local z| / 3 where that was larger, and so left 0..1.
    """
    return np.clip(magnitude_eff * coherence * novelty, 0.0, 1.0)
