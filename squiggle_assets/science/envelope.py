"""What the schedule alone makes of the increments: their drift and their size in time, shared by all seeds.

Here: scale of a series, drift and envelope over time, standardised increments and the way back.
Not here: draws (nulls) and what an increment is (cells).
Legend: S = seeds, K = series, T = increments, W = window.

The envelope is never estimated from a single moment, or a real event in every seed would explain itself away:
it is pooled over seeds, over the series of a metric group and over a running window; at captures near a
schedule boundary, where the size may change from one capture to the next, it is pooled over seeds and over
all boundaries of the same kind at the same offset instead. What happens in every seed at the only boundary
of its kind therefore counts as schedule: it cannot be told apart from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science.cells import ArmSeries, Schedule
from squiggle_assets.science.stats import clipped_scale, robust_scale

F64 = NDArray[np.float64]

DRIFT_WINDOW = 5
"""Captures on each side of the running window of the drift."""
SIZE_WINDOW = 8
"""The same for the envelope: wide enough that an event with its aftermath (some five captures) is a small part."""
CLEAR = 2.5
"""Standard errors that a drift or a boundary's size must stand out before it is believed."""
OFFSETS = range(-1, 4)
"""Captures after a boundary (0 = the first increment that ends after it) that may differ because of it."""


@dataclass(frozen=True, kw_only=True)
class Standardised:
    """increments = scale * (drift + envelope * z)."""

    scale: F64
    """[S, K] robust standard deviation of the increments of a series, units of the metric."""
    drift: F64
    """[K, T] movement common to all seeds that changes slowly or goes with a boundary, in scales."""
    envelope: F64
    """[K, T] size of what remains, in scales; the same for all series of a metric group."""
    z: F64
    """[S, K, T] what remains, in envelopes; 0 in a series that never moves."""


def standardise(series: ArmSeries) -> Standardised:
    """Scale, drift, envelope and standardised increments of one arm."""
    scale_SK = series_scale(series.increments)
    safe_SK = np.where(scale_SK > 0, scale_SK, 1.0)
    unit_SKT = series.increments / safe_SK[:, :, None]
    groups = [np.array(at) for at in _boundary_groups(series.steps, series.schedule)]
    drift_KT = _drift(unit_SKT, groups)
    rest_SKT = np.where(scale_SK[:, :, None] > 0, unit_SKT - drift_KT, 0.0)
    envelope_KT = np.ones_like(drift_KT)
    names = np.array(series.groups)
    for name in sorted(set(series.groups)):
        envelope_KT[names == name] = _envelope(rest_SKT[:, names == name], groups)
    return Standardised(scale=scale_SK, drift=drift_KT, envelope=envelope_KT, z=rest_SKT / envelope_KT)


def series_scale(increments: F64) -> F64:
    """1.4826 MAD along the last axis; where more than half of the increments are equal, 1.2533 mean deviation.

    The second factor makes the mean absolute deviation a standard deviation under normality, as 1.4826 does
    for the median one. 0 only for a series whose increments are all equal.
    """
    scale = robust_scale(increments)
    mean = 1.2533 * np.abs(increments - np.median(increments, axis=-1, keepdims=True)).mean(axis=-1)
    return np.where(scale > 0, scale, mean)


def _boundary_groups(steps_T: NDArray[np.int64], schedule: Schedule) -> Iterator[list[int]]:
    """Positions in T that share kind and offset of a boundary; of two boundaries the later one has it."""
    owner: dict[int, tuple[str, int]] = {}
    for boundary in schedule.boundaries:
        first = int(np.searchsorted(steps_T, boundary.step, side="right"))
        for offset in OFFSETS:
            if 0 <= first + offset < len(steps_T):
                owner[first + offset] = (boundary.kind, offset)
    for key in sorted(set(owner.values())):
        yield [at for at, own in owner.items() if own == key]


def _near(num: int, width: int, allowed_T: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """For each position, the 2 width + 1 allowed ones nearest to it (all positions where none is allowed)."""
    allowed = np.flatnonzero(allowed_T) if allowed_T.any() else np.arange(num)
    for t in range(num):
        yield t, allowed[np.argsort(np.abs(allowed - t), kind="stable")[: 2 * width + 1]]


def _common(unit_SKM: F64) -> F64:
    """[K] median over seeds and moments where it stands CLEAR standard errors from 0, else 0.

    An estimate that is noise would be put back into every surrogate as if all seeds had moved together.
    """
    flat_KM = np.moveaxis(unit_SKM, 1, 0).reshape(unit_SKM.shape[1], -1)
    median_K = np.median(flat_KM, axis=1)
    error_K = 1.2533 * robust_scale(flat_KM) / np.sqrt(flat_KM.shape[1])
    return np.where(np.abs(median_K) > CLEAR * error_K, median_K, 0.0)


def _drift(unit_SKT: F64, groups: list[NDArray[np.int64]]) -> F64:
    num = unit_SKT.shape[-1]
    drift_KT = np.empty(unit_SKT.shape[1:])
    for t, window in _near(num, DRIFT_WINDOW, np.ones(num, dtype=bool)):
        drift_KT[:, t] = _common(unit_SKT[:, :, window])
    for at in groups:
        drift_KT[:, at] += _common(unit_SKT[:, :, at] - drift_KT[:, at])[:, None]
    return drift_KT


def _envelope(rest_SKT: F64, groups: list[NDArray[np.int64]]) -> F64:
    """[T] size of the rest of one metric group; a boundary can raise it above its surroundings, never lower it."""
    num_seeds, _, num = rest_SKT.shape
    plain_T = np.ones(num, dtype=bool)
    for at in groups:
        plain_T[at] = False
    size_SKT = np.abs(rest_SKT)
    background_T = np.ones(num)
    for t, window in _near(num, SIZE_WINDOW, plain_T):
        background_T[t] = clipped_scale(size_SKT[:, :, window])
    background_T = np.where(background_T > 0, background_T, 1.0)
    envelope_T = background_T.copy()
    for at in groups:
        ratio = float(np.sqrt(np.mean((rest_SKT[:, :, at] / background_T[at]) ** 2)))
        error = 1 / np.sqrt(2 * num_seeds * len(at))
        if ratio > 1 + CLEAR * error:
            envelope_T[at] *= ratio
    return envelope_T
