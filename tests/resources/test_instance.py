"""A Dagster home that two processes may open at once, and that nothing dead can hold."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster import DagsterRunStatus
from dagster._core.events import EngineEventData
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.utils import make_new_run_id

from io_managers import locks
from io_managers.processes import die_with_parent
from resources import instance as module
from resources.instance import dagster_yaml, hold_run, open_instance, prepare_home, reap_dead_runs, set_pools

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    prepare_home(folder / "dagster", folder / "locks")
    return folder


@pytest.fixture
def instance(prepared):
    with dg.DagsterInstance.from_config(str(prepared / "dagster")) as found:
        yield found
        for run in found.get_runs():
            found.delete_run(run.run_id)


@pytest.fixture
def locks_folder(tmp_path):
    return tmp_path / "locks"


@dg.op(pool="gpu")
def work():
    pass


@dg.job
def pooled():
    work()


def dead_pid():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def unfinished_run(instance, pid, status=DagsterRunStatus.STARTED, tags=None):
    """A run as the default launcher leaves it: the run worker reports its pid, then starts and claims a slot."""
    run = instance.create_run_for_job(pooled, run_id=make_new_run_id(), status=status, tags=tags or {})
    if pid is not None:
        instance.report_engine_event(f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid))
    set_pools(instance, {"gpu": 1})
    instance.event_log_storage.claim_concurrency_slot("gpu", run.run_id, "work")
    return run


def num_claimed(instance):
    return len(instance.event_log_storage.get_concurrency_info("gpu").claimed_slots)


def test_the_home_has_the_shipped_settings_and_keeps_a_persons_own(tmp_path):
    home = tmp_path / "dagster"
    prepare_home(home, tmp_path / "locks")
    settings = yaml.safe_load((home / "dagster.yaml").read_text())
    assert settings["run_monitoring"]["free_slots_after_run_end_seconds"] == 30
    assert settings["run_monitoring"]["enabled"] is True
    assert settings["concurrency"]["pools"]["granularity"] == "op"
    assert settings["concurrency"]["runs"]["max_concurrent_runs"] == 2
    assert settings["telemetry"]["enabled"] is settings["nux"]["enabled"] is False
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    prepare_home(home, tmp_path / "locks")
    assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


def test_the_deployed_settings_are_the_packaged_ones():
    assert (ROOT / "deploy" / "dagster.yaml").read_text(encoding="utf-8") == dagster_yaml()


def test_pool_limits_are_set_and_changed(prepared, tmp_path):
    for limit in (2, 3):
        with open_instance(prepared / "dagster", tmp_path, pools={"other": limit}) as found:
            assert found.event_log_storage.get_concurrency_info("other").slot_count == limit


@pytest.mark.parametrize("status", [DagsterRunStatus.STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.CANCELING])
def test_a_dead_run_is_failed_and_its_slot_is_free(instance, locks_folder, status):
    run = unfinished_run(instance, dead_pid(), status)
    assert num_claimed(instance) == 1
    (reaped,) = reap_dead_runs(instance, locks_folder)
    assert (reaped.run_id, reaped.status) == (run.run_id, status.value)
    assert "alive" in reaped.why
    assert instance.get_run_by_id(run.run_id).is_finished
    assert num_claimed(instance) == 0
    assert reap_dead_runs(instance, locks_folder) == []


def test_a_run_whose_process_lives_is_never_reaped(instance, locks_folder):
    run = unfinished_run(instance, os.getpid())
    assert reap_dead_runs(instance, locks_folder) == []
    assert instance.get_run_by_id(run.run_id).status == DagsterRunStatus.STARTED
    assert num_claimed(instance) == 1


def test_a_run_whose_step_process_lives_is_never_reaped(instance, locks_folder):
    run = unfinished_run(instance, dead_pid())
    instance.report_engine_event("step", run, EngineEventData.in_process(os.getpid()))
    assert reap_dead_runs(instance, locks_folder) == []


def test_a_held_run_lives_whatever_its_process_ids_say(instance, locks_folder):
    run = unfinished_run(instance, dead_pid())
    with hold_run(locks_folder, run.run_id):
        assert reap_dead_runs(instance, locks_folder) == []
        with pytest.raises(locks.HeldError, match=f"run {run.run_id}"), hold_run(locks_folder, run.run_id):
            pass


def test_a_run_that_was_held_and_is_no_more_is_dead(instance, locks_folder):
    run = unfinished_run(instance, os.getpid())
    locks_folder.mkdir()
    # what a killed holder leaves: the file without the lock
    left = locks_folder / f"run-{run.run_id}.lock"
    left.write_text(json.dumps({"pid": 1234, "host": "here"}))
    (reaped,) = reap_dead_runs(instance, locks_folder)
    assert "process 1234 on here, which ran it, is gone" in reaped.why
    assert not left.exists()


def test_a_launched_run_without_a_process_is_dead_when_its_code_server_is(instance, locks_folder, tmp_path):
    tags = {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": str(tmp_path / "gone")})}
    unfinished_run(instance, None, DagsterRunStatus.STARTING, tags)
    (reaped,) = reap_dead_runs(instance, locks_folder)
    assert "code server is gone" in reaped.why


def test_a_run_that_is_just_starting_is_left_alone_until_it_had_its_time(instance, locks_folder, monkeypatch):
    unfinished_run(instance, None, DagsterRunStatus.STARTING)
    assert reap_dead_runs(instance, locks_folder) == []
    monkeypatch.setattr(module, "_START_SECONDS", -1.0)
    (reaped,) = reap_dead_runs(instance, locks_folder)
    assert "named no process" in reaped.why


def test_a_storage_shared_between_machines_is_left_to_them(instance, locks_folder, monkeypatch):
    unfinished_run(instance, dead_pid())
    monkeypatch.setattr(module, "SqliteRunStorage", type("Other", (), {}))
    assert reap_dead_runs(instance, locks_folder) == []


def test_slots_of_runs_that_ended_are_freed(instance, locks_folder):
    run = unfinished_run(instance, os.getpid())
    instance.report_run_failed(run)
    assert num_claimed(instance) == 1
    assert reap_dead_runs(instance, locks_folder) == []
    assert num_claimed(instance) == 0


_OPEN = """
import sys, time
from pathlib import Path
import dagster
from resources.instance import open_instance
while not Path(sys.argv[2]).exists():
    time.sleep(0.005)
