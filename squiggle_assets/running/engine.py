"""Stage by stage until everything that was asked for is current, on a few worker processes, with an ETA.

Here: the pool of workers, the progress display, the summary of a run. Not here: what a task does (running.worker).
"""

from __future__ import annotations

import multiprocessing as mp
import os
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from io_managers.store import Store
from resources.compute import ONE_THREAD
from squiggle_assets.assets.node import NOWHERE, Graph
from squiggle_assets.running import worker
from squiggle_assets.running.plan import Selection, Task, stage_tasks, wanted_nodes
from squiggle_assets.science.spec import Profile, Roster

_QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}


@dataclass
class Summary:
    """What a `squiggle run` did."""

    num_done: int = 0
    num_current: int = 0
    seconds: float = 0.0
    failed: list[tuple[str, str]] = field(default_factory=list)
    """(task, error) of tasks that failed."""
    stuck: list[tuple[str, str]] = field(default_factory=list)
    """(node [partition], why) of what could not be tried."""

    partial: bool = False
    """Only some arms, seeds or assets were asked for, so that what needs all of them has to wait."""

    @property
    def ok(self) -> bool:
        """Nothing failed, and nothing is stuck that was asked for."""
        return not self.failed and (self.partial or not self.stuck)


class Pool:
    """Worker processes that are started on first use and replaced when one is killed."""

    def __init__(self, num_workers: int, environment: dict[str, str]) -> None:
        self._num = num_workers
        self._environment = {**ONE_THREAD, **_QUIET, **environment}
        # Here too: a spawned child has imported numpy, which reads its thread count, before its initialiser runs.
        os.environ.update(self._environment)
        self._context = mp.get_context("spawn")
        self.messages: Any = self._context.Queue()
        self._executor: ProcessPoolExecutor | None = None

    def submit(self, task: Task) -> Future[worker.Outcome]:
        """Hand a task to the next free worker."""
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                max_workers=self._num,
                mp_context=self._context,
                initializer=worker.start,
                initargs=(self._environment, self.messages, os.getpid()),
            )
        return self._executor.submit(worker.run_task, task)

    def renew(self) -> None:
        """Forget workers of which one died; the next submit starts new ones."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None

    def close(self, *, idle: bool) -> None:
        """End all workers: as they are if they have nothing to do, at once otherwise."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        if not idle:
            # SIGKILL, because Dagster keeps SIGTERM for itself; whatever a worker had not committed is not there.
            for process in list((executor._processes or {}).values()):
                process.kill()
        executor.shutdown(wait=True, cancel_futures=True)
        self.messages.close()
        self.messages.join_thread()


@contextmanager
def _display(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, transient=False, disable=not console.is_terminal) as shown:
        yield shown


def _drain(pool: Pool, shown: Progress, lines: dict[int, Any]) -> None:
    while True:
        try:
            pid, text, done, total, note = pool.messages.get_nowait()
        except queue.Empty:
            return
        if pid not in lines:
            lines[pid] = shown.add_task(text, total=total, note=note)
        shown.update(lines[pid], description=f"  {text}", completed=done, total=total, note=note)


def _run_stage(
    tasks: Sequence[Task], pool: Pool, shown: Progress, bar: Any, summary: Summary, console: Console
) -> None:
    pending = {pool.submit(task): task for task in tasks}
    lines: dict[int, Any] = {}
    while pending:
        ready, _ = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
        _drain(pool, shown, lines)
        for future in ready:
            task = pending.pop(future)
            _settle(future, task, pool, summary, console)
            shown.advance(bar)
    for line in lines.values():
        shown.remove_task(line)


def _settle(future: Future[worker.Outcome], task: Task, pool: Pool, summary: Summary, console: Console) -> None:
    try:
        outcome = future.result()
    except BrokenProcessPool:
        pool.renew()
        summary.failed.append((str(task), "its worker process was killed; run the same command again to go on"))
        return
    if outcome.ok:
        summary.num_done += 1
        if not console.is_terminal:
            console.print(f"done {task} in {outcome.seconds:.1f} s", markup=False, highlight=False)
    else:
        summary.failed.append((str(task), outcome.error or "unknown"))
        console.print(f"FAILED {task}: {outcome.error}", markup=False, highlight=False)


def sql_task(graph: Graph) -> Task:
    """All SQL models as one task: they are cheap, and each finds for itself whether it is already there."""
    from squiggle_assets.assets.sql import models

    return Task(
        study=graph.study.name,
        stage=max(graph.stages.values()) + 1,
        nodes=("sql models",),
        assets=tuple((model.name,) for model in models()),
        grain="shared",
        partition=NOWHERE,
    )


def run(
    graph: Graph,
    profile: Profile,
    roster: Roster,
    store: Store,
    *,
    selection: Selection,
    environment: dict[str, str],
    num_workers: int,
    console: Console,
    marts_are_current: Callable[[], bool],
    after_stage: Callable[[int], None] = lambda stage: None,
) -> Summary:
    """Make everything of a study that is not current, in stages; nothing is made twice.

    after_stage is called with the number of every stage, whether or not something had to be made in it.

    Raises:
        ValueError: the selection names an asset that there is not.
    """
    began = time.monotonic()
    nodes = wanted_nodes(graph, selection.assets)
    stages = sorted({graph.stages[node.name] for node in nodes})
    summary = Summary(partial=selection.arms is not None or selection.seeds is not None)
    pool = Pool(num_workers, environment)
    finished = False
    try:
        with _display(console) as shown:
            for stage in stages:
                tasks, stuck = stage_tasks(graph, nodes, stage, profile, roster, store, selection)
                summary.stuck += stuck
                if not tasks:
                    after_stage(stage)
                    continue
                here = dict.fromkeys(name for task in tasks for name in task.nodes)
                title = " + ".join(here)
                if not console.is_terminal:
                    console.print(f"stage {stage}: {title}: {len(tasks)} to do", markup=False, highlight=False)
                bar = shown.add_task(title, total=len(tasks), note="")
                _run_stage(tasks, pool, shown, bar, summary, console)
                after_stage(stage)
            if selection.assets is None and summary.ok and not marts_are_current():
                bar = shown.add_task("SQL models", total=1, note="")
                _run_stage([sql_task(graph)], pool, shown, bar, summary, console)
        finished = True
    finally:
        pool.close(idle=finished)
    summary.seconds = time.monotonic() - began
    return summary
