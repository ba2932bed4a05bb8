"""The marts of triggers, items, probe families and calibration on small literal tables; outputs derived by hand."""

from __future__ import annotations

import math

import polars as pl

from squiggle_assets.science.calibration import calibration_table, planted_rows
from squiggle_assets.science.probe_claims import STEPS, TOKENS, probe_result
from squiggle_assets.studies.calibration import CALIBRATION
from squiggle_assets.studies.probe_harness import PROBE_HARNESS
from tests.sql.evidence_rows import assert_grain, shown, table


def _event(event, q, study="s", arm="iid", probe_set="a"):
    keys = {"study": study, "arm": arm, "analysis_id": "n", "probe_set": probe_set, "consensus_event_id": event}
    return keys | {"q_value": q, "median_step": 40.0, "n_seeds": 8, "num_matched": 7}


def _item(event, item, rank, q, trigger, study="s", arm="iid", **more):
    keys = {"study": study, "arm": arm, "analysis_id": "n", "consensus_event_id": event, "item_id": item}
    figures = {"rank": rank, "q_value": q, "is_trigger": trigger, "lift": 10.0 - rank, "lb05": 2.0 - rank}
    return keys | figures | {"family_id": f"family-{item[0]}", "null_id": "policy_time"} | more


def _status(event, status, num_triggers, smallest_q, study="s", arm="iid"):
    keys = {"study": study, "arm": arm, "analysis_id": "n", "consensus_event_id": event}
    return keys | {"status": status, "num_triggers": num_triggers, "smallest_q": smallest_q, "num_tested": 50}


def test_every_event_is_one_row_with_its_best_trigger_or_why_there_is_none(run):
    # e1: x ranks first but is no trigger, so the best one is b1 (rank 2, lift 8); triggers b1, b2, c1 are of two
    # families, c1 is planted. e2: looked into, none found, its smallest q is of no trigger. e3 (held-out
    # probes) and the confirmation wave were not looked into. Study t has an event of the same id: nothing of s is its.
    found = run(
        "mart_triggers",
        consensus_events=table(
            "consensus_events",
            _event("e3", 0.01, probe_set="b"),
            _event("e2", 0.04),
            _event("e1", 0.02),
            _event("e1", 0.02, study="t"),
            _event("e9", 0.03, study="s/confirmation", arm="iid.impact-w2"),
        ),
        trigger_status=table(
            "trigger_status", _status("e1", "triggers", 3, 0.001), _status("e2", "no triggers", 0, 0.6)
        ),
        trigger_attribution=table(
            "trigger_attribution",
            _item("e1", "x", 1, 0.2, False),
            _item("e1", "b2", 3, 0.05, True),
            _item("e1", "b1", 2, 0.04, True),
            _item("e1", "c1", 4, 0.001, True, null_id="uniform_time"),
            _item("e2", "x", 1, 0.6, False),
        ),
    )
    assert_grain(found, "mart_triggers")
    about = ("study", "consensus_event_id", "status", "num_triggers", "num_families", "families", "num_uniform_time")
    assert shown(found, *about) == [
        ("s", "e3", "not attributed", None, None, None, None),
        ("s", "e1", "triggers", 3, 2, '["family-b","family-c"]', 1),
        ("s", "e2", "no triggers", 0, 0, None, 0),
        ("s/confirmation", "e9", "not attributed", None, None, None, None),
        ("t", "e1", "not attributed", None, None, None, None),
    ]
    best = ("best_item_id", "best_family_id", "best_lift", "best_lb05", "best_q", "smallest_q", "event_q")
    assert shown(found, *best)[1] == ("b1", "family-b", 8.0, 0.0, 0.04, 0.001, 0.02)
    assert shown(found, *best)[2] == (None, None, None, None, None, 0.6, 0.04)


