import re

import polars as pl
import pytest

from tests.report import small_study as s
from tests.report.test_document import assert_inert


@pytest.fixture(scope="module")
def made():
    return s.report()


@pytest.fixture(scope="module")
def text(made):
    return made.files["report.md"].decode()


@pytest.fixture(scope="module")
def page(made):
    return made.files["report.html"].decode()


def cells(text, first):
    """The cells of the first Markdown table row that begins with these cells."""
    row = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def test_the_frames_of_these_tests_are_tables_of_the_project():
    from squiggle_assets.schemas.tables import RAW

    for name in ("run_manifest", "curriculum", "scalars", "geometry", "events", "detection_summary", "claims"):
        RAW[name].validate(getattr(s, name)())
    for name in ("consensus_events", "null_draws", "invariance", "arm_outcomes"):
        RAW[name].validate(getattr(s, name)())


def test_the_verdicts_come_first_and_the_null_result_is_said(text):
    assert re.findall(r"(?m)^## (.*)", text) == [
        "What was found",
        "Claims",
        "Scale: what this is about",
        "Controls",
        "Arms and seeds",
        "Outcomes",
        "Consensus events and their nulls",
        "Runs: events and trajectories",
        "How it was made",
        "How to read this",
    ]
    found = text[: text.index("## Claims")]
    assert "Hypothesis: Blocks make events." in found
    assert "Null result: none of the 2 claims" in found
    assert found.count("**not supported**") == 3


def test_every_claim_has_its_numbers_and_reasons(text):
    row = cells(text, "planted:planted")
    assert row[:8] == ["planted:planted", "supported", "7.25", r"\[5.5, 9\]", "1.25", "0.800", "0.008", "3"]
    assert "Beyond control placebo: 6" in row[8] and "q 0.9 is above 0.05" in row[8]


def test_every_count_stands_beside_its_nulls(text):
    # observed 5; shift mean 4.5, surrogate mean 6.5; excess over the larger
    assert cells(text, "iid | a") == ["iid", "a", "5", "4.5", "6.5", "−1.5", "0.900"]
    assert cells(text, "iid | b") == ["iid", "b", "5", "4.5", "6.5", "−1.5", "–"]


def test_consensus_events_are_ordered_by_weighted_dis_and_boundaries_are_flagged(text):
    table = text[text.index("| arm | step | cell |") :].splitlines()
    assert [line.split("|")[1].strip() for line in table[2:5]] == ["planted", "blocked", "iid"]
    assert "NEAR phase_start −2" in table[3]
    assert "NEAR" not in table[2] + table[4]
    assert "1 of 3 consensus events have q ≤ 0.05; 0 of those lie near a boundary" in text


def test_every_figure_has_a_caption_with_n_and_a_file(made, text):
    shown = re.findall(r"(?m)^!\[(.*)\]\((plots/[a-z0-9_]+\.png)\)\n\n(.*)", text)
    assert {name for _, name, _ in shown} == {name for name in made.files if name.endswith(".png")}
    assert len(shown) == 9
    for alt, name, caption in shown:
        assert alt
        assert re.search(r"n = 3 seeds in each of \d arms|n, the number of seeds", caption), name


def test_the_floor_is_checked_and_said(text, words_only):
    # loss 4 → 3 less a thousandth of the seed: drop 1.008 ± .0025; accuracies rise by 40 % of that
    assert cells(text, "iid | 3")[2:5] == ["4 → 2.99", r"\[1.01, 1.01\]", "0.1 → 0.503"]
    assert "All arms left their floor" in text
    stuck = s.report(scalars=s.scalars(falls=False)).files["report.md"].decode()
    assert "On the floor: in iid, blocked, placebo and planted training did not move" in stuck


def test_sizes_that_cannot_say_anything_are_called_so(text):
    assert cells(text, "seeds an arm") == ["seeds an arm", "3", "8", "NO"]
    assert cells(text, "draws a null family") == ["draws a null family", "10", "100", "NO"]
    assert "no claim was put to a real test" in text


