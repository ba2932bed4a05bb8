"""Figures of the runs of a study: trajectories of geometry, event rasters, validation; the loss curve of one run.

Here: figures from run tables over arms and seeds. Not here: figures of one run's analysis (run_figures) or of
evidence (evidence_figures), captions (study_report). Every panel says its n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from squiggle_assets.report.style import (
    DOWN,
    LABEL,
    PALE,
    UP,
    canvas,
    colour,
    consensus_marks,
    legend,
    note_empty,
    phase_bands,
)
from squiggle_assets.report.timeline import Timeline
from squiggle_assets.science.metrics import ORIENTATION
from squiggle_assets.science.stats import t_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VALIDATION = {
    "val_random_loss": "held-out items: loss\n(nats per token)",
    "val_family_loss": "held-out family: loss\n(nats per token)",
    "val_random_answer_acc": "held-out items:\nanswers right",
    "val_family_answer_acc": "held-out family:\nanswers right",
}
"""Validation scalars that reports show, and what they are called there."""
_SPLITS = {"val_random": ("#4c72b0", "held-out items"), "val_family": ("#c44e52", "held-out family")}


def loss_curve(scalars: pl.DataFrame, *, title: str) -> Figure:
    """Training loss with validation losses and answer accuracies of one run."""
    figure, axes = canvas(1, 2, height=2.6)
    loss_panels(axes, scalars)
    for axis in axes:
        axis.set_xlabel("step", fontsize=LABEL)
    figure.suptitle(title, fontsize=9)
    return figure


def loss_panels(axes: Sequence[Axes], scalars: pl.DataFrame) -> None:
    """Draw one run's losses into the first panel and its shares of right answers into the second."""
    loss = scalars.filter(pl.col("metric") == "loss").sort("step")
    axes[0].plot(loss["step"], loss["value"], color=PALE, linewidth=0.7, label="training (batch)")
    for split, (tint, name) in _SPLITS.items():
        for axis, what in ((axes[0], "loss"), (axes[1], "answer_acc")):
            rows = scalars.filter(pl.col("metric") == f"{split}_{what}").sort("step")
            axis.plot(rows["step"], rows["value"], "o-", color=tint, markersize=3, linewidth=1.2, label=name)
    axes[0].set_ylabel("loss (nats per token)", fontsize=LABEL)
    axes[1].set_ylabel("answers right (teacher-forced)", fontsize=LABEL)
    axes[1].set_ylim(bottom=-0.03 * axes[1].get_ylim()[1])
    for axis in axes:
        legend(axis)


