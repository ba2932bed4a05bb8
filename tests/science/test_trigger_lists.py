"""Lists of triggers of arms and halves, and which of them are held against each other."""

from __future__ import annotations

import polars as pl
import pytest
from mode_runs import modes

from squiggle_assets.science import trigger_lists
from squiggle_assets.science.mode_halves import restricted
from squiggle_assets.science.trigger_lists import ArmTriggers, half_lists, ranked_list, trigger_overlaps
from squiggle_assets.science.trigger_overlap import SCHEMA
from squiggle_assets.science.triggers import attribute
from squiggle_assets.science.waves import TriggerSpec

SPEC = TriggerSpec()
ITEMS = ["cyclic_groups-0", "inequalities-1", "modular_arithmetic-2"]
PUT = {"balanced": ITEMS, "proportional": ITEMS}


def arms(triggers=None, **changes) -> list[ArmTriggers]:
    found = []
    for one in modes(5, triggers, lift=20.0, **changes)[:2]:
        items = attribute(one.events, one.traces, one.policy, SPEC).items
        found.append(
            ArmTriggers(arm=one.mode, items=items, events=one.events, traces=one.traces, policy=one.policy)
        )  # fmt: skip
    return found


def row(table: pl.DataFrame, a: str, b: str, k: int = 10) -> dict:
    chosen = (pl.col("list_a") == min(a, b)) & (pl.col("list_b") == max(a, b)) & (pl.col("k") == k)
    return table.row(by_predicate=chosen, named=True)


def test_a_list_holds_each_trigger_once_by_its_best_event():
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "a", "c", "d"],
            "lb05": [0.1, 0.5, 0.9, 2.0, 0.5],
            "p_lags": [0.01, 0.02, 0.001, 0.5, 0.001],
            "is_trigger": [True, True, True, False, True],
        }
    )
    assert ranked_list(items) == ("a", "d", "b")


def test_arms_with_the_same_triggers_overlap_far_beyond_chance_on_different_seeds_too():
    table = trigger_overlaps(arms(PUT), SPEC)
    assert list(table.columns) == list(SCHEMA)
    assert len(table) == 3 * (2 + 3)
    for pair in (
        ("balanced", "proportional"),
        ("balanced: first half", "proportional: second half"),
        ("balanced: second half", "proportional: first half"),
        ("balanced: first half", "balanced: second half"),
    ):
        found = row(table, *pair)
        assert found["overlap"] >= 2 and found["p_value"] < 0.01
        assert found["jaccard"] > 10 * found["expected_jaccard"]
        assert found["num_drawable"] == 240


def test_no_triggers_in_an_arm_is_a_row_without_jaccard():
    first, second = arms(PUT)
    silent = ArmTriggers(**{**vars(second), "items": second.items[:0], "events": second.events[:0]})
    found = row(trigger_overlaps([first, silent], SPEC), "balanced", "proportional")
    assert found["num_a"] == 3 and found["num_b"] == 0
    assert found["jaccard"] is None and found["expected_jaccard"] is None and found["p_value"] is None


def test_halves_are_made_of_their_own_seeds_only():
    (one, _) = arms(PUT)
    # triggers that are shown in the windows of the even seeds only are no triggers of the odd ones
    plain = arms(None)[0]
    mixed = pl.concat([one.traces.filter(pl.col("seed") % 2 == 0), plain.traces.filter(pl.col("seed") % 2 == 1)])
    first, second = half_lists(ArmTriggers(**{**vars(one), "traces": mixed}), range(8), SPEC)
    assert set(first) == set(ITEMS) and not set(second) & set(ITEMS)
    few = one.traces.filter(pl.col("seed") < 2)
    events = one.events
    assert half_lists(ArmTriggers(**{**vars(one), "traces": few, "events": events}), range(2), SPEC) == ((), ())


def test_a_seed_lies_in_the_same_half_in_every_arm_also_after_one_was_stopped(monkeypatch):
    taken: dict[str, list[set[int]]] = {}

    def seen(consensus, traces, policy, spec):
        taken.setdefault(policy.template.name, []).append(set(traces["seed"]))
        return attribute(consensus, traces, policy, spec)

    first, second = arms(PUT)
    monkeypatch.setattr(trigger_lists, "attribute", seen)
    left = restricted(second.events.row(0, named=True), range(1, 8))
    stopped = {"traces": second.traces.filter(pl.col("seed") > 0), "events": pl.DataFrame([left])}
    trigger_overlaps([first, ArmTriggers(**{**vars(second), **stopped})], SPEC)
    assert taken["balanced_baseline"] == [{0, 2, 4, 6}, {1, 3, 5, 7}]
    assert taken["iid_baseline"] == [{2, 4, 6}, {1, 3, 5, 7}]


def test_arms_of_one_name_are_refused():
    one = arms(PUT)[0]
    with pytest.raises(ValueError, match="different names"):
        trigger_overlaps([one, one], SPEC)
    with pytest.raises(ValueError, match="different names"):
        trigger_overlaps([], SPEC)
