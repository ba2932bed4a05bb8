"""Figures of one run: training, geometry layer by layer, where and when its events lie.

Here: figures from the tables of a single run. Not here: several runs (figures), captions (run_report).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from squiggle_assets.report.figures import loss_panels
from squiggle_assets.report.style import DOWN, LABEL, UP, canvas, note_empty, phase_bands
from squiggle_assets.report.timeline import Timeline
from squiggle_assets.science.metrics import ORIENTATION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_LABELS = 50
"""Lines that can be labelled without the labels touching."""
_PROBES = {"a": "probe set a (in distribution)", "b": "probe set b (held out)"}


def training(scalars: pl.DataFrame, timeline: Timeline) -> Figure:
    """Loss, answers right, learning rate and gradient norm of one run."""
    figure, axes = canvas(2, 2, height=2.2, sharex=True)
    loss_panels(axes[:2], scalars)
    for axis, metric, name in (
        (axes[2], "lr", "learning rate"),
        (axes[3], "grad_norm", "gradient norm before clipping"),
    ):
        rows = scalars.filter(pl.col("metric") == metric).sort("step")
        axis.plot(rows["step"], rows["value"], color="#4c72b0", linewidth=1)
        axis.set_ylabel(name, fontsize=LABEL)
        axis.set_xlabel("step", fontsize=LABEL)
        if rows.is_empty():
            note_empty(axis, "not measured")
    for axis in axes:
        phase_bands(axis, timeline)
    return figure


def geometry_layers(geometry: pl.DataFrame, events: pl.DataFrame, timeline: Timeline) -> Figure:
    """Every metric (rows) on both probe sets (columns), a line a layer, dots where single change points were found."""
    from matplotlib import colormaps

    layers = geometry["layer"].unique().sort().to_list()
    tints = {layer: colormaps["viridis"](0.05 + 0.85 * i / max(1, len(layers) - 1)) for i, layer in enumerate(layers)}
    keys = ["probe_set", "component", "layer", "metric", "step"]
    points = geometry.join(events.filter(pl.col("event_type") == "change_point").select(keys), on=keys, how="semi")
    figure, axes = canvas(len(ORIENTATION), 2, height=1.35, sharex=True, sharey="row")
    for i, axis in enumerate(axes):
        metric, probe = list(ORIENTATION)[i // 2], list(_PROBES)[i % 2]
        here = (pl.col("metric") == metric) & (pl.col("probe_set") == probe)
        phase_bands(axis, timeline, numbers=i < 2)
        for (layer, _), one in geometry.filter(here).sort("step").group_by("layer", "component", maintain_order=True):
            axis.plot(one["step"], one["value"], color=tints[layer], linewidth=1)
        for row in points.filter(here).iter_rows(named=True):
            axis.plot(row["step"], row["value"], "o", color=tints[row["layer"]], markersize=3)
        if i % 2 == 0:
            axis.set_ylabel(metric, fontsize=LABEL)
        if i < 2:
            axis.set_title(_PROBES[probe], fontsize=LABEL, pad=12)
        if i >= len(axes) - 2:
            axis.set_xlabel("step", fontsize=LABEL)
    _layer_legend(figure, tints)
    return figure


def _layer_legend(figure: Figure, tints: dict[int, tuple[float, float, float, float]]) -> None:
    from matplotlib.lines import Line2D

    shown = list(tints) if len(tints) <= 10 else [*list(tints)[:: -(-len(tints) // 9)], list(tints)[-1]]
    handles = [Line2D([], [], color=tints[layer], label=f"layer {layer}") for layer in dict.fromkeys(shown)]
    figure.legend(handles=handles, loc="outside upper center", ncols=10, fontsize=LABEL, frameon=False)


def event_map(events: pl.DataFrame, timeline: Timeline) -> Figure:
    """Single change points by series (a line each) and step: colour = direction after orientation, size = score."""
    singles = events.filter(pl.col("event_type") == "change_point")
    keys = singles.select("metric", "component", "layer").unique()
    order = sorted(keys.rows(), key=lambda key: (list(ORIENTATION).index(key[0]), key[1], key[2]), reverse=True)
    lanes = {key: i for i, key in enumerate(order)}
    figure, axes = canvas(1, 2, height=0.5 + min(7.0, 0.14 * max(4, len(lanes))), sharey=True)
    for axis, (probe, name) in zip(axes, _PROBES.items(), strict=True):
        phase_bands(axis, timeline, numbers=True)
        rows = singles.filter(pl.col("probe_set") == probe)
        for row in rows.iter_rows(named=True):
            score = 0.5 if row["score"] is None else row["score"]
            axis.scatter(
                row["step"],
                lanes[row["metric"], row["component"], row["layer"]],
                s=4 + 30 * max(0.0, 2 * score - 1),
                color=UP if row["polarity"] * ORIENTATION[row["metric"]] > 0 else DOWN,
                linewidth=0,
                alpha=0.75,
            )
        axis.set_title(name, fontsize=LABEL, pad=12)
        axis.set_xlabel("step", fontsize=LABEL)
        if rows.is_empty():
            note_empty(axis, "no events")
    every = -(-len(order) // _MAX_LABELS) or 1
    axes[0].set_yticks(range(0, len(order), every), [f"{m} {layer}" for m, _, layer in order[::every]], fontsize=6)
    return figure
