"""What a run does at a place that was frozen before it ran: present, when, how strongly, how far from its parent.

Here: FrozenLocation, freezing one from a consensus event of the parent arm, and the measurement of runs there, blind to
their condition. Not here: how consensus events are found (consensus), comparison of conditions (effects).
Legend: S = seeds, K = series, M = series of the cell, T = increments, N = captures.

Strength is that of the consensus test (matching.strengths): the oriented increment of the strongest series of the cell,
less the drift and over the envelope of the parent arm, in robust standard deviations of the parent run's increments.
Scale, drift and envelope are the parents' for every run of every condition, so nothing that a replay does changes the
yardstick it is measured with. There is no detector and no cap: the place is known, and how large a change is matters.

One threshold for all seeds was tried first, the 95 % quantile of windows elsewhere: in the demo's planted arm 4 of 8
parents then had their own event, whose strength differs sevenfold between seeds. So the rule was chosen after those
eight planted runs and the unplanted runs of the same seeds had been seen; replays had not been run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.cells import ArmSeries
from squiggle_assets.science.envelope import Standardised, standardise
from squiggle_assets.science.matching import tolerance
from squiggle_assets.science.metrics import COMPOSITE, METRIC_GROUPS, ORIENTATION
from squiggle_assets.science.spec import ConsensusSpec

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

OWN_SHARE = 0.5
"""The event is present where it is at least this share as strong as in the parent run of the same seed."""
ELSEWHERE_SHARE = 0.75
"""And at least as strong as this share of the windows of its length elsewhere in the parents: the floor."""

SCHEMA = pl.Schema(
    {
        "seed": pl.Int64(),
        "event_present": pl.Boolean(),
        "event_step": pl.Int64(),
        "steps_to_event": pl.Float64(),
        "horizon_steps": pl.Float64(),
        "censored": pl.Boolean(),
        "delay": pl.Float64(),
        "magnitude": pl.Float64(),
        "magnitude_ratio": pl.Float64(),
        "trajectory_distance": pl.Float64(),
    }
)
"""Columns of a measurement, one row a run."""


@dataclass(frozen=True, kw_only=True)
class FrozenLocation:
    """Where a consensus event lies and what counts as the event; everything is known before a replay runs."""

    probe_set: str
    layer_lo: int
    layer_hi: int
    metric_group: str
    polarity: int
    """+1 up, -1 down, after orientation."""
    step: int
    """The consensus step, a capture."""
    onset: float
    """From here on the event is waited for; never after the first step at which it may be present."""
    tolerance: float
    """Steps around `step` within which the event counts as present."""
    floor: float
    """Least strength that counts, however weak the parent's own event was."""


def freeze(parents: ArmSeries, event: Mapping[str, Any], spec: ConsensusSpec) -> FrozenLocation:
    """The location of one consensus event of the parent arm.

    The onset is the event's (median over seeds of the last capture surely before), but at most `step` less the
    tolerance, so that an event that is present has been waited for. The floor is the ELSEWHERE_SHARE quantile, over
    seeds and places, of the largest strength in windows of the same length that lie clear of the event (more than two
    tolerances away).

    Args:
        parents: Series of the parent arm on the event's probe set.
        event: probe_set, layer_lo, layer_hi, metric_group, polarity, peak_step, onset_step (consensus_events).
        spec: Names the tolerance.

    Raises:
        ValueError: no such cell among the series, or no window clear of the event.
    """
    tau = tolerance(parents.steps, spec.tolerance_steps)
    step = int(event["peak_step"])
    location = FrozenLocation(
        probe_set=str(event["probe_set"]),
        layer_lo=int(event["layer_lo"]),
        layer_hi=int(event["layer_hi"]),
        metric_group=str(event["metric_group"]),
        polarity=int(event["polarity"]),
        step=step,
        onset=min(float(event["onset_step"]), step - tau),
        tolerance=tau,
        floor=0.0,
    )
    return replace(
        location, floor=_floor(_strength(parents, parents, standardise(parents), location), parents, location)
    )


def _floor(strength_ST: F64, parents: ArmSeries, location: FrozenLocation) -> float:
    steps, tau = parents.steps, location.tolerance
    clear = [
        step for step in steps if abs(step - location.step) > 2 * tau and steps[0] + tau <= step <= steps[-1] - tau
    ]
    if not clear:
        raise ValueError(
            f"no window of {tau:g} steps around lies clear of step {location.step}: nothing to compare with"
        )
    elsewhere = [strength_ST[:, np.abs(steps - step) <= tau].max(axis=1) for step in clear]
    return float(np.quantile(elsewhere, ELSEWHERE_SHARE))


def _members(series: ArmSeries, location: FrozenLocation) -> list[int]:
    found = [
        k
        for k, (layer, group) in enumerate(zip(series.layers, series.groups, strict=True))
        if location.layer_lo <= layer <= location.layer_hi and group == location.metric_group
    ]
    if not found:
        raise ValueError(
            f"no series of group {location.metric_group!r} in layers {location.layer_lo} to {location.layer_hi}"
        )
    return found


def _inside(series: ArmSeries, location: FrozenLocation) -> Bools:
    """[T] increments within the tolerance; ValueError where there is none."""
    found = np.abs(series.steps - location.step) <= location.tolerance
    if not found.any():
        raise ValueError(f"no capture within {location.tolerance:g} steps of {location.step}")
    return np.asarray(found)


