"""Where several metrics of one layer change together.

Here: from the selected peaks of one layer's metrics to merged windows with their figures, on indices.
Not here: rows and scores (events). Metrics of one group are one measurement: a composite within a group is one
movement seen several times, so the groups are counted beside the metrics.
Legend: indices are positions of increments, 0..T-1; windows are [lo, hi], both ends in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from squiggle_assets.science.spec import DetectionSpec


@dataclass(frozen=True, kw_only=True)
class Composite:
    """One window in which at least a quorum of metrics changed, linked by overlapping windows."""

    metrics: tuple[str, ...]
    """In the order they were given."""
    lo: int
    hi: int
    centre: int
    """Upper median of the covered indices."""
    overlap_len: float
    """Mean pairwise overlap of the metrics' windows, in captures."""
    coverage_ratio: float
    min_occupancy: float
    strength: float
    alignment_sd: float
    """Population sd of the peaks' positions, in captures."""


def composites_of(peaks: Mapping[str, Sequence[int]], num_points: int, spec: DetectionSpec) -> list[Composite]:
    """Composites of one layer from the peaks of each metric, in order of position.

    Each peak covers +- window_radius captures. Covers of all metrics merge where they share a point (or lie
    within merge_gap). In a merged window metrics count with at least min_support_len points or a share of
    min_support_frac of it; they are linked by an overlap of at least min_pairwise_overlap points; the largest
    linked set stays (ties: the one that covers more, then the one named first) if it reaches the quorum.
    strength = (.7 overlap_len / max(window, 3) + .3 coverage) (1 + log2 m) (.5 + .5 min_occupancy).
    """
    if sum(len(at) for at in peaks.values()) < 2:
        return []
    windows = {
        metric: [(max(0, peak - spec.window_radius), min(num_points - 1, peak + spec.window_radius)) for peak in at]
        for metric, at in peaks.items()
    }
    found = []
    for lo, hi in _merged([window for some in windows.values() for window in some], spec.merge_gap):
        inside = {
            metric: {at for first, last in some if lo <= first <= hi for at in range(first, last + 1)}
            for metric, some in windows.items()
        }
        length = hi - lo + 1
        kept = {
            metric: points
            for metric, points in inside.items()
            if points and (len(points) >= spec.min_support_len or len(points) / length >= spec.min_support_frac)
        }
        linked = _largest_linked(kept, spec.min_pairwise_overlap)
        if len(linked) >= max(2, spec.composite_quorum_k):
            found.append(_composite({m: kept[m] for m in linked}, peaks, lo, hi))
    return found


def _merged(windows: list[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for lo, hi in sorted(windows):
        if merged and lo <= merged[-1][1] + gap:
            merged[-1] = merged[-1][0], max(merged[-1][1], hi)
        else:
            merged.append((lo, hi))
    return merged


def _largest_linked(kept: Mapping[str, set[int]], min_overlap: int) -> tuple[str, ...]:
    left, groups = list(kept), []
    while left:
        group, frontier = [], [left.pop(0)]
        while frontier:
            metric = frontier.pop()
            group.append(metric)
            near = [other for other in left if len(kept[metric] & kept[other]) >= min_overlap]
            left = [other for other in left if other not in near]
            frontier += near
        groups.append(tuple(sorted(group, key=list(kept).index)))
    return max(groups, key=lambda g: (len(g), sum(len(kept[m]) for m in g)), default=())


def _composite(kept: Mapping[str, set[int]], peaks: Mapping[str, Sequence[int]], lo: int, hi: int) -> Composite:
    union = sorted(set().union(*kept.values()))
    overlap = float(np.mean([len(a & b) for a, b in combinations(kept.values(), 2)]))
    coverage = sum(len(points) for points in kept.values()) / (len(kept) * len(union))
    occupancy = min(len(points) for points in kept.values()) / len(union)
    inside = [peak for metric in kept for peak in peaks[metric] if lo <= peak <= hi]
    return Composite(
        metrics=tuple(kept),
        lo=lo,
        hi=hi,
        centre=union[len(union) // 2],
        overlap_len=overlap,
        coverage_ratio=coverage,
        min_occupancy=occupancy,
        strength=(0.7 * overlap / max(hi - lo + 1, 3) + 0.3 * coverage)
        * (1 + np.log2(len(kept)))
        * (0.5 + 0.5 * occupancy),
        alignment_sd=float(np.std(inside)),
    )
