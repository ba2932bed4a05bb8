"""What has to be made, from the pointers alone.

Here: states of partitions and tasks of one stage. Not here: making them (running.engine, running.worker).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from io_managers.store import Store
from squiggle_assets.assets.node import Graph, Node, Partition
from squiggle_assets.assets.states import States
from squiggle_assets.science.spec import Profile
from squiggle_assets.science.waves import Roster

GRAINS = ("shared", "study", "arm", "run")


@dataclass(frozen=True, kw_only=True)
class Task:
    """Nodes of one stage at one partition: one Dagster run."""

    study: str
    stage: int
    nodes: tuple[str, ...]
    assets: tuple[tuple[str, ...], ...]
    """Asset keys to materialise."""
    grain: str
    partition: Partition

    def __str__(self) -> str:
        """node+node [arm|seed]."""
        return f"{'+'.join(self.nodes)} [{self.partition}]"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a person asked for; None = everything."""

    arms: frozenset[str] | None = None
    seeds: frozenset[int] | None = None
    assets: frozenset[str] | None = None
    """Asset names with everything they need."""
    judges: frozenset[str] = frozenset()
    """Arms that the chosen ones are judged by: all their seeds are made too."""

    def with_judges(self, graph: Graph) -> Selection:
        """The same, with the arms that nodes look at whatever their own arm is (the placebo's baselines)."""
        if self.arms is None:
            return self
        nodes = wanted_nodes(graph, self.assets)
        fixed = {entry.arm for node in nodes for entry in node.inputs.values() if entry.arm is not None}
        return replace(self, judges=frozenset(fixed - self.arms))

    def holds(self, node: Node, at: Partition) -> bool:
        """Whether a partition is within the chosen arms and seeds.

        What was asked for by name is made of the chosen arms only: judging needs what it stands on.
        """
        asked = self.assets is not None and any(out.name in self.assets for out in node.outs)
        if at.arm in self.judges and not asked:
            return True
        return (self.arms is None or at.arm is None or at.arm in self.arms) and (
            self.seeds is None or at.seed is None or at.seed in self.seeds
        )


def wanted_nodes(graph: Graph, selected: Collection[str] | None) -> tuple[Node, ...]:
    """Nodes to consider in order: the default ones, or the selected with all they stand on.

    ValueError names an asset that no node makes and lists those there are.
    """
    if selected is None:
        return tuple(node for node in graph.ordered if not node.exclude_by_default)
    unknown = sorted(set(selected) - set(graph.makers))
    if unknown:
        raise ValueError(f"study {graph.study.name} has no asset {unknown}; there are {sorted(graph.makers)}")
    needed: set[str] = set()
    todo = [graph.makers[name] for name in selected]
    while todo:
        node = todo.pop()
        if node.name not in needed:
            needed.add(node.name)
            todo += [graph.makers[entry.asset] for entry in node.inputs.values()]
    return tuple(node for node in graph.ordered if node.name in needed)


def stage_tasks(
    graph: Graph,
    nodes: Sequence[Node],
    stage: int,
    profile: Profile,
    roster: Roster,
    store: Store,
    selection: Selection,
) -> tuple[list[Task], list[tuple[str, str]]]:
    """Tasks of one stage that are due now, and what cannot be done ((what, why)).

    A node behind a node of the same task is always taken along: whether it changes is known only afterwards,
    and an unchanged one costs a pointer. The control arms come first: later stages of all arms rest on them.
    """
    here = [node for node in nodes if graph.stages[node.name] == stage]
    states = States(graph, profile, roster, store)
    tasks: list[Task] = []
    stuck: list[tuple[str, str]] = []
    first = {"placebo": 0, "baseline": 1}
    alike: dict[tuple[str, str], list[Node]] = {}
    for node in here:
        alike.setdefault((node.grain, node.wave), []).append(node)
    for (grain, _), mine in sorted(alike.items(), key=lambda item: GRAINS.index(item[0][0])):
        for at in graph.partitions(mine[0], roster):
            due, blocked = _due(graph, [node for node in mine if selection.holds(node, at)], at, states)
            stuck += [(f"{node.name} [{at}]", why) for node, why in blocked]
            if due:
                keys = tuple(graph.key(out.name) for node in due for out in node.outs)
                names = tuple(node.name for node in due)
                tasks.append(
                    Task(study=graph.study.name, stage=stage, nodes=names, assets=keys, grain=grain, partition=at)
                )
    roles = {arm.name: first.get(arm.role, 2) for arm in graph.study.arms}
    tasks.sort(key=lambda task: roles.get(task.partition.arm or "", 0))
    return tasks, stuck


def owed(
    graph: Graph,
    nodes: Sequence[Node],
    profile: Profile,
    roster: Roster,
    store: Store,
    selection: Selection,
) -> list[str]:
    """What was asked for and is not there although all that it rests on is, as 'node [partition]'.

    Whatever else is not there waits: for one of these, or for something that was not asked for.
    """
    states = States(graph, profile, roster, store)
    return [
        f"{node.name} [{at}]"
        for node in nodes
        for at in graph.partitions(node, roster)
        if selection.holds(node, at) and states.own(node, at) != "current" and states.behind(node, at) is None
    ]


def _due(
    graph: Graph, nodes: Sequence[Node], at: Partition, states: States
) -> tuple[list[Node], list[tuple[Node, str]]]:
    due: list[Node] = []
    blocked: list[tuple[Node, str]] = []
    for node in nodes:
        makers = [graph.makers[entry.asset] for entry in node.inputs.values()]
        if any(maker in due for maker in makers):
            due.append(node)
            continue
        behind, found = states.behind(node, at), states.own(node, at)
        if behind is not None:
            blocked.append((node, behind))
        elif found in ("missing", "stale"):
            due.append(node)
        elif found == "refused":
            blocked.append((node, "a blocking check failed"))
    return due, blocked
