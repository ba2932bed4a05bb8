"""Change points of many series at once: threshold, suppression, budget, and the account of every candidate.

Here: increments, thresholds, selection and skip reasons, on arrays. Not here: what an event row says (events),
which series agree (composites), whether anything is significant (consensus).
Legend: S = series, T = increments of a series, N = T + 1 captures, H = most hits of any series.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science.spec import DetectionSpec

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]

SELECTED, SUPPRESSION, TOPK, PRE_WARMUP_CAP = "selected", "suppression", "topk", "pre_warmup_cap"
FATES = ("", SELECTED, SUPPRESSION, TOPK, PRE_WARMUP_CAP)
"""What became of a point, by code: 0 is no candidate."""
_CODES = {fate: np.int8(code) for code, fate in enumerate(FATES)}

_BLOCK = 512
"""Series handled at a time: the working set stays in cache and memory does not grow with S."""


@dataclass(frozen=True, kw_only=True)
class Detected:
    """Outcome of detection on S series; selected + the three skips = candidates, in every series."""

    size: F64
    """[S, T] absolute increments, in units of the metric."""
    threshold: F64
    """[S] a point is a candidate if its size exceeds this."""
    fate: NDArray[np.int8]
    """[S, T] index into FATES."""
    suppressed_by: NDArray[np.int32]
    """[S, T] index of the selected point that suppressed this one (the first in order of selection), else -1."""
    pre_warmup: Bools
    """[T] whether the point lies at or before the end of warm-up."""

    @property
    def candidate(self) -> Bools:
        """[S, T] points above the threshold."""
        return np.greater(self.fate, 0)

    @property
    def selected(self) -> Bools:
        """[S, T] points that became events."""
        return np.equal(self.fate, FATES.index(SELECTED))


@dataclass(frozen=True)
class _Hits:
    """Candidates of a block of series, in order, and packed to the left: [S, H], column h holds the h-th."""

    series: I64
    index: I64
    """Where in T each hit lies."""
    slot: I64
    """Where in S * H it lies."""
    size_of: F64
    """[S, H], -1 pads."""
    index_of: I64
    """[S, H], -1 pads."""

    def pre_of(self, pre_T: Bools) -> Bools:
        """[S, H] whether a hit lies at or before the end of warm-up."""
        found: Bools = pre_T[self.index_of] & (self.index_of >= 0)
        return found


def upper_median(values: F64) -> F64:
    """sorted[n // 2] along the last axis, the median of the spec; ValueError when there is nothing."""
    num = values.shape[-1]
    if num == 0:
        raise ValueError("the median of no values is not defined")
    return np.partition(values, num // 2, axis=-1)[..., num // 2]


def increments_of(values_SN: F64, steps_N: I64 | Sequence[int]) -> F64:
    """Signed change from each capture to the next per usual capture interval, [S, N] -> [S, N - 1].

    x[i+1] - x[i], stamped at steps[i + 1], times (median interval / own interval). The factor is exactly 1
    where the cadence is even; where it is not, the earlier definition (no factor) makes long intervals look
    like events. Units stay those of the metric. ValueError on fewer than 3 captures, on steps that do not
    increase, on values that are not finite, and on shapes that disagree.
    """
    steps = np.asarray(steps_N)
    if values_SN.ndim != 2 or steps.shape != values_SN.shape[1:]:
        raise ValueError(f"values {values_SN.shape} need [series, captures] and one step a capture, got {steps.shape}")
    if len(steps) < 3:
        raise ValueError(f"{len(steps)} captures: a change point needs at least 3 (capture more often)")
    interval_T = np.diff(steps).astype(np.float64)
    if (interval_T <= 0).any():
        at = int(np.argmax(interval_T <= 0))
        raise ValueError(f"steps must increase: step {steps[at + 1]} follows {steps[at]}")
    _refuse_nonfinite(values_SN, "values")
    return np.diff(values_SN.astype(np.float64), axis=1) * (upper_median(interval_T) / interval_T)


def min_thresholds(metrics: Sequence[str], spec: DetectionSpec) -> F64:
    """The absolute floor of each series' threshold, [S], by the metric of the series; 0 for one not named."""
    return np.array([spec.adaptive_min_threshold.get(metric, 0.0) for metric in metrics], dtype=np.float64)


def warmup_end_of(steps_N: I64 | Sequence[int], spec: DetectionSpec, manifest_end: float | None) -> float:
    """Last step of warm-up: the one the run's manifest names (clipped to the range), else a share of the range."""
    first, last = float(min(steps_N)), float(max(steps_N))
    if manifest_end is None:
        return first + spec.warmup_fraction * (last - first)
    return min(float(manifest_end), last)


def detect_peaks(
    increments: NDArray[np.floating],
    steps: NDArray[np.integer],
    warmup_end: float,
    spec: DetectionSpec,
    min_threshold: F64,
) -> Bools:
    """Which points of each series become events: bool [S, T], the selection of `detect` and nothing else.

    increments [S, T] are signed (the absolute value is taken here), steps [T] are the steps of the later
    capture of each increment, min_threshold [S] is the floor of each threshold. ValueError as `detect`.
    """
    _check(increments, steps, min_threshold, spec)
    selected_ST = np.zeros(increments.shape, dtype=bool)
    pre_T = np.asarray(steps) <= warmup_end
    for rows in _blocks(len(increments)):
        size_ST = np.abs(increments[rows]).astype(np.float64, copy=False)
        hits = _hits(size_ST, thresholds_of(size_ST, spec, min_threshold[rows]))
        for peak_S, _, _ in _peaks(hits, steps, pre_T, spec):
            found = np.flatnonzero(peak_S >= 0)
            selected_ST[rows.start + found, peak_S[found]] = True
    return selected_ST


def detect(
    increments_ST: NDArray[np.floating],
    steps_T: NDArray[np.integer],
    spec: DetectionSpec,
    warmup_end: float,
    min_threshold_S: F64,
) -> Detected:
    """Change points of S series with the fate of every candidate.

    Threshold = max(median + k * MAD of the absolute increments, floor) with upper medians and an unscaled
    MAD; greedy suppression by size (the earlier of equals first): points after warm-up with a budget of
    max(1, max_events_per_series - max_pre_warmup), then points up to warm-up with a budget of max_pre_warmup;
    a point within peak_suppression_radius steps of a selected one is refused. A candidate that is both near
    a selected one and out of budget counts as suppressed.
    ValueError on shapes that disagree, fewer than 2 increments, nan or inf, steps that do not increase.
    """
    _check(increments_ST, steps_T, min_threshold_S, spec)
    size_ST = np.abs(increments_ST).astype(np.float64, copy=False)
    threshold_S = np.empty(len(size_ST))
    pre_T = np.asarray(steps_T) <= warmup_end
    fate_ST = np.zeros(size_ST.shape, dtype=np.int8)
    by_ST = np.full(size_ST.shape, -1, dtype=np.int32)
    for rows in _blocks(len(size_ST)):
        threshold_S[rows] = thresholds_of(size_ST[rows], spec, min_threshold_S[rows])
        hits = _hits(size_ST[rows], threshold_S[rows])
        fate, by = _fates(hits, steps_T, pre_T, spec)
        at = (rows.start + hits.series) * size_ST.shape[1] + hits.index
        fate_ST.ravel()[at] = fate
        by_ST.ravel()[at] = by
    return Detected(size=size_ST, threshold=threshold_S, fate=fate_ST, suppressed_by=by_ST, pre_warmup=pre_T)


def thresholds_of(size_ST: F64, spec: DetectionSpec, min_threshold_S: F64) -> F64:
    """max(median + k * MAD, floor) of the absolute increments of each series, [S]."""
    median_S = upper_median(size_ST)
    mad_S = upper_median(np.abs(size_ST - median_S[:, None]))
    return np.maximum(median_S + spec.adaptive_k * mad_S, min_threshold_S)


def _blocks(num: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, num)) for start in range(0, num, _BLOCK))


