import polars as pl
import pytest

from squiggle_assets.report import findings
from tests.report import small_study as s


def sentences(claims):
    return {row["claim"]: findings.finding(row, s.arm_outcomes()).sentence for row in claims.iter_rows(named=True)}


def test_a_count_is_never_said_without_null_mean_excess_interval_q_and_n():
    assert sentences(s.claims())["consensus:iid"] == (
        "Not found: Arm iid does something. Observed 5 consensus events, null mean 6.5; strongest moment −1.5 events "
        "above the null, null mean 0, 95 % interval [−3, 0.5] of the observed; q = 0.900, n = 3 seeds."
    )


def test_a_contrast_names_both_arms_counts_and_nulls():
    said = sentences(s.claims())["contrast:blocked-iid:consensus_event_excess"]
    assert "Observed 5 events, null mean 6.5 in blocked; observed 5 events, null mean 6.5 in iid" in said
    assert "difference −1.5 events above the null" in said


def test_an_effect_is_told_beside_its_null_and_its_control():
    assert sentences(s.claims())["planted:planted"] == (
        "Found: Arm planted does something. Observed 7.25 robust sd, null mean 1.25, excess 6, 95 % interval [5.5, 9] "
        "of the observed; beyond its control placebo: 6 [4, 8]; q = 0.008, n = 3 seeds."
    )


def test_a_missing_number_is_not_told_as_zero():
    row = s.claims(estimate=None, ci_lo=None, q_value=None).filter(pl.col("claim") == "consensus:iid").to_dicts()[0]
    said = findings.finding(row, s.arm_outcomes().clear()).sentence
    assert "Observed – consensus events, null mean –; strongest moment – events" in said
    assert "95 % interval – of the observed; q = –, n = 3 seeds" in said


def test_no_supported_claim_reads_as_a_null_result():
    texts = [text.text for text in findings.summary(s.study(), s.claims())]
    assert texts[0] == "4 claims tested: 1 supported and 3 not supported."
    assert texts[1].startswith("Null result: none of the 2 claims about the arms under study is supported. 2 are not")
    assert "That is a finding" in texts[1]


def test_an_underpowered_study_is_not_told_as_a_null_finding():
    texts = [text.text for text in findings.summary(s.study(), s.claims(about="underpowered"))]
    assert "2 are underpowered: from that nothing follows" in texts[1]
    assert "That is a finding" not in texts[1]


def test_a_supported_claim_about_an_arm_is_no_null_result():
    texts = [text.text for text in findings.summary(s.study(), s.claims(about="supported"))]
    assert not any("Null result" in text for text in texts)


def test_a_study_without_claims_says_that_nothing_was_tested():
    (text,) = findings.summary(s.study(), s.claims().clear())
    assert "nothing was tested" in text.text


@pytest.mark.parametrize(
    ("planted", "placebo", "tone", "words"),
    [
        ("supported", "not supported", "good", "The controls hold"),
        ("underpowered", "not supported", "warning", "The planted effect was not seen"),
        ("supported", "supported", "warning", "The placebo arm shows an effect where there is none"),
    ],
)
def test_broken_controls_are_said_in_so_many_words(planted, placebo, tone, words):
    rows, allowed = findings.controls(s.study(), s.claims(planted=planted, placebo=placebo))
    assert [row[0] for row in rows] == ["planted:planted", "planted:placebo"]
    assert (allowed.tone, words in allowed.text) == (tone, True)
    said = [text.text for text in findings.summary(s.study(), s.claims(planted=planted, placebo=placebo))]
    assert any(words in text for text in said) == (tone == "warning")


def test_a_control_that_was_not_tested_does_not_hold():
    rows, allowed = findings.controls(s.study(), s.claims().filter(pl.col("claim") != "planted:placebo"))
    assert rows[1][1:] == ("not tested", "anything but supported", "NOT as it must be")
    assert allowed.tone == "warning"
