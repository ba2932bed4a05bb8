"""Sections that the reports of all studies share: what was found, claims, how it was made, how to read it.

Here: whole sections and their parts. Not here: single tables (study_tables), figures (study_figures), sentences about
one claim (findings), what belongs to one kind of study (*_report, chapters_*).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from squiggle_assets.report import findings, overview, study_figures, study_tables
from squiggle_assets.report.document import Block, Bullets, Facts, Findings, Section, Table, Text
from squiggle_assets.report.text import listed, number, plural, share, with_interval
from squiggle_assets.science.spec import Profile, Study


def found(study: Study, claims: pl.DataFrame, outcomes: pl.DataFrame | None = None) -> Section:
    """Hypothesis, what all claims say together, and each of them; outcomes: arm_outcomes, where the study has them."""
    return Section(
        title="What was found",
        blocks=[
            Text(text=f"Hypothesis: {study.hypothesis}"),
            *overview.summary(study, claims),
            each_finding(study, claims, outcomes),
        ],
    )


def each_finding(study: Study, claims: pl.DataFrame, outcomes: pl.DataFrame | None = None) -> Findings:
    """The claims one by one, the supported ones first."""
    order = list(findings.VERDICT_WORDS)
    items = [findings.finding(row, outcomes, study) for row in claims.iter_rows(named=True)]
    return Findings(items=sorted(items, key=lambda item: order.index(item.verdict)))


def sentences(claims: pl.DataFrame) -> list[str]:
    """One sentence a claim that has an estimate: what is claimed, its verdict and its numbers."""
    said = []
    for row in claims.filter(pl.col("estimate").is_not_null()).iter_rows(named=True):
        against = "" if row["control"] is None else f" against {row['control']}"
        said.append(
            f"{row['hypothesis']} {row['verdict'].capitalize()}: "
            f"{with_interval(row['estimate'], row['ci_lo'], row['ci_hi'])} {row['unit']}{against}, "
            f"q {share(row['q_value'])}, {plural(row['n_seeds'], 'seed')}."
        )
    return said


def claims(frame: pl.DataFrame) -> Section:
    """Every claim: the forest, the numbers with reasons, and how each was tested."""
    if frame.is_empty():
        return Section(title="Claims", blocks=[Text(text="None.")])
    return Section(
        title="Claims",
        blocks=[study_figures.claim_forest(frame), study_tables.claims(frame), study_tables.methods(frame)],
    )


def scales(claims: pl.DataFrame, profile: Profile) -> str:
    """Which model and data a report is about, in words."""
    return listed(claims["scale"].unique().sort().to_list() or [f"base model {profile.base_model.source}"])


def _made_blocks(made: Mapping[str, Any]) -> list[Block]:
    """How a result came about: single values as facts, mappings as folded tables."""
    single = {label: str(value) for label, value in made.items() if not isinstance(value, Mapping)}
    blocks: list[Block] = [Facts(items=single)] if single else []
    for label, value in made.items():
        if isinstance(value, Mapping):
            rows = [(str(name), str(value[name])) for name in sorted(value)]
            blocks.append(
                Table(columns=("name", "value"), rows=rows, folded=f"{label} ({number(len(rows))})", caption=label)
            )
    return blocks


def made_section(made: Mapping[str, Any], *more: Block) -> Section:
    """How a result came about; more: what else belongs there."""
    return Section(title="How it was made", blocks=[*_made_blocks(made), *more])


def reading(*more: Block) -> Section:
    """What the verdicts mean; more: the words that only this report uses."""
    words = [f"{verdict}: {meaning}" for verdict, meaning in findings.VERDICT_WORDS.items()]
    told = "The four verdicts come from one function that is the same for every study and every claim:"
    return Section(title="How to read this", blocks=[Text(text=told), Bullets(items=words), *more])
