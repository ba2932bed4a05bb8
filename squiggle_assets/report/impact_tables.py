"""Tables and the figure of an impact report: design, the core beside its controls, exposure, effects of every pair.

Here: frames to document blocks; what has no rows is a sentence. Not here: order and prose (impact_report).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from squiggle_assets.report.document import Block, Figure, Table, Text
from squiggle_assets.report.images import png
from squiggle_assets.report.style import GREY, INK, LABEL, PALETTE, SMALL, canvas
from squiggle_assets.report.text import MISSING, interval, mean, number, plural, share, with_interval
from squiggle_assets.science.impact_arms import Trio, trios_of
from squiggle_assets.science.impact_core import CORES, IMPACT, LOSS, RANDOM
from squiggle_assets.science.impact_template import exposure_residual
from squiggle_assets.science.spec import Study
from squiggle_assets.science.waves import FollowUp

TOP_ITEMS = 15
"""Items shown, best first; impact_core holds all of them."""


def core_words(study: Study, arm: str) -> str:
    """What a follow-up arm starts from: 'impact core, weight 2', or 'no core'."""
    followup = study.followup(arm)
    return "no core" if followup.core is None else f"{_core(followup)} core, weight {followup.weight}"


def _core(followup: FollowUp) -> str:
    """Its core by name, random ones with a number from the second on."""
    return f"{followup.core or 'no core'}{f' {followup.draw + 1}' if followup.draw else ''}"


def design(table: pl.DataFrame) -> Table:
    """What each family of claims could show at best."""
    columns = (
        "family",
        "claims",
        "pairs of fresh seeds",
        "smallest p",
        "smallest q",
        "alpha",
        "reached",
        "seeds for it",
        "random cores",
        "spreads for it",
    )
    rows = [
        (
            row["family"],
            number(row["num_claims"]),
            number(row["n_seeds"]),
            share(row["smallest_p"]),
            share(row["smallest_q"]),
            f"{row['alpha']:g}",
            "yes" if row["reaches_alpha"] else "NO",
            number(row["seeds_for_alpha"]),
            number(row["num_draws"]),
            mean(row["spreads_for_alpha"]),
        )
        for row in table.iter_rows(named=True)
    ]
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset((*columns[1:6], *columns[7:])),
        caption="smallest q: of a lone effect among the claims of its family, by exact one-sided sign flips over pairs "
        "of fresh seeds. seeds for it: from how many on it could reach alpha. spreads for it: against the random cores "
        "the impact core has to be more than one more of them, too; how many standard deviations over the random cores "
        "it has to lie beyond their mean for that (none is enough with one random core).",
    )


def items(core: pl.DataFrame) -> Table:
    """The best items of the impact core, each beside those that stand in its place in the control cores."""
    columns = ("rank", "family", "item", "lift", "log lift ≥", "q", "trigger", "random", "high-loss", "event")
    instead = {
        name: {row["rank"]: row for row in core.filter(pl.col("core") == name, pl.col("draw") == 0).to_dicts()}
        for name in (RANDOM, LOSS)
    }
    own = core.filter(pl.col("core") == IMPACT).sort("rank")
    rows = [
        (
            number(row["rank"]),
            row["family_id"],
            _with_loss(row),
            mean(row["lift"]),
            mean(row["lb05"]),
            share(row["q_value"]),
            "yes" if row["is_trigger"] and row["is_significant"] else "no",
            *(_with_loss(instead[name].get(row["rank"])) for name in (RANDOM, LOSS)),
            str(row["event_signature"] or MISSING),
        )
        for row in own.head(TOP_ITEMS).iter_rows(named=True)
    ]
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset({"rank", "lift", "log lift ≥", "q"}),
        caption=f"The first {number(len(rows))} of {plural(len(own), 'item')} of the impact core, and the items of the "
        "same families that take their place in the (first) random and in the high-loss core. In brackets: mean loss "
        "of the base model on the item before any training, nats per token. log lift ≥: 5 % quantile of the shrunken "
        "log lift, which ranks. trigger: of a significant event. event: the one that ranked the item.",
    )


def _with_loss(row: Mapping[str, Any] | None) -> str:
    return MISSING if row is None else f"{row['item_id']} ({mean(row['base_loss'])})"


def families(core: pl.DataFrame) -> Table:
    """Items of each core by family, and their mean loss."""
    of_core = core.group_by("family_id", "core", "draw").agg(pl.len(), pl.col("base_loss").fill_nan(None).mean())
    per = of_core.group_by("family_id", "core").agg(pl.col("len").unique().sort(), pl.col("base_loss").mean())
    known = {(family, name): (nums, loss) for family, name, nums, loss in per.iter_rows()}
    columns = ("family", "items", *(f"loss, {name}" for name in CORES))
    rows = []
    for family in sorted(set(core["family_id"])):
        cells = [known.get((family, name), ([0], None)) for name in CORES]
        nums = list(dict.fromkeys(num for own, _ in cells for num in own))
        rows.append((family, " / ".join(map(number, nums)), *(mean(loss) for _, loss in cells)))
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns[1:]),
        folded=f"The cores by family ({number(len(rows))})",
        caption="items: as many in every core (numbers of each core where they differ). loss: mean over the items of "
        "the base model's loss, nats per token, of all random cores together.",
    )


def exposure(study: Study, expected: pl.DataFrame, core: pl.DataFrame, manifest: pl.DataFrame) -> list[Block]:
    """How often each arm expects its core's items and the others, how unequal that is, and what was trained."""
    arms = [each.name for each in study.followups if each.name in set(expected["arm"])]
    if not arms:
        return [Text(text="There are no curricula of the confirmation wave, so there is no exposure to compare.")]
    rows = [_exposure_row(study, arm, expected.filter(pl.col("arm") == arm), core, manifest) for arm in arms]
    columns = ("arm", "starts from", "draws of the core", "other draws", "runs", "stopped", "tokens a run")
    table = Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns[2:]),
        caption="draws: expected by the curriculum over a whole run, of the arm's own core items and of all others. "
        "tokens: trained on, mean over runs; draws are made equal by family and by number, tokens are not.",
    )
    return [table, *(Text(text=_residual(trio, expected)) for trio in trios_of(study) if trio.impact in arms)]


