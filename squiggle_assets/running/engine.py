"""Stage by stage until everything that was asked for is current, on a few worker processes, with an ETA.

Here: the pool of workers, the progress display, the summary of a run. Not here: what a task does (running.worker).
"""

from __future__ import annotations

import multiprocessing as mp
import os
import queue
import time
from collections import deque
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
from squiggle_assets.assets.late import Late
from squiggle_assets.assets.node import NOWHERE, Graph
from squiggle_assets.running import worker
from squiggle_assets.running.plan import Selection, Task, owed, stage_tasks, wanted_nodes
from squiggle_assets.science.spec import Profile
from squiggle_assets.science.waves import Roster

_QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}


_MOST_DEATHS = 3
"""Deaths of workers in a row, with nothing coming back in between, after which the rest of a stage is not tried: it is
not a task that kills them, and every new worker costs seconds."""


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

    owed: list[str] = field(default_factory=list)
    """Of what is stuck, that which waits for nothing, so that it is the cause itself and not what was left out."""

    @property
    def ok(self) -> bool:
        """Nothing failed, and whatever is stuck waits for something that was not asked for."""
        return not self.failed and not self.owed


class Pool:
    """Worker processes that are started on first use and replaced when one is killed."""

    def __init__(
        self,
        num_workers: int,
        environment: dict[str, str],
        *,
        start: Callable[[dict[str, str], Any, int], None] = worker.start,
        run_task: Callable[[Task], worker.Outcome] = worker.run_task,
    ) -> None:
        """A pool.

        Args:
            num_workers: processes; also how many tasks can be with them at once (`has_room`).
            environment: set in every worker, and here.
            start: what a worker calls first, with the environment, the queue of messages and the id of this process.
            run_task: what a worker does with a task.
        """
        self.num_workers = num_workers
        self._start, self._run_task = start, run_task
        self._environment = {**ONE_THREAD, **_QUIET, **environment}
        # Here too: a spawned child has imported numpy, which reads its thread count, before its initialiser runs.
        os.environ.update(self._environment)
        self._context = mp.get_context("spawn")
        self.messages: Any = self._context.Queue()
        self._executor: ProcessPoolExecutor | None = None

    def submit(self, task: Task) -> Future[worker.Outcome]:
        """Hand a task to a free worker; BrokenProcessPool if one died since the last look: then renew."""
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                max_workers=self.num_workers,
                mp_context=self._context,
                initializer=self._start,
                initargs=(self._environment, self.messages, os.getpid()),
            )
        return self._executor.submit(self._run_task, task)

    def renew(self) -> None:
        """End workers of which one died; the next submit starts new ones."""
        if self._executor is not None:
            self._kill(self._executor)
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None
            # Whoever was killed may hold the lock of the old queue for good.
            self.messages = self._context.Queue()

    def close(self, *, idle: bool) -> None:
        """End all workers: as they are if they have nothing to do, at once otherwise."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        if not idle:
            self._kill(executor)
        executor.shutdown(wait=True, cancel_futures=True)
        self.messages.close()
        self.messages.join_thread()

    @staticmethod
    def _kill(executor: ProcessPoolExecutor) -> None:
        # SIGKILL, because Dagster keeps SIGTERM for itself; whatever a worker had not committed is not there.
        for process in list((executor._processes or {}).values()):
            process.kill()


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
    todo = deque(tasks)
    running: dict[Future[worker.Outcome], Task] = {}
    lines: dict[int, Any] = {}
    deaths = 0
    while todo or running:
        _fill(pool, todo, running)
        ready, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
        _drain(pool, shown, lines)
        if any(isinstance(future.exception(), BrokenProcessPool) for future in ready):
            # One dead worker ends all tasks that are with the others too: those alone are lost.
            ready, _ = wait(running)
            pool.renew()
            deaths += 1
        elif ready:
            deaths = 0
        for future in ready:
            _settle(future, running.pop(future), summary, console)
            shown.advance(bar)
        if deaths == _MOST_DEATHS:
            why = f"not tried: workers died {deaths} times in a row; see what killed them (memory?) and run again"
            summary.failed += [(str(task), why) for task in todo]
            todo.clear()
    for line in lines.values():
        shown.remove_task(line)


def _fill(pool: Pool, todo: deque[Task], running: dict[Future[worker.Outcome], Task]) -> None:
    """Give every free worker a task; the others wait here, where the death of a worker does not reach them."""
    while todo and len(running) < pool.num_workers:
        try:
            future = pool.submit(todo[0])
        except BrokenProcessPool:
            if running:
                return  # they broke with it, and are settled first
            pool.renew()
            continue
        running[future] = todo.popleft()


def _settle(future: Future[worker.Outcome], task: Task, summary: Summary, console: Console) -> None:
    try:
        outcome = future.result()
    except BrokenProcessPool:
        why = "a worker process was killed while this ran; run the same command again to go on"
        outcome = worker.Outcome(task=task, ok=False, seconds=0.0, error=why)
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
    marts_wait_for: Callable[[], Late | None],
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
    summary = Summary()
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
            if summary.stuck:
                summary.owed = owed(graph, nodes, profile, roster, store, selection)
            if selection.assets is None and summary.ok and not marts_are_current():
                late = marts_wait_for()
                if late is None:
                    bar = shown.add_task("SQL models", total=1, note="")
                    _run_stage([sql_task(graph)], pool, shown, bar, summary, console)
                else:
                    summary.stuck.append(("SQL models", str(late)))
                    summary.owed = owed(graph, nodes, profile, roster, store, selection)
        finished = True
    finally:
        pool.close(idle=finished)
    summary.seconds = time.monotonic() - began
    return summary
