"""Tables and the figure of a probe report: distances, tests, components of the signature, what was matched.

Here: frames to document blocks; what has no rows is a sentence. Not here: order and prose (probe_report).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from squiggle_assets.report.document import Block, Figure, Table, Text
from squiggle_assets.report.images import png
from squiggle_assets.report.style import GREY, INK, LABEL, PALE, PALETTE, SMALL, canvas, legend
from squiggle_assets.report.text import MISSING, mean, number, percent, share, with_interval
from squiggle_assets.science.probe_claims import STEPS, TOKENS
from squiggle_assets.science.probe_signature import SIGNATURE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROLES = {"treatment": "family", "planted": "planted", "placebo": "mixture", "baseline": "mixture"}
_TINTS = {"family": PALETTE[0], "planted": PALETTE[5], "mixture": GREY}
_LEVEL = 0.95
"""Share of the exchanges of labels that lie below the mark in the figure."""


def ordered(tests: pl.DataFrame) -> pl.DataFrame:
    """Families by distance at equal tokens, then the planted arm, then mixtures; of each tokens before steps."""
    at_tokens = dict(tests.filter(pl.col("matched") == TOKENS).select("arm", "distance").rows())
    kind = pl.col("role").replace_strict({role: i for i, role in enumerate(_ROLES)}, return_dtype=pl.Int64).clip(0, 2)
    size = pl.col("arm").replace_strict(at_tokens, default=None, return_dtype=pl.Float64)
    return tests.sort(kind, size, "arm", pl.col("matched") == STEPS, descending=[False, True, False, False])


def tests_table(tests: pl.DataFrame) -> Table:
    """Every arm under both ways of matching: distance, p, familywise p, q, beyond its control."""
    columns = ("arm", "matched", "distance", "p seeds", "p items", "p", "familywise p", "q", "beyond its control")
    rows = [
        (
            row["arm"],
            row["matched"],
            with_interval(row["distance"], row["ci_lo"], row["ci_hi"]),
            *(share(row[name]) for name in ("p_seeds", "p_items", "p_value", "p_familywise", "q_value")),
            f"{with_interval(row['control_difference'], row['control_ci_lo'], row['control_ci_hi'])}"
            + ("" if row["control"] is None else f" ({row['control']})"),
        )
        for row in ordered(tests).iter_rows(named=True)
    ]
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns[2:8]),
        caption="Distance from the mean of the random mixtures in spreads of mixtures, 95 % t interval over seeds; a "
        "mixture is held against the other mixtures. p seeds: arm and mixtures exchanged within seeds; p items: the "
        "arm's items as one more set among the mixtures; p: the larger of both; familywise: as p seeds, against the "
        "largest arm of each exchange; q: Benjamini-Hochberg over the arms that are no mixtures. beyond control: less "
        "the mixture that is hardest to exceed. A claim has the distance at equal tokens and the "
        "larger p of both ways of matching, so its q may be larger than these. "
        f"n = {max(tests['n_seeds'])} seeds in every arm.",
    )


def components(tests: pl.DataFrame) -> Table:
    """Where the distance comes from, at equal tokens."""
    rows = []
    for row in ordered(tests.filter(pl.col("matched") == TOKENS)).iter_rows(named=True):
        parts = json.loads(row["components"])
        rows.append((row["arm"], *(mean(parts.get(name)) for name in SIGNATURE)))
    columns = ("arm", *SIGNATURE)
    return Table(
        columns=[name.replace("_", " ") for name in columns],
        rows=rows,
        numeric=frozenset(name.replace("_", " ") for name in SIGNATURE),
        caption="Mean difference of each component from the mean mixture, in spreads of mixtures, at equal tokens. The "
        "first three measure one spectrum: they are no three witnesses.",
    )


def matched(summaries: pl.DataFrame) -> list[Block]:
    """What every arm was trained on up to the capture that is compared, and whether it began from a fresh base."""
    if summaries.is_empty():
        return [Text(text="No probe run went to its end, so there is nothing that could be matched.")]
    rows = []
    for (arm,), own in summaries.sort("arm", "seed").group_by("arm", maintain_order=True):
        at = {how: own.filter(pl.col("matched") == how) for how in (TOKENS, STEPS)}
        family = own["share_own_family"].min()
        rows.append(
            (
                str(arm),
                number(own["seed"].n_unique()),
                *(f"{_span(at[how], 'step')} ({_span(at[how], 'num_tokens')})" for how in (TOKENS, STEPS)),
                _span(at[TOKENS], "num_items"),
                MISSING if family is None else percent(float(family)),  # type: ignore[arg-type]
            )
        )
    columns = ("arm", "runs", "equal tokens: step (tokens)", "equal steps: step (tokens)", "items", "own family")
    target, off = int(summaries["num_tokens_target"].max()), float(summaries["base_deviation"].max())  # type: ignore[arg-type]
    told = (
        f"The shortest run was trained on {number(target)} tokens in all. At equal tokens every run is compared at its "
        "first capture with as many; at equal steps at its last one. The first captures, made before any training, "
        f"differ between runs by at most {number(off)} of their values (0: every run began from the same base)."
    )
    table = Table(
        columns=columns,
        rows=rows,
        numeric=frozenset({"runs"}),
        caption="Ranges over seeds. items: distinct ones drawn until the capture at equal tokens; own family: smallest "
        "share of a run's draws that are of the arm's family.",
    )
    return [Text(text=told), table]


def _span(rows: pl.DataFrame, name: str) -> str:
    if rows.is_empty():
        return MISSING
    least, most = rows[name].min(), rows[name].max()
    return number(least) if least == most else f"{number(least)}–{number(most)}"  # type: ignore[arg-type]


def distances(tests: pl.DataFrame, draws: pl.DataFrame) -> Figure:
    """The distance of each family, the planted arm and each mixture, at equal tokens and at equal steps."""
    rows = ordered(tests)
    arms = rows["arm"].unique(maintain_order=True).to_list()
    figure, (axis,) = canvas(1, 1, height=0.5 + 0.3 * len(arms))
    axis.axvline(0, color=GREY, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    marks = {(row[0], row[1]): row[2] for row in _levels(draws).iter_rows()}
    larger = {arm: p for arm, p in rows.group_by("arm").agg(_larger("p_value")).iter_rows()}
    for row in rows.iter_rows(named=True):
        _distance(axis, row, len(arms) - 1 - arms.index(row["arm"]), marks.get((row["arm"], row["matched"])))
    for row in rows.filter(pl.col("matched") == TOKENS).iter_rows(named=True):
        words = f"{mean(row['distance'])}, p {share(larger[row['arm']])}"
        place, tint = len(arms) - 1 - arms.index(row["arm"]), _TINTS[_ROLES[row["role"]]]
        axis.text(1.01, place, words, transform=axis.get_yaxis_transform(), fontsize=SMALL, va="center", color=tint)
    for kind, tint in _TINTS.items():
        axis.plot([], [], "o", color=tint, markersize=5.5, label=kind)
    axis.plot([], [], "o", color=GREY, markerfacecolor="white", markersize=4, label="at equal steps")
    axis.plot([], [], "|", color=INK, markersize=9, label=f"{_LEVEL:.0%} of exchanges below")
    legend(axis, loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=5)
    axis.set_yticks(range(len(arms)), list(reversed(arms)))
    axis.set_ylim(-0.6, len(arms) - 0.4)
    axis.set_xlabel("distance from the random mixtures (spreads of mixtures)", fontsize=LABEL)
    axis.grid(axis="x", color="#eceef0", linewidth=0.6)
    num = max(rows["n_seeds"])
    return Figure(
        name="distances",
        image=png(figure),
        alt="Distance of every family and mixture from the random mixtures, with intervals",
        caption="Filled: at equal tokens, as in the claims; hollow: at equal steps. Bar: 95 % t interval over "
        f"seeds; small dots: single seeds at equal tokens; n = {num} seeds in every arm. Black mark: {_LEVEL:.0%} of "
        "the exchanges of labels lie below it. Dashed: no distance. Beside it: distance at equal tokens and "
        "the larger p of both ways of matching. A family has to exceed the mixtures, not 0.",
    )


def _larger(name: str) -> pl.Expr:
    """The larger of both ways of matching; null where one is."""
    return pl.when(pl.col(name).null_count() == 0).then(pl.col(name).max())


def _levels(draws: pl.DataFrame) -> pl.DataFrame:
    return draws.group_by("arm", "matched").agg(pl.col("statistic").quantile(_LEVEL, "linear"))


def _distance(axis: Axes, row: Mapping[str, Any], place: int, level: float | None) -> None:
    tint, main = _TINTS[_ROLES[row["role"]]], row["matched"] == TOKENS
    height = place + (0.12 if main else -0.2)
    if row["ci_lo"] is not None and row["ci_hi"] is not None:
        width = 2.4 if main else 1.2
        axis.plot([row["ci_lo"], row["ci_hi"]], [height, height], color=tint, linewidth=width, alpha=0.55)
    if main:
        values = np.array(list(json.loads(row["by_seed"]).values()), dtype=np.float64)
        axis.plot(values, np.full(len(values), height), "o", color=PALE, markersize=2.5, zorder=2)
    if level is not None:
        axis.plot(level, height, "|", color=INK, markersize=9 if main else 5, zorder=4)
    style = {"markersize": 6} if main else {"markersize": 4, "markerfacecolor": "white"}
    axis.plot(row["distance"], height, "o", color=tint, zorder=5, **style)
