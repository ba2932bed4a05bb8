"""The figures of a calibration study: p of equal halves, recall of known triggers, scores, runs on subsets.

Here: figure blocks from its tables. Not here: words and tables (chapters_calibration).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from squiggle_assets.report.document import Figure
from squiggle_assets.report.images import png
from squiggle_assets.report.style import GREY, INK, LABEL, PALE, PALETTE, SMALL, canvas, legend, note_empty
from squiggle_assets.report.text import mean, number
from squiggle_assets.science.calibration import TRIGGERS
from squiggle_assets.science.calibration_spec import CalibrationSpec


def halves(simulated: pl.DataFrame, resplits: pl.DataFrame, alpha: float) -> Figure:
    """Share of comparisons of equal halves with a p at most so large."""
    figure, axes = canvas(1, 2, height=2.9, sharey=True)
    panels = (("simulated arms", simulated, "scenario"), ("splits of real runs (dependent)", resplits, "arm"))
    for axis, (title, rows, by) in zip(axes, panels, strict=True):
        axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (3, 3)), label="nothing there", zorder=0)
        axis.axvline(alpha, color=PALE, linewidth=0.8, zorder=0)
        for i, ((name,), own) in enumerate(rows.group_by(by, maintain_order=True)):
            p = np.sort(own["p_value"].to_numpy())
            reached = np.arange(1, len(p) + 1) / len(p)
            label = f"{name} (n = {number(len(p))})"
            axis.step([0, *p, 1], [0, *reached, 1], where="post", color=PALETTE[i % len(PALETTE)], label=label)
        if rows.is_empty():
            note_empty(axis, "none")
        axis.set_title(title, fontsize=LABEL, loc="left", color=INK)
        axis.set_xlabel("p", fontsize=LABEL)
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1.01)
        legend(axis, loc="upper left")
    axes[0].set_ylabel("share with at most this p", fontsize=LABEL)
    return Figure(
        name="equal_halves",
        image=png(figure),
        alt="Share of comparisons of equal halves by their p",
        caption=f"Above the dashed line: p too small too often. Thin line: alpha {alpha:g}. n: comparisons.",
    )


def recall(curve: pl.DataFrame, spec: CalibrationSpec) -> Figure:
    """Recall and false discoveries by the size of the effect."""
    figure, (axis,) = canvas(1, 1, height=2.9)
    for name, tint, label in (("recall", PALETTE[0], "recall"), ("fdr", PALETTE[5], "false discoveries")):
        known = curve.drop_nulls(name).sort("extra")
        at = known["extra"].to_list()
        spans = known.drop_nulls([f"{name}_lo", f"{name}_hi"])
        axis.fill_between(spans["extra"], spans[f"{name}_lo"], spans[f"{name}_hi"], color=tint, alpha=0.2, linewidth=0)
        axis.plot(at, known[name], "o-", color=tint, markersize=4, label=label)
    axis.axhline(
        spec.min_recall, color=GREY, linewidth=0.8, linestyle="--", label=f"recall has to be {spec.min_recall:g}"
    )
    axis.axhline(spec.max_fdr, color=GREY, linewidth=0.8, linestyle=":", label=f"false at most {spec.max_fdr:g}")
    axis.axvline(spec.extra, color=PALE, linewidth=0.8, zorder=0)
    axis.set_xlabel("extra showings of each trigger per event window and seed", fontsize=LABEL)
    axis.set_ylabel("share", fontsize=LABEL)
    axis.set_ylim(-0.02, 1.02)
    legend(axis, loc="center right")
    num = max(curve["num_studies"])
    return Figure(
        name="trigger_recall",
        image=png(figure),
        alt="Recall and false discoveries of known triggers by the size of their effect",
        caption=f"Band: 95 % interval; n = {num} simulated arms a size. Thin upright line: the size that is asked for.",
    )


def scores(table: pl.DataFrame) -> Figure:
    """The linear datamodeling score of every score, with the ceiling."""
    rows = table.filter(pl.col("lds").is_not_null()).to_dicts()
    figure, (axis,) = canvas(1, 1, height=0.7 + 0.28 * len(rows))
    axis.axvline(0, color=GREY, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    for i, row in enumerate(rows):
        height, tint = len(rows) - 1 - i, PALETTE[0] if row["method"] == TRIGGERS else GREY
        if row["ci_lo"] is not None and row["ci_hi"] is not None:
            axis.plot([row["ci_lo"], row["ci_hi"]], [height, height], color=tint, linewidth=2.2, alpha=0.55)
        axis.plot(row["lds"], height, "o", color=tint, markersize=6, zorder=5)
    known = [row for row in rows if row["ceiling"] is not None]
    if known:
        top = known[0]
        axis.axvline(top["ceiling"], color=INK, linewidth=1.0)
        if top["ceiling_lo"] is not None and top["ceiling_hi"] is not None:
            axis.axvspan(top["ceiling_lo"], top["ceiling_hi"], color=PALE, alpha=0.35, linewidth=0, zorder=0)
        axis.text(top["ceiling"], len(rows) - 0.45, f"  ceiling {mean(top['ceiling'])}", fontsize=SMALL)
    axis.set_yticks(range(len(rows)), [f"{row['arm']}: {row['method']}" for row in reversed(rows)])
    axis.set_ylim(-0.6, len(rows) - 0.1)
    axis.set_xlabel("linear datamodeling score (mean Spearman correlation)", fontsize=LABEL)
    axis.grid(axis="x", color="#eceef0", linewidth=0.6)
    num = max(row["num_subsets"] for row in rows)
    return Figure(
        name="lds",
        image=png(figure),
        alt="Linear datamodeling score of every attribution score with the ceiling",
        caption=f"Bar: 95 % interval; blue: the score that a claim rests on; n = {num} runs on subsets.",
    )


def subsets(outcomes: pl.DataFrame) -> Figure:
    """What runs on subsets do at the event, by how many planted items they could draw."""
    known = outcomes.filter(pl.col("outcome").is_not_null())
    figure, (axis,) = canvas(1, 1, height=2.7)
    axis.axhline(0, color=GREY, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    for i, ((condition,), own) in enumerate(known.sort("condition").group_by("condition", maintain_order=True)):
        shift = 0.12 * (i - 0.5)
        label = f"{condition} (n = {number(len(own))})"
        axis.plot(
            own["num_planted"] + shift, own["outcome"], "o", color=PALETTE[i], markersize=3.5, alpha=0.7, label=label
        )
    middle = known.group_by("num_planted").agg(pl.col("outcome").mean()).sort("num_planted")
    axis.plot(middle["num_planted"], middle["outcome"], color=INK, linewidth=1.4, label="mean")
    if known.is_empty():
        note_empty(axis, "no run has an outcome")
    axis.set_xlabel("planted items in the subset", fontsize=LABEL)
    axis.set_ylabel("change at the planted place\n(robust sd)", fontsize=LABEL)
    legend(axis, loc="upper left")
    return Figure(
        name="subset_outcomes",
        image=png(figure),
        alt="Outcome of every run on a subset by the number of planted items in it",
        caption="Dot: one run; line: mean. repeat: a second run of the same subset with another seed. If the planted "
        "items make the event, runs with more of them move more.",
    )
