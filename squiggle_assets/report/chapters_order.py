"""The chapter of a study of order: does what a family does depend on when it was introduced?

Here: its section, tables and figure. Not here: the rest of the report (study_report), effects and slopes (science).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets.report.document import Figure, Section, Table, Text
from squiggle_assets.report.images import png
from squiggle_assets.report.study_figures import Frame
from squiggle_assets.report.style import GREY, INK, LABEL, PALE, PALETTE, SMALL, canvas, note_empty
from squiggle_assets.report.text import MISSING, mean, number, percent, plural, share, with_interval
from squiggle_assets.science.order_sensitivity import FAMILY, GROUP, ITEM, MAX_Q, ORDER, PLACEBO

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP_ITEMS = 15
"""Items shown, smallest q first; order_sensitivity holds all of them."""
_UNITS = {ORDER: "families, arms that differ in order", PLACEBO: "groups of shuffled items, placebo against no order"}
_KEY = ("comparison", "grain", "family_id", "item_id")


def order_chapters(order_sensitivity: Frame, order_slopes: Frame) -> list[Section]:
    """The section about order, as sections of a study report; frames: the tables of these names."""
    units, slopes = order_sensitivity.lazy().collect(), order_slopes.lazy().collect()
    title = "Effect by time of introduction"
    if slopes.is_empty():
        told = "Nothing could be compared: that takes two ordered arms with two whole runs on the same seeds."
        return [Section(title=title, blocks=[Text(text=told)])]
    coarse = units.filter(pl.col("grain").is_in([FAMILY, GROUP])).sort("comparison", maintain_order=True)
    first = slopes.row(0, named=True)
    return [
        Section(
            title=title,
            blocks=[
                Text(
                    text=f"Compared in steps {first['window_lo']} to {first['window_hi'] - 1}, where every arm is in "
                    "its last phase. effect: how the model moves just after showings of a unit, less the mean of all "
                    "families. A slope is the difference of effects per difference of introduction; the placebo's "
                    "slope is what time alone does."
                ),
                *_mixtures(slopes),
                _slopes(slopes),
                _introductions(coarse),
                _units(coarse),
                *_items(units.filter(pl.col("grain") == ITEM)),
            ],
        )
    ]


def _mixtures(slopes: pl.DataFrame) -> list[Text]:
    """A warning where arms do not show the same mixture in the window."""
    apart = slopes.filter((pl.col("mixture_gap") > 0) & (pl.col("comparison") == ORDER))
    if apart.is_empty():
        return []
    return [
        Text(
            tone="warning",
            text="The mixtures of the window differ between arms, in up to "
            f"{percent(max(apart['mixture_gap']))} of the slots: a family that came later was also shown less before "
            "the window and is shown more in it. Such a slope is about history, not about the introduction alone.",
        )
    ]


def _slopes(slopes: pl.DataFrame) -> Table:
    columns = (
        *("arm", "against", "units", "slope", "redrawn mean", "redrawn sd", "p redrawn", "p seeds", "p", "least p"),
        "mixture gap",
    )
    rows = [
        (
            row["arm"],
            row["against"],
            f"{number(row['num_units'])} {'families' if row['comparison'] == ORDER else 'groups'}",
            mean(row["slope"]),
            mean(row["null_mean"]),
            mean(row["null_sd"]),
            *(share(row[name]) for name in ("p_redrawn", "p_seeds", "p_value", "smallest_p")),
            percent(row["mixture_gap"]),
        )
        for row in slopes.iter_rows(named=True)
    ]
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns[3:]),
        caption="slope: robust sd of movement per showing and whole budget, mean over "
        f"{plural(max(slopes['n_seeds']), 'seed')}. redrawn: runs of other seeds laid over the same movement. p: the "
        "larger of both; least p: what the most extreme data would get. mixture gap: share of the "
        "window's slots that the arms give to other units. q and verdict stand with the claims.",
    )


def _introductions(rows: pl.DataFrame) -> Figure:
    """The effect of each unit by the step of its introduction, an arm a colour, a unit's arms joined."""
    figure, axes = canvas(1, len(_UNITS), height=3.2, sharey=True)
    for axis, (comparison, title) in zip(axes, _UNITS.items(), strict=True):
        mine = rows.filter(pl.col("comparison") == comparison)
        _panel(axis, mine)
        axis.set_title(f"{title} ({number(mine['family_id'].n_unique())})", fontsize=LABEL, loc="left", color=INK)
        axis.set_xlabel("first showing (step, mean over seeds)", fontsize=LABEL)
        if mine.is_empty():
            note_empty(axis, "not compared")
    axes[0].set_ylabel("effect of a showing\n(robust sd of movement)", fontsize=LABEL)
    return Figure(
        name="introductions",
        image=png(figure),
        alt="Effect of each family by the step at which it was introduced, arms in colours",
        caption="Dot: one unit in one arm; bar: 95 % t interval over seeds; grey lines join the same unit in the arms. "
        f"If order mattered, the lines would lean one way. n = {max(rows['n_seeds'], default=0)} seeds in every arm.",
    )


