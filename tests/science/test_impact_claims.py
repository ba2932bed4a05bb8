"""What may be said of an impact curriculum, on simulated runs in which the truth is known."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from impact_wave import (
    EVENTS,
    FOLLOWUPS,
    IMPACT,
    LOSS,
    MEAN,
    NAMES,
    NO_CORE,
    PLAIN,
    RANDOMS,
    SEEDS,
    STATUS,
    STUDY,
    claims_of,
    result,
    tables,
)

from squiggle_assets.schemas.claims import Claims
from squiggle_assets.schemas.impact import ImpactEffects
from squiggle_assets.science import impact_effects
from squiggle_assets.science.claims import arms_of
from squiggle_assets.science.comparison import excess_difference
from squiggle_assets.science.impact_arms import attainable_by_family, trios_of, wave_study
from squiggle_assets.science.impact_draws import excess_over, over_cores
from squiggle_assets.science.impact_effects import OUTCOMES, Place, compare, paired
from squiggle_assets.science.spec import Study
from squiggle_assets.science.stats import prediction_p
from squiggle_assets.science.waves import FollowUp

RANDOM = RANDOMS[0]
BY_NAME = {outcome.name: outcome for outcome in OUTCOMES}
PLACE = Place("layers_0_0", "angle", 1)


@cache
def compared(outcome: str, arm: str = IMPACT, against: str = RANDOM, place: Place | None = PLACE, study: Study = STUDY):
    wave = wave_study(study, NAMES)
    own = tables()
    arms = arms_of(wave, geometry=own["geometry"], manifest=own["manifest"], null_draws=own["null_draws"])
    return compare(BY_NAME[outcome], arm, [against], arms=arms, scalars=own["scalars"], place=place, study=wave)


# ---- one arm against another


def test_the_rate_ratio_is_that_of_the_counts_with_a_half_added():
    found = compared("consensus_event_excess")
    assert found.value >= len(EVENTS) > found.against
    assert found.ratio.value == pytest.approx((found.value + 0.5) / (found.against + 0.5))
    assert found.ratio.interval.lo < found.ratio.value < found.ratio.interval.hi
    assert found.interval.lo > 0 and found.p_value < 0.05


def test_turned_round_the_ratio_is_its_inverse_and_the_excess_changes_its_sign():
    found, turned = compared("consensus_event_excess"), compared("consensus_event_excess", RANDOM, IMPACT)
    assert turned.estimate == pytest.approx(-found.estimate, abs=0.2)  # in the null family with the larger p
    assert turned.ratio.value == pytest.approx(1 / found.ratio.value)
    assert turned.ratio.interval.hi == pytest.approx(1 / found.ratio.interval.lo)
    assert found.p_value < 0.05 < turned.p_value


def test_the_error_of_the_ratio_is_never_below_that_of_chance():
    # by the delta method: sd of ln(x) is sd(x) / x, over the two arms; t quantile of 7 degrees of freedom 2.3646
    wave, own = wave_study(STUDY, NAMES), tables()
    arms = arms_of(wave, geometry=own["geometry"], manifest=own["manifest"], null_draws=own["null_draws"])
    chance = np.hypot(*(
        max(null.count.std() for null in arms[name].seen.nulls) / (arms[name].count + 0.5) for name in (IMPACT, RANDOM)
    ))  # fmt: skip
    ratio = compared("consensus_event_excess").ratio
    assert np.log(ratio.interval.hi / ratio.value) >= 2.3646 * chance * 0.9999


def test_the_error_of_the_ratio_is_never_below_that_of_the_jackknife(monkeypatch: pytest.MonkeyPatch):
    wave, own = wave_study(STUDY, NAMES), tables()
    arms = arms_of(wave, geometry=own["geometry"], manifest=own["manifest"], null_draws=own["null_draws"])
    # counts that hang on every seed: 0 or 40 events without it in one arm, 0 in the other
    left_out = {IMPACT: np.array([0.0, 40.0] * 4), RANDOM: np.zeros(8)}
    monkeypatch.setattr(impact_effects, "counts_without_each", lambda arm, support: left_out[arm.arm.name])
    ratio = impact_effects._ratio(arms[IMPACT], [arms[RANDOM]], 2)
    # ln .5 and ln 40.5 in turn are ln(81) / 2 = 2.197 off their mean: sqrt(7 / 8 * 8 * 2.197^2) = 5.813
    assert np.log(ratio.interval.hi / ratio.value) == pytest.approx(2.3646 * 5.813, rel=1e-3)


def test_a_run_without_an_event_in_the_cell_has_strength_0_and_the_last_step():
    cell = SimpleNamespace(name="layers_0_0.angle")
    strength = np.zeros((1, 2, 2, 4))
    strength[0, 1, 0, 2] = 3.0
    arm = SimpleNamespace(
        series=SimpleNamespace(cells=[cell], steps=np.array([10, 20, 30, 40]), seeds=(5, 7)),
        seen=SimpleNamespace(strength=strength),
    )
    assert impact_effects._of_cell(arm, PLACE, impact_effects.STRENGTH) == {5: 0.0, 7: 3.0}
    assert impact_effects._of_cell(arm, PLACE, impact_effects.STEP) == {5: 40.0, 7: 30.0}
    assert impact_effects._of_cell(arm, PLACE._replace(polarity=-1), impact_effects.STEP) == {5: 40.0, 7: 40.0}


def test_a_common_event_in_the_cell_is_found_at_its_size_and_step():
    # put at step 40 with size 7 (above the cap of 6) into every seed of the impact arm and of no other
    strength, step = compared("cell_strength"), compared("cell_step")
    assert strength.value > 5 and strength.value > strength.against
    assert abs(step.value - 40) <= 4
    assert strength.p_value == strength.smallest_p == 1 / 2 ** len(SEEDS)


def test_the_other_direction_of_the_cell_is_another_outcome():
    down = compared("cell_strength", place=Place("layers_0_0", "angle", -1))
    assert down.value < compared("cell_strength").value - 1
    with pytest.raises(ValueError, match=r"no cell 'layers_9_9\.angle'"):
        compared("cell_strength", place=Place("layers_9_9", "angle", 1))


def test_final_scores_are_paired_by_seed():
    found = compared("final_val_random_loss")
    own = tables()["scalars"].filter((pl.col("metric") == "val_random_loss") & (pl.col("step") == 200))
    wide = own.pivot(on="arm", index="seed", values="value")
    assert found.estimate == pytest.approx((wide[IMPACT] - wide[RANDOM]).mean())
    assert compared("final_val_family_loss") is None  # was not measured


def test_a_score_that_every_run_has_at_its_floor_is_at_a_bound():
    assert compared("final_val_random_answer_acc").at_bound and not compared("final_val_random_loss").at_bound


# ---- claims


def test_a_lower_loss_on_fresh_seeds_is_supported_where_discovery_had_triggers():
    found = claims_of(result())
    for other in (MEAN, LOSS, PLAIN):
        events, loss = found[f"{other}:consensus_event_excess"], found[f"{other}:final_val_random_loss"]
        assert loss["verdict"] == "supported", loss["reasons"]
        assert events["control"] == MEAN and events["preregistered"] and events["n_seeds"] == len(SEEDS)


def test_a_core_that_only_ranks_high_is_exploratory_at_most():
    found = claims_of(result({**STATUS, "status": "ranked", "num_triggers": 0}))
    verdicts = {row["verdict"] for row in found.values()}
    assert "supported" not in verdicts and found[f"{MEAN}:final_val_random_loss"]["verdict"] == "exploratory"
    assert "not replicated" in found[f"{MEAN}:final_val_random_loss"]["reasons"]


def test_nothing_is_supported_where_arms_differ_in_nothing():
    found = claims_of(result(with_events=()))
    assert not {"supported", "exploratory"} & {row["verdict"] for row in found.values()}


def test_what_any_core_does_is_not_what_this_core_does():
    found = claims_of(result(with_events=(IMPACT, *RANDOMS)))
    plain = found[f"{PLAIN}:final_val_random_loss"]
    assert plain["q_value"] <= 0.05 and plain["verdict"] == "not supported"
    assert "difference to the control" in plain["reasons"]
    assert plain["control_difference"] == found[f"{MEAN}:final_val_random_loss"]["estimate"]


def test_an_event_of_a_boundary_stays_exploratory_in_its_cell():
    found = claims_of(result({**STATUS, "near_boundary": True}))
    assert "boundary" in found[f"{MEAN}:cell_strength"]["reasons"]
    assert "boundary" not in claims_of(result())[f"{MEAN}:cell_strength"]["reasons"]


def test_without_a_core_every_claim_is_there_and_says_why_it_was_not_tested():
    found = result(NO_CORE, names=(PLAIN,), with_events=())
    assert found.effects.is_empty()
    assert found.claims.height == 3 * len(OUTCOMES)
    assert set(found.claims["verdict"]) == {"underpowered"}
    assert found.claims["method"].str.contains("no core was selected").all()


@pytest.mark.slow
def test_a_stopped_run_is_left_out_and_named():
    found = claims_of(result(stopped=((RANDOM, SEEDS[0]),)))
    assert found[f"{MEAN}:consensus_event_excess"]["n_seeds"] == len(SEEDS) - 1
    assert f"{RANDOM} {SEEDS[0]}" in found[f"{PLAIN}:consensus_event_excess"]["method"]  # the control lost a run
    assert "left out" not in claims_of(result())[f"{PLAIN}:consensus_event_excess"]["method"]


def test_other_seeds_than_registered_are_another_look():
    assert not result(num_seeds=5).claims["preregistered"].any()


def test_rows_are_those_of_the_tables():
    found = result()
    Claims.validate(found.claims)
    keys = (pl.lit("impact").alias("study"), pl.lit("x").alias("analysis_id"))
    rows = ImpactEffects.validate(found.effects.select(*keys, pl.all()))
    # val_family_loss was not measured: 3 pairs of the impact arm, 4 of another core and the plain one, loss and random
    assert rows.height == 8 * 5
    ratio = rows.filter(pl.col("outcome") == "consensus_event_excess")
    assert ratio["ratio"].to_list() == pytest.approx(
        ((ratio["value"] + 0.5) / (ratio["value_against"] + 0.5)).to_list()
    )
    assert rows.filter(pl.col("outcome") != "consensus_event_excess")["ratio"].null_count() == 8 * 4
    assert rows.filter(pl.col("against") == MEAN)["num_draws"].to_list() == 10 * [3]
    assert rows.filter(pl.col("against") != MEAN)["p_cores"].null_count() == 6 * 5


# ---- over cores


def test_the_claim_against_random_cores_is_the_mean_over_draws_and_says_both_of_its_ps():
    found = claims_of(result())[f"{MEAN}:final_val_random_loss"]
    own = tables()["scalars"].filter((pl.col("metric") == "val_random_loss") & (pl.col("step") == 200))
    wide = own.pivot(on="arm", index="seed", values="value")
    by_core = [(wide[IMPACT] - wide[name]).mean() for name in RANDOMS]
    assert found["estimate"] == pytest.approx(np.mean(by_core))
    said = json.loads(found["evidence"])
    ends = np.array([wide[name].mean() for name in RANDOMS])
    assert said["p"]["cores"] == pytest.approx(prediction_p(-wide[IMPACT].mean(), -ends), abs=1e-4)
    assert list(said["by_core"]) == list(RANDOMS) and list(said["by_core"].values()) == pytest.approx(ends, abs=1e-4)
    assert found["p_value"] == pytest.approx(max(said["p"].values()), abs=1e-4)
    assert "3 random cores, averaged within seeds" in found["method"] and "3 random cores" in found["hypothesis"]


def test_the_claims_against_the_other_arms_say_that_they_are_over_seeds():
    found = claims_of(result())
    loss, plain = (found[f"{name}:final_val_random_loss"]["method"] for name in (LOSS, PLAIN))
    assert "loss core is one choice of items" in loss and "over seeds alone" in loss
    assert "one choice" not in plain and "over seeds alone" in plain


def test_one_random_core_that_does_it_too_takes_the_finding_away():
    # two of three random cores have no event: the impact core is no more than one more draw of the three
    found = claims_of(result(with_events=(IMPACT, RANDOMS[1])))
    for outcome in ("consensus_event_excess", "final_val_random_loss"):
        row = found[f"{MEAN}:{outcome}"]
        said = json.loads(row["evidence"])["p"]
        assert said["seeds"] <= 0.05 < said["cores"], outcome
        assert row["p_value"] == pytest.approx(said["cores"], abs=1e-4)
        assert row["verdict"] in ("not supported", "underpowered"), row["reasons"]
        # nor is it beyond the control of the claims about other arms
        assert found[f"{PLAIN}:{outcome}"]["control_ci_lo"] < 0 < found[f"{PLAIN}:{outcome}"]["control_ci_hi"]
        assert found[f"{PLAIN}:{outcome}"]["verdict"] == "not supported"


def test_excess_over_one_other_arm_is_the_excess_difference():
    wave, own = wave_study(STUDY, NAMES), tables()
    arms = arms_of(wave, geometry=own["geometry"], manifest=own["manifest"], null_draws=own["null_draws"])
    alone = excess_over(arms[IMPACT], [arms[RANDOM]], STUDY.consensus, "greater", lambda: np.random.default_rng(0))
    pair = excess_difference(arms[IMPACT], arms[RANDOM], STUDY.consensus, "greater", np.random.default_rng(0))
    assert (alone.estimate, *alone.interval) == pytest.approx((pair.estimate, *pair.interval))
    assert (alone.p_value, alone.smallest_p) == pytest.approx((pair.p_value, pair.smallest_p))
    assert np.isnan(alone.cores.p_value)  # one core has no spread
    three = [arms[name] for name in RANDOMS]
    many = excess_over(arms[IMPACT], three, STUDY.consensus, "greater", lambda: np.random.default_rng(0))
    single = [
        excess_difference(arms[IMPACT], one, STUDY.consensus, "greater", np.random.default_rng(0)) for one in three
    ]
    assert min(one.estimate for one in single) - 0.3 < many.estimate < max(one.estimate for one in single) + 0.3
    # 4 events against 0, 0 and 0: the spread is that of chance, .5 in square roots, and not 0
    assert [arms[name].count for name in (IMPACT, *RANDOMS)] == [4, 0, 0, 0]
    t = (np.sqrt(4.375) - np.sqrt(0.375)) / (0.5 * np.sqrt(4 / 3))
    assert many.cores.p_value == pytest.approx(0.5 - t / (2 * np.sqrt(t**2 + 2)))
    assert many.cores.interval.lo < many.interval.lo
    with pytest.raises(ValueError, match="cores need the same seeds"):
        excess_over(arms[IMPACT], [], STUDY.consensus, "greater", lambda: np.random.default_rng(0))


LOSS_OUTCOME = BY_NAME["final_val_random_loss"]


def test_over_cores_by_hand():
    # random cores at 2, 3, 4, the core at 1: 2 below their mean, sd 1, t = 2 / sqrt(4 / 3) with 2 degrees of freedom
    found = over_cores(1.0, np.array([2.0, 3.0, 4.0]), "less")
    assert found.p_value == pytest.approx(0.5 - np.sqrt(3) / (2 * np.sqrt(5)))
    half = 4.3027 * np.sqrt(4 / 3)
    assert found.interval == pytest.approx((-2 - half, -2 + half), rel=1e-4)
    assert over_cores(1.0, np.array([2.0, 3.0, 4.0]), "greater").p_value == pytest.approx(1 - found.p_value)
    same = over_cores(1.0, np.array([2.0, 2.0, 2.0]), "less")
    assert np.isnan(same.p_value) and np.isnan(same.interval.lo)


def test_without_a_scale_over_cores_there_is_no_p():
    first, others = np.zeros(8), np.tile(np.arange(1.0, 9.0), (3, 1))
    found = paired(first, others, LOSS_OUTCOME, np.random.default_rng(0), one_more=True)
    assert np.isnan(found.p_value) and np.isnan(found.interval.lo) and found.p_seeds == 1 / 256
    assert paired(first, others, LOSS_OUTCOME, np.random.default_rng(0)).p_value == 1 / 256


@pytest.mark.parametrize("num_draws", [3, 5])
def test_a_core_that_is_random_itself_is_seldom_more_than_random_ones(num_draws: int):
    # cores differ by one sd of a paired difference (runs by sqrt(1 / 2) each); the impact core is one of them
    draws, num = np.random.default_rng([7, num_draws]), 400
    core = draws.normal(size=(num, 1 + num_draws, 1))
    runs = core + np.sqrt(0.5) * draws.normal(size=(num, 1 + num_draws, 8))
    found = [paired(one[0], one[1:], LOSS_OUTCOME, draws, one_more=True) for one in runs]
    # 20 of 400 expected at most (sd 4.4); over seeds alone about .29
    assert sum(each.p_value <= 0.05 for each in found) <= 38
    assert sum(each.p_value <= 0.05 and each.interval.hi < 0 for each in found) <= 22
    assert sum(each.p_seeds <= 0.05 for each in found) > 80


# ---- designs


def test_a_family_of_nine_claims_needs_eight_fresh_seeds():
    # 9 claims: 9 / 2^n <= .05 from n = 8 on (9 / 256 = .035); 3 claims: 3 / 2^6 = .047
    found = {each.family: each for each in attainable_by_family(STUDY, 8)}
    assert {name: each.num_claims for name, each in found.items()} == {"events": 3, "cell": 6, "learning": 9}
    assert found["learning"].smallest_q == pytest.approx(9 / 256) and found["learning"].seeds_for_alpha == 8
    assert found["events"].seeds_for_alpha == 6
    assert all(each.smallest_q > 0.05 for each in attainable_by_family(STUDY, 3))


def test_the_design_says_how_far_from_the_random_cores_an_effect_has_to_lie():
    def needed(num_draws: int) -> dict[str, float]:
        study = replace(STUDY, followups=tuple(each for each in FOLLOWUPS if each.draw < num_draws))
        found = attainable_by_family(study, 8)
        assert {each.num_draws for each in found} == {num_draws}
        return {each.family: each.spreads_for_alpha for each in found}

    # Student's t with 2 degrees of freedom, upper .05 / 3 and .05 / 9, in closed form
    three, p = needed(3), np.array([0.05 / 3, 0.05 / 9])
    t = (1 - 2 * p) * np.sqrt(2 / (4 * p * (1 - p)))
    assert [three["events"], three["learning"]] == pytest.approx(t * np.sqrt(4 / 3))
    sample = np.array([-1.0, 0.0, 1.0])
    assert prediction_p(three["events"], sample) == pytest.approx(0.05 / 3)
    assert needed(2)["events"] > three["events"] and all(np.isnan(each) for each in needed(1).values())


def test_more_weights_are_more_claims():
    more = [replace(each, weight=4) for each in FOLLOWUPS if each.core is not None]
    study = replace(STUDY, followups=(*FOLLOWUPS, *more))
    assert [trio.weight for trio in trios_of(study)] == [2, 4]
    assert [each.num_claims for each in attainable_by_family(study, 8)] == [6, 12, 18]


def test_a_weight_without_its_controls_is_refused():
    gap = tuple(each for each in FOLLOWUPS if each.draw != 1)
    lone = FollowUp(parent="iid", condition="exact", core="random", weight=4, draw=1)
    for followups in (FOLLOWUPS[:2], FOLLOWUPS[1:], FOLLOWUPS[:1], gap, (*FOLLOWUPS, lone)):
        with pytest.raises(ValueError, match="every weight needs an impact, a random and a loss core"):
            trios_of(replace(STUDY, followups=followups))


def test_a_follow_up_that_starts_from_a_core_is_no_replay():
    with pytest.raises(ValueError, match="a core comes with a weight"):
        FollowUp(parent="iid", condition="exact", core="impact")
    with pytest.raises(ValueError, match="a core comes with a weight"):
        FollowUp(parent="iid", condition="exact", weight=2)
    with pytest.raises(ValueError, match="no replays"):
        FollowUp(parent="iid", condition="remove", core="impact", weight=2)
    assert FollowUp(parent="iid", condition="exact", core="loss", weight=4).name == "iid.loss-w4"