def _hits(size_ST: F64, threshold_S: F64) -> _Hits:
    hit_ST = size_ST > threshold_S[:, None]
    counts_S = np.count_nonzero(hit_ST, axis=1)
    series = np.repeat(np.arange(len(size_ST)), counts_S)
    at = np.flatnonzero(hit_ST)
    index = at - series * size_ST.shape[1]
    shape = len(size_ST), int(counts_S.max(initial=0))
    slot = np.arange(len(at)) - np.repeat(np.cumsum(counts_S) - counts_S, counts_S) + series * shape[1]
    hits = _Hits(series, index, slot, np.full(shape, -1.0), np.full(shape, -1))
    hits.size_of.ravel()[slot] = size_ST.ravel()[at]
    hits.index_of.ravel()[slot] = index
    return hits


def _peaks(
    hits: _Hits, steps_T: NDArray[np.integer], pre_T: Bools, spec: DetectionSpec
) -> Iterator[tuple[I64, Bools, bool]]:
    """Greedy rounds: index in T of each series' peak or -1, [S]; the hits near it, [S, H]; whether of warm-up."""
    if hits.size_of.size == 0:
        return
    rows = np.arange(len(hits.size_of))
    step_SH = np.where(hits.index_of >= 0, np.asarray(steps_T, dtype=np.float64)[hits.index_of], np.inf)
    pre_SH = hits.pre_of(pre_T)
    pre_left_SH = np.where(pre_SH, hits.size_of, -1.0)
    post_left_SH = np.where(pre_SH, -1.0, hits.size_of)
    post_budget = max(1, spec.max_events_per_series - spec.max_pre_warmup)
    for left_SH, budget, is_pre in ((post_left_SH, post_budget, False), (pre_left_SH, spec.max_pre_warmup, True)):
        for _ in range(budget):
            best_S = left_SH.argmax(axis=1)
            found_S = left_SH[rows, best_S] > 0
            if not found_S.any():
                break
            pivot_S = np.where(found_S, step_SH[rows, best_S], -np.inf)
            near_SH = np.abs(step_SH - pivot_S[:, None]) <= spec.peak_suppression_radius
            yield np.where(found_S, hits.index_of[rows, best_S], -1), near_SH, is_pre
            np.copyto(left_SH, -1.0, where=near_SH)
            np.copyto(pre_left_SH, -1.0, where=near_SH)


