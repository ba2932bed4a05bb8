"""The geometry table of one run as a matrix of series over one grid of steps.

Here: the step from long frame to matrix, and its refusals. Not here: anything computed on the series.
Legend: S = series (probe set, component, layer, metric), N = captures.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

SERIES_KEY = ("probe_set", "component", "layer", "metric")
"""What names a series within a run; in this order series are sorted."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """All series of one run over the same captures."""

    run: dict[str, Any]
    """arm, seed and run_id."""
    keys: pl.DataFrame
    """One row per series: SERIES_KEY, sorted."""
    steps: NDArray[np.int64]
    """[N] steps of the captures, increasing."""
    values: NDArray[np.float64]
    """[S, N], finite."""

    def long(self, columns: dict[str, Any]) -> pl.DataFrame:
        """Run, series key and the given columns: each an [S, M] array, or an [M] array shared by all series."""
        shape = np.broadcast_shapes(*(np.shape(column) for column in columns.values()), (len(self.keys), 1))
        at = np.repeat(np.arange(shape[0]), shape[1])
        frame = self.keys[at].with_columns(
            pl.Series(name, np.broadcast_to(column, shape).ravel()) for name, column in columns.items()
        )
        return with_run(frame, self.run)


def with_run(frame: pl.DataFrame, run: dict[str, Any]) -> pl.DataFrame:
    """The frame with arm, seed and run_id as its first columns."""
    return frame.select(
        pl.lit(run["arm"], dtype=pl.String).alias("arm"),
        pl.lit(run["seed"], dtype=pl.Int64).alias("seed"),
        pl.lit(run["run_id"], dtype=pl.String).alias("run_id"),
        pl.all(),
    )


def series_of(geometry: pl.DataFrame, metrics: Collection[str]) -> Series:
    """The series of these metrics in the geometry table of one run.

    ValueError when the frame holds no such metric or more than one run, when a series misses or repeats a
    capture that another one has, and when a value is null, nan or inf: each names where.
    """
    runs = geometry.select("arm", "seed", "run_id").unique()
    if len(runs) != 1:
        raise ValueError(f"geometry of exactly one run is needed, got {len(runs)}: {runs.rows()[:5]}")
    run = runs.row(0, named=True)
    wanted = geometry.filter(pl.col("metric").is_in(list(metrics))).sort(*SERIES_KEY, "step")
    keys = wanted.select(SERIES_KEY).unique(maintain_order=True)
    if keys.is_empty():
        raise ValueError(f"run {run['run_id']}: geometry holds none of {sorted(metrics)}")
    bad = wanted.filter(pl.col("value").is_null() | ~pl.col("value").is_finite())
    if len(bad):
        raise ValueError(f"run {run['run_id']}: values must be finite, got {bad.row(0, named=True)}")
    steps = wanted["step"].unique().sort().to_numpy().astype(np.int64)
    complete = len(wanted) == len(keys) * len(steps)
    if not complete or (wanted["step"].to_numpy().reshape(len(keys), -1) != steps).any():
        counts = wanted.group_by(SERIES_KEY).len().filter(pl.col("len") != len(steps)).sort(SERIES_KEY)
        raise ValueError(
            f"run {run['run_id']}: {len(steps)} captures, but series with other counts: {counts.rows()[:5]}"
        )
    values = wanted["value"].to_numpy().reshape(len(keys), len(steps))
    return Series(run=run, keys=keys, steps=steps, values=values)
