"""How all figures look: canvas, colours of arms and verdicts, phase bands.

Here: what figures share. Not here: any figure (figures, evidence_figures).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#4c72b0", "#55a868", "#c44e52", "#8172b3", "#937860", "#da8bc3", "#8c8c8c", "#ccb974", "#64b5cd")
VERDICTS = {"supported": "#2a7f3f", "exploratory": "#c08a1e", "not supported": "#6b6b6b", "underpowered": "#8a4fa3"}


def canvas(rows: int, columns: int, *, width: float = 9.0, height: float = 2.0) -> tuple[Figure, list[Axes]]:
    """A figure of its own (no global state of pyplot) and its axes, row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    return figure, list(axes.flat)


def colour(arms: Sequence[str], arm: str) -> str:
    """The arm's colour: by its place among the arms, so that it is the same in every figure."""
    return PALETTE[list(arms).index(arm) % len(PALETTE)]


def phase_bands(axis: Axes, boundaries: Sequence[tuple[int, str]], last: int) -> None:
    """Shade every second curriculum phase; boundaries are (first step, name) of all phases but the first."""
    edges = [0, *(step for step, _ in boundaries), last]
    for i in range(len(edges) - 1):
        if i % 2:
            axis.axvspan(edges[i], edges[i + 1], color="#000000", alpha=0.05, linewidth=0)
    axis.set_xlim(0, last)
