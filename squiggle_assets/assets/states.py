"""Where partitions stand, with all that they rest on: nothing is made from what is itself out of date.

Here: states over a graph, remembered for one look. Not here: identities (assets.identity), tasks (running.plan).
"""

from __future__ import annotations

from collections.abc import Iterator

from io_managers.store import Store
from squiggle_assets.assets.identity import State, state
from squiggle_assets.assets.node import Graph, Node, Partition, Scope
from squiggle_assets.science.spec import Profile
from squiggle_assets.science.waves import Roster


class States:
    """One look at a workspace; make another after anything was made."""

    def __init__(self, graph: Graph, profile: Profile, roster: Roster, store: Store) -> None:
        self._graph, self._profile, self._roster, self._store = graph, profile, roster, store
        self._own: dict[tuple[str, Partition], State] = {}
        self._behind: dict[tuple[str, Partition], str | None] = {}

    def own(self, node: Node, at: Partition) -> State:
        """State of a partition against its inputs as they are now, whatever those rest on."""
        key = (node.name, at)
        if key not in self._own:
            num_seeds = len(self._roster.of(node.wave))
            scope = Scope(study=self._graph.study, profile=self._profile, partition=at, num_seeds=num_seeds)
            self._own[key] = state(self._graph, node, scope, self._roster, self._store)
        return self._own[key]

    def behind(self, node: Node, at: Partition) -> str | None:
        """The first input of a partition, near or far, that is not current, in words; None if all are."""
        key = (node.name, at)
        if key not in self._behind:
            self._behind[key] = next(self._reasons(node, at), None)
        return self._behind[key]

    def of(self, node: Node, at: Partition) -> State:
        """State of a partition with all it rests on: current only if that is current too."""
        own = self.own(node, at)
        return "stale" if own == "current" and self.behind(node, at) is not None else own

    def _reasons(self, node: Node, at: Partition) -> Iterator[str]:
        for entry in node.inputs.values():
            maker = self._graph.makers[entry.asset]
            for fed in self._graph.feeds(node, entry, at, self._roster):
                own = self.own(maker, fed)
                if own != "current":
                    yield f"{entry.asset} [{fed}] is {own}"
                deeper = self.behind(maker, fed)
                if deeper is not None:
                    yield deeper