def _strength(runs: ArmSeries, parents: ArmSeries, own: Standardised, location: FrozenLocation) -> F64:
    """[S, T] strength of the location's cell at every capture of the runs, by the parents' yardstick."""
    members = _members(parents, location)
    at = [parents.seeds.index(seed) for seed in runs.seeds]
    scale = np.where(own.scale > 0, own.scale, np.inf)[at][:, members, None]
    z_SMT = (runs.increments[:, members] / scale - own.drift[members]) / own.envelope[members]
    return np.asarray((location.polarity * z_SMT).max(axis=1))


def measure(runs: ArmSeries, parents: ArmSeries, location: FrozenLocation) -> pl.DataFrame:
    """One row a run (SCHEMA, by seed): what it does at the location, beside the parent run of the same seed.

    A seed's threshold is OWN_SHARE of its parent's strength at the location, at least the floor: known before the
    replay. event_present: the threshold is reached within the tolerance; event_step is where the strength is largest
    there, null if it is not present. steps_to_event: steps from the onset to the first capture at or after it at which
    the threshold is reached, horizon_steps if it never is (censored at the end of the run). delay: that less the
    parent's own, a lower bound where censored, null where the parent never reaches it (its strength is below the
    floor). magnitude: largest strength within the tolerance; its ratio to the parent's is null where the parent's is
    not above 0. trajectory_distance: root mean square, over the captures within the tolerance and the last one before,
    of the difference between run and parent of the mean oriented level of the cell's series, each in robust standard
    deviations of the parent's increments.

    ValueError where a run has no parent of its seed, or captures or series differ from the parents'.
    """
    strangers = sorted(set(runs.seeds) - set(parents.seeds))
    if strangers:
        raise ValueError(f"runs of seeds {strangers} have no parent; parents are of seeds {list(parents.seeds)}")
    mine, theirs = (runs.layers, runs.metrics), (parents.layers, parents.metrics)
    if mine != theirs or not np.array_equal(runs.steps, parents.steps):
        raise ValueError("runs and their parents were captured at different steps or in different series")
    own = standardise(parents)
    usual_ST = _strength(parents, parents, own, location)
    largest_S = usual_ST[:, _inside(parents, location)].max(axis=1)
    thresholds = dict(zip(parents.seeds, np.maximum(OWN_SHARE * largest_S, location.floor).tolist(), strict=True))
    usual = _read(usual_ST, parents, location, thresholds)
    found = _read(_strength(runs, parents, own, location), runs, location, thresholds)
    beside = usual.select("seed", was="steps_to_event", never="censored", usual="magnitude")
    table = found.join(beside, on="seed", how="left", maintain_order="left").with_columns(
        delay=pl.when(~pl.col("never")).then(pl.col("steps_to_event") - pl.col("was")),
        magnitude_ratio=pl.when(pl.col("usual") > 0).then(pl.col("magnitude") / pl.col("usual")),
        trajectory_distance=pl.Series(_distance(runs, parents, own, location), dtype=pl.Float64),
    )
    return table.select(*SCHEMA).cast(SCHEMA)


def _read(
    strength_ST: F64, series: ArmSeries, location: FrozenLocation, thresholds: Mapping[int, float]
) -> pl.DataFrame:
    inside, steps = _inside(series, location), series.steps
    waited = steps >= location.onset
    horizon = float(steps[-1] - location.onset)
    rows = []
    for seed, strength_T in zip(series.seeds, strength_ST, strict=True):
        peak = int(np.where(inside, strength_T, -np.inf).argmax())
        present = bool(strength_T[peak] >= thresholds[seed])
        crossed = np.flatnonzero(waited & (strength_T >= thresholds[seed]))
        rows.append(
            {
                "seed": seed,
                "event_present": present,
                "event_step": int(steps[peak]) if present else None,
                "steps_to_event": float(steps[crossed[0]] - location.onset) if len(crossed) else horizon,
                "horizon_steps": horizon,
                "censored": not len(crossed),
                "magnitude": float(strength_T[peak]),
            }
        )
    own = [name for name in SCHEMA if name in rows[0]]
    return pl.DataFrame(rows, schema={name: SCHEMA[name] for name in own})


def _distance(runs: ArmSeries, parents: ArmSeries, own: Standardised, location: FrozenLocation) -> F64:
    """[S] root mean square difference of the cell's mean level."""
    members = _members(parents, location)
    at = [parents.seeds.index(seed) for seed in runs.seeds]
    scale = np.where(own.scale > 0, own.scale, np.inf)[at][:, members, None]
    mean_SN = ((runs.levels[:, members] - parents.levels[at][:, members]) / scale).mean(axis=1)
    last = np.flatnonzero(_inside(parents, location))
    # increment t leads from capture t to capture t + 1
    return np.asarray(np.sqrt((mean_SN[:, last[0] : last[-1] + 2] ** 2).mean(axis=1)))


def dis_at(events: pl.DataFrame, location: FrozenLocation) -> dict[int, float]:
    """Largest magnitude_eff of a run's own single events at the location, by seed; seeds without such an event absent.

    events: the events table of the runs. An event is at the location if it is of the probe set, a series of the cell,
    the polarity (oriented), and within the tolerance.
    """
    metrics = METRIC_GROUPS[location.metric_group]
    sign = pl.col("metric").replace_strict(dict(ORIENTATION), default=None, return_dtype=pl.Int64)
    there = events.filter(
        (pl.col("metric") != COMPOSITE)
        & pl.col("metric").is_in(list(metrics))
        & (pl.col("probe_set") == location.probe_set)
        & pl.col("layer").is_between(location.layer_lo, location.layer_hi)
        & ((pl.col("step") - location.step).abs() <= location.tolerance)
        & (pl.col("polarity") * sign == location.polarity)
        & pl.col("magnitude_eff").is_not_null()
    )
    return dict(there.group_by("seed").agg(pl.col("magnitude_eff").max()).sort("seed").iter_rows())
