"""The mart of replays on small literal tables, and the names of claims that it looks for; outputs derived by hand."""

from __future__ import annotations

from squiggle_assets.schemas.followup import CounterfactualEffects, Selection, no_selection
from squiggle_assets.science.claim_followups import followup_claims
from squiggle_assets.science.waves import FollowUp
from squiggle_assets.studies.trigger_mining import TRIGGER_MINING
from tests.sql.evidence_rows import assert_grain, shown, table


def _effect(event, condition, present, study="s", part=1):
    control = "exact" if condition == "placebo" else "placebo"
    keys = {"study": study, "exp_id": study, "status": "selected", "consensus_event_id": event, "condition": condition}
    figures = {
        "control": control,
        "n_seeds": 7,
        "num_unedited": 1,
        "share_present": present,
        "share_present_control": 1.0,
    }
    return (
        keys | figures | {"part": part, "effect_rd": present - 1, "magnitude_difference": -2.0, "delay_difference": 5.0}
    )


def _choice(follow, event, study="s/followup", parent="planted"):
    keys = {"study": study, "arm": follow.name, "status": "selected", "parent_arm": parent, "draw": follow.draw}
    choice = {"analysis_id": "n", "condition": follow.condition, "consensus_event_id": event}
    choice |= {"part": follow.part, "n_items": 8 // follow.part}
    return keys | choice | {"family_id": "several", "event_step": 40, "edit_scope": "window"}


def _claim(claim, verdict, study="s", analysis="n"):
    return {"study": study, "claim": claim, "verdict": verdict, "analysis_id": analysis}


PLANTED = [
    FollowUp(parent="planted", condition="exact"),
    *(FollowUp(parent="planted", condition="remove", part=part) for part in (1, 2)),
    *(FollowUp(parent="planted", condition="placebo", draw=draw) for draw in range(3)),
]
COLUMNS = (
    *("study", "wave", "arm", "condition", "part", "control", "share_present", "effect_rd", "n_items"),
    *("claim", "verdict"),
)


def test_every_condition_and_wave_is_one_row_with_the_verdict_of_its_claim(run):
    # Three draws of the placebo are three choices and one condition. On fresh seeds the event stays in half of the
    # seeds. The claim of another analysis and those of study t, which has an event of the same id and removes its
    # triggers too (its own claim was not made), are no part of s. The claim is about all triggers, not their half.
    found = run(
        "mart_counterfactuals",
        counterfactual_effects=table(
            "counterfactual_effects",
            _effect("e", "remove", 0.0),
            _effect("e", "placebo", 1.0),
            _effect("e", "remove", 0.25, "t"),
            _effect("e", "remove", 0.75, part=2),
        ),
        confirmed_effects=table("confirmed_effects", _effect("e", "placebo", 1.0), _effect("e", "remove", 0.5)),
        selection=table(
            "selection",
            *(_choice(follow, "e") for follow in PLANTED),
            _choice(PLANTED[1], "e", study="t/followup"),
            {"study": "s/followup", "arm": "blocked.remove", "status": "no_selection"},
        ),
        claims=table(
            "claims",
            _claim("remove:planted", "exploratory"),
            _claim("placebo:planted", "not supported"),
            _claim("remove:planted", "supported", analysis="older"),
            _claim("remove:blocked", "underpowered"),
        ),
    )
    assert_grain(found, "mart_counterfactuals")
    of_placebo = ("placebo", 1, "exact", 1.0, 0.0, 8, "placebo:planted", "not supported")
    assert shown(found, *COLUMNS) == [
        ("s", "followup", "planted", *of_placebo),
        ("s", "confirmation", "planted", *of_placebo),
        ("s", "followup", "planted", "remove", 1, "placebo", 0.0, -1.0, 8, "remove:planted", "exploratory"),
        ("s", "confirmation", "planted", "remove", 1, "placebo", 0.5, -0.5, 8, "remove:planted", "exploratory"),
        ("s", "followup", "planted", "remove", 2, "placebo", 0.75, -0.25, 4, None, None),
        ("t", "followup", "planted", "remove", 1, "placebo", 0.25, -0.75, 8, None, None),
    ]
    assert set(shown(found, "n_seeds", "num_unedited", "num_control_runs")) == {(7, 1, None)}


def test_a_study_without_any_selection_says_so_in_one_row_a_wave(run):
    nothing = {"study": "s", "exp_id": "s", "status": "no_selection"}
    found = run(
        "mart_counterfactuals",
        counterfactual_effects=table("counterfactual_effects", nothing),
        confirmed_effects=table("confirmed_effects", nothing),
        selection=table("selection", {"study": "s/followup", "arm": "planted.remove", "status": "no_selection"}),
        claims=table("claims", _claim("remove:planted", "underpowered")),
    )
    assert shown(found, "study", "wave", "status", "consensus_event_id", "condition", "verdict") == [
        ("s", "followup", "no_selection", None, None, None),
        ("s", "confirmation", "no_selection", None, None, None),
    ]


def test_the_claims_it_looks_for_are_those_that_the_study_makes():
    chosen = no_selection(Selection, arm="planted.remove")
    effects = no_selection(CounterfactualEffects, exp_id="trigger_mining")
    made = {
        claim.row["claim"] for family in followup_claims(TRIGGER_MINING, chosen, effects, effects) for claim in family
    }
    wanted = {f"{each.condition}:{each.parent}" for each in TRIGGER_MINING.followups if each.condition != "exact"}
    assert made == wanted
