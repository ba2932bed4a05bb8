"""The report of a comparison of any runs: settings, final scores, shared events, movements, each beside its null.

Here: order and prose of the comparison, and its figures. Not here: the numbers (science.run_comparison), rendering
(document). Whoever compares has chosen the runs, so nothing here is a claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from squiggle_assets.report.document import Block, Document, Figure, Section, Table, Text, draft
from squiggle_assets.report.images import png
from squiggle_assets.report.sections import made_section
from squiggle_assets.report.style import LABEL, canvas, colour, legend, note_empty
from squiggle_assets.report.text import number, plural
from squiggle_assets.schemas.handles import HandleDraft
from squiggle_assets.science.run_comparison import ComparedRun, RunComparison, compare_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

MAX_COMMON = 30
"""Common events that the table shows, earliest first."""
_SHOWN = ("effective_rank", "sv_entropy")


def comparison_report(
    runs: Sequence[ComparedRun], *, made: Mapping[str, Any], probe_set: str = "a", tolerance_steps: int = 5
) -> HandleDraft:
    """The comparison as report.md, report.html and plots/*.png. Equal input gives equal bytes.

    made: how it came about, label -> text or mapping. ValueError as compare_runs.
    """
    found = compare_runs(runs, probe_set=probe_set, tolerance_steps=tolerance_steps)
    document = Document(
        title=f"Comparison of {plural(len(runs), 'run')}",
        subtitle=", ".join(run.name for run in runs),
        sections=[
            _what(found),
            _settings(found, runs),
            _finals(found, runs),
            _events(found, runs, tolerance_steps),
            _movements(found, runs, probe_set),
            made_section(made),
            _reading(),
        ],
    )
    meta = {"runs": [run.name for run in runs], "run_ids": list(found.runs["run_id"]), "probe_set": probe_set}
    return draft(document, {**meta, "num_common_events": found.common.height})


def _what(found: RunComparison) -> Section:
    columns = ("run", "run id", "settings", "arm", "seed", "updates", "captures", "ended")
    rows = [
        (
            row["run"],
            row["run_id"],
            row["fingerprint"],
            row["arm"],
            str(row["seed"]),
            number(row["num_updates"]),
            number(row["num_captures"]),
            "stopped early" if row["stopped_early"] else "at its end",
        )
        for row in found.runs.iter_rows(named=True)
    ]
    caption = "Runs with the same settings differ in their seed only: the column is a hash of everything else."
    return Section(
        title="The runs",
        blocks=[Table(columns=columns, rows=rows, numeric=frozenset({"seed", "updates", "captures"}), caption=caption)],
    )


def _settings(found: RunComparison, runs: Sequence[ComparedRun]) -> Section:
    if found.settings.is_empty():
        return Section(title="Settings that differ", blocks=[Text(text="None: these are the same run.")])
    rows = [tuple("–" if value is None else str(value) for value in row) for row in found.settings.iter_rows()]
    table = Table(
        columns=("setting", *(run.name for run in runs)),
        rows=rows,
        caption=f"{plural(len(rows), 'setting')} of the canonical specs; all others are equal. –: not set.",
    )
    return Section(title="Settings that differ", blocks=[table])


def _finals(found: RunComparison, runs: Sequence[ComparedRun]) -> Section:
    rows = [(row[0], *(number(value) for value in row[1:])) for row in found.finals.iter_rows()]
    names = tuple(run.name for run in runs)
    table = Table(
        columns=("score", *names),
        rows=rows,
        numeric=frozenset(names),
        caption="Last value of each run. Losses in nats per token; answers right are shares, teacher-forced. One run "
        "of each: differences between seeds are no smaller than differences between settings have to be.",
    )
    figure = Figure(
        name="losses",
        image=png(_loss_figure(runs)),
        alt="Training and held-out loss of every run",
        caption=f"n = {plural(len(runs), 'run')}. Thin: loss of the batch; dots: held-out items.",
    )
    return Section(title="Where they ended", blocks=[table, figure])


def _loss_figure(runs: Sequence[ComparedRun]) -> Canvas:
    figure, (axis,) = canvas(1, 1, height=2.6)
    names = [run.name for run in runs]
    for run in runs:
        tint = colour(names, run.name)
        batch = run.scalars.filter(pl.col("metric") == "loss").sort("step")
        held = run.scalars.filter(pl.col("metric") == "val_random_loss").sort("step")
        axis.plot(batch["step"], batch["value"], color=tint, linewidth=0.6, alpha=0.5)
        axis.plot(held["step"], held["value"], "o-", color=tint, markersize=3, linewidth=1.2, label=run.name)
    axis.set_xlabel("step", fontsize=LABEL)
    axis.set_ylabel("loss (nats per token)", fontsize=LABEL)
    legend(axis)
    return figure


def _events(found: RunComparison, runs: Sequence[ComparedRun], tolerance_steps: int) -> Section:
    blocks: list[Block] = [_pairs_of_events(found, tolerance_steps), Text(text=_said_of_common(found, len(runs)))]
    if found.common.height:
        shown = found.common.sort("mean_step", "layer", "metric").head(MAX_COMMON)
        rows = [
            (str(row["layer"]), row["metric"], "up" if row["polarity"] > 0 else "down", number(row["mean_step"]),
             number(row["step_sd"]))
            for row in shown.iter_rows(named=True)
        ]  # fmt: skip
        columns = ("layer", "metric", "direction", "mean step", "sd")
        blocks.append(
            Table(
                columns=columns,
                rows=rows,
                numeric=frozenset({"layer", "mean step", "sd"}),
                caption=f"{number(shown.height)} of {plural(found.common.height, 'event')} of all runs, earliest "
                "first. sd: over the runs, in steps.",
            )
        )
    return Section(title="Events they share", blocks=blocks)


def _pairs_of_events(found: RunComparison, tolerance_steps: int) -> Table:
    columns = ("runs", "events", "matched", "by chance", "p")
    rows = [
        (
            f"{row['run_a']} and {row['run_b']}",
            f"{number(row['num_events_a'])} and {number(row['num_events_b'])}",
            number(row["num_matched"]),
            number(row["matched_null_mean"]),
            number(row["matched_p"]),
        )
        for row in found.pairs.iter_rows(named=True)
    ]
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset({"matched", "by chance", "p"}),
        caption=f"Single change points matched one to one within {number(tolerance_steps)} steps in the same layer, "
        "metric and direction. By chance: mean over all turns of the second run round a circle in time; p: share of "
        "turns with as many. –: fewer than 10 common captures, or no events.",
    )


def _said_of_common(found: RunComparison, num_runs: int) -> str:
    said = f"Of the events of the first run {number(found.common.height)} are in all {num_runs} runs."
    if np.isnan(found.num_common_null):
        return said + " They cannot be held against chance: too few common captures, or no events."
    return (
        f"{said} With every run turned by itself there are {number(found.num_common_null)} on average "
        f"(p = {number(found.common_p)})."
    )


def _movements(found: RunComparison, runs: Sequence[ComparedRun], probe_set: str) -> Section:
    columns = ("runs", "common captures", "correlation", "by chance", "p", "series with q ≤ .05")
    rows = []
    for row in found.pairs.iter_rows(named=True):
        own = found.series.filter((pl.col("run_a") == row["run_a"]) & (pl.col("run_b") == row["run_b"]))
        num = int((own["q_value"] <= 0.05).sum())
        rows.append(
            (
                f"{row['run_a']} and {row['run_b']}",
                number(row["num_captures"]),
                number(row["correlation"]),
                number(row["correlation_null_mean"]),
                number(row["correlation_p"]),
                f"{num} of {own.height}",
            )
        )
    table = Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns[1:5]),
        caption="Mean over all layers and metrics of the correlation of detrended increments, not of levels: two "
        "curves with a trend correlate whatever they are. By chance and p: turns of the second run. q: "
        "Benjamini-Hochberg over the series of all pairs.",
    )
    figure = Figure(
        name="movements",
        image=png(_trajectories(runs, probe_set)),
        alt="Effective rank and entropy of the lowest and highest layer of every run",
        caption=f"n = {plural(len(runs), 'run')}, probe set {probe_set}.",
    )
    return Section(title="Whether they moved alike", blocks=[table, figure])


def _trajectories(runs: Sequence[ComparedRun], probe_set: str) -> Canvas:
    layers = sorted({layer for run in runs for layer in run.geometry["layer"]})
    ends = [layers[0], layers[-1]] if len(layers) > 1 else layers
    figure, axes = canvas(len(_SHOWN), max(1, len(ends)), height=1.8, sharex=True)
    for i, axis in enumerate(axes):
        metric = _SHOWN[i // max(1, len(ends))]
        if not ends:
            note_empty(axis)
            continue
        layer = ends[i % len(ends)]
        _lines(axis, runs, probe_set, metric, layer)
        axis.set_title(f"{metric}, layer {layer}", fontsize=LABEL)
    for axis in axes[-max(1, len(ends)) :]:
        axis.set_xlabel("step", fontsize=LABEL)
    legend(axes[0])
    return figure


def _lines(axis: Axes, runs: Sequence[ComparedRun], probe_set: str, metric: str, layer: int) -> None:
    names = [run.name for run in runs]
    chosen = (pl.col("probe_set") == probe_set) & (pl.col("metric") == metric) & (pl.col("layer") == layer)
    for run in runs:
        own = run.geometry.filter(chosen & (pl.col("component") == "x_out")).sort("step")
        axis.plot(own["step"], own["value"], color=colour(names, run.name), linewidth=1.1, label=run.name)


def _reading() -> Section:
    return Section(
        title="How to read this",
        blocks=[
            Text(
                text="The runs were chosen by whoever compares them, so nothing here is a claim. A small p says that "
                "runs are more alike at the same steps than at shifted ones. A schedule that they share (warm-up, "
                "decay, curriculum phases at the same steps) says yes to that as well as common learning does: only "
                "the consensus test of a study, which has the schedule in its null, can tell them apart."
            )
        ],
    )
