"""Figures of evidence: consensus timeline, null histograms, outcomes beside their nulls, claims.

Here: figures from consensus_events, null_draws, arm_outcomes and claims. Not here: runs (figures), captions
(study_report).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from squiggle_assets.report.style import (
    GREY,
    INK,
    LABEL,
    PALE,
    SMALL,
    VERDICTS,
    canvas,
    colour,
    note_empty,
    phase_bands,
)
from squiggle_assets.report.text import mean, number, share
from squiggle_assets.report.timeline import Timeline
from squiggle_assets.science.stats import permutation_p

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHAPES = {"spectral": "o", "sparsity": "s", "angle": "D"}
_Q_TINTS = ("#7f1d1d", "#d1495b", "#edae49", "#c3c8ce")
_NULLS = {"shift": "shift (chance)", "surrogate": "surrogate (schedule)"}


def _q_tint(q: float, alpha: float) -> str:
    edges = (alpha / 5, alpha, 4 * alpha)
    return next((tint for edge, tint in zip(edges, _Q_TINTS, strict=False) if q <= edge), _Q_TINTS[-1])


def consensus_timeline(consensus: pl.DataFrame, *, lines: Mapping[str, Timeline], alpha: float) -> Figure:
    """Consensus events of every arm: step against layer band; shape = metric group, size = support, colour = q.

    consensus: events of one probe set. Hollow: near a boundary of the schedule.
    """
    bands = consensus.select("band", "layer_lo", "layer_hi").unique().sort("layer_lo").rows()
    figure, axes = canvas(len(lines), 1, height=0.35 + 0.16 * max(1, len(bands)), sharex=True)
    lanes = {band: i for i, (band, _, _) in enumerate(bands)}
    for axis, (arm, timeline) in zip(axes, lines.items(), strict=True):
        phase_bands(axis, timeline, numbers=True)
        mine = consensus.filter(pl.col("arm") == arm)
        for row in mine.iter_rows(named=True):
            tint = _q_tint(row["q_value"], alpha)
            axis.scatter(
                row["median_step"],
                lanes[row["band"]] + 0.22 * (list(_SHAPES).index(row["metric_group"]) - 1),
                s=10 + 50 * row["support"] ** 2,
                marker=_SHAPES[row["metric_group"]],
                facecolor="white" if row["near_boundary"] else tint,
                edgecolor=tint,
                linewidth=1.1,
                zorder=3,
            )
        axis.set_ylim(-0.6, max(0.6, len(bands) - 0.4))
        axis.set_yticks(range(len(bands)), [_layers(lo, hi) for _, lo, hi in bands])
        axis.tick_params(axis="y", labelsize=6)
        axis.set_ylabel("\n".join([arm, *(f"n = {num}" for num in mine["n_seeds"].unique())]), fontsize=LABEL)
        if mine.is_empty():
            note_empty(axis, "no consensus event")
    axes[-1].set_xlabel("step", fontsize=LABEL)
    _timeline_legend(figure, alpha)
    return figure


def _layers(lo: int, hi: int) -> str:
    return f"layer {lo}" if lo == hi else f"layers {lo}–{hi}"


def _timeline_legend(figure: Figure, alpha: float) -> None:
    from matplotlib.lines import Line2D

    names = (f"q ≤ {alpha / 5:g}", f"q ≤ {alpha:g}", f"q ≤ {4 * alpha:g}", "larger q")
    plain: dict[str, Any] = {"linestyle": "none", "markersize": 6}
    handles = [
        Line2D([], [], marker="o", color=t, label=name, **plain) for t, name in zip(_Q_TINTS, names, strict=True)
    ]
    handles += [Line2D([], [], marker=shape, color=GREY, label=group, **plain) for group, shape in _SHAPES.items()]
    handles.append(Line2D([], [], marker="o", color=GREY, markerfacecolor="white", label="near a boundary", **plain))
    figure.legend(handles=handles, loc="outside upper center", ncols=8, fontsize=SMALL, frameon=False)


def null_histograms(null_draws: pl.DataFrame, *, arms: Sequence[str]) -> Figure:
    """Number of consensus events in null draws (grey) and in the data (line), per arm and null family.

    null_draws: rows of one probe set.
    """
    counts = null_draws.filter((pl.col("band") == "all") & (pl.col("metric_group") == "all"))
    figure, axes = canvas(len(arms), len(_NULLS), height=1.05, sharex=True)
    top = counts["statistic"].max()
    edges = [i - 0.5 for i in range(int(top or 0) + 3)]  # type: ignore[arg-type]
    for i, axis in enumerate(axes):
        arm, null = arms[i // len(_NULLS)], list(_NULLS)[i % len(_NULLS)]
        mine = counts.filter(pl.col("arm") == arm)
        draws = mine.filter(pl.col("null") == null)["statistic"].to_numpy()
        observed = mine.filter(pl.col("null") == "observed")["statistic"].to_list()
        _histogram(axis, draws, observed, edges, colour(arms, arm), _NULLS[null])
        if i % len(_NULLS) == 0:
            axis.set_ylabel(arm, fontsize=LABEL)
        if i >= len(axes) - len(_NULLS):
            axis.set_xlabel("consensus events", fontsize=LABEL)
    return figure


def _histogram(axis: Axes, draws: np.ndarray, observed: list[float], edges: list[float], tint: str, name: str) -> None:
    axis.set_yticks([])
    if not len(draws) or not observed:
        axis.set_title(name, fontsize=SMALL, loc="left")
        note_empty(axis, "no draws")
        return
    axis.hist(draws, bins=edges, color=PALE)
    axis.axvline(observed[0], color=tint, linewidth=2)
    p = float(permutation_p(np.array(observed[:1]), draws[:, None])[0])
    words = f"observed {number(observed[0])}, mean {mean(float(draws.mean()))}, p = {share(p)}, {len(draws):,} draws"
    axis.set_title(f"{name}: {words}", fontsize=SMALL, loc="left", color=INK)


def outcomes(arm_outcomes: pl.DataFrame, *, arms: Sequence[str]) -> Figure:
    """Each outcome of every arm: observed value (dot), null mean (diamond), 95 % interval (bar).

    Where there is a null the interval is the excess's, drawn from the null mean on: it excludes chance where the
    bar excludes the diamond.
    """
    names = arm_outcomes["outcome"].unique(maintain_order=True).to_list()
    columns = min(2, max(1, len(names)))
    num_rows = -(-max(1, len(names)) // columns)
    figure, axes = canvas(num_rows, columns, height=0.55 + 0.22 * len(arms), sharey=True)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(axes, names, strict=False):
        rows = arm_outcomes.filter(pl.col("outcome") == name)
        for row in rows.iter_rows(named=True):
            _outcome(axis, row, len(arms) - 1 - arms.index(row["arm"]), colour(arms, row["arm"]))
        axis.set_title(name, fontsize=LABEL, loc="left")
        axis.set_xlabel(rows["unit"][0], fontsize=SMALL)
        axis.set_yticks(range(len(arms)), [_with_n(arm, arm_outcomes) for arm in reversed(arms)])
        axis.set_ylim(-0.6, len(arms) - 0.4)
        axis.grid(axis="x", color="#eceef0", linewidth=0.6)
    return figure


def _with_n(arm: str, rows: pl.DataFrame) -> str:
    counts = rows.filter(pl.col("arm") == arm)["n_seeds"].unique().sort()
    return f"{arm} (n = {', '.join(map(str, counts))})"


def _outcome(axis: Axes, row: Mapping[str, Any], height: int, tint: str) -> None:
    base = row["null_mean"] if row["null_mean"] is not None else 0.0
    if row["ci_lo"] is not None and row["ci_hi"] is not None:
        axis.plot([base + row["ci_lo"], base + row["ci_hi"]], [height, height], color=tint, linewidth=2, alpha=0.55)
    if row["null_mean"] is not None:
        axis.plot(base, height, "D", color=GREY, markerfacecolor="white", markersize=5, zorder=4)
    if row["value"] is not None:
        axis.plot(row["value"], height, "o", color=tint, markersize=5.5, zorder=5)


def short_claim(row: Mapping[str, Any]) -> str:
    """A claim's name for an axis: 'blocked − iid' where the claim is named for both arms, the arm for the rest."""
    arm, against = row["arm"], row["contrast"]
    return f"{arm} − {against}" if f"{arm}-{against}" in str(row["claim"]).split(":") else str(arm)


