"""Consensus events of one arm: which moments the seeds share, how alike they are, and what chance gives.

Here: from geometry and events of all seeds of an arm to the rows of consensus_events, null_draws and invariance.
Not here: the description of one event (moments), matching, nulls, envelope, comparison of arms (outcomes).
Legend: S = seeds, K = series, T = increments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science import rng
from squiggle_assets.science.canonical import short_hash
from squiggle_assets.science.cells import ArmSeries, Cell, Schedule, arm_series
from squiggle_assets.science.detection import detect_peaks
from squiggle_assets.science.events import parameters_id
from squiggle_assets.science.invariance import COLUMNS as INVARIANCE
from squiggle_assets.science.invariance import invariance_of
from squiggle_assets.science.metrics import COMPOSITE, ORIENTATION
from squiggle_assets.science.moments import OwnEvents, described, levels_of, moments_of
from squiggle_assets.science.nulls import DRAW_COLUMNS, Agreement, Null, with_nulls
from squiggle_assets.science.spec import ConsensusSpec, DetectionSpec


class ConsensusResult(NamedTuple):
    """The three tables of one arm."""

    consensus_events: pl.DataFrame
    null_draws: pl.DataFrame
    invariance: pl.DataFrame


def consensus_of(
    geometry: pl.DataFrame,
    events: pl.DataFrame,
    *,
    arm: str,
    analysis_id: str,
    schedule: Schedule,
    detection: DetectionSpec,
    spec: ConsensusSpec,
    excluded: Collection[int] = (),
) -> ConsensusResult:
    """Consensus of all seeds of one arm, for every probe set in the geometry.

    geometry: arm, seed, step, probe_set, component, layer, metric, value; events: the events table of the same
    runs (single change points are used). Draws are keyed by spec.seed, parameters, arm and probe set.
    excluded: seeds whose runs were stopped (exclusions.stopped_seeds); if they leave fewer than 2, the tables are
    empty: nothing was tested. ValueError where geometry holds another arm, fewer than 2 seeds, or seeds with different
    captures, and where events were not detected in this geometry with this specification.
    """
    strangers = sorted(set(geometry["arm"].unique()) - {arm})
    if strangers:
        raise ValueError(f"consensus of arm {arm!r} got geometry of {strangers}")
    if excluded:
        geometry, events = (frame.filter(~pl.col("seed").is_in(list(excluded))) for frame in (geometry, events))
        if geometry["seed"].n_unique() < 2:
            return _nothing(arm, analysis_id)
    tables: list[ConsensusResult] = []
    for probe_set in sorted(geometry["probe_set"].unique()):
        series = arm_series(
            geometry, probe_set=probe_set, schedule=schedule, detection=detection, num_bands=spec.num_bands
        )
        if len(series.seeds) < 2:
            raise ValueError(f"consensus of arm {arm!r} needs at least 2 seeds, got {list(series.seeds)}")
        draws = rng.generator("consensus", spec.seed, parameters_id(detection, spec), arm, probe_set)
        seen = with_nulls(series, detection, spec, draws)
        key = {"arm": arm, "analysis_id": analysis_id, "probe_set": probe_set}
        peaks = _peaks(series, detection)
        own = _own_events(events, series, peaks, key)
        tables.append(
            ConsensusResult(
                _keyed(_rows(series, seen, own, key, draws), key),
                _keyed(draw_rows([_observed(series, seen), *seen.nulls], series.cells), key),
                _keyed(invariance_of(series, peaks, draws), key),
            )
        )
    return ConsensusResult(*(pl.concat(frames) for frames in zip(*tables, strict=True)))


def _nothing(arm: str, analysis_id: str) -> ConsensusResult:
    key = {"arm": arm, "analysis_id": analysis_id, "probe_set": ""}
    return ConsensusResult(
        *(_keyed(pl.DataFrame(schema=columns), key) for columns in (COLUMNS, DRAW_COLUMNS, INVARIANCE))
    )


def _keyed(frame: pl.DataFrame, key: dict[str, str]) -> pl.DataFrame:
    return frame.select(*(pl.lit(value, dtype=pl.String).alias(name) for name, value in key.items()), pl.all())


def _peaks(series: ArmSeries, detection: DetectionSpec) -> NDArray[np.bool_]:
    flat = series.increments.reshape(-1, len(series.steps))
    floor = np.tile(series.min_threshold, len(series.seeds))
    found = detect_peaks(flat, series.steps, series.schedule.warmup_end, detection, floor)
    return found.reshape(series.increments.shape)


def _own_events(
    events: pl.DataFrame, series: ArmSeries, peaks_SKT: NDArray[np.bool_], key: dict[str, str]
) -> OwnEvents:
    """Single events by (seed, layer, metric, step); ValueError unless they are exactly the detected peaks."""
    rows = events.filter(
        (pl.col("probe_set") == key["probe_set"])
        & (pl.col("component") == "x_out")
        & (pl.col("metric") != COMPOSITE)
        & pl.col("metric").is_in(list(ORIENTATION))
    )
    versions = set(rows["analysis_id"].unique()) - {key["analysis_id"]}
    if versions:
        raise ValueError(f"events of analysis {sorted(versions)} where {key['analysis_id']!r} is asked for")
    found = {(row["seed"], row["layer"], row["metric"], row["step"]): row for row in rows.iter_rows(named=True)}
    expected = {
        (series.seeds[s], series.layers[k], series.metrics[k], int(series.steps[t]))
        for s, k, t in zip(*np.nonzero(peaks_SKT), strict=True)
    }
    if set(found) != expected:
        odd = sorted(set(found) ^ expected)[:3]
        raise ValueError(
            f"arm {key['arm']!r}, probe set {key['probe_set']!r}: {len(found)} events and {len(expected)} change "
            f"points in the geometry differ, such as (seed, layer, metric, step) {odd}: materialise events again"
        )
    return found


def _rows(
    series: ArmSeries,
    seen: Agreement,
    own: OwnEvents,
    key: dict[str, str],
    draws: np.random.Generator,
) -> pl.DataFrame:
    found = list(moments_of(series, seen))
    significance = levels_of(found, seen)
    rows = []
    for moment, levels in zip(found, significance, strict=True):
        row = described(series, seen, moment, own, draws)
        identity = {**key, **{name: row[name] for name in ("band", "metric_group", "polarity", "median_step")}}
        rows.append({"consensus_event_id": short_hash(identity), **row, **levels})
    return pl.DataFrame(rows, schema=COLUMNS).select(list(COLUMNS))


def _observed(series: ArmSeries, seen: Agreement) -> Null:
    """What was seen, as one more draw, so that a null can be checked against the data it was drawn for."""
    count = np.array([seen.num_events(series.steps)])
    return Null(name="observed", best=seen.best[None].astype(np.float32), count=count)


def draw_rows(nulls: Iterable[Null], cells: tuple[Cell, ...]) -> pl.DataFrame:
    """DRAW_COLUMNS of null families: a row a draw and cell (its best total), one a draw for the count (band 'all')."""
    bands = [*(f"layers_{cell.layer_lo}_{cell.layer_hi}" for cell in cells), "all"]
    groups = [*(cell.group for cell in cells), "all"]
    frames = []
    for null in nulls:
        num = len(null.count)
        columns = {
            "band": bands * num,
            "metric_group": groups * num,
            "null": [null.name] * (num * len(bands)),
            "draw": np.repeat(np.arange(num, dtype=np.int64), len(bands)),
            "statistic": np.concatenate([null.best.astype(np.float64), null.count[:, None]], axis=1).ravel(),
        }
        frames.append(pl.DataFrame(columns, schema=DRAW_COLUMNS))
    return pl.concat(frames)


_FLOATS_BEFORE = ("onset_step", "end_step", "median_step", "step_sd", "step_ci_lo", "step_ci_hi")
_PARTS = ("support", "timing", "polarity_agreement", "shape_similarity", "coherence", "novelty", "magnitude_mean")
_DIS = ("dis_weighted", "dis_ci_lo", "dis_ci_hi", "dis_intention", "statistic", "null_mean")
_LEVELS = ("p_shift", "p_surrogate", "p_value", "p_familywise", "q_value")
COLUMNS: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("consensus_event_id", "band", "metric_group"), pl.String),
    **dict.fromkeys(("layer_lo", "layer_hi", "polarity", "peak_step"), pl.Int64),
    **dict.fromkeys(_FLOATS_BEFORE, pl.Float64),
    **dict.fromkeys(("n_seeds", "num_matched"), pl.Int64),
    **dict.fromkeys((*_PARTS, *_DIS, *_LEVELS), pl.Float64),
    **{"near_boundary": pl.Boolean, "boundary_kind": pl.String, "boundary_distance": pl.Float64},
    **dict.fromkeys(("outlier_seeds", "constituents"), pl.String),
}
"""Columns of consensus_events after arm, analysis_id and probe_set."""
