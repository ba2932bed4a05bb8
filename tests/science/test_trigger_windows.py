"""Which draws may hold a trigger, and what is counted in them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from squiggle_assets.science.exposures import exposures_of, untimed
from squiggle_assets.science.trigger_counts import count_windows
from squiggle_assets.science.trigger_windows import Window, events_in, signature_of, windows_of
from tests.science.attribution_arms import event_of, events, put, traces
from tests.science.curriculum_items import planted_items
from tests.science.policy_presets import PLANT, preset

IID = preset("iid_baseline")
BLOCKED = preset("family_blocked")


def test_windows_by_hand():
    # medians: peak 100, onset 96. Lag 5: from 4 + 5 steps before each seed's own peak up to the draw before it
    event = event_of({1: 98, 0: 100, 2: 104})
    assert windows_of(event, IID, 5) == (Window(0, 91, 100), Window(1, 89, 98), Window(2, 95, 104))
    assert windows_of(event, IID, 0)[0] == Window(0, 96, 100)


def test_windows_begin_with_the_run():
    assert windows_of(event_of({0: 6}), IID, 20) == (Window(0, 0, 6),)


def test_windows_never_reach_into_the_phase_before():
    # 200 steps, blocks of 20: the draws of steps 20 to 25 are of the second block, that of step 19 of the first
    assert windows_of(event_of({0: 26}), BLOCKED, 20) == (Window(0, 20, 26),)
    assert windows_of(event_of({0: 20}), BLOCKED, 5) == (Window(0, 11, 20),)
    assert windows_of(event_of({0: 21}), BLOCKED, 5) == (Window(0, 20, 21),)


def test_an_item_shown_at_the_step_of_the_peak_is_not_counted():
    # the capture at step 100 has seen the draws of steps 0 to 99
    item = IID.items["item_id"][0]
    trace = traces(IID, 1).with_columns(item_id=pl.lit(IID.items["item_id"][1]))
    counted = [
        count_windows(events({0: 100}), exposures_of(put(trace, item, [(0, step)]), IID), IID, (0,))[0]
        .at[0]
        .count[0, 0]
        for step in (95, 96, 99, 100)
    ]
    assert counted == [0, 1, 1, 0]


def test_counts_and_expectations_agree_with_adding_up_steps():
    trace = traces(BLOCKED, 3)
    one = count_windows(events({0: 50, 1: 52, 2: 48}), exposures_of(trace, BLOCKED), BLOCKED, (5,))[0]
    whole = sum(8 * BLOCKED.probabilities(step) for step in range(200))
    for s, window in enumerate(one.at[0].windows):
        own = trace.filter((pl.col("seed") == window.seed) & pl.col("step").is_between(window.start, window.stop - 1))
        shown = dict(own.group_by("item_id").len().iter_rows())
        np.testing.assert_array_equal(one.at[0].count[s], [shown.get(item, 0) for item in BLOCKED.items["item_id"]])
        inside = sum(8 * BLOCKED.probabilities(step) for step in range(window.start, window.stop))
        np.testing.assert_allclose(one.at[0].share[s], inside / whole, rtol=1e-9, atol=1e-12)


def test_planted_items_are_expected_uniformly_in_time():
    policy = preset("iid_baseline", plant=PLANT, planted=planted_items(3))
    free = untimed(policy, 200)
    assert free.sum() == 3
    one = count_windows(events({0: 106}), exposures_of(traces(policy, 1), policy), policy, (6,))[0]
    np.testing.assert_allclose(one.at[0].share[0, free], 10 / 200)
    # the policy itself has all of them in these steps: 4 steps of 6 planted slots over 3 items
    np.testing.assert_allclose(one.at[0].by_policy[free], 4 * 6 / 3)


def test_signature_names_place_and_direction():
    assert signature_of(event_of({0: 50}, polarity=-1)) == "layers_0_0.angle-"


def test_events_of_several_arms_are_refused():
    mixed = pl.DataFrame([event_of({0: 50}), event_of({0: 50}, arm="other")])
    with pytest.raises(ValueError, match="one arm"):
        list(events_in(mixed))


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        (traces(IID, 1).with_columns(item_id=pl.lit("stranger")), "stranger"),
        (traces(IID, 1).filter(pl.col("step") != 7), "without gaps"),
        (traces(IID, 1)[:-1], "without gaps"),
        (traces(IID, 1)[:0], "without rows"),
    ],
)
def test_traces_that_are_not_of_the_policy_are_refused(trace, words):
    with pytest.raises(ValueError, match=words):
        exposures_of(trace, IID)


@pytest.mark.parametrize(
    ("steps", "trace", "words"),
    [
        ({0: 50, 5: 50}, traces(IID, 2), "no trace of seed 5"),
        ({0: 50}, traces(IID, 1).filter(pl.col("step") < 40), "its trace 40 steps"),
        ({0: 50}, pl.concat([traces(IID, 1), traces(IID, 2).filter((pl.col("seed") == 1) & (pl.col("step") < 90))]),
         "one length"),
    ],
)  # fmt: skip
def test_events_that_the_traces_do_not_cover_are_refused(steps, trace, words):
    with pytest.raises(ValueError, match=words):
        count_windows(events(steps), exposures_of(trace, IID), IID, (0,))


def test_an_item_where_the_policy_cannot_draw_it_is_refused():
    item = BLOCKED.items.filter(pl.col("family_id") == "cyclic_groups")["item_id"][0]
    with pytest.raises(ValueError, match="cannot draw it"):
        count_windows(events({0: 10}), exposures_of(put(traces(BLOCKED, 1), item, [(0, 8)]), BLOCKED), BLOCKED, (0,))


def test_a_negative_lag_is_refused():
    with pytest.raises(ValueError, match="lag"):
        windows_of(event_of({0: 50}), IID, -1)
