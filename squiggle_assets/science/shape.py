"""How alike the constituents of a consensus event are: timing, shape of the movement, interval by seeds.

Here: windows, their similarity, coherence and weighted impact score with bootstrap over seeds. Not here: who is a
constituent (matching), rows (consensus).
Legend: S = seeds, N = captures, W = captures of a window.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science.stats import Interval, detrended_correlation, percentile_interval, resamples

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

RADIUS = 5
"""Captures on each side of the change."""
NUM_RESAMPLES = 1000


class Impact(NamedTuple):
    """Agreement and weighted impact of one consensus event; nan where a part cannot be computed."""

    support: float
    timing: float
    polarity_agreement: float
    shape_similarity: float
    coherence: float
    weighted: float
    """Weighted mean M' of the matched events times coherence."""
    intention: float
    """The same with M' = 0 and weight 1 for every seed without an event."""
    interval: Interval
    """Of weighted, by bootstrap over seeds."""
    step_interval: Interval
    """Of the median step, likewise."""


def window_at(levels_N: F64, increment: int) -> F64:
    """[W = 2 RADIUS] captures around the change from capture `increment` to the next; nan beyond the ends."""
    index = np.arange(increment - RADIUS + 1, increment + RADIUS + 1)
    inside = (index >= 0) & (index < len(levels_N))
    return np.where(inside, levels_N[np.clip(index, 0, len(levels_N) - 1)], np.nan)


def similarities(windows_SW: F64) -> F64:
    """[S, S] correlation of linearly detrended windows over the captures that both have.

    nan where fewer than 5 are shared, where a window is flat, and on the diagonal (a seed is no witness of itself).
    """
    num = len(windows_SW)
    found = np.full((num, num), np.nan)
    for a in range(num):
        for b in range(a + 1, num):
            both = np.isfinite(windows_SW[a]) & np.isfinite(windows_SW[b])
            if both.sum() >= 5:
                found[a, b] = found[b, a] = float(detrended_correlation(windows_SW[a, both], windows_SW[b, both]))
    return found


def impact(
    *,
    steps: F64,
    polarity: F64,
    magnitude: F64,
    weight: F64,
    windows_SW: F64,
    tau: float,
    rng: np.random.Generator,
) -> Impact:
    """Section 8 of the definitions: C = support * timing * polarity * shape, and M' weighted by structure times C.

    All arguments have one entry a seed of the arm, nan where the seed has no event (polarity: the event's own sign;
    weight: its structure modifier). timing = exp(-(sd / tau)^2 / 2) with the population sd. Novelty counts as 1.
    """
    similar = similarities(windows_SW)
    parts = _parts(np.arange(len(steps)), steps, polarity, magnitude, weight, similar, tau)
    draws = np.array(
        [
            _parts(index, steps, polarity, magnitude, weight, similar, tau)[[5, 7]]
            for index in resamples(len(steps), NUM_RESAMPLES, rng)
        ]
    )
    support, timing, agreement, shape, coherence, weighted, intention = map(float, parts[:7])
    return Impact(
        support=support,
        timing=timing,
        polarity_agreement=agreement,
        shape_similarity=shape,
        coherence=coherence,
        weighted=weighted,
        intention=intention,
        interval=percentile_interval(draws[:, 0]),
        step_interval=percentile_interval(draws[:, 1]),
    )


def _parts(
    index: I64, steps: F64, polarity: F64, magnitude: F64, weight: F64, similar: F64, tau: float
) -> NDArray[np.float64]:
    """support, timing, polarity, shape, coherence, weighted, intention, median step of the seeds in index."""
    there = index[np.isfinite(steps[index])]
    if not len(there):
        return np.full(8, np.nan)
    support = len(there) / len(index)
    timing = float(np.exp(-0.5 * (np.std(steps[there]) / tau) ** 2))
    agreement = abs(float(polarity[there].sum())) / len(there)
    pairs = similar[np.ix_(there, there)]
    known = pairs[np.isfinite(pairs)]
    shape = float(np.clip(known.mean(), 0.0, 1.0)) if len(known) else float("nan")
    coherence = support * timing * agreement * shape
    sized = there[np.isfinite(magnitude[there])]
    total = float((weight[sized] * magnitude[sized]).sum())
    mass = float(weight[sized].sum())
    weighted = total / mass * coherence if mass > 0 else float("nan")
    intention = total / (mass + len(index) - len(there)) * coherence if mass > 0 else float("nan")
    return np.array([support, timing, agreement, shape, coherence, weighted, intention, float(np.median(steps[there]))])
