"""The report of an impact curriculum says what the tables say, and what they allow to be said."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from squiggle_assets import profiles
from squiggle_assets.report.impact_report import impact_report
from squiggle_assets.schemas.base import empty, frame
from squiggle_assets.schemas.claims import Claims
from squiggle_assets.schemas.curriculum import ExpectedExposure
from squiggle_assets.schemas.impact import ImpactCore, ImpactDesign, ImpactEffects, ImpactStatus
from squiggle_assets.schemas.runs import RunManifest
from squiggle_assets.science.impact_arms import attainable_by_family, trios_of
from squiggle_assets.science.impact_effects import EVENTS, OUTCOMES
from squiggle_assets.studies.impact_curriculum import IMPACT_CURRICULUM
from tests.report import small_study
from tests.report.small_evidence import claim

STUDY = IMPACT_CURRICULUM.sized(profiles.load("demo"))
IMPACT, LOSS, PLAIN, MEAN = "iid.impact-w2", "iid.loss-w2", "iid.exact", "iid.random-w2-mean"
RANDOMS = ("iid.random-w2", "iid.random-w2-2", "iid.random-w2-3")
CORES = {IMPACT: ("impact", 0), LOSS: ("loss", 0)} | {arm: ("random", draw) for draw, arm in enumerate(RANDOMS)}
ARMS = (*CORES, PLAIN)
SHA = "a" * 64


def model_row(model: Any, **given: Any) -> dict[str, Any]:
    return {**dict.fromkeys(model.to_schema().columns), **given}


def item_id(core: str, draw: int, rank: int) -> str:
    return f"{core}{draw + 1 if draw else ''}_{rank}"


def core() -> pl.DataFrame:
    """Eight items a core of two families; the hardest of them cost twice as much."""
    rows = []
    for (name, draw), loss in zip(CORES.values(), (1.0, 2.0, 1.1, 1.2, 1.3), strict=True):
        for rank in range(1, 9):
            family = "cyclic_groups" if rank % 2 else "inequalities"
            own = {"replaces": None if name == "impact" else f"impact_{rank}", "base_loss": loss + rank / 100}
            if name == "impact":
                own |= {"arm": "blocked", "event_signature": "layers_0_0.angle.up", "is_trigger": True, "lift": 9.0}
                own |= {"lb05": 1.5 - rank / 10, "q_value": 0.01, "is_significant": True}
            rows.append(
                model_row(
                    ImpactCore, core=name, draw=draw, rank=rank, item_id=item_id(name, draw, rank),
                    family_id=family, content_sha256=SHA,
                    **own,
                )
            )  # fmt: skip
    return frame(ImpactCore, rows)


def status(word: str = "triggers", **given: Any) -> pl.DataFrame:
    known = {"num_significant_events": 2, "num_items": 8, "num_triggers": 8, "num_families": 2, "arm": "blocked"}
    known |= {"num_shared_with_loss": 1, "core_sha256": SHA, "band": "layers_0_0", "metric_group": "angle"}
    known |= {"polarity": 1, "event_step": 120.0, "event_q": 0.01, "near_boundary": False}
    return frame(ImpactStatus, [model_row(ImpactStatus, study="s", status=word, reason="as found", **known) | given])


def exposure(uneven: float = 0.0) -> pl.DataFrame:
    """A core of 8 items with 30 draws each and 100 others with 5; uneven: more of the impact arm's first one."""
    rows = []
    for arm in ARMS:
        for number in range(108):
            name = item_id(*CORES.get(arm, ("none", 0)), number + 1) if number < 8 else f"other_{number}"
            draws = 30.0 + (uneven if arm == IMPACT and number == 0 else 0.0) if number < 8 else 5.0
            rows.append(
                {"arm": arm, "curriculum_id": "c", "phase_idx": 0, "phase": "core", "start_step": 0, "end_step": 46}
                | {"item_id": name, "content_sha256": SHA, "family_id": "cyclic_groups", "expected_draws": draws}
            )
    return frame(ExpectedExposure, rows)


