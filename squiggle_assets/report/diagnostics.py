"""Whether the events of one run can be trusted at all: capture grid, piling up of steps, boundaries, diversity.

Here: descriptive figures of a run's single change points, frames in, numbers out. Not here: tests against a null
(science.nulls), wording and layout (run_report).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from squiggle_assets.report.text import percent
from squiggle_assets.report.timeline import Timeline

MODULI = (5, 10, 20, 50)
"""Periods in steps at which events are looked at for aliasing."""
HIGH_RISK, MEDIUM_RISK = 0.5, 0.2
LOW_ENTROPY, TOP_SHARE = 0.5, 0.2
ALIAS_BEYOND, ALIAS_SHARE = 0.2, 0.6
_VARIANCE_SCALE = 0.01


class CaptureGrid(NamedTuple):
    """How fine captures are beside the radius within which events suppress one another."""

    num_captures: int
    cadence: float
    """Median steps between captures."""
    ratio: float
    """cadence / suppression radius."""
    risk: str
    """high above .5, medium above .2, else low."""


class PeakSteps(NamedTuple):
    """How events spread over the steps at which one could have been found; nan without events."""

    num_events: int
    entropy: float
    """Normalised: 1 if spread evenly over min(events, captures) steps, 0 if all fall on one."""
    top_step: int | None
    top_share: float
    aliased: tuple[tuple[int, int, float, float], ...]
    """(modulus, residue, share of events, share of captures) where events prefer one residue."""


class Diversity(NamedTuple):
    """How varied the events of one run are; nan where it cannot be said."""

    n_events: int
    n_distinct_steps: int
    n_layers_with_events: int
    score_variance_layers: float
    """Population variance over layers of the mean score."""
    temporal_dispersion: float
    """Population sd of the steps over the range of the captures."""
    metric_participation_entropy: float
    """Bits, of the events' metrics."""
    layer_delay_sd: float
    """Steps: spread over layers of the first event after warm-up."""
    layer_delay_max: float
    """Steps: last such layer after the first."""
    diversity_score: float
    """Mean of distinct / events, entropy / its maximum, layers with events / layers, min(1, variance / .01)."""


def capture_grid(steps: Sequence[int], radius: float) -> CaptureGrid:
    """The grid of a run's captures; ValueError on fewer than 2 or a radius that is not positive."""
    if len(steps) < 2 or radius <= 0:
        raise ValueError(f"a capture grid needs 2 captures and a positive radius, got {len(steps)} and {radius}")
    cadence = float(np.median(np.diff(sorted(steps))))
    ratio = cadence / radius
    risk = "high" if ratio > HIGH_RISK else "medium" if ratio > MEDIUM_RISK else "low"
    return CaptureGrid(len(steps), cadence, ratio, risk)


def peak_steps(steps: Sequence[int], grid: Sequence[int]) -> PeakSteps:
    """Piling up of event steps on the captures after the first (no event can lie on that)."""
    if not len(steps):
        return PeakSteps(0, float("nan"), None, float("nan"), ())
    possible = np.array(sorted(grid)[1:])
    values, counts = np.unique(np.array(steps), return_counts=True)
    room = min(len(steps), len(possible))
    entropy = _bits(counts) / np.log2(room) if room > 1 else float("nan")
    top = int(counts.argmax())
    aliased = []
    for modulus in MODULI:
        residues, num = np.unique(np.array(steps) % modulus, return_counts=True)
        share, residue = float(num.max() / len(steps)), int(residues[num.argmax()])
        usual = float((possible % modulus == residue).mean())
        if share > usual + ALIAS_BEYOND and share > ALIAS_SHARE:
            aliased.append((modulus, residue, share, usual))
    return PeakSteps(len(steps), float(entropy), int(values[top]), float(counts[top] / len(steps)), tuple(aliased))


def share_near_boundary(steps: Sequence[int], timeline: Timeline, tolerance: float) -> float:
    """Share of events within a tolerance (steps) of a boundary of the schedule, the start not counted; nan if none."""
    if not len(steps):
        return float("nan")
    edges = np.array([step for kind, found in timeline.boundaries.items() if kind != "start" for step in found])
    return float((np.abs(np.array(steps)[:, None] - edges[None]).min(axis=1) <= tolerance).mean())


def diversity(events: pl.DataFrame, *, layers: int, metrics: int, span: float) -> Diversity:
    """Diversity of single change points of one probe set.

    layers, metrics: how many were examined; span: steps from the first to the last capture. The score divides by
    the layers examined (the earlier one by 24).
    """
    num = len(events)
    if not num:
        nan = float("nan")
        return Diversity(0, 0, 0, nan, nan, nan, nan, nan, nan)
    scores = events.drop_nulls("score").group_by("layer").agg(pl.col("score").mean()).sort("layer")["score"].to_numpy()
    first = (
        events.filter(~pl.col("is_pre_warmup")).group_by("layer").agg(pl.col("step").min())["step"].sort().to_numpy()
    )
    variance = float(scores.var()) if len(scores) > 1 else float("nan")
    entropy = _bits(events["metric"].value_counts()["count"].to_numpy())
    distinct, with_events = events["step"].n_unique(), events["layer"].n_unique()
    parts = [
        min(1.0, distinct / num),
        entropy / np.log2(metrics) if metrics > 1 else float("nan"),
        with_events / layers,
        min(1.0, variance / _VARIANCE_SCALE) if np.isfinite(variance) else float("nan"),
    ]
    return Diversity(
        n_events=num,
        n_distinct_steps=distinct,
        n_layers_with_events=with_events,
        score_variance_layers=variance,
        temporal_dispersion=float(events["step"].to_numpy().std() / span),
        metric_participation_entropy=entropy,
        layer_delay_sd=float(first.std()) if len(first) > 1 else float("nan"),
        layer_delay_max=float(np.ptp(first)) if len(first) > 1 else float("nan"),
        diversity_score=float(np.mean(parts)),
    )


def warnings(grid: CaptureGrid, peaks: Mapping[str, PeakSteps], near: Mapping[str, float]) -> list[str]:
    """What should make a reader careful, in sentences with the numbers; by probe set where it depends on one."""
    found = []
    if grid.risk != "low":
        found.append(
            f"Capture grid, {grid.risk} risk: captures every {grid.cadence:g} steps are {grid.ratio:.2f} of the "
            "suppression radius, so that the grid and not the run may place the events."
        )
    for probe, seen in peaks.items():
        if seen.entropy < LOW_ENTROPY:
            found.append(
                f"Probe set {probe}: events pile up, normalised entropy of their steps {seen.entropy:.2f} (below .5)."
            )
        if seen.top_share > TOP_SHARE:
            found.append(f"Probe set {probe}: {percent(seen.top_share)} of all events lie at step {seen.top_step}.")
        for modulus, residue, share, usual in seen.aliased:
            found.append(
                f"Probe set {probe}: {percent(share)} of the events lie at steps that leave {residue} when divided by "
                f"{modulus}, {percent(usual)} of the captures do: aliasing."
            )
        if near[probe] > HIGH_RISK:
            found.append(
                f"Probe set {probe}: {percent(near[probe])} of the events lie near a boundary of the schedule, which "
                "may be all there is to them."
            )
    return found


def _bits(counts: np.ndarray) -> float:
    shares = counts / counts.sum()
    return abs(float((shares * np.log2(shares)).sum()))
