import dataclasses

import polars as pl

from squiggle_assets.report import findings
from tests.report import small_study as s

CONTRAST = "contrast:blocked-iid:consensus_event_excess"
HELD = (
    "the interval [1.55, 3.45] holds the null value 1.81; the difference to the control [-1.32, 2.11] is not clear of 0"
)


def found(claims, study=None):
    study = s.study() if study is None else study
    return {row["claim"]: findings.finding(row, s.arm_outcomes(), study) for row in claims.iter_rows(named=True)}


def test_a_count_is_never_said_without_null_mean_excess_interval_q_and_n():
    assert found(s.claims())["consensus:iid"].sentence == (
        "Not found: Arm iid does something. Observed 5 consensus events, null mean 6.50; strongest moment −1.50 events "
        "above the null, null mean 0, 95 % interval [−3.00, 0.500] of the observed; q = 0.900, n = 3 seeds."
    )


def test_a_contrast_names_both_arms_counts_and_nulls():
    said = found(s.claims())[CONTRAST].sentence
    assert "Observed 5 events, null mean 6.50 in blocked; observed 5 events, null mean 6.50 in iid" in said
    assert "difference −1.50 events above the null" in said


def test_an_effect_is_told_beside_its_null_and_its_control():
    assert found(s.claims())["planted:planted"].sentence == (
        "Found: Arm planted does something. Observed 7.25 robust sd, null mean 1.25, excess 6.00, 95 % interval "
        "[5.50, 9.00] of the observed; beyond its control placebo: 6.00 [4.00, 8.00]; q = 0.008, n = 3 seeds."
    )


def test_a_missing_number_is_not_told_as_zero():
    row = s.claims(estimate=None, ci_lo=None, q_value=None).filter(pl.col("claim") == "consensus:iid").to_dicts()[0]
    said = findings.finding(row, s.arm_outcomes().clear(), s.study()).sentence
    assert "Observed – consensus events, null mean –; strongest moment – events" in said
    assert "95 % interval – of the observed; q = –, n = 3 seeds" in said


def test_a_claim_that_is_not_supported_names_the_rules_that_failed():
    claim = found(s.claims(q_value=0.007, reasons=HELD))["consensus:iid"]
    assert claim.reasons == f"Failed: {HELD}"
    assert found(s.claims())["planted:planted"].reasons == "q 0.9 is above 0.05"


def test_significant_against_its_null_but_held_back_is_not_told_as_not_found():
    assert found(s.claims(q_value=0.007))["consensus:iid"].sentence.startswith(
        "Significant against its null, but not established: Arm iid"
    )
    assert found(s.claims(q_value=0.05))["consensus:iid"].sentence.startswith("Significant against its null")
    assert found(s.claims(q_value=0.051))["consensus:iid"].sentence.startswith("Not found")
    under = s.claims(about="underpowered", q_value=0.007)
    assert found(under)["consensus:iid"].sentence.startswith("Cannot be said")


def test_a_contrast_without_a_registered_margin_prints_what_its_interval_leaves_possible():
    said = found(s.claims())
    assert (
        "no smallest effect of interest was registered: the interval leaves −3.00 to 0.500 events above the null "
        in (said[CONTRAST].sentence)
    )
    assert "smallest effect" not in said["consensus:iid"].sentence
    (contrast,) = s.study().contrasts
    stated = s.study(contrasts=(dataclasses.replace(contrast, margin=2.0),))
    assert "smallest effect" not in found(s.claims(), stated)[CONTRAST].sentence
    assert "smallest effect" not in found(s.claims(about="supported"))[CONTRAST].sentence


def test_no_verdict_calls_a_failed_rule_what_chance_gives():
    assert "which one stands with each claim" in findings.VERDICT_WORDS["not supported"].lower()
    assert "This is a result" not in findings.VERDICT_WORDS["not supported"]
