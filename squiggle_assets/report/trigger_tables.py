"""Tables and the figure of a trigger report: design, triggers, selection, effects, strengths by seed.

Here: frames to document blocks. Not here: order and prose (trigger_report).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from squiggle_assets.report.document import Figure, Table
from squiggle_assets.report.images import png
from squiggle_assets.report.style import GREY, INK, LABEL, PALETTE, SMALL, canvas
from squiggle_assets.report.text import mean, number, plural, share, with_interval

TOP_ITEMS = 25
"""Items shown, best first; trigger_attribution holds all that a window holds."""
CONDITIONS = ("exact", "placebo", "replace", "remove", "late", "early")
"""Order in which conditions are shown."""


def lifts(table: pl.DataFrame) -> Table:
    """The smallest lift that attribution would find, by lag."""
    columns = ("lag", "window (steps)", "items", "showings by chance", "smallest lift", "extra showings a window")
    unique = table.select(pl.exclude("arm")).unique().sort("lag")
    rows = [
        (
            number(row["lag"]),
            number(row["window_steps"]),
            number(row["num_items"]),
            mean(row["expected_window"]),
            mean(row["minimum_lift"]),
            mean(row["minimum_extra"]),
        )
        for row in unique.iter_rows(named=True)
    ]
    power = unique["power"][0]
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns),
        caption=f"Smallest lift of one lone item that is found with power {power:g}, all items equally likely; by "
        "chance: over the windows of all seeds.",
    )


def status(table: pl.DataFrame) -> Table:
    """What attribution says of every event."""
    columns = ("arm", "event", "seeds", "items tested", "in a window", "triggers", "smallest q", "answer")
    rows = [
        (
            row["arm"],
            row["event_signature"],
            number(row["num_seeds"]),
            number(row["num_tested"]),
            number(row["num_shown"]),
            number(row["num_triggers"]),
            share(row["smallest_q"]),
            row["status"],
        )
        for row in table.sort("arm", "consensus_event_id").iter_rows(named=True)
    ]
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns[2:7]),
        caption=f"Significant consensus events ({number(len(rows))}), and whether items stand out before them.",
    )


def items(table: pl.DataFrame) -> Table:
    """The items that stand out most, with the authors' frequency score beside."""
    columns = (
        "arm",
        "event",
        "item",
        "family",
        "shown",
        "by chance",
        "lift",
        "log lift ≥",
        "q",
        "trigger",
        "frequency",
    )
    top = table.sort("q_value", "p_lags", "item_id").head(TOP_ITEMS)
    rows = [
        (
            row["arm"],
            row["event_signature"],
            row["item_id"],
            row["family_id"],
            number(row["count_window"]),
            mean(row["expected_window"]),
            mean(row["lift"]),
            mean(row["lb05"]),
            share(row["q_value"]),
            "yes" if row["is_trigger"] else "no",
            mean(row["score_freq"]),
        )
        for row in top.iter_rows(named=True)
    ]
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset({"shown", "by chance", "lift", "log lift ≥", "q", "frequency"}),
        caption=f"The {number(len(rows))} of {number(len(table))} rows with the smallest q. log lift ≥: 5 % quantile "
        "of the shrunken log lift. frequency: the earlier score, which knows no base rate; it decides nothing.",
    )


def selection(table: pl.DataFrame) -> Table:
    """The frozen choices that replays went by."""
    columns = ("follow-up arm", "event", "step", "edited draws", "items", "families")
    rows = [
        (
            row["arm"],
            str(row["event_signature"]),
            number(row["event_step"]),
            f"steps {row['window_first']} to {row['window_stop'] - 1}"
            if row["edit_scope"] == "window"
            else "whole run",
            number(row["n_items"]),
            str(row["family_id"]),
        )
        for row in table.filter(pl.col("status") == "selected").sort("arm").iter_rows(named=True)
    ]
    return Table(columns=columns, rows=rows, numeric=frozenset({"step", "items"}), caption="Frozen before any replay.")


