"""The series of one arm as arrays, the cells they are tested in, and the schedule that all seeds share.

Here: ArmSeries (what consensus, nulls and simulation work on), cells = layer bands × metric groups, Schedule.
Not here: envelopes (envelope), matching (matching), nulls (nulls).
Legend: S = seeds, K = series (layer × metric), N = captures, T = N - 1 increments, C = cells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.detection import increments_of, min_thresholds
from squiggle_assets.science.metrics import METRIC_GROUPS, ORIENTATION, group_of
from squiggle_assets.science.spec import DetectionSpec

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Boundary(NamedTuple):
    """A step at which the schedule, not the data, may make every seed move."""

    kind: str
    """start, warmup_end, phase_start or decay_start."""
    step: int


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """What all seeds of an arm share in time; steps are optimiser steps since the start."""

    warmup_end: int
    """Last step of the learning-rate warm-up."""
    decay_start: int | None = None
    """First step of the final decay; None = there is none."""
    phase_starts: tuple[int, ...] = ()
    """First steps of the curriculum phases; a phase that starts at 0 adds nothing to the start itself."""

    @property
    def boundaries(self) -> tuple[Boundary, ...]:
        """All of them in order of step; the start is one."""
        found = [Boundary("start", 0), Boundary("warmup_end", self.warmup_end)]
        found += [Boundary("phase_start", step) for step in self.phase_starts if step > 0]
        if self.decay_start is not None:
            found.append(Boundary("decay_start", self.decay_start))
        return tuple(sorted(found, key=lambda b: (b.step, b.kind)))

    def nearest(self, step: float) -> tuple[Boundary, float]:
        """The boundary nearest to a step and step - boundary, in steps (negative: before it)."""
        best = min(self.boundaries, key=lambda b: abs(step - b.step))
        return best, step - best.step


def schedule_from(manifest: pl.DataFrame) -> Schedule:
    """The schedule that all runs of one arm share, from their run_manifest rows; ValueError if they differ."""
    names = ("warmup_end", "decay_start", "phase_boundaries_json")
    found = manifest.select(names).unique()
    if len(found) != 1:
        raise ValueError(f"runs of one arm must share their schedule, got {found.rows()}")
    warmup_end, decay_start, phases = found.row(0)
    return Schedule(warmup_end=warmup_end, decay_start=decay_start, phase_starts=tuple(json.loads(phases)))


class Cell(NamedTuple):
    """One tested unit: the series of a band of adjacent layers and of one metric group."""

    band: int
    """0 is the lowest band."""
    layer_lo: int
    layer_hi: int
    group: str
    members: tuple[int, ...]
    """Indices into K."""

    @property
    def name(self) -> str:
        """Stable name, such as 'layers_0_3.spectral'."""
        return f"layers_{self.layer_lo}_{self.layer_hi}.{self.group}"


@dataclass(frozen=True, kw_only=True)
class ArmSeries:
    """Oriented increments of all seeds of one arm on one probe set."""

    seeds: tuple[int, ...]
    layers: tuple[int, ...]
    """[K] layer of each series."""
    metrics: tuple[str, ...]
    """[K] metric of each series."""
    steps: I64
    """[T] step of the later capture of each increment."""
    increments: F64
    """[S, K, T] change per usual capture interval times the metric's ORIENTATION."""
    levels: F64 = field(repr=False)
    """[S, K, N] oriented values at the captures."""
    min_threshold: F64
    """[K] absolute floor of the detector's threshold."""
    cells: tuple[Cell, ...]
    schedule: Schedule

    @property
    def groups(self) -> tuple[str, ...]:
        """[K] metric group of each series."""
        return tuple(group_of(metric) for metric in self.metrics)

    @property
    def cell_of_series(self) -> I64:
        """[K] index of the cell that each series belongs to."""
        found = np.full(len(self.layers), -1, dtype=np.int64)
        for number, cell in enumerate(self.cells):
            found[list(cell.members)] = number
        return found


