from __future__ import annotations

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitions.dimensions import run_key, runs, seed_dimension
from partitions.keys import arm_key, seed_key, seed_of
from partitions.mappings import Place, mapping
from partitions.rosters import add_seeds, next_seeds, registered_seeds, remove_seeds, sync, wanted_seeds
from squiggle_assets import profiles
from squiggle_assets.studies import study

STUDY = study("curriculum_ab")


@given(st.integers(min_value=0, max_value=10**18 - 1))
def test_a_seed_comes_back_from_its_key(seed: int) -> None:
    assert seed_of(seed_key(seed)) == seed


@pytest.mark.parametrize("key", ["007", "1|2", "1,2", "..", "-1", "", "1.0", " 1", "9" * 19, "x", True])
def test_a_key_that_is_no_plain_integer_is_refused_by_name(key: object) -> None:
    with pytest.raises(ValueError, match="not usable"):
        seed_of(key)  # type: ignore[arg-type]


@pytest.mark.parametrize("arm", ["a|b", "a,b", "..", "a..b", "", "Iid", "x" * 65, "a/b", "a\0"])
def test_an_arm_that_cannot_be_a_key_is_refused(arm: str) -> None:
    with pytest.raises(ValueError, match="usable name"):
        arm_key(STUDY, arm)


def test_an_unknown_arm_is_refused_with_the_arms_there_are() -> None:
    with pytest.raises(ValueError, match="iid"):
        arm_key(STUDY, "nosuch")


def test_run_keys_read_arm_then_seed_whatever_the_order_of_declaration() -> None:
    assert str(run_key("ramp", 7)) == "ramp|7"


def test_the_roster_is_brought_in_step_once_and_only_grows() -> None:
    demo = profiles.load("demo")
    with dg.DagsterInstance.ephemeral() as instance:
        assert sync(STUDY, demo, instance) == wanted_seeds(STUDY, demo).seeds
        assert sync(STUDY, demo, instance) == ()
        assert len(registered_seeds(STUDY, instance).seeds) == 8
        assert add_seeds(STUDY, instance, (42, 5_000_000)) == (5_000_000,)
        keys = runs(STUDY).get_partition_keys(dynamic_partitions_store=instance)
        assert len(keys) == len(STUDY.arms) * 9


def test_registered_seeds_are_sorted_as_numbers() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        add_seeds(STUDY, instance, (10, 2, 100))
        assert registered_seeds(STUDY, instance).seeds == (2, 10, 100)


def test_one_bad_seed_keeps_the_good_ones_out_too() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.raises(ValueError, match="-3"):
            add_seeds(STUDY, instance, (1, -3))
        assert instance.get_dynamic_partitions(seed_dimension(STUDY)) == []


def test_growth_takes_the_next_registered_seeds_and_ends_with_the_roster() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        sync(STUDY, profiles.load("demo"), instance)
        assert next_seeds(STUDY, instance, 2) == STUDY.seeds[8:10]
        add_seeds(STUDY, instance, STUDY.seeds)
        assert next_seeds(STUDY, instance, 2) == ()


def test_mappings_nobody_has_run_are_refused() -> None:
    with pytest.raises(ValueError, match="no mapping"):
        mapping(STUDY, Place("run"), Place("elsewhere"))
    with pytest.raises(ValueError, match="fixed arm"):
        mapping(STUDY, Place("run"), Place("run"), "placebo")


def test_seeds_that_a_profile_wants_stay_on_the_roster() -> None:
    profile = profiles.load("demo")
    with dg.DagsterInstance.ephemeral() as instance:
        sync(STUDY, profile, instance)
        add_seeds(STUDY, instance, (900,))
        with pytest.raises(ValueError, match=rf"seeds \[{STUDY.seeds[3]}\] belong to the 8 seeds of profile demo"):
            remove_seeds(STUDY, profile, instance, (900, STUDY.seeds[3]))
        assert registered_seeds(STUDY, instance).seeds == tuple(sorted((*STUDY.seeds[:8], 900)))
        remove_seeds(STUDY, profile, instance, (900,))
        assert sync(STUDY, profile, instance) == ()


def test_seeds_can_be_taken_off_a_roster_and_an_unknown_one_takes_none() -> None:
    profile = profiles.load("demo")
    with dg.DagsterInstance.ephemeral() as instance:
        add_seeds(STUDY, instance, (1, 2, 3))
        with pytest.raises(ValueError, match=r"seeds \[9\] are not registered; registered are \[1, 2, 3\]"):
            remove_seeds(STUDY, profile, instance, (1, 9))
        assert remove_seeds(STUDY, profile, instance, (3, 1)) == (3, 1)
        assert registered_seeds(STUDY, instance).seeds == (2,)
