"""Event rows: what detection selected in one run, described and scored.

Here: single and composite change points with their score components, and the id of an analysis. Not here: the
selection (detection), windows of several metrics (composites), formulas of the score (dis), agreement across
seeds (consensus).
Legend: S = series, N = captures, T = N - 1 increments, E = events; increment t lies between captures t and t + 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science import dis
from squiggle_assets.science.accounts import RunDetection
from squiggle_assets.science.baselines import baseline_for
from squiggle_assets.science.canonical import short_hash
from squiggle_assets.science.composites import Composite, composites_of
from squiggle_assets.science.detection import upper_median
from squiggle_assets.science.metrics import COMPOSITE, group_of
from squiggle_assets.science.series import with_run
from squiggle_assets.science.source import code_version
from squiggle_assets.science.spec import ConsensusSpec, DetectionSpec
from squiggle_assets.science.windows import upper_median_of, window_mad, window_median

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_ANALYSIS = tuple(
    f"squiggle_assets.science.{name}"
    for name in ("accounts:detection_of", "events:events_of", "baselines:baselines_of", "consensus:consensus_of")
)
SHAPING_BELOW, LOCKING_ABOVE = 0.30, 0.70
"""Shares of the step range that part the phases of a run."""

_COLUMNS: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("analysis_id", "event_id", "series_id", "probe_set", "component"), pl.String),
    **{"layer": pl.Int64, "metric": pl.String, "event_type": pl.String},
    **dict.fromkeys(("step", "start_step", "end_step"), pl.Int64),
    **{"event_phase": pl.String, "phase_progress": pl.Float64, "is_pre_warmup": pl.Boolean},
    **dict.fromkeys(("increment", "metric_size", "delta"), pl.Float64),
    "polarity": pl.Int64,
    **dict.fromkeys(("local_baseline_median", "local_baseline_mad", "local_z"), pl.Float64),
    "baseline_scope": pl.String,
    **dict.fromkeys(("robust_z", "metric_z"), pl.Float64),
    **dict.fromkeys(("volatility_event", "volatility_baseline", "volatility_ratio"), pl.Float64),
    **dict.fromkeys(("magnitude", "structure_modifier", "magnitude_eff", "magnitude_centred"), pl.Float64),
    **dict.fromkeys(("coherence", "novelty", "score"), pl.Float64),
    **{"event_rank_in_series": pl.Int64, "normalized_score": pl.Float64, "composite_metrics": pl.String},
    **dict.fromkeys(("composite_num_metrics", "composite_num_groups"), pl.Int64),
    **{"composite_strength": pl.Float64, "composite_window_len": pl.Int64},
    **dict.fromkeys(("composite_overlap_len", "composite_coverage_ratio"), pl.Float64),
    **dict.fromkeys(("composite_min_occupancy", "composite_alignment_sd"), pl.Float64),
}


def analysis_id(detection: DetectionSpec, consensus: ConsensusSpec) -> str:
    """Version of an interpretation, such as w10_p1_r15_e5_k25_3f0c9a1b22d4: readable part and hash of everything.

    w = 100 * warm-up share, p = pre-warm-up budget, r = suppression radius in steps, e = events a series,
    k = 10 * threshold factor; the hash covers every parameter of detection and consensus, and their code, in which
    the other constants are. It names results and keys no random draw: see parameters_id.
    """
    readable = (
        f"w{100 * detection.warmup_fraction:g}_p{detection.max_pre_warmup}_r{detection.peak_suppression_radius:g}"
        f"_e{detection.max_events_per_series}_k{10 * detection.adaptive_k:g}"
    )
    everything = {"detection": detection, "consensus": consensus, "code": code_version(*_ANALYSIS)}
    return f"{readable}_{short_hash(everything, 12)}"


def parameters_id(detection: DetectionSpec, consensus: ConsensusSpec) -> str:
    """Key of the random draws of an analysis: every parameter of detection and consensus, and no code.

    An edit of code that changes no number must draw the same nulls again, or every p would be rolled anew by it.
    """
    return short_hash({"detection": detection, "consensus": consensus})


def events_of(detection: RunDetection, baselines: pl.DataFrame, spec: DetectionSpec, analysis_id: str) -> pl.DataFrame:
    """The events table of one run: its selected change points and composites, best score first.

    Sizes are compared with the baselines of another arm, or of the other seeds of the same arm; without such a
    baseline z, magnitude and score are null. delta is the upper median of event_window_radius captures from
    the change on minus that of as many up to it. coherence and novelty are null: they need other seeds and
    accepted signatures; score takes both as 1.
    Departures: a composite is stamped after its centre increment like a single event (earlier: before it), and
    its largest sizes are compared with the largest of windows (earlier: with single increments); a local z
    without spread is null (earlier: divided by 1e-8). ValueError as `baseline_for`.
    """
    usual = baseline_for(baselines, detection.series)
    rows = pl.concat([_singles(detection, usual, spec), _composites(detection, usual, spec)])
    keyed = rows.with_columns(
        pl.lit(analysis_id).alias("analysis_id"),
        pl.format(
            "{}.{}.{}.{}", "probe_set", "component", pl.col("layer").cast(pl.String).str.zfill(2), "metric"
        ).alias("series_id"),
    )
    ranked = keyed.with_columns(
        pl.col("score").rank("min", descending=True).over("series_id").cast(pl.Int64).alias("event_rank_in_series")
    ).with_columns(
        (
            (pl.col("score").count().over("series_id") - pl.col("event_rank_in_series") + 1)
            / pl.col("score").count().over("series_id")
        ).alias("normalized_score")
    )
    order = ["score", "layer", "metric", "step", "probe_set", "component"]
    return with_run(
        ranked.sort(order, descending=[True] + [False] * 5, nulls_last=True)
        .with_columns(pl.format("e{}", pl.int_range(pl.len())).alias("event_id"))
        .select(list(_COLUMNS)),
        detection.series.run,
    )


def _singles(detection: RunDetection, usual: pl.DataFrame, spec: DetectionSpec) -> pl.DataFrame:
    size = detection.found.size
    s, t = np.nonzero(detection.found.selected)
    local_mad = window_mad(size, spec.local_baseline_window)[s, t]
    local_median = window_median(size, spec.local_baseline_window)[s, t]
    delta = np.array(
        [_delta(detection.series.values[i], int(j), spec.event_window_radius) for i, j in zip(s, t, strict=True)]
    )
    base = {name: usual[name].cast(pl.Float64).to_numpy()[s] for name in usual.columns if name != "baseline_scope"}
    increment = detection.increments[s, t]
    z = dis.metric_z(size[s, t], base["size_median"], base["size_mad_sigma"])
    volatility = window_median(size, spec.window_radius)[s, t]
    columns = {
        **detection.series.keys[s].to_dict(),
        "event_type": ["change_point"] * len(s),
        **_timing(detection, t, t - spec.event_window_radius, t + 1 + spec.event_window_radius),
        "increment": increment,
        "metric_size": size[s, t],
        "delta": delta,
        "polarity": np.where(delta >= 0, 1, -1),
        "local_baseline_median": local_median,
        "local_baseline_mad": local_mad,
        "local_z": dis.robust_z(size[s, t], local_median, local_mad),
        "baseline_scope": usual["baseline_scope"].to_numpy()[s],
        "robust_z": dis.robust_z(increment, base["median"], base["mad_sigma"]),
        **_scores(z, volatility, base["volatility"], volatility / base["volatility"]),
    }
    return _typed(columns, len(s))


def _composites(detection: RunDetection, usual: pl.DataFrame, spec: DetectionSpec) -> pl.DataFrame:
    series, frames = detection.series, []
    after = int(np.searchsorted(detection.steps, detection.warmup_end, side="right"))
    earliest = series.steps[0] + spec.stabilization_steps
    for (probe_set, component, layer), at in _layers(series.keys).items():
        metrics = series.keys["metric"].gather(at).to_list()
        selected = detection.found.selected[at]
        peaks = {metric: np.flatnonzero(row).tolist() for metric, row in zip(metrics, selected, strict=True)}
        for composite in composites_of(peaks, detection.increments.shape[1], spec):
            near_warmup = 0 <= composite.centre - after < spec.warmup_buffer_points
            if detection.steps[composite.centre] < earliest or near_warmup:
                continue
            members = np.array([at[metrics.index(metric)] for metric in composite.metrics])
            key = {"probe_set": [probe_set], "component": [component], "layer": [layer], "metric": [COMPOSITE]}
            columns = _composite_columns(detection, composite, members, usual)
            frames.append(_typed({**key, **columns}, 1))
    return pl.concat(frames) if frames else _typed({}, 0)


def _composite_columns(
    detection: RunDetection, composite: Composite, members: I64, usual: pl.DataFrame
) -> dict[str, Any]:
    window = detection.found.size[members, composite.lo : composite.hi + 1]
    base = usual[members]
    middle, sigma, usual_volatility = (
        base[name].cast(pl.Float64).to_numpy() for name in ("window_median", "window_mad_sigma", "volatility")
    )
    z = _mean(dis.metric_z(window.max(axis=1), middle, sigma))
    ratio = upper_median_of(upper_median(window) / usual_volatility)
    missing = np.array([np.nan])
    return {
        "event_type": ["change_point_composite"],
        **_timing(detection, *(np.array([at]) for at in (composite.centre, composite.lo, composite.hi + 1))),
        "baseline_scope": [base["baseline_scope"][0]],
        **_scores(z, missing, missing, np.array([ratio])),
        "composite_metrics": [",".join(composite.metrics)],
        "composite_num_metrics": [len(composite.metrics)],
        "composite_num_groups": [len({group_of(metric) for metric in composite.metrics})],
        "composite_strength": [composite.strength],
        "composite_window_len": [composite.hi - composite.lo + 1],
        "composite_overlap_len": [composite.overlap_len],
        "composite_coverage_ratio": [composite.coverage_ratio],
        "composite_min_occupancy": [composite.min_occupancy],
        "composite_alignment_sd": [composite.alignment_sd],
    }


def _layers(keys: pl.DataFrame) -> dict[tuple[str, str, int], list[int]]:
    layers: dict[tuple[str, str, int], list[int]] = {}
    for at, (probe_set, component, layer, _) in enumerate(keys.rows()):
        layers.setdefault((probe_set, component, layer), []).append(at)
    return layers


def _timing(detection: RunDetection, t: I64, lo: I64, hi: I64) -> dict[str, Any]:
    """Step, window and phase of increments t whose windows reach from capture lo to capture hi, clipped."""
    grid = detection.series.steps
    step = grid[t + 1]
    progress = (step - grid[0]) / (grid[-1] - grid[0])
    return {
        "step": step,
        "start_step": grid[np.maximum(lo, 0)],
        "end_step": grid[np.minimum(hi, len(grid) - 1)],
        "event_phase": np.where(
            progress < SHAPING_BELOW, "shaping", np.where(progress > LOCKING_ABOVE, "locking", "transition")
        ),
        "phase_progress": progress,
        "is_pre_warmup": step <= detection.warmup_end,
    }


def _scores(z_E: F64, volatility_E: F64, usual_E: F64, ratio_E: F64) -> dict[str, Any]:
    modifier_E = dis.structure_modifier(ratio_E)
    effective_E = dis.magnitude(z_E) * modifier_E
    return {
        "metric_z": z_E,
        "volatility_event": volatility_E,
        "volatility_baseline": usual_E,
        "volatility_ratio": ratio_E,
        "magnitude": dis.magnitude(z_E),
        "structure_modifier": modifier_E,
        "magnitude_eff": effective_E,
        "magnitude_centred": dis.centred(effective_E),
        "score": dis.score(effective_E),
    }


def _delta(values_N: F64, t: int, radius: int) -> float:
    after, before = values_N[t + 1 : t + 1 + radius], values_N[max(0, t + 1 - radius) : t + 1]
    return float(upper_median(after) - upper_median(before))


def _mean(values: F64) -> F64:
    """[1] mean of what is not nan; nan where nothing is."""
    known = values[~np.isnan(values)]
    return np.array([known.mean() if len(known) else np.nan])


def _typed(columns: dict[str, Any], num: int) -> pl.DataFrame:
    """Columns of the table in order, what is not given or nan as null."""
    return pl.DataFrame(
        {
            name: pl.Series(name, columns[name], dtype=dtype)
            if name in columns
            else pl.repeat(None, num, dtype=dtype, eager=True)
            for name, dtype in _COLUMNS.items()
        }
    ).with_columns(pl.selectors.float().fill_nan(None))