def _fates(
    hits: _Hits, steps_T: NDArray[np.integer], pre_T: Bools, spec: DetectionSpec
) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Code of the fate of each hit, and the index of the peak that suppressed it (else -1), in order of hits."""
    pre_SH = hits.pre_of(pre_T)
    fate_SH = np.where(pre_SH, _CODES[PRE_WARMUP_CAP], _CODES[TOPK])
    by_SH = np.full(pre_SH.shape, -1, dtype=np.int32)
    for peak_S, near_SH, is_pre in _peaks(hits, steps_T, pre_T, spec):
        first_SH = near_SH & (by_SH < 0)
        if is_pre:
            first_SH &= pre_SH
        np.copyto(by_SH, peak_S[:, None], where=first_SH, casting="same_kind")
    chosen_SH = by_SH == hits.index_of
    np.copyto(fate_SH, _CODES[SUPPRESSION], where=by_SH >= 0)
    np.copyto(fate_SH, _CODES[SELECTED], where=chosen_SH)
    np.copyto(by_SH, -1, where=chosen_SH)
    return fate_SH.ravel()[hits.slot], by_SH.ravel()[hits.slot]


def _refuse_nonfinite(array: NDArray[np.floating], what: str) -> None:
    if not np.isfinite(array).all():
        series, at = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(f"{what} must be finite: got {array[series, at]} in series {series} at position {at}")


def _check(
    increments_ST: NDArray[np.floating], steps_T: NDArray[np.integer], floor_S: F64, spec: DetectionSpec
) -> None:
    if increments_ST.ndim != 2 or np.shape(steps_T) != increments_ST.shape[1:]:
        raise ValueError(f"increments {increments_ST.shape} need [series, time] and one step each: {np.shape(steps_T)}")
    if np.shape(floor_S) != increments_ST.shape[:1]:
        raise ValueError(f"min_threshold {np.shape(floor_S)} needs one value a series, {increments_ST.shape[0]}")
    if increments_ST.shape[1] < 2:
        raise ValueError(f"{increments_ST.shape[1]} increments: detection needs at least 3 captures, 2 increments")
    if (np.diff(steps_T) <= 0).any():
        raise ValueError(f"steps must increase, got {np.asarray(steps_T).tolist()}")
    if spec.max_events_per_series < 1 or spec.max_pre_warmup < 0 or spec.peak_suppression_radius < 0:
        raise ValueError(f"detection needs at least 1 event and no negative budget or radius, got {spec}")
    if (np.asarray(floor_S) < 0).any():
        raise ValueError(f"min_threshold must not be negative, got {np.min(floor_S)}")
    _refuse_nonfinite(increments_ST, "increments")
