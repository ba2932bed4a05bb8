"""A second and a third wave of the same nodes, on real Dagster assets over a real store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from io_managers.tables import table_io_manager
from partitions.dimensions import run_key
from partitions.mappings import Place, mapping
from partitions.rosters import add_seeds, registered_seeds, sync, wanted_seeds
from resources.settings import Settings
from squiggle_assets import profiles
from squiggle_assets.assets.factory import assets_of
from squiggle_assets.assets.node import NOWHERE, Graph, Input, Node, Out, Partition, in_wave
from squiggle_assets.assets.states import States
from squiggle_assets.running.plan import Selection, stage_tasks, wanted_nodes
from squiggle_assets.schemas.base import Table, column
from squiggle_assets.science.waves import CONFIRMATION, FOLLOWUP, FollowUp, Roster
from squiggle_assets.studies import study
from squiggle_assets.workspace import Workspace

REMOVE, PLACEBO = FollowUp(parent="ramp", condition="remove"), FollowUp(parent="ramp", condition="placebo", draw=1)
STUDY = replace(
    study("curriculum_ab"), name="waves", followups=(REMOVE, PLACEBO, FollowUp(parent="iid", condition="exact"))
)
ROSTER = Roster((2, 10), (5, 7))


class Number(Table):
    """One row per number."""

    arm: str = column("arm", nullable=True)
    seed: int = column("seed", nullable=True)
    value: float = column("a number")


TABLES: dict[str, type[Table]] = {name: Number for name in ("trained", "total", "selection", "effect")}


def frame(at: Partition, value: float) -> pl.DataFrame:
    schema = {"arm": pl.String, "seed": pl.Int64, "value": pl.Float64}
    return pl.DataFrame({"arm": [at.arm], "seed": [at.seed], "value": [value]}, schema=schema)


def train(step: Any) -> Mapping[str, pl.DataFrame]:
    return {"trained": frame(step.scope.partition, step.scope.seed)}


def total(step: Any, trained: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    return {"total": frame(step.scope.partition, trained["value"].sum())}


def select(step: Any, evidence: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    assert evidence["arm"].to_list() == [step.scope.study.followup(step.scope.arm).parent]
    return {"selection": frame(step.scope.partition, 100 * evidence["value"][0])}


def replay(step: Any, selection: pl.DataFrame, parent: pl.DataFrame | None = None) -> Mapping[str, pl.DataFrame]:
    if parent is not None:
        assert parent["seed"].to_list() == [step.scope.seed]
        assert parent["arm"].to_list() == [step.scope.study.followup(step.scope.arm).parent]
    return {"trained": frame(step.scope.partition, selection["value"][0] + step.scope.seed)}


def effect(step: Any, followup: pl.DataFrame, confirmed: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    assert followup["arm"].to_list() == confirmed["arm"].to_list() == ["iid.exact", "ramp.placebo-2", "ramp.remove"]
    return {"effect": frame(NOWHERE, confirmed["value"].sum() - followup["value"].sum())}


TOTAL = Node(
    name="total", grain="arm", outs=(Out(name="total"),), compute=total,
    inputs={"trained": Input(asset="trained", load="frame")},
)  # fmt: skip
SELECTION = Node(
    name="selection", grain="arm", wave=FOLLOWUP, outs=(Out(name="followup/selection"),), compute=select,
    inputs={"evidence": Input(asset="total", load="frame")},
)  # fmt: skip


def graph() -> Graph:
    chosen = Input(asset="followup/selection", load="frame")
    parents = Input(asset="trained", load="frame")
    again = Node(name="followup/train", grain="run", wave=FOLLOWUP, outs=(Out(name="followup/trained"),),
                 compute=replay, inputs={"selection": chosen, "parent": parents})  # fmt: skip
    fresh = Node(name="confirmation/train", grain="run", wave=CONFIRMATION, outs=(Out(name="confirmation/trained"),),
                 compute=replay, inputs={"selection": chosen})  # fmt: skip
    end = Node(name="effect", grain="study", outs=(Out(name="effect"),), compute=effect,
               inputs={"followup": Input(asset="followup/total", load="frame"),
                       "confirmed": Input(asset="confirmation/total", load="frame")})  # fmt: skip
    first = Node(name="train", grain="run", outs=(Out(name="trained"),), compute=train)
    # in_wave moves a node whose inputs are made in the same wave: total reads trained there
    moved = [node for wave in (FOLLOWUP, CONFIRMATION) for node in in_wave((first, TOTAL), wave)[1:]]
    return Graph(STUDY, (first, TOTAL, SELECTION, again, fresh, *moved, end), TABLES)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Any]:
    workspace = Workspace(Settings(data_root=tmp_path, profile="test"))
    manager = table_io_manager(workspace.root, TABLES, pointers=workspace.folder)
    resources = {
        "workspace": dg.ResourceDefinition.hardcoded_resource(workspace),
        "compute": dg.ResourceDefinition.none_resource(),
        "tables": manager,
        "handles": manager,
    }
    made = graph()
    definitions = dg.Definitions(assets=assets_of(made, shared=True), resources=resources)
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        add_seeds(STUDY, instance, ROSTER.seeds)
        add_seeds(STUDY, instance, ROSTER.fresh, CONFIRMATION)

        def execute(task: Any) -> dg.ExecuteInProcessResult:
            arm, seed = task.partition
            return job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey(list(key)) for key in task.assets],
                partition_key=None if arm is None else arm if seed is None else run_key(arm, seed),
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )

        yield made, workspace, execute


def test_discovery_selection_replays_on_old_and_fresh_seeds_and_effect_without_a_cycle(run: Any) -> None:
    made, workspace, execute = run
    nodes = wanted_nodes(made, None)
    for stage in sorted(set(made.stages.values())):
        tasks, stuck = stage_tasks(made, nodes, stage, workspace.profile, ROSTER, workspace.store, Selection())
        assert stuck == []
        for task in tasks:
            result = execute(task)
            assert result.success, (str(task), result.all_events[-3:])
    store = workspace.store
    pointers = store.pointers("waves/confirmation/trained")
    assert [(p.arm, p.seed) for p in pointers] == [
        (arm, seed) for arm in ("iid.exact", "ramp.placebo-2", "ramp.remove") for seed in (5, 7)
    ]
    # evidence of an arm: 2 + 10; its selection 1200; a replay adds its seed: per arm 2 * 1200 + 12 on the study's
    # seeds and 2 * 1200 + 12 on the fresh ones (5 + 7), so the difference is 0
    assert store.read(store.pointer("waves/followup/total", "ramp.remove"))["value"][0] == 2412.0
    assert store.read(store.pointer("waves/effect"))["value"][0] == 0.0
    states = States(made, workspace.profile, ROSTER, store)
    assert {states.of(node, at) for node in nodes for at in made.partitions(node, ROSTER)} == {"current"}


def test_a_follow_up_waits_for_its_selection_and_the_selection_for_its_parent(run: Any) -> None:
    made, workspace, _ = run
    states = States(made, workspace.profile, ROSTER, workspace.store)
    at = Partition("ramp.remove", 2)
    replayed = made.makers["followup/trained"]
    assert states.of(replayed, at) == "waiting"
    assert made.feeds(replayed, replayed.inputs["parent"], at, ROSTER) == (Partition("ramp", 2),)
    assert made.feeds(replayed, replayed.inputs["selection"], at, ROSTER) == (Partition("ramp.remove"),)
    assert made.feeds(SELECTION, SELECTION.inputs["evidence"], Partition("ramp.remove"), ROSTER) == (Partition("ramp"),)
    fresh = made.makers["confirmation/total"]
    assert made.feeds(fresh, fresh.inputs["trained"], Partition("ramp.remove"), ROSTER) == (
        Partition("ramp.remove", 5),
        Partition("ramp.remove", 7),
    )


def test_keys_name_the_wave_and_names_of_follow_up_arms_their_parent_and_condition() -> None:
    made = graph()
    assert made.key("followup/trained") == ("waves", "followup", "trained")
    assert made.arms(FOLLOWUP) == made.arms(CONFIRMATION) == ("ramp.remove", "ramp.placebo-2", "iid.exact")
    assert STUDY.followup("ramp.placebo-2") == PLACEBO


def test_fresh_seeds_are_registered_only_for_a_study_with_follow_ups() -> None:
    profile = profiles.load("test")
    with dg.DagsterInstance.ephemeral() as instance:
        sync(STUDY, profile, instance)
        assert registered_seeds(STUDY, instance) == Roster((42, 123, 456), tuple(sorted(STUDY.fresh_seeds[:3])))
    assert wanted_seeds(study("curriculum_ab"), profile).fresh == ()


def test_what_cannot_feed_a_later_wave_is_refused() -> None:
    with pytest.raises(ValueError, match="goes through `selection`"):
        mapping(STUDY, Place("arm"), Place("run", FOLLOWUP))
    with pytest.raises(ValueError, match="their seeds differ"):
        mapping(STUDY, Place("run", FOLLOWUP), Place("run", CONFIRMATION))
    with pytest.raises(ValueError, match="unknown arm 'nosuch'"):
        replace(STUDY, followups=(FollowUp(parent="nosuch", condition="exact"),))
    with pytest.raises(ValueError, match="duplicated names"):
        replace(STUDY, followups=(REMOVE, REMOVE))
