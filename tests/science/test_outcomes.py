"""The outcomes table by itself: whose q is corrected for what."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import simulated_study as fake
from judged_study import whole_arms, whole_study

from squiggle_assets.science.outcomes import arm_outcomes
from squiggle_assets.science.pairing import Pairing
from squiggle_assets.science.stats import benjamini_hochberg


def counted(names):
    """p and q of the event counts of some arms of the study, by arm."""
    arms = {name: whole_arms()[name] for name in names}
    nothing = Pairing(pl.DataFrame(), None, {})
    found = arm_outcomes(arms, whole_study()["scalars"], nothing, study=fake.study(), analysis_id="v")
    rows = found.filter(pl.col("outcome") == "consensus_event_count")
    assert found["study"].unique().to_list() == ["simulated"] and found["analysis_id"].unique().to_list() == ["v"]
    return {arm: (p, q) for arm, p, q in rows.select("arm", "p_value", "q_value").iter_rows()}


def test_q_is_corrected_over_all_arms_of_the_study():
    found = counted(["iid", "blocked", "placebo", "planted"])
    p = np.array([pair[0] for pair in found.values()])
    np.testing.assert_allclose([pair[1] for pair in found.values()], benjamini_hochberg(p))


def test_an_arm_that_was_left_out_does_not_make_the_others_easier():
    # the smallest p of the arms: its q is p times the number of arms of the study, whoever is missing
    for names in (["iid", "blocked", "placebo"], ["blocked", "iid"], ["blocked"]):
        p, q = counted(names)["blocked"]
        assert p < 0.05
        assert q == pytest.approx(4 * p)