def _exposure_row(
    study: Study, arm: str, expected: pl.DataFrame, core: pl.DataFrame, manifest: pl.DataFrame
) -> tuple[str, ...]:
    of = study.followup(arm)
    mine = core.filter((pl.col("core") == (of.core or "")) & (pl.col("draw") == of.draw))["item_id"]
    in_core = pl.col("item_id").is_in(mine.to_list())
    runs = manifest.filter(pl.col("arm") == arm)
    tokens = runs["num_tokens"].mean()
    return (
        arm,
        core_words(study, arm),
        mean(float(expected.filter(in_core)["expected_draws"].sum())) if len(mine) else MISSING,
        mean(float(expected.filter(~in_core)["expected_draws"].sum())),
        number(len(runs)),
        number(int(runs["stopped_early"].sum())),
        MISSING if tokens is None else number(round(float(tokens))),  # type: ignore[arg-type]
    )


def _residual(trio: Trio, expected: pl.DataFrame) -> str:
    arms = trio.cores
    missing = [arm for arm in arms if arm not in set(expected["arm"])]
    if missing:
        return f"Weight {trio.weight}: the exposure of {', '.join(missing)} is not known, so nothing can be compared."
    found = exposure_residual(expected, arms)
    return (
        f"Weight {trio.weight}: phase by phase and family by family the {len(arms)} cores expect the same draws, up to "
        f"{number(found)} of one draw; they differ in which items of a family get them."
    )


def effects(study: Study, table: pl.DataFrame) -> Table:
    """Every pair of arms on every outcome."""
    columns = ("outcome", "pair", "values", "difference", "rate ratio", "p", "over cores", "n", "claimed")
    rows = [
        (
            row["outcome"],
            _pair(study, row["arm"], row["against"]),
            f"{_value(row, 'value')} / {_value(row, 'value_against')}",
            with_interval(row["estimate"], row["ci_lo"], row["ci_hi"]),
            with_interval(row["ratio"], row["ratio_lo"], row["ratio_hi"]),
            share(row["p_value"]),
            share(row["p_cores"]),
            number(row["num_pairs"]),
            "yes" if row["claimed"] else "no",
        )
        for row in _ordered(table).iter_rows(named=True)
    ]
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset({"p", "over cores", "n"}),
        caption="values: of the first arm / of the second (numbers of events, else means over the shared fresh seeds). "
        "difference: of consensus events that of their excesses over each arm's null; 95 % intervals over seeds, "
        "against the mean of the random cores the wider one over seeds and over cores. rate ratio: (events + .5) over "
        "(events of the other + .5), its interval over seeds. p: one-sided, in the direction expected of the impact "
        "core, the larger of that over seeds and, against random cores, that over cores (the core as one more draw "
        "of them), not corrected (q stands with the claims). claimed: whether a claim rests on it; the others "
        "compare controls.",
    )


