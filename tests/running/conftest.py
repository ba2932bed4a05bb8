from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.running.begun_study import SmallStudy


@pytest.fixture
def small_study(tmp_path: Path) -> Iterator[SmallStudy]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield SmallStudy(tmp_path / "data", instance)


@pytest.fixture(autouse=True)
def _environment_as_before() -> Iterator[None]:
    """Commands set the environment of their workers in their own process too."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
