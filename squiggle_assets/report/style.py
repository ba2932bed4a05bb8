"""How all figures look: canvas, colours of arms and verdicts, phase bands, marks of events.

Here: what figures share. Not here: any figure (figures, run_figures, evidence_figures).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squiggle_assets.report.timeline import Timeline

PALETTE = ("#4c72b0", "#dd8452", "#55a868", "#8172b3", "#937860", "#c44e52", "#64b5cd", "#da8bc3", "#8c8c8c")
VERDICTS = {"supported": "#2a7f3f", "exploratory": "#a86f00", "not supported": "#5c6670", "underpowered": "#8a4fa3"}
UP, DOWN = "#c44e52", "#4c72b0"
"""Colours of a change: towards more (after orientation) and towards less."""
INK, GREY, PALE = "#222222", "#8a8f96", "#c9cdd2"
SMALL, LABEL = 7, 8
"""Font sizes in points of legends and of axes."""
WIDTH = 9.0
"""Inches of a figure of the report."""


def canvas(
    rows: int,
    columns: int,
    *,
    width: float = WIDTH,
    height: float = 2.0,
    ratios: Sequence[float] | None = None,
    **subplots: Any,
) -> tuple[Figure, list[Axes]]:
    """A figure of its own (no global state of pyplot) and its axes, row by row.

    height: inches of a row; ratios: heights of the rows relative to it; subplots: sharex, sharey.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    total = rows if ratios is None else sum(ratios)
    figure = Figure(figsize=(width, height * total + 0.35), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=ratios, **subplots)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(GREY)
        axis.tick_params(labelsize=LABEL, color=GREY)
    return figure, list(axes.flat)


def colour(arms: Sequence[str], arm: str) -> str:
    """The arm's colour: by its place among the arms, so that it is the same in every figure."""
    return PALETTE[list(arms).index(arm) % len(PALETTE)]


def legend(axis: Axes, **given: Any) -> None:
    """A small legend without a frame, if there is anything in it."""
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=SMALL, frameon=False, **given)


def note_empty(axis: Axes, words: str = "nothing to show") -> None:
    """Say in an empty panel that it is empty on purpose."""
    axis.text(0.5, 0.5, words, ha="center", va="center", fontsize=LABEL, color=GREY, transform=axis.transAxes)


def phase_bands(axis: Axes, timeline: Timeline, *, numbers: bool = False) -> None:
    """Shade every second curriculum phase and the plant, dot the ends of warm-up and stable rate, fix the limits.

    numbers: write each phase's number (from 1) above the panel; the names are in the table of phases.
    """
    edges = [*(step for step, _ in timeline.phases), timeline.last]
    for i, (start, end) in enumerate(pairwise(edges)):
        if i % 2:
            axis.axvspan(start, end, color="#000000", alpha=0.055, linewidth=0, zorder=0)
        if numbers and len(edges) > 2:
            transform = axis.get_xaxis_transform()
            axis.text((start + end) / 2, 1.01, str(i + 1), transform=transform, ha="center", fontsize=6, color=GREY)
    if timeline.plant is not None:
        axis.axvspan(*timeline.plant, color="#e3b505", alpha=0.35, linewidth=0, zorder=0)
    for step in (timeline.warmup_end, timeline.decay_start):
        axis.axvline(step, color=GREY, linewidth=0.7, linestyle=(0, (1, 2)), zorder=0)
    axis.set_xlim(0, timeline.last)


def consensus_marks(axis: Axes, events: pl.DataFrame, alpha: float, height: float, transform: Any = None) -> None:
    """Triangles at the median steps of consensus events, pointing as they move: black where q <= alpha, else grey.

    Hollow where a schedule boundary is near. height: in the units of transform (default: the data's).
    """
    given = {} if transform is None else {"transform": transform}
    for row in events.iter_rows(named=True):
        tint = INK if row["q_value"] <= alpha else "#a9aeb5"
        axis.plot(
            row["median_step"],
            height,
            "^" if row["polarity"] > 0 else "v",
            color=tint,
            markerfacecolor="white" if row["near_boundary"] else tint,
            markersize=5,
            markeredgewidth=0.9,
            clip_on=False,
            zorder=5 if tint == INK else 4,
            **given,
        )
