"""What agreement between seeds looks like when there is nothing but chance and schedule.

Here: observed events of an arm, its two null families and their draws, p-values of an arm.
Not here: matching (matching), the envelope (envelope), rows (consensus), seeds re-paired across arms (pairing).
Legend: D = draws, S = seeds, K = series, C = cells, P = polarity, T = increments.

shift (N1): each seed's events are moved round a circle inside segments of the run, by one random amount a seed
and segment for all cells, so that layers and metrics keep their dependence. It asks: do events that are this
frequent and this strong coincide by chance?
surrogate (N2): each seed's standardised increments are moved and, as a whole segment, given a random sign; drift
and envelope are put back at their own time, and the same detector runs again. It asks: does the shared schedule
(learning rate, boundaries, warm-up) explain the agreement?
A p-value is the larger of the two: each is another innocent explanation, and an event
has to beat both. Segments are curriculum phases, joined with their neighbours until they hold MIN_WINDOWS
tolerance windows: in a shorter circle all seeds meet by chance too often for any event to be significant, and
what phase boundaries do is the surrogates' question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science import matching
from squiggle_assets.science.cells import ArmSeries, Schedule
from squiggle_assets.science.detection import detect_peaks
from squiggle_assets.science.envelope import Standardised, standardise
from squiggle_assets.science.matching import F32, Scan
from squiggle_assets.science.spec import ConsensusSpec, DetectionSpec
from squiggle_assets.science.stats import max_statistic_p, permutation_p

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

FAMILIES = ("shift", "surrogate")
"""The null families that every p of an arm has to beat, all of them."""
DRAW_COLUMNS: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("band", "metric_group", "null"), pl.String),
    **{"draw": pl.Int64, "statistic": pl.Float64},
}
"""Columns of stored draws after their key."""
MIN_WINDOWS = 8
"""A segment is at least this many tolerance windows (2 tau + one capture) long."""
_CHUNK = 50
"""Draws handled at once: bounds memory, changes nothing."""


@dataclass(frozen=True, kw_only=True)
class Null:
    """The draws of one null family."""

    name: str
    best: F32
    """[D, C] best total of each cell."""
    count: I64
    """[D] number of consensus events over all cells."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Observed agreement of the seeds of one arm beside its nulls."""

    strength: F32
    """[C, S, P, T] strength of each seed's events, 0 where there is none."""
    found: Scan
    """[C, P, T] totals and support."""
    standardised: Standardised
    tau: float
    """Steps."""
    min_support: int
    """Seeds an event needs."""
    nulls: tuple[Null, ...]

    @property
    def best(self) -> F64:
        """[C] observed best total of each cell."""
        return matching.best_total(self.found).astype(np.float64)

    def cell_p(self) -> dict[str, F64]:
        """[C] p of each cell's best total, per null family."""
        return {null.name: permutation_p(self.best, null.best) for null in self.nulls}

    def familywise_p(self) -> F64:
        """[C] p over all cells by the max-statistic, the largest over the families."""
        return np.asarray(np.max([max_statistic_p(self.best, null.best) for null in self.nulls], axis=0))

    def num_events(self, steps_T: I64) -> int:
        """Number of consensus events over all cells."""
        return int(matching.count(self.found, steps_T, self.tau, self.min_support).sum())

    def study_p(self) -> float:
        """The pre-registered test of the arm: is there any consensus at all?"""
        return float(self.familywise_p().min())