def _value(row: Mapping[str, Any], name: str) -> str:
    return number(row[name]) if row["unit"] == "consensus events" else mean(row[name])


def _ordered(table: pl.DataFrame) -> pl.DataFrame:
    """By outcome as they come first, then weight, claimed pairs first."""
    order = {name: i for i, name in enumerate(table["outcome"].unique(maintain_order=True))}
    place = pl.col("outcome").replace_strict(order, return_dtype=pl.Int64)
    return table.sort(place, "weight", "claimed", descending=[False, False, True], maintain_order=True)


def effects_figure(study: Study, table: pl.DataFrame) -> Figure:
    """The difference of every pair of arms with its interval, one panel an outcome."""
    ordered = _ordered(table)
    names = ordered["outcome"].unique(maintain_order=True).to_list()
    pairs = ordered.select("arm", "against", "claimed").unique(maintain_order=True).rows()
    columns = min(2, len(names))
    figure, axes = canvas(-(-len(names) // columns), columns, height=0.6 + 0.21 * len(pairs), sharey=True)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(axes, names, strict=False):
        rows = ordered.filter(pl.col("outcome") == name)
        axis.axvline(0, color=GREY, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
        for row in rows.iter_rows(named=True):
            height = len(pairs) - 1 - pairs.index((row["arm"], row["against"], row["claimed"]))
            tint = PALETTE[0] if row["claimed"] else GREY
            if row["ci_lo"] is not None and row["ci_hi"] is not None:
                axis.plot([row["ci_lo"], row["ci_hi"]], [height, height], color=tint, linewidth=2, alpha=0.55)
            axis.plot(row["estimate"], height, "o", color=tint, markersize=5.5, zorder=5)
        axis.set_title(name, fontsize=LABEL, loc="left", color=INK)
        axis.set_xlabel(rows["unit"][0], fontsize=SMALL)
        axis.grid(axis="x", color="#eceef0", linewidth=0.6)
        axis.tick_params(axis="y", labelsize=SMALL)
    axes[0].set_yticks(range(len(pairs)), [_pair(study, *pair[:2]) for pair in reversed(pairs)])
    axes[0].set_ylim(-0.6, len(pairs) - 0.4)
    return Figure(
        name="effects",
        image=png(figure),
        alt="Difference of every pair of confirmation arms on every outcome, with intervals",
        caption="Dot: first arm less the second; bar: 95 % interval; dashed: no difference. Blue: the impact core, on "
        f"which claims rest; grey: controls among each other. {_pairs(ordered)}.",
    )


def _pair(study: Study, arm: str, against: str) -> str:
    own = study.followup(arm)
    means = {trio.random for trio in trios_of(study)}
    other = f"mean of {RANDOM}" if against in means else _core(study.followup(against))
    return f"{_core(own)} − {other} (weight {own.weight})"


def _pairs(table: pl.DataFrame) -> str:
    least, most = min(table["num_pairs"]), max(table["num_pairs"])
    return f"n = {least} pairs of fresh seeds" if least == most else f"n = {least} to {most} pairs of fresh seeds"


def event(row: Mapping[str, Any]) -> str:
    """The event that the first item was taken from, in words."""
    where = f"{row['band']}.{row['metric_group']}, {'up' if row['polarity'] > 0 else 'down'}"
    near = ", near a boundary of the schedule" if row["near_boundary"] else ""
    return f"{where}, at step {number(row['event_step'])} of arm {row['arm']}, q {share(row['event_q'])}{near}"


def ratios(table: pl.DataFrame, arms: Sequence[str]) -> list[str]:
    """The event rate ratio of the given arms against every other, in sentences."""
    rows = table.filter(pl.col("ratio").is_not_null() & pl.col("arm").is_in(list(arms)))
    return [
        f"Consensus events of {row['arm']} against {row['against']}: {number(row['value'])} and "
        f"{number(row['value_against'])}, rate ratio {mean(row['ratio'])} {interval(row['ratio_lo'], row['ratio_hi'])}."
        for row in rows.iter_rows(named=True)
    ]