def test_the_best_event_of_an_item_gives_lift_and_q_together(run):
    # q .01 at e2 with lift 4 beats q .05 at e1 with lift 9: the larger lift is not put beside the smaller q. Of two
    # equal q the larger lb05 counts. A trigger in arms iid (twice) and ramp: three events, two arms.
    found = run(
        "int_item_lifts",
        trigger_attribution=table(
            "trigger_attribution",
            _item("e1", "b1", 1, 0.05, True),
            _item("e2", "b1", 6, 0.01, True),
            _item("e3", "b1", 4, 0.3, True, arm="ramp"),
            _item("e1", "x", 3, 0.5, False, null_id="uniform_time"),
            _item("e2", "x", 2, 0.5, False),
            _item("e1", "x", 1, 0.5, False, study="t"),
        ),
    )
    assert_grain(found, "int_item_lifts")
    columns = ("study", "item_id", "num_events_shown", "num_events_trigger", "num_arms_trigger")
    assert shown(found, *columns) == [("s", "b1", 3, 3, 2), ("s", "x", 2, 0, 0), ("t", "x", 1, 0, 0)]
    best = ("best_arm", "best_event_id", "best_lift", "best_lb05", "best_q", "best_is_trigger", "best_null_id")
    assert shown(found, *best)[:2] == [
        ("iid", "e2", 4.0, -4.0, 0.01, True, "policy_time"),
        ("iid", "e2", 8.0, 0.0, 0.5, False, "policy_time"),
    ]


def _edit(study, arm, seed, item_from, item_to, slot=0):
    condition = arm.partition(".")[2].partition("-")[0]
    keys = {"study": study, "arm": arm, "seed": seed, "status": "selected", "condition": condition, "slot": slot}
    return keys | {"item_from": item_from, "item_to": item_to}


EDITS = (
    _edit("s/followup", "planted.remove", 1, "p", "y"),
    _edit("s/followup", "planted.remove", 1, "p", "y", slot=1),
    _edit("s/followup", "planted.remove", 2, "p", "z"),
    _edit("s/followup", "planted.placebo", 1, "y", "z"),
    _edit("s/followup", "planted.placebo-2", 1, "y", "p"),
    _edit("s/confirmation", "planted.remove", 7, "p", "y"),
    _edit("s/confirmation", "planted.placebo", 7, "y", "z"),
    {"study": "s/followup", "arm": "blocked.remove", "seed": 1, "status": "no_selection"},
)


def test_edits_count_replays_not_slots_and_both_waves_for_the_study_they_repeat(run):
    # p gave way in two replays of the parents' seeds (twice in one of them) and one fresh one, and stood in once
    # (placebo-2). y gave way in three placebo replays and stood in for p at seeds 1 and 7; z at seed 2 and in two
    # placebos. A partition without a selection names no item.
    found = run("int_item_edits", replay_edits=table("replay_edits", *EDITS))
    assert [tuple(row.values()) for row in found] == [
        ("s", "p", 2, 1, 0, 1),
        ("s", "y", 0, 0, 3, 2),
        ("s", "z", 0, 0, 0, 3),
    ]


def _core(core, rank, item, study="s", draw=0):
    return {"study": study, "core": core, "draw": draw, "rank": rank, "item_id": item}


def _mode(signature, item, mode_class):
    return {"study": "s", "event_signature": signature, "item_id": item, "mode_class": mode_class}


def _order(item, arm, effect, comparison="order", grain="item", interaction=0.7):
    keys = {"study": "s", "grain": grain, "item_id": item, "arm": arm, "comparison": comparison, "effect": effect}
    figures = {"interaction": interaction, "ci_lo": 0.1, "ci_hi": 1.3, "q_value": 0.02, "order_sensitive": True}
    return keys | figures


def _evidence(run, **given):
    names = ("trigger_attribution", "replay_edits", "impact_core", "trigger_modes", "order_sensitivity")
    tables = {name: table(name) for name in (*names, "candidate_pool")}
    return run("mart_item_evidence", **{**tables, **given})


