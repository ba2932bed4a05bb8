"""A/A: two halves of one arm through the contrast claim of real studies."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from squiggle_assets.science.aa_test import (
    SPLIT_SCHEMA,
    Scenario,
    half_of,
    halves_compared,
    resplits,
    simulated_halves,
    simulated_rows,
)
from squiggle_assets.science.calibration_spec import SCENARIOS
from squiggle_assets.science.comparison import ArmData, excess_difference
from squiggle_assets.science.nulls import with_nulls
from squiggle_assets.science.simulation import DETECTION, Design, simulated_arm
from squiggle_assets.science.spec import Arm, ConsensusSpec

FAST = ConsensusSpec(draws_per_cell=8)
SMALL = Design(num_seeds=12, num_layers=1, num_increments=60)


def arm(**changes):
    return simulated_arm(dataclasses.replace(SMALL, **changes), np.random.default_rng(3))


def test_a_half_is_the_runs_at_its_places():
    series = arm()
    half = half_of(series, [5, 0, 7])
    assert half.seeds == (0, 1, 2)
    np.testing.assert_array_equal(half.increments, series.increments[[5, 0, 7]])
    np.testing.assert_array_equal(half.levels, series.levels[[5, 0, 7]])
    with pytest.raises(ValueError, match="twice"):
        half_of(series, [1, 1])


def test_the_p_is_that_of_the_comparison_that_real_contrasts_make():
    series = arm(size=3.0)
    first, second = half_of(series, range(6)), half_of(series, range(6, 12))
    found = halves_compared(first, second, DETECTION, FAST, np.random.default_rng(1))
    draws = np.random.default_rng(1)
    role = Arm(name="a", curriculum="iid_baseline", role="baseline", description=".")
    mine, theirs = (
        ArmData(arm=role, series=half, seen=with_nulls(half, DETECTION, FAST, draws), num_items=1, total_steps=1)
        for half in (first, second)
    )
    # with at most 10 pairs every swap of labels is counted, so nothing else is drawn
    direct = excess_difference(mine, theirs, FAST, "greater", draws)
    assert (found.p_value, found.estimate) == (direct.p_value, direct.estimate)
    assert (found.events_first, found.events_second) == (mine.count, theirs.count)


def test_events_in_one_half_alone_are_found():
    # the test can reject: 6 runs with four events of 12 sd against 6 without any
    series, spec = arm(num_increments=100), ConsensusSpec(draws_per_cell=25)
    for number, place in ((0, 20), (1, 40), (2, 60), (0, 78)):
        series.increments[:6, number, place] += 12.0
    loud, quiet = half_of(series, range(6)), half_of(series, range(6, 12))
    found = halves_compared(loud, quiet, DETECTION, spec, np.random.default_rng(1))
    assert found.p_value <= 0.05 and found.estimate > 2.5
    assert (found.events_first, found.events_second) == (4, 0)
    assert halves_compared(quiet, loud, DETECTION, spec, np.random.default_rng(1)).p_value > 0.5


def test_the_events_of_a_scenario_lie_in_every_run_within_the_jitter(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "squiggle_assets.science.aa_test.halves_compared", lambda first, second, *rest: seen.append((first, second))
    )
    simulated_halves(Scenario(name="s", design=SMALL), FAST, 0)
    simulated_halves(Scenario(name="s", design=SMALL, num_events=3, event_size=500.0), FAST, 0)
    first, second = seen[1]
    runs, series, at = np.nonzero(np.abs(np.concatenate([first.increments, second.increments])) > 100)
    assert sorted(runs) == sorted([*range(12)] * 3)
    # a tenth of 60 increments is 6: places 9, 30 and 51, one capture earlier or later
    nearest = [min((9, 30, 51), key=lambda place: abs(place - t)) for t in at]
    assert set(nearest) == {9, 30, 51} and np.abs(np.array(nearest) - at).max() == 1
    assert len(set(zip(series.tolist(), nearest, strict=True))) == 3
    assert np.abs(seen[0][0].increments).max() < 100
    np.testing.assert_allclose(np.diff(first.levels, axis=-1), first.increments)


def test_the_number_of_a_study_keys_its_draws():
    scenario = Scenario(name="s", design=SMALL)
    first, again, other = (simulated_halves(scenario, FAST, number) for number in (3, 3, 4))
    assert first == again != other
    # scenarios of equal sizes are other arms too
    assert simulated_halves(Scenario(name="t", design=SMALL), FAST, 3) != first
    rows = list(simulated_rows(scenario, FAST, [3, 4]))
    assert [row["study_number"] for row in rows] == [3, 4] and rows[0]["p_value"] == first.p_value
    assert rows[0]["rejected"] == (first.p_value <= FAST.alpha)


def test_halves_of_one_arm_are_seldom_called_different():
    # Binomial(40, .05): 7 or more with probability .003; the estimate is 0 on average
    found = list(simulated_rows(Scenario(name="s", design=SMALL, num_events=3, event_size=3.0), FAST, range(40)))
    assert sum(row["rejected"] for row in found) <= 6
    assert abs(np.mean([row["estimate"] for row in found])) < 0.6
    assert any(row["events_first"] != row["events_second"] for row in found)


def test_resplits_choose_disjoint_halves_of_the_arms_own_seeds():
    series = dataclasses.replace(arm(), seeds=tuple(range(100, 112)))
    table = resplits(series, DETECTION, FAST, per_side=4, num_splits=6, key="iid")
    assert dict(table.schema) == {name: kind() for name, kind in SPLIT_SCHEMA.items()}
    assert table["split"].to_list() == list(range(6))
    for row in table.iter_rows(named=True):
        first, second = json.loads(row["first_seeds"]), json.loads(row["second_seeds"])
        assert len(first) == len(second) == 4 and not set(first) & set(second)
        assert set(first + second) <= set(series.seeds)
    assert table["first_seeds"].n_unique() > 1
    again = resplits(series, DETECTION, FAST, per_side=4, num_splits=6, key="iid")
    assert table.equals(again)
    assert not table.equals(resplits(series, DETECTION, FAST, per_side=4, num_splits=6, key="blocked"))


def test_halves_that_could_never_be_called_different_show_no_silence():
    # 4 against 4: one of 16 swaps of labels, so p is .0625 at least; 5 against 5: 1 / 32
    small, enough = (
        resplits(arm(), DETECTION, FAST, per_side=side, num_splits=3, key="iid")["rejected"].to_list()
        for side in (4, 5)
    )
    assert small == [None] * 3 and None not in enough


def test_a_split_of_every_run_leaves_none_over():
    table = resplits(arm(), DETECTION, FAST, per_side=6, num_splits=1, key="iid")
    row = table.row(0, named=True)
    assert sorted(json.loads(row["first_seeds"]) + json.loads(row["second_seeds"])) == list(range(12))


@pytest.mark.parametrize("per_side", [1, 7])
def test_sides_that_cannot_be_formed_are_refused(per_side):
    with pytest.raises(ValueError, match=f"{per_side} runs a side of 12 runs"):
        resplits(arm(), DETECTION, FAST, per_side=per_side, num_splits=1, key="iid")


def test_an_arm_without_halves_is_refused():
    with pytest.raises(ValueError, match="got 7"):
        Scenario(name="s", design=Design(num_seeds=7))
    with pytest.raises(ValueError, match="events of size 0"):
        Scenario(name="s", design=SMALL, num_events=2)
    series = arm()
    with pytest.raises(ValueError, match="5 and 6 runs"):
        halves_compared(
            half_of(series, range(5)), half_of(series, range(5, 11)), DETECTION, FAST, np.random.default_rng(0)
        )


def test_the_scenarios_of_the_study_halve_into_eights():
    assert {scenario.design.num_seeds for scenario in SCENARIOS} == {16}
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_at_most_16_of_200_simulated_aa_studies_reject(scenario):
    spec = ConsensusSpec(draws_per_cell=25)
    assert sum(bool(row["rejected"]) for row in simulated_rows(scenario, spec, range(200))) <= 16
