"""The report of a probe study says what the tests say, family by family, beside the mixtures."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

import polars as pl
import pytest

from squiggle_assets import profiles
from squiggle_assets.report import probe_tables
from squiggle_assets.report.probe_report import probe_report
from squiggle_assets.schemas.base import dtypes, empty, frame
from squiggle_assets.schemas.claims import Claims
from squiggle_assets.schemas.probes import ProbeDraws, ProbeSummaries, ProbeTests
from squiggle_assets.schemas.runs import RunManifest
from squiggle_assets.science.probe_claims import STEPS, TOKENS, ProbeResult, probe_result
from squiggle_assets.studies.probe_harness import PROBE_HARNESS
from tests.report import small_study
from tests.science.probe_runs import summaries as signatures

FAMILIES = ("cyclic_groups", "modular_arithmetic")
STUDY = replace(
    PROBE_HARNESS,
    arms=tuple(arm for arm in PROBE_HARNESS.arms if arm.role != "treatment" or arm.name in FAMILIES),
    consensus=replace(PROBE_HARNESS.consensus, draws_per_cell=100),
)
SHIFT = {"cyclic_groups": 6.0, "modular_arithmetic": 0.0, "planted": 8.0}
SEEDS = range(8)


def manifest(stopped: tuple[tuple[str, int], ...] = ()) -> pl.DataFrame:
    one = small_study.run_manifest().row(0, named=True)
    rows = [
        {
            **one,
            "arm": arm.name,
            "seed": seed,
            "run_id": f"{arm.name}{seed}",
            "stopped_early": (arm.name, seed) in stopped,
        }
        for arm in STUDY.arms
        for seed in SEEDS
    ]
    return frame(RunManifest, rows)


def summaries() -> pl.DataFrame:
    """Signatures of families with known shifts; cyclic groups have long items: they reach the tokens sooner."""
    found = []
    for matched, key in ((TOKENS, "plain"), (STEPS, "more")):
        long = pl.col("arm") == "cyclic_groups"
        at_tokens = matched == TOKENS
        rest = {
            "run_id": pl.concat_str("arm", "seed"),
            "matched": pl.lit(matched),
            "probe_set": pl.lit("a"),
            "family_id": pl.when(pl.col("arm").is_in(FAMILIES)).then("arm"),
            "step": pl.when(long & at_tokens).then(60).otherwise(100).cast(pl.Int64),
            "num_tokens": pl.when(long & at_tokens).then(9_100).otherwise(9_000 + 10 * pl.col("seed")).cast(pl.Int64),
            "num_tokens_run": pl.when(long).then(15_000).otherwise(9_000 + 10 * pl.col("seed")).cast(pl.Int64),
            "num_tokens_target": pl.lit(9_000, dtype=pl.Int64),
            "num_items": pl.lit(120, dtype=pl.Int64),
            "share_own_family": pl.when(pl.col("arm").is_in(FAMILIES)).then(1.0),
            "base_deviation": pl.lit(0.0),
            "num_layers": pl.lit(4, dtype=pl.Int64),
            "affected_layers": pl.lit("[0,1]"),
            **{name: pl.lit(None, dtype=pl.Float64) for name in dtypes(ProbeSummaries) if name.endswith("_global")},
        }
        own = signatures({arm.name: SHIFT.get(arm.name, 0.0) for arm in STUDY.arms}, SEEDS, key=key)
        found.append(own.with_columns(**rest).select(*dtypes(ProbeSummaries)))
    return pl.concat(found)


@cache
def result() -> ProbeResult:
    table = summaries()
    given = {how: table.filter(pl.col("matched") == how) for how in (TOKENS, STEPS)}
    return probe_result(STUDY, given, manifest(), scale="test scale", preregistered=True, analysis_id="a")


def report(**given: pl.DataFrame) -> Any:
    tables = {
        "claims": result().claims,
        "probe_tests": result().tests,
        "probe_draws": result().draws,
        "probe_summaries": summaries(),
        "run_manifest": manifest(),
        **given,
    }
    return probe_report(STUDY, profiles.load("demo"), made={"profile": "demo"}, **tables)


@pytest.fixture(scope="module")
def made() -> Any:
    return report()


@pytest.fixture(scope="module")
def text(made: Any) -> str:
    return str(made.files["report.md"].decode())


def rows_of(text: str, first: str) -> list[list[str]]:
    found = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in found]


def test_the_frames_of_these_tests_are_tables_of_the_project() -> None:
    for model, table in (
        (ProbeTests, result().tests), (ProbeDraws, result().draws), (ProbeSummaries, summaries()),
        (RunManifest, manifest()), (Claims, result().claims),
    ):  # fmt: skip
        model.validate(table)


def test_every_family_is_a_finding_and_the_one_that_moves_comes_first(text: str) -> None:
    found = text[: text.index("## Claims")]
    assert "Hypothesis: A family of problems moves the model" in found
    names = re.findall(r"\*\*(?:supported|exploratory|not supported|underpowered)\*\* \(([a-z:_0-9-]+)\)", found)
    assert set(names) == {"planted:planted", "planted:mixture-1", "family:planted", *(f"family:{f}" for f in FAMILIES)}
    assert names.index("family:cyclic_groups") < names.index("family:modular_arithmetic")
    assert "spreads of random mixtures" in found


def test_families_are_ordered_by_distance_and_mixtures_come_last() -> None:
    order = probe_tables.ordered(result().tests)["arm"].unique(maintain_order=True).to_list()
    assert order[:3] == ["cyclic_groups", "modular_arithmetic", "planted"]
    assert set(order[3:]) == {f"mixture-{k}" for k in range(1, 5)}


def test_both_ways_of_matching_stand_in_the_table_with_every_p(text: str) -> None:
    rows = [row for row in rows_of(text, "cyclic_groups") if row[1] in (TOKENS, STEPS)]
    assert [row[1] for row in rows] == ["tokens", "steps"]
    own = result().tests.filter((pl.col("arm") == "cyclic_groups") & (pl.col("matched") == TOKENS)).to_dicts()[0]
    assert rows[0][4] == f"{own['p_items']:.3f}" and rows[0][8].endswith(f"({own['control']})")
    assert rows[0][2].startswith(f"{own['distance']:#.3g}")
    mixture = next(row for row in rows_of(text, "mixture-1") if row[1] == TOKENS)
    assert mixture[6:8] == ["–", "–"], "a mixture is in no family of claims"


def test_what_was_matched_is_told_with_steps_and_tokens(text: str) -> None:
    matched = text[text.index("## What was matched") :]
    row = next(iter(rows_of(matched, "cyclic_groups")))
    assert row[1:] == ["8", "60 (9,100)", "100 (9,000–9,070)", "120", "100 %"]
    assert rows_of(matched, "mixture-1")[0][5] == "–"
    assert "shortest run was trained on 9,000 tokens" in matched
    assert "differ between runs by at most 0 of their values" in matched


def test_components_are_those_of_the_signature(text: str) -> None:
    part = text[text.index("## Where the distances come from") :]
    assert "| arm | effective rank change | sv entropy change |" in part
    assert len(rows_of(part, "cyclic_groups")[0]) == 7


def test_the_figures_are_there_and_equal_input_gives_equal_bytes(made: Any) -> None:
    assert {name for name in made.files if name.endswith(".png")} == {"plots/claims.png", "plots/distances.png"}
    assert report().files == made.files
    assert made.meta["num_runs"] == 56


def test_stopped_runs_are_named(words_only: None) -> None:
    said = report(run_manifest=manifest((("mixture-2", 3),))).files["report.md"].decode()
    assert "**Warning.** Stopped by a controller: mixture-2 seed 3." in said


def test_a_study_of_which_nothing_could_be_tested_says_so(words_only: None) -> None:
    none = probe_result(
        STUDY, {TOKENS: summaries().clear(), STEPS: summaries().clear()},
        manifest().with_columns(stopped_early=pl.lit(True)), scale="s", preregistered=True, analysis_id="a",
    )  # fmt: skip
    made = report(
        claims=none.claims,
        probe_tests=frame(ProbeTests, none.tests.to_dicts()),
        probe_draws=empty(ProbeDraws),
        probe_summaries=empty(ProbeSummaries),
    )
    said = made.files["report.md"].decode()
    assert "Nothing was tested: that takes 2 seeds" in said and "no distances that could be taken apart" in said
    assert "No probe run went to its end" in said
    assert set(made.meta["verdicts"].values()) == {"underpowered"}


def test_empty_tables_are_sentences(words_only: None) -> None:
    given = {
        "claims": empty(Claims), "probe_tests": empty(ProbeTests), "probe_draws": empty(ProbeDraws),
        "probe_summaries": empty(ProbeSummaries), "run_manifest": empty(RunManifest),
    }  # fmt: skip
    said = report(**given).files["report.md"].decode()
    assert "There are no claims: nothing was tested" in said
