"""Workers that die, and what counts as done when only a part of a study was asked for."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from squiggle_assets.assets.late import Late
from squiggle_assets.assets.node import Partition
from squiggle_assets.running.engine import Pool, Summary, _run_stage, run
from squiggle_assets.running.plan import Selection, Task
from squiggle_assets.running.worker import Outcome

pytestmark = pytest.mark.timeout(60)

ENDS = "its end is announced here"
"""Environment variable: a folder in which every task that ran leaves a file."""


def start(environment: dict[str, str], messages: Any, parent: int) -> None:
    """A worker that needs nothing."""
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as in real workers, where Dagster keeps it


def die_on_third(task: Task) -> Outcome:
    """Kill the worker on task 3; take a moment over every other, so that two are running at any time."""
    if task.partition.seed == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    Path(os.environ[ENDS], str(task.partition.seed)).touch()
    return Outcome(task=task, ok=True, seconds=0.1)


def die_always(task: Task) -> Outcome:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("dead")


def tasks(num: int) -> list[Task]:
    return [
        Task(study="s", stage=1, nodes=("n",), assets=(("n",),), grain="run", partition=Partition("iid", seed))
        for seed in range(1, num + 1)
    ]


def stage(num: int, num_workers: int, folder: Path, run_task: Callable[[Task], Outcome]) -> Summary:
    summary = Summary()
    pool = Pool(num_workers, {ENDS: str(folder)}, start=start, run_task=run_task)
    console = Console(file=io.StringIO())
    try:
        with Progress(console=console, disable=True) as shown:
            _run_stage(tasks(num), pool, shown, shown.add_task("stage", total=num), summary, console)
    finally:
        pool.close(idle=True)
    return summary


def test_a_killed_worker_loses_its_own_task_and_no_other(tmp_path: Path) -> None:
    summary = stage(6, 1, tmp_path, die_on_third)
    assert summary.num_done == 5
    assert [task for task, _ in summary.failed] == ["n [iid|3]"]
    assert "killed" in summary.failed[0][1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "4", "5", "6"]


def test_of_two_workers_the_death_of_one_loses_at_most_what_both_were_at(tmp_path: Path) -> None:
    summary = stage(6, 2, tmp_path, die_on_third)
    failed = {task for task, _ in summary.failed}
    assert "n [iid|3]" in failed
    assert len(failed) <= 2
    assert summary.num_done == 6 - len(failed)


def test_where_every_worker_dies_the_rest_is_not_tried_for_ever(tmp_path: Path) -> None:
    summary = stage(5, 1, tmp_path, die_always)
    assert summary.num_done == 0
    assert ["not tried" in why for _, why in summary.failed] == [False, False, False, True, True]


def asked(small_study: Any, selection: Selection, marts: Late | None = None) -> Summary:
    """A run that has nothing to do, so that no worker is started; marts: what the SQL models wait for."""
    return run(
        small_study.graph,
        small_study.workspace.profile,
        small_study.roster,
        small_study.store,
        selection=selection,
        environment={},
        num_workers=1,
        console=Console(file=io.StringIO()),
        marts_are_current=lambda: marts is None,
        marts_wait_for=lambda: marts,
    )


IID = Selection(arms=frozenset({"iid"}))


def test_what_waits_for_arms_that_were_left_out_is_excused(small_study: Any) -> None:
    small_study.put("source")
    small_study.put_runs("iid")
    summary = asked(small_study, IID)
    assert [what for what, _ in summary.stuck] == ["claims [-]"]
    assert summary.ok


@pytest.mark.parametrize(
    "selection", [IID, Selection(seeds=frozenset({10})), Selection(arms=frozenset({"iid"}), seeds=frozenset({10}))]
)
def test_a_refused_run_that_was_asked_for_is_not_excused(small_study: Any, selection: Selection) -> None:
    small_study.put_everything()
    small_study.put("trained", Partition("iid", 10), passed=False)
    summary = asked(small_study, selection)
    assert summary.owed == ["train [iid|10]"]
    assert not summary.ok


@pytest.mark.parametrize(
    "selection", [Selection(arms=frozenset({"ramp"})), Selection(arms=frozenset({"iid"}), seeds=frozenset({2}))]
)
def test_a_refused_run_that_was_not_asked_for_is_excused(small_study: Any, selection: Selection) -> None:
    small_study.put_everything()
    small_study.put("trained", Partition("iid", 10), passed=False)
    summary = asked(small_study, selection)
    assert [what for what, _ in summary.stuck] == ["claims [-]"]
    assert summary.ok


def test_sql_models_wait_for_arms_that_were_left_out_and_are_not_tried(small_study: Any) -> None:
    small_study.put_everything()
    small_study.source = 2.0
    small_study.put("source")
    small_study.put_runs("iid")
    summary = asked(small_study, IID, small_study.session.late("claims"))
    assert [what for what, _ in summary.stuck] == ["claims [-]", "SQL models"]
    assert summary.ok
    assert summary.num_done == 0


def test_without_a_selection_nothing_is_excused(small_study: Any) -> None:
    small_study.put_everything()
    small_study.put("trained", Partition("iid", 10), passed=False)
    assert not asked(small_study, Selection()).ok
