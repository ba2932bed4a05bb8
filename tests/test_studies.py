"""Every registered study at test scale through the command line, to its claims, its report and its marts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from squiggle_assets import profiles
from squiggle_assets.definitions import graph_of
from squiggle_assets.studies import STUDIES
from tests.test_demo import VERDICTS, rows, squiggle

pytestmark = pytest.mark.slow

OTHERS = [name for name in STUDIES if name != "curriculum_ab"]
"""The demo's own study is run by `make test`."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One root for all: studies find each other's runs."""
    return tmp_path_factory.mktemp("studies")


@pytest.mark.parametrize("name", OTHERS)
def test_a_study_runs_to_claims_and_report_and_a_second_time_makes_nothing(root: Path, name: str) -> None:
    done = squiggle(root, "run", name, "--profile", "test", timeout=3000)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    claims = rows(root, "claims", name, "--profile", "test")
    assert claims
    assert {claim["verdict"] for claim in claims} <= VERDICTS
    assert all(claim["verdict"] != "supported" for claim in claims if claim["n_seeds"] < 5), "3 seeds support nothing"
    made = [row for row in rows(root, "status", name, "--profile", "test") if row["asset"] != "run_report"]
    assert all(row["current"] == row["partitions"] for row in made), made
    page = Path(squiggle(root, "report", name, "--profile", "test").stdout.strip().splitlines()[-1])
    assert STUDIES[name].title in page.read_text(encoding="utf-8")
    again = squiggle(root, "run", name, "--profile", "test")
    assert again.returncode == 0
    assert "0 tasks done" in again.stdout


def test_no_item_of_a_probe_or_a_held_out_set_was_drawn_in_any_wave(root: Path) -> None:
    query = "select study, split, sum(exposure_count) as drawn from usage_ledger group by all"
    drawn = {(row["study"], row["split"]): row["drawn"] for row in rows(root, "sql", query, "--profile", "test")}
    assert {study.partition("/")[0] for study, _ in drawn} == set(OTHERS)
    assert sum(num for (_, split), num in drawn.items() if split not in ("train", "planted")) == 0


def test_the_package_of_the_impact_core_is_whole(root: Path) -> None:
    from resources.settings import Settings
    from squiggle_assets.workspace import Workspace

    graph = graph_of("impact_curriculum", profiles.load("test"))
    store = Workspace(Settings(data_root=root, profile="test")).store
    pointer = store.pointer(graph.path("impact_package"))
    assert pointer is not None
    handle = store.open_handle(pointer)
    assert {"impact_core.jsonl", "impact_ramp.yaml", "package.json"} <= set(handle.files)
    listed = json.loads((handle.path / "package.json").read_text(encoding="utf-8"))
    assert listed["seeds"]["confirmation"] == list(STUDIES["impact_curriculum"].fresh_seeds[:3])