def manifest() -> pl.DataFrame:
    one = small_study.run_manifest().row(0, named=True)
    rows = [
        {**one, "arm": arm, "seed": seed, "run_id": f"{arm}{seed}", "num_tokens": 20_000 + 100 * seed}
        for arm in ARMS
        for seed in range(8)
    ]
    return frame(RunManifest, rows)


def effects() -> pl.DataFrame:
    rows = []
    (trio,) = trios_of(STUDY)
    for arm, against in trio.pairs:
        for outcome in OUTCOMES:
            size = {"consensus events": 2.0, "steps": -8.0, "share": 0.02}.get(outcome.unit, -0.03)
            size *= 1.0 if arm == IMPACT else 0.1
            over_cores = {"p_cores": 0.004, "num_draws": 3} if against == MEAN else {}
            counts = {"ratio": 2.0, "ratio_lo": 0.8, "ratio_hi": 5.0} if outcome.name == EVENTS else {}
            rows.append(
                model_row(
                    ImpactEffects, study="s", analysis_id="a", arm=arm, against=against, weight=2,
                    outcome=outcome.name, unit=outcome.unit, value=4.0, value_against=4.0 - size, estimate=size,
                    ci_lo=size - abs(size) / 2, ci_hi=size + abs(size) / 2, p_value=0.004, smallest_p=1 / 256,
                    p_seeds=0.002, **over_cores,
                    num_pairs=8, claimed=arm == IMPACT, **counts,
                )
            )  # fmt: skip
    return frame(ImpactEffects, rows)


def claims(verdict: str = "exploratory", **given: Any) -> pl.DataFrame:
    (trio,) = trios_of(STUDY)
    rows = []
    for row in effects().filter("claimed").iter_rows(named=True):
        ratio = [2.0, 0.8, 5.0] if row["outcome"] == EVENTS else None
        evidence = {"values": [row["value"], row["value_against"]], "rate_ratio": ratio}
        numbers = {name: row[name] for name in ("estimate", "unit", "ci_lo", "ci_hi", "p_value")}
        beyond = {"control_difference": row["estimate"], "control_ci_lo": row["ci_lo"], "control_ci_hi": row["ci_hi"]}
        name = f"impact:{row['arm']}-{row['against']}:{row['outcome']}"
        about = {"arm": row["arm"], "contrast": row["against"], "control": trio.random, "n_seeds": row["num_pairs"]}
        said = f"Starting from the impact core changes {row['outcome']} against arm {row['against']}."
        about |= {"hypothesis": said, "evidence": json.dumps(evidence), "q_value": 0.01}
        rows.append(claim(name, verdict, **about, **numbers, **beyond) | given)
    return frame(Claims, rows)


def report(**given: pl.DataFrame) -> Any:
    design = [
        {"study": "s", "n_seeds": 8, "alpha": 0.05, "reaches_alpha": found.smallest_q <= 0.05} | found._asdict()
        for found in attainable_by_family(STUDY, 8)
    ]
    tables = {
        "claims": claims(),
        "impact_design": frame(ImpactDesign, design),
        "impact_status": status(),
        "impact_core": core(),
        "impact_effects": effects(),
        "expected_exposure": exposure(),
        "run_manifest": manifest(),
        **given,
    }
    return impact_report(STUDY, profiles.load("demo"), made={"profile": "demo", "inputs": {"a": "b"}}, **tables)


def words(**given: pl.DataFrame) -> str:
    return str(report(**given).files["report.md"].decode())


@pytest.fixture(scope="module")
def made() -> Any:
    return report()


@pytest.fixture(scope="module")
def text(made: Any) -> str:
    return str(made.files["report.md"].decode())


def cells(text: str, first: str) -> list[str]:
    row = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def test_the_frames_of_these_tests_are_tables_of_the_project() -> None:
    for model, table in (
        (ImpactCore, core()), (ImpactStatus, status()), (ImpactEffects, effects()), (Claims, claims()),
        (ExpectedExposure, exposure()), (RunManifest, manifest()),
    ):  # fmt: skip
        model.validate(table)


