"""Which items an impact curriculum starts from, and which it is compared with."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from squiggle_assets.schemas.impact import ImpactCore
from squiggle_assets.science.canonical import sha256_text
from squiggle_assets.science.impact_core import (
    IMPACT,
    LOSS,
    RANDOM,
    compared_arms,
    core_of,
    cores_of,
    family_counts,
    ranked_items,
    ranking_events,
)
from squiggle_assets.studies.curriculum_ab import CURRICULUM_AB

STUDY = replace(CURRICULUM_AB, name="impact")


def events(*rows: tuple[str, str, float, bool]) -> pl.DataFrame:
    """(id, arm, q, near boundary)"""
    return pl.DataFrame(
        [
            {"consensus_event_id": name, "arm": arm, "analysis_id": "x", "probe_set": "a", "q_value": q, "p_value": q,
             "near_boundary": near, "median_step": 40.0}
            for name, arm, q, near in rows
        ]
    )  # fmt: skip


def attribution(*rows: tuple[str, str, str, float, bool]) -> pl.DataFrame:
    """(event, arm, item, lb05, is_trigger); an item's family is what stands before the dash."""
    return pl.DataFrame(
        [
            {"consensus_event_id": event, "arm": arm, "analysis_id": "x", "probe_set": "a", "event_signature": "s",
             "band": "layers_0_0", "metric_group": "angle", "polarity": 1, "item_id": item,
             "content_sha256": sha256_text(item), "family_id": item.split("-")[0], "lift": 2.0, "lb05": lb,
             "p_lags": 0.01, "q_value": 0.05, "is_trigger": trigger}
            for event, arm, item, lb, trigger in rows
        ]
    )  # fmt: skip


LOCKED = pl.DataFrame(
    {"arm": "blocked", "analysis_id": "x", "probe_set": "a", "band": "layers_0_0", "metric_group": "angle",
     "polarity": 1, "item_id": "f-1", "effect": 0.75, "q_value": 0.2}
)  # fmt: skip


def pool(**counts: int) -> pl.DataFrame:
    """Items '<family>-<k>' with a base loss of k, so that the last of a family is its hardest."""
    rows = [(f"{family}-{k}", family, float(k)) for family, num in counts.items() for k in range(num)]
    items = pl.DataFrame(rows, schema=["item_id", "family_id", "base_loss"], orient="row")
    return items.with_columns(content_sha256=pl.col("item_id").map_elements(sha256_text, return_dtype=pl.String))


def ranking(*items: str, trigger: bool = True) -> pl.DataFrame:
    """A ranking of these items, best first, over one significant event."""
    rows = [("e", "blocked", item, 1.0 - 0.01 * i, trigger) for i, item in enumerate(items)]
    return ranked_items(attribution(*rows), LOCKED, ranking_events(events(("e", "blocked", 0.01, False)), STUDY))


# ---- which events


def test_neither_planted_nor_placebo_events_rank_anything():
    assert compared_arms(STUDY) == ("iid", "balanced", "blocked", "ramp")
    found = ranking_events(events(("p", "planted", 0.001, False), ("q", "placebo", 0.001, False)), STUDY)
    assert found.is_empty()


def test_all_significant_events_count_and_without_one_only_the_nearest_to_it():
    rows = (("a", "iid", 0.04, True), ("b", "ramp", 0.01, False), ("c", "ramp", 0.3, False))
    found = ranking_events(events(*rows), STUDY)
    assert found["consensus_event_id"].to_list() == ["b", "a"] and found["is_significant"].all()
    weak = ranking_events(events(("a", "iid", 0.06, True), ("c", "ramp", 0.3, False), ("d", "iid", 0.2, False)), STUDY)
    # a has the smallest q but lies at a boundary
    assert weak["consensus_event_id"].to_list() == ["d"] and not weak["is_significant"].any()


def test_events_of_the_other_probe_set_are_not_looked_at():
    other = events(("b", "ramp", 0.01, False)).with_columns(probe_set=pl.lit("b"))
    assert ranking_events(other, STUDY).is_empty()


# ---- which items, in which order


