from __future__ import annotations

import dagster as dg
import pytest

from partitions.rosters import registered_seeds, sync
from squiggle_assets import profiles
from squiggle_assets.automation import GROW_BY, add_backfill
from squiggle_assets.definitions import build, graph_of
from squiggle_assets.studies import study

STUDY = study("curriculum_ab")


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build()


def test_the_roster_sensor_runs_by_default_and_registers_the_profile_s_seeds(definitions: dg.Definitions) -> None:
    sensor = definitions.resolve_sensor_def("seed_rosters")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    with dg.DagsterInstance.local_temp() as instance:
        sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
        assert len(registered_seeds(STUDY, instance).seeds) == profiles.load("demo").num_seeds


def test_the_growth_schedule_is_off_adds_the_next_seeds_and_backfills_every_arm(definitions: dg.Definitions) -> None:
    schedule = definitions.resolve_schedule_def("curriculum_ab_grow_seeds")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    with dg.DagsterInstance.local_temp() as instance:
        sync(STUDY, profiles.load("demo"), instance)
        context = dg.build_schedule_context(instance=instance, repository_def=definitions.get_repository_def())
        tick = schedule.evaluate_tick(context)
        new = STUDY.seeds[8 : 8 + GROW_BY]
        assert set(new) <= set(registered_seeds(STUDY, instance).seeds)
        (backfill,) = instance.get_backfills()
        assert tick.skip_message is not None
        assert backfill.backfill_id in tick.skip_message
        data = backfill.asset_backfill_data
        assert data is not None
        wanted = data.target_subset.get_partitions_subset(
            dg.AssetKey(["curriculum_ab", "scalars"])
        ).get_partition_keys()
        assert set(wanted) == {f"{arm.name}|{seed}" for arm in STUDY.arms for seed in new}
        assert dg.AssetKey(["curriculum_ab", "claims"]) in data.target_subset.asset_keys


def test_a_used_up_roster_grows_no_further(definitions: dg.Definitions) -> None:
    schedule = definitions.resolve_schedule_def("curriculum_ab_grow_seeds")
    with dg.DagsterInstance.local_temp() as instance:
        instance.add_dynamic_partitions("curriculum_ab_seed", [str(seed) for seed in STUDY.seeds])
        context = dg.build_schedule_context(instance=instance, repository_def=definitions.get_repository_def())
        tick = schedule.evaluate_tick(context)
        assert tick.skip_message is not None
        assert "all 16" in tick.skip_message
        assert instance.get_backfills() == []


def test_add_backfill_takes_only_what_rests_on_runs(definitions: dg.Definitions) -> None:
    graph = graph_of("curriculum_ab", profiles.load("test"))
    with dg.DagsterInstance.local_temp() as instance:
        sync(STUDY, profiles.load("test"), instance)
        add_backfill(instance, definitions.get_repository_def(), graph, ["iid|42"], "one run")
        (backfill,) = instance.get_backfills()
        names = {key.path[-1] for key in backfill.asset_selection or []}
        assert {"scalars", "geometry", "consensus_events", "claims", "report"} <= names
        assert not names & {"candidate_pool", "base_model", "curriculum", "run_report"}


def test_consensus_waits_for_every_registered_seed(definitions: dg.Definitions) -> None:
    node = definitions.resolve_asset_graph().get(dg.AssetKey(["curriculum_ab", "consensus_events"]))
    assert node.automation_condition is not None
    run = definitions.resolve_asset_graph().get(dg.AssetKey(["curriculum_ab", "scalars"]))
    assert run.automation_condition is None
