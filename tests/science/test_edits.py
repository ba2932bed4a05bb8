"""What each condition edits: which draws, what stands in for them, what is kept, what is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, rankdata

from squiggle_assets.science.edits import CONDITIONS, Intervention, Window, edits_of
from squiggle_assets.science.policy import resolve
from squiggle_assets.science.replay import Recorded, recorded, replay_of
from squiggle_assets.science.spec import Plant
from squiggle_assets.science.substitutes import Candidates, quantile_bins
from squiggle_assets.science.trace import trace_rows
from tests.science.curriculum_items import planted_items, template_of
from tests.science.policy_presets import preset

FAMILIES = {"inequalities": 20, "optimization": 12, "cyclic_groups": 8}
WINDOW = Window(8, 16)


def run_of(policy=None, seed: int = 1) -> Recorded:
    own = preset("iid_baseline", FAMILIES, total_steps=40) if policy is None else policy
    trace = trace_rows(own, seed, range(own.num_steps), micro_batch=8)
    return recorded(own, trace, seed=seed, curriculum_id=own.curriculum_id)


RUN = run_of()
IDS = RUN.policy.items["item_id"]


def triggers_in(run: Recorded, window: Window, num: int) -> tuple[str, ...]:
    """The items of one family that are drawn in the window, the first `num` of them by name."""
    rows = np.unique(run.drawn[window.first : window.stop])
    return tuple(name for name in run.policy.items["item_id"][rows] if name.startswith("inequalities"))[:num]


TRIGGERS = triggers_in(RUN, WINDOW, 3)


def wanted(condition: str, **changes) -> Intervention:
    return Intervention(**{"condition": condition, "triggers": TRIGGERS, "window": WINDOW, **changes})


def occurrences(run: Recorded, triggers=TRIGGERS, window=WINDOW) -> set[tuple[int, int]]:
    names = run.policy.items["item_id"].to_numpy()[run.drawn]
    held = np.isin(names, triggers)
    return {(int(t), int(k)) for t, k in zip(*np.nonzero(held), strict=True) if window.first <= t < window.stop}


def places(edits: pl.DataFrame) -> list[tuple[int, int]]:
    return list(edits.select("step", "slot").iter_rows())


def family(name: str) -> str:
    return name.rsplit("-", 1)[0]


def test_quantile_bins_by_hand():
    # mid-ranks of 1, 1, 2, 9 are 1, 1, 2.5, 3.5 (0-based edges); times 2 bins over 4 values: .5, .5, 1.25, 1.75
    np.testing.assert_array_equal(quantile_bins(np.array([1, 9, 1, 2]), 2), [0, 1, 0, 1])


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(1, 10))
@settings(max_examples=50, deadline=None)
def test_quantile_bins_follow_the_average_rank(values, num_bins):
    ranks = rankdata(values, method="average") - 0.5
    expected = np.floor(num_bins * ranks / len(values) + 1e-12)
    np.testing.assert_array_equal(quantile_bins(np.array(values), num_bins), expected)


def test_exact_edits_nothing():
    assert edits_of(RUN, wanted("exact")).is_empty()


def test_replace_edits_exactly_the_triggers_in_the_window_by_other_items_of_their_family():
    edits = edits_of(RUN, wanted("replace"))
    assert set(places(edits)) == occurrences(RUN) and len(edits) >= 3
    assert set(edits["item_from"]) == set(TRIGGERS) and not set(edits["item_to"]) & set(TRIGGERS)
    assert all(family(a) == family(b) for a, b in edits.select("item_from", "item_to").iter_rows())
    everywhere = edits_of(RUN, wanted("replace", scope="run"))
    assert set(places(everywhere)) == occurrences(RUN, window=Window(0, 40)) > set(places(edits))


def test_a_substitute_is_the_nearest_there_is_and_says_how_near():
    # by exposure first, then by length, over the whole family
    matches = set()
    for item in range(40):
        candidates = Candidates(recorded=RUN, triggers=np.array([item]))
        found = candidates.substitute(item, 9, ("test",))
        length, exposure = candidates.length_bin, candidates.exposure_bin
        distance = {
            k: (abs(exposure[k] - exposure[item]), abs(length[k] - length[item]))
            for k in range(40)
            if k != item and family(IDS[k]) == family(IDS[item])
        }
        assert distance[found.item] == min(distance.values()) == (found.exposure_distance, found.length_distance)
        matches.add(found.match)
    assert len(matches) > 3 and "length_bin+0 exposure_decile+0" in matches


def test_all_length_bins_are_tried_before_the_exposure_decile_is_widened():
    # one family of three: the trigger (drawn twice, short), one of its length but never drawn, one long, drawn twice
    names = ["a-0", "a-1", "a-2"]
    items = pl.DataFrame(
        {
            "item_id": names,
            "content_sha256": [f"{k:064d}" for k in range(3)],
            "family_id": ["inequalities"] * 3,
            "token_len": [10, 11, 90],
            "difficulty_proxy": ["easy"] * 3,
        }
    )
    phase = "- {name: only, start: 0, end: 1, families: {include: '*'}, weights: {type: uniform}}"
    policy = resolve(template_of(phase), items, total_steps=2, batch_size=2)
    run = Recorded(policy=policy, seed=0, drawn=np.array([[0, 2], [2, 0]]), trace_sha256="0" * 64)
    edits = edits_of(run, Intervention(condition="replace", triggers=("a-0",), window=Window(0, 1)))
    # mid-ranks of the lengths .5, 1.5, 2.5 of 3 in 5 bins: 0, 2, 4
    assert edits.row(0) == (0, 0, "a-0", "a-2", "replace: length_bin+4 exposure_decile+0")
    nothing = Intervention(condition="replace", triggers=("a-0", "a-1", "a-2"), window=Window(0, 1))
    with pytest.raises(ValueError, match="no substitute for 'a-0' at step 0: family 'inequalities'"):
        edits_of(run, nothing)
    with pytest.raises(ValueError, match="without the triggers nothing is left"):
        edits_of(run, replace(nothing, condition="remove"))


def test_removed_draws_are_those_of_the_phase_without_the_triggers():
    # iid_baseline is uniform over items: 40 items less 3 triggers, every one equally likely in 6,000 refills
    drawn = Counter()
    for seed in range(60):
        run = replace(RUN, seed=seed, drawn=np.full((40, 8), IDS.to_list().index(TRIGGERS[0])))
        drawn.update(edits_of(run, wanted("remove", window=Window(0, 13)))["item_to"])
    assert not set(drawn) & set(TRIGGERS) and len(drawn) == 37
    assert chisquare(list(drawn.values())).pvalue > 1e-3


def test_a_refill_does_not_depend_on_what_else_is_removed():
    one = edits_of(RUN, wanted("remove", window=Window(8, 12)))
    both = edits_of(RUN, wanted("remove", scope="run")).filter(pl.col("step").is_between(8, 11))
    assert one.equals(both) and len(one)


def test_a_placebo_edits_as_many_draws_of_other_items_in_the_same_family_mix():
    first, second = (edits_of(RUN, wanted("placebo", draw=draw)) for draw in (0, 1))
    num = len(occurrences(RUN))
    for edits in (first, second):
        assert len(edits) == num and not set(places(edits)) & occurrences(RUN)
        assert all(8 <= step < 16 for step in edits["step"])
        assert not (set(edits["item_from"]) | set(edits["item_to"])) & set(TRIGGERS)
        assert set(map(family, edits["item_from"])) == set(map(family, edits["item_to"])) == {"inequalities"}
        assert all("same family" in why and "inside" in why for why in edits["reason"])
    assert not first.equals(second)
    assert first.equals(edits_of(RUN, wanted("placebo")))


def test_seeds_have_placebo_places_of_their_own_even_where_they_drew_the_same():
    first, second = (edits_of(replace(RUN, seed=seed), wanted("placebo")) for seed in (1, 2))
    assert places(first) != places(second)


def test_a_placebo_without_room_in_the_window_goes_to_the_steps_before_it_and_says_so():
    plant = Plant(start=0.5, num_steps=3, share=1.0, num_items=3)
    policy = preset("iid_baseline", FAMILIES, total_steps=40, plant=plant, planted=planted_items(3))
    run = run_of(policy)
    planted = tuple(f"planted-{k}" for k in range(3))
    edits = edits_of(run, Intervention(condition="placebo", triggers=planted, window=Window(20, 23)))
    # 24 planted draws fill the window; every one of the 8 draws of the three steps before it is edited
    assert Counter(edits["step"]) == {17: 8, 18: 8, 19: 8}
    assert all("other family" in why and "before the window" in why for why in edits["reason"])
    assert not any(name.startswith("planted") for name in (*edits["item_from"], *edits["item_to"]))


def test_a_placebo_goes_behind_the_window_only_where_nothing_is_left_before_it():
    plant = Plant(start=0.05, num_steps=4, share=1.0, num_items=3)
    run = run_of(preset("iid_baseline", FAMILIES, total_steps=40, plant=plant, planted=planted_items(3)))
    planted = tuple(f"planted-{k}" for k in range(3))
    edits = edits_of(run, Intervention(condition="placebo", triggers=planted, window=Window(2, 6)))
    # 32 planted draws, 16 draws before them: the other 16 are the first two steps after the window
    assert Counter(edits["step"]) == {0: 8, 1: 8, 6: 8, 7: 8}
    assert sum("after the window" in why for why in edits["reason"]) == 16


def test_a_placebo_stays_in_the_window_as_long_as_there_is_room_and_says_what_family_it_took():
    inside = {name for name in IDS.to_numpy()[RUN.drawn[8:16]].ravel() if name.startswith("inequalities")}
    edits = edits_of(RUN, wanted("placebo", triggers=tuple(sorted(inside))))
    others = sum(not name.startswith("inequalities") for name in IDS.to_numpy()[RUN.drawn[8:16]].ravel())
    within = edits.filter(pl.col("step").is_between(8, 15))
    assert len(within) == min(others, len(edits)) > 0
    assert all("other family, inside" in why for why in within["reason"])


@pytest.mark.parametrize("condition", ["replace", "remove"])
def test_planted_triggers_give_way_to_ordinary_items(condition):
    plant = Plant(start=0.5, num_steps=3, share=1.0, num_items=3)
    run = run_of(preset("iid_baseline", FAMILIES, total_steps=40, plant=plant, planted=planted_items(3)))
    planted = tuple(f"planted-{k}" for k in range(3))
    edits = edits_of(run, Intervention(condition=condition, triggers=planted, window=Window(20, 23)))
    assert len(edits) == 24 and not any(name.startswith("planted") for name in edits["item_to"])
    assert len(set(edits["item_to"])) > 3
    replayed = replay_of(run, edits)
    assert replayed.first_edit == 20 and not replayed.items["planted"].to_numpy()[replayed.drawn].any()


@pytest.mark.parametrize("condition, lowest, highest", [("late", 16, 40), ("early", 0, 8)])
def test_moved_draws_leave_the_window_and_every_item_is_seen_as_often_as_before(condition, lowest, highest):
    edits = edits_of(RUN, wanted(condition))
    moved = replay_of(RUN, edits)
    np.testing.assert_array_equal(np.bincount(moved.drawn.ravel()), np.bincount(RUN.drawn.ravel()))
    after = replace(RUN, drawn=moved.drawn)
    assert occurrences(after) == set() != occurrences(RUN)
    there = occurrences(after, window=Window(lowest, highest))
    assert len(there) == len(occurrences(RUN, window=Window(lowest, highest))) + len(occurrences(RUN))
    shifted = 8 if condition == "late" else -8
    pairs = [(a, b) for a, b in zip(*[iter(sorted(places(edits)))] * 2, strict=False)]
    assert pairs and all("same family" in why for why in edits["reason"])
    steps = edits.filter(pl.col("item_to").is_in(TRIGGERS))["step"].to_list()
    aims = [step + shifted for step, _ in occurrences(RUN)]
    assert abs(np.mean(steps) - np.mean(aims)) <= 2


def test_moves_of_the_whole_run_leave_no_trigger_on_the_wrong_side():
    late = replace(RUN, drawn=replay_of(RUN, edits_of(RUN, wanted("late", scope="run"))).drawn)
    assert occurrences(late, window=Window(0, 16)) == set()
    early = replace(RUN, drawn=replay_of(RUN, edits_of(RUN, wanted("early", window=Window(24, 30), scope="run"))).drawn)
    assert occurrences(early, window=Window(24, 40)) == set()
    # what was on the right side already stays
    assert occurrences(late, window=Window(16, 40)) > occurrences(RUN, window=Window(16, 40)) != set()
    assert occurrences(early, window=Window(0, 24)) > occurrences(RUN, window=Window(0, 24)) != set()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_same_intervention_makes_the_same_edits_and_another_seed_others(condition):
    first = edits_of(RUN, wanted(condition))
    assert first.equals(edits_of(run_of(), wanted(condition)))
    if condition != "exact":
        assert not first.equals(edits_of(run_of(seed=2), wanted(condition)))


@given(st.integers(0, 10_000), st.sampled_from(CONDITIONS), st.sampled_from(["window", "run"]))
@settings(max_examples=40, deadline=None)
def test_nothing_before_the_first_edited_step_changes_and_every_edit_changes_a_draw(seed, condition, scope):
    run = run_of(seed=seed)
    triggers = triggers_in(run, WINDOW, 2)
    edits = edits_of(run, wanted(condition, triggers=triggers, scope=scope))
    replayed = replay_of(run, edits)
    first = edits["step"].min()
    assert replayed.first_edit == first
    np.testing.assert_array_equal(replayed.drawn[:first], run.drawn[:first])
    assert (replayed.drawn != run.drawn).sum() == len(edits)


def test_a_run_that_drew_no_trigger_is_its_own_counterfactual():
    drawn = np.where(np.isin(IDS.to_numpy()[RUN.drawn], TRIGGERS), IDS.to_list().index("optimization-0"), RUN.drawn)
    run = replace(RUN, drawn=drawn)
    for condition in CONDITIONS:
        assert edits_of(run, wanted(condition)).is_empty()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"condition": "shuffle"}, "condition must be one of"),
        ({"scope": "epoch"}, "condition must be one of"),
        ({"triggers": ()}, "needs triggers"),
        ({"triggers": ("a", "a")}, "each once"),
        ({"window": Window(4, 4)}, "first < stop"),
        ({"draw": 1}, "only a placebo has draws"),
    ],
)
def test_an_intervention_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        wanted(**{"condition": "replace", **changes})


def test_edits_that_cannot_be_made_are_refused():
    with pytest.raises(ValueError, match="1 triggers are no items"):
        edits_of(RUN, wanted("replace", triggers=("stranger",)))
    with pytest.raises(ValueError, match="reaches beyond the run of 40 steps"):
        edits_of(RUN, wanted("replace", window=Window(39, 41)))
    with pytest.raises(ValueError, match="early needs"):
        edits_of(RUN, wanted("early", window=Window(0, 16)))
    run = replace(RUN, drawn=np.full((40, 8), IDS.to_list().index(TRIGGERS[0])))
    with pytest.raises(ValueError, match="placebo needs 64 draws of other items and the run has 0"):
        edits_of(run, wanted("placebo"))
