"""The tables of a single-run report: piling up of events, values at both ends, events, candidates, diversity.

Here: frames to document tables. Not here: order and prose (run_report), the figures in them (diagnostics).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from squiggle_assets.report import diagnostics
from squiggle_assets.report.document import Table
from squiggle_assets.report.text import MISSING, number, plural
from squiggle_assets.science.metrics import ORIENTATION

TOP_EVENTS = 30
_ACCOUNT = (
    *("num_candidates", "num_selected", "num_skipped_suppression", "num_skipped_topk", "num_skipped_pre_warmup_cap"),
)


def singles(events: pl.DataFrame, probe: str) -> pl.DataFrame:
    """Change points of single series on one probe set."""
    return events.filter((pl.col("event_type") == "change_point") & (pl.col("probe_set") == probe))


def peaks(
    found: Mapping[str, diagnostics.PeakSteps],
    near: Mapping[str, float],
    grid: diagnostics.CaptureGrid,
    tolerance: float,
) -> Table:
    """How the steps of the events pile up, by probe set."""
    rows = [
        (
            probe,
            number(seen.num_events),
            number(seen.entropy),
            number(seen.top_step),
            number(seen.top_share),
            number(near[probe]),
        )
        for probe, seen in found.items()
    ]
    columns = ("probe set", "events", "entropy", "fullest step", "its share", "near a boundary")
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns[1:]),
        caption=f"Single change points. entropy: of their steps, 1 if spread evenly. near a boundary: share within "
        f"{tolerance} steps of warm-up end, decay start or a phase start. Captures every {grid.cadence:g} steps, "
        f"{grid.ratio:.2f} of the suppression radius ({grid.risk} risk).",
    )


def ends(state: pl.DataFrame) -> Table:
    """First and last value of every series."""
    keys = ["probe_set", "component", "layer", "metric"]
    both = state.sort("step").group_by(keys, maintain_order=True)
    table = both.agg(pl.col("value").first().alias("first"), pl.col("value").last().alias("last")).sort(keys)
    columns = ("probe set", "component", "layer", "metric", "first", "last", "change")
    rows = [
        (probe, part, str(layer), metric, number(first), number(last), number(last - first))
        for probe, part, layer, metric, first, last in table.rows()
    ]
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns[4:]),
        folded=f"First and last values of {plural(len(rows), 'series', 'series')}",
        caption="At the first and the last capture, in the metric's own unit.",
    )


def events(found: pl.DataFrame, composites: int) -> Table:
    """The events with the highest scores; composites: how many are of several metrics."""
    order = ["score", "layer", "metric", "step", "event_id"]
    top = found.sort(order, descending=[True] + [False] * 4, nulls_last=True).head(TOP_EVENTS)
    columns = ("id", "step", "probe", "layer", "metric", "moves", "increment", "robust z", "local z", "score", "phase")
    rows = [_event_row(row) for row in top.iter_rows(named=True)]
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset({"step", "layer", "increment", "robust z", "local z", "score"}),
        caption=f"{plural(len(rows), 'event')} of {number(len(found))} ({number(composites)} of several metrics), "
        "highest score first. robust z: against the baseline arm's increments; local z: against the run's own. The "
        "score ranks, it never decides.",
    )


def _event_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    composite = row["composite_metrics"]
    moves = {1: "up", -1: "down", None: MISSING}[row["polarity"]]
    return (
        row["event_id"],
        number(row["step"]),
        row["probe_set"],
        str(row["layer"]),
        row["metric"] if composite is None else composite.replace(",", ", "),
        moves,
        number(row["increment"]),
        number(row["robust_z"]),
        number(row["local_z"]),
        number(row["score"]),
        "warm-up" if row["is_pre_warmup"] else row["event_phase"],
    )


def account(summary: pl.DataFrame) -> Table:
    """What became of the candidates, by probe set and metric; selected and skipped must add up to them."""
    sums = summary.group_by("probe_set", "metric").agg(
        pl.len().alias("series"), *(pl.col(name).sum() for name in _ACCOUNT)
    )
    rows = []
    for probe, metric, series, candidates, *parts in sums.sort("probe_set", "metric").rows():
        balance = "yes" if candidates == sum(parts) else "NO"
        rows.append((probe, metric, *(number(value) for value in (series, candidates, *parts)), balance))
    columns = (
        *("probe set", "metric", "series", "candidates", "events", "too near", "budget spent", "warm-up budget spent"),
        "adds up",
    )
    total, selected = int(summary["num_candidates"].sum()), int(summary["num_selected"].sum())
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns[2:8]),
        caption=f"{plural(len(summary), 'series', 'series')} examined, {number(total)} candidates above their "
        f"threshold, {number(selected)} selected. too near: within the suppression radius of a selected one.",
    )


def diversity(geometry: pl.DataFrame, events: pl.DataFrame) -> Table:
    """Diversity of the single change points, by probe set."""
    state = geometry.filter(pl.col("metric").is_in(list(ORIENTATION)))
    span = float(np.ptp(state["step"].to_numpy()))
    probes = state["probe_set"].unique().sort().to_list()
    layers, metrics = state["layer"].n_unique(), state["metric"].n_unique()
    found = [diagnostics.diversity(singles(events, p), layers=layers, metrics=metrics, span=span) for p in probes]
    names = diagnostics.Diversity._fields
    rows = [(name, *(number(getattr(one, name)) for one in found)) for name in names]
    return Table(
        columns=("figure", *(f"probe set {probe}" for probe in probes)),
        rows=rows,
        numeric=frozenset(f"probe set {probe}" for probe in probes),
        caption=f"Single change points over {plural(layers, 'layer')} and {plural(metrics, 'metric')}. The score is "
        "the mean of distinct steps / events, metric entropy / its maximum, layers with events / layers, and score "
        "variance / .01 (at most 1). It describes; it tests nothing.",
    )