def trajectories(
    geometry: pl.DataFrame,
    consensus: pl.DataFrame,
    *,
    metric: str,
    layers: Sequence[int],
    lines: Mapping[str, Timeline],
    alpha: float,
) -> Figure:
    """One metric: a row per arm, a column per layer, every seed thin and the median over seeds thick.

    geometry: rows of one probe set; consensus: events of the same probe set and the metric's group. Marks above a
    panel: consensus events whose band holds the layer (black: q <= alpha; hollow: near a boundary).
    """
    arms, columns = list(lines), len(layers)
    figure, axes = canvas(len(arms), columns, height=1.15, sharex=True, sharey="col")
    rows = geometry.filter((pl.col("metric") == metric) & pl.col("layer").is_in(list(layers)))
    for i, axis in enumerate(axes):
        arm, layer = arms[i // columns], layers[i % columns]
        mine = rows.filter((pl.col("arm") == arm) & (pl.col("layer") == layer))
        phase_bands(axis, lines[arm], numbers=True)
        num = _seed_lines(axis, mine, colour(arms, arm))
        here = (pl.col("arm") == arm) & (pl.col("layer_lo") <= layer) & (pl.col("layer_hi") >= layer)
        consensus_marks(axis, consensus.filter(here), alpha, 0.95, axis.get_xaxis_transform())
        if i % columns == 0:
            axis.set_ylabel(f"{arm}\nn = {num}", fontsize=LABEL)
        if i < columns:
            axis.set_title(f"layer {layer}", fontsize=LABEL, pad=12)
        if i // columns == len(arms) - 1:
            axis.set_xlabel("step", fontsize=LABEL)
    figure.suptitle(metric, fontsize=9)
    return figure


def _seed_lines(axis: Axes, rows: pl.DataFrame, tint: str) -> int:
    seeds = rows["seed"].unique().sort()
    if rows.is_empty():
        note_empty(axis)
        return 0
    for (_,), one in rows.sort("step").group_by("seed", maintain_order=True):
        axis.plot(one["step"], one["value"], color=tint, linewidth=0.5, alpha=0.45)
    middle = rows.group_by("step").agg(pl.col("value").median()).sort("step")
    axis.plot(middle["step"], middle["value"], color=tint, linewidth=1.5)
    return len(seeds)


def raster(
    events: pl.DataFrame, consensus: pl.DataFrame, *, lines: Mapping[str, Timeline], alpha: float, height: float = 0.13
) -> Figure:
    """Single change points of every seed (a line a seed, a block an arm), consensus events as triangles above.

    Both frames hold one probe set. height: inches of a seed's line.
    """
    singles = events.filter(pl.col("event_type") == "change_point")
    seeds = {arm: singles.filter(pl.col("arm") == arm)["seed"].unique().sort().to_list() for arm in lines}
    ratios = [max(4, len(own) + 2) for own in seeds.values()]
    figure, axes = canvas(len(lines), 1, height=height, ratios=ratios, sharex=True)
    for axis, (arm, timeline) in zip(axes, lines.items(), strict=True):
        mine, own = singles.filter(pl.col("arm") == arm), seeds[arm]
        phase_bands(axis, timeline, numbers=True)
        _ticks(axis, mine, own)
        consensus_marks(axis, consensus.filter(pl.col("arm") == arm), alpha, len(own) + 0.1)
        axis.set_ylim(-0.8, len(own) + 0.8)
        axis.set_yticks([])
        axis.set_ylabel(f"{arm}\nn = {len(own)}", fontsize=LABEL)
    axes[-1].set_xlabel("step", fontsize=LABEL)
    return figure


def _ticks(axis: Axes, rows: pl.DataFrame, seeds: Sequence[int]) -> None:
    oriented = pl.col("polarity") * pl.col("metric").replace_strict(dict(ORIENTATION), return_dtype=pl.Int64)
    signed = rows.select("seed", "step", oriented.alias("sign"))
    for sign, tint in ((1, UP), (-1, DOWN)):
        one = signed.filter(pl.col("sign") == sign)
        lanes = [seeds.index(seed) for seed in one["seed"]]
        axis.plot(one["step"].to_list(), lanes, "|", color=tint, markersize=6, markeredgewidth=0.9, alpha=0.6)


def validation(scalars: pl.DataFrame, *, arms: Sequence[str]) -> Figure:
    """Held-out loss and accuracy of every arm: mean over seeds with its 95 % t interval, arms side by side."""
    figure, axes = canvas(2, 2, height=2.5, sharex=True)
    for axis, (metric, name) in zip(axes, VALIDATION.items(), strict=True):
        rows = scalars.filter(pl.col("metric") == metric)
        steps = rows["step"].unique().sort().to_list()
        gap = 0.35 * min(np.diff(steps), default=1) / len(arms)
        for i, arm in enumerate(arms):
            _mean_line(axis, rows.filter(pl.col("arm") == arm), arm, colour(arms, arm), gap * (i - len(arms) / 2))
        if rows.is_empty():
            note_empty(axis, "not measured")
        axis.set_ylabel(name, fontsize=LABEL)
        axis.grid(axis="y", color="#eceef0", linewidth=0.6)
    for axis in axes[2:]:
        axis.set_ylim(bottom=-0.03 * axis.get_ylim()[1])
        axis.set_xlabel("step (arms drawn beside one another)", fontsize=LABEL)
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper center", ncols=6, fontsize=LABEL, frameon=False)
    return figure


def _mean_line(axis: Axes, rows: pl.DataFrame, arm: str, tint: str, shift: float) -> None:
    if rows.is_empty():
        return
    steps, means, lows, highs = [], [], [], []
    for (step,), one in rows.sort("step").group_by("step", maintain_order=True):
        values = one["value"].to_numpy()
        span = t_interval(values)
        steps.append(float(step) + shift)
        means.append(values.mean())
        lows.append(values.mean() - span.lo)
        highs.append(span.hi - values.mean())
    axis.errorbar(
        steps,
        means,
        yerr=[lows, highs],
        fmt="o-",
        color=tint,
        markersize=2.5,
        linewidth=0.9,
        elinewidth=0.9,
        label=f"{arm} (n = {rows['seed'].n_unique()})",
    )
