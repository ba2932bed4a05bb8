"""`squiggle doctor`: is this machine and this workspace fit to run, and if not, what to do.

Here: one row per question. Not here: mending anything but what is always mended: by starting up
(resources.instance), and by reading, which sets damaged objects aside (io_managers.store).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from squiggle_assets.workspace import Workspace

_LEAST_FREE = 10 * 2**30
_CORE = ("dagster", "duckdb", "pandera", "polars", "pyarrow", "torch", "transformers", "peft")
_FORBIDDEN = ("torchvision", "torchaudio")

Row = dict[str, Any]


def _row(question: str, ok: bool, found: object, advice: str) -> Row:
    return {"check": question, "ok": ok, "found": str(found), "advice": "" if ok else advice}


def _devices(workspace: Workspace) -> Row:
    from resources.compute import Compute
    from resources.devices import visible_gpus

    gpus = visible_gpus()
    slots = Compute(workspace.locks, num_workers=workspace.settings.workers).num_slots
    found = f"{len(gpus)} GPUs" if gpus else f"no GPU: {slots} one-thread workers"
    return _row("devices", True, found, "")


def _disk(workspace: Workspace) -> Row:
    free = workspace.free_bytes
    return _row(
        "disk",
        free >= _LEAST_FREE,
        f"{free / 2**30:.0f} GiB free",
        "a demo needs about 10 GiB: point SQUIGGLE_DATA_ROOT",
    )


def _packages(workspace: Workspace) -> Row:
    missing, present = [], []
    for name in (*_CORE, *_FORBIDDEN):
        try:
            version(name)
            present.append(name)
        except PackageNotFoundError:
            missing.append(name)
    bad = [name for name in _CORE if name in missing] + [name for name in _FORBIDDEN if name in present]
    return _row("packages", not bad, bad or "all there", "`make install` sets up what constraints.txt pins")


def _settings(workspace: Workspace) -> Row:
    from resources.instance import dagster_yaml

    path = workspace.home / "dagster.yaml"
    same = path.exists() and path.read_text(encoding="utf-8") == dagster_yaml()
    return _row("dagster.yaml", same, path, "it differs from the project's: slots of killed steps may never be freed")


def _pools(workspace: Workspace) -> Row:
    from resources.compute import Compute
    from squiggle_assets.running.session import POOL, open_workspace_instance

    with open_workspace_instance(workspace) as instance:
        limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    slots = Compute(workspace.locks, num_workers=workspace.settings.workers).num_slots
    return _row(
        "pool", limits.get(POOL) == slots, f"{POOL}: {limits.get(POOL)} of {slots}", "start any squiggle command"
    )


def _leftovers(workspace: Workspace) -> Row:
    swept = workspace.store.sweep() if workspace.root.exists() else []
    return _row("leftovers", True, f"removed {len(swept)} files of killed writers", "")


def _stored(workspace: Workspace) -> Row:
    from io_managers.pointers import DamagedError
    from squiggle_assets.assets.sql import models
    from squiggle_assets.definitions import graph_of
    from squiggle_assets.running.session import run_command
    from squiggle_assets.studies import STUDIES

    graphs = [graph_of(name, workspace.profile) for name in STUDIES]
    paths = [graph.path(asset) for graph in graphs for asset in graph.makers] + [model.name for model in models()]
    damaged, num, hurt = [], 0, set()
    for path in dict.fromkeys(paths):
        try:
            pointers = workspace.store.pointers(path)
        except DamagedError as error:
            damaged.append(str(error))
            hurt.add(path.partition("/")[0])
            continue
        for pointer in pointers:
            num += 1
            open_it = workspace.store.table_path if pointer.ref.kind == "table" else workspace.store.open_handle
            try:
                open_it(pointer, allow_blocked=True)
            except DamagedError as error:
                damaged.append(str(error))
                hurt.add(path.partition("/")[0])
                # Reading sets the object aside; this does so too where its reference is what is broken.
                workspace.store.find(pointer.ref.object_id, pointer.ref.name)
    found = damaged[0] if damaged else f"{num} partitions whole"
    # What belongs to no study is made again with any of them.
    concerned = [name for name in STUDIES if name in hurt] or list(STUDIES)[:1]
    commands = " and ".join(f"`{run_command(workspace, name)}`" for name in concerned)
    return _row("stored files", not damaged, found, f"{len(damaged)} damaged, set aside: {commands} makes them again")


_CHECKS: tuple[Callable[[Workspace], Row], ...] = (_devices, _disk, _packages, _pools, _settings, _leftovers, _stored)


def examine(workspace: Workspace) -> list[Row]:
    """Every check, each with what was found and what to do about it."""
    return [check(workspace) for check in _CHECKS]
