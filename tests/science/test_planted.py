"""The response at a place that was fixed beforehand: its window, its nulls, its controls, boundaries near it."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import simulated_study as fake
from judged_study import PLANTED, series_with, whole_arms

from squiggle_assets.science.cells import Boundary, arm_series
from squiggle_assets.science.claim_kinds import planted_claims
from squiggle_assets.science.planted import (
    Control,
    beyond_control,
    boundaries_near,
    place_of,
    response_of,
    untested_control,
    weakest_control,
    window_of,
)
from squiggle_assets.science.simulation import Design, simulated_arm
from squiggle_assets.science.stats import Interval


def test_the_control_with_the_lowest_interval_counts():
    controls = [Control("placebo", 3.0, Interval(2.0, 4.0), 5), Control("iid", 2.5, Interval(-1.0, 6.0), 8)]
    assert weakest_control(controls) == ("iid", 2.5, Interval(-1.0, 6.0), 5)
    assert weakest_control([*controls, untested_control("other")])[::3] == ("other", 0)
    assert weakest_control([]) is None


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
    assert beyond_control("self", found, found) == ("self", 0.0, (0.0, 0.0), 8)


def test_a_difference_to_the_control_is_taken_over_the_seeds_that_both_have():
    # seeds 1 and 2: 5 - 1 and 7 - 2, mean 4.5
    mine, theirs = ({1: 5.0, 2: 7.0, 3: 100.0}, {0: -50.0, 1: 1.0, 2: 2.0})
    found = beyond_control("c", SimpleNamespace(by_seed=mine), SimpleNamespace(by_seed=theirs))
    assert (found.difference, found.num_pairs) == (4.5, 2)
    alone = beyond_control("c", SimpleNamespace(by_seed={1: 1.0}), SimpleNamespace(by_seed={2: 1.0}))
    assert np.isnan(alone.difference) and np.isnan(alone.interval.lo) and alone.num_pairs == 0


def with_phases(series, *starts):
    return dataclasses.replace(series, schedule=dataclasses.replace(series.schedule, phase_starts=starts))


@pytest.mark.parametrize(
    ("step", "near"), [(112, False), (113, True), (119, True), (124, True), (128, True), (131, True), (132, False)]
)
def test_a_boundary_anywhere_in_the_window_is_near_it(step, near):
    # captures every 2, tau 5: from 120 - 5 - 2 to the last step looked at, 124 + 5, and one capture more
    series = with_phases(series_with((), seeds=range(2)), step)
    assert boundaries_near([series], (120, 124), fake.SPEC) == ((Boundary("phase_start", step),) if near else ())


@pytest.mark.parametrize("name", ["planted", "placebo", "iid"])
def test_a_boundary_of_any_compared_arm_near_the_end_of_the_planted_steps_is_told(name):
    arms = dict(whole_arms())
    plain = planted_claims(fake.study(), arms, fake.PLANT_STEPS)
    # 128 is 8 steps after the first planted one, and inside the window that ends at 129
    arms[name] = dataclasses.replace(arms[name], series=with_phases(arms[name].series, 128))
    found = planted_claims(fake.study(), arms, fake.PLANT_STEPS)
    assert [each.near_boundary for each in (*plain, *found)] == [False, False, True, True]
    assert found[0].row["evidence"]["boundaries_near"] == [["phase_start", 128]]


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["white", "learning_rate", "boundary_3"])
def test_the_response_to_nothing_is_significant_in_at_most_16_of_200_studies(noise):
    rejected = 0
    for number in range(200):
        draws = np.random.default_rng([11, number])
        series = simulated_arm(Design(noise=noise), draws)
        rejected += response_of(series, (100, 104), fake.SPEC, draws).p_value < 0.05
    assert rejected <= 16
