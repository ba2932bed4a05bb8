"""A run on a subset of the items, trained on the smallest model."""

from __future__ import annotations

from squiggle_assets.science.subsets import inside_subset, refuse_strangers, subset_of
from squiggle_assets.science.training import train
from tests.science.run_stand import TRAINING, Memory, corpus, inputs, policy


def test_a_run_on_a_subset_trains_on_its_items_alone() -> None:
    parent = policy(TRAINING, corpus()[:16])
    mask = subset_of(len(parent.items), 0.5, draw=0, seed=3)
    inside = inside_subset(parent, mask)
    store = Memory()
    found = train(inputs(policy=inside), checkpoints=store, captures=store)
    refuse_strangers(mask, parent.items["item_id"].to_list(), found.sample_trace)
    assert found.sample_trace["item_id"].n_unique() <= mask.sum() == 8
    assert len(found.sample_trace) == TRAINING.total_steps * TRAINING.batch_size
    assert found.summary["num_train_items"] == 8