def test_triggers_come_first_then_what_is_away_from_boundaries_then_the_larger_lift():
    chosen = ranking_events(events(("e", "blocked", 0.01, True), ("d", "ramp", 0.02, False)), STUDY)
    rows = attribution(
        ("e", "blocked", "f-0", 0.9, False),
        ("e", "blocked", "f-1", 0.5, True),
        ("d", "ramp", "f-2", 0.1, False),
        ("d", "ramp", "f-3", 0.4, True),
        ("d", "ramp", "f-0", 0.2, False),
    )
    found = ranked_items(rows, LOCKED, chosen)
    # triggers f-3 (no boundary) before f-1; then f-0 by its row of d (.2) and f-2 (.1): its row of e is at a boundary
    assert found["item_id"].to_list() == ["f-3", "f-1", "f-0", "f-2"]
    assert found.filter(pl.col("item_id") == "f-0")["consensus_event_id"].to_list() == ["d"]
    assert found.filter(pl.col("item_id") == "f-1").select("effect", "effect_q").row(0) == (0.75, 0.2)
    assert found.filter(pl.col("item_id") == "f-3")["effect"].to_list() == [None]


def test_a_trigger_of_an_event_that_is_not_significant_makes_no_core_of_triggers():
    weak = ranking_events(events(("e", "blocked", 0.2, False)), STUDY)
    ranked = ranked_items(attribution(*(("e", "blocked", f"f-{k}", 0.5, True) for k in range(8))), LOCKED, weak)
    made = cores_of(ranked, pool(f=40), num_items=8, num_events=0, num_draws=1, seed=0)
    assert made.status["status"] == "ranked" and made.status["num_triggers"] == 0
    assert made.items.filter(pl.col("core") == IMPACT)["is_trigger"].all()  # what attribution said stays on record


# ---- the three cores


def test_controls_take_the_place_of_core_items_family_by_family():
    made = cores_of(
        ranking("f-0", "g-0", "f-1", "g-1"),
        pool(f=20, g=10),
        num_items=4,
        num_events=1,
        num_draws=1,
        seed=0,
        min_items=2,
    )
    assert core_of(made.items, IMPACT) == ["f-0", "g-0", "f-1", "g-1"]
    # the hardest of f are f-19, f-18, of g g-9, g-8
    assert core_of(made.items, LOSS) == ["f-19", "g-9", "f-18", "g-8"]
    assert made.items.filter(pl.col("core") == LOSS)["replaces"].to_list() == ["f-0", "g-0", "f-1", "g-1"]
    assert [name.split("-")[0] for name in core_of(made.items, RANDOM)] == ["f", "g", "f", "g"]
    assert made.status["status"] == "triggers" and made.status["num_shared_with_loss"] == 0
    counts = family_counts(made.items)
    assert counts[IMPACT, 0] == counts[RANDOM, 0] == counts[LOSS, 0] == {"f": 2, "g": 2}


def test_a_random_core_shares_nothing_with_the_core_and_depends_on_its_seed_only():
    ranked, items = ranking(*(f"f-{k}" for k in range(10))), pool(f=20)
    cores = [
        core_of(cores_of(ranked, frame, num_items=10, num_events=1, num_draws=1, seed=seed).items, RANDOM)
        for frame, seed in ((items, 0), (items.sample(fraction=1.0, shuffle=True, seed=1), 0), (items, 1))
    ]
    assert cores[0] == cores[1] and cores[0] != cores[2]
    assert len(set(cores[0])) == 10 and not set(cores[0]) & {f"f-{k}" for k in range(10)}


def test_no_two_of_the_core_and_its_random_ones_share_an_item_and_every_family_has_as_many_of_each():
    ranked = ranking(*(f"f-{k}" for k in range(9)), *(f"g-{k}" for k in range(3)))
    made = cores_of(ranked, pool(f=40, g=12), num_items=12, num_events=1, num_draws=3, seed=0)
    held = [core_of(made.items, IMPACT), *(core_of(made.items, RANDOM, draw) for draw in range(3))]
    assert [len(core) for core in held] == [12] * 4 and len(set().union(*held)) == 48
    counts = family_counts(made.items)
    assert set(counts) == {(IMPACT, 0), (RANDOM, 0), (RANDOM, 1), (RANDOM, 2), (LOSS, 0)}
    assert all(of_core == {"f": 9, "g": 3} for of_core in counts.values())
    second = made.items.filter((pl.col("core") == RANDOM) & (pl.col("draw") == 1)).sort("rank")
    assert second["replaces"].to_list() == held[0]


def test_a_draw_does_not_depend_on_how_many_there_are():
    ranked, items = ranking(*(f"f-{k}" for k in range(8))), pool(f=60)
    few, more = (cores_of(ranked, items, num_items=8, num_events=1, num_draws=n, seed=0).items for n in (2, 5))
    assert [core_of(few, RANDOM, d) for d in (0, 1)] == [core_of(more, RANDOM, d) for d in (0, 1)]
    assert core_of(more, RANDOM, 0) != core_of(more, RANDOM, 1)


