"""What follow-ups edit: the frozen selection of an arm, all triggers or the best part of them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from squiggle_assets import profiles
from squiggle_assets.assets import followups
from squiggle_assets.assets.node import Partition, Scope
from squiggle_assets.schemas.followup import Selection
from squiggle_assets.studies import study

STUDY = study("trigger_mining")
PLACE = {"layer_lo": 0, "layer_hi": 1, "metric_group": "angle", "polarity": 1, "event_step": 140, "onset_step": 136.0}
LOCATIONS = pl.DataFrame(
    [
        {
            **{"arm": "planted", "analysis_id": "a", "probe_set": "a", "consensus_event_id": event, "q_value": q},
            **PLACE,
            **{"tolerance_steps": 10.0, "floor": 1.0},
        }
        for event, q in (("barren", 0.001), ("second", 0.02), ("first", 0.01))
    ]
)


def attributed(event: str, num: int) -> list[dict[str, Any]]:
    """`num` triggers, the best one the last to be shown, and one item that is none."""
    return [
        {
            **{"consensus_event_id": event, "item_id": f"{event}-{rank}", "family_id": "graphs", "rank": rank},
            **{"is_trigger": rank <= num, "window_lo": 130 - rank, "window_hi": 140 + rank},
        }
        for rank in range(num + 1, 0, -1)
    ]


def selected(arm: str, num: int) -> dict[str, Any]:
    items = pl.DataFrame(attributed("first", num) + attributed("second", 3) + attributed("barren", 0))
    scope = Scope(study=STUDY, profile=profiles.load("demo"), partition=Partition(arm, None), num_seeds=8)
    table = followups._selection(SimpleNamespace(scope=scope), items, LOCATIONS)["selection"]
    return Selection.validate(table).row(0, named=True)


def test_all_triggers_of_the_event_with_the_smallest_q_that_has_any_are_selected() -> None:
    row = selected("planted.remove", 8)
    assert row["consensus_event_id"] == "first"
    assert json.loads(row["trigger_items"]) == [f"first-{rank}" for rank in range(1, 9)]
    assert (row["n_items"], row["part"], row["condition"], row["parent_arm"]) == (8, 1, "remove", "planted")


@pytest.mark.parametrize(("part", "num", "kept"), [(2, 8, 4), (4, 8, 2), (8, 8, 1), (2, 5, 2), (4, 5, 1)])
def test_a_part_is_the_best_of_them_in_the_window_of_all(part: int, num: int, kept: int) -> None:
    row, whole = selected(f"planted.remove-1of{part}", num), selected("planted.remove", num)
    assert json.loads(row["trigger_items"]) == [f"first-{rank}" for rank in range(1, kept + 1)]
    assert (row["n_items"], row["part"]) == (kept, part)
    assert [row[name] for name in ("window_first", "window_stop")] == [130 - num, 140 + num]
    assert [whole[name] for name in ("window_first", "window_stop")] == [130 - num, 140 + num]


def test_a_part_that_would_hold_no_item_is_no_selection() -> None:
    assert selected("planted.remove-1of4", 3)["status"] == "no_selection"
    assert selected("planted.remove-1of2", 3)["n_items"] == 1


def test_without_triggers_there_is_no_selection() -> None:
    scope = Scope(study=STUDY, profile=profiles.load("demo"), partition=Partition("planted.remove"), num_seeds=8)
    made = followups._selection(SimpleNamespace(scope=scope), pl.DataFrame(attributed("first", 0)), LOCATIONS)
    assert made["selection"]["status"].to_list() == ["no_selection"]


@pytest.mark.parametrize("arm", ["planted.remove", "planted.remove-1of2", "planted.placebo-2"])
def test_the_parent_on_fresh_seeds_is_the_exact_replay_of_that_seed(arm: str) -> None:
    asked: list[tuple[Any, ...]] = []
    inputs = {"candidate_pool": "p", "followup/selection": "of this arm"}
    origin = SimpleNamespace(code_version="now", inputs={"candidate_pool": "p"}, object_id="parent")
    scope = Scope(study=STUDY, profile=profiles.load("demo"), partition=Partition(arm, 5), num_seeds=8)

    def pointer(*place: Any) -> Any:
        asked.append(place)
        return SimpleNamespace(origin=origin)

    step = SimpleNamespace(
        scope=scope, node=SimpleNamespace(code_version="now"), identity=SimpleNamespace(inputs=inputs),
        store=SimpleNamespace(pointer=pointer), graph=SimpleNamespace(path=str),
    )  # fmt: skip
    assert followups._fresh_parent(step) == "parent"
    assert asked == [("confirmation/run_manifest", "planted.exact", 5)]
    origin.inputs = {"candidate_pool": "another"}
    assert followups._fresh_parent(step) is None