def segments_of(steps_T: I64, schedule: Schedule, tau: float) -> tuple[tuple[int, int], ...]:
    """Half-open ranges of T that cover it: phases joined until each holds MIN_WINDOWS tolerance windows."""
    interval = float(np.median(np.diff(steps_T)))
    least = MIN_WINDOWS * (2 * int(tau // interval) + 1)
    starts = [int(np.searchsorted(steps_T, step, side="right")) for step in sorted(schedule.phase_starts)]
    edges = [0]
    for start in starts:
        if start - edges[-1] >= least and len(steps_T) - start >= least:
            edges.append(start)
    return tuple(zip(edges, [*edges[1:], len(steps_T)], strict=True))


def observe(series: ArmSeries, detection: DetectionSpec, spec: ConsensusSpec) -> Agreement:
    """Events, totals and support of an arm, without nulls."""
    standardised = standardise(series)
    tau = matching.tolerance(series.steps, spec.tolerance_steps)
    strength = strength_of(series, standardised.z[None], series.increments[None], detection)[0]
    return Agreement(
        strength=strength,
        found=matching.scan(strength, series.steps, tau),
        standardised=standardised,
        tau=tau,
        min_support=least_support(len(series.seeds), spec),
        nulls=(),
    )


def least_support(num_seeds: int, spec: ConsensusSpec) -> int:
    """Seeds a consensus event needs: the fraction of the seeds, rounded up, at least 2."""
    return max(2, int(np.ceil(spec.min_seed_fraction * num_seeds - 1e-9)))


def strength_of(
    series: ArmSeries, z_DSKT: NDArray[np.floating], plain_DSKT: NDArray[np.floating], detection: DetectionSpec
) -> F32:
    """[D, C, S, P, T] event strengths of each cell: the detector on the plain increments, strength from z."""
    num_draws, num_seeds, _, num = plain_DSKT.shape
    floor = np.tile(series.min_threshold, num_draws * num_seeds)
    flat = plain_DSKT.reshape(-1, num)
    peaks = detect_peaks(flat, series.steps, series.schedule.warmup_end, detection, floor).reshape(plain_DSKT.shape)
    return matching.strengths(z_DSKT, plain_DSKT, peaks, series.cell_of_series)


def with_nulls(series: ArmSeries, detection: DetectionSpec, spec: ConsensusSpec, rng: np.random.Generator) -> Agreement:
    """Agreement of an arm with draws_per_cell × cells draws of shift and of surrogate."""
    seen = observe(series, detection, spec)
    num_draws = spec.draws_per_cell * len(series.cells)
    segments = segments_of(series.steps, series.schedule, seen.tau)
    shape = num_draws, len(series.seeds)
    shifted = (
        matching.scan(_moved(seen.strength, index), series.steps, seen.tau)
        for index in _chunks(turned_index(shape, segments, rng))
    )
    surrogates = (
        matching.scan(strength, series.steps, seen.tau)
        for strength in _surrogates(series, seen, detection, segments, shape, rng)
    )
    nulls = tuple(
        _collect(name, scans, series, seen) for name, scans in zip(FAMILIES, (shifted, surrogates), strict=True)
    )
    return Agreement(
        strength=seen.strength,
        found=seen.found,
        standardised=seen.standardised,
        tau=seen.tau,
        min_support=seen.min_support,
        nulls=nulls,
    )


def _collect(name: str, scans: Iterator[Scan], series: ArmSeries, seen: Agreement) -> Null:
    best, counts = [], []
    for found in scans:
        best.append(matching.best_total(found))
        counts.append(matching.count(found, series.steps, seen.tau, seen.min_support).sum(axis=-1))
    return Null(name=name, best=np.concatenate(best), count=np.concatenate(counts))


def _chunks(array: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    return (array[start : start + _CHUNK] for start in range(0, len(array), _CHUNK))


def turned_index(shape: tuple[int, int], segments: Sequence[tuple[int, int]], rng: np.random.Generator) -> I64:
    """[D, S, T] where each increment of a draw comes from: every segment turned by its own random amount."""
    parts = []
    for lo, hi in segments:
        turn = rng.integers(0, hi - lo, size=(*shape, 1))
        parts.append(lo + (np.arange(hi - lo) - turn) % (hi - lo))
    return np.concatenate(parts, axis=-1)


def segment_signs(shape: tuple[int, int], segments: Sequence[tuple[int, int]], rng: np.random.Generator) -> F32:
    """[D, S, T] random signs, one a seed and segment."""
    coin = np.array([-1, 1], dtype=np.float32)
    return np.concatenate(
        [np.repeat(rng.choice(coin, size=(*shape, 1)), hi - lo, axis=-1) for lo, hi in segments], axis=-1
    )


def _moved(strength_CSPT: F32, index_DST: I64) -> F32:
    by_seed_STCP = strength_CSPT.transpose(1, 3, 0, 2)
    seeds = np.arange(len(by_seed_STCP))[None, :, None]
    return np.ascontiguousarray(by_seed_STCP[seeds, index_DST].transpose(0, 3, 1, 4, 2))


def _surrogates(
    series: ArmSeries,
    seen: Agreement,
    detection: DetectionSpec,
    segments: Sequence[tuple[int, int]],
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> Iterator[F32]:
    own = seen.standardised
    z_STK = np.ascontiguousarray(own.z.transpose(0, 2, 1)).astype(np.float32)
    envelope = own.envelope.astype(np.float32)
    drift = own.drift.astype(np.float32)
    scale = own.scale.astype(np.float32)[:, :, None]
    sign_DST = segment_signs(shape, segments, rng)
    seeds = np.arange(shape[1])[None, :, None]
    done = 0
    for index in _chunks(turned_index(shape, segments, rng)):
        sign = sign_DST[done : done + len(index), :, :, None]
        done += len(index)
        z_DSKT = np.ascontiguousarray((z_STK[seeds, index] * sign).transpose(0, 1, 3, 2))
        yield strength_of(series, z_DSKT, scale * (drift + envelope * z_DSKT), detection)
