"""A real process that trains into real folders is killed with SIGKILL and its run is taken up again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

from io_managers import commit
from io_managers.checkpoints import FolderCheckpoints, FolderSink
from squiggle_assets.schemas.handles import Origin
from squiggle_assets.science.rng import generator
from squiggle_assets.science.training import RunResult, train
from tests.science.run_stand import PROBE, TRAINING, inputs

ORIGIN = Origin(
    asset="test/run",
    arm="iid",
    seed=3,
    object_id="0" * 32,
    code_version="0",
    config_hash="0",
    inputs={},
    profile="test",
)
SPEC = replace(TRAINING, total_steps=60, checkpoint_every=7)
PROBES = replace(PROBE, capture_every=1)
NUM_KILLS = 10
KILLS = [
    (int(step), float(delay))
    for step, delay in zip(
        generator("kill steps", 0).choice(59, NUM_KILLS, replace=False) + 1,
        generator("kill delays", 0).uniform(0, 0.05, NUM_KILLS),
        strict=True,
    )
]


def say(done: int, _total: int, _note: str = "") -> None:
    sys.stdout.write(f"{done}\n")
    sys.stdout.flush()


def run_in(folder: Path, progress: Any = lambda *_: None) -> RunResult:
    torch.set_num_threads(1)
    for part in ("checkpoints", "captures"):
        commit.sweep(folder / part)
    store = FolderCheckpoints(folder / "checkpoints", ORIGIN)
    return train(inputs(SPEC, PROBES), checkpoints=store, captures=FolderSink(folder / "captures"), progress=progress)


def digest(folder: Path, result: RunResult) -> dict[str, str]:
    """Hashes of the adapter, the tables and every captured file."""
    found = {name: sha256(tensor.numpy().tobytes()).hexdigest() for name, tensor in result.adapter.items()}
    for name in ("scalars", "milestones", "controller_decisions", "sample_trace", "probe_losses"):
        found[name] = sha256(getattr(result, name).write_json().encode()).hexdigest()
    for path in sorted((folder / "captures").iterdir()):
        found[path.name] = sha256(path.read_bytes()).hexdigest()
    return found


def killed_at(folder: Path, step: int, delay: float) -> None:
    """Start the run in a process of its own and kill it some time after it reports the step."""
    command = [sys.executable, "-m", "tests.io_managers.test_training_survives_kill", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= step:
                time.sleep(delay)
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("whole")
    found = digest(folder, run_in(folder))
    assert sum(name.startswith("step_") for name in found) == 61
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("step", "delay"), KILLS)
def test_a_run_killed_at_any_moment_ends_in_the_same_hashes(
    step: int, delay: float, uninterrupted: dict[str, str], tmp_path: Path
) -> None:
    killed_at(tmp_path, step, delay)
    steps: list[int] = []
    result = run_in(tmp_path, lambda done, *_: steps.append(done))
    assert digest(tmp_path, result) == uninterrupted
    # it went on from a checkpoint where there was one: they stand every 7 steps
    assert steps[0] > step - 8 and (step < 7 or steps[0] > 1)


if __name__ == "__main__":
    run_in(Path(sys.argv[1]), say)