def test_scale_provenance_curricula_and_plant_are_there(text, page):
    for words in ("embedded model", "0bcbdccb0523305d", "f" * 64, "name: two_phases", "sizes for looking at"):
        assert words in text
        assert words in page
    assert cells(text, "planted | plant") == ["planted", "plant", "planted items", "12 to 13"]


def test_equal_input_gives_equal_bytes_also_from_shuffled_and_lazy_frames(made):
    shuffled = {name: getattr(s, name)().sample(fraction=1.0, shuffle=True, seed=1) for name in ("geometry", "scalars")}
    again = s.report(**shuffled, events=s.events().lazy(), null_draws=s.null_draws().lazy())
    assert again.files == made.files
    assert again.meta == made.meta


def test_the_html_stands_alone(page):
    assert_inert(page)
    assert page.count("data:image/png;base64,") == 9
    assert "http" not in re.sub(r'http-equiv="[^"]*"', "", re.sub(r"base64,[^\"]*", "", page))


def test_hostile_texts_of_items_and_curricula_do_nothing(words_only):
    hostile = s.claims(hypothesis=s.HOSTILE, reasons=s.HOSTILE, evidence=s.HOSTILE)
    made = s.report(
        claims=hostile,
        curriculum=s.curriculum(yaml_text=f"```\n{s.HOSTILE}"),
        made={"inputs": {s.HOSTILE: s.HOSTILE}, "note": s.HOSTILE},
        study=s.study(hypothesis=s.HOSTILE, title=s.HOSTILE),
    )
    assert_inert(made.files["report.html"].decode())
    assert "<script" not in made.files["report.md"].decode().replace(f"```\n{s.HOSTILE}", "")


def test_a_report_without_any_finding_is_still_a_report(words_only):
    made = s.report(
        claims=s.claims().clear(),
        arm_outcomes=s.arm_outcomes().clear(),
        consensus_events=s.consensus_events().clear(),
        null_draws=s.null_draws().clear(),
        invariance=s.invariance().clear(),
        events=s.events().clear(),
    )
    text = made.files["report.md"].decode()
    assert "nothing was tested" in text
    assert "0 of 0 consensus events" in text
    assert made.meta["verdicts"] == {}


def test_arms_without_runs_are_named(words_only):
    given = {name: getattr(s, name)().filter(pl.col("arm") != "blocked") for name in ("run_manifest", "geometry")}
    assert "No runs of blocked" in s.report(**given).files["report.md"].decode()


def test_a_run_that_was_stopped_is_named_and_left_out(words_only):
    text = s.report(run_manifest=s.with_stopped("blocked", 9)).files["report.md"].decode()
    assert "a controller stopped them: blocked seed 9 after 5 updates (loss is nan at step 5)" in text
    assert cells(text, "blocked | treatment")[4] == "7, 8, 9 (1 stopped early, left out)"
    # two seeds of blocked have a held-out score to average, three of the other arms
    assert cells(text, "blocked | 2")[:2] == ["blocked", "2"] and cells(text, "iid | 3")[:2] == ["iid", "3"]
    assert cells(text, "seeds an arm") == ["seeds an arm", "2", "8", "NO"]
    assert "because a controller stopped" not in s.report().files["report.md"].decode()


def test_similarity_and_mixed_groups_stand_beside_what_chance_gives(text):
    # two pairs of seeds with p .02 and .5: half of them are small
    row = cells(text, "iid | neighbour_coverage")
    assert row == ["iid", "neighbour_coverage", "0.5", "0.375", "0.125", "0.500", "2"]
    outcome = cells(text, "consensus_event_count | iid")
    assert outcome[8:11] == ["5.5", "0.600", "3"]


def test_a_study_without_runs_is_refused():
    with pytest.raises(ValueError, match="no arm has both runs and a curriculum"):
        s.report(run_manifest=s.run_manifest().clear())
