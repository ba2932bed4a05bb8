"""Detection on the geometry of one run and the account it gives: every candidate, every series.

Here: RunDetection and its two tables. Not here: the rule itself (detection) and what an event row says (events).
Legend: S = series, N = captures, T = N - 1 increments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.detection import (
    FATES,
    PRE_WARMUP_CAP,
    SELECTED,
    SUPPRESSION,
    TOPK,
    Detected,
    detect,
    increments_of,
    min_thresholds,
    warmup_end_of,
)
from squiggle_assets.science.metrics import ORIENTATION
from squiggle_assets.science.series import SERIES_KEY, Series, series_of, with_run
from squiggle_assets.science.spec import DetectionSpec

_RUN = ("arm", "seed", "run_id")


@dataclass(frozen=True, kw_only=True)
class RunDetection:
    """What detection found in one run."""

    series: Series
    increments: NDArray[np.float64]
    """[S, T] signed, per usual capture interval."""
    found: Detected
    warmup_end: float
    """Last step of warm-up."""

    @property
    def steps(self) -> NDArray[np.int64]:
        """[T] step of the later capture of each increment."""
        return self.series.steps[1:]


def detection_of(geometry: pl.DataFrame, spec: DetectionSpec, warmup_end: float | None) -> RunDetection:
    """Detection on every series of one run's geometry table.

    warmup_end is the step the run's manifest names; None falls back to a share of the step range. ValueError
    as `series_of`, `increments_of` and `detect`.
    """
    series = series_of(geometry, ORIENTATION)
    increments = increments_of(series.values, series.steps)
    end = warmup_end_of(series.steps, spec, warmup_end)
    floor = min_thresholds(series.keys["metric"].to_list(), spec)
    found = detect(increments, series.steps[1:], spec, end, floor)
    return RunDetection(series=series, increments=increments, found=found, warmup_end=end)


def candidates_of(detection: RunDetection, analysis_id: str) -> pl.DataFrame:
    """The detection_candidates table: one row per point above its threshold, by series and step."""
    found, steps = detection.found, detection.steps
    s, t = np.nonzero(found.candidate)
    by = found.suppressed_by[s, t]
    fate = pl.Series("skip_reason", np.array(FATES)[found.fate[s, t]])
    frame = detection.series.keys[s].with_columns(
        pl.Series("step", steps[t], dtype=pl.Int64),
        pl.Series("size", found.size[s, t], dtype=pl.Float64),
        pl.Series("threshold", found.threshold[s], dtype=pl.Float64),
        pl.Series("is_pre_warmup", found.pre_warmup[t], dtype=pl.Boolean),
        pl.Series("selected", found.selected[s, t], dtype=pl.Boolean),
        pl.when(fate == SELECTED).then(None).otherwise(fate.cast(pl.String)).alias("skip_reason"),
        pl.when(pl.Series(by >= 0)).then(pl.Series(steps[by], dtype=pl.Int64)).alias("suppressed_by_step"),
    )
    return _labelled(frame, detection, analysis_id)


def summary_of(detection: RunDetection, analysis_id: str) -> pl.DataFrame:
    """The detection_summary table: one row per series, those without a candidate too."""
    found = detection.found
    pre = found.pre_warmup

    def count(mask: NDArray[np.bool_]) -> pl.Series:
        return pl.Series(mask.sum(axis=1), dtype=pl.Int64)

    skipped = {reason: found.fate == FATES.index(reason) for reason in (SUPPRESSION, TOPK, PRE_WARMUP_CAP)}
    frame = detection.series.keys.with_columns(
        pl.Series("threshold", found.threshold),
        pl.lit(detection.warmup_end).alias("warmup_end"),
        pl.lit(found.size.shape[1], dtype=pl.Int64).alias("num_increments"),
        count(found.candidate).alias("num_candidates"),
        count(found.candidate & pre).alias("num_candidates_pre"),
        count(found.selected).alias("num_selected"),
        count(found.selected & pre).alias("num_selected_pre"),
        count(skipped[SUPPRESSION]).alias("num_skipped_suppression"),
        count(skipped[SUPPRESSION] & pre).alias("num_skipped_suppression_pre"),
        count(skipped[TOPK]).alias("num_skipped_topk"),
        count(skipped[PRE_WARMUP_CAP]).alias("num_skipped_pre_warmup_cap"),
    ).with_columns(
        pl.when(pl.col("num_candidates") > 0)
        .then(pl.col("num_selected") / pl.col("num_candidates"))
        .alias("share_retained")
    )
    return _labelled(frame, detection, analysis_id)


def _labelled(frame: pl.DataFrame, detection: RunDetection, analysis_id: str) -> pl.DataFrame:
    labelled = with_run(frame, detection.series.run).with_columns(pl.lit(analysis_id).alias("analysis_id"))
    first = [*_RUN, "analysis_id", *SERIES_KEY]
    return labelled.select(*first, pl.exclude(first))
