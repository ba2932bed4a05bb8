"""Similarity of every pair of seeds, with what turning one of them round a circle in time gives.

Here: trajectory correlation, neighbour coverage, region Jaccard, window IoU. Not here: consensus events (consensus).
Legend: K = series, E = most events of a series, D = turns, nan pads events.

Levels of two trending curves correlate whatever they are, and with enough events every event has a neighbour:
none of these numbers says anything without its null mean.

The p of a row is (1 + turns at least as alike) / (1 + turns), over different turns, none of them the observed place in
time. It asks one thing: are these two runs more alike at the same steps than at shifted ones? A schedule that both
share answers yes as well as data do (warm-up, decay and phases lie at the same steps in all seeds), and the start and
the end of a run become neighbours, so a small p is no evidence of common learning: the consensus test, which has
surrogates with the schedule in them, is. Rows share seeds and are not independent; they are not corrected and no claim
rests on them.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.cells import ArmSeries
from squiggle_assets.science.stats import detrended_correlation, permutation_p

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

RADIUS = 15
"""Steps within which events are neighbours and regions are the same."""
MIN_IOU = 0.2
"""Least intersection over union of two windows that match."""
NUM_TURNS = 50
"""Turns of a pair; with fewer captures every one there is."""
COLUMNS: dict[str, type[pl.DataType]] = {
    **{"seed_a": pl.Int64, "seed_b": pl.Int64, "measure": pl.String, "layer": pl.Int64, "metric": pl.String},
    **dict.fromkeys(("value", "null_mean", "p_value"), pl.Float64),
}


def invariance_of(series: ArmSeries, peaks_SKT: Bools, rng: np.random.Generator) -> pl.DataFrame:
    """All measures of all pairs of seeds: seed_a, seed_b, measure, layer, metric, value, null_mean, p_value.

    peaks [S, K, T] are the selected change points. null_mean and p_value: the second seed's increments (trajectories)
    or events turned by NUM_TURNS different random amounts of whole captures, the same for all series and pairs; null
    where the measure is not defined. A turn drawn twice would make p too small, hence different ones.
    """
    num = len(series.steps)
    turns = rng.permutation(np.arange(1, num))[:NUM_TURNS]
    position = [_padded(peaks, series) for peaks in peaks_SKT]
    rows = []
    for a, b in combinations(range(len(series.seeds)), 2):
        pair = {"seed_a": series.seeds[a], "seed_b": series.seeds[b]}
        rows += [{**pair, **row} for row in _trajectories(series, a, b, turns)]
        rows += [{**pair, **row} for row in _events(position[a], peaks_SKT[b], series, turns)]
    return pl.DataFrame(rows, schema=COLUMNS)


def _trajectories(series: ArmSeries, a: int, b: int, turns: NDArray[np.int64]) -> list[dict[str, Any]]:
    turned = (np.arange(len(series.steps)) - turns[:, None]) % len(series.steps)
    rows = []
    for k, (layer, metric) in enumerate(zip(series.layers, series.metrics, strict=True)):
        first, second = series.increments[a, k], series.increments[b, k]
        found = detrended_correlation(first, np.concatenate([second[None], second[turned]]))
        rows.append(
            {
                "measure": "trajectory_correlation",
                "layer": layer,
                "metric": metric,
                **_against_turns(found),
            }
        )
    return rows


def _padded(peaks_KT: Bools, series: ArmSeries) -> F64:
    """[K, E] steps of the events of each series, nan beyond."""
    most = max(1, int(peaks_KT.sum(axis=1).max(initial=0)))
    steps = np.sort(np.where(peaks_KT, series.steps, np.inf), axis=1)[:, :most]
    return np.where(np.isfinite(steps), steps, np.nan)


def _events(first_KE: F64, second_KT: Bools, series: ArmSeries, turns: NDArray[np.int64]) -> list[dict[str, Any]]:
    num = len(series.steps)
    turned = [second_KT, *(second_KT[:, (np.arange(num) - turn) % num] for turn in turns)]
    most = max(1, int(second_KT.sum(axis=1).max(initial=0)))
    second_DKE = np.full((len(turned), len(second_KT), most), np.nan)
    for d, peaks in enumerate(turned):
        own = _padded(peaks, series)
        second_DKE[d, :, : own.shape[1]] = own
    distance = np.abs(first_KE[None, :, :, None] - second_DKE[:, :, None, :])
    num_a = float(np.isfinite(first_KE).sum())
    num_b = np.isfinite(second_DKE).sum(axis=(1, 2)).astype(np.float64)
    near = np.where(np.isnan(distance), np.inf, distance) <= RADIUS
    covered = near.any(axis=3).sum(axis=(1, 2)) + near.any(axis=2).sum(axis=(1, 2))
    interval = float(np.median(np.diff(series.steps)))
    width = 3 * interval
    overlap = np.clip(width - distance, 0.0, None)
    apart = 1 - overlap / (2 * width - overlap)
    pairs = {
        "neighbour_coverage": _ratio(covered, num_a + num_b),
        "region_jaccard": _jaccard(matches(distance, RADIUS), num_a, num_b),
        "window_iou_jaccard": _jaccard(matches(apart, 1 - MIN_IOU), num_a, num_b),
    }
    return [{"measure": name, "layer": None, "metric": None, **_against_turns(found)} for name, found in pairs.items()]


def _ratio(part: NDArray[np.integer], whole: F64) -> F64:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)


def _jaccard(matched: NDArray[np.int64], num_a: float, num_b: F64) -> F64:
    return _ratio(matched, num_a + num_b - matched)


def _against_turns(found: F64) -> dict[str, float | None]:
    """The first value, observed, beside the others; equal but for rounding counts as equal."""
    value, drawn = float(found[0]), found[1:][~np.isnan(found[1:])]
    if np.isnan(value) or not len(drawn):
        return {"value": None if np.isnan(value) else value, "null_mean": None, "p_value": None}
    return {"value": value, "null_mean": float(drawn.mean()), "p_value": float(permutation_p(value - 1e-12, drawn))}


def matches(cost_DKAB: F64, limit: float) -> NDArray[np.int64]:
    """[D] number of greedy one-to-one matches with cost at most limit, cheapest first, within each series K.

    nan entries are no events.
    """
    cost = np.where(np.isnan(cost_DKAB), np.inf, cost_DKAB)
    num_draws, num_series, num_a, num_b = cost.shape
    flat = cost.reshape(num_draws * num_series, num_a, num_b).copy()
    rows = np.arange(len(flat))
    found = np.zeros(len(flat), dtype=np.int64)
    for _ in range(min(num_a, num_b)):
        at = flat.reshape(len(flat), -1).argmin(axis=1)
        a, b = at // num_b, at % num_b
        good = flat[rows, a, b] <= limit
        if not good.any():
            break
        found += good
        flat[rows[good], a[good], :] = np.inf
        flat[rows[good], :, b[good]] = np.inf
    return np.asarray(found.reshape(num_draws, num_series).sum(axis=1))