def _panel(axis: Axes, rows: pl.DataFrame) -> None:
    axis.axhline(0, color=GREY, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    for (_,), own in rows.sort("first_step").group_by("family_id", maintain_order=True):
        axis.plot(own["first_step"], own["effect"], color=PALE, linewidth=0.8, zorder=1)
    for i, arm in enumerate(rows["arm"].unique(maintain_order=True)):
        own, tint = rows.filter(pl.col("arm") == arm), PALETTE[i % len(PALETTE)]
        for row in own.drop_nulls(["effect_lo", "effect_hi"]).iter_rows(named=True):
            span = [row["effect_lo"], row["effect_hi"]]
            axis.plot([row["first_step"]] * 2, span, color=tint, linewidth=1.4, alpha=0.45, zorder=2)
        axis.plot(own["first_step"], own["effect"], "o", color=tint, markersize=4.5, zorder=3, label=arm)
    if len(rows):
        axis.legend(fontsize=SMALL, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    axis.grid(axis="y", color="#eceef0", linewidth=0.6)


def _units(rows: pl.DataFrame) -> Table:
    said = [_unit(key, own) for key, own in _by_unit(rows)]
    sensitive = sum(cells[-1] == "yes" for cells in said)
    columns = ("unit", "effect (first showing) by arm", "interaction", "p", "q", "order-sensitive")
    return Table(
        columns=columns,
        rows=said,
        numeric=frozenset({"p", "q"}),
        caption=f"{number(sensitive)} of {plural(len(said), 'unit')} order-sensitive (q at most {MAX_Q:g} and 0 "
        "outside the 95 % interval). interaction: slope of the effect on the introduction over the arms, paired by "
        "seed, per whole budget; a dash where introductions do not differ. q: over the units of a comparison.",
    )


def _items(rows: pl.DataFrame) -> list[Table | Text]:
    if rows.is_empty():
        return [Text(text="No single item was shown often enough in every arm to be compared.")]
    found = sorted(_by_unit(rows), key=lambda unit: _rank(unit[1][0]))
    said = [_unit(key, own) for key, own in found[:TOP_ITEMS]]
    sensitive = sum(own[0]["order_sensitive"] for _, own in found)
    columns = ("item", "effect (first showing) by arm", "interaction", "p", "q", "order-sensitive")
    table = Table(
        columns=columns,
        rows=said,
        numeric=frozenset({"p", "q"}),
        folded=f"Single items ({number(len(said))} of {number(len(found))})",
        caption=f"The items with the smallest q; {number(sensitive)} of {number(len(found))} are order-sensitive.",
    )
    return [table]


def _rank(row: Mapping[str, Any]) -> tuple[float, float, str]:
    return (*(2.0 if row[name] is None else row[name] for name in ("q_value", "p_value")), row["item_id"])


def _by_unit(rows: pl.DataFrame) -> list[tuple[str, list[dict[str, Any]]]]:
    """Units by name, each with its rows, one an arm."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        found.setdefault(tuple(row[name] for name in _KEY), []).append(row)
    return [(_name(own[0]), own) for own in found.values()]


def _name(row: Mapping[str, Any]) -> str:
    if row["grain"] == ITEM:
        return f"{row['item_id']} ({row['family_id']})"
    return f"shuffled {row['family_id']}" if row["grain"] == GROUP else str(row["family_id"])


def _unit(name: str, own: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    row = own[0]
    arms = "; ".join(f"{each['arm']} {mean(each['effect'])} ({number(round(each['first_step']))})" for each in own)
    return (
        name,
        arms or MISSING,
        with_interval(row["interaction"], row["ci_lo"], row["ci_hi"]),
        share(row["p_value"]),
        share(row["q_value"]),
        "yes" if row["order_sensitive"] else "no",
    )
