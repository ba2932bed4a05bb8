"""The change of a probe series at an event of the representation, and what chance gives.

Here: one event against all probe series, as arrays. Not here: the series (probe_series), frames (probe_correlation).
Legend: S = seeds, Q = probe series, T = increments, L = lags, D = draws.

The statistic of an event and a probe is the mean over seeds of the standardised change (mean of up to 10 increments
after less that of up to 10 before), its absolute value at the best of lags 0 to 3: one statistic, drawn with its lags.
Where the seeds move together at any time, as a curriculum makes them, it is divided by how much (shared_size).
shift: each seed's event time moved round its segment of the run (curriculum phases, joined where they are short).
other_seeds: each seed gets the time of an event of another seed, in the same cell: moments at which events tend to lie,
but not this seed's. A turn counts only where both are exceeded.

Simulated (200 arms of 8 seeds and 100 increments each; noise white, following the learning rate, the loss or block
boundaries, events where noise is largest, shocks shared by all seeds): the larger p is at most .05 in 0 to 3.5 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science.probe_series import ProbeSeries
from squiggle_assets.science.stats import clipped_scale, permutation_p

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

WINDOW = 10
"""Increments on each side of an event."""
MIN_SIDE = 3
"""Fewer on one side give no mean to speak of: an event so near to an end is not tested."""
LAGS = (0, 1, 2, 3)
"""Captures after the event at which the change may begin."""
_CHUNK = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Tested:
    """One event against all probe series."""

    lag: I64
    """[Q] lag of the largest change, in captures."""
    change: F64
    """[Q] mean over seeds of the change at that lag, unit of the measure per capture interval."""
    statistic: F64
    """[Q]"""
    p_shift: F64
    """[Q]"""
    p_other_seeds: F64
    """[Q]; nan where the other seeds have too few events."""


def profile(values_SQT: F64) -> tuple[F64, F64]:
    """Change at every increment, [S, Q, T]: mean after less mean before; and how large noise makes it there, [T].

    The second is a factor: it makes of white noise of variance 1 a change of variance 1. Both are nan (0) where a side
    has fewer than MIN_SIDE increments. Increment t itself is the first of "after": the event's step is the first
    capture after the movement.
    """
    num = values_SQT.shape[-1]
    sums = np.concatenate([np.zeros((*values_SQT.shape[:-1], 1)), values_SQT.cumsum(axis=-1)], axis=-1)
    t = np.arange(num)
    lo, hi = np.maximum(0, t - WINDOW), np.minimum(num, t + WINDOW)
    before, after = t - lo, hi - t
    there = (before >= MIN_SIDE) & (after >= MIN_SIDE)
    num_before, num_after = np.maximum(before, 1), np.maximum(after, 1)
    change = (sums[..., hi] - sums[..., t]) / num_after - (sums[..., t] - sums[..., lo]) / num_before
    factor = np.where(there, 1 / np.sqrt(1 / num_after + 1 / num_before), 0.0)
    return np.where(there, change, np.nan), factor


def eligible(num_increments: int) -> range:
    """Increments at which an event can be tested at every lag."""
    return range(MIN_SIDE, num_increments - MIN_SIDE - max(LAGS) + 1)


def event_test(
    series: ProbeSeries,
    times_S: I64,
    segment: tuple[int, int],
    pools: Sequence[I64] | None,
    *,
    num_draws: int,
    draws: np.random.Generator,
) -> Tested:
    """One event against all probe series.

    Args:
        series: of all seeds.
        times_S: increment at which each seed has the event, each in eligible().
        segment: half-open range of increments in which times are moved.
        pools: per seed the increments at which other seeds have events, each in eligible(); None without enough.
        num_draws: of each null.
        draws: the generator.
    """
    where = eligible(len(series.steps))
    lo, hi = max(segment[0], where.start), min(segment[1], where.stop)
    change, factor = profile(series.z)
    scaled = np.nan_to_num(change * factor)
    lagged = _lagged(scaled)
    seeds = np.arange(len(times_S))
    observed_QL = np.abs(lagged[seeds, times_S].mean(axis=0))
    lag_Q = observed_QL.argmax(axis=1)
    statistic = observed_QL.max(axis=1) / shared_size(scaled[..., where.start : where.stop])
    moved = lo + (times_S - lo + draws.integers(0, hi - lo, size=(num_draws, len(times_S)))) % (hi - lo)
    p_other = np.full(len(statistic), np.nan)
    if pools is not None:
        taken = np.stack([pool[draws.integers(0, len(pool), num_draws)] for pool in pools], axis=1)
        p_other = permutation_p(statistic - 1e-12, _drawn(lagged, taken))
    plain, _ = profile(series.rest)
    at_lag = times_S[:, None] + np.array(LAGS)[lag_Q]
    return Tested(
        lag=np.array(LAGS)[lag_Q],
        change=plain[seeds[:, None], np.arange(len(lag_Q)), at_lag].mean(axis=0),
        statistic=statistic,
        p_shift=permutation_p(statistic - 1e-12, _drawn(lagged, moved)),
        p_other_seeds=p_other,
    )


def shared_size(change_SQT: F64) -> F64:
    """[Q] how many times larger the seeds' mean change usually is than that of seeds that have nothing in common.

    At least 1. What all seeds share in time (a curriculum block moves its family in every seed) makes their mean large
    at any moment, the event's too; times that are drawn for each seed by itself do not meet it. The usual size is taken
    over all moments, large ones clipped: one event is a small part of it.
    """
    num_seeds = len(change_SQT)
    apart = [clipped_scale(np.abs(change_SQT[:, q]).ravel()) for q in range(change_SQT.shape[1])]
    together = [clipped_scale(np.abs(mean)) for mean in change_SQT.mean(axis=0)]
    ratios = [np.sqrt(num_seeds) * m / a if a > 0 else 1.0 for a, m in zip(apart, together, strict=True)]
    return np.asarray(np.maximum(1.0, np.array(ratios)))


def _lagged(change_SQT: F64) -> F64:
    """[S, T, Q, L] the change at each time for an event that lies a lag before it."""
    num = change_SQT.shape[-1]
    at = np.minimum(np.arange(num)[:, None] + np.array(LAGS), num - 1)
    return np.ascontiguousarray(change_SQT[:, :, at].transpose(0, 2, 1, 3))


def _drawn(lagged_STQL: F64, times_DS: I64) -> F64:
    """[D, Q] statistics of drawn times."""
    seeds = np.arange(len(lagged_STQL))
    parts = [
        np.abs(lagged_STQL[seeds, times_DS[start : start + _CHUNK]].mean(axis=1)).max(axis=-1)
        for start in range(0, len(times_DS), _CHUNK)
    ]
    return np.concatenate(parts)
