"""The chapter of a study of sampling modes: do triggers persist when items are drawn in another way?

Here: its section, tables and figure. Not here: the rest of the report (study_report), lifts and classes (science).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from squiggle_assets.report.document import Block, Bullets, Figure, Section, Table, Text
from squiggle_assets.report.images import png
from squiggle_assets.report.study_figures import Frame
from squiggle_assets.report.style import GREY, LABEL, SMALL, canvas, colour
from squiggle_assets.report.text import MISSING, listed, mean, number, percent, plural, share

TOP_ITEMS = 20
"""Triggers shown, smallest q of being there in every mode first; trigger_modes holds all of them."""
CLASS_WORDS = {
    "robust": "shown before the event more often than chance has it in every mode, of at least two",
    "distribution-sensitive": "the lifts of the modes differ by more than chance, and it is there in some mode",
    "inconclusive": "neither was shown",
}
STATUS_WORDS = {
    "no triggers": "no half of the seeds found a trigger under it, so there is nothing that could persist",
    "no other mode": "no other mode has such an event in which its triggers could be shown",
}


def modes_chapters(trigger_modes: Frame, trigger_persistence: Frame) -> list[Section]:
    """The section about modes, as sections of a study report; frames: the tables of these names."""
    triggers, modes = trigger_modes.lazy().collect(), trigger_persistence.lazy().collect()
    title = "Triggers under other sampling modes"
    if modes.is_empty():
        told = "Nothing could be compared: fewer than two sampling modes have runs that went to their end."
        return [Section(title=title, blocks=[Text(text=told)])]
    blocks: list[Block] = [
        Text(
            text="A trigger is found on one half of the seeds and measured on the other half, under every mode: "
            "measured where it was found, it would look stronger there than elsewhere. lift: showings in the windows "
            "before an event over those that chance gives."
        ),
        _persistence(modes),
    ]
    untested = [
        f"{row['mode']}: {STATUS_WORDS[row['status']]}"
        for row in modes.sort("mode").iter_rows(named=True)
        if row["status"] in STATUS_WORDS
    ]
    if untested:
        blocks += [Text(text="Not measured:"), Bullets(items=untested)]
    return [Section(title=title, blocks=[*blocks, *_of_triggers(triggers, sorted(set(modes["mode"])))])]


def _persistence(modes: pl.DataFrame) -> Table:
    columns = (
        *("found under", "triggers", "others", "least in", "items", "lift", "families"),
        *("p binomial", "p seeds", "least p", "n", "same draws"),
    )
    rows = [
        (
            row["mode"],
            number(row["num_triggers"]),
            listed(json.loads(row["measured_in"])) or MISSING,
            str(row["against"] or MISSING),
            number(row["num_measured"]),
            mean(row["lift"]),
            mean(row["family_lift"]),
            *(share(row[name]) for name in ("p_binomial", "p_seeds", "smallest_p")),
            number(row["n_seeds"]),
            MISSING if row["share_common_draws"] is None else percent(row["share_common_draws"]),
        )
        for row in modes.sort("mode").iter_rows(named=True)
    ]
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns) - {"found under", "others", "least in"},
        caption="others: modes that have such an event and could show the triggers; least in: the one "
        "of them in which they do least, on which the rest of the row is; items: counted there. families: lift of "
        "the other items of the triggers' families, the control. p of a claim: the larger of both; least p: what the "
        "most extreme data would get. same draws: share of the draws that another mode made too. n: seeds.",
    )


def _of_triggers(triggers: pl.DataFrame, modes: Sequence[str]) -> list[Block]:
    if triggers.is_empty():
        return [Text(text="No trigger was found under any mode, so there are no lifts to compare.")]
    counts = dict(triggers["mode_class"].value_counts().iter_rows())
    said = [f"{name} ({number(counts.get(name, 0))}): {words}" for name, words in CLASS_WORDS.items()]
    top = triggers.sort("q_every", "event_signature", "item_id", nulls_last=True).head(TOP_ITEMS)
    return [
        Text(text=f"{plural(len(triggers), 'pair')} of an event and a trigger, by what became of them:"),
        Bullets(items=said),
        _lifts(top, modes),
        _table(top, len(triggers)),
    ]


def _known(row: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = json.loads(row["lifts_json"])
    return found


def _lifts(top: pl.DataFrame, modes: Sequence[str]) -> Figure:
    """The lift of each trigger in every mode, with its exact lower bound."""
    figure, (axis,) = canvas(1, 1, height=0.7 + 0.26 * len(top))
    axis.axvline(1, color=GREY, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    rows = top.to_dicts()
    for i, row in enumerate(rows):
        for mode, lift in _known(row).items():
            height = len(rows) - 1 - i + 0.22 * ((len(modes) - 1) / 2 - modes.index(mode))
            tint = colour(modes, mode)
            low = max(lift["lower"], _LEAST)
            axis.plot([low, max(low, lift["lift"])], [height, height], color=tint, linewidth=1.6, alpha=0.5)
            axis.plot(max(lift["lift"], _LEAST), height, "o", color=tint, markersize=4.5, zorder=3)
    for mode in modes:
        axis.plot([], [], "o-", color=colour(modes, mode), markersize=4.5, label=mode)
    axis.set_xscale("log")
    axis.minorticks_off()
    lo, hi = axis.get_xlim()
    ticks = [tick for tick in _TICKS if lo <= tick <= hi]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.legend(fontsize=SMALL, frameon=False, ncols=len(modes), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    axis.set_yticks(range(len(rows)), [f"{row['item_id']}, {row['event_signature']}" for row in reversed(rows)])
    axis.tick_params(axis="y", labelsize=SMALL)
    axis.set_ylim(-0.7, len(rows) - 0.3)
    axis.set_xlabel("lift (log scale)", fontsize=LABEL)
    axis.grid(axis="x", color="#eceef0", linewidth=0.6)
    return Figure(
        name="mode_lifts",
        image=png(figure),
        alt="Lift of each trigger in every sampling mode",
        caption=f"{plural(len(rows), 'trigger')} with the smallest q of being there in every mode. Dot: lift on the "
        "seeds that did not find it; bar: down to the exact one-sided 95 % lower bound; dashed: what chance gives. "
        f"n = {_measured(rows)} measuring seeds.",
    )


_LEAST = 0.05
"""A lift below it is drawn here: a log scale has no 0."""
_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def _measured(rows: Sequence[Mapping[str, Any]]) -> str:
    return listed(sorted({str(len(json.loads(row["measured_on"]))) for row in rows}))


def _table(top: pl.DataFrame, total: int) -> Table:
    columns = ("event", "item", "family", "found under", "lift by mode", "q every", "p differ", "I²", "class")
    rows = [
        (
            row["event_signature"],
            row["item_id"],
            row["family_id"],
            listed(json.loads(row["found_in"])),
            "; ".join(f"{mode} {mean(lift['lift'])} (≥ {mean(lift['lower'])})" for mode, lift in _known(row).items())
            or MISSING,
            share(row["q_every"]),
            share(row["p_heterogeneity"]),
            MISSING if row["i_squared"] is None else percent(row["i_squared"]),
            row["mode_class"],
        )
        for row in top.iter_rows(named=True)
    ]
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset({"q every", "p differ", "I²"}),
        caption=f"{number(len(rows))} of {plural(total, 'pair')}. ≥: exact one-sided lower bound. q every: of the "
        "largest p over the modes. p differ: of Cochran's Q of the lifts; I²: share of their variation that is more "
        "than chance.",
    )