def test_what_was_found_is_told_against_the_random_core_with_both_values_and_the_ratio(text: str) -> None:
    found = text[: text.index("## Claims")]
    assert "18 claims: 18 exploratory." in found
    assert found.count("**exploratory**") == 6, "one an outcome, against the random cores alone"
    assert (
        "against arm iid.random-w2-mean. 4.00 in iid.impact-w2, 2.00 in iid.random-w2-mean; event rate ratio 2.00 "
        "\\[0.800, 5.00\\]; difference 2.00 consensus events, 95 % interval \\[1.00, 3.00\\]"
    ) in found
    assert (
        "12 claims against the high-loss core and the plain curriculum stand below; the high-loss core is one choice"
        in found
    )
    assert "more than exploratory" not in found, "all items are triggers"


def test_sections_come_in_this_order_and_every_figure_is_there_once(made: Any, text: str) -> None:
    assert re.findall(r"(?m)^## (.*)", text) == [
        "What was found", "Claims", "What this design can show", "How the core came about",
        "The core beside its controls", "Is the exposure equal?", "What starting from the core does",
        "How it was made", "How to read this",
    ]  # fmt: skip
    assert {name for name in made.files if name.endswith(".png")} == {"plots/claims.png", "plots/effects.png"}
    assert made.meta["status"] == "triggers" and len(made.meta["verdicts"]) == 18


def test_the_claims_are_told_apart_in_the_forest() -> None:
    from squiggle_assets.report.evidence_figures import short_claim

    named = [(row["claim"].split(":")[-1], short_claim(row)) for row in claims().iter_rows(named=True)]
    assert len(set(named)) == 18 and (EVENTS, "iid.impact-w2 − iid.random-w2-mean") in named


def test_a_design_that_cannot_reach_alpha_is_a_warning_with_the_seeds_that_could(text: str) -> None:
    assert "can reach alpha" not in text
    design = [
        {"study": "s", "n_seeds": 3, "alpha": 0.05, "reaches_alpha": found.smallest_q <= 0.05} | found._asdict()
        for found in attainable_by_family(STUDY, 3)
    ]
    said = words(impact_design=frame(ImpactDesign, design))
    # three pairs: p at least 1/8; among 3 claims .375, among 6 .75, among 9 1
    assert "**Warning.** At these sizes no lone effect among the events, cell and learning claims can reach" in said
    assert cells(said, "events")[1:6] == ["3", "3", "0.125", "0.375", "0.05"]
    assert "(seeds that could: events 6, cell 7, learning 8)" in said


def test_how_far_beyond_the_random_cores_an_effect_has_to_lie_is_told_and_one_core_is_a_warning(text: str) -> None:
    # t of 2 degrees of freedom at .05 / 3, times sqrt(1 + 1 / 3)
    assert cells(text, "events")[8:] == ["3", "6.17"] and "With one random core" not in text
    one = replace(STUDY, followups=tuple(each for each in STUDY.followups if not each.draw))
    design = [
        {"study": "s", "n_seeds": 8, "alpha": 0.05, "reaches_alpha": False}
        | found._asdict()
        | {"spreads_for_alpha": None}
        for found in attainable_by_family(one, 8)
    ]
    said = words(impact_design=frame(ImpactDesign, design))
    assert "**Warning.** With one random core nothing is known of another draw" in said
    assert cells(said, "events")[8:] == ["1", "–"]


def test_an_item_stands_beside_those_that_replace_it(text: str) -> None:
    row = cells(text, "1")
    assert row[1:3] == ["cyclic_groups", "impact_1 (1.01)"] and row[3] == "9.00"
    assert row[7:9] == ["random_1 (1.11)", "loss_1 (2.01)"]
    assert cells(text, "cyclic_groups")[1:] == ["4", "1.04", "1.24", "2.04"]  # of three random cores: 1.14, 1.24, 1.34


