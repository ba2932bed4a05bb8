"""Any runs side by side: what was set differently, which events they share, whether they moved alike, where they ended.

Here: the frames of a comparison. Not here: agreement of the seeds of one arm, which is tested with the schedule in its
null (consensus), reports. Nothing here is a claim: runs are chosen by whoever compares them, and runs with one schedule
share moments because of it.
Legend: R = runs, K = series (layer, metric, direction), E = most events of a series, D = turns (the first is none), T =
increments between common captures.

Null of both measures: the second run turned round a circle in time by whole capture intervals, all series together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors

from squiggle_assets.science import rng
from squiggle_assets.science.canonical import canonical_json, short_hash
from squiggle_assets.science.invariance import matches
from squiggle_assets.science.metrics import ORIENTATION
from squiggle_assets.science.run_settings import settings_of
from squiggle_assets.science.stats import benjamini_hochberg, detrended_correlation, permutation_p

F64 = NDArray[np.float64]

MIN_COMMON = 10
"""Captures that two runs must share before their movements are compared."""
NUM_DRAWS = 999
"""Draws of the events that all runs share, each run turned by itself."""
FINALS = ("loss", "val_random_loss", "val_family_loss", "val_random_answer_acc", "val_family_answer_acc")
"""Scalars whose last value is compared; 'loss' is that of the last batch."""
_RUNS = {
    **dict.fromkeys(("run", "run_id", "fingerprint", "arm"), pl.String),
    **{"seed": pl.Int64, "num_updates": pl.Int64, "num_captures": pl.Int64, "stopped_early": pl.Boolean},
}
_PAIRS = {
    **dict.fromkeys(("run_a", "run_b"), pl.String),
    **dict.fromkeys(("num_captures", "num_events_a", "num_events_b", "num_matched"), pl.Int64),
    **dict.fromkeys(("matched_null_mean", "matched_p", "correlation", "correlation_null_mean"), pl.Float64),
    "correlation_p": pl.Float64,
}
_SERIES = {
    **{"run_a": pl.String, "run_b": pl.String, "layer": pl.Int64, "metric": pl.String},
    **dict.fromkeys(("correlation", "null_mean", "p_value", "q_value"), pl.Float64),
}
_COMMON = {
    **{"layer": pl.Int64, "metric": pl.String, "polarity": pl.Int64},
    **{"mean_step": pl.Float64, "step_sd": pl.Float64, "steps": pl.String},
}


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedRun:
    """One run with the tables that a comparison reads."""

    name: str
    """What it is called in the comparison, such as study/arm|seed."""
    manifest: Mapping[str, Any]
    """Its row of run_manifest."""
    geometry: pl.DataFrame
    events: pl.DataFrame
    scalars: pl.DataFrame


class RunComparison(NamedTuple):
    """The frames of a comparison."""

    runs: pl.DataFrame
    """One row a run; fingerprint: hash of its settings without the seed."""
    settings: pl.DataFrame
    """One row a setting that differs, one column a run."""
    pairs: pl.DataFrame
    """One row a pair: events matched one to one and mean correlation of movements, each beside its null; events are
    counted from the first to the last capture that both have."""
    series: pl.DataFrame
    """One row a pair and series: correlation of detrended increments."""
    common: pl.DataFrame
    """One row an event that all runs have."""
    num_common_null: float
    """Such events on average where each run is turned by itself; nan if nothing could be turned."""
    common_p: float
    """Share of draws with as many."""
    finals: pl.DataFrame
    """One row a final score, one column a run."""


def compare_runs(runs: Sequence[ComparedRun], *, probe_set: str = "a", tolerance_steps: int = 5) -> RunComparison:
    """Compare any two or more runs, of any studies and arms.

    Events are single change points of component x_out on one probe set; two match in the same layer, metric and
    direction within tolerance_steps. Movements are increments between the captures that both runs have, and only events
    from the first to the last common capture are compared: the others have nothing to be matched with, and the circle
    of the null would bring them back in at another time.

    Raises:
        ValueError: fewer than 2 runs, or two of one name.
    """
    names = [run.name for run in runs]
    if len(runs) < 2 or len(set(names)) != len(names):
        raise ValueError(f"a comparison needs at least 2 runs of different names, got {names}")
    geometry = [_points(run.geometry, probe_set) for run in runs]
    events = [_events(run.events, probe_set) for run in runs]
    grid = _common_steps(geometry)
    pairs, series = [], []
    for a, b in combinations(range(len(runs)), 2):
        steps = _common_steps([geometry[a], geometry[b]])
        key = {"run_a": names[a], "run_b": names[b]}
        rows, overall = _movements(geometry[a], geometry[b], steps)
        series += [{**key, **row} for row in rows]
        pairs.append(
            {**key, "num_captures": len(steps), **_matched(events[a], events[b], steps, tolerance_steps), **overall}
        )
    common, null_mean, p = _common_events(runs, events, grid, tolerance_steps)
    table = pl.DataFrame(series, schema=_SERIES)
    q = benjamini_hochberg(table["p_value"].to_numpy().astype(np.float64))
    return RunComparison(
        runs=_about(runs),
        settings=_settings(runs),
        pairs=pl.DataFrame(pairs, schema=_PAIRS).with_columns(selectors.float().fill_nan(None)),
        series=table.with_columns(pl.Series("q_value", q)).with_columns(selectors.float().fill_nan(None)),
        common=common,
        num_common_null=null_mean,
        common_p=p,
        finals=_finals(runs),
    )


def _about(runs: Sequence[ComparedRun]) -> pl.DataFrame:
    rows = []
    for run in runs:
        given = {name: value for name, value in settings_of(run.manifest).items() if name != "seed"}
        about = {name: run.manifest[name] for name in _RUNS if name in run.manifest}
        rows.append({"run": run.name, "fingerprint": short_hash(given), **about})
    return pl.DataFrame([{name: row[name] for name in _RUNS} for row in rows], schema=_RUNS)


def _settings(runs: Sequence[ComparedRun]) -> pl.DataFrame:
    """Column `setting` and one a run; null where a run has no such setting."""
    specs = [settings_of(run.manifest) for run in runs]
    fields = sorted({name for spec in specs for name in spec})
    shown = {field: [canonical_json(spec[field]) if field in spec else None for spec in specs] for field in fields}
    differing = {field: values for field, values in shown.items() if len(set(values)) > 1}
    columns = {run.name: [values[r] for values in differing.values()] for r, run in enumerate(runs)}
    schema = {"setting": pl.String, **{run.name: pl.String for run in runs}}
    return pl.DataFrame({"setting": list(differing), **columns}, schema=schema)


def _finals(runs: Sequence[ComparedRun]) -> pl.DataFrame:
    """Column `metric` and one a run: the last value, null where it was not measured."""
    columns: dict[str, list[float | None]] = {}
    for run in runs:
        last = run.scalars.sort("step").group_by("metric").agg(pl.col("value").last())
        known = dict(last.iter_rows())
        columns[run.name] = [known.get(metric) for metric in FINALS]
    schema = {"metric": pl.String, **{run.name: pl.Float64 for run in runs}}
    return pl.DataFrame({"metric": list(FINALS), **columns}, schema=schema)


def _points(geometry: pl.DataFrame, probe_set: str) -> pl.DataFrame:
    chosen = (pl.col("probe_set") == probe_set) & (pl.col("component") == "x_out")
    return geometry.filter(chosen & pl.col("metric").is_in(list(ORIENTATION)))


def _events(events: pl.DataFrame, probe_set: str) -> pl.DataFrame:
    chosen = (pl.col("probe_set") == probe_set) & (pl.col("component") == "x_out")
    return events.filter(chosen & (pl.col("event_type") == "change_point"))


def _within(events: pl.DataFrame, grid: NDArray[np.int64]) -> pl.DataFrame:
    """The events between the first and the last of these captures; none without captures."""
    return events.filter(pl.col("step").is_between(int(grid[0]), int(grid[-1]))) if len(grid) else events.clear()


def _common_steps(frames: Sequence[pl.DataFrame]) -> NDArray[np.int64]:
    shared = set.intersection(*(set(frame["step"]) for frame in frames))
    return np.array(sorted(shared), dtype=np.int64)


def _movements(
    first: pl.DataFrame, second: pl.DataFrame, steps: NDArray[np.int64]
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Rows by series, and the mean correlation over series beside its null."""
    nothing = {"correlation": np.nan, "correlation_null_mean": np.nan, "correlation_p": np.nan}
    if len(steps) < MIN_COMMON:
        return [], nothing
    one, other = _increments(first, steps), _increments(second, steps)
    keys = sorted(set(one) & set(other))
    if not keys:
        return [], nothing
    num = len(steps) - 1
    turned = (np.arange(num) - np.arange(num)[:, None]) % num
    found_KD = np.stack([detrended_correlation(one[key], other[key][turned]) for key in keys])
    rows = []
    for (layer, metric), values in zip(keys, found_KD, strict=True):
        value, null_mean, p = _against(values)
        rows.append({"layer": layer, "metric": metric, "correlation": value, "null_mean": null_mean, "p_value": p})
    known = found_KD[~np.isnan(found_KD).any(axis=1)]
    value, null_mean, p = _against(known.mean(axis=0)) if len(known) else (np.nan, np.nan, np.nan)
    return rows, {"correlation": value, "correlation_null_mean": null_mean, "correlation_p": p}


