"""The factory and the plan on a small graph of real Dagster assets over a real store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from io_managers.pointers import Pointer
from io_managers.store import Store
from io_managers.tables import TableIOManager, table_io_manager
from partitions.dimensions import run_key
from partitions.rosters import add_seeds
from resources.settings import Settings
from squiggle_assets.assets import factory
from squiggle_assets.assets.factory import assets_of
from squiggle_assets.assets.node import NOWHERE, Graph, Input, Node, Out, Partition, Scope
from squiggle_assets.assets.states import States
from squiggle_assets.definitions import graph_of
from squiggle_assets.running.plan import Selection, stage_tasks, wanted_nodes
from squiggle_assets.schemas.base import Table, column
from squiggle_assets.schemas.handles import CheckOutcome
from squiggle_assets.science.waves import Roster
from squiggle_assets.studies import study
from squiggle_assets.workspace import Workspace

STUDY = study("curriculum_ab")
ARMS = [arm.name for arm in STUDY.arms]


class Number(Table):
    """One row per number."""

    arm: str = column("arm", nullable=True)
    seed: int = column("seed", nullable=True)
    value: float = column("a number")


def frame(arm: str | None, seed: int | None, value: float) -> pl.DataFrame:
    return pl.DataFrame(
        {"arm": [arm], "seed": [seed], "value": [value]},
        schema={"arm": pl.String, "seed": pl.Int64, "value": pl.Float64},
    )


class Bench:
    """A graph source -> train (arm x seed, found by spec) -> total (arm) on a store of its own; counts computations."""

    def __init__(self, root: Path, *, offset: float = 1.0, largest: float = 1e9) -> None:
        self.made: list[str] = []
        self.source = 1.0
        self.offset = offset
        self.largest = largest
        self.workspace = Workspace(Settings(data_root=root, profile="test"))
        self.instance = dg.DagsterInstance.ephemeral()
        add_seeds(STUDY, self.instance, (2, 10))
        self.tables: dict[str, type[Table]] = {"source": Number, "trained": Number, "total": Number}
        self.remake_graph()

    def remake_graph(self) -> None:
        self.graph = Graph(STUDY, (self.source_node(), self.train_node(), self.total_node()), self.tables)

    def source_node(self) -> Node:
        def compute(step: Any) -> Mapping[str, pl.DataFrame]:
            self.made.append("source")
            return {"source": frame(None, None, self.source)}

        return Node(
            name="source",
            grain="shared",
            outs=(Out(name="source"),),
            params=lambda scope: self.source,
            compute=compute,
            figures=lambda values, scope: {"plot": "![x](data:image/png;base64,AA==)", "size": 1},
        )

    def train_node(self) -> Node:
        def small(value: pl.DataFrame, scope: Scope) -> CheckOutcome:
            bad = value.filter(pl.col("value") > self.largest)
            return CheckOutcome(
                name="small",
                blocking=True,
                passed=bad.is_empty(),
                description="too large",
                failing_rows=tuple(bad.to_dicts()),
                num_failing=bad.height,
            )

        def compute(step: Any, source: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
            self.made.append(f"train {step.scope.partition}")
            value = source["value"][0] + step.scope.seed + self.offset
            return {"trained": frame(step.scope.arm, step.scope.seed, value)}

        return Node(
            name="train",
            grain="run",
            inputs={"source": Input(asset="source", load="frame")},
            outs=(Out(name="trained", checks=(("small", True, small),)),),
            spec=lambda scope, shas, rows: {"source": shas["source"], "seed": scope.seed, "offset": self.offset},
            compute=compute,
        )

    def total_node(self) -> Node:
        def compute(step: Any, trained: pl.LazyFrame) -> Mapping[str, pl.DataFrame]:
            self.made.append(f"total {step.scope.arm}")
            rows = trained.collect()
            assert rows["seed"].to_list() == [2, 10]
            assert set(rows["arm"]) == {step.scope.arm}
            return {"total": frame(step.scope.arm, None, rows["value"].sum())}

        return Node(
            name="total",
            grain="arm",
            inputs={"trained": Input(asset="trained")},
            outs=(Out(name="total"),),
            compute=compute,
        )

    def run(self, asset: str, at: Partition = NOWHERE) -> dg.ExecuteInProcessResult:
        manager = table_io_manager(self.workspace.root, self.tables, pointers=self.workspace.folder)
        defs = dg.Definitions(
            assets=assets_of(self.graph, shared=True),
            resources={
                "workspace": dg.ResourceDefinition.hardcoded_resource(self.workspace),
                "compute": dg.ResourceDefinition.none_resource(),
                "tables": manager,
                "handles": manager,
            },
        )
        key: Any = None
        if at.arm is not None:
            key = at.arm if at.seed is None else run_key(at.arm, at.seed)
        return defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(list(self.graph.key(asset)))],
            partition_key=key,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )

    def state(self, asset: str, at: Partition = NOWHERE) -> str:
        node = self.graph.makers[asset]
        return States(self.graph, self.workspace.profile, Roster((2, 10)), self.workspace.store).of(node, at)

    def value(self, asset: str, at: Partition = NOWHERE) -> float:
        pointer = self.workspace.store.pointer(self.graph.path(asset), at.arm, at.seed)
        assert pointer is not None
        return float(self.workspace.store.read(pointer, allow_blocked=True)["value"][0])


def error_of(result: dg.ExecuteInProcessResult) -> str:
    failures = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    return str(failures[0].event_specific_data.error)  # type: ignore[union-attr]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def everything(bench: Bench, arm: str = "iid") -> None:
    assert bench.run("source").success
    for seed in (2, 10):
        assert bench.run("trained", Partition(arm, seed)).success
    assert bench.run("total", Partition(arm)).success


def test_a_partition_is_missing_then_current_then_stale_when_its_input_changes(bench: Bench) -> None:
    assert bench.state("source") == "missing"
    assert bench.state("trained", Partition("iid", 2)) == "waiting"
    everything(bench)
    # source 1 + seed + offset 1: 4 + 12
    assert bench.value("total", Partition("iid")) == 16.0
    assert bench.state("total", Partition("iid")) == "current"
    bench.source = 5.0
    assert bench.state("source") == "stale"
    assert bench.run("source").success
    assert bench.state("trained", Partition("iid", 2)) == "stale"


def test_an_object_that_is_there_is_not_computed_again(bench: Bench) -> None:
    everything(bench)
    before = list(bench.made)
    everything(bench)
    assert bench.made == before
    bench.source = 5.0
    everything(bench)
    bench.source = 1.0
    num = len(bench.made)
    everything(bench)
    assert len(bench.made) == num, "going back to what was made before costs pointers only"
    assert bench.value("total", Partition("iid")) == 16.0


def test_a_run_is_found_by_its_spec_from_another_arm_and_stamped_with_that_arm(bench: Bench) -> None:
    everything(bench)
    num = len([made for made in bench.made if made.startswith("train")])
    everything(bench, "ramp")
    assert len([made for made in bench.made if made.startswith("train")]) == num
    assert bench.value("total", Partition("ramp")) == 16.0


def test_a_missing_seed_is_named_and_never_a_smaller_denominator(bench: Bench) -> None:
    bench.run("source")
    bench.run("trained", Partition("iid", 2))
    result = bench.run("total", Partition("iid"))
    assert not result.success
    assert "iid|10" in error_of(result) or "iid/10" in error_of(result)


def test_after_a_failed_blocking_check_a_later_run_of_the_downstream_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, largest=5.0)
    bench.run("source")
    assert bench.run("trained", Partition("iid", 2)).success
    failed = bench.run("trained", Partition("iid", 10))
    assert not failed.success
    assert bench.value("trained", Partition("iid", 10)) == 12.0, "the product is kept, so that it can be looked at"
    later = bench.run("total", Partition("iid"))
    assert not later.success
    assert "small" in error_of(later)
    assert bench.state("trained", Partition("iid", 10)) == "refused"


def test_nothing_is_made_from_a_mixture_of_old_and_new_runs(bench: Bench) -> None:
    everything(bench)
    bench.source = 5.0
    assert bench.run("source").success
    assert bench.run("trained", Partition("iid", 2)).success
    assert bench.state("total", Partition("iid")) == "stale"
    result = bench.run("total", Partition("iid"))
    assert not result.success
    assert "trained [iid|10] is stale" in error_of(result)
    assert bench.value("total", Partition("iid")) == 16.0
    nodes = wanted_nodes(bench.graph, None)
    args = (bench.workspace.profile, Roster((2, 10)), bench.workspace.store, Selection(arms=frozenset({"iid"})))
    due, stuck = stage_tasks(bench.graph, nodes, 3, *args)
    assert due == []
    assert [why for what, why in stuck if what == "total [iid]"] == ["trained [iid|10] is stale"]


def test_a_deleted_object_is_missing_and_made_again(bench: Bench) -> None:
    everything(bench)
    store = bench.workspace.store
    pointer = store.pointer(bench.graph.path("trained"), "iid", 2)
    assert pointer is not None
    store.path(pointer.ref).unlink()
    assert bench.state("trained", Partition("iid", 2)) == "missing"
    assert bench.run("trained", Partition("iid", 2)).success
    assert bench.state("total", Partition("iid")) == "current"


def test_checks_are_evaluated_per_partition_with_their_failing_rows(tmp_path: Path) -> None:
    bench = Bench(tmp_path, largest=5.0)
    bench.run("source")
    result = bench.run("trained", Partition("iid", 10))
    evaluation = result.get_asset_check_evaluations()[0]
    assert (evaluation.passed, evaluation.partition) == (False, "iid|10")
    assert evaluation.metadata["num_failing"].value == 1


def test_a_check_that_breaks_fails_by_name_and_keeps_the_product(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run("source")
    monkeypatch.setattr(bench, "largest", "not a number")
    result = bench.run("trained", Partition("iid", 2))
    assert not result.success
    evaluation = result.get_asset_check_evaluations()[0]
    assert evaluation.description is not None
    assert "the check itself broke" in evaluation.description
    assert bench.value("trained", Partition("iid", 2)) == 4.0


def test_a_materialisation_carries_data_version_tags_and_column_schema(bench: Bench) -> None:
    result = bench.run("source")
    event = result.asset_materializations_for_node("source")[0]
    pointer = bench.workspace.store.pointer("source")
    assert pointer is not None
    assert event.tags is not None
    assert event.tags["dagster/data_version"] == pointer.sha256
    assert event.tags["squiggle/object"] == pointer.origin.object_id
    assert "dagster/column_schema" in event.metadata


def test_the_plan_holds_what_is_due_with_controls_first_and_names_what_is_stuck(bench: Bench) -> None:
    nodes = wanted_nodes(bench.graph, None)
    store, profile = bench.workspace.store, bench.workspace.profile

    def tasks(stage: int, selection: Selection) -> tuple[list[str], list[str]]:
        due, stuck = stage_tasks(bench.graph, nodes, stage, profile, Roster((2, 10)), store, selection)
        return [str(task) for task in due], [what for what, _ in stuck]

    assert tasks(1, Selection()) == (["source [-]"], [])
    assert len(tasks(2, Selection())[1]) == len(ARMS) * 2
    bench.run("source")
    due, stuck = tasks(2, Selection())
    assert stuck == []
    assert len(due) == len(ARMS) * 2
    assert due[0].startswith("train [placebo|")
    assert tasks(2, Selection(arms=frozenset({"iid"}), seeds=frozenset({10})))[0] == ["train [iid|10]"]
    everything(bench)
    assert tasks(2, Selection(arms=frozenset({"iid"})))[0] == []


def test_selecting_an_asset_takes_what_it_stands_on_and_an_unknown_one_is_refused(bench: Bench) -> None:
    assert [node.name for node in wanted_nodes(bench.graph, {"trained"})] == ["source", "train"]
    with pytest.raises(ValueError, match="nosuch"):
        wanted_nodes(bench.graph, {"nosuch"})


class Small(Number):
    """One row per number, and none above 5."""

    value: float = column("a number", le=5)


def forgiving(value: pl.DataFrame, scope: Scope) -> CheckOutcome:
    """Another check of the same name: what the first one said counts no more."""
    return CheckOutcome(name="small", blocking=True, passed=True, description="anything goes")


def test_a_mended_check_looks_again_at_what_the_old_one_refused_and_nothing_is_computed_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, largest=5.0)
    bench.run("source")
    bench.run("trained", Partition("iid", 10))
    assert bench.state("trained", Partition("iid", 10)) == "refused"
    source, train, total = bench.graph.nodes
    mended = replace(train, outs=(Out(name="trained", checks=(("small", True, forgiving),)),))
    bench.graph = Graph(STUDY, (source, mended, total), bench.tables)
    assert bench.state("trained", Partition("iid", 10)) == "stale"
    made = list(bench.made)
    assert bench.run("trained", Partition("iid", 10)).success
    assert bench.made == made
    assert bench.state("trained", Partition("iid", 10)) == "current"


def test_a_new_table_model_is_held_against_what_is_stored(bench: Bench) -> None:
    everything(bench)
    made = list(bench.made)
    bench.tables = {**bench.tables, "trained": Small}
    bench.remake_graph()
    assert [bench.state("trained", Partition("iid", seed)) for seed in (2, 10)] == ["stale", "stale"]
    assert bench.run("trained", Partition("iid", 2)).success, "1 + 2 + 1 = 4 fits"
    refused = bench.run("trained", Partition("iid", 10))
    assert not refused.success, "1 + 10 + 1 = 12 does not"
    assert "does not fit Small" in error_of(refused)
    assert bench.made == made
    assert bench.state("trained", Partition("iid", 2)) == "current"


def test_inputs_that_are_made_again_while_a_step_loads_them_stop_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run("source")
    store = bench.workspace.store
    first = store.pointer("source")
    assert first is not None
    bench.source = 5.0
    bench.run("source")
    read = Store.scan

    def scan_the_one_before(self: Store, pointer: Pointer, **given: bool) -> pl.LazyFrame:
        return read(self, first, **given)

    def opened_before(self: TableIOManager) -> dict[str, str]:
        return {"source": first.sha256}

    monkeypatch.setattr(Store, "scan", scan_the_one_before)
    monkeypatch.setattr(TableIOManager, "opened", property(opened_before))
    result = bench.run("trained", Partition("iid", 2))
    assert not result.success
    assert "source was made again while this step was starting" in error_of(result)
    assert store.pointer(bench.graph.path("trained"), "iid", 2) is None


def test_chosen_arms_bring_the_arm_that_judges_them_with_all_its_seeds() -> None:
    graph = graph_of("curriculum_ab")
    chosen = Selection(arms=frozenset({"iid"}), seeds=frozenset({42})).with_judges(graph)
    assert chosen.judges == {"placebo"}
    assert chosen.holds(Partition("placebo", 123)) and chosen.holds(Partition("iid", 42))
    assert not chosen.holds(Partition("iid", 123)) and not chosen.holds(Partition("ramp", 42))
    assert Selection(seeds=frozenset({42})).with_judges(graph).judges == frozenset()


def test_a_truncated_object_is_missing_and_made_again_and_so_is_a_damaged_pointer(bench: Bench) -> None:
    everything(bench)
    store = bench.workspace.store
    pointer = store.pointer("source")
    assert pointer is not None
    path = store.path(pointer.ref)
    path.write_bytes(path.read_bytes()[:-10])
    assert bench.state("source") == "missing"
    assert bench.run("source").success
    assert bench.state("total", Partition("iid")) == "current", "the same rows: nothing that rests on them changed"
    damaged = bench.workspace.folder / "assets" / "source" / "_.json"
    damaged.write_text("{")
    assert bench.state("source") == "missing"
    assert bench.run("source").success
    assert bench.state("total", Partition("iid")) == "current"


def test_a_step_whose_code_is_edited_meanwhile_keeps_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "edited_since", lambda version, function: True)
    result = bench.run("source")
    assert not result.success
    assert "was edited while this step ran" in error_of(result)
    assert bench.workspace.store.pointer("source") is None


def test_plots_are_markdown_in_the_metadata_so_that_the_page_shows_them(bench: Bench) -> None:
    metadata = bench.run("source").asset_materializations_for_node("source")[0].metadata
    assert isinstance(metadata["plot"], dg.MarkdownMetadataValue)
    assert metadata["size"].value == 1