def effects(table: pl.DataFrame, where: str) -> Table:
    """Every condition against its control, with its label."""
    columns = (
        "event",
        "condition",
        "control",
        "present",
        "risk difference",
        "delay (steps)",
        "strength",
        "q",
        "n",
        "label",
    )
    rows, notes = [], []
    for row in table.filter(pl.col("status") == "selected").iter_rows(named=True):
        level = row["p_value"] if row["q_value"] is None else row["q_value"]
        rows.append(
            (
                row["consensus_event_id"][:8],
                edit_name(row),
                row["control"],
                f"{share(row['share_present'])} / {share(row['share_present_control'])}",
                with_interval(row["effect_rd"], row["ci_lo"], row["ci_hi"]),
                with_interval(row["delay_difference"], row["delay_ci_lo"], row["delay_ci_hi"]),
                with_interval(row["magnitude_difference"], row["magnitude_ci_lo"], row["magnitude_ci_hi"]),
                share(level),
                number(row["n_seeds"]) + (f" ({row['num_unedited']} unedited)" if row["num_unedited"] else ""),
                row["label"],
            )
        )
        notes.append(row["reason"])
    return Table(
        columns=columns,
        rows=rows,
        notes=notes,
        numeric=frozenset({"q", "n"}),
        caption=f"Effects {where}, condition less control, paired by seed, 95 % intervals. present: share of seeds "
        "with the event, condition / control. strength in envelopes. n: seeds with edits; unedited: seeds whose parent "
        "drew no trigger in the window. q over the family; of the best half (quarter, "
        "...) of the triggers the largest p on the way down from all of them; for the placebo, which is in no family, "
        "p.",
    )


def edit_name(row: Mapping[str, Any]) -> str:
    """What was edited: the condition, and which part of the triggers if not all."""
    return str(row["condition"]) if row["part"] == 1 else f"{row['condition']} (best 1/{row['part']})"


def acting(table: pl.DataFrame, where: str) -> list[str]:
    """One sentence an event and condition whose parts were replayed: how few items still act."""
    found = []
    for row in table.filter(pl.col("n_tried").list.len() > 1).iter_rows(named=True):
        tried = ", ".join(number(size) for size in row["n_tried"])
        best = (
            "none kills or delays it" if row["n_acting"] is None else f"smallest that does: {number(row['n_acting'])}"
        )
        found.append(
            f"Does {row['condition']} of the best {tried} items still kill or delay event "
            f"{row['consensus_event_id'][:8]}, {where}? {best[0].upper()}{best[1:]}."
        )
    return found


def strengths(runs: pl.DataFrame) -> Figure:
    """The event's strength in every replay, by condition, one panel an event; seeds joined by lines."""
    runs = runs.with_columns(edit=pl.struct("condition", "part").map_elements(edit_name, return_dtype=pl.String))
    places_of = {name: (CONDITIONS.index(name.split(" ")[0]), name) for name in set(runs["edit"])}
    panels = runs.group_by("consensus_event_id", maintain_order=True).agg(pl.col("event_signature").first()).rows()
    figure, axes = canvas(1, len(panels), height=2.6, sharey=True)
    for axis, (event, signature) in zip(axes, panels, strict=True):
        own = runs.filter(pl.col("consensus_event_id") == event)
        shown = sorted(set(own["edit"]), key=places_of.__getitem__)
        by_seed = own.group_by("seed", "edit").agg(pl.col("magnitude").mean())
        for seed in sorted(set(own["seed"])):
            mine = dict(by_seed.filter(pl.col("seed") == seed).select("edit", "magnitude").rows())
            places = [i for i, name in enumerate(shown) if name in mine]
            axis.plot(places, [mine[shown[i]] for i in places], color=GREY, linewidth=0.6, alpha=0.6, zorder=1)
        for i, name in enumerate(shown):
            values = by_seed.filter(pl.col("edit") == name)["magnitude"].to_numpy()
            axis.scatter([i] * len(values), values, s=14, color=PALETTE[i], zorder=2)
            axis.hlines(float(values.mean()), i - 0.25, i + 0.25, color=INK, linewidth=1.6, zorder=3)
        axis.set_xticks(range(len(shown)), [name.replace(" (", "\n(") for name in shown], fontsize=SMALL)
        axis.set_title(f"{signature} ({plural(own['seed'].n_unique(), 'seed')})", fontsize=LABEL)
    axes[0].set_ylabel("strength of the event\n(envelopes)", fontsize=LABEL)
    return Figure(
        name="strengths",
        image=png(figure),
        alt="Strength of the event in every replay, by condition, seeds joined by lines",
        caption=f"Dot: one seed (draws of the placebo averaged); line: the same seed; bar: mean. "
        f"n = {number(runs['seed'].n_unique())} seeds, those of the parents and fresh ones together.",
    )
