"""What an asset is before Dagster: grain, inputs, parameters, code, one compute function.

Here: Node, its parts, and the Graph that orders nodes and says which partitions feed which.
Not here: Dagster objects (assets.factory), identities of what is in the store (assets.identity), any science.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, Literal, NamedTuple

from squiggle_assets.schemas.base import Table
from squiggle_assets.schemas.handles import CheckOutcome
from squiggle_assets.schemas.tables import TABLES
from squiggle_assets.science.source import code_version
from squiggle_assets.science.spec import Profile, Study
from squiggle_assets.science.waves import Roster

Grain = Literal["shared", "study", "arm", "run"]
"""In a later wave 'arm' is a follow-up arm and 'run' a replay."""
Load = Literal["scan", "frame", "handle", "handles"]


class Partition(NamedTuple):
    """Where in a study: both None for shared and study grain, seed None for arm grain."""

    arm: str | None = None
    seed: int | None = None

    def __str__(self) -> str:
        """arm|seed, as Dagster writes it; '-' where there is no partition."""
        return "|".join(str(part) for part in self if part is not None) or "-"


NOWHERE = Partition()
"""The one partition of what has none."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a node may know: its study, the sizes, and which partition it is."""

    study: Study
    profile: Profile
    partition: Partition = NOWHERE
    num_seeds: int = 0
    """Registered seeds of the node's wave when the step started."""

    @property
    def arm(self) -> str:
        """The arm's name; AttributeError for a node without one."""
        if self.partition.arm is None:
            raise AttributeError("this node has no arm")
        return self.partition.arm

    @property
    def seed(self) -> int:
        """The seed; AttributeError for a node without one."""
        if self.partition.seed is None:
            raise AttributeError("this node has no seed")
        return self.partition.seed


@dataclass(frozen=True, kw_only=True)
class Input:
    """One argument of a node's compute function."""

    asset: str
    """Name of the table or handle; <wave>/<name> for one of a later wave."""
    load: Load = "scan"
    """scan: LazyFrame over one or many partitions; frame: DataFrame; handle: one Handle;
    handles: dict 'arm|seed' -> Handle."""
    arm: str | None = None
    """Only this arm's partition, whatever the node's own; None = the matching ones."""


Check = Callable[[Any, Scope], CheckOutcome]


@cache
def _code_version(function: Callable[..., Any]) -> str:
    return code_version(function)


@dataclass(frozen=True, kw_only=True)
class Out:
    """One table or handle that a node makes."""

    name: str
    """Table or handle; <wave>/<name> in a later wave."""
    kind: Literal["table", "handle"] = "table"
    description: str = ""
    checks: tuple[tuple[str, bool, Check], ...] = ()
    """(name, blocking, function of (value, scope))."""
    tags: tuple[str, ...] = ()
    """Dagster kinds beside the storage format."""

    @property
    def short(self) -> str:
        """The name without its wave: the key in what compute returns, and the name of the table's model."""
        return self.name.rpartition("/")[2]

    @property
    def check_versions(self) -> dict[str, str]:
        """Check -> code version: an outcome of another version says nothing about what is there."""
        return {name: _code_version(check) for name, _, check in self.checks}


@dataclass(frozen=True, kw_only=True)
class Node:
    """One step of the graph."""

    name: str
    outs: tuple[Out, ...]
    grain: Grain
    compute: Callable[..., Mapping[str, Any]]
    """(step, **inputs) -> {output's short name: frame | HandleDraft | None}; None: a sink already stored it."""
    inputs: Mapping[str, Input] = field(default_factory=dict)
    params: Callable[[Scope], Any] = lambda scope: None
    """Everything beside inputs and code that the result depends on, as plain JSON."""
    spec: Callable[[Scope, Mapping[str, str], Mapping[str, Any]], Any] | None = None
    """Own identity instead of the general one: (scope, input sha256s, one-row inputs) -> canonical spec, to which the
    code version is added. Runs have one, so that the same run is found from another arm or study."""
    spec_rows: tuple[str, ...] = ()
    """Inputs whose first row the spec needs."""
    group: str = "study"
    wave: str = ""
    """'' (discovery), 'followup' or 'confirmation': which arms and seeds the partitions are."""
    pool: str | None = None
    figures: Callable[[Mapping[str, Any], Scope], Mapping[str, Any]] | None = None
    """(outputs, scope) -> extra metadata: numbers or markdown plots."""
    exclude_by_default: bool = False
    """Not part of `squiggle run STUDY` unless selected (single-run reports)."""
    before_spending: bool = False
    """Made and shown before anything else of a study is begun (what the design can show)."""
    cleanup: Callable[[Any], None] | None = None
    """(step) -> None, called when every output is stored: work that a kill before that still needs."""

    @property
    def code_version(self) -> str:
        """Of everything of this project that the compute function stands on; nothing has to be listed by hand."""
        return _code_version(self.compute)

    def out(self, name: str) -> Out:
        """The output of that name."""
        return next(out for out in self.outs if out.name == name)


