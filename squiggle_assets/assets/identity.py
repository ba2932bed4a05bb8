"""Which object a node's partition must be: the identity of everything in the store.

Here: input references, object ids, origins, and the state of a partition (missing, stale, refused, current).
Not here: making anything (assets.factory) or choosing what to make (run_plan).
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from io_managers.gate import schema_sha256
from io_managers.pointers import DamagedError, Pointer
from io_managers.store import BlockedError, Store
from squiggle_assets.assets.node import Graph, Node, Out, Partition, Scope
from squiggle_assets.schemas.handles import Origin
from squiggle_assets.science.canonical import sha256_json
from squiggle_assets.science.waves import Roster

_LOG = logging.getLogger("squiggle.identity")

State = Literal["current", "stale", "missing", "refused", "waiting"]


class MissingInputError(LookupError):
    """An input that a step needs has not been made."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a partition of a node is, before it is made."""

    object_id: str
    config: Any
    """The canonical spec the id is the hash of."""
    code_version: str
    inputs: Mapping[str, str]
    """'key/arm/seed' -> sha256."""


@cache
def library_versions(*, torch: bool) -> Mapping[str, str]:
    """Versions of the libraries that shape numbers: another one may give others. torch: those of training too.

    Without the build ('+cpu'): the same version on another device is meant to be the same run.
    """
    always = ("datasketch", "numpy", "polars", "scipy", "statsmodels", "tokenizers")
    training = ("peft", "torch", "transformers") if torch else ()
    return {name: metadata.version(name).partition("+")[0] for name in (*always, *training)}


@cache
def git_state() -> tuple[str | None, bool | None]:
    """(commit, dirty) of the checkout this code runs from; (None, None) outside one."""
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def _name(graph: Graph, asset: str, at: Partition) -> str:
    return "/".join([graph.path(asset), *(str(part) for part in at if part is not None)])


def pointer_of(store: Store, asset: str, at: Partition) -> Pointer | None:
    """The partition's pointer; None also where its file is damaged: making the partition writes it again."""
    try:
        return store.pointer(asset, at.arm, at.seed)
    except DamagedError as error:
        _LOG.warning("%s; taken as missing", error)
        return None


def input_pointers(
    graph: Graph, node: Node, at: Partition, roster: Roster, store: Store
) -> dict[str, list[tuple[str, Pointer | None]]]:
    """Argument -> [(name of the partition, its pointer or None)] for everything a partition rests on."""
    found: dict[str, list[tuple[str, Pointer | None]]] = {}
    for argument, entry in node.inputs.items():
        found[argument] = [
            (_name(graph, entry.asset, p), pointer_of(store, graph.path(entry.asset), p))
            for p in graph.feeds(node, entry, at, roster)
        ]
    return found


def identify(graph: Graph, node: Node, scope: Scope, roster: Roster, store: Store) -> Identity:
    """The identity of one partition of a node; MissingInputError names every input that is not there."""
    pointers = input_pointers(graph, node, scope.partition, roster, store)
    absent = [name for pairs in pointers.values() for name, pointer in pairs if pointer is None]
    if absent:
        shown = ", ".join(absent[:8]) + (f" and {len(absent) - 8} more" if len(absent) > 8 else "")
        raise MissingInputError(f"{node.name} [{scope.partition}] needs {shown}: not made yet")
    present = {argument: [(n, p) for n, p in pairs if p is not None] for argument, pairs in pointers.items()}
    shas = {argument: [pointer.sha256 for _, pointer in pairs] for argument, pairs in present.items()}
    version = node.code_version
    libraries = library_versions(torch=node.pool is not None)
    if node.spec is not None:
        rows = {name: _first_row(store, *present[name][0]) for name in node.spec_rows}
        config = node.spec(scope, {argument: value[0] for argument, value in shas.items()}, rows)
        config = {"code_version": version, "libraries": libraries, **config}
    else:
        config = {
            "node": node.name,
            "code_version": version,
            "libraries": libraries,
            "params": node.params(scope),
            "partition": list(scope.partition),
            "study": None if node.grain == "shared" else graph.study.name,
            "inputs": shas,
        }
    return Identity(
        object_id=sha256_json(config)[:32],
        config=config,
        code_version=version,
        inputs={name: pointer.sha256 for pairs in present.values() for name, pointer in pairs},
    )


def _first_row(store: Store, name: str, pointer: Pointer) -> dict[str, Any]:
    try:
        return store.read(pointer).row(0, named=True)
    except (DamagedError, BlockedError) as error:
        raise MissingInputError(f"{name} cannot be read: {error}") from None


def origin(graph: Graph, asset: str, identity: Identity, scope: Scope, dagster_run_id: str | None) -> Origin:
    """The origin that is written beside and into everything a step makes."""
    commit, dirty = git_state()
    return Origin(
        asset=graph.path(asset),
        arm=scope.partition.arm,
        seed=scope.partition.seed,
        object_id=identity.object_id,
        code_version=identity.code_version,
        config_hash=sha256_json(identity.config),
        inputs=identity.inputs,
        profile=scope.profile.name,
        git_commit=commit,
        git_dirty=dirty,
        dagster_run_id=dagster_run_id,
    )


def state(graph: Graph, node: Node, scope: Scope, roster: Roster, store: Store) -> State:
    """Where one partition of a node stands, from pointers alone.

    current: every output points at the object it should be, and that is there. stale: it points at another one (an
    input, a parameter or the code changed), or what it points at was judged by other checks or another table model than
    there are now. refused: current, but a blocking check failed. waiting: an input is absent.
    """
    at = scope.partition
    mine = [pointer_of(store, graph.path(out.name), at) for out in node.outs]
    try:
        wanted = identify(graph, node, scope, roster, store).object_id
    except MissingInputError:
        return "waiting" if all(p is None for p in mine) else "stale"
    if any(pointer is None or not store.looks_whole(pointer.ref) for pointer in mine):
        return "missing"
    if any(pointer is not None and pointer.origin.object_id != wanted for pointer in mine):
        return "stale"
    if any(p is not None and not _judged(graph, out, p) for out, p in zip(node.outs, mine, strict=True)):
        return "stale"
    failed = [check.name for p in mine if p is not None for check in p.blocking_failures]
    return "refused" if failed else "current"


def _judged(graph: Graph, out: Out, pointer: Pointer) -> bool:
    """Whether the checks and the table model of now are those that looked at what the pointer points at."""
    if {check.name: check.version for check in pointer.checks} != out.check_versions:
        return False
    model = graph.tables.get(out.short) if out.kind == "table" else None
    return model is None or pointer.ref.schema_sha256 == schema_sha256(model)
