"""Comparing any runs that are there, whatever study, wave or arm they belong to.

Here: names of runs, their tables, where the report lies. Not here: the numbers (science.run_comparison), the report
(report.comparison_report), making runs (running.engine).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from squiggle_assets.workspace import Workspace

if TYPE_CHECKING:
    from io_managers.pointers import Pointer
    from squiggle_assets.science.run_comparison import ComparedRun

_TABLES = ("run_manifest", "geometry", "events", "scalars")
_NAME = "comparison"


class RunName(NamedTuple):
    """[<study>[/<wave>]/]<arm>:<seed>."""

    study: str
    """Key prefix of the run's tables: study, or study/wave."""
    arm: str
    seed: int

    def __str__(self) -> str:
        """As it is typed."""
        return f"{self.study}/{self.arm}:{self.seed}"


def run_name(text: str) -> RunName:
    """A run from its name; ValueError says how one is written."""
    study, _, rest = text.rpartition("/")
    arm, _, seed = rest.partition(":")
    if not (study and arm and seed.isdigit()):
        raise ValueError(
            f"run {text!r}: a run is STUDY/ARM:SEED, for instance curriculum_ab/iid:42, or STUDY/WAVE/ARM:SEED, for "
            "instance trigger_mining/followup/planted.remove:42"
        )
    return RunName(study, arm, int(seed))


def compare(workspace: Workspace, names: Sequence[str]) -> Path:
    """The comparison of two or more runs as a page; equal runs and code give the page that is there.

    ValueError for a name that is none, for fewer than two runs, for one named twice; LookupError names what is missing
    and the command that makes it.
    """
    from squiggle_assets.report.comparison_report import comparison_report
    from squiggle_assets.schemas.handles import Handle, Origin
    from squiggle_assets.science.canonical import sha256_json
    from squiggle_assets.science.source import code_version

    chosen = [run_name(name) for name in names]
    if len(set(chosen)) != len(chosen) or len(chosen) < 2:
        raise ValueError(f"a comparison is of two or more different runs, got {list(map(str, chosen))}")
    pointers = {name: _pointers(workspace, name) for name in chosen}
    inputs = {
        f"{name.study}/{table}/{name.arm}/{name.seed}": pointer.sha256
        for name, found in pointers.items()
        for table, pointer in found.items()
    }
    version = code_version(comparison_report)
    config = {"comparison": list(map(str, chosen)), "code_version": version, "inputs": inputs}
    object_id = sha256_json(config)[:32]
    store = workspace.store
    ref = store.find(object_id, _NAME)
    if ref is None:
        runs = [_compared(workspace, name, found) for name, found in pointers.items()]
        made: dict[str, Any] = {"profile": workspace.profile.name, "code version": version, "inputs": inputs}
        origin = Origin(
            asset=_NAME,
            arm=None,
            seed=None,
            object_id=object_id,
            code_version=version,
            config_hash=sha256_json(config),
            inputs=inputs,
            profile=workspace.profile.name,
        )
        with store.lock(object_id):
            ref = store.put_handle(object_id, _NAME, comparison_report(runs, made=made), origin)
    found = store.look(ref)
    if not isinstance(found, Handle):
        raise RuntimeError(f"object {object_id} is no handle")
    return found.path / "report.html"


def _pointers(workspace: Workspace, name: RunName) -> dict[str, Pointer]:
    found = {}
    for table in _TABLES:
        pointer = workspace.store.pointer(f"{name.study}/{table}", name.arm, name.seed)
        if pointer is None:
            study = name.study.partition("/")[0]
            raise LookupError(
                f"{name} has no {table} at profile {workspace.profile.name}: `squiggle status {study}` shows what is "
                f"there, `squiggle run {study}` makes what is missing"
            )
        found[table] = pointer
    return found


def _compared(workspace: Workspace, name: RunName, pointers: dict[str, Pointer]) -> ComparedRun:
    from squiggle_assets.science.run_comparison import ComparedRun

    tables = {table: workspace.store.read(pointer) for table, pointer in pointers.items()}
    if tables["run_manifest"].is_empty():
        raise LookupError(f"{name} was not run: nothing was selected for it")
    manifest = tables.pop("run_manifest").row(0, named=True)
    return ComparedRun(name=str(name), manifest=manifest, **tables)