def test_the_evidence_of_an_item_is_one_row_however_many_tables_speak_of_it(run):
    # p: trigger of e1 and e2, in two cores, edited in 2 + 1 replays, two classes over two kinds of event, its order row
    # in three arms. r stands in two random cores and counts once. y is known from edits, o from order alone. The family
    # row of order and that of the placebo comparison are of no item of this mart. An id that two contents in the pool
    # share makes no second row.
    found = _evidence(
        run,
        trigger_attribution=table(
            "trigger_attribution", _item("e1", "p", 1, 0.05, True), _item("e2", "p", 2, 0.01, True)
        ),
        replay_edits=table("replay_edits", *EDITS[:4], *EDITS[5:6]),
        impact_core=table(
            "impact_core",
            _core("loss", 5, "p"),
            _core("impact", 3, "p"),
            _core("random", 3, "r"),
            _core("random", 4, "r", draw=2),
            _core("impact", 1, "p", study="t"),
        ),
        trigger_modes=table("trigger_modes", _mode("up", "p", "robust"), _mode("down", "p", "inconclusive")),
        order_sensitivity=table(
            "order_sensitivity",
            *(_order("p", arm, effect) for arm, effect in (("a", 1.0), ("b", 2.0), ("c", 3.0))),
            _order("o", "a", 1.0, interaction=None),
            _order(None, "a", 1.0, grain="family"),
            _order("q", "a", 1.0, comparison="placebo"),
        ),
        candidate_pool=table(
            "candidate_pool",
            {"item_id": "p", "content_sha256": "1", "family_id": "f", "family_type": "target"},
            {"item_id": "p", "content_sha256": "2", "family_id": "f", "family_type": "target"},
        ),
    )
    assert_grain(found, "mart_item_evidence")
    items = ("study", "item_id", "family_id", "num_events_trigger", "cores", "impact_rank")
    assert shown(found, *items) == [
        ("s", "o", None, 0, None, None),
        ("s", "p", "f", 2, '["impact","loss"]', 3),
        ("s", "r", None, 0, '["random"]', None),
        ("s", "y", None, 0, None, None),
        ("s", "z", None, 0, None, None),
        ("t", "p", "f", 0, '["impact"]', 1),
    ]
    more = ("best_q", "num_replays_edited", "num_fresh_replays_edited", "num_placebo_replays", "num_replays_put_in")
    assert shown(found, *more)[1] == (0.01, 2, 1, 0, 0)
    assert shown(found, *more)[3] == (None, 0, 0, 1, 2)
    rest = ("mode_classes", "order_interaction", "order_ci_lo", "order_ci_hi", "order_q", "order_sensitive")
    assert shown(found, *rest)[1] == ('["inconclusive","robust"]', 0.7, 0.1, 1.3, 0.02, True)
    assert shown(found, *rest)[5] == (None,) * 6


def _test(arm, role, matched, distance, p):
    keys = {"study": "s", "arm": arm, "role": role, "matched": matched, "n_seeds": 8}
    return keys | {"distance": distance, "ci_lo": distance - 1, "ci_hi": distance + 1, "p_value": p, "q_value": p / 2}


def _verdict(claim, q, verdict):
    keys = {"study": "s", "claim": claim, "arm": claim.partition(":")[2], "verdict": verdict}
    return keys | {"p_value": q / 2, "q_value": q}


def test_a_family_is_one_row_with_both_ways_of_matching_and_the_verdict_and_q_of_its_claim(run):
    # Families by the q of their claims (by equal tokens alone few would be first), then the planted arm, then mixtures.
    # planted:planted and a consensus claim are other claims.
    claims = (
        _verdict("family:few", 0.4, "not supported"),
        _verdict("family:many", 0.03, "supported"),
        _verdict("family:planted", 0.01, "supported"),
        _verdict("planted:planted", 0.02, "exploratory"),
        _verdict("consensus:many", 0.02, "exploratory"),
    )
    tests = (
        _test("mixture-1", "placebo", "tokens", 0.1, 0.8),
        _test("few", "treatment", "tokens", 0.5, 0.002),
        _test("planted", "planted", "tokens", 9.0, 0.001),
        _test("many", "treatment", "tokens", 4.0, 0.02),
        _test("many", "treatment", "steps", 3.0, 0.03),
    )
    found = run("mart_probe_families", probe_tests=table("probe_tests", *tests), claims=table("claims", *claims))
    assert_grain(found, "mart_probe_families")
    figures = ("arm", "distance", "ci_lo", "tokens_p", "steps_distance", "steps_p")
    assert shown(found, *figures, "p_value", "q_value", "claim", "verdict") == [
        ("many", 4.0, 3.0, 0.02, 3.0, 0.03, 0.015, 0.03, "family:many", "supported"),
        ("few", 0.5, -0.5, 0.002, None, None, 0.2, 0.4, "family:few", "not supported"),
        ("planted", 9.0, 8.0, 0.001, None, None, 0.005, 0.01, "family:planted", "supported"),
        ("mixture-1", 0.1, -0.9, 0.8, None, None, None, None, None, None),
    ]


