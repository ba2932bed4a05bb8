"""A recorded run drawn again: bit for bit without edits, and up to the first edit with them; what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from squiggle_assets.science.prefix import prefix_proof, reusable_checkpoint, trace_sha256
from squiggle_assets.science.replay import (
    EDIT_SCHEMA,
    Recorded,
    ReplayPolicy,
    recorded,
    refuse_other_origin,
    replay_of,
)
from squiggle_assets.science.run_spec import run_spec
from squiggle_assets.science.spec import Plant
from squiggle_assets.science.trace import trace_rows
from squiggle_assets.science.training import RunResult, train
from tests.science.curriculum_items import planted_items
from tests.science.policy_presets import preset
from tests.science.run_stand import PROBE, TRAINING, Memory, corpus, inputs, policy, same

SEED = 3
NO_EDITS = pl.DataFrame(schema=EDIT_SCHEMA)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def parent_of(**changes) -> tuple[Recorded, pl.DataFrame]:
    own = policy(replace(TRAINING, **changes), corpus()[:16])
    trace = trace_rows(own, SEED, range(own.num_steps), micro_batch=3)
    return recorded(own, trace, seed=SEED, curriculum_id=own.curriculum_id), trace


def edit(parent: Recorded, *places: tuple[int, int]) -> pl.DataFrame:
    """Each slot gets the next item of the policy."""
    names = parent.policy.items["item_id"]
    rows = []
    for step, slot in places:
        old = int(parent.drawn[step, slot])
        rows.append((step, slot, names[old], names[(old + 1) % len(names)], "test"))
    return pl.DataFrame(rows, schema=EDIT_SCHEMA, orient="row")


def trained(drawn, **changes) -> tuple[RunResult, Memory]:
    store = changes.pop("store", Memory())
    return train(inputs(policy=drawn, seed=SEED, **changes), checkpoints=store, captures=store), store


def test_a_replay_without_edits_draws_what_the_parent_drew():
    parent, trace = parent_of(step_multiplier=2)
    again = replay_of(parent, NO_EDITS)
    assert again.first_edit is None and again.num_steps == 40
    for step in range(again.num_steps):
        np.testing.assert_array_equal(again.draw(SEED, step), parent.policy.draw(SEED, step))
        assert again.phase_at(step) == parent.policy.phase_at(step)
    assert again.phase_boundaries() == parent.policy.phase_boundaries() != []
    rows = trace_rows(again, SEED, range(40), micro_batch=3)
    assert rows.equals(trace) and trace_sha256(rows) == parent.trace_sha256


def test_planted_draws_are_replayed_too():
    plant = Plant(start=0.5, num_steps=4, share=0.75, num_items=3)
    own = preset("iid_baseline", total_steps=20, plant=plant, planted=planted_items(3))
    trace = trace_rows(own, 1, range(20), micro_batch=8)
    parent = recorded(own, trace, seed=1, curriculum_id=own.curriculum_id)
    again = trace_rows(replay_of(parent, NO_EDITS), 1, range(20), micro_batch=8)
    assert again.equals(trace) and again["planted"].sum() == 24


def test_an_exact_replay_trains_to_the_same_bytes():
    parent, trace = parent_of()
    first, kept = trained(parent.policy)
    assert first.sample_trace.drop("micro", "pos").equals(trace.drop("micro", "pos"))
    second, again = trained(replay_of(parent, NO_EDITS))
    assert same(first.adapter, second.adapter)
    assert kept.steps.keys() == again.steps.keys() and all(same(kept.steps[k], again.steps[k]) for k in kept.steps)
    assert first.scalars.equals(second.scalars) and first.sample_trace.equals(second.sample_trace)


def test_everything_up_to_the_first_edit_is_bit_identical_and_what_follows_is_not():
    # step 9 turns state 9 into state 10: captures are every 2 steps, so the one at 8 is the last equal one
    parent, trace = parent_of()
    _, kept = trained(parent.policy)
    changed = replay_of(parent, edit(parent, (9, 1), (14, 0)))
    second, other = trained(changed)
    assert changed.first_edit == 9
    equal = {step: same(kept.steps[step], other.steps[step]) for step in kept.steps}
    assert equal == {step: step <= 9 for step in range(0, 22, 2)}
    proof = prefix_proof(trace, trace_rows(changed, SEED, range(20), micro_batch=3), 9)
    assert proof.identical and proof.num_rows == 36
    assert not prefix_proof(trace, second.sample_trace, 10).identical


def test_a_replay_from_the_parents_checkpoint_is_the_replay_from_the_start():
    parent, _ = parent_of()
    _, kept = trained(parent.policy)
    changed = replay_of(parent, edit(parent, (13, 2)))
    step = reusable_checkpoint(changed.first_edit, kept.saved)
    assert step == 12
    shorter, resumed = trained(changed, store=Memory(parent=kept.saved[step]))
    assert shorter.inherited_step == 12
    whole, other = trained(changed)
    assert same(shorter.adapter, whole.adapter) and shorter.scalars.equals(whole.scalars)
    assert min(resumed.steps) == 14 and all(same(resumed.steps[k], other.steps[k]) for k in resumed.steps)


def test_the_checkpoint_to_start_from_is_the_latest_one_not_after_the_first_edit():
    assert reusable_checkpoint(12, [6, 12, 18]) == 12
    assert reusable_checkpoint(11, [6, 12, 18]) == 6
    assert reusable_checkpoint(5, [6, 12, 18]) is None
    assert reusable_checkpoint(None, [6, 12]) is None


def test_the_curriculum_id_changes_with_trace_and_edits_and_not_with_reasons():
    parent, _ = parent_of()
    changed = edit(parent, (9, 1), (14, 0))
    ids = [replay_of(parent, edits).curriculum_id for edits in (NO_EDITS, changed, changed[:1], changed[1:])]
    other = replay_of(replace(parent, trace_sha256="0" * 64), changed).curriculum_id
    assert len({parent.policy.curriculum_id, other, *ids}) == 6
    words = changed.with_columns(reason=pl.lit("other"))
    assert replay_of(parent, words[::-1]).curriculum_id == ids[1]
    spec = {"data_sha256": "a" * 64, "base_model_sha256": "b" * 64, "training": TRAINING, "probe": PROBE, "seed": SEED}
    assert run_spec(curriculum_id=ids[0], **spec)["curriculum_id"] == ids[0]


def test_the_prefix_of_another_trace_is_seen_to_differ():
    trace = parent_of()[1]
    other = trace.with_columns(
        content_sha256=pl.when(pl.col("step") == 4).then(pl.lit("f" * 64)).otherwise("content_sha256")
    )
    assert prefix_proof(trace, other, 4).identical
    assert not prefix_proof(trace, other, 5).identical
    assert prefix_proof(trace, trace[::-1], None).identical


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda rows: rows[:-1], "not whole"),
        (lambda rows: pl.concat([rows[:-1], rows[:1]]), "not whole"),
        (lambda rows: rows.with_columns(seed=pl.lit(4)), "seed 3 is needed"),
        (lambda rows: rows.with_columns(phase=pl.lit("other")), "phase 'other' at step 0"),
        (lambda rows: rows.with_columns(item_id=pl.lit("gone")), "'gone' is no longer in the pool"),
        (lambda rows: rows.with_columns(content_sha256=pl.lit("0" * 64)), "has another content now"),
    ],
)
def test_a_trace_that_cannot_be_replayed_is_refused(change, message):
    parent, trace = parent_of()
    with pytest.raises(ValueError, match=message):
        recorded(parent.policy, change(trace), seed=SEED, curriculum_id=parent.policy.curriculum_id)


def test_a_trace_of_another_curriculum_is_refused():
    parent, trace = parent_of()
    with pytest.raises(ValueError, match="of curriculum 0123"):
        recorded(parent.policy, trace, seed=SEED, curriculum_id="0123")


@pytest.mark.parametrize("field", ["base_model_sha256", "tokenizer_sha256", "data_sha256", "seed", "training"])
def test_a_replay_with_another_origin_is_refused(field):
    spec = {
        "data_sha256": "a" * 64,
        "base_model_sha256": "b" * 64,
        "tokenizer_sha256": "c" * 64,
        "training": {"lr": 1e-3},
        "seed": 3,
        "curriculum_id": "d" * 16,
    }
    refuse_other_origin(spec, {**spec, "curriculum_id": "e" * 16})
    with pytest.raises(ValueError, match=f"another {field} than its parent"):
        refuse_other_origin(spec, {**spec, field: "other"})
    lacking = {name: value for name, value in spec.items() if name != field}
    for parent, replay in ((spec, lacking), (lacking, spec)):
        with pytest.raises(ValueError, match=f"another {field} than its parent"):
            refuse_other_origin(parent, replay)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda rows: pl.concat([rows, rows]), "edited twice"),
        (lambda rows: rows.with_columns(step=pl.lit(20)), "outside the run"),
        (lambda rows: rows.with_columns(slot=pl.lit(-1)), "outside the run"),
        (lambda rows: rows.with_columns(item_from=pl.col("item_to")), "does not fit"),
        (lambda rows: rows.with_columns(item_to=pl.lit("stranger")), "does not fit"),
    ],
)
def test_edits_that_do_not_fit_the_parent_are_refused(change, message):
    parent, _ = parent_of()
    with pytest.raises(ValueError, match=message):
        replay_of(parent, change(edit(parent, (4, 0))))


def test_a_replay_draws_for_no_other_seed_and_no_other_step():
    parent, _ = parent_of()
    again: ReplayPolicy = replay_of(parent, NO_EDITS)
    with pytest.raises(ValueError, match="seed 4 was asked for"):
        again.draw(4, 0)
    with pytest.raises(ValueError, match="outside the budget"):
        again.draw(SEED, 20)


def test_a_policy_over_other_items_is_another_curriculum():
    # the pool keeps every drawn item as it was but has gained one: expectations differ, so the replay is refused
    small = preset("iid_baseline", {"inequalities": 4, "optimization": 4}, total_steps=10)
    grown = preset("iid_baseline", {"inequalities": 5, "optimization": 4}, total_steps=10)
    trace = trace_rows(small, 0, range(10), micro_batch=8)
    with pytest.raises(ValueError, match="of curriculum"):
        recorded(grown, trace, seed=0, curriculum_id=small.curriculum_id)