def test_exposure_is_compared_core_by_core_and_a_difference_is_told(text: str) -> None:
    assert cells(text, IMPACT)[1:] == ["impact core, weight 2", "240", "500", "8", "0", "20,350"]
    assert cells(text, PLAIN)[1:4] == ["no core", "–", "740"]
    assert cells(text, RANDOMS[2])[1:4] == ["random 3 core, weight 2", "240", "500"]
    assert "the 5 cores expect the same draws, up to 0 of one draw" in text
    assert "expect the same draws, up to 0.25 of one draw" in words(expected_exposure=exposure(0.25))


def test_every_pair_stands_with_interval_and_ratio_controls_among_each_other_too(text: str) -> None:
    rows = [line for line in text.splitlines() if line.startswith(f"| {EVENTS} | ")]
    assert len(rows) == 8 and [row.endswith("| yes |") for row in rows] == [True] * 3 + [False] * 5
    assert (
        "| impact − mean of random (weight 2) | 4 / 2 | 2.00 \\[1.00, 3.00\\] | 2.00 \\[0.800, 5.00\\] "
        "| 0.004 | 0.004 | 8 |" in rows[0]
    )
    assert [row.split(" | ")[1] for row in rows[3:]] == [
        "random − no core (weight 2)", "random 2 − no core (weight 2)", "random 3 − no core (weight 2)",
        "loss − no core (weight 2)", "loss − mean of random (weight 2)",
    ]  # fmt: skip
    assert f"Consensus events of {IMPACT} against {MEAN}: 4 and 2, rate ratio 2.00" in text


def test_a_core_that_only_ranks_is_said_to_confirm_nothing() -> None:
    ranked = status("ranked", num_significant_events=0, num_triggers=0, event_q=0.4, near_boundary=True)
    said = words(impact_status=ranked)
    assert "nothing here is more than exploratory" in said[: said.index("## Claims")]
    assert "No consensus event of the compared arms is significant." in said
    assert "layers_0_0.angle, up, at step 120 of arm blocked, q 0.400, near a boundary" in said


def test_without_a_selection_there_is_a_sentence_in_every_place() -> None:
    unknown = dict.fromkeys(("estimate", "ci_lo", "ci_hi", "null_mean", "p_value", "q_value", "control_difference"))
    unknown |= {"evidence": '{"discovery":{"status":"no_selection"}}', "n_seeds": 0}
    nothing = dict.fromkeys(set(ImpactStatus.to_schema().columns) - {"study", "status", "reason"})
    nothing |= {"num_significant_events": 0, "num_items": 0, "num_triggers": 0, "num_families": 0}
    said = words(
        impact_status=status("no_selection", **nothing),
        claims=claims("underpowered", **unknown),
        impact_core=empty(ImpactCore),
        impact_effects=empty(ImpactEffects),
        expected_exposure=exposure().filter(pl.col("arm") == PLAIN),
        run_manifest=manifest().filter(pl.col("arm") == PLAIN),
    )
    assert "No core: as found. Nothing was trained from one. That is an answer." in said
    assert "None of them could be tested." in said and "no items to show" in said
    assert "No pair of arms could be compared" in said
    assert cells(said, PLAIN)[1:4] == ["no core", "–", "740"]


def test_empty_tables_are_sentences() -> None:
    given = {
        "claims": empty(Claims), "impact_design": empty(ImpactDesign), "impact_status": empty(ImpactStatus),
        "impact_core": empty(ImpactCore), "impact_effects": empty(ImpactEffects),
        "expected_exposure": empty(ExpectedExposure), "run_manifest": empty(RunManifest),
    }  # fmt: skip
    said = words(**given)
    for words_of_it in ("There are no claims: nothing was tested.", "was not worked out", "no exposure to compare"):
        assert words_of_it in said
    assert "Everything here is about: base model embedded" in said


def test_equal_input_gives_equal_bytes(made: Any) -> None:
    assert report().files == made.files
