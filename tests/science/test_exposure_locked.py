"""Averages locked to an item's own exposures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from squiggle_assets.schemas.base import dtypes
from squiggle_assets.schemas.triggers import ExposureLocked
from squiggle_assets.science.exposure_locked import SCHEMA, cell_z, exposure_locked, step_responses
from squiggle_assets.science.rng import generator
from squiggle_assets.science.simulation import Design, simulated_arm
from tests.science.attribution_arms import event_of, traces
from tests.science.curriculum_items import planted_items
from tests.science.policy_presets import PLANT, preset

IID = preset("iid_baseline")
SERIES = simulated_arm(Design(num_seeds=4), generator("exposure_locked_test"))
EVENTS = pl.DataFrame([event_of({0: 50})])


def table(series=SERIES, policy=IID, trace=None, **changes) -> pl.DataFrame:
    trace = traces(policy, 4) if trace is None else trace
    return exposure_locked(EVENTS, series, trace, policy, **{"num_redrawn": 40, **changes})


def test_responses_by_hand():
    # reach 2: at t = 2 (z2 + z3 - z0 - z1) / 2
    found = step_responses(np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]), 2)
    np.testing.assert_array_equal(found, [[np.nan, np.nan, 4.5, 9.0, np.nan]])


def test_effect_agrees_with_going_through_the_draws():
    trace = traces(IID, 4)
    found = table(trace=trace).sort("item_id")
    d = step_responses(cell_z(SERIES, next(c for c in SERIES.cells if c.band == 0 and c.group == "angle")), 2)
    for item in IID.items["item_id"][:5]:
        own = trace.filter(pl.col("item_id") == item)
        # the draw of step t is answered by the first capture after it: (t // 2)-th increment
        values = [d[seed, step // 2] for seed, step in own.select("seed", "step").iter_rows()]
        row = found.row(by_predicate=pl.col("item_id") == item, named=True)
        assert row["effect"] == pytest.approx(np.nanmean(values))
        assert row["num_exposures"] == np.isfinite(values).sum()


def test_a_series_that_stands_still_in_one_seed_counts_as_no_movement_there():
    cell = next(c for c in SERIES.cells if c.band == 0 and c.group == "angle")
    increments = SERIES.increments.copy()
    increments[1, list(cell.members)] = 0.0
    still = replace(SERIES, increments=increments)
    assert not cell_z(still, cell)[1].any()
    np.testing.assert_array_equal(cell_z(still, cell)[[0, 2, 3]], cell_z(SERIES, cell)[[0, 2, 3]])
    found = table(still)
    assert len(found) and found["z"].is_finite().all()


@pytest.mark.parametrize("noise", ["white", "boundary_1"])
@pytest.mark.parametrize("name", ["iid_baseline", "family_blocked"])
def test_p_is_uniform_where_the_series_has_nothing_to_do_with_items(name, noise):
    policy, p = preset(name, dict.fromkeys(IID.families, 20)), []
    for arm in range(4):
        series = simulated_arm(Design(num_seeds=4, noise=noise), generator("exposure_null", noise, arm))
        p.append(table(series, policy, traces(policy, 4, first=50 * arm))["p_value"].to_numpy())
    p = np.concatenate(p)
    for level in (0.05, 0.01):
        # items of one batch share its increments: twice the spread of independent tests
        assert (p <= level).mean() <= level + 6 * np.sqrt(level / len(p))
    assert (p <= 0.05).mean() > 0.02
    assert 0.4 < p.mean() < 0.6


def acting(series, trace: pl.DataFrame, item: str, size: float):
    increments = series.increments.copy()
    angle = [k for k, metric in enumerate(series.metrics) if metric == "principal_angle"]
    for seed, step in trace.filter(pl.col("item_id") == item).select("seed", "step").unique().iter_rows():
        increments[seed, angle, step // 2] += size
    return replace(series, increments=increments)


def test_an_item_that_acts_whenever_it_is_shown_comes_first():
    policy = preset("iid_baseline", dict.fromkeys(IID.families, 40))
    trace = traces(policy, 4)
    item = trace["item_id"].value_counts(sort=True)["item_id"][0]
    found = table(acting(SERIES, trace, item, 6.0), policy, trace)
    assert found["item_id"][0] == item
    assert found["q_value"][0] < 0.05
    assert found["effect"][0] > 1
    # the other direction is another question
    down = exposure_locked(
        EVENTS.with_columns(polarity=pl.lit(-1)), acting(SERIES, trace, item, 6.0), trace, policy, num_redrawn=40
    )
    assert down.row(by_predicate=pl.col("item_id") == item, named=True)["p_value"] > 0.95


def test_a_phase_that_moves_the_cell_is_no_effect_of_its_items():
    # every increment of the block of one family is larger than those before: its items are shown nowhere else so often
    policy = preset("family_blocked", dict.fromkeys(IID.families, 20))
    increments = SERIES.increments + 1.5 * (np.arange(100) == 10)
    found = table(replace(SERIES, increments=increments), policy)
    assert (found["p_value"] <= 0.001).mean() < 0.01


def test_planted_items_have_no_row():
    policy = preset("iid_baseline", plant=PLANT, planted=planted_items(3))
    assert not table(policy=policy)["family_id"].is_in(["planted"]).any()


def test_table_fits_its_model():
    found = table()
    ExposureLocked.validate(found)
    assert dict(found.schema) == dtypes(ExposureLocked)
    nothing = exposure_locked(EVENTS[:0], SERIES, traces(IID, 4), IID)
    assert nothing.is_empty() and list(nothing.columns) == list(SCHEMA)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reach": 0}, "reach"),
        ({"reach": 60}, "reach"),
        ({"num_redrawn": 3}, "redrawn"),
        ({"trace": traces(IID, 3)}, "seeds"),
        ({"trace": traces(IID, 4).filter(pl.col("step") < 100)}, "captures go up to"),
    ],
)
def test_what_cannot_be_averaged_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        table(**changes)
