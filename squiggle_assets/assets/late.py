"""What is not current, in words: which partition, since which cause, and so what not to trust.

Here: the first partition of some tables that is late, with the partition that is the cause. Not here: states themselves
(assets.states), what to do about them (running.plan), refusing to work on them (assets.factory, assets.sql).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from io_managers.store import Store
from squiggle_assets.assets.identity import State, pointer_of
from squiggle_assets.assets.node import Graph, Partition
from squiggle_assets.assets.states import States
from squiggle_assets.science.spec import Profile
from squiggle_assets.science.waves import Roster

_OWN = {
    "stale": "its inputs, its parameters or its code changed since",
    "missing": "it, or something that is made together with it, is not there",
    "refused": "a blocking check failed",
}


@dataclass(frozen=True, kw_only=True)
class Late:
    """A partition that is not current."""

    study: str
    asset: str
    at: Partition
    state: State
    why: str
    """The cause as far back as there is one: a partition that rests only on current ones."""

    def __str__(self) -> str:
        """Asset [arm|seed] of study is state: cause."""
        return f"{self.asset} [{self.at}] of {self.study} is {self.state}: {self.why}"


def late_at(graph: Graph, states: States, roster: Roster, asset: str, at: Partition) -> Late | None:
    """Whether and why one partition of an asset is not current."""
    node, state = graph.makers[asset], states.of(graph.makers[asset], at)
    if state == "current":
        return None
    name, where = asset, at
    while (cause := _behind(graph, states, roster, name, where)) is not None:
        name, where = cause
    own = states.own(graph.makers[name], where)
    why = _OWN[own] if (graph.makers[name], where) == (node, at) else f"{name} [{where}] is {own}"
    return Late(study=graph.study.name, asset=asset, at=at, state=state, why=why)


def _behind(graph: Graph, states: States, roster: Roster, asset: str, at: Partition) -> tuple[str, Partition] | None:
    node = graph.makers[asset]
    for entry in node.inputs.values():
        for fed in graph.feeds(node, entry, at, roster):
            if states.of(graph.makers[entry.asset], fed) != "current":
                return entry.asset, fed
    return None


def first_late(graph: Graph, profile: Profile, roster: Roster, store: Store, assets: Collection[str]) -> Late | None:
    """The first partition of these assets that is not current; None if all are.

    A study of which nothing was made is not late: it has no rows. Nor are the shared assets before anything of the
    study or of them was made. Names that the study does not make are passed over.
    """
    states = States(graph, profile, roster, store)
    begun = {shared: _begun(graph, roster, store, shared=shared) for shared in (False, True)}
    for asset in assets:
        node = graph.makers.get(asset)
        if node is None or not begun[node.grain == "shared"]:
            continue
        for at in graph.partitions(node, roster):
            found = late_at(graph, states, roster, asset, at)
            if found is not None:
                return found
    return None


def _begun(graph: Graph, roster: Roster, store: Store, *, shared: bool) -> bool:
    """Whether anything of the study was made; shared: or of what all studies stand on."""
    return any(
        pointer_of(store, graph.path(asset), at) is not None
        for asset, node in graph.makers.items()
        if shared or node.grain != "shared"
        for at in graph.partitions(node, roster)
    )
