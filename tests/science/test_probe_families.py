from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import torch

from squiggle_assets import profiles
from squiggle_assets.science.curriculum import load_preset
from squiggle_assets.science.policy import resolve
from squiggle_assets.science.probe_families import families_of, match_tokens, micro, mixtures_of, probe_items
from squiggle_assets.science.spec import Arm
from squiggle_assets.science.tokens import tokenize_items
from squiggle_assets.science.training import RunResult, train
from squiggle_assets.studies.probe_harness import PROBE_HARNESS
from tests.science.curriculum_items import items_of
from tests.science.run_stand import TRAINING, Memory, corpus, inputs, same
from tests.science.tiny_models import tokenizer

POOL = items_of({"optimization": 30, "inequalities": 7, "cyclic_groups": 12, "logic_proof": 40})
PROBED = ("optimization", "inequalities", "cyclic_groups")


def chosen(arm: str, items: pl.DataFrame = POOL, seed: int = 42) -> pl.DataFrame:
    return probe_items(items, arm, PROBED, seed=seed)


def test_every_arm_draws_from_as_many_items_as_the_smallest_family_has() -> None:
    assert {arm: chosen(arm).height for arm in (*PROBED, "mixture-1", "planted")} == dict.fromkeys(
        (*PROBED, "mixture-1", "planted"), 7
    )
    assert chosen("inequalities")["item_id"].to_list() == sorted(f"inequalities-{k}" for k in range(7))


def test_no_two_families_share_an_item_and_a_family_holds_nothing_else() -> None:
    found = [set(chosen(family)["item_id"]) for family in PROBED]
    assert len(set.union(*found)) == sum(map(len, found))
    assert [set(chosen(family)["family_id"]) for family in PROBED] == [{family} for family in PROBED]


def test_mixtures_differ_and_hold_items_of_the_studys_families_only() -> None:
    mixtures = [chosen(f"mixture-{k}") for k in range(1, 9)]
    assert len({tuple(mixture["item_id"]) for mixture in mixtures}) == 8
    assert set(pl.concat(mixtures)["family_id"]) == set(PROBED)


def test_the_choice_depends_on_seed_and_arm_and_not_on_the_order_of_the_items() -> None:
    assert chosen("optimization", POOL.reverse()).equals(chosen("optimization"))
    assert not chosen("optimization", seed=43).equals(chosen("optimization"))


def test_a_family_too_small_to_probe_is_refused_by_name() -> None:
    few = POOL.filter((pl.col("family_id") != "inequalities") | pl.col("item_id").str.ends_with("-1"))
    with pytest.raises(ValueError, match=r"fewer than 4 training items .*'inequalities': 1"):
        chosen("optimization", few)


def test_a_study_without_mixtures_or_with_arms_that_are_no_families_is_refused() -> None:
    assert families_of(PROBE_HARNESS)[0] == "functional_equations"
    assert mixtures_of(PROBE_HARNESS) == ("mixture-1", "mixture-2", "mixture-3", "mixture-4")
    with pytest.raises(ValueError, match="random mixtures as their null"):
        families_of(replace(PROBE_HARNESS, arms=PROBE_HARNESS.arms[:8]))
    other = Arm(name="algebra", curriculum="iid_baseline", role="treatment", description="")
    with pytest.raises(ValueError, match=r"named after families, got \['algebra'\]"):
        families_of(replace(PROBE_HARNESS, arms=(*PROBE_HARNESS.arms, other)))


def test_a_micro_fine_tune_is_no_longer_than_its_profile_and_always_has_captures_in_between() -> None:
    for name in ("test", "demo", "gpu"):
        small = micro(profiles.load(name))
        assert (small.training.total_steps, small.probe.capture_every) == (100, 5)
    short = profiles.load("test")
    short = replace(short, training=replace(short.training, total_steps=12, step_multiplier=2))
    assert (micro(short).training.total_steps, micro(short).probe.capture_every) == (12, 1)
    assert micro(short).training.step_multiplier == 1


# ---- equal tokens


