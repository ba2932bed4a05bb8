"""A simulated study from tables to claims: what is planted is supported, what is not is not."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import simulated_study as fake
from judged_study import NAMES, claim, judged, whole_arms, whole_result, whole_study

from squiggle_assets.schemas import claims as schemas
from squiggle_assets.schemas.consensus import PairingDraws
from squiggle_assets.science.claim_kinds import draws_for, planted_claims
from squiggle_assets.science.claims import is_preregistered
from squiggle_assets.science.outcomes import floor_check
from squiggle_assets.science.spec import Arm, Contrast


@pytest.fixture(scope="module")
def tables():
    return whole_study()


@pytest.fixture(scope="module")
def result():
    return whole_result()


def test_the_tables_are_those_of_the_schemas(result):
    schemas.TABLES["arm_outcomes"].validate(result.arm_outcomes)
    schemas.TABLES["claims"].validate(result.claims)
    PairingDraws.validate(result.pairing_draws)


def test_the_planted_effect_is_supported_and_the_placebo_is_not(result):
    planted, placebo = claim(result, "planted:planted"), claim(result, "planted:placebo")
    assert planted["verdict"] == "supported", planted["reasons"]
    assert placebo["verdict"] == "not supported" or placebo["verdict"] == "underpowered"
    beyond = json.loads(planted["evidence"])["control_differences"]
    assert set(beyond) == {"placebo", "iid"} and planted["control"] in beyond
    assert planted["control_difference"] == pytest.approx(beyond[planted["control"]], abs=1e-4)
    assert planted["control_ci_lo"] > 0
    assert placebo["control"] == "iid"
    # 7 sd on top of the noise, the largest of a window
    assert 5 < math.sinh(planted["estimate"]) < 10
    assert planted["ci_lo"] > planted["null_mean"] > 0


def test_the_arm_with_common_events_has_consensus_and_the_arms_without_have_none(result):
    assert claim(result, "consensus:blocked")["verdict"] == "supported"
    for name in ("iid", "placebo"):
        assert claim(result, f"consensus:{name}")["verdict"] == "not supported"


def test_more_events_in_one_arm_is_found_by_the_contrast(result):
    row = claim(result, "contrast:blocked-iid:consensus_event_excess")
    assert row["verdict"] == "supported", row["reasons"]
    assert 2 < row["estimate"] < 6
    assert row["n_seeds"] == 8


def test_a_contrast_over_a_scalar_is_a_paired_test(result, tables):
    row = claim(result, "contrast:blocked-iid:final_val_random_loss")
    last = tables["scalars"].filter((pl.col("metric") == "val_random_loss") & (pl.col("step") == 200))
    wide = last.pivot("arm", index="seed", values="value")
    assert row["estimate"] == pytest.approx((wide["blocked"] - wide["iid"]).mean())
    assert row["p_value"] == pytest.approx(1 / 256)
    assert row["verdict"] == "supported"


def test_no_arm_is_compared_while_loss_and_accuracy_sit_on_their_floor(tables):
    for scalars in (fake.scalars_of(NAMES, drop=0.0), fake.scalars_of(NAMES, gain=0.0)):
        found = judged(tables, scalars=scalars)
        row = claim(found, "contrast:blocked-iid:consensus_event_excess")
        assert row["verdict"] == "underpowered"
        assert "floor" in row["reasons"]
        assert claim(found, "planted:planted")["verdict"] == "supported"


def test_the_floor_is_left_by_loss_and_accuracy_together():
    assert floor_check(fake.scalars_of(["iid"]), "iid").left
    assert not floor_check(fake.scalars_of(["iid"], drop=0.0), "iid").left
    assert not floor_check(fake.scalars_of(["iid"]), "blocked").left


@pytest.mark.parametrize(("drop", "gain", "left"), [(0.03, 0.02, True), (0.01, 0.02, False), (0.03, 0.005, False)])
def test_a_change_clear_of_zero_but_smaller_than_the_minimum_leaves_no_floor(drop, gain, left):
    # without noise every seed moves alike and the interval is the change itself
    ends = {"val_random_loss": (3.0, 3.0 - drop), "val_random_token_acc": (0.1, 0.1 + gain)}
    rows = [("iid", seed, *end) for seed in range(8) for m, v in ends.items() for end in ((0, m, v[0]), (200, m, v[1]))]
    scalars = pl.DataFrame(rows, schema=["arm", "seed", "step", "metric", "value"], orient="row")
    found = floor_check(scalars.vstack(rows_without_gain(scalars)), "iid")
    assert found.loss_drop.lo > 0
    assert found.left is left


def rows_without_gain(scalars):
    own = scalars.filter(pl.col("metric") == "val_random_token_acc")
    return own.with_columns(metric=pl.lit("val_random_answer_acc"), value=pl.lit(0.0))


def test_a_contrast_whose_events_all_lie_at_a_boundary_is_exploratory(tables):
    name = "contrast:blocked-iid:consensus_event_excess"
    blocked = (pl.col("arm") == "blocked") & (pl.col("p_familywise") <= 0.05)

    def at_boundary(chosen):
        near = pl.when(chosen).then(True).otherwise(pl.col("near_boundary"))
        return judged(tables, consensus_events=tables["consensus_events"].with_columns(near_boundary=near))

    every = at_boundary(blocked)
    assert claim(every, name)["verdict"] == "exploratory"
    assert "boundary" in claim(every, name)["reasons"]
    # a final loss is no event: no boundary explains it; and one event elsewhere is enough
    assert claim(every, "contrast:blocked-iid:final_val_random_loss")["verdict"] == "supported"
    first = tables["consensus_events"].filter(blocked)["consensus_event_id"][0]
    assert claim(at_boundary(blocked & (pl.col("consensus_event_id") != first)), name)["verdict"] == "supported"


def test_what_was_not_preregistered_is_exploratory_at_most(tables, result):
    found = judged(tables, preregistered=False)
    assert not found.claims["preregistered"].any() and result.claims["preregistered"].all()
    assert "supported" not in set(found.claims["verdict"])
    assert claim(found, "planted:planted")["verdict"] == "exploratory"
    assert found.claims["p_value"].equals(result.claims["p_value"])


def test_only_the_first_seeds_of_the_roster_are_preregistered():
    study, manifest = fake.study(), fake.manifest_of(NAMES)
    assert is_preregistered(study, manifest, 8)
    assert not is_preregistered(study, manifest, 7)
    assert not is_preregistered(study, fake.manifest_of(NAMES, seeds=(*range(7), 100)), 8)
    one_short = manifest.filter((pl.col("arm") != "blocked") | (pl.col("seed") != 3))
    assert not is_preregistered(study, one_short, 8)


def test_every_claim_has_a_control_that_is_not_what_it_is_about(tables):
    def renamed(frame):
        own = frame.filter(pl.col("arm") == "iid").with_columns(arm=pl.lit("balanced"))
        return pl.concat([frame, own])

    study = fake.study()
    second = Arm(name="balanced", curriculum="balanced_baseline", role="baseline", description=".")
    outcome = {"outcome": "consensus_event_excess", "direction": "greater"}
    contrasts = (Contrast(arm="placebo", against="iid", **outcome), Contrast(arm="blocked", against="iid", **outcome))
    study = fake.study(arms=(*study.arms, second), contrasts=contrasts)
    found = judged({name: renamed(frame) for name, frame in tables.items()}, study).claims
    controls = dict(found.select("claim", "control").iter_rows())
    assert controls.pop("planted:planted") in {"placebo", "iid"}
    assert controls == {
        "planted:placebo": "iid",
        "consensus:placebo": "iid",
        **{f"consensus:{name}": "placebo" for name in ("iid", "balanced", "blocked", "planted")},
        "contrast:placebo-iid:consensus_event_excess": "balanced",
        "contrast:blocked-iid:consensus_event_excess": "placebo",
    }


def test_every_claim_says_what_it_rests_on(result):
    for row in result.claims.iter_rows(named=True):
        assert row["scale"] == "simulated" and row["n_items"] == 1000
        assert json.loads(row["evidence"])["tables"]
        assert row["reasons"]
        assert row["q_value"] >= row["p_value"] - 1e-12


def test_outcomes_hold_observed_null_and_excess(result):
    counts = result.arm_outcomes.filter(pl.col("outcome") == "consensus_event_count")
    assert len(counts) == 4
    np.testing.assert_allclose(counts["excess"], counts["value"] - counts["null_mean"])
    per_step = result.arm_outcomes.filter(pl.col("outcome") == "event_yield_per_step")
    np.testing.assert_allclose(per_step["excess"] * 200, counts["excess"])
    assert counts["pairing_mean"].n_unique() == 1 and counts["pairing_p"].n_unique() > 1
    final = result.arm_outcomes.filter(pl.col("outcome") == "final_val_random_loss")
    assert (final["ci_lo"] < final["value"]).all() and final["null_mean"].is_null().all()


def test_the_p_of_an_arm_among_mixed_groups_can_be_counted_again_in_the_stored_draws(result):
    draws = result.pairing_draws.filter(pl.col("band") == "all")["statistic"]
    assert len(draws) == fake.SPEC.draws_per_cell * 12
    for row in result.arm_outcomes.filter(pl.col("outcome") == "consensus_event_count").iter_rows(named=True):
        assert row["pairing_mean"] == pytest.approx(draws.mean())
        assert row["pairing_p"] == pytest.approx((1 + (draws >= row["value"]).sum()) / (1 + len(draws)))
        # four events that no other arm has: five of eight runs from the arm (p .027) and a chance match make them up
        assert (row["pairing_p"] < 0.05) == (row["arm"] == "blocked")


def test_the_same_study_gives_the_same_claims(tables, result):
    again = judged(tables)
    assert again.claims.equals(result.claims) and again.arm_outcomes.equals(result.arm_outcomes)


def test_another_name_of_the_analysis_draws_the_same_numbers(tables, result):
    # the name holds a hash of the code, and an edit of code must not roll every p anew
    other = judged(tables, analysis_id="another")
    for mine, whole in zip(other, result, strict=True):
        assert set(mine["analysis_id"]) == {"another"}
        assert mine.drop("analysis_id").equals(whole.drop("analysis_id"))


def test_no_claim_draws_from_what_another_one_left(result):
    study, arms = fake.study(), whole_arms()
    drawn = {claim.row["claim"]: claim for claim in planted_claims(study, arms, fake.PLANT_STEPS)}
    rest = {name: arm for name, arm in arms.items() if name != "planted"}
    alone = planted_claims(study, rest, fake.PLANT_STEPS)[1]
    # the mean of 300 draws: any other draws would move it
    assert alone.null_value == drawn["planted:placebo"].null_value > 0
    assert claim(result, "planted:placebo")["null_mean"] == alone.null_value


def test_the_draws_of_a_claim_hang_on_its_name_the_seed_and_every_parameter():
    study = fake.study()
    others = (
        (study, "consensus:iid"),
        (fake.study(consensus=replace(fake.SPEC, seed=1)), "consensus:blocked"),
        (fake.study(consensus=replace(fake.SPEC, alpha=0.04)), "consensus:blocked"),
        (fake.study(detection=replace(fake.DETECTION, adaptive_k=2.6)), "consensus:blocked"),
    )
    first = [draws_for(*each).integers(2**62) for each in ((study, "consensus:blocked"), *others)]
    assert len(set(first)) == 5
    assert draws_for(study, "consensus:blocked").integers(2**62) == first[0]


def test_draws_of_other_data_are_refused(tables):
    other = pl.concat([fake.geometry_of(name, seed=5) for name in NAMES])
    with pytest.raises(ValueError, match="do not belong"):
        judged(tables, geometry=other)


def test_an_unknown_outcome_and_a_missing_arm_are_refused(tables):
    odd = fake.study(contrasts=(Contrast(arm="blocked", against="iid", outcome="joy", direction="greater"),))
    with pytest.raises(ValueError, match="joy"):
        judged(tables, odd)
    with pytest.raises(ValueError, match="no runs of arm 'planted'"):
        judged(tables, manifest=fake.manifest_of(NAMES[:3]))
