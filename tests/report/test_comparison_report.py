from __future__ import annotations

import json

import polars as pl
import pytest

from squiggle_assets.report.comparison_report import comparison_report
from squiggle_assets.science.run_comparison import ComparedRun
from tests.report import small_study as s
from tests.report.test_document import assert_inert


def compared(arm: str, seed: int, **spec) -> ComparedRun:
    manifest = s.one_run(s.run_manifest(), arm, seed).row(0, named=True)
    given = {**json.loads(manifest["spec_json"]), "seed": seed, **spec}
    return ComparedRun(
        name=f"small/{arm}|{seed}",
        manifest={**manifest, "spec_json": json.dumps(given)},
        geometry=s.one_run(s.geometry(), arm, seed),
        events=s.one_run(s.events(), arm, seed),
        scalars=s.one_run(s.scalars(), arm, seed),
    )


RUNS = [compared("planted", 7), compared("planted", 8), compared("blocked", 7, curriculum_id="d" * 16)]


@pytest.fixture(scope="module")
def made():
    return comparison_report(RUNS, made=s.made())


@pytest.fixture(scope="module")
def text(made):
    return made.files["report.md"].decode()


def test_every_run_and_every_setting_that_differs_is_named(text):
    assert all(run.name.replace("|", "\\|") in text for run in RUNS)
    assert "| curriculum_id |" in text and "| seed | 7 | 8 | 7 |" in text
    assert "| training" not in text


def test_shared_events_stand_beside_what_chance_gives(made, text):
    # every run has a change point in layer 0 at step 8 and one in layer 1 at step 12
    assert "Of the events of the first run 2 are in all 3 runs." in text
    assert made.meta["num_common_events"] == 2
    assert "With every run turned by itself there are" in text
    assert "| 0 | effective_rank | up | 8 | 0 |" in text


def test_it_says_that_nothing_is_a_claim_and_what_the_schedule_does(text):
    assert "nothing here is a claim" in text and "A schedule that they share" in text


def test_the_page_is_self_contained_and_the_plots_are_there(made):
    assert set(made.files) == {"plots/losses.png", "plots/movements.png", "report.html", "report.md"}
    assert_inert(made.files["report.html"].decode())


def test_equal_input_gives_equal_bytes(made):
    assert comparison_report(RUNS, made=s.made()).files == made.files


def test_runs_without_events_or_common_captures_are_reported_all_the_same():
    bare = [ComparedRun(**{**vars(run), "events": run.events.filter(pl.lit(False))}) for run in RUNS[:2]]
    text = comparison_report(bare, made={}).files["report.md"].decode()
    assert "They cannot be held against chance" in text
    late = ComparedRun(**{**vars(RUNS[1]), "geometry": RUNS[1].geometry.filter(pl.col("step") > 14)})
    assert "| 3 | – | – | – |" in comparison_report([RUNS[0], late], made={}).files["report.md"].decode()


def test_a_hostile_name_stays_text():
    hostile = ComparedRun(**{**vars(RUNS[0]), "name": s.HOSTILE})
    assert_inert(comparison_report([hostile, RUNS[1]], made={}).files["report.html"].decode())
