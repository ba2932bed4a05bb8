"""What increments are usual where nothing was taught in order: the yardstick of every event.

Here: baselines from the runs of a placebo or shuffled arm, and which of them a run may be judged by.
Not here: the scores themselves (dis). A run is never part of its own baseline.
Legend: S = series, M = pooled increments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.detection import increments_of, upper_median
from squiggle_assets.science.dynamics import MAD_TO_SIGMA
from squiggle_assets.science.metrics import ORIENTATION
from squiggle_assets.science.series import SERIES_KEY, Series, series_of
from squiggle_assets.science.spec import DetectionSpec
from squiggle_assets.science.windows import window_max, window_median

F64 = NDArray[np.float64]

STATISTICS = (
    "median",
    "mad_sigma",
    "size_median",
    "size_mad_sigma",
    "window_median",
    "window_mad_sigma",
    "volatility",
)


def baselines_of(geometry: Iterable[pl.DataFrame], spec: DetectionSpec) -> pl.DataFrame:
    """The baselines table of one arm from the geometry tables of its runs.

    Per series: upper median and 1.4826 * MAD of the increments of all runs together, of their sizes (for
    metric_z), of the largest size in each window of captures (what a composite is compared with: a maximum
    with maxima), and the median size of each window (volatility). Once over all runs, and, from two runs on,
    once without each seed. A spread of 0 is null. Warm-up is not cut out; medians do not mind a twentieth.
    ValueError on no run, several arms, a seed twice, runs with different series or cadence.
    """
    runs = sorted((series_of(frame, ORIENTATION) for frame in geometry), key=lambda series: series.run["seed"])
    if not runs:
        raise ValueError("baselines need the geometry of at least one run of the baseline arm")
    arm = _one_arm(runs)
    interval = _one_cadence(runs)
    seeds = [series.run["seed"] for series in runs]
    parts = [_parts(series, spec) for series in runs]
    frames = []
    for excluded in [None, *seeds] if len(runs) > 1 else [None]:
        pooled = [part for seed, part in zip(seeds, parts, strict=True) if seed != excluded]
        stats = _statistics(*(np.concatenate(kind, axis=1) for kind in zip(*pooled, strict=True)))
        frames.append(
            runs[0].keys.select(
                pl.lit(arm).alias("arm"),
                *SERIES_KEY,
                pl.lit(excluded, dtype=pl.Int64).alias("excluded_seed"),
                *(pl.Series(name, stats[name]).fill_nan(None) for name in STATISTICS),
                pl.lit(interval, dtype=pl.Float64).alias("interval_steps"),
                pl.lit(sum(part[0].shape[1] for part in pooled), dtype=pl.Int64).alias("num_increments"),
                pl.lit(len(pooled), dtype=pl.Int64).alias("num_runs"),
            )
        )
    return pl.concat(frames)


def baseline_for(baselines: pl.DataFrame, series: Series) -> pl.DataFrame:
    """STATISTICS and baseline_scope for each series of a run, in its order; null and scope 'none' without one.

    A run of another arm is judged by all runs of the baseline arm, a run of the baseline arm by the others of
    it: if its seed was not left out anywhere it has no baseline. ValueError when the cadence differs.
    """
    arms = baselines["arm"].unique().to_list()
    if len(arms) > 1:
        raise ValueError(f"baselines of exactly one arm are needed, got {sorted(arms)}")
    own = arms == [series.run["arm"]]
    seed = pl.col("excluded_seed")
    usable = baselines.filter(seed == series.run["seed"] if own else seed.is_null())
    interval = usual_interval(series)
    if len(usable) and (usable["interval_steps"] != interval).any():
        raise ValueError(
            f"run {series.run['run_id']} was captured every {interval:g} steps, its baseline every "
            f"{usable['interval_steps'][0]:g}: increments do not compare"
        )
    scope = pl.lit("leave_one_out" if own else "arm")
    return (
        series.keys.join(
            usable.select(*SERIES_KEY, *STATISTICS, scope.alias("baseline_scope")),
            on=SERIES_KEY,
            how="left",
            maintain_order="left",
        )
        .select(*STATISTICS, "baseline_scope")
        .with_columns(pl.col("baseline_scope").fill_null("none"))
    )


def usual_interval(series: Series) -> float:
    """Upper median of the steps between captures."""
    return float(upper_median(np.diff(series.steps).astype(np.float64)))


def _parts(series: Series, spec: DetectionSpec) -> tuple[F64, F64, F64]:
    signed = increments_of(series.values, series.steps)
    size = np.abs(signed)
    return signed, window_max(size, spec.window_radius), window_median(size, spec.window_radius)


def _statistics(signed_SM: F64, largest_SM: F64, volatility_SM: F64) -> dict[str, Any]:
    size_SM = np.abs(signed_SM)
    volatility_S = upper_median(volatility_SM)
    return {
        "median": upper_median(signed_SM),
        "mad_sigma": _sigma(signed_SM),
        "size_median": upper_median(size_SM),
        "size_mad_sigma": _sigma(size_SM),
        "window_median": upper_median(largest_SM),
        "window_mad_sigma": _sigma(largest_SM),
        "volatility": np.where(volatility_S > 0, volatility_S, np.nan),
    }


def _sigma(values_SM: F64) -> F64:
    sigma_S = MAD_TO_SIGMA * upper_median(np.abs(values_SM - upper_median(values_SM)[:, None]))
    return np.where(sigma_S > 0, sigma_S, np.nan)


def _one_arm(runs: list[Series]) -> str:
    arms = {str(series.run["arm"]) for series in runs}
    seeds = [series.run["seed"] for series in runs]
    if len(arms) != 1 or len(set(seeds)) != len(seeds):
        raise ValueError(f"baselines need runs of one arm with different seeds, got arms {sorted(arms)}, seeds {seeds}")
    for series in runs[1:]:
        if not series.keys.equals(runs[0].keys):
            raise ValueError(f"runs {runs[0].run['run_id']} and {series.run['run_id']} hold different series")
    return arms.pop()


def _one_cadence(runs: list[Series]) -> float:
    intervals = {usual_interval(series) for series in runs}
    if len(intervals) != 1:
        raise ValueError(f"runs of a baseline must be captured alike, got intervals {sorted(intervals)}")
    return intervals.pop()
