import re

import polars as pl
import pytest

from squiggle_assets.report.run_report import run_report
from squiggle_assets.schemas.base import frame
from squiggle_assets.schemas.runs import ControllerDecisions, Milestones
from tests.report import small_study as s
from tests.report.test_document import assert_inert
from tests.report.test_study_report import cells


def report(**given):
    frames = {
        "run_manifest": s.one_run(s.run_manifest()),
        "scalars": s.one_run(s.scalars()),
        "milestones": frame(Milestones, []),
        "controller_decisions": frame(ControllerDecisions, []),
        "geometry": s.one_run(s.geometry()),
        "events": s.one_run(s.events()),
        "detection_summary": s.one_run(s.detection_summary()),
        "curriculum": s.curriculum().filter(pl.col("arm") == "planted"),
        "made": s.made(),
    }
    return run_report(s.study(), s.profile(), **{**frames, **given})


@pytest.fixture(scope="module")
def made():
    return report()


@pytest.fixture(scope="module")
def text(made):
    return made.files["report.md"].decode()


def test_what_the_run_was_is_said_with_its_numbers(text):
    assert "arm planted, seed 7, run planted7" in text
    assert cells(text, "loss")[1] == "first 3.5, best 2.25, last 2.5 (smoothed 2.75) nats per token"
    # batch size and length are those of the run's own spec, not of today's profile
    assert cells(text, "steps")[1] == "20 of 20, batches of 4; ran to its end"
    assert "cut off at 64 tokens" in text


def test_events_are_listed_by_score_and_composites_are_counted(text):
    table = text[text.index("| id | step | probe |") :].splitlines()[2:7]
    # scores .9 (layer 0: e0, e2, composite e4) and .8 (layer 1: e1, e3); __composite__ sorts before effective_rank
    assert [line.split("|")[1].strip() for line in table] == ["e4", "e0", "e2", "e1", "e3"]
    assert "5 events of 5 (1 of several metrics)" in text


def test_every_candidate_is_accounted_for(text):
    # 2 layers: 6 candidates = 2 selected + 2 too near + 2 budget
    assert cells(text, "a | effective_rank | 2") == ["a", "effective_rank", "2", "6", "2", "2", "2", "0", "yes"]


def test_an_account_that_does_not_add_up_is_called_so(words_only):
    wrong = s.one_run(s.detection_summary()).with_columns(num_skipped_topk=pl.lit(0, pl.Int64))
    found = report(detection_summary=wrong).files["report.md"].decode()
    assert cells(found, "a | effective_rank | 2")[-1] == "NO"


def test_diversity_and_warnings_are_given_per_probe_set(text):
    # single change points at 8 and 12 on each set: entropy 1, both within 5 steps of the phase start at 10
    assert cells(text, "a | 2") == ["a", "2", "1", "8", "0.5", "1"]
    assert "100 % of the events lie near a boundary" in text
    assert cells(text, "n_distinct_steps") == ["n_distinct_steps", "2", "2"]


def test_one_run_is_said_to_support_no_claim_and_every_caption_says_n(text):
    assert "A run by itself supports no claim" in text
    captions = re.findall(r"\(plots/[a-z_]+\.png\)\n\n(.*)", text)
    assert len(captions) == 3
    assert all("n = 1 run" in caption for caption in captions)


def test_the_html_stands_alone_and_bytes_are_equal(made):
    assert report(geometry=s.one_run(s.geometry()).lazy()).files == made.files
    assert_inert(made.files["report.html"].decode())


def test_a_run_without_events_says_so(words_only):
    found = report(events=s.one_run(s.events()).clear()).files["report.md"].decode()
    assert "No event: no increment stood out" in found


def test_a_stopped_run_and_its_decisions_are_told_and_hostile_reasons_do_nothing(words_only):
    key = {"arm": "planted", "seed": 7, "run_id": "planted7"}
    decision = {"step": 9, "controller": "divergence", "feature": "loss_z", "value": 9.5, "decision": "stop"}
    decisions = frame(ControllerDecisions, [{**key, **decision, "reason": s.HOSTILE}])
    stopped = s.one_run(s.run_manifest()).with_columns(stopped_early=pl.lit(True), stop_reason=pl.lit(s.HOSTILE))
    made = report(run_manifest=stopped, controller_decisions=decisions)
    assert "<script" not in made.files["report.md"].decode()
    assert_inert(made.files["report.html"].decode())
    assert cells(made.files["report.md"].decode(), "9 | divergence")[2] == "stop"


def test_milestones_are_listed(words_only):
    key = {"arm": "planted", "seed": 7, "run_id": "planted7", "epoch": 0.5, "milestone_type": "relative"}
    numbers = {"step": 11, "milestone": 0.2, "loss_raw": 2.9, "loss_smooth": 2.75, "target_loss": 2.8}
    rows = frame(Milestones, [{**key, **numbers, "baseline_loss": 3.5, "lr": 0.001}])
    assert cells(report(milestones=rows).files["report.md"].decode(), "0.2") == ["0.2", "11", "2.75", "2.8"]


def test_a_report_of_several_runs_is_refused():
    with pytest.raises(ValueError, match="one row of run_manifest, got 12"):
        report(run_manifest=s.run_manifest())
