"""What every test shares: offline hubs, pinned threads, where the shared data lies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the project; tests that need it say why they skip without it."""
    folder = Path(os.environ.get("SQUIGGLE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real data sets lie beside the project, not in it, and are not here (SQUIGGLE_SHARED_DATA)")
    return folder


@pytest.fixture(autouse=True)
def no_dagster_instance_of_another_test() -> None:
    """Forget the state storage that Dagster keeps of an instance whose test is over: loading definitions would ask it.

    Instances of fixtures that end in another order than they began leave it behind.
    """
    module = sys.modules.get("dagster._core.storage.defs_state.base")
    if module is not None:
        module._current_storage.set(None)
