"""Groups of runs from different arms: what agrees in them, and the p of an arm among them."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
import simulated_study as fake
from judged_study import whole_arms

from squiggle_assets.science.nulls import observe
from squiggle_assets.science.pairing import paired_across_arms, pairing_of
from squiggle_assets.science.simulation import Design, simulated_arm
from squiggle_assets.science.spec import ConsensusSpec, DetectionSpec
from squiggle_assets.science.stats import permutation_p

DETECTION, SPEC = DetectionSpec(adaptive_min_threshold={}), ConsensusSpec(draws_per_cell=20)
GRID = {"steps_T": np.arange(2, 42, 2), "tau": 5.0}


def test_pairing_keeps_what_arms_share_and_loses_what_one_arm_has():
    shared, alone = {}, {}
    for i, name in enumerate(("a", "b", "c", "d")):
        series = simulated_arm(Design(), np.random.default_rng(i))
        series.increments[:, 0, 30] += 6.0
        shared[name] = observe(series, DETECTION, SPEC).strength
        series = simulated_arm(Design(), np.random.default_rng(i))
        if name == "a":
            series.increments[:, 0, 30] += 6.0
        alone[name] = observe(series, DETECTION, SPEC).strength
    settings = {"steps_T": series.steps, "tau": 5.0, "min_support": 6, "num_draws": 40}
    draws = np.random.default_rng(0)
    assert (paired_across_arms(shared, rng=draws, **settings).count >= 1).all()
    assert paired_across_arms(alone, rng=draws, **settings).count.mean() < 0.5
    with pytest.raises(ValueError, match="at least 2 arms"):
        paired_across_arms({"a": shared["a"]}, rng=draws, **settings)


def rare_events(draws, num_arms, num_seeds):
    """[C, S, P, T] by arm: one cell, events of random strength at a tenth of the captures."""
    shape = 1, num_seeds, 2, 20
    return {
        f"arm{number}": (draws.uniform(2, 6, size=shape) * (draws.random(shape) < 0.1)).astype(np.float32)
        for number in range(num_arms)
    }


def test_every_seed_is_there_once_and_arms_take_part_alike():
    # one arm has an event in every seed; a draw's total is its number of runs of that arm, binomial(8, 1/4)
    quiet, loud = np.zeros((1, 8, 2, 20), dtype=np.float32), np.zeros((1, 8, 2, 20), dtype=np.float32)
    loud[:, :, 0, 10] = 1.0
    arms = {"a": loud, **dict.fromkeys("bcd", quiet)}
    null = paired_across_arms(arms, **GRID, min_support=2, num_draws=2000, rng=np.random.default_rng(0))
    totals = null.best[:, 0]
    assert set(totals) <= set(range(9)) and totals.mean() == pytest.approx(2, abs=0.1)
    assert totals.var() == pytest.approx(8 * 3 / 16, rel=0.1)
    np.testing.assert_array_equal(null.count, totals >= 2)


def test_an_arm_that_is_like_the_others_is_called_different_as_often_as_alpha():
    rejected, num = 0, 400
    for number in range(num):
        draws = np.random.default_rng([7, number])
        arms = rare_events(draws, 3, 5)
        null = paired_across_arms(arms, **GRID, min_support=2, num_draws=39, rng=draws)
        own = paired_across_arms({"x": arms["arm0"], "y": arms["arm0"]}, **GRID, min_support=2, num_draws=1, rng=draws)
        rejected += permutation_p(own.best[0, 0], null.best[:, 0]) <= 0.05
    # binomial(400, .05): 31 is passed with probability .007; binomial(400, .1) passes it with .92
    assert 6 <= rejected <= 31


def test_the_arm_with_events_of_its_own_stands_out_and_the_others_do_not():
    found = pairing_of(whole_arms(), fake.DETECTION, fake.SPEC)
    assert found.p_values["blocked"] < 0.05
    assert min(p for name, p in found.p_values.items() if name != "blocked") > 0.05
    observed = {name: arm.count for name, arm in whole_arms().items()}
    draws = found.draws.filter(pl.col("band") == "all")["statistic"]
    assert found.p_values["iid"] == (1 + (draws >= observed["iid"]).sum()) / (1 + len(draws))
    assert found.draws.equals(pairing_of(whole_arms(), fake.DETECTION, fake.SPEC).draws)
    other = dataclasses.replace(fake.SPEC, seed=fake.SPEC.seed + 1)
    assert not found.draws.equals(pairing_of(whole_arms(), fake.DETECTION, other).draws)


def test_without_arms_to_mix_there_are_no_draws_and_no_p():
    arms = whole_arms()
    for few in ({}, {"iid": arms["iid"]}):
        found = pairing_of(few, fake.DETECTION, fake.SPEC)
        assert found.draws.is_empty() and found.mean is None and not found.p_values
