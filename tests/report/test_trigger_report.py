"""The report of trigger mining says what the tables say, first things first."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from squiggle_assets import profiles
from squiggle_assets.report.trigger_report import trigger_report
from squiggle_assets.schemas.base import empty, frame
from squiggle_assets.schemas.followup import (
    CounterfactualEffects,
    CounterfactualRuns,
    FollowupDesign,
    Selection,
    no_selection,
)
from squiggle_assets.schemas.triggers import MinimumLift, TriggerAttribution, TriggerStatus
from squiggle_assets.science.claim_followups import followup_claims
from squiggle_assets.science.claim_rows import claim_rows
from squiggle_assets.science.followup_design import attainable
from squiggle_assets.science.stats import t_interval
from squiggle_assets.science.trigger_power import TriggerDesign, minimum_lift
from squiggle_assets.science.waves import FollowUp
from squiggle_assets.studies.trigger_mining import TRIGGER_MINING

STUDY = replace(
    TRIGGER_MINING,
    followups=tuple(
        FollowUp(parent=parent, condition=condition)  # type: ignore[arg-type]
        for parent in ("planted", "blocked")
        for condition in ("exact", "remove", "placebo")
    ),
)
SEEDS = range(8)
STRENGTH = {"exact": 5.0, "placebo": 4.5, "remove": 1.0}
EVENT = {"consensus_event_id": "0123456789abcdef", "event_signature": "a.layers_0_0.angle.up", "edit_scope": "window"}


def model_row(model: Any, **given: Any) -> dict[str, Any]:
    return {**dict.fromkeys(model.to_schema().columns), **given}


def selection() -> pl.DataFrame:
    chosen = [
        model_row(
            Selection,
            **{"arm": f"planted.{condition}", "status": "selected", "parent_arm": "planted", "analysis_id": "x"},
            **EVENT,
            **{
                "condition": condition,
                "part": 1,
                "draw": 0,
                "trigger_set_id": "t",
                "trigger_items": '["i"]',
                "n_items": 8,
            },
            **{"family_id": "several", "probe_set": "a", "layer_lo": 0, "layer_hi": 0, "metric_group": "angle"},
            **{"polarity": 1, "event_step": 144, "onset_step": 140.0, "tolerance_steps": 5.0, "floor": 1.0},
            **{"window_first": 120, "window_stop": 145},
        )
        for condition in STRENGTH
    ]
    nothing = [no_selection(Selection, arm=f"blocked.{condition}") for condition in STRENGTH]
    return pl.concat([frame(Selection, chosen), *nothing])


def runs() -> pl.DataFrame:
    rows = [
        model_row(
            CounterfactualRuns,
            **{
                "arm": f"planted.{condition}",
                "seed": seed,
                "status": "selected",
                "draw": 0,
                "condition": condition,
                "part": 1,
            },
            **EVENT,
            **{"trigger_set_id": "t", "n_items": 8, "family_id": "several", "base_run_id": "b", "cf_run_id": "c"},
            **{"event_present": level > 2, "censored": False, "magnitude": level + seed / 10, "steps_to_event": 4.0},
            **{"horizon_steps": 60.0, "num_edits": 0 if condition == "exact" else 40, "prefix_identical": True},
            **{"steps_reused": 0 if condition == "exact" else 100, "trajectory_distance": 0.1},
        )
        for condition, level in STRENGTH.items()
        for seed in SEEDS
    ]
    return frame(CounterfactualRuns, rows)


def effects() -> pl.DataFrame:
    rows = []
    for condition, control in (("remove", "placebo"), ("placebo", "exact")):
        shift = STRENGTH[condition] - STRENGTH[control]
        span = t_interval(shift + 0.1 * pl.Series(SEEDS).to_numpy() - 0.35)
        rows.append(
            model_row(
                CounterfactualEffects,
                **{"exp_id": STUDY.name, "status": "selected", "condition": condition, "part": 1, "control": control},
                **{"consensus_event_id": EVENT["consensus_event_id"], "n_seeds": 8, "num_control_runs": 8},
                **{
                    "seeds": "[]",
                    "magnitude_difference": shift,
                    "magnitude_ci_lo": span.lo,
                    "magnitude_ci_hi": span.hi,
                },
                **{"effect_rd": -1.0 if condition == "remove" else 0.0, "ci_lo": -1.0, "ci_hi": -0.6},
                **{"share_present": 0.0, "share_present_control": 1.0, "smallest_p": 2 / 256},
                **{"p_value": 2 / 256, "q_value": 2 / 256 if condition == "remove" else None},
                **{"label": "kills" if condition == "remove" else "inconclusive", "reason": "by the rule"},
            )
        )
    return frame(CounterfactualEffects, rows)


def report(**given: pl.DataFrame) -> Any:
    design = attainable(8, 2)
    tables = {
        "selection": selection(),
        "counterfactual_runs": runs(),
        "counterfactual_effects": effects(),
        "confirmed_effects": effects(),
        "followup_design": frame(
            FollowupDesign,
            [{"study": "s", "n_seeds": 8, "num_tests": 2, "num_placebo_draws": 3, "alpha": 0.05} | design._asdict()],
        ),
        "minimum_lift": frame(
            MinimumLift,
            [
                {"study": "s", "arm": "planted"} | row
                for row in minimum_lift(
                    TriggerDesign(num_seeds=8, num_steps=200, batch_size=16, num_items=5000), STUDY.triggers
                ).to_dicts()
            ],
        ),
        "trigger_status": empty(TriggerStatus),
        "trigger_attribution": empty(TriggerAttribution),
        **given,
    }
    claims = claim_rows(
        STUDY,
        followup_claims(STUDY, tables["selection"], tables["counterfactual_effects"], tables["confirmed_effects"]),
        stopped={},
        preregistered=True,
        scale="test scale",
        analysis_id="a",
    )
    return trigger_report(STUDY, profiles.load("demo"), claims=claims, made={"profile": "demo"}, **tables)


@pytest.fixture(scope="module")
def text() -> str:
    return str(report().files["report.md"].decode())


def test_what_was_found_comes_first_with_estimate_control_and_verdict(text: str) -> None:
    found = text[: text.index("## Claims")]
    assert "Removing the triggers of arm planted's event weakens or removes the event. Supported: −3.50" in found
    assert "envelopes against placebo" in found
    assert "No triggers: no significant consensus event of blocked has items" in found
    assert "Arm planted is the positive control" in found and "no finding about any item" in found


def test_the_label_stands_beside_the_verdict_on_both_rosters(text: str) -> None:
    rows = [line for line in text.splitlines() if line.startswith("| 01234567 | remove |")]
    assert len(rows) == 2, "the seeds of the choice, and fresh ones"
    assert all("kills" in row and "by the rule" in row for row in rows)


def test_shared_past_and_spared_steps_are_those_of_the_replays(text: str) -> None:
    # 16 edited replays go on from step 100 of 200
    assert "24 of 24 replays are their parent bit for bit" in text
    assert re.search(r"spare the edited ones 50\s?% of", text)
    broken = runs().with_columns(prefix_identical=pl.col("seed") != 3)
    assert "21 of 24 replays" in report(counterfactual_runs=broken).files["report.md"].decode()


def test_without_a_selection_the_report_says_that_nothing_was_edited() -> None:
    nothing = pl.concat([no_selection(Selection, arm=each.name) for each in STUDY.followups])
    none = no_selection(CounterfactualEffects, exp_id=STUDY.name)
    made = report(
        selection=nothing,
        counterfactual_runs=empty(CounterfactualRuns),
        counterfactual_effects=none,
        confirmed_effects=none,
    )
    said = made.files["report.md"].decode()
    assert "Nothing was edited: no event has triggers." in said
    assert "blocked and planted has items" in said
    assert made.meta["verdicts"] == dict.fromkeys(
        ["remove:planted", "remove:blocked", "placebo:planted", "placebo:blocked"], "underpowered"
    )


def test_equal_input_gives_equal_bytes() -> None:
    assert report().files == report().files
