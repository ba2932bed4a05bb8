"""One worker process: imports the definitions once, then materialises task after task through Dagster.

Here: process start and one task. Not here: choosing tasks (running.plan) or showing progress (running.engine).
"""

from __future__ import annotations

import os
import signal
import time
import uuid
import warnings
from dataclasses import dataclass, replace
from typing import Any

from squiggle_assets.running.plan import Task

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

_STATE: dict[str, Any] = {}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a task ended."""

    task: Task
    ok: bool
    seconds: float
    error: str | None = None


def start(environment: dict[str, str], messages: Any, parent: int) -> None:
    """Process initialiser: dies with its parent, leaves Ctrl-C to it, loads the definitions.

    Args:
        environment: settings and thread pins; set before anything that reads them is imported.
        messages: multiprocessing queue for (process id, task text, done, total, note).
        parent: process id of the engine.
    """
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from io_managers.processes import die_with_parent

    die_with_parent(parent)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    import dagster as dg

    from squiggle_assets.definitions import build
    from squiggle_assets.workspace import Workspace

    def report(node: str, at: Any) -> Any:
        last = [0.0]

        def tell(done: int, total: int, note: str = "") -> None:
            now = time.monotonic()
            if done >= total or now - last[0] > 0.5:
                last[0] = now
                messages.put((os.getpid(), f"{node} [{at}]", done, total, note))

        return tell

    _STATE["workspace"] = workspace = replace(Workspace.given(), report=report)
    _STATE["job"] = build(workspace).resolve_implicit_global_asset_job_def()
    _STATE["instance"] = dg.DagsterInstance.get()


def partition_key(task: Task) -> Any:
    """The Dagster partition key of a task, None where its grain has none."""
    from partitions.dimensions import run_key

    arm, seed = task.partition
    if arm is None:
        return None
    return arm if seed is None else run_key(arm, seed)


def error_text(result: Any) -> str:
    """The first failure of a run, as one message a person can act on."""
    for event in result.all_events:
        if event.event_type_value == "STEP_FAILURE":
            error = event.event_specific_data.error
            while error.cause is not None:
                error = error.cause
            return str(error.message).strip()
    return "the run failed without a step failure; see the run in the UI"


def run_task(task: Task) -> Outcome:
    """Materialise one task in this process."""
    import dagster as dg

    from resources.instance import hold_run

    began = time.monotonic()
    run_id = str(uuid.uuid4())
    with hold_run(_STATE["workspace"].locks, run_id):
        result = _STATE["job"].execute_in_process(
            instance=_STATE["instance"],
            asset_selection=[dg.AssetKey(list(key)) for key in task.assets],
            partition_key=partition_key(task),
            run_config=QUIET,
            raise_on_error=False,
            run_id=run_id,
            tags={"squiggle/study": task.study},
        )
    seconds = time.monotonic() - began
    return Outcome(task=task, ok=result.success, seconds=seconds, error=None if result.success else error_text(result))