def _kind(claim: str) -> str:
    parts = claim.split(":")
    return f"{parts[0]}: {parts[-1]}" if len(parts) > 2 else parts[0]


def claim_forest(claims: pl.DataFrame) -> Figure:
    """Every claim: estimate, 95 % interval, mean under the null (diamond) and verdict (colour); a panel per unit."""
    rows = claims.to_dicts()
    panels: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        panels.setdefault((_kind(row["claim"]), row["unit"]), []).append(row)
    ratios = [0.75 + len(own) * 0.36 for own in panels.values()] or [1.0]
    figure, axes = canvas(max(1, len(panels)), 1, height=0.8, ratios=ratios)
    if not panels:
        note_empty(axes[0], "no claims")
    for axis, ((kind, unit), own) in zip(axes, panels.items(), strict=False):
        for i, row in enumerate(own):
            _claim(axis, row, len(own) - 1 - i)
        axis.set_yticks(range(len(own)), [short_claim(row) for row in reversed(own)])
        axis.set_ylim(-0.6, len(own) - 0.4)
        axis.set_title(kind, fontsize=LABEL, loc="left")
        axis.set_xlabel(unit, fontsize=SMALL)
        axis.grid(axis="x", color="#eceef0", linewidth=0.6)
    return figure


def _claim(axis: Axes, row: Mapping[str, Any], height: int) -> None:
    verdict = str(row["verdict"])
    tint = VERDICTS[verdict]
    if row["ci_lo"] is not None and row["ci_hi"] is not None:
        axis.plot([row["ci_lo"], row["ci_hi"]], [height, height], color=tint, linewidth=2.2, alpha=0.6)
    if row["null_mean"] is not None:
        axis.plot(row["null_mean"], height, "D", color=GREY, markerfacecolor="white", markersize=5.5, zorder=4)
    if row["estimate"] is not None:
        axis.plot(row["estimate"], height, "o", color=tint, markersize=6.5, zorder=5)
    words = f"{verdict}, q {share(row['q_value'])}, n {row['n_seeds']}"
    axis.text(1.01, height, words, transform=axis.get_yaxis_transform(), fontsize=SMALL, va="center", color=tint)