def cells_of(layers: Sequence[int], metrics: Sequence[str], num_bands: int) -> tuple[Cell, ...]:
    """Layer bands × metric groups over K series, bands as even as they go (the lower ones take the rest).

    Fewer layers than bands give one band a layer. ValueError on num_bands < 1 or a metric without a group.
    """
    if num_bands < 1:
        raise ValueError(f"num_bands must be at least 1, got {num_bands}")
    unique = sorted(set(layers))
    bands = np.array_split(np.array(unique), min(num_bands, len(unique)))
    groups = [group_of(metric) for metric in metrics]
    found = []
    for number, band in enumerate(bands):
        for group in METRIC_GROUPS:
            members = tuple(
                k for k, (layer, own) in enumerate(zip(layers, groups, strict=True)) if own == group and layer in band
            )
            if members:
                found.append(Cell(number, int(band[0]), int(band[-1]), group, members))
    return tuple(found)


def arm_series(
    geometry: pl.DataFrame,
    *,
    probe_set: str,
    schedule: Schedule,
    detection: DetectionSpec,
    num_bands: int,
    component: str = "x_out",
) -> ArmSeries:
    """The series of one arm from its geometry rows (seed, step, probe_set, component, layer, metric, value).

    Metrics without an ORIENTATION are left out: no event is sought in them. ValueError when there are no
    rows, when seeds were not captured at the same steps, or when a series lacks a capture or has one twice.
    """
    rows = geometry.filter(
        (pl.col("probe_set") == probe_set)
        & (pl.col("component") == component)
        & pl.col("metric").is_in(list(ORIENTATION))
    )
    if rows.is_empty():
        raise ValueError(f"no geometry rows of probe set {probe_set!r} and component {component!r}")
    seeds, steps = sorted(rows["seed"].unique()), sorted(rows["step"].unique())
    order = list(ORIENTATION)
    keys = sorted(rows.select("layer", "metric").unique().iter_rows(), key=lambda key: (key[0], order.index(key[1])))
    _refuse_ragged(rows, len(seeds), len(keys), steps)
    rank = pl.col("metric").replace_strict({metric: i for i, metric in enumerate(order)}, return_dtype=pl.Int64)
    values = rows.sort("seed", "layer", rank, "step")["value"].to_numpy()
    layers, metrics = tuple(key[0] for key in keys), tuple(key[1] for key in keys)
    sign_K = np.array([ORIENTATION[metric] for metric in metrics], dtype=np.float64)
    levels = values.reshape(len(seeds), len(keys), len(steps)).astype(np.float64) * sign_K[:, None]
    increments = increments_of(levels.reshape(-1, len(steps)), np.array(steps)).reshape(len(seeds), len(keys), -1)
    return ArmSeries(
        seeds=tuple(seeds),
        layers=layers,
        metrics=metrics,
        steps=np.array(steps[1:], dtype=np.int64),
        increments=increments,
        levels=levels,
        min_threshold=min_thresholds(metrics, detection),
        cells=cells_of(layers, metrics, num_bands),
        schedule=schedule,
    )


def _refuse_ragged(rows: pl.DataFrame, num_seeds: int, num_series: int, steps: Sequence[int]) -> None:
    counts: Mapping[int, int] = dict(rows.group_by("seed").agg(pl.col("step").n_unique()).iter_rows())
    short = {seed: num for seed, num in counts.items() if num != len(steps)}
    if short:
        raise ValueError(
            f"seeds were captured at different steps: {len(steps)} steps in all, but {short} by seed; "
            "leave out the run that stopped early or train it to the end"
        )
    expected = num_seeds * num_series * len(steps)
    unique = rows.select("seed", "layer", "metric", "step").n_unique()
    if len(rows) != expected or unique != expected:
        raise ValueError(
            f"{len(rows)} geometry rows ({unique} distinct) where {num_seeds} seeds × {num_series} series × "
            f"{len(steps)} captures need {expected}"
        )
