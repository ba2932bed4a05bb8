"""Correction within families of claims."""

from __future__ import annotations

import pytest

from squiggle_assets.science.claim_kinds import Claim
from squiggle_assets.science.claim_rows import claim_rows
from squiggle_assets.science.stats import benjamini_hochberg
from squiggle_assets.studies.curriculum_ab import CURRICULUM_AB


def claim(name: str, arm: str, p: float, contrast: str | None = None) -> Claim:
    row = {
        **{"claim": name, "arm": arm, "contrast": contrast, "hypothesis": "h", "estimate": 1.0, "unit": "u"},
        **{"n_seeds": 8, "n_items": None, "method": "m", "evidence": {}},
    }
    return Claim(row=row, arms=(arm,), p_value=p, smallest_p=0.001)


def q_of(*family: Claim) -> dict[str, float]:
    table = claim_rows(CURRICULUM_AB, [family], stopped={}, preregistered=True, scale="s", analysis_id="a")
    return dict(table.select("claim", "q_value").iter_rows())


P = {"iid": 0.02, "blocked": 0.03, "ramp": 0.4}


def test_a_positive_control_does_not_make_the_others_easier_to_support() -> None:
    others = [claim(name, name, p) for name, p in P.items()]
    found = q_of(*others, claim("planted", "planted", 0.0001))
    # with the planted arm in the family q of iid would be .02 * 4 / 2 = .04 and of blocked .03 * 4 / 3 = .04
    assert [found[name] for name in P] == pytest.approx([0.045, 0.045, 0.4])
    assert [found[name] for name in P] == pytest.approx(list(benjamini_hochberg([*P.values()])))
    assert found["planted"] == pytest.approx(4 * 0.0001)


def test_a_family_of_the_positive_control_alone_is_what_it_is() -> None:
    assert q_of(claim("planted", "planted", 0.03))["planted"] == pytest.approx(0.03)


def test_an_edit_of_the_planted_arm_is_a_claim_of_its_own_and_no_control() -> None:
    found = q_of(claim("remove", "planted", 0.01, "placebo"), claim("other", "blocked", 0.04, "placebo"))
    assert found == pytest.approx({"remove": 0.02, "other": 0.04})


def test_a_claim_that_could_not_be_tested_stays_in_its_family() -> None:
    found = q_of(claim("iid", "iid", 0.01), claim("blocked", "blocked", 0.2), claim("ramp", "ramp", float("nan")))
    assert found["ramp"] is None
    assert found["iid"] == pytest.approx(3 * 0.01) and found["blocked"] == pytest.approx(3 * 0.2 / 2)
