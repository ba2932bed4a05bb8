"""A small graph of real Dagster assets over a real store, for the tests of factory and plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from io_managers.tables import table_io_manager
from partitions.dimensions import run_key
from partitions.rosters import add_seeds
from resources.settings import Settings
from squiggle_assets.assets.factory import assets_of
from squiggle_assets.assets.node import NOWHERE, Graph, Input, Node, Out, Partition, Scope
from squiggle_assets.assets.states import States
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

    def __init__(
        self, root: Path, *, offset: float = 1.0, largest: float = 1e9, spec_rows: tuple[str, ...] = ()
    ) -> None:
        self.roster = Roster((2, 10))
        self.spec_rows = spec_rows
        self.made: list[str] = []
        self.cleaned: list[str] = []
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
            cleanup=lambda step: self.cleaned.append(step.node.name),
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
            spec_rows=self.spec_rows,
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
        return States(self.graph, self.workspace.profile, self.roster, self.workspace.store).of(node, at)

    def value(self, asset: str, at: Partition = NOWHERE) -> float:
        pointer = self.workspace.store.pointer(self.graph.path(asset), at.arm, at.seed)
        assert pointer is not None
        return float(self.workspace.store.read(pointer, allow_blocked=True)["value"][0])


def error_of(result: dg.ExecuteInProcessResult) -> str:
    failures = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    return str(failures[0].event_specific_data.error)  # type: ignore[union-attr]


def everything(bench: Bench, arm: str = "iid") -> None:
    assert bench.run("source").success
    for seed in (2, 10):
        assert bench.run("trained", Partition(arm, seed)).success
    assert bench.run("total", Partition(arm)).success
