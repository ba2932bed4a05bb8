from __future__ import annotations

import polars as pl
import pytest

from squiggle_assets.science.curriculum import load_preset
from squiggle_assets.science.families import NAMES
from squiggle_assets.science.policy import Policy, resolve
from squiggle_assets.science.spec import Plant
from squiggle_assets.science.trace import SCHEMA, trace_rows
from tests.science.curriculum_items import items_of, planted_items


def policy_of(**changes) -> Policy:
    plant = Plant(start=0.5, num_steps=2, share=0.5, num_items=2)
    sizes = {"total_steps": 20, "batch_size": 6, "plant": plant, "planted": planted_items(2), **changes}
    return resolve(load_preset("family_blocked"), items_of(dict.fromkeys(NAMES, 3)), **sizes)


def test_the_rows_are_the_draws_in_order():
    policy = policy_of()
    rows = trace_rows(policy, 7, range(20), micro_batch=4)
    assert rows.schema == SCHEMA
    drawn = [policy.items["item_id"][int(index)] for step in range(20) for index in policy.draw(7, step)]
    assert rows["item_id"].to_list() == drawn
    first = rows.head(6)
    assert first["micro"].to_list() == [0, 0, 0, 0, 1, 1]
    assert first["pos"].to_list() == [0, 1, 2, 3, 0, 1]
    assert rows.select("step", "micro", "pos").equals(rows.select("step", "micro", "pos").sort("step", "micro", "pos"))
    assert rows["phase"].to_list()[::12][:6] == [name for name, _ in zip(NAMES, range(6), strict=False)]
    assert rows.filter(pl.col("step") == 19)["phase"].unique().to_list() == ["all"]


def test_the_epoch_is_the_draws_before_over_the_training_items():
    rows = trace_rows(policy_of(), 7, range(20), micro_batch=6)
    assert rows["epoch"].to_list() == pytest.approx([k / 51 for k in range(120)])


def test_planted_rows_are_marked_and_keep_their_phase():
    rows = trace_rows(policy_of(), 7, range(20), micro_batch=6)
    planted = rows.filter("planted")
    assert planted["step"].to_list() == [10] * 3 + [11] * 3
    assert planted["pos"].to_list() == [0, 1, 2] * 2
    assert set(planted["family_id"]) == {"planted"}
    assert set(planted["phase"]) == {"cyclic_groups"}


def test_a_step_has_the_same_rows_whichever_other_steps_are_asked_for():
    whole = trace_rows(policy_of(), 7, range(20), micro_batch=6)
    parts = pl.concat([trace_rows(policy_of(), 7, steps, micro_batch=6) for steps in (range(13), range(13, 20))])
    assert whole.equals(parts)


def test_shuffled_labels_leave_the_true_family_in_the_trace():
    rows = trace_rows(policy_of(shuffle_families_seed=1), 7, range(2), micro_batch=6)
    assert (rows["item_id"].str.split("-").list.first() == rows["family_id"]).all()
    assert rows["family_id"].n_unique() > 1


def test_seeds_differ_and_no_steps_give_no_rows():
    one, two = (trace_rows(policy_of(), seed, range(20), micro_batch=6) for seed in (1, 2))
    assert not one.equals(two)
    empty = trace_rows(policy_of(), 1, range(0), micro_batch=6)
    assert (len(empty), empty.schema) == (0, one.schema)


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="micro_batch must be at least 1, got 0"):
        trace_rows(policy_of(), 1, range(2), micro_batch=0)
    with pytest.raises(ValueError, match="ascend"):
        trace_rows(policy_of(), 1, [3, 2], micro_batch=6)
    with pytest.raises(ValueError, match="outside the budget"):
        trace_rows(policy_of(), 1, [25], micro_batch=6)