def in_wave(nodes: Sequence[Node], wave: str) -> tuple[Node, ...]:
    """The same nodes once more in a later wave: what they make among themselves they also read there."""
    own = {out.name for node in nodes for out in node.outs}

    def moved(node: Node) -> Node:
        inputs = {
            argument: replace(entry, asset=f"{wave}/{entry.asset}") if entry.asset in own else entry
            for argument, entry in node.inputs.items()
        }
        outs = tuple(replace(out, name=f"{wave}/{out.name}") for out in node.outs)
        return replace(node, name=f"{wave}/{node.name}", outs=outs, inputs=inputs, wave=wave)

    return tuple(moved(node) for node in nodes)


@dataclass(frozen=True)
class Graph:
    """The nodes of one study, with the shared ones it stands on."""

    study: Study
    nodes: tuple[Node, ...]
    tables: Mapping[str, type[Table]] = field(default_factory=lambda: TABLES)
    """Table -> model."""

    def __post_init__(self) -> None:
        """Refuse two makers of one asset and inputs that nobody makes."""
        made = [out.name for node in self.nodes for out in node.outs]
        twice = sorted({name for name in made if made.count(name) > 1})
        if twice:
            raise ValueError(f"study {self.study.name}: made twice: {twice}")
        for node in self.nodes:
            for entry in node.inputs.values():
                if entry.asset not in made:
                    raise ValueError(f"study {self.study.name}: {node.name} needs {entry.asset!r}, which no node makes")

    @cached_property
    def makers(self) -> dict[str, Node]:
        """Asset name -> node."""
        return {out.name: node for node in self.nodes for out in node.outs}

    def key(self, asset: str) -> tuple[str, ...]:
        """Asset key parts: shared ones stand alone, the others under their study."""
        return (asset,) if self.makers[asset].grain == "shared" else (self.study.name, *asset.split("/"))

    def path(self, asset: str) -> str:
        """Asset key joined by '/', as the store writes it."""
        return "/".join(self.key(asset))

    @cached_property
    def ordered(self) -> tuple[Node, ...]:
        """Nodes, makers before users; ValueError on a cycle."""
        done: list[Node] = []
        visiting: set[str] = set()

        def visit(node: Node) -> None:
            if node in done:
                return
            if node.name in visiting:
                raise ValueError(f"study {self.study.name}: cycle through {node.name}")
            visiting.add(node.name)
            for entry in node.inputs.values():
                visit(self.makers[entry.asset])
            done.append(node)

        for node in self.nodes:
            visit(node)
        return tuple(done)

    @cached_property
    def stages(self) -> dict[str, int]:
        """Node name -> stage. Nodes of one stage and grain can run together, partition by partition."""
        stage: dict[str, int] = {}
        for node in self.ordered:
            above = [0 if node.before_spending else 1]
            for entry in node.inputs.values():
                maker = self.makers[entry.asset]
                together = maker.grain == node.grain and maker.wave == node.wave and entry.arm is None
                above.append(stage[maker.name] + (0 if together else 1))
            stage[node.name] = max(above)
        return stage

    def arms(self, wave: str) -> tuple[str, ...]:
        """Names of a wave's arms, in the study's order."""
        return tuple(arm.name for arm in (self.study.followups if wave else self.study.arms))

    def partitions(self, node: Node, roster: Roster) -> Iterator[Partition]:
        """Every partition of a node: arms in the study's order, seeds in the roster's."""
        if node.grain in ("shared", "study"):
            yield Partition()
        elif node.grain == "arm":
            yield from (Partition(arm) for arm in self.arms(node.wave))
        else:
            yield from (Partition(arm, seed) for arm in self.arms(node.wave) for seed in roster.of(node.wave))

    def feeds(self, node: Node, entry: Input, at: Partition, roster: Roster) -> tuple[Partition, ...]:
        """Which partitions of an input a partition of a node rests on, sorted by arm order and seed."""
        maker = self.makers[entry.asset]
        if maker.grain in ("shared", "study"):
            return (Partition(),)
        arm = entry.arm if entry.arm is not None else at.arm
        if arm is not None and entry.arm is None and node.wave and not maker.wave:
            arm = self.study.followup(arm).parent
        arms = self.arms(maker.wave) if arm is None else (arm,)
        if maker.grain == "arm":
            return tuple(Partition(name) for name in sorted(arms))
        chosen = [at.seed] if node.grain == "run" and entry.arm is None else sorted(roster.of(maker.wave))
        return tuple(Partition(name, seed) for name in sorted(arms) for seed in chosen)
