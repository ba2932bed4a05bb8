from __future__ import annotations

import pytest

from partitions.rosters import wanted_seeds
from squiggle_assets import profiles
from squiggle_assets.studies import STUDIES

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
    for study in STUDIES.values():
        assert len(wanted_seeds(study, profile).seeds) == profile.num_seeds


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
