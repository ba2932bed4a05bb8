"""The whole study at test scale through the command line, as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from resources.settings import Settings
from squiggle_assets.workspace import Workspace

pytestmark = pytest.mark.demo

VERDICTS = {"supported", "exploratory", "not supported", "underpowered"}


def squiggle(root: Path, *words: str, timeout: float = 1200) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SQUIGGLE_DATA_ROOT": str(root), "SQUIGGLE_NUM_WORKERS": "2", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "squiggle_assets.cli", *words],
        capture_output=True,
        text=True,
        env=environment,
        timeout=timeout,
        check=False,
    )


def rows(root: Path, *words: str) -> list[dict[str, Any]]:
    done = squiggle(root, *words, "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def study_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("study")
    done = squiggle(root, "run", "curriculum_ab", "--profile", "test")
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return root


def test_every_partition_of_every_asset_is_current(study_root: Path) -> None:
    made = [
        row for row in rows(study_root, "status", "curriculum_ab", "--profile", "test") if row["asset"] != "run_report"
    ]
    assert made
    assert all(row["current"] == row["partitions"] for row in made), made


def test_running_again_makes_nothing(study_root: Path) -> None:
    done = squiggle(study_root, "run", "curriculum_ab", "--profile", "test")
    assert done.returncode == 0
    assert "0 tasks done" in done.stdout


def test_every_claim_carries_null_interval_scale_and_verdict(study_root: Path) -> None:
    claims = rows(study_root, "claims", "curriculum_ab", "--profile", "test")
    wanted = {"study", "claim", "arm", "contrast", "estimate", "ci_lo", "ci_hi", "null_mean", "p_value", "q_value"}
    wanted |= {"n_seeds", "n_items", "method", "control", "scale", "verdict", "evidence"}
    assert {"planted:planted", "planted:placebo", "consensus:iid"} <= {claim["claim"] for claim in claims}
    for claim in claims:
        assert wanted <= set(claim)
        assert claim["verdict"] in VERDICTS
        assert "profile test" in claim["scale"]
        assert claim["n_seeds"] == 3


def test_three_seeds_support_nothing(study_root: Path) -> None:
    claims = rows(study_root, "claims", "curriculum_ab", "--profile", "test")
    assert all(claim["verdict"] != "supported" for claim in claims), "fewer than 5 seeds are exploratory at most"


def test_the_ledger_shows_no_held_out_item_in_training(study_root: Path) -> None:
    query = "select split, sum(exposure_count) as drawn from usage_ledger group by split order by split"
    drawn = {row["split"]: row["drawn"] for row in rows(study_root, "sql", query, "--profile", "test")}
    assert drawn["train"] > 0
    assert drawn["planted"] > 0
    assert sum(num for split, num in drawn.items() if split not in ("train", "planted")) == 0


def test_the_planted_steps_hold_planted_items_and_no_others_do(study_root: Path) -> None:
    query = (
        "select arm, min(step) as first, max(step) as last, count(*) as n from sample_trace where planted group by arm"
    )
    found = rows(study_root, "sql", query, "--profile", "test")
    # start .7 of 200 steps, 8 steps, all of 4 slots, 3 seeds: 8 * 4 * 3
    assert found == [{"arm": "planted", "first": 140, "last": 147, "n": 96}]


def test_the_report_is_one_page_that_needs_nothing_else(study_root: Path) -> None:
    done = squiggle(study_root, "report", "curriculum_ab", "--profile", "test")
    assert done.returncode == 0, done.stderr
    page = Path(done.stdout.strip().splitlines()[-1]).read_text(encoding="utf-8")
    assert "<script" not in page
    assert 'src="http' not in page
    assert "data:image/png;base64," in page
    assert "Blocked and ramp curricula yield more" in page


def test_marts_are_materialised_and_agree_with_the_claims(study_root: Path) -> None:
    # `squiggle sql` computes models afresh, so the stored mart is read from the store itself.
    store = Workspace(Settings(data_root=study_root, profile="test")).store
    pointer = store.pointer("mart_claims")
    assert pointer is not None
    mart = dict(store.read(pointer).select("claim", "verdict").iter_rows())
    claims = rows(study_root, "claims", "curriculum_ab", "--profile", "test")
    assert mart == {claim["claim"]: claim["verdict"] for claim in claims}


def test_asking_for_what_there_is_not_is_one_clear_line(study_root: Path) -> None:
    for words, said in (
        (("run", "nosuch"), "no study"),
        (("run", "curriculum_ab", "--profile", "nosuch"), "no profile"),
        (("run", "curriculum_ab", "--profile", "test", "--arms", "iid,nosuch"), "no arm"),
        (("run", "curriculum_ab", "--profile", "test", "--seeds", "1|2"), "not usable"),
        (("run", "curriculum_ab", "--profile", "test", "--seeds", "99999"), "are not registered"),
        (("report", "curriculum_ab", "--profile", "test", "--run", "iid"), "give one run as ARM:SEED"),
        (("report", "curriculum_ab", "--profile", "test", "--run", "iid:99999"), "are not registered"),
        (("claims", "curriculum_ab", "--profile", "test", "--verdict", "true"), "verdicts are supported"),
        (("seeds", "remove", "curriculum_ab", "99999", "--profile", "test"), "are not registered"),
        (("run", "curriculum_ab", "--profile", "test", "--items", "./nosuch.jsonl"), "no such file"),
        (("sql", "select * from nosuch", "--profile", "test"), "nosuch"),
    ):
        done = squiggle(study_root, *words)
        assert done.returncode == 2, words
        assert said in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr


def test_any_runs_can_be_compared_and_the_same_comparison_is_the_same_page(study_root: Path) -> None:
    named = ("curriculum_ab/iid:42", "curriculum_ab/blocked:42", "curriculum_ab/iid:123")
    first, again = (squiggle(study_root, "compare", *named, "--profile", "test") for _ in range(2))
    assert first.returncode == 0, first.stderr
    page = Path(first.stdout.strip().replace("\n", ""))
    assert again.stdout == first.stdout
    text = page.read_text(encoding="utf-8")
    assert all(name in text for name in named) and "<img" in text
