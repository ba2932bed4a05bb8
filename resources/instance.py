"""The Dagster instance: a home that several processes may open at once, with nothing dead holding it.

Here: first initialisation under a lock, dagster.yaml, pool limits, holding a run, reaping dead runs.
Not here: which assets there are (definitions), the devices behind a pool (compute.py).
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.runs.sqlite import SqliteRunStorage
from dagster._core.storage.tags import GRPC_INFO_TAG

from io_managers import locks
from io_managers.commit import commit_file
from io_managers.processes import is_alive

_UNFINISHED = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
_WORKER_EVENTS = {
    DagsterEventType.ENGINE_EVENT,
    DagsterEventType.RUN_START,
    DagsterEventType.STEP_WORKER_STARTED,
    DagsterEventType.STEP_START,
}
_START_SECONDS = 180.0
"""As start_timeout_seconds in dagster.yaml: a run that named no process for this long has none."""


class Reaped(NamedTuple):
    """A run that was found dead."""

    run_id: str
    status: str
    """What it still claimed to be."""
    why: str


@contextmanager
def open_instance(home: Path, locks_folder: Path, *, pools: Mapping[str, int]) -> Iterator[dg.DagsterInstance]:
    """The instance of this home, initialised, configured, with dead runs reaped.

    Args:
        home: DAGSTER_HOME; made and given the project's dagster.yaml if it has none (a person's own is left alone).
        locks_folder: <data root>/locks.
        pools: pool name -> steps that may be in it at once.
    """
    with dg.DagsterInstance.from_config(str(prepare_home(home, locks_folder))) as instance:
        set_pools(instance, pools)
        reap_dead_runs(instance, locks_folder)
        yield instance


def prepare_home(home: Path, locks_folder: Path) -> Path:
    """Make the home ready to be opened by any number of processes; its absolute path.

    Two processes that open a fresh home at once migrate its databases twice and break it for good, so the first
    opening happens under a lock.
    """
    home = home.absolute()
    with locks.hold(locks_folder / "dagster-home.lock", f"preparing {home}"):
        config = home / "dagster.yaml"
        if not config.exists():
            commit_file(config, dagster_yaml().encode("utf-8"))
        with dg.DagsterInstance.from_config(str(home)) as instance:
            instance.get_runs_count()
            instance.event_log_storage.get_concurrency_keys()
            instance.all_instigator_state()
    return home


def dagster_yaml() -> str:
    """The dagster.yaml that the project ships."""
    return (files("resources") / "dagster.yaml").read_text(encoding="utf-8")


def set_pools(instance: dg.DagsterInstance, pools: Mapping[str, int]) -> None:
    """Set each pool's limit, if it is another one."""
    storage = instance.event_log_storage
    known = {limit.name: limit.limit for limit in storage.get_pool_limits() if not limit.from_default}
    for pool, limit in pools.items():
        if known.get(pool) != limit:
            storage.set_concurrency_slots(pool, limit)


@contextmanager
def hold_run(locks_folder: Path, run_id: str) -> Iterator[None]:
    """Hold the proof that a run's process lives: take it before the run starts, for as long as it lasts."""
    with locks.hold(_run_lock(locks_folder, run_id), f"run {run_id}", timeout=0):
        yield


def reap_dead_runs(instance: dg.DagsterInstance, locks_folder: Path) -> list[Reaped]:
    """Fail every unfinished run whose process is dead, and free the pool slots of every run that is over.

    A run killed inside a pooled step otherwise holds its slot for ever and blocks all later ones. A run is dead if the
    lock it held is free, or, if it held none, if no process that worked on it still runs on this machine. Where that
    cannot be known (a storage shared between machines), it is left alone.
    """
    reaped = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED)):
        why = _why_dead(instance, record, locks_folder)
        if why is None:
            continue
        run = record.dagster_run
        if run.status == DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, f"Reaped at start-up: {why}.")
        else:
            instance.report_run_failed(run, f"Reaped at start-up: {why}.")
        _run_lock(locks_folder, run.run_id).unlink(missing_ok=True)
        reaped.append(Reaped(run.run_id, run.status.value, why))
    storage = instance.event_log_storage
    for run_id in storage.get_concurrency_run_ids():
        held = instance.get_run_by_id(run_id)
        if held is None or held.is_finished:
            storage.free_concurrency_slots_for_run(run_id)
    return reaped


def _why_dead(instance: dg.DagsterInstance, record: RunRecord, locks_folder: Path) -> str | None:
    """Why the run is certainly dead; None if it lives or cannot be known to be dead."""
    run = record.dagster_run
    lock = _run_lock(locks_folder, run.run_id)
    if lock.exists():
        return None if locks.is_held(lock) else f"{locks.holder(lock)}, which ran it, is gone"
    if not isinstance(instance.run_storage, SqliteRunStorage):
        return None
    workers = _workers(instance, run.run_id)
    if workers:
        if any(is_alive(pid, acted_at=seen) for pid, seen in workers.items()):
            return None
        return f"none of the processes {sorted(workers)} that ran it is alive"
    if GRPC_INFO_TAG in run.tags:
        return (
            None if _answers(json.loads(run.tags[GRPC_INFO_TAG])) else "its code server is gone and it has no process"
        )
    young = time.time() - record.update_timestamp.timestamp() < _START_SECONDS
    return None if young else f"it named no process in {_START_SECONDS:.0f} s"


def _workers(instance: dg.DagsterInstance, run_id: str) -> dict[int, float]:
    """Processes that worked on the run -> when they were last seen to, in seconds since 1970."""
    workers: dict[int, float] = {}
    for entry in instance.all_logs(run_id, of_type=_WORKER_EVENTS):
        event = entry.dagster_event
        if event is None:
            continue
        pid = event.pid
        if event.is_engine_event and "pid" in event.engine_event_data.metadata:
            pid = int(str(event.engine_event_data.metadata["pid"].value))
        if pid is not None:
            workers[pid] = entry.timestamp
    return workers


def _answers(server: Mapping[str, object]) -> bool:
    """Whether something listens where the run's code server did."""
    path = server.get("socket")
    try:
        if path:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(2)
                client.connect(str(path))
        else:
            socket.create_connection((str(server["host"]), int(str(server["port"]))), timeout=2).close()
    except OSError:
        return False
    return True


def _run_lock(locks_folder: Path, run_id: str) -> Path:
    return locks_folder / f"run-{run_id}.lock"
