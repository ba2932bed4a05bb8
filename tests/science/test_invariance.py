"""Similarity of pairs of seeds beside what turning one of them gives."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
import simulated_study as fake

from squiggle_assets.science.cells import arm_series
from squiggle_assets.science.detection import detect_peaks
from squiggle_assets.science.invariance import NUM_TURNS, invariance_of, matches
from squiggle_assets.science.simulation import Design, simulated_arm
from squiggle_assets.science.stats import detrended_correlation


def invariance(geometry):
    series = arm_series(geometry, probe_set="a", schedule=fake.SCHEDULE, detection=fake.DETECTION, num_bands=4)
    flat = series.increments.reshape(-1, 100)
    peaks = detect_peaks(flat, series.steps, 10, fake.DETECTION, np.zeros(len(flat))).reshape(series.increments.shape)
    return invariance_of(series, peaks, np.random.default_rng(0))


def test_a_run_is_like_itself_and_independent_runs_are_as_alike_as_turned_ones():
    geometry = fake.geometry_of("iid", seeds=range(4), num_layers=2)
    twin = geometry.filter(pl.col("seed") == 0).with_columns(pl.lit(9, dtype=pl.Int64).alias("seed"))
    found = invariance(pl.concat([geometry, twin]))
    same = found.filter((pl.col("seed_a") == 0) & (pl.col("seed_b") == 9))
    np.testing.assert_allclose(same["value"], 1.0)
    others = found.filter(pl.col("seed_b") != 9).group_by("measure").agg(pl.col("value", "null_mean").mean())
    assert (others["value"] - others["null_mean"]).abs().max() < 0.2
    coverage = others.filter(pl.col("measure") == "neighbour_coverage").row(0, named=True)
    assert coverage["null_mean"] > 0.3  # half of all events have a neighbour when there is nothing to share
    assert len(found) == 10 * (2 * 5 + 3)


def test_events_match_one_to_one_cheapest_first():
    cost = np.array([[[[1.0, 2.0], [1.5, 9.0], [np.nan, np.nan]]]])
    # 1.0 takes row 0 and column 0; then 9.0 is left for row 1 and lies beyond the limit
    assert matches(cost, 3.0).tolist() == [1]
    assert matches(cost, 10.0).tolist() == [2]


def test_a_twin_is_more_alike_in_place_than_at_any_turn():
    geometry = fake.geometry_of("iid", seeds=[0], num_layers=1)
    found = invariance(pl.concat([geometry, geometry.with_columns(seed=pl.lit(9, dtype=pl.Int64))]))
    trajectories = pl.col("measure") == "trajectory_correlation"
    assert (found.filter(trajectories)["p_value"] == 1 / (1 + NUM_TURNS)).all()
    # events that are turned by less than the radius still have their neighbours
    assert (found.filter(~trajectories)["p_value"] < 0.3).all()


def short_series(num: int):
    series = simulated_arm(Design(num_seeds=2, num_layers=1), np.random.default_rng(4))
    return dataclasses.replace(series, steps=series.steps[:num], increments=series.increments[:, :, :num])


def test_p_is_counted_over_every_turn_where_there_are_few():
    # 12 increments have 11 turns: p = (1 + turns at least as alike) / 12
    series = short_series(12)
    found = invariance_of(series, np.zeros(series.increments.shape, dtype=bool), np.random.default_rng(0))
    for row in found.filter(pl.col("measure") == "trajectory_correlation").iter_rows(named=True):
        k = series.metrics.index(row["metric"])
        first, second = series.increments[:, k]
        turned = [float(detrended_correlation(first, np.roll(second, turn))) for turn in range(12)]
        assert row["value"] == pytest.approx(turned[0])
        assert row["null_mean"] == pytest.approx(np.mean(turned[1:]))
        assert row["p_value"] == pytest.approx(np.mean(np.array(turned) >= turned[0] - 1e-12))


def test_where_a_measure_is_not_defined_value_null_and_p_are_missing():
    series = short_series(30)
    series.increments[1, 0] = 0.0
    found = invariance_of(series, np.zeros(series.increments.shape, dtype=bool), np.random.default_rng(0))
    flat = found.filter((pl.col("metric") == series.metrics[0]) | (pl.col("measure") != "trajectory_correlation"))
    assert len(flat) == 4
    assert flat.select(pl.all_horizontal(pl.col("value", "null_mean", "p_value").is_null()).all()).item()


def test_independent_seeds_have_p_values_that_are_even():
    p = []
    for number in range(40):
        series = simulated_arm(Design(num_layers=1, num_seeds=2), np.random.default_rng([3, number]))
        peaks = np.zeros(series.increments.shape, dtype=bool)
        found = invariance_of(series, peaks, np.random.default_rng(number))
        p += found.filter(pl.col("measure") == "trajectory_correlation")["p_value"].to_list()
    # 120 independent p: mean .51 with standard error .026; at most .05: binomial(120, 2 / 51), 13 passed in 2e-4
    assert len(p) == 120
    assert 0.42 < np.mean(p) < 0.60
    assert sum(value <= 0.05 for value in p) <= 13
