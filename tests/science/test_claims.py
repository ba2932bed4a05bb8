"""A simulated study from tables to claims: what is planted is supported, what is not is not."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import simulated_study as fake

from squiggle_assets.schemas import claims as schemas
from squiggle_assets.schemas.base import empty
from squiggle_assets.schemas.consensus import ConsensusEvents
from squiggle_assets.science.cells import arm_series
from squiggle_assets.science.claim_kinds import consensus_claims
from squiggle_assets.science.claims import arms_of, is_preregistered, study_result
from squiggle_assets.science.comparison import ArmData, _swapped, count_interval, excess_difference, strongest_of
from squiggle_assets.science.consensus import consensus_of
from squiggle_assets.science.nulls import with_nulls
from squiggle_assets.science.outcomes import floor_check
from squiggle_assets.science.planted import beyond_control, place_of, response_of, weakest_control, window_of
from squiggle_assets.science.simulation import Design, simulated_arm
from squiggle_assets.science.spec import Arm, ConsensusSpec, Contrast, DetectionSpec
from squiggle_assets.science.stats import NO_INTERVAL, Interval

NAMES = ("iid", "blocked", "placebo", "planted")
BLOCKED = [(step, layer, metric, 7.0) for step, layer, metric in (
    (40, 0, "effective_rank"), (80, 1, "sparsity_proxy"), (120, 2, "principal_angle"), (150, 3, "effective_rank"),
)]  # fmt: skip
PLANTED = [(121, 3, metric, 7.0) for metric in ("effective_rank", "sv_entropy")]


@pytest.fixture(scope="module")
def tables():
    geometry = pl.concat(
        [fake.geometry_of(name, events={"blocked": BLOCKED, "planted": PLANTED}.get(name, ())) for name in NAMES]
    )
    results = [
        consensus_of(
            own,
            fake.events_table(own),
            arm=own["arm"][0],
            analysis_id=fake.VERSION,
            schedule=fake.SCHEDULE,
            detection=fake.DETECTION,
            spec=fake.SPEC,
        )
        for own in geometry.partition_by("arm")
    ]
    return {
        "geometry": geometry,
        "manifest": fake.manifest_of(NAMES),
        "scalars": fake.scalars_of(NAMES, better=("blocked",)),
        "consensus_events": pl.concat([result.consensus_events for result in results]),
        "null_draws": pl.concat([result.null_draws for result in results]),
    }


def judged(tables, study=None, **changes):
    settings = {
        **tables,
        "analysis_id": fake.VERSION,
        "planted_steps": fake.PLANT_STEPS,
        "scale": "simulated",
        "preregistered": True,
        **changes,
    }
    return study_result(study or fake.study(), **settings)


@pytest.fixture(scope="module")
def result(tables):
    return judged(tables)


@pytest.fixture(scope="module")
def arms(tables):
    return arms_of(fake.study(), **{name: tables[name] for name in ("geometry", "manifest", "null_draws")})


def claim(result, name):
    return result.claims.filter(pl.col("claim") == name).row(0, named=True)


def test_the_tables_are_those_of_the_schemas(result):
    schemas.TABLES["arm_outcomes"].validate(result.arm_outcomes)
    schemas.TABLES["claims"].validate(result.claims)


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
    assert 5 < planted["estimate"] < 10
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


def test_the_control_with_the_lowest_interval_counts():
    controls = {"placebo": (3.0, Interval(2.0, 4.0)), "iid": (2.5, Interval(-1.0, 6.0))}
    assert weakest_control(controls) == ("iid", 2.5, Interval(-1.0, 6.0))
    assert weakest_control({**controls, "other": (9.0, NO_INTERVAL)})[0] == "other"
    assert weakest_control({}) is None


def test_an_arm_with_every_seed_at_the_cap_sits_on_its_ceiling():
    draws = np.random.default_rng(3)
    series = simulated_arm(Design(), draws)
    series.increments[:, list(series.cells[0].members), 50] = 30.0 + draws.normal(size=(len(series.seeds), 1))
    seen = with_nulls(series, DetectionSpec(), ConsensusSpec(draws_per_cell=5), draws)
    study = fake.study()
    arms = {arm.name: ArmData(arm=arm, series=series, seen=seen, num_items=1, total_steps=200) for arm in study.arms}
    assert set(strongest_of(next(iter(arms.values()))).by_seed.values()) == {6.0}
    events = empty(ConsensusEvents)
    assert all(claim.floor for claim in consensus_claims(study, arms, events))


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
    assert counts["pairing_mean"].n_unique() == 1
    final = result.arm_outcomes.filter(pl.col("outcome") == "final_val_random_loss")
    assert (final["ci_lo"] < final["value"]).all() and final["null_mean"].is_null().all()


def test_the_same_study_gives_the_same_claims(tables, result):
    again = judged(tables)
    assert again.claims.equals(result.claims) and again.arm_outcomes.equals(result.arm_outcomes)


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


def test_swapping_labels_turns_the_difference_round(arms):
    first, second = arms["blocked"], arms["iid"]
    found = _swapped(first.seen.strength, second.seen.strength, first, 6, np.random.default_rng(0))
    assert len(found) == 256
    assert found[0] >= np.sort(found)[-3] > 2  # four events, each of eight seeds
    np.testing.assert_allclose(found, -found[::-1])


def test_an_arm_does_not_differ_from_itself(arms):
    found = excess_difference(arms["iid"], arms["iid"], fake.SPEC, "greater", np.random.default_rng(0))
    assert found.estimate == 0 and found.p_value > 0.4 and found.interval.lo <= 0 <= found.interval.hi
    assert found.smallest_p == 1 / 256


def test_events_in_every_seed_have_a_narrow_interval(arms):
    lo, hi = count_interval(arms["blocked"])
    assert lo <= arms["blocked"].count <= hi
    assert hi - lo < 2 * arms["blocked"].count


def series_with(events, **changes):
    return arm_series(
        fake.geometry_of("planted", events=events, **changes),
        probe_set="a", schedule=fake.SCHEDULE, detection=fake.DETECTION, num_bands=4,
    )  # fmt: skip


def test_the_window_opens_after_the_first_planted_step_and_closes_tau_after_the_last():
    series = series_with((), seeds=range(2))
    np.testing.assert_array_equal(series.steps[window_of(series, (120, 124), fake.SPEC)], [122, 124, 126, 128])
    with pytest.raises(ValueError, match="no captures"):
        window_of(series, (400, 404), fake.SPEC)
    assert place_of(series).name == "layers_3_3.spectral"


def test_the_response_is_above_zero_without_an_effect_and_so_is_its_null():
    found = response_of(series_with(()), fake.PLANT_STEPS, fake.SPEC, np.random.default_rng(0))
    assert found.estimate > 0.5 and found.null_mean > 0.5
    assert found.p_value > 0.05


def test_the_response_does_not_depend_on_the_units_of_the_metric():
    geometry = fake.geometry_of("planted", events=PLANTED)
    settings = {"probe_set": "a", "schedule": fake.SCHEDULE, "detection": fake.DETECTION, "num_bands": 4}
    first = response_of(arm_series(geometry, **settings), fake.PLANT_STEPS, fake.SPEC, np.random.default_rng(0))
    scaled = geometry.with_columns(1e-3 * pl.col("value") + 4)
    second = response_of(arm_series(scaled, **settings), fake.PLANT_STEPS, fake.SPEC, np.random.default_rng(0))
    assert first.estimate == pytest.approx(second.estimate, rel=1e-6)
    assert first.p_values == second.p_values


def test_the_response_at_a_fixed_place_rejects_noise_as_often_as_alpha():
    p = [
        response_of(
            series_with((), seed=number, num_layers=2), fake.PLANT_STEPS, fake.SPEC, np.random.default_rng(number)
        )
        for number in range(40)
    ]
    assert sum(found.p_value < 0.05 for found in p) <= 6  # 40 * .05 = 2, sd 1.4


def test_a_response_is_no_larger_than_itself():
    found = response_of(series_with(()), fake.PLANT_STEPS, fake.SPEC, np.random.default_rng(0))
    assert beyond_control(found, found) == (0.0, (0.0, 0.0))


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["white", "learning_rate", "boundary_3"])
def test_the_response_to_nothing_is_significant_in_at_most_16_of_200_studies(noise):
    rejected = 0
    for number in range(200):
        draws = np.random.default_rng([11, number])
        series = simulated_arm(Design(noise=noise), draws)
        rejected += response_of(series, (100, 104), fake.SPEC, draws).p_value < 0.05
    assert rejected <= 16


@pytest.mark.slow
def test_a_loud_schedule_does_not_make_an_arm_richer_in_events():
    spec, rejected = ConsensusSpec(draws_per_cell=15), 0
    for number in range(40):
        draws = np.random.default_rng([9, number])
        loud, calm = (
            ArmData(
                arm=fake.study().arms[0],
                series=series,
                seen=with_nulls(series, DetectionSpec(), spec, draws),
                num_items=1,
                total_steps=200,
            )
            for series in (simulated_arm(Design(noise=noise), draws) for noise in ("boundary_3", "white"))
        )
        rejected += excess_difference(loud, calm, spec, "greater", draws).p_value < 0.05
    assert rejected <= 6  # 40 * .05 = 2, sd 1.4