def _against(values_D: NDArray[Any]) -> tuple[float, float, float]:
    """Observed (no turn), mean over the turns, p; equal but for rounding counts as equal."""
    if np.isnan(values_D).any():
        return float("nan"), float("nan"), float("nan")
    return float(values_D[0]), float(values_D[1:].mean()), float(permutation_p(values_D[0] - 1e-12, values_D[1:]))


def _increments(points: pl.DataFrame, steps: NDArray[np.int64]) -> dict[tuple[int, str], F64]:
    kept = points.filter(pl.col("step").is_in(steps.tolist())).sort("layer", "metric", "step")
    found = {}
    for (layer, metric), own in kept.group_by("layer", "metric", maintain_order=True):
        if own.height == len(steps):
            rate = np.diff(own["value"].to_numpy()) / np.diff(steps)
            found[int(str(layer)), str(metric)] = np.asarray(rate, dtype=np.float64)
    return found


def _series_steps(events: pl.DataFrame, keys: Sequence[tuple[Any, ...]]) -> F64:
    """[K, E] steps of the events of each series, nan beyond."""
    own = {key: rows["step"].to_list() for key, rows in events.group_by("layer", "metric", "polarity")}
    most = max([1, *(len(steps) for steps in own.values())])
    found = np.full((len(keys), most), np.nan)
    for k, key in enumerate(keys):
        found[k, : len(own.get(key, []))] = sorted(own.get(key, []))
    return found


