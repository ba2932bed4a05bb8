"""Figures of runs: loss curves, trajectories of geometry, event rasters.

Here: figures from run tables. Not here: figures of evidence (evidence_figures), documents (document).
Every figure says its n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from squiggle_assets.report.style import canvas, colour, phase_bands

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Boundaries = Sequence[tuple[int, str]]


def loss_curve(scalars: pl.DataFrame, *, title: str) -> Figure:
    """Training loss with validation losses and answer accuracies of one run."""
    figure, axes = canvas(1, 2, height=2.6)
    loss = scalars.filter(pl.col("metric") == "loss").sort("step")
    axes[0].plot(loss["step"], loss["value"], color="#bbbbbb", linewidth=0.7, label="training (batch)")
    for i, split in enumerate(("val_random", "val_family")):
        for axis, what in ((axes[0], "loss"), (axes[1], "answer_acc")):
            rows = scalars.filter(pl.col("metric") == f"{split}_{what}").sort("step")
            axis.plot(rows["step"], rows["value"], "o-", color=("#4c72b0", "#c44e52")[i], markersize=3, label=split)
    axes[0].set_ylabel("nats per token", fontsize=8)
    axes[1].set_ylabel("answers right (teacher-forced)", fontsize=8)
    axes[1].set_ylim(bottom=0)
    for axis in axes:
        axis.set_xlabel("step", fontsize=8)
        axis.legend(fontsize=7, frameon=False)
    figure.suptitle(title, fontsize=9)
    return figure


def trajectories(
    geometry: pl.DataFrame, *, arms: Sequence[str], metric: str, layer: int, boundaries: Mapping[str, Boundaries]
) -> Figure:
    """One metric of one layer on probe set a: every seed thin, the median thick, a row per arm, phases shaded."""
    rows = geometry.filter((pl.col("metric") == metric) & (pl.col("layer") == layer) & (pl.col("probe_set") == "a"))
    figure, axes = canvas(len(arms), 1, height=1.3)
    for axis, arm in zip(axes, arms, strict=True):
        mine = rows.filter(pl.col("arm") == arm).sort("seed", "step")
        seeds = mine["seed"].unique().sort()
        for seed in seeds:
            one = mine.filter(pl.col("seed") == seed)
            axis.plot(one["step"], one["value"], color=colour(arms, arm), linewidth=0.5, alpha=0.5)
        middle = mine.group_by("step").agg(pl.col("value").median()).sort("step")
        axis.plot(middle["step"], middle["value"], color=colour(arms, arm), linewidth=1.6)
        if not mine.is_empty():
            phase_bands(axis, boundaries.get(arm, ()), int(mine["step"].max()))  # type: ignore[arg-type]
        axis.set_ylabel(f"{arm}\nn={len(seeds)}", fontsize=8)
    axes[-1].set_xlabel("step", fontsize=8)
    figure.suptitle(f"{metric}, layer {layer}, probe set a", fontsize=9)
    return figure


def raster(
    events: pl.DataFrame,
    consensus: pl.DataFrame,
    *,
    arms: Sequence[str],
    boundaries: Mapping[str, Boundaries],
    last: int,
) -> Figure:
    """Events of every seed (a row a seed, a block an arm) on probe set a, consensus events as triangles above."""
    figure, axes = canvas(len(arms), 1, height=1.2)
    singles = events.filter((pl.col("event_type") == "change_point") & (pl.col("probe_set") == "a"))
    for axis, arm in zip(axes, arms, strict=True):
        mine = singles.filter(pl.col("arm") == arm)
        seeds = mine["seed"].unique().sort().to_list()
        for i, seed in enumerate(seeds):
            one = mine.filter(pl.col("seed") == seed)
            for sign, tint in ((1, "#c44e52"), (-1, "#4c72b0")):
                steps = one.filter(pl.col("polarity") == sign)["step"]
                axis.plot(steps, [i] * len(steps), "|", color=tint, markersize=6, alpha=0.6)
        agreed = consensus.filter((pl.col("arm") == arm) & (pl.col("probe_set") == "a"))
        strong = agreed.filter(pl.col("q_value") <= 0.05)
        weak = agreed.filter(pl.col("q_value") > 0.05)
        axis.plot(weak["median_step"], [len(seeds)] * len(weak), "v", color="#bbbbbb", markersize=4)
        axis.plot(strong["median_step"], [len(seeds)] * len(strong), "v", color="#000000", markersize=5)
        phase_bands(axis, boundaries.get(arm, ()), last)
        axis.set_ylim(-0.7, len(seeds) + 0.7)
        axis.set_yticks([])
        axis.set_ylabel(f"{arm}\nn={len(seeds)}", fontsize=8)
    axes[-1].set_xlabel("step", fontsize=8)
    figure.suptitle("events by seed (red up, blue down); triangles: consensus events, black where q <= .05", fontsize=9)
    return figure