def trace_of(**runs: list[str]) -> pl.DataFrame:
    """Two draws a step."""
    rows = [
        {"arm": arm, "seed": 1, "run_id": arm, "step": k // 2, "item_id": item}
        for arm, items in runs.items()
        for k, item in enumerate(items)
    ]
    return pl.DataFrame(rows)


def captures_of(*steps: int, arms: tuple[str, ...] = ("long", "short")) -> pl.DataFrame:
    return pl.DataFrame([{"arm": arm, "seed": 1, "run_id": arm, "step": step} for arm in arms for step in steps])


def test_runs_are_matched_at_the_tokens_of_the_shortest_one() -> None:
    # long draws 10 tokens twice a step: 20, 40, 60, 80 after steps 1 to 4; short 3 + 4: 7, 14, 21, 28. The target is
    # 28; captures at 0, 2, 4: long has reached it at 2 (40 tokens), short at 4 (28).
    trace = trace_of(long=["x", "x"] * 4, short=["y", "z"] * 4)
    found = match_tokens(trace, captures_of(0, 2, 4), {"x": 10, "y": 3, "z": 4})
    assert found.target == 28
    assert found.steps.select("arm", "step", "num_tokens", "num_tokens_run").rows() == [
        ("long", 2, 40, 80),
        ("short", 4, 28, 28),
    ]


def test_a_capture_that_has_just_reached_the_tokens_counts() -> None:
    trace = trace_of(long=["x", "x"] * 2, short=["y", "y"] * 2)
    found = match_tokens(trace, captures_of(0, 1, 2), {"x": 10, "y": 5})
    assert dict(found.steps.select("arm", "step").iter_rows()) == {"long": 1, "short": 2}


def test_draws_without_a_length_and_runs_without_a_last_capture_are_refused() -> None:
    trace = trace_of(long=["x", "x"] * 2, short=["y", "y"] * 2)
    with pytest.raises(ValueError, match=r"1 drawn items have no length, for instance \['y'\]"):
        match_tokens(trace, captures_of(0, 2), {"x": 10})
    with pytest.raises(ValueError, match="was not captured after its last draw"):
        match_tokens(trace, captures_of(0, 1), {"x": 10, "y": 5})


# ---- what earlier harnesses got wrong, on real (tiny) training


def probe_run(family: str, seed: int = 3) -> tuple[RunResult, Memory]:
    torch.set_num_threads(1)
    items = corpus(40).with_columns(token_len=pl.lit(30))
    own = probe_items(items[:32], family, ("geometry_euclidean", "optimization"), seed=42)
    spec = replace(TRAINING, total_steps=6, eval_every=6, checkpoint_every=6)
    columns = ("item_id", "content_sha256", "family_id", "token_len", "difficulty_proxy")
    policy = resolve(load_preset("iid_baseline"), own.select(columns), total_steps=6, batch_size=4)
    changes: dict[str, Any] = {"policy": policy, "train": tokenize_items(tokenizer(), own, spec.max_length)}
    memory = Memory()
    run = replace(inputs(), **changes, training=spec, seed=seed)
    return train(run, checkpoints=memory, captures=memory), memory


def test_families_train_on_their_own_items_from_the_same_fresh_base_in_any_order() -> None:
    first, of_first = probe_run("optimization")
    other, of_other = probe_run("geometry_euclidean")
    again, of_again = probe_run("optimization")
    assert set(first.sample_trace["family_id"]) == {"optimization"}
    assert set(other.sample_trace["family_id"]) == {"geometry_euclidean"}
    # the model was not carried over: both begin from the base, and a family between two runs leaves no mark
    assert same(of_first.steps[0], of_other.steps[0])
    assert not same(of_first.steps[6], of_other.steps[6])
    assert same(first.adapter, again.adapter) and same(of_first.steps[6], of_again.steps[6])


def test_no_pad_position_is_captured() -> None:
    _, memory = probe_run("optimization")
    probes = inputs().probes
    lengths = {name: sum(len(rows.table.row(i).input_ids) for i in range(2)) for name, rows in probes.items()}
    assert {len(tensor) for name, tensor in memory.steps[0].items() if name.startswith("a")} == {lengths["a"]}
    pad = tokenizer().pad_token_id
    assert all(pad not in rows.table.input_ids for rows in probes.values())