with open_instance(Path(sys.argv[1]) / "dagster", Path(sys.argv[1]) / "locks", pools={"gpu": 2}) as instance:
    instance.get_runs_count()
    assert instance.event_log_storage.get_concurrency_info("gpu").slot_count == 2
"""


def _open_at_once(folder):
    folder.mkdir()
    gate = folder / "gate"
    openers = [subprocess.Popen([sys.executable, "-c", _OPEN, str(folder), str(gate)]) for _ in range(2)]
    time.sleep(3)
    gate.touch()
    return [opener.wait(timeout=60) for opener in openers]


def test_two_processes_may_open_a_fresh_home_at_once(tmp_path):
    assert _open_at_once(tmp_path / "one") == [0, 0]


@pytest.mark.slow
def test_ten_fresh_homes_each_opened_by_two_processes_at_once(tmp_path):
    for turn in range(10):
        assert _open_at_once(tmp_path / str(turn)) == [0, 0]


_POOLED = """
import sys, time
from contextlib import nullcontext
from pathlib import Path
import dagster as dg
from dagster._core.utils import make_new_run_id
from resources.instance import hold_run, open_instance
root, seconds, held = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "held"

@dg.asset(pool="gpu")
def step() -> None:
    print("in", flush=True)
    time.sleep(seconds)

job = dg.Definitions(assets=[step]).resolve_implicit_global_asset_job_def()
with open_instance(root / "dagster", root / "locks", pools={"gpu": 1}) as instance:
    run_id = make_new_run_id()
    with hold_run(root / "locks", run_id) if held else nullcontext():
        assert job.execute_in_process(instance=instance, run_id=run_id).success
"""


@pytest.mark.slow
@pytest.mark.parametrize("held", ["held", "not held"])
def test_after_a_kill_inside_a_pooled_step_the_next_run_ends_within_thirty_seconds(tmp_path, held):
    def start(seconds):
        words = [sys.executable, "-c", _POOLED, str(tmp_path), str(seconds), held]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    first = start(600)
    assert first.stdout.readline() == b"in\n"
    waiting = start(0)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=8)  # the first one lives: it is not reaped, its pool is not entered
    waiting.kill()
    waiting.wait()
    first.kill()
    first.wait()
    started = time.monotonic()
    assert start(0).wait(timeout=60) == 0
    assert time.monotonic() - started < 30


def test_an_orphan_dies_with_its_parent(tmp_path):
    code = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import os, time;'\n"
        "    'from io_managers.processes import die_with_parent;'\n"
        "    f'die_with_parent({os.getpid()}); print(os.getpid(), flush=True); time.sleep(600)'])\n"
        "child.wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    orphan = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{orphan}").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{orphan}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    assert not Path(f"/proc/{orphan}").exists()


def test_a_process_whose_parent_is_already_gone_ends_at_once():
    code = "from io_managers.processes import die_with_parent; die_with_parent(2**22 + 1)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 1
    assert callable(die_with_parent)
