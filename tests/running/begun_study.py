"""A small study on a store of its own, filled without Dagster: source -> trained (runs) -> claims, run_report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg

from partitions.rosters import add_seeds, registered_seeds
from resources.settings import Settings
from squiggle_assets.assets.identity import identify, origin
from squiggle_assets.assets.node import NOWHERE, Graph, Input, Node, Out, Partition, Scope
from squiggle_assets.running.session import Session
from squiggle_assets.schemas.base import Table, column, frame
from squiggle_assets.schemas.handles import CheckOutcome, HandleDraft
from squiggle_assets.science.waves import Roster
from squiggle_assets.studies import study
from squiggle_assets.workspace import Workspace

STUDY = study("curriculum_ab")
ARMS = [arm.name for arm in STUDY.arms]
SEEDS = (2, 10)


class Number(Table):
    """One row per number."""

    value: float = column("a number")


class Claims(Table):
    """One row per claim."""

    claim: str = column("claim")
    verdict: str = column("verdict")


TABLES: dict[str, type[Table]] = {"source": Number, "trained": Number, "claims": Claims}
ROWS: dict[str, list[dict[str, Any]]] = {"claims": [{"claim": "a", "verdict": "supported"}]}


def small(value: Any, scope: Scope) -> CheckOutcome:
    raise AssertionError("outcomes are given here, never computed")


def compute(step: Any, **inputs: Any) -> dict[str, Any]:
    raise AssertionError("nothing is computed here")


class SmallStudy:
    """Its partitions are put where they belong, under the identity that they have at that moment."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.source = 1.0
        self.instance = instance
        add_seeds(STUDY, self.instance, SEEDS)
        self.workspace = Workspace(Settings(data_root=root, profile="test"))
        self.store = self.workspace.store
        trained = Input(asset="trained")
        nodes = (
            Node(
                name="source",
                grain="shared",
                outs=(Out(name="source"),),
                params=lambda scope: self.source,
                compute=compute,
            ),
            Node(
                name="train",
                grain="run",
                inputs={"source": Input(asset="source")},
                outs=(Out(name="trained", checks=(("small", True, small),)),),
                compute=compute,
            ),
            Node(
                name="claims", grain="study", inputs={"trained": trained}, outs=(Out(name="claims"),), compute=compute
            ),
            Node(
                name="run_report",
                grain="run",
                exclude_by_default=True,
                inputs={"trained": trained, "placebo": Input(asset="trained", arm="placebo")},
                outs=(Out(name="run_report", kind="handle"),),
                compute=compute,
            ),
        )
        self.graph = Graph(STUDY, nodes, TABLES)

    @property
    def roster(self) -> Roster:
        return registered_seeds(STUDY, self.instance)

    @property
    def session(self) -> Session:
        return Session(
            workspace=self.workspace, study=STUDY, graph=self.graph, store=self.store, instance=self.instance
        )

    def put(self, asset: str, at: Partition = NOWHERE, *, passed: bool = True) -> None:
        node = self.graph.makers[asset]
        scope = Scope(study=STUDY, profile=self.workspace.profile, partition=at, num_seeds=len(self.roster.seeds))
        identity = identify(self.graph, node, scope, self.roster, self.store)
        made = origin(self.graph, asset, identity, scope, None)
        name = f"{asset}.x"
        if node.out(asset).kind == "handle":
            ref = self.store.put_handle(identity.object_id, name, HandleDraft(files={"report.html": b"page"}), made)
        else:
            rows = ROWS.get(asset, [{"value": self.source}])
            ref = self.store.put_table(identity.object_id, name, frame(TABLES[asset], rows), TABLES[asset], made)
        versions = node.out(asset).check_versions
        outcome = CheckOutcome(name="small", passed=passed, blocking=True, description="given")
        checks = tuple(replace(outcome, name=check, version=version) for check, version in versions.items())
        self.store.point(self.graph.path(asset), at.arm, at.seed, ref, made, checks)

    def put_runs(self, *arms: str) -> None:
        for arm in arms:
            for seed in self.roster.seeds:
                self.put("trained", Partition(arm, seed))

    def put_everything(self) -> None:
        self.put("source")
        self.put_runs(*ARMS)
        self.put("claims")
