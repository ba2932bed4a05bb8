"""The chapters of a calibration study: what the platform finds where the truth is known.

Here: their sections, tables and words. Not here: their figures (calibration_figures), the rest of the report
(study_report), what is checked (science.calibration).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from squiggle_assets.report import calibration_figures as figures
from squiggle_assets.report.document import Block, Section, Table, Text
from squiggle_assets.report.study_figures import Frame
from squiggle_assets.report.text import MISSING, interval, listed, mean, number, plural, share, with_interval
from squiggle_assets.science.calibration_spec import CalibrationStudy

CHECK_WORDS = {
    "aa_simulated": "equal halves, simulated",
    "aa_resplits": "equal halves of real runs",
    "planted_triggers": "known triggers, simulated",
    "planted_effect": "planted effect",
    "placebo": "placebo",
    "lds": "attribution against subsets",
}


def calibration_chapters(
    study: CalibrationStudy,
    *,
    calibration: Frame,
    aa_simulated: Frame,
    aa_resplits: Frame,
    trigger_recall: Frame,
    lds: Frame,
    subset_outcomes: Frame,
) -> list[Section]:
    """The sections about the platform, as sections of a study report; frames: the tables of these names."""
    return [
        _checks(calibration.lazy().collect()),
        _halves(study, aa_simulated.lazy().collect(), aa_resplits.lazy().collect()),
        _triggers(study, trigger_recall.lazy().collect()),
        _attribution(lds.lazy().collect(), subset_outcomes.lazy().collect()),
    ]


def _checks(checks: pl.DataFrame) -> Section:
    title = "Checks of the platform"
    if checks.is_empty():
        return Section(title=title, blocks=[Text(text="No check was made.")])
    held, failed = checks.filter(pl.col("passed")), checks.filter(~pl.col("passed"))
    silent = len(checks) - len(held) - len(failed)
    told = f"{plural(len(checks), 'check')}: {number(len(held))} held, {number(len(failed))} failed"
    blocks: list[Block] = [
        Text(tone="lead", text=f"{told}, of {number(silent)} nothing is asked or nothing could be tested."),
    ]
    if len(failed):
        names = [f"{CHECK_WORDS[check]}, {what}" for check, what in failed.select("check", "what").rows()]
        blocks.append(
            Text(tone="warning", text=f"Failed: {'; '.join(names)}. What rests on this part is not to be relied on.")
        )
    return Section(title=title, blocks=[*blocks, _check_table(checks)])


def _check_table(checks: pl.DataFrame) -> Table:
    columns = ("check", "what", "value", "95 % interval", "has to be", "n", "held")
    return Table(
        columns=columns,
        rows=[_check(row) for row in checks.iter_rows(named=True)],
        notes=[f"Unit: {row['unit']}. {row['method'].rstrip('. ')}." for row in checks.iter_rows(named=True)],
        numeric=frozenset({"value", "n"}),
        caption="n: studies, splits, arms, seeds or runs that the value rests on; where they share runs there is no "
        "interval. held: a dash where nothing is asked or nothing could be tested.",
    )


def _check(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        CHECK_WORDS[row["check"]],
        row["what"],
        mean(row["value"]),
        interval(row["ci_lo"], row["ci_hi"]),
        MISSING if row["bound"] is None else f"{row['side']} {row['bound']:g}",
        number(row["num"]),
        {True: "yes", False: "NO", None: MISSING}[row["passed"]],
    )


def _halves(study: CalibrationStudy, simulated: pl.DataFrame, resplits: pl.DataFrame) -> Section:
    title = "Equal halves: is nothing called something?"
    alpha = study.consensus.alpha
    blocks: list[Block] = [
        Text(
            text="Runs of one arm are split into halves, and the halves are compared as if they were two arms. There "
            f"is nothing to find: p should be at most {alpha:g} in {alpha:.0%} of the comparisons or fewer, and the "
            "curves should lie on the diagonal or below it."
        )
    ]
    if simulated.is_empty() and resplits.is_empty():
        return Section(title=title, blocks=[*blocks, Text(text="No arm was split, simulated or real.")])
    if resplits.is_empty():
        blocks.append(Text(text="No arm has enough whole runs for two halves, so real runs were not split."))
    else:
        missing = [arm.name for arm in study.arms if arm.name not in set(resplits["arm"])]
        if missing:
            blocks.append(Text(text=f"Too few whole runs for two halves: {listed(missing)}."))
    rows = [_rejected("simulated", name, own) for name, own in _groups(simulated, "scenario")]
    rows += [_rejected("real runs", name, own) for name, own in _groups(resplits, "arm")]
    columns = ("runs", "which", "comparisons", "p at most alpha", "share", "events a half", "difference")
    table = Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns[2:]),
        caption="events a half: consensus events, mean over comparisons and halves. difference: of the halves' "
        "excesses over the null, mean; 0 where nothing is wrong. Splits of real runs share runs: they are no "
        "independent trials, and their share has no interval. A dash: no p of halves so small can be at most alpha.",
    )
    return Section(title=title, blocks=[*blocks, figures.halves(simulated, resplits, alpha), table])


def _groups(rows: pl.DataFrame, by: str) -> list[tuple[str, pl.DataFrame]]:
    return [(str(key), own) for (key,), own in rows.group_by(by, maintain_order=True)]


def _rejected(runs: str, name: str, own: pl.DataFrame) -> tuple[str, ...]:
    known = own["rejected"].drop_nulls()
    num, of_known = (number(int(known.sum())), share(known.mean())) if len(known) else (MISSING, MISSING)  # type: ignore[arg-type]
    events = own.select(pl.mean_horizontal("events_first", "events_second").mean()).item()
    return (runs, name, number(len(own)), num, of_known, mean(events), mean(own["estimate"].mean()))  # type: ignore[arg-type]


def _triggers(study: CalibrationStudy, curve: pl.DataFrame) -> Section:
    title = "Known triggers: what attribution finds of them"
    if curve.is_empty():
        return Section(title=title, blocks=[Text(text="No arms with known triggers were simulated.")])
    spec = study.calibration
    columns = (
        "extra showings",
        "arms",
        "there are",
        "found",
        "false",
        "recall",
        "false discoveries",
        "arms with a false one",
    )
    rows = [
        (
            f"{row['extra']:g}",
            *(number(row[name]) for name in ("num_studies", "num_true", "num_found", "num_false")),
            *(
                with_interval(row[name], row[f"{name}_lo"], row[f"{name}_hi"])
                for name in ("recall", "fdr", "any_false")
            ),
        )
        for row in curve.sort("extra").iter_rows(named=True)
    ]
    table = Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns[:5]),
        caption="extra showings: of each trigger per event window and seed, on average, beyond what chance has. there "
        "are: pairs of an event and a trigger. false discoveries: mean share of what was called. 95 % intervals.",
    )
    asked = Text(
        text=f"At {spec.extra:g} extra showings recall has to be at least {spec.min_recall:g} and the share of false "
        f"discoveries at most {spec.max_fdr:g}."
    )
    return Section(title=title, blocks=[asked, figures.recall(curve, spec), table])


def _attribution(scores: pl.DataFrame, outcomes: pl.DataFrame) -> Section:
    title = "Attribution against runs on subsets"
    blocks: list[Block] = [
        Text(
            text="Runs are trained on random subsets of an arm's items. A score of items is worth something if its sum "
            "over a subset says what the run on that subset does at the event: their rank correlation is the linear "
            "datamodeling score (LDS). The ceiling is what a perfect score would have, by two runs of one subset."
        )
    ]
    if outcomes.is_empty():
        blocks.append(Text(text="No run on a subset was made."))
    else:
        lost = int(outcomes["outcome"].null_count())
        blocks.append(
            Text(
                text=f"{plural(len(outcomes), 'run')} on subsets; {number(lost)} without an outcome, because a "
                "controller stopped the run or its parent, or the parents show nothing to compare it with."
            )
        )
        blocks.append(figures.subsets(outcomes))
    if scores.is_empty():
        return Section(title=title, blocks=[*blocks, Text(text="No score was held against them.")])
    if scores["lds"].null_count() < len(scores):
        blocks.append(figures.scores(scores))
    return Section(title=title, blocks=[*blocks, _score_table(scores)])


def _score_table(scores: pl.DataFrame) -> Table:
    columns = ("arm", "score", "LDS", "p", "less that of exposure", "subsets", "items", "state")
    rows = [
        (
            row["arm"],
            row["method"],
            with_interval(row["lds"], row["ci_lo"], row["ci_hi"]),
            share(row["p_value"]),
            with_interval(row["difference"], row["difference_lo"], row["difference_hi"]),
            number(row["num_subsets"]),
            number(row["num_items"]),
            row["status"],
        )
        for row in scores.iter_rows(named=True)
    ]
    tops = scores.select("arm", "place", "ceiling", "ceiling_lo", "ceiling_hi", "num_repeats").unique(
        maintain_order=True
    )
    told = "; ".join(
        f"{row['arm']} ({row['place']}) {with_interval(row['ceiling'], row['ceiling_lo'], row['ceiling_hi'])} "
        f"from {plural(row['num_repeats'], 'repeat')}"
        for row in tops.iter_rows(named=True)
    )
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset({"p", "subsets", "items"}),
        caption=f"LDS: mean Spearman correlation, 95 % bootstrap interval over seeds (random: percentiles of vectors "
        f"of random scores). p: subsets and runs paired at random, one-sided. Ceiling: {told}.",
    )
