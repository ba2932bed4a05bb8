import polars as pl
import pytest

from squiggle_assets.report import overview
from squiggle_assets.schemas.base import frame
from squiggle_assets.schemas.claims import Claims
from tests.report import small_study as s
from tests.report.small_evidence import claim

HELD = "the interval [1.56, 4.11] holds the null value 1.88"


def words(block):
    return " ".join(block.items) if hasattr(block, "items") else block.text


def said(claims):
    return [words(block) for block in overview.summary(s.study(), claims)]


def with_control(verdict, q, reasons):
    """The small study's claims and consensus:planted, the positive control of the consensus claims."""
    row = frame(Claims, [claim("consensus:planted", verdict, q_value=q, reasons=reasons)])
    return pl.concat([s.claims(), row])


def families(claims):
    (bullets,) = [block for block in overview.summary(s.study(), claims) if hasattr(block, "items")]
    return bullets.items


def test_no_supported_claim_reads_as_a_null_result():
    texts = said(s.claims())
    assert texts[0] == "4 claims: 1 supported and 3 not supported."
    assert texts[1].startswith("Null result: none of the 2 claims about the arms under study is supported.")
    assert not any("That is a finding" in text or "not about blind instruments" in text for text in texts)


def test_a_null_result_is_worth_nothing_where_the_family_did_not_find_its_own_positive_control():
    consensus, contrast = families(with_control("not supported", 0.005, HELD))
    assert "q above 0.05: consensus:iid." in consensus
    assert (
        f"consensus:planted, is significant against its null but not established: not supported, q = 0.005; {HELD}"
        in consensus
    )
    assert "has not been shown to find such an effect in this study" in consensus
    assert "tells something about the arms" not in consensus + contrast
    assert "Contrast claims have no positive control" in contrast


def test_a_null_result_is_informative_where_the_family_found_its_own_positive_control():
    consensus, contrast = families(with_control("supported", 0.005, "all clear"))
    assert "consensus:planted, was found (q = 0.005)" in consensus
    assert "therefore tells something about the arms" in consensus
    assert "tells something about the arms" not in contrast


def test_significant_claims_are_told_apart_from_those_with_a_large_q():
    claims = s.claims(q_value=0.007, reasons=HELD)
    (consensus, contrast) = families(claims)
    assert (
        f"Significant against the null but held back by another rule: consensus:iid (q = 0.007; {HELD})." in consensus
    )
    assert "q above" not in consensus and "q above 0.05: contrast:blocked-iid" in contrast


def test_contrasts_without_a_margin_are_not_called_powered():
    consensus, contrast = families(s.claims())
    assert "No smallest effect of interest was registered for 1 of them, so none was powered for one" in contrast
    assert "smallest effect" not in consensus


def test_an_underpowered_study_is_not_told_as_a_null_finding():
    (consensus, _) = families(s.claims(about="underpowered"))
    assert "1 underpowered. From an underpowered claim nothing follows" in consensus
    assert "positive control" not in consensus


def test_a_supported_claim_about_an_arm_is_no_null_result():
    assert not any("Null result" in text for text in said(s.claims(about="supported")))


def test_a_study_without_claims_says_that_nothing_was_tested():
    (text,) = said(s.claims().clear())
    assert "nothing was tested" in text


@pytest.mark.parametrize(
    ("planted", "placebo", "tone", "expected"),
    [
        ("supported", "not supported", "good", "The controls hold for the response at the planted steps. "),
        ("underpowered", "not supported", "warning", "The planted effect was not seen"),
        ("supported", "supported", "warning", "The placebo arm must be silent and is not: planted:placebo"),
        ("supported", "exploratory", "warning", "The placebo arm must be silent and is not: planted:placebo"),
    ],
)
def test_broken_controls_are_said_in_so_many_words(planted, placebo, tone, expected):
    claims = s.claims(planted=planted, placebo=placebo)
    table, allowed, _ = overview.controls_blocks(s.study(), claims)
    assert [row[0] for row in table.rows] == ["planted:planted", "planted:placebo"]
    assert (allowed.tone, expected in allowed.text) == (tone, True)
    assert any(expected in text for text in said(claims)) == (tone == "warning")


def test_a_placebo_claim_that_only_another_rule_held_back_is_a_warning():
    row = frame(Claims, [claim("consensus:placebo", "not supported", q_value=0.002, reasons=HELD)])
    table, allowed, _ = overview.controls_blocks(s.study(), pl.concat([s.claims(), row]))
    assert [row[0] for row in table.rows] == ["planted:planted", "planted:placebo", "consensus:placebo"]
    assert allowed.tone == "warning"
    assert f"Not silent by p: consensus:placebo (q = 0.002; {HELD})" in allowed.text


def test_a_control_that_was_not_tested_does_not_hold():
    claims = s.claims().filter(pl.col("claim") != "planted:placebo")
    table, allowed, _ = overview.controls_blocks(s.study(), claims)
    assert table.rows[1] == ("planted:placebo", "not tested", "–", "neither supported nor exploratory", "NO")
    assert allowed.tone == "warning"
