"""The marts of arms and claims, and the members of consensus events, on small literal tables."""

from __future__ import annotations

import json
import math

import pytest


def _run(arm, seed, final, stopped=False):
    return {
        "study": "s",
        "arm": arm,
        "seed": seed,
        "first_loss": 4.0,
        "final_loss": final,
        "final_loss_smooth": final + 1,
        "stopped_early": stopped,
    }


def _detection(arm, seed, probe_set, num_events):
    return {"study": "s", "arm": arm, "seed": seed, "probe_set": probe_set, "num_events": num_events}


def _outcome(arm, outcome, value):
    return {
        "study": "s",
        "arm": arm,
        "outcome": outcome,
        "value": value,
        "null_mean": 1.5,
        "excess": value - 1.5,
        "ci_lo": 0.5,
        "ci_hi": 4.5,
        "p_value": 0.01,
        "q_value": 0.02,
        "n_seeds": 2,
    }


def test_an_arm_is_summed_over_its_runs_beside_its_tested_consensus_count(run):
    # Final losses 1 and 2: mean 1.5. Events in a: 4 and 0, mean 2; in b: 1 and 2, mean 1.5. Outcome rows of other
    # outcomes do not multiply the arm's row. `ramp` was trained but neither analysed nor tested.
    found = run(
        "mart_arm_summary",
        stg_runs=[_run("iid", 1, 1.0), _run("iid", 2, 2.0, stopped=True), _run("ramp", 1, 3.0)],
        stg_detections=[
            _detection("iid", 1, "a", 4),
            _detection("iid", 2, "a", 0),
            _detection("iid", 1, "b", 1),
            _detection("iid", 2, "b", 2),
        ],
        arm_outcomes=[_outcome("iid", "consensus_event_count", 4.0), _outcome("iid", "final_loss", 9.0)],
    )
    assert [tuple(row.values()) for row in found] == [
        ("s", "iid", 2, 1, 4.0, 1.5, 2.5, 2.0, 1.5, 2, 4, 1.5, 2.5, 0.5, 4.5, 0.01, 0.02),
        ("s", "ramp", 1, 0, 4.0, 3.0, 4.0, *[None] * 10),
    ]


def test_a_loss_that_is_not_a_number_is_not_averaged_away(run):
    (row,) = run(
        "mart_arm_summary",
        stg_runs=[_run("iid", 1, 1.0), _run("iid", 2, math.nan)],
        stg_detections=[_detection("iid", 1, "a", 1)],
        arm_outcomes=[_outcome("iid", "consensus_event_count", 4.0)],
    )
    assert math.isnan(row["mean_final_loss"])


CLAIM = {
    name: 0.5
    for name in ("estimate", "ci_lo", "ci_hi", "null_mean", "control_difference", "control_ci_lo", "control_ci_hi")
} | {
    name: "x" for name in ("arm", "contrast", "hypothesis", "unit", "control", "scale", "method", "reasons", "evidence")
}


def _claim(study, claim, verdict, q_value):
    numbers = {"p_value": 0.01, "n_seeds": 8, "n_items": 50, "preregistered": True, "analysis_id": "a1"}
    return CLAIM | numbers | {"study": study, "claim": claim, "verdict": verdict, "q_value": q_value}


def test_claims_stand_by_study_verdict_and_q_with_none_lost(run):
    claims = [
        _claim("t", "first", "supported", 0.001),
        _claim("s", "weak", "underpowered", None),
        _claim("s", "no", "not supported", 0.6),
        _claim("s", "maybe", "exploratory", None),
        _claim("s", "perhaps", "exploratory", 0.04),
        _claim("s", "later", "supported", 0.03),
        _claim("s", "yes", "supported", 0.01),
        _claim("s", "also", "supported", 0.03),
    ]
    found = run("mart_claims", claims=claims)
    order = ["yes", "also", "later", "perhaps", "maybe", "no", "weak", "first"]
    assert [row["claim"] for row in found] == order
    assert set(found[0]) == set(claims[0])


@pytest.mark.parametrize("extra", [{}, {"cell": "unread"}])
def test_members_of_a_consensus_event_are_one_row_a_seed_with_its_event(run, extra):
    # Seed 10 sorts after 2 as a number; a seed without a selected event keeps its step and has no event.
    constituents = {
        "10": {"event_id": "e1", "step": 42, "layer": 3, "metric": "sv_entropy", "z": 5.5} | extra,
        "2": {"event_id": None, "step": 40, "layer": 2, "metric": "effective_rank", "z": -1.25} | extra,
    }
    event = {
        "study": "s",
        "arm": "iid",
        "probe_set": "a",
        "consensus_event_id": "c1",
        "band": "layers_2_3",
        "metric_group": "spectral",
        "polarity": 1,
        "median_step": 41.0,
        "q_value": 0.02,
        "constituents": json.dumps(constituents),
    }
    found = run("int_consensus_members", consensus_events=[event])
    shown = ["consensus_event_id", "seed", "event_id", "step", "layer", "metric", "z"]
    assert [tuple(row[name] for name in shown) for row in found] == [
        ("c1", 2, None, 40, 2, "effective_rank", -1.25),
        ("c1", 10, "e1", 42, 3, "sv_entropy", 5.5),
    ]
