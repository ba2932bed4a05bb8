"""An open workspace: store, instance and graph of one study, ready to run, list or show.

Here: bringing the parts together for the command line. Not here: what any command prints (cli).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from io_managers.store import Store
from squiggle_assets.assets.node import NOWHERE, Graph, Partition
from squiggle_assets.science.spec import Profile, Study
from squiggle_assets.science.waves import Roster
from squiggle_assets.workspace import Workspace

if TYPE_CHECKING:
    import dagster as dg

    from squiggle_assets.assets.late import Late

POOL = "gpu"
"""Dagster's pool of device slots; on a machine without GPUs, of one-thread processes."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Everything a command needs to know of one study in one workspace."""

    workspace: Workspace
    study: Study
    graph: Graph
    store: Store
    instance: dg.DagsterInstance

    @property
    def profile(self) -> Profile:
        """The sizes."""
        return self.workspace.profile

    @property
    def roster(self) -> Roster:
        """Registered seeds."""
        from partitions.rosters import registered_seeds

        return registered_seeds(self.study, self.instance)

    def command(self, words: str) -> str:
        """A command as a person has to type it for this workspace."""
        return command(self.workspace, words)

    def marts_are_current(self) -> bool:
        """Whether the SQL models' results are those of the tables of now, over all studies of the workspace."""
        from squiggle_assets.assets.sql import are_current

        return are_current(_all_graphs(self.profile), self.profile, self.store, self.instance)

    def marts_wait_for(self) -> Late | None:
        """A table that the SQL models read and that is not current: they cannot be made before it is."""
        from squiggle_assets.assets import sql

        graphs, names = _all_graphs(self.profile), [model.name for model in sql.models()]
        return sql.late_table(graphs, self.profile, sql.rosters(graphs, self.instance), self.store, names)

    def late(self, asset: str, at: Partition = NOWHERE) -> Late | None:
        """Whether and why a partition of an asset of the study is not current."""
        from squiggle_assets.assets.late import late_at
        from squiggle_assets.assets.states import States

        states = States(self.graph, self.profile, self.roster, self.store)
        return late_at(self.graph, states, self.roster, asset, at)


def _all_graphs(profile: Profile) -> list[Graph]:
    from squiggle_assets.definitions import graph_of
    from squiggle_assets.studies import STUDIES

    return [graph_of(name, profile) for name in STUDIES]


def command(workspace: Workspace, words: str) -> str:
    """A command as a person has to type it for this workspace."""
    typed = ["squiggle", words, "--profile", workspace.settings.profile]
    return " ".join(typed if workspace.items is None else [*typed, "--items", workspace.items])


def run_command(workspace: Workspace, study_name: str) -> str:
    """The command that brings a study up to date in this workspace."""
    return command(workspace, f"run {study_name}")


@contextmanager
def open_workspace_instance(workspace: Workspace) -> Iterator[dg.DagsterInstance]:
    """The workspace's Dagster instance: home prepared, pools set, dead runs reaped, every roster in step."""
    from partitions.rosters import sync
    from resources.compute import Compute
    from resources.instance import open_instance
    from squiggle_assets.studies import STUDIES

    os.environ.update(workspace.environment)
    slots = Compute(workspace.locks, num_workers=workspace.settings.workers).num_slots
    with open_instance(workspace.home, workspace.locks, pools={POOL: slots}) as instance:
        for study in STUDIES.values():
            sync(study, workspace.profile, instance)
        yield instance


@contextmanager
def open_session(study_name: str, workspace: Workspace) -> Iterator[Session]:
    """Open a workspace for one study.

    Raises:
        ValueError: no such study, profile, or an unusable setting.
    """
    from squiggle_assets.definitions import graph_of

    graph = graph_of(study_name, workspace.profile)
    with open_workspace_instance(workspace) as instance:
        yield Session(workspace=workspace, study=graph.study, graph=graph, store=workspace.store, instance=instance)
