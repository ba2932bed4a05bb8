from __future__ import annotations

import pytest

from partitions.rosters import wanted_seeds
from squiggle_assets import profiles
from squiggle_assets.studies import STUDIES, study

TEXT = """
description: sizes
num_seeds: 3
pool: {num_items: 900}
split: {}
base_model: {}
training: {total_steps: 200}
probe: {}
"""


@pytest.mark.parametrize("name", profiles.names())
def test_every_profile_loads_and_its_seeds_are_registered_by_every_study(name: str) -> None:
    profile = profiles.load(name)
    for each in STUDIES.values():
        assert len(wanted_seeds(each, profile).seeds) == each.num_seeds(profile) >= profile.num_seeds


@pytest.mark.parametrize("name", profiles.names())
def test_every_profile_captures_often_enough_to_place_an_event(name: str) -> None:
    profile = profiles.load(name)
    assert profile.training.total_steps // profile.probe.capture_every + 1 >= 100


def test_the_gpu_profile_names_the_sources_real_model_and_data() -> None:
    profile = profiles.load("gpu")
    assert profile.base_model.source == "google/gemma-3-1b-it"
    assert profile.pool.items == "nvidia/OpenMathReasoning"


def test_what_a_profile_leaves_out_has_the_default() -> None:
    assert profiles.parse("mine", TEXT).probe == profiles.parse("other", TEXT).probe


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("total_steps: 200", "totl_steps: 200", "training: unknown field"),
        ("num_seeds: 3\n", "", "needs the fields"),
        ("probe: {}", "probe: {}\nextra: 1", "needs the fields"),
        ("total_steps: 200", 'total_steps: "200"', r"training.total_steps: .*got '200'"),
        ("total_steps: 200", "total_steps: -5", "training.total_steps: no number of a profile is negative, got -5"),
        ("total_steps: 200", "dtype: float64", "training.dtype: .*got 'float64'"),
        ("probe: {}", "probe: 3", "probe: needs fields like .*got 3"),
        ("num_seeds: 3", "num_seeds: three", "num_seeds: a whole number from 1 on, got 'three'"),
        ("probe: {}", "probe: {", "profile mine: not YAML"),
    ],
)
def test_a_misspelt_or_missing_field_is_refused_by_name(old: str, new: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        profiles.parse("mine", TEXT.replace(old, new))


def test_an_unknown_profile_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"demo.*gpu.*test"):
        profiles.load("nosuch")


def test_a_profile_says_how_many_placebo_draws_parts_and_weights_a_study_makes() -> None:
    whole = study("trigger_mining")
    cut = whole.sized(profiles.load("demo"))
    draws = [each.draw for each in cut.followups if each.condition == "placebo" and each.parent == "planted"]
    assert draws == [0, 1, 2]
    edits, registered = (
        [each for each in some.followups if each.condition != "placebo" and each.part == 1] for some in (cut, whole)
    )
    assert edits == registered
    # parts of the triggers, largest first: the demo's one is the better half
    assert [sorted({each.part for each in some.followups}) for some in (cut, whole)] == [[1, 2], [1, 2, 4, 8]]
    weights = {each.weight for each in study("impact_curriculum").sized(profiles.load("demo")).followups if each.core}
    assert weights == {2}
    draws = [
        [each.draw for each in some.followups if each.core == "random" and each.weight == 2]
        for some in (study("impact_curriculum").sized(profiles.load("demo")), study("impact_curriculum"))
    ]
    assert draws == [[0, 1, 2], [0, 1, 2, 3, 4]]
    assert {each.weight for each in study("impact_curriculum").followups if each.core} == {1, 2, 4}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("num_placebo_draws: 0", "num_placebo_draws: a whole number from 1 on, got 0"),
        ("num_bundle_parts: 1.5", "num_bundle_parts: a whole number from 1 on, got 1.5"),
        ("num_weights: true", "num_weights: a whole number from 1 on, got True"),
        ("keep_checkpoints: 1", "keep_checkpoints: true or false, got 1"),
    ],
)
def test_what_a_profile_may_leave_out_is_checked_where_it_is_there(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        profiles.parse("mine", f"{TEXT}\n{line}\n")