def test_every_random_core_leaves_room_for_the_others():
    # of 24 items a core and 5 random ones hold 4 each, however high the others rank
    ranked = ranking(*(f"g-{k}" for k in range(9)), *(f"f-{k}" for k in range(9)))
    made = cores_of(ranked, pool(g=24, f=60), num_items=12, num_events=1, num_draws=5, seed=0)
    assert core_of(made.items, IMPACT) == [*(f"g-{k}" for k in range(4)), *(f"f-{k}" for k in range(8))]
    assert made.items.filter(pl.col("core") != LOSS)["item_id"].n_unique() == 6 * 12


def test_the_random_core_is_a_fair_draw():
    ranked, items = ranking(*(f"f-{k}" for k in range(8))), pool(f=24)
    drawn = [
        core_of(cores_of(ranked, items, num_items=8, num_events=1, num_draws=1, seed=s).items, RANDOM)
        for s in range(200)
    ]
    counts = pl.Series([item for core in drawn for item in core]).value_counts()["count"]
    # 16 items, each with probability 1/2 in each of 200 cores: mean 100, sd 7.1
    assert len(counts) == 16 and counts.min() > 100 - 4 * 7.1 and counts.max() < 100 + 4 * 7.1


def test_at_most_half_of_a_family_goes_into_a_core():
    ranked = ranking(*(f"g-{k}" for k in range(5)), *(f"f-{k}" for k in range(9)))
    made = cores_of(ranked, pool(f=30, g=5), num_items=9, num_events=1, num_draws=1, seed=0)
    assert core_of(made.items, IMPACT) == ["g-0", "g-1", *(f"f-{k}" for k in range(7))]


def test_the_loss_core_may_hold_items_of_the_core_and_says_how_many():
    made = cores_of(
        ranking(*(f"f-{k}" for k in range(16, 24))), pool(f=24), num_items=8, num_events=1, num_draws=1, seed=0
    )
    assert made.status["num_shared_with_loss"] == 8


def test_an_item_that_may_not_be_trained_on_is_passed_over():
    made = cores_of(
        ranking("h-0", *(f"f-{k}" for k in range(8))), pool(f=24), num_items=8, num_events=1, num_draws=1, seed=0
    )
    assert core_of(made.items, IMPACT) == [f"f-{k}" for k in range(8)]


def test_a_core_of_some_triggers_is_mixed():
    rows = [("e", "blocked", f"f-{k}", 0.5 - 0.01 * k, k < 3) for k in range(8)]
    ranked = ranked_items(attribution(*rows), LOCKED, ranking_events(events(("e", "blocked", 0.01, False)), STUDY))
    status = cores_of(ranked, pool(f=24), num_items=8, num_events=1, num_draws=1, seed=0).status
    assert (status["status"], status["num_triggers"]) == ("mixed", 3)


def test_too_few_ranked_items_are_no_selection_and_not_an_error():
    made = cores_of(ranking("f-0", "f-1"), pool(f=24), num_items=8, num_events=1, num_draws=1, seed=0)
    assert made.items.is_empty() and made.status["status"] == "no_selection" and made.status["core_sha256"] is None
    nothing = cores_of(ranking("f-0").clear(), pool(f=24), num_items=8, num_events=0, num_draws=1, seed=0)
    assert nothing.status["status"] == "no_selection" and nothing.status["band"] is None


def test_rows_are_those_of_the_table():
    made = cores_of(ranking(*(f"f-{k}" for k in range(8))), pool(f=24), num_items=8, num_events=1, num_draws=1, seed=0)
    assert ImpactCore.validate(made.items).height == 24
    ImpactCore.validate(cores_of(ranking("f-0"), pool(f=24), num_items=8, num_events=1, num_draws=1, seed=0).items)


def test_what_makes_no_core_is_refused():
    ranked, items = ranking("f-0"), pool(f=4)
    with pytest.raises(ValueError, match="1 <= min_items <= num_items, got 8 and 4"):
        cores_of(ranked, items, num_items=4, num_events=1, num_draws=1, seed=0)
    with pytest.raises(ValueError, match="at least one random core, got 0"):
        cores_of(ranked, items, num_items=8, num_events=1, num_draws=0, seed=0)
    with pytest.raises(ValueError, match="given twice"):
        cores_of(ranked, pl.concat([items, items]), num_items=8, num_events=1, num_draws=1, seed=0)
    with pytest.raises(ValueError, match="no base_loss"):
        cores_of(
            ranked,
            items.with_columns(base_loss=pl.lit(None, pl.Float64)),
            num_items=8,
            num_events=1,
            num_draws=1,
            seed=0,
        )
