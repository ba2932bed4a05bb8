"""Runs that a controller stopped: named, left out, and never silently."""

from __future__ import annotations

import json

import polars as pl
import pytest
import simulated_study as fake
from judged_study import NAMES, claim, judged, study_tables, whole_result, whole_study

from squiggle_assets.schemas import claims as schemas
from squiggle_assets.schemas.consensus import PairingDraws
from squiggle_assets.science.claims import is_preregistered
from squiggle_assets.science.exclusions import stopped_seeds, without_stopped


@pytest.fixture(scope="module")
def one_short():
    """One run of the treatment was stopped."""
    return study_tables({"blocked": (3,)})


@pytest.fixture(scope="module")
def controls_short():
    """Half of the placebo arm was stopped, and all but one run of the planted arm."""
    return study_tables({"placebo": (4, 5, 6, 7), "planted": tuple(range(1, 8))})


def test_stopped_runs_are_found_and_left_out_of_frames():
    manifest = pl.DataFrame({"arm": ["b", "a", "a", "a"], "seed": [1, 9, 1, 2], "stopped_early": [1, 1, 0, 1]})
    manifest = manifest.with_columns(pl.col("stopped_early").cast(pl.Boolean))
    assert stopped_seeds(manifest) == {"a": (2, 9), "b": (1,)}
    frame = pl.DataFrame({"arm": ["b", "a", "b", "a"], "seed": [2, 1, 1, 2], "value": [0, 1, 2, 3]})
    assert without_stopped(frame, manifest)["value"].to_list() == [0, 1]
    assert without_stopped(frame.lazy(), manifest).collect()["value"].to_list() == [0, 1]
    assert stopped_seeds(manifest.filter(~pl.col("stopped_early"))) == {}


def test_a_stopped_run_leaves_its_arm_and_its_pairs_and_is_named(one_short):
    found = judged(one_short)
    for name in ("consensus:blocked", "contrast:blocked-iid:consensus_event_excess",
                 "contrast:blocked-iid:final_val_random_loss"):  # fmt: skip
        row = claim(found, name)
        assert row["n_seeds"] == 7, name
        assert row["verdict"] == "supported", row["reasons"]
        assert json.loads(row["evidence"])["left_out"] == {"blocked": [3]}
        assert row["method"].endswith("left out because a controller stopped them: blocked 3")
    # 2^-7: seven pairs, all of them lower
    assert claim(found, "contrast:blocked-iid:final_val_random_loss")["p_value"] == pytest.approx(1 / 128)
    for name in ("consensus:iid", "planted:planted", "planted:placebo"):
        mine, whole = claim(found, name), claim(whole_result(), name)
        assert mine["n_seeds"] == 8 and json.loads(mine["evidence"])["left_out"] == {}
        assert (mine["p_value"], mine["method"]) == (whole["p_value"], whole["method"])


def test_outcomes_rest_on_the_runs_that_went_to_their_end(one_short):
    found = judged(one_short)
    own = found.arm_outcomes.filter(pl.col("arm") == "blocked")
    assert set(own["n_seeds"]) == {7} and set(own["seeds"]) == {"[0,1,2,4,5,6,7]"}
    # the stopped run would have left a loss of 99
    assert own.filter(pl.col("outcome") == "final_val_random_loss")["value"].item() < 3
    assert set(found.arm_outcomes.filter(pl.col("arm") == "iid")["n_seeds"]) == {8}
    # mixed groups have the seven seeds that all arms have
    assert own["pairing_p"].drop_nulls().max() < 0.05 and len(found.pairing_draws) == 300 * 13


def test_what_falls_below_five_seeds_is_underpowered_whether_arm_or_control(controls_short):
    found = judged(controls_short)
    assert claim(found, "consensus:placebo")["n_seeds"] == 4
    for name in ("consensus:placebo", "planted:placebo", "consensus:blocked", "consensus:iid",
                 "contrast:blocked-iid:consensus_event_excess"):  # fmt: skip
        row = claim(found, name)
        assert row["verdict"] == "underpowered", name
        assert "4 seeds are left, fewer than 5" in row["reasons"]
        assert json.loads(row["evidence"])["left_out"] == {"placebo": [4, 5, 6, 7]}


def test_an_arm_with_one_whole_run_has_claims_without_numbers(controls_short):
    found = judged(controls_short)
    schemas.TABLES["arm_outcomes"].validate(found.arm_outcomes)
    schemas.TABLES["claims"].validate(found.claims)
    PairingDraws.validate(found.pairing_draws)
    assert found.claims["claim"].to_list() == whole_result().claims["claim"].to_list()
    for name in ("planted:planted", "consensus:planted"):
        row = claim(found, name)
        assert row["verdict"] == "underpowered" and row["n_seeds"] == 0
        assert [row[key] for key in ("estimate", "p_value", "q_value", "ci_lo", "control")] == [None] * 5
        assert json.loads(row["evidence"])["left_out"]["planted"] == list(range(1, 8))
    family = found.claims.filter(pl.col("claim").str.starts_with("consensus:"))
    # four arms; the planted one is a control, by which the other three are not corrected, tested or not
    smallest = family.sort("p_value", nulls_last=True).row(0, named=True)
    assert smallest["q_value"] == pytest.approx(3 * smallest["p_value"])
    assert set(found.arm_outcomes["arm"]) == set(NAMES) - {"planted"}


def test_a_recorded_exclusion_does_not_undo_the_registration(one_short):
    assert is_preregistered(fake.study(), one_short["manifest"], 8)
    missing = one_short["manifest"].filter(~pl.col("stopped_early"))
    assert not is_preregistered(fake.study(), missing, 8)


def test_draws_that_still_hold_the_stopped_run_are_refused(one_short):
    assert whole_result().claims["p_value"].is_not_null().all()
    with pytest.raises(ValueError, match="do not belong"):
        judged({**whole_study(), "manifest": one_short["manifest"]})
