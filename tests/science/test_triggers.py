"""Attribution: calibrated where nothing triggers, able to see what does."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from squiggle_assets.schemas import triggers as schemas
from squiggle_assets.schemas.base import dtypes
from squiggle_assets.science.policy import Policy
from squiggle_assets.science.rng import generator
from squiggle_assets.science.stats import benjamini_hochberg
from squiggle_assets.science.trigger_simulation import TriggerStudy, drawn_runs, made_events, study_policy, trace_of
from squiggle_assets.science.triggers import attribute, ranked_triggers
from squiggle_assets.science.waves import TriggerSpec
from tests.science.attribution_arms import events, put, traces
from tests.science.curriculum_items import planted_items
from tests.science.policy_presets import PLANT, preset

SEEDS = range(8)
PEAKS = {seed: 130 + 2 * (seed % 3) for seed in SEEDS}


def wide(name: str = "iid_baseline", **changes) -> Policy:
    """Enough items that each is rare."""
    return preset(name, dict.fromkeys(preset("iid_baseline").families, 30), **changes)


def with_trigger(policy: Policy, extra: int, item: str) -> pl.DataFrame:
    places = [(seed, PEAKS[seed] - 1 - k) for seed in SEEDS for k in range(extra)]
    return put(traces(policy, 8), item, places)


def test_p_by_hand():
    # Two seeds, two showings each, one of each in a window of 4 of 200 steps: q = .02 four times, two hits.
    policy = wide()
    item, other = policy.items["item_id"][0], policy.items["item_id"][1]
    trace = traces(policy, 2).with_columns(item_id=pl.lit(other))
    trace = put(trace, item, [(0, 97), (0, 10), (1, 98), (1, 150)])
    found = attribute(events({0: 100, 1: 100}), trace, policy, TriggerSpec(lags=(0,))).items
    row = found.row(by_predicate=pl.col("item_id") == item, named=True)
    p = 1 - 0.98**4 - 4 * 0.02 * 0.98**3
    assert row["p_value"] == pytest.approx(p)
    assert row["q_value"] == pytest.approx(2 * p)
    assert (row["count_window"], row["count_total"], row["n_seeds"]) == (2, 4, 2)
    assert row["expected_window"] == pytest.approx(0.08)
    assert row["lift"] == pytest.approx(2.5 / 0.58)
    # both seeds, two windows, two draws
    assert row["score_freq"] == pytest.approx(2 * 2 * 1.1)
    assert json.loads(row["seeds_present"]) == [0, 1]


@pytest.mark.parametrize("name", ["iid_baseline", "family_blocked", "family_ramp"])
def test_p_is_uniform_or_larger_where_events_have_nothing_to_do_with_items(name):
    study = TriggerStudy(preset=name, num_items=400, num_events=4, num_triggers=1)
    policy, num_tests, p, family_p, called = study_policy(study), 0, [], [], 0
    for arm in range(6):
        trace = trace_of(policy, drawn_runs(policy, range(100 * arm, 100 * arm + 8)))
        made = made_events(study, 20, generator("calibration", name, arm))
        found = attribute(made, trace, policy)
        num_tests += found.status["num_tested"].sum()
        p.append(found.items["p_lags"].to_numpy())
        family = found.items.filter(pl.col("lag") == 20).group_by("consensus_event_id", "family_id").first()
        family_p.append(family["family_p"].to_numpy())
        called += found.status["num_triggers"].sum()
    p, family_p = np.concatenate(p), np.concatenate(family_p)
    for level in (0.05, 0.01, 0.001):
        assert (p <= level).sum() <= level * num_tests + 3 * np.sqrt(level * num_tests)
        assert (family_p <= level).sum() <= level * len(family_p) + 3 * np.sqrt(level * len(family_p))
    # it is a test all the same, and not only 1
    assert (p <= 0.05).sum() > 0.003 * num_tests
    assert called <= 2


@pytest.mark.parametrize("name", ["iid_baseline", "family_ramp", "family_blocked"])
def test_an_item_shown_before_the_event_in_every_seed_is_the_first_trigger(name):
    policy = wide(name)
    # the phase that draws step 125 can draw every item
    item = policy.items.filter(pl.col("family_id") == "cyclic_groups")["item_id"][3]
    found = attribute(events(PEAKS), with_trigger(policy, 1, item), policy)
    assert ranked_triggers(found.items, "e0")["item_id"].to_list() == [item]
    row = found.items.row(0, named=True)
    assert row["rank"] == 1 and row["n_seeds"] == 8 and row["lag"] == 0 and row["null_id"] == "policy_time"
    assert row["lb05"] > 0
    assert row["p_in_family"] < 1e-3
    assert found.status["status"].to_list() == ["triggers"]


def test_planted_items_are_triggers_though_their_own_policy_expects_them():
    # 4 of 200 steps hold all showings of the 3 planted items, the same steps in every seed
    policy = wide(plant=PLANT, planted=planted_items(3))
    found = attribute(events({seed: 104 for seed in SEEDS}), traces(policy, 8), policy)
    triggers = ranked_triggers(found.items, "e0")
    assert sorted(triggers["item_id"]) == ["planted-0", "planted-1", "planted-2"]
    assert triggers["null_id"].unique().to_list() == ["uniform_time"]
    # what the policy that planted them says: a lift of about 1
    assert (triggers["count_window"] / triggers["expected_policy"]).to_numpy() == pytest.approx(1, abs=0.3)
    # the family as a whole precedes the event; no planted item stands out in it
    assert triggers["family_p"].max() < 1e-6 < 1e-3 < triggers["p_in_family"].min()


def test_a_block_is_not_a_trigger():
    # In the last steps of each block every item of the family was shown far more often than over the whole run.
    policy = wide("family_blocked")
    blocks = events(*({seed: 20 * block + 18 for seed in SEEDS} for block in range(6)))
    found = attribute(blocks, traces(policy, 8), policy)
    assert not found.items["is_trigger"].any()
    assert found.items["family_lift"].max() < 1.5


def test_no_triggers_is_an_answer():
    found = attribute(events(PEAKS), traces(wide(), 8), wide())
    assert found.status["status"].to_list() == ["no triggers"]
    assert found.status["num_triggers"].to_list() == [0]
    assert ranked_triggers(found.items, "e0").is_empty()


def test_one_seed_alone_makes_no_trigger():
    policy = wide()
    item = policy.items["item_id"][5]
    trace = put(traces(policy, 8), item, [(3, PEAKS[3] - 1 - k) for k in range(4)] + [(3, PEAKS[3] - 6)])
    row = attribute(events(PEAKS), trace, policy).items.row(by_predicate=pl.col("item_id") == item, named=True)
    assert row["n_seeds"] < 2 or row["q_value"] > 0.1
    assert not row["is_trigger"]


def test_however_often_a_single_seed_shows_an_item_it_is_no_trigger():
    policy, lags = wide(), (5,)
    trace = traces(policy, 8)
    shown = attribute(events(PEAKS), trace, policy, TriggerSpec(lags=lags)).items["item_id"]
    # an item that no window holds, and of these one that seed 3 was shown least
    draws = trace.group_by("item_id").agg((pl.col("seed") == 3).sum().alias("num")).sort("num", "item_id")
    item = draws.filter(~pl.col("item_id").is_in(shown.to_list()))["item_id"][0]
    often = put(trace, item, [(3, PEAKS[3] - 1 - k) for k in range(8)])
    for least in (1, 2):
        spec = TriggerSpec(lags=lags, min_seeds=least)
        row = attribute(events(PEAKS), often, policy, spec).items.row(
            by_predicate=pl.col("item_id") == item, named=True
        )
        assert (row["n_seeds"], row["is_trigger"]) == (1, least == 1) and row["q_value"] < 0.1


def test_a_design_that_cannot_find_anything_says_so():
    # one seed and 200 draws of 2,000 items: hardly one is shown twice, so p >= (4 / 200)^2 over some 190 items × 3 lags
    policy = preset("iid_baseline", {"cyclic_groups": 1000, "inequalities": 1000}, batch_size=1)
    found = attribute(events({0: 100}), traces(policy, 1), policy)
    assert found.status["status"].to_list() == ["underpowered"]
    assert found.status["attainable_q"][0] > 0.1


def test_q_counts_every_item_that_could_have_been_shown():
    policy, spec = wide(), TriggerSpec()
    found = attribute(events(PEAKS, {seed: 60 for seed in SEEDS}), traces(policy, 8), policy, spec)
    missing = found.status["num_tested"].sum() - len(found.items)
    q = benjamini_hochberg(np.concatenate([found.items["p_lags"].to_numpy(), np.ones(missing)]))
    np.testing.assert_allclose(found.items["q_value"].to_numpy(), q[: len(found.items)])
    assert missing > 0


def test_planted_items_make_no_ordinary_item_easier_to_find():
    # four events, all after the planted batches; an ordinary item is shown before them a little more often than usual
    plant = replace(PLANT, share=0.5)
    policy = wide(plant=plant, planted=planted_items(plant.num_items))
    after = policy.plant_steps[1]
    four = events(*({seed: after for seed in SEEDS} for _ in range(4)))
    slots = [(seed, after - 6 - seed % 2) for seed in range(5)]
    items = attribute(four, put(traces(policy, 8), policy.items["item_id"][5], slots), policy).items
    planted, ordinary = (items.filter(pl.col("null_id") == name) for name in ("uniform_time", "policy_time"))
    assert planted["is_trigger"].all() and len(planted) == 4 * plant.num_items
    rest = np.ones(4 * (len(policy.items) - plant.num_items) - len(ordinary))
    apart = benjamini_hochberg(np.concatenate([ordinary["p_lags"].to_numpy(), rest]))[: len(ordinary)]
    np.testing.assert_allclose(ordinary["q_value"].to_numpy(), apart)
    assert not ordinary["is_trigger"].any()
    # in one family with the planted ones the same p would have been enough
    together = benjamini_hochberg(np.concatenate([items["p_lags"].to_numpy(), rest]))[: len(items)]
    assert together[items["null_id"].to_numpy() == "policy_time"].min() < TriggerSpec().max_q < apart.min()


def test_neither_order_of_traces_nor_of_events_matters():
    policy = wide()
    item = policy.items["item_id"][7]
    trace, two = with_trigger(policy, 1, item), events(PEAKS, {seed: 50 for seed in SEEDS})
    whole = attribute(two, trace, policy)
    shuffled = attribute(two.reverse(), trace.sample(fraction=1, shuffle=True, seed=1), policy)
    assert whole.items.equals(shuffled.items)
    assert whole.status.equals(shuffled.status)


def test_more_lags_make_no_smaller_p():
    policy = wide()
    trace = with_trigger(policy, 1, policy.items["item_id"][7])
    one, three = (attribute(events(PEAKS), trace, policy, TriggerSpec(lags=lags)) for lags in ((0,), (0, 5, 20)))
    both = one.items.join(three.items, on="item_id")
    first = both.filter(pl.col("lag_right") == 0)
    np.testing.assert_allclose(first["p_value"].to_numpy(), first["p_value_right"].to_numpy())
    assert (first["p_lags_right"] >= first["p_lags"]).all()
    assert first["p_lags_right"].to_numpy() == pytest.approx(np.minimum(1, 3 * first["p_lags"].to_numpy()))


def test_tables_fit_their_models():
    policy = wide()
    found = attribute(events(PEAKS), with_trigger(policy, 1, policy.items["item_id"][7]), policy)
    nothing = attribute(events(PEAKS)[:0], traces(policy, 1), policy)
    for frame, model in ((found.items, schemas.TriggerAttribution), (found.status, schemas.TriggerStatus)):
        model.validate(frame)
        assert dict(frame.schema) == dtypes(model)
    schemas.TriggerAttribution.validate(nothing.items)
    schemas.TriggerStatus.validate(nothing.status)


@pytest.mark.parametrize("changes", [{"lags": ()}, {"lags": (5, 5)}, {"lags": (-1,)}, {"max_q": 1.0}, {"min_seeds": 0}])
def test_specs_that_test_nothing_are_refused(changes):
    with pytest.raises(ValueError, match="got"):
        replace(TriggerSpec(), **changes)
