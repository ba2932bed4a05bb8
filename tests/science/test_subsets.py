"""Runs on random subsets of an arm's items: what they draw, which subsets repeat, what is measured of them."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import polars as pl
import pytest

from squiggle_assets.science.cells import ArmSeries
from squiggle_assets.science.simulation import Design, simulated_arm
from squiggle_assets.science.spec import ConsensusSpec
from squiggle_assets.science.subset_scores import item_scores, planted_event
from squiggle_assets.science.subsets import (
    inside_subset,
    mask_of,
    other_of_pair,
    refuse_strangers,
    repeats,
    signed_change,
    subset_of,
)
from squiggle_assets.science.trace import trace_rows
from squiggle_assets.science.waves import FollowUp, TriggerSpec
from tests.science.curriculum_items import planted_items
from tests.science.policy_presets import PLANT, preset

PLANTED = preset("iid_baseline", plant=PLANT, planted=planted_items(3))
"""Items of all families, 200 steps of 8, three planted items in six slots of steps 100 to 103."""
FIRST, LAST = 100, 103


def followup(condition: str, draw: int = 0) -> FollowUp:
    return FollowUp(parent="planted", condition=condition, draw=draw)  # type: ignore[arg-type]


def halves(seed: int = 1) -> np.ndarray:
    return subset_of(len(PLANTED.items), 0.5, draw=0, seed=seed)


def test_a_subset_holds_its_share_and_is_that_of_its_seed_and_draw():
    first = subset_of(101, 0.5, draw=0, seed=7)
    assert first.sum() == round(50.5) and (first == subset_of(101, 0.5, draw=0, seed=7)).all()
    assert (first != subset_of(101, 0.5, draw=1, seed=7)).any()
    assert (first != subset_of(101, 0.5, draw=0, seed=8)).any()


def test_every_item_is_in_half_of_the_subsets():
    together = np.mean([subset_of(40, 0.5, draw=draw, seed=seed) for draw in range(20) for seed in range(20)], axis=0)
    # 400 subsets: standard error .025, the largest of 40 some 3 of them off
    assert np.abs(together - 0.5).max() < 0.1


def test_a_run_draws_nothing_outside_its_subset():
    policy = inside_subset(PLANTED, halves())
    drawn = {policy.items["item_id"][int(row)] for step in range(policy.num_steps) for row in policy.draw(1, step)}
    inside = {name for name, there in zip(PLANTED.items["item_id"], halves().tolist(), strict=True) if there}
    assert drawn <= inside == set(policy.items["item_id"])
    # 8 * 200 draws of some 51 training items: all of them come up
    assert len(drawn) > 0.95 * len(inside)


def test_a_planted_slot_keeps_its_item_or_holds_what_the_unplanted_run_of_the_subset_draws():
    for seed in (1, 2, 3):
        mask = halves(seed)
        policy = inside_subset(PLANTED, mask)
        for step in (FIRST - 1, FIRST, LAST, LAST + 1):
            theirs, own, plain = PLANTED.draw(seed, step), policy.draw(seed, step), policy.inside.draw(seed, step)
            for slot in range(PLANTED.batch_size):
                name = policy.items["item_id"][int(own[slot])]
                if slot < PLANTED.planted_slots(step) and mask[theirs[slot]]:
                    assert name == PLANTED.items["item_id"][int(theirs[slot])]
                else:
                    assert name == policy.inside.items["item_id"][int(plain[slot])]


def test_the_dose_falls_with_every_planted_item_that_is_left_out():
    doses = {}
    for num in range(4):
        mask = halves().copy()
        mask[-3:] = np.arange(3) < num
        policy = inside_subset(PLANTED, mask)
        rows = trace_rows(policy, 1, range(policy.num_steps), micro_batch=8)
        doses[num] = rows["planted"].sum()
        assert set(rows.filter("planted")["step"]) <= set(range(FIRST, LAST + 1))
    assert doses[0] == 0 and doses[3] == 24
    assert doses[0] < doses[1] < doses[2] < doses[3]


def test_another_subset_is_another_curriculum_and_the_budget_is_the_parents():
    first, second = (inside_subset(PLANTED, halves(seed)) for seed in (1, 2))
    assert len({first.curriculum_id, second.curriculum_id, PLANTED.curriculum_id}) == 3
    assert first.curriculum_id == inside_subset(PLANTED, halves(1)).curriculum_id
    assert (first.num_steps, first.total_steps, first.batch_size) == (200, 200, 8)
    assert first.phase_at(0) == PLANTED.phase_at(0) and first.phase_boundaries() == PLANTED.phase_boundaries()
    assert first.num_training_items == halves(1)[:-3].sum()


@pytest.mark.parametrize(
    ("policy", "mask", "words"),
    [
        (PLANTED, np.ones(3, dtype=bool), r"got shape \(3,\)"),
        (preset("family_blocked", shuffle_families_seed=1), None, "shuffled labels"),
        (preset("family_blocked_matched"), None, "matched exposure"),
    ],
)
def test_a_policy_that_means_something_else_over_fewer_items_is_refused(policy, mask, words):
    chosen = subset_of(len(policy.items), 0.5, draw=0, seed=1) if mask is None else mask
    with pytest.raises(ValueError, match=words):
        inside_subset(policy, chosen)


def test_a_share_that_leaves_nothing_or_everything_is_refused():
    with pytest.raises(ValueError, match="0 items"):
        subset_of(10, 0.01, draw=0, seed=1)
    with pytest.raises(ValueError, match="10 items"):
        subset_of(10, 0.99, draw=0, seed=1)


def test_neighbours_of_the_roster_are_pairs_and_the_odd_one_is_alone():
    roster = (42, 123, 456)
    assert [other_of_pair(roster, seed) for seed in roster] == [123, 42, None]
    assert other_of_pair(roster, 7) is None


def test_a_repeat_trains_on_the_subset_of_the_other_seed_of_its_pair():
    roster = (42, 123, 456)
    own = {seed: mask_of(60, 0.5, followup("subset"), roster, seed) for seed in roster}
    again = {seed: mask_of(60, 0.5, followup("repeat"), roster, seed) for seed in roster}
    assert (again[42] == own[123]).all() and (again[123] == own[42]).all()
    # nobody is paired with the last one: its subset is one that no other run has
    assert not any((again[456] == mask).all() for mask in own.values())
    assert (own[42] != mask_of(60, 0.5, followup("subset", 1), roster, 42)).any()
    with pytest.raises(ValueError, match="'exact' makes no subset"):
        mask_of(60, 0.5, followup("exact"), roster, 42)


def test_repeats_are_two_outcomes_of_one_subset():
    # the run of seed 1 in the repeat arm has the subset of seed 2
    found = repeats({1: 10.0, 2: 20.0, 3: 30.0, 4: 40.0, 5: 50.0}, {1: 21.0, 2: 11.0, 3: 41.0, 5: 0.0}, (1, 2, 3, 4, 5))
    assert found.rows() == [(1, 0, 10.0, 11.0), (2, 0, 20.0, 21.0), (4, 1, 40.0, 41.0)]


def test_a_trace_with_an_item_outside_the_subset_is_refused():
    mask, names = halves(), PLANTED.items["item_id"].to_list()
    inside = inside_subset(PLANTED, mask)
    refuse_strangers(mask, names, trace_rows(inside, 1, range(20), micro_batch=8))
    with pytest.raises(ValueError, match="its subset does not hold"):
        refuse_strangers(mask, names, trace_rows(PLANTED, 1, range(20), micro_batch=8))


# ---- what is measured and scored


def arm(**changes) -> ArmSeries:
    return dataclasses.replace(simulated_arm(Design(num_seeds=4), np.random.default_rng(0)), **changes)


def test_the_change_of_a_run_is_the_sum_over_the_window_in_sd_of_its_parent():
    parents = arm()
    # increments of 1 and -1 in turn: median absolute deviation 1, so a scale of 1.4826
    signs = np.tile(np.where(np.arange(100) % 2, 1.0, -1.0), (4, 12, 1))
    parents = dataclasses.replace(parents, increments=signs)
    runs = dataclasses.replace(parents, increments=np.zeros_like(signs))
    runs.increments[1, 0, 50:52] = 2.0
    runs.increments[1, 1, 50] = 1.0
    found = signed_change(runs, parents, members=(0, 1), window=np.array([50, 51, 52]), polarity=1)
    assert found[1] == pytest.approx((4 / 1.4826 + 1 / 1.4826) / 2)
    assert found[0] == found[2] == found[3] == 0.0
    down = signed_change(runs, parents, members=(0, 1), window=np.array([50, 51, 52]), polarity=-1)
    assert down[1] == pytest.approx(-found[1])


def test_runs_without_a_parent_or_with_other_captures_are_refused():
    parents = arm()
    with pytest.raises(ValueError, match=r"seeds \[9\] have no parent"):
        signed_change(arm(seeds=(0, 1, 2, 9)), parents, members=(0,), window=np.array([5]), polarity=1)
    with pytest.raises(ValueError, match="different steps"):
        signed_change(arm(steps=parents.steps + 1), parents, members=(0,), window=np.array([5]), polarity=1)


def planted_arm(size: float = 9.0) -> ArmSeries:
    """Four seeds that all move up by 9 at the second capture after the first planted step, seed 3 one later."""
    series = arm()
    at = [int(np.searchsorted(series.steps, FIRST + 4))] * 3
    for seed, place in enumerate([*at, at[0] + 1]):
        series.increments[seed, 2, place] += size
    return series


def event_of_plant(size: float = 9.0):
    plant = dataclasses.replace(PLANT, band=0, metric_group="angle")
    draws = np.random.default_rng(0)
    spec = ConsensusSpec(draws_per_cell=5)
    return planted_event(planted_arm(size), (FIRST, LAST + 1), plant, spec, arm="planted", analysis_id="x", draws=draws)


def test_the_planted_event_lies_in_the_registered_cell_where_every_seed_moved_most():
    event = event_of_plant()
    assert event.cell.name == "layers_0_0.angle" and event.polarity == 1
    assert event.name == "layers_0_0.angle+ at steps 100 to 103"
    steps = {seed: own["step"] for seed, own in json.loads(event.row["constituents"]).items()}
    assert steps == {"0": 104, "1": 104, "2": 104, "3": 106}
    assert (event.row["median_step"], event.row["onset_step"]) == (104.0, 100.0)


def test_a_planted_event_downwards_lies_where_every_seed_fell_most():
    event = event_of_plant(-9.0)
    steps = {seed: own["step"] for seed, own in json.loads(event.row["constituents"]).items()}
    assert event.polarity == -1 and steps == {"0": 104, "1": 104, "2": 104, "3": 106}


def test_planted_items_have_the_largest_lifts_and_exposure_counts_draws():
    traces = pl.concat(
        [
            trace_rows(PLANTED, seed, range(200), micro_batch=8).with_columns(seed=pl.lit(seed, pl.Int64))
            for seed in range(4)
        ]
    )
    losses = {name: float(len(name)) for name in PLANTED.items["item_id"]}
    scores = item_scores(event_of_plant(), traces, PLANTED, TriggerSpec(), losses)
    assert {name: own.shape for name, own in scores.items()} == dict.fromkeys(scores, (1, len(PLANTED.items)))
    # the last three items are planted
    assert set(np.argsort(-scores["lift"][0])[:3]) == set(range(len(PLANTED.items) - 3, len(PLANTED.items)))
    # of the triggers alone: the planted ones with their lifts, and nothing for items that were shown by chance
    assert np.flatnonzero(scores["triggers"][0]).tolist() == list(range(len(PLANTED.items) - 3, len(PLANTED.items)))
    assert scores["triggers"][0, -3:].tolist() == scores["lift"][0, -3:].tolist()
    assert np.count_nonzero(scores["lift"]) > 3
    assert scores["exposure"].sum() == 4 * 200 * 8
    assert scores["exposure"][0, -3:].sum() == 4 * 24
    assert scores["planted"][0].tolist() == [0.0] * (len(PLANTED.items) - 3) + [1.0] * 3
    assert (scores["frequency"][0] >= 0).all() and scores["loss"][0, 0] == len(PLANTED.items["item_id"][0])
    with pytest.raises(ValueError, match="1 items have no loss"):
        item_scores(event_of_plant(), traces, PLANTED, TriggerSpec(), dict(list(losses.items())[1:]))