def _keys(frames: Sequence[pl.DataFrame]) -> list[tuple[Any, ...]]:
    return sorted({key for frame in frames for key in frame.select("layer", "metric", "polarity").iter_rows()})


def _turns(steps_KE: F64, grid: NDArray[np.int64]) -> F64:
    """[D, K, E] the events turned by 0, 1, 2 ... capture intervals round the run."""
    interval = float(np.median(np.diff(grid)))
    length = float(grid[-1] - grid[0]) + interval
    amounts = np.arange(len(grid)) * interval
    return np.asarray(grid[0] + (steps_KE[None] - grid[0] + amounts[:, None, None]) % length)


def _matched(first: pl.DataFrame, second: pl.DataFrame, grid: NDArray[np.int64], tau: float) -> dict[str, Any]:
    first, second = _within(first, grid), _within(second, grid)
    keys = _keys([first, second])
    counts: dict[str, Any] = {"num_events_a": first.height, "num_events_b": second.height, "num_matched": 0}
    if not keys or len(grid) < MIN_COMMON:
        return {**counts, "matched_null_mean": np.nan, "matched_p": np.nan}
    distance = np.abs(
        _series_steps(first, keys)[None, :, :, None] - _turns(_series_steps(second, keys), grid)[:, :, None]
    )
    found = matches(distance, tau)
    _, null_mean, p = _against(found.astype(np.float64))
    return {**counts, "num_matched": int(found[0]), "matched_null_mean": null_mean, "matched_p": p}


def _common_events(
    runs: Sequence[ComparedRun], events: Sequence[pl.DataFrame], grid: NDArray[np.int64], tau: float
) -> tuple[pl.DataFrame, float, float]:
    """Events of the first run that all others have too, how many there are when each is turned by itself, and p."""
    events = [_within(each, grid) for each in events]
    keys = _keys(events)
    if not keys or len(grid) < MIN_COMMON:
        return pl.DataFrame(schema=_COMMON), float("nan"), float("nan")
    anchor = _series_steps(events[0], keys)
    others = [_turns(_series_steps(frame, keys), grid) for frame in events[1:]]
    distance = [np.abs(anchor[None, :, :, None] - turned[:, :, None]) for turned in others]
    near_RDKE = np.stack([(np.where(np.isnan(each), np.inf, each) <= tau).any(axis=-1) for each in distance])
    rows = [
        _common_row(keys[k], anchor[k, e], others, k, runs)
        for k, e in zip(*np.nonzero(near_RDKE[:, 0].all(axis=0)), strict=True)
    ]
    draws = rng.generator("run_comparison", *(str(run.manifest["run_id"]) for run in runs))
    chosen = draws.integers(0, len(grid), size=(NUM_DRAWS, len(others)))
    counts = np.array([near_RDKE[np.arange(len(others)), turn].all(axis=0).sum() for turn in chosen])
    return pl.DataFrame(rows, schema=_COMMON), float(counts.mean()), float(permutation_p(float(len(rows)), counts))


def _common_row(
    key: tuple[Any, ...], step: float, others: Sequence[F64], k: int, runs: Sequence[ComparedRun]
) -> dict[str, Any]:
    layer, metric, polarity = key
    own = [step, *(float(turned[0, k][np.nanargmin(np.abs(turned[0, k] - step))]) for turned in others)]
    by_run = {run.name: int(at) for run, at in zip(runs, own, strict=True)}
    about = {"layer": layer, "metric": metric, "polarity": polarity}
    return {**about, "mean_step": float(np.mean(own)), "step_sd": float(np.std(own)), "steps": canonical_json(by_run)}
