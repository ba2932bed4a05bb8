"""Claims about edited triggers and their verdicts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from squiggle_assets.science.claim_followups import followup_claims
from squiggle_assets.science.claim_rows import claim_rows
from squiggle_assets.science.waves import FollowUp
from squiggle_assets.studies.trigger_mining import TRIGGER_MINING

STUDY = replace(
    TRIGGER_MINING,
    followups=(
        *(
            FollowUp(parent=parent, condition=condition)  # type: ignore[arg-type]
            for parent in ("planted", "blocked")
            for condition in ("exact", "remove", "placebo")
        ),
        *(FollowUp(parent="planted", condition="remove", part=part) for part in (2, 4)),
    ),
)


def selection(*parents: str) -> pl.DataFrame:
    rows = [
        {
            **{"parent_arm": each.parent, "condition": each.condition, "consensus_event_id": f"event-{each.parent}"},
            **{"status": "selected", "n_items": 8 // each.part, "part": each.part},
        }
        for each in STUDY.followups
        if each.parent in parents
    ]
    nothing = {
        **dict.fromkeys(("parent_arm", "condition", "consensus_event_id", "n_items", "part")),
        "status": "no_selection",
    }
    return pl.DataFrame([*rows, nothing], infer_schema_length=None)


def effect(parent: str, condition: str, low: float, high: float, p: float) -> dict[str, Any]:
    return {
        **{"consensus_event_id": f"event-{parent}", "condition": condition, "label": "weakens", "reason": "."},
        **{"magnitude_difference": (low + high) / 2, "magnitude_ci_lo": low, "magnitude_ci_hi": high},
        **{"effect_rd": -0.5, "ci_lo": -0.8, "ci_hi": -0.1, "p_value": p, "q_value": p, "smallest_p": 2 / 256},
        **{"n_seeds": 8, "part": 1},
    }


REMOVED = effect("planted", "remove", -4.0, -2.0, 2 / 256)
PLACEBO = effect("planted", "placebo", -0.5, 0.4, 0.6)


def claims(effects: list[dict[str, Any]], confirmed: list[dict[str, Any]], *parents: str) -> dict[str, dict[str, Any]]:
    families = followup_claims(STUDY, selection(*parents), pl.DataFrame(effects), pl.DataFrame(confirmed))
    table = claim_rows(STUDY, families, stopped={}, preregistered=True, scale="test", analysis_id="a")
    return {row["claim"]: row for row in table.iter_rows(named=True)}


def test_removed_triggers_that_weaken_the_event_on_both_rosters_are_supported_and_the_placebo_is_not() -> None:
    found = claims([REMOVED, PLACEBO], [REMOVED, PLACEBO], "planted")
    assert found["remove:planted"]["verdict"] == "supported"
    # two tests in the family: the blocked arm had no triggers, and stays in it
    assert found["remove:planted"]["q_value"] == pytest.approx(2 * 2 / 256)
    assert found["placebo:planted"]["verdict"] == "not supported"
    assert found["placebo:planted"]["contrast"] == "exact" and found["remove:planted"]["contrast"] == "placebo"
    assert json.loads(found["remove:planted"]["evidence"])["fresh_seeds"]["label"] == "weakens"


def test_a_claim_is_about_all_triggers_and_says_how_few_of_them_still_act() -> None:
    half = {**REMOVED, "part": 2, "magnitude_difference": -9.0, "label": "kills"}
    quarter = {**REMOVED, "part": 4, "label": "weakens"}
    whole = {**REMOVED, "label": "kills"}
    found = claims([half, whole, quarter, PLACEBO], [whole, PLACEBO], "planted")["remove:planted"]
    assert found["estimate"] == -3.0 and found["n_items"] == 8
    assert json.loads(found["evidence"])["smallest_acting"] == {
        "found": {"n_items": 8, "n_acting": 4, "n_tried": [8, 4, 2]},
        "fresh": {"n_items": 8, "n_acting": 8, "n_tried": [8]},
    }


@pytest.mark.parametrize(
    "fresh",
    [
        {"magnitude_ci_hi": 0.1},
        {"q_value": 0.2},
        {"magnitude_ci_lo": 2.0, "magnitude_ci_hi": 4.0},
        {"q_value": None, "p_value": None},
    ],
)
def test_what_fresh_seeds_do_not_show_is_exploratory(fresh: dict[str, Any]) -> None:
    found = claims([REMOVED, PLACEBO], [{**REMOVED, **fresh}], "planted")
    assert found["remove:planted"]["verdict"] == "exploratory"
    assert "not replicated on fresh seeds" in found["remove:planted"]["reasons"]


def test_an_event_that_became_stronger_is_not_supported_however_small_its_p() -> None:
    stronger = effect("planted", "remove", 2.0, 4.0, 2 / 256)
    found = claims([stronger, PLACEBO], [stronger, PLACEBO], "planted")["remove:planted"]
    assert found["verdict"] == "not supported" and "wrong side" in found["reasons"]


def test_an_arm_without_triggers_has_its_claim_and_says_so() -> None:
    found = claims([REMOVED, PLACEBO], [REMOVED], "planted")["remove:blocked"]
    assert found["estimate"] is None and found["q_value"] is None
    assert "no consensus event of the arm has triggers" in found["method"]
    assert found["verdict"] == "underpowered"


@pytest.mark.parametrize(
    "given", [{"condition": "placebo"}, {"condition": "exact"}, {"condition": "remove", "part": 0}]
)
def test_only_edits_that_are_no_control_have_parts(given: dict[str, Any]) -> None:
    assert FollowUp(parent="iid", condition="remove", part=4).name == "iid.remove-1of4"
    with pytest.raises(ValueError, match="part of the triggers"):
        FollowUp(**{"parent": "iid", "part": 2, **given})