def test_families_that_could_not_be_tested_are_there_with_their_verdict(run):
    nothing = pl.DataFrame(schema={"arm": pl.String, "seed": pl.Int64, "stopped_early": pl.Boolean})
    about = {"scale": "none", "preregistered": True, "analysis_id": "n"}
    made = probe_result(PROBE_HARNESS, {TOKENS: nothing, STEPS: nothing}, nothing, **about)
    study = pl.lit("probe_harness").alias("study")
    found = run("mart_probe_families", probe_tests=made.tests.select(study, pl.all()), claims=made.claims)
    families = [arm.name for arm in PROBE_HARNESS.arms if arm.role in ("treatment", "planted")]
    assert [row["arm"] for row in found] == sorted(families)
    assert {(row["distance"], row["q_value"], row["verdict"]) for row in found} == {(None, None, "underpowered")}


def _check(kind, what, passed, value=1.0):
    return {"study": "s", "check": kind, "what": what, "passed": passed, "value": value, "bound": 0.5}


def test_checks_that_failed_stand_first_and_none_is_lost(run):
    checks = (
        _check("lds", "planted: loss", None),
        _check("aa_simulated", "noise", True),
        _check("aa_simulated", "drift", False, value=math.inf),
        _check("aa_resplits", "iid", None, value=None),
    )
    found = run("mart_calibration", calibration=table("calibration", *checks), claims=table("claims"))
    assert shown(found, "kind", "what", "outcome", "value", "verdict") == [
        ("aa_simulated", "drift", "failed", math.inf, None),
        ("aa_simulated", "noise", "held", 1.0, None),
        ("aa_resplits", "iid", "not judged", None, None),
        ("lds", "planted: loss", "not judged", 1.0, None),
    ]


def test_a_check_that_rests_on_a_claim_has_its_verdict(run):
    # The check of the planted arm and the claim bear one name, that of the triggers is made from the arm. Other scores
    # and simulated arms rest on no claim, and the claims of study t are none of s.
    words = {"planted:planted": "supported", "planted:placebo": "not supported", "lds:planted": "underpowered"}
    claims = [{"study": "s", "claim": claim, "verdict": verdict} for claim, verdict in words.items()]
    checks = (
        _check("planted_effect", "planted:planted", True),
        _check("placebo", "planted:placebo", True),
        _check("lds", "planted: triggers", None),
        _check("lds", "planted: loss", None),
        _check("aa_simulated", "noise", True),
    )
    others = [{"study": "t", "claim": claim, "verdict": "exploratory"} for claim in words]
    found = run(
        "mart_calibration",
        calibration=table("calibration", *checks),
        claims=table("claims", *claims, *others),
    )
    assert_grain(found, "mart_calibration")
    assert shown(found, "what", "claim", "verdict") == [
        ("noise", None, None),
        ("planted:placebo", "planted:placebo", "not supported"),
        ("planted:planted", "planted:planted", "supported"),
        ("planted: loss", None, None),
        ("planted: triggers", "lds:planted", "underpowered"),
    ]


def test_the_check_of_the_planted_arm_bears_the_name_of_its_claim(run):
    known = {"study": "calibration", "verdict": "supported", "n_seeds": 8}
    claims = table("claims", *(known | {"claim": f"planted:{arm}"} for arm in ("planted", "placebo")))
    made = calibration_table(planted_rows(CALIBRATION, claims), "calibration")
    found = run("mart_calibration", calibration=made, claims=claims)
    assert shown(found, "kind", "verdict") == [("placebo", "supported"), ("planted_effect", "supported")]
