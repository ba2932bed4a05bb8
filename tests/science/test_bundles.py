"""Minimal bundles: seeds that choose are not the seeds that test."""

from __future__ import annotations

import json

import polars as pl
import pytest
from scipy.stats import chi2

from squiggle_assets.schemas.base import dtypes
from squiggle_assets.schemas.triggers import TriggerBundles
from squiggle_assets.science.bundles import bundles_of, smallest_acting
from squiggle_assets.science.triggers import attribute
from tests.science.attribution_arms import events, put, traces
from tests.science.policy_presets import preset

POLICY = preset("iid_baseline", dict.fromkeys(preset("iid_baseline").families, 30))
ITEMS = POLICY.items["item_id"][40:42].to_list()
PEAKS = {seed: 130 for seed in range(8)}


def trace_with(seeds: range, items=ITEMS) -> pl.DataFrame:
    trace = traces(POLICY, 8)
    for number, item in enumerate(items):
        trace = put(trace, item, [(seed, 129 - number) for seed in seeds])
    return trace


def bundles(trace: pl.DataFrame, seeds=PEAKS, **changes) -> tuple[pl.DataFrame, pl.DataFrame]:
    found = attribute(events(seeds), trace, POLICY).items
    return found, bundles_of(found, events(seeds), trace, POLICY, **changes)


def test_a_bundle_that_precedes_the_event_in_every_seed_holds():
    items, found = bundles(trace_with(range(8)))
    assert items["is_trigger"].sum() == 2
    assert found["size"].to_list() == [1, 1, 2, 2]
    assert found["holds"].all()
    assert found.filter("is_minimal")["size"].unique().to_list() == [1]
    both = found.filter(pl.col("size") == 2)
    assert sorted(json.loads(both["item_ids"][0])) == sorted(ITEMS)
    # 4 seeds, 2 items, one showing each at least; half of alpha for each of two sizes
    row = both.row(0, named=True)
    assert row["count_window"] >= 8
    lower = chi2.ppf(0.025, 2 * row["count_window"]) / 2 / row["expected_window"]
    assert row["lift_lower"] == pytest.approx(lower)


def test_halves_part_the_seeds():
    _, found = bundles(trace_with(range(8)))
    for row in found.iter_rows(named=True):
        assert sorted(json.loads(row["ranked_on"]) + json.loads(row["tested_on"])) == list(range(8))
    assert json.loads(found["ranked_on"][0]) == [0, 2, 4, 6]


def test_what_only_one_half_shows_does_not_hold():
    # seeds 0, 2, 4, 6 show one item three times each: a trigger over all seeds, but not for the other half
    trace = put(traces(POLICY, 8), ITEMS[0], [(seed, step) for seed in (0, 2, 4, 6) for step in (127, 128, 129)])
    items, found = bundles(trace)
    assert items["is_trigger"].any()
    assert not found["is_minimal"].any()


def test_without_triggers_there_is_no_bundle():
    _, found = bundles(traces(POLICY, 8))
    assert found.is_empty()
    assert dict(found.schema) == dtypes(TriggerBundles)


def test_too_few_seeds_make_no_halves():
    items, found = bundles(trace_with(range(3)), {seed: 130 for seed in range(3)})
    assert len(items)
    assert found.is_empty()


def test_table_fits_its_model():
    _, found = bundles(trace_with(range(8)))
    TriggerBundles.validate(found)


@pytest.mark.parametrize(
    ("rows", "smallest"),
    [
        ([(1, "preserves"), (5, "delays"), (10, "kills")], 5),
        ([(1, "kills"), (1, "inconclusive"), (5, "kills")], 5),
        ([(1, "weakens"), (5, "inconclusive")], None),
    ],
)
def test_smallest_bundle_that_acts_by_hand(rows, smallest):
    assert smallest_acting(pl.DataFrame(rows, schema=["size", "label"], orient="row")) == smallest


def test_sizes_that_are_no_sizes_are_refused():
    with pytest.raises(ValueError, match="positive"):
        bundles(traces(POLICY, 8), sizes=(0, 5))
