import re

import polars as pl
import pytest

from squiggle_assets.schemas.base import frame
from squiggle_assets.schemas.design import MinimumDetectable
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
    assert row[:8] == ["planted:planted", "supported", "7.25", r"\[5.50, 9.00\]", "1.25", "0.800", "0.008", "3"]
    assert "Beyond control placebo: 6.00" in row[8] and "q 0.9 is above 0.05" in row[8]


def test_every_count_stands_beside_its_nulls(text):
    # observed 5; shift mean 4.5, surrogate mean 6.5; excess over the larger
    assert cells(text, "iid | a") == ["iid", "a", "5", "4.50", "6.50", "−1.50", "0.900"]
    assert cells(text, "iid | b") == ["iid", "b", "5", "4.50", "6.50", "−1.50", "–"]


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
    assert cells(text, "iid | 3")[2:5] == ["4.00 → 2.99", r"\[1.01, 1.01\]", "0.100 → 0.503"]
    assert "All arms left their floor on held-out items" in text
    assert "at most 64 items of a split" in text
    stuck = s.report(scalars=s.scalars(falls=False)).files["report.md"].decode()
    assert "On the floor: in iid, blocked, placebo and planted training did not move" in stuck


def test_a_loss_that_rises_on_held_out_families_is_said_beside_the_one_that_falls(words_only):
    # val_random 4 → 4 - 1.007..1.009; val_family the other way: 4 → 4 + 1.007..1.009 in every arm
    rising = pl.when(pl.col("metric") == "val_family_loss").then(8 - pl.col("value")).otherwise("value")
    text = s.report(scalars=s.scalars().with_columns(value=rising)).files["report.md"].decode()
    fell, rose = (
        next(line for line in text.splitlines() if line.startswith(f"Held-out {what}")) for what in ("it", "fa")
    )
    assert "(val_random): loss fell in 4 of 4 arms (iid 4.00 → 2.99, " in fell and "rose" not in fell
    assert "(val_family): loss rose in 4 of 4 arms (iid 4.00 → 5.01, " in rose and "fell" not in rose
    assert cells(text, "iid | 3")[8:] == ["4.00 → 5.01", r"\[−1.01, −1.01\]"]


def test_a_loss_that_does_not_move_neither_falls_nor_rises(words_only):
    text = s.report(scalars=s.scalars(falls=False)).files["report.md"].decode()
    assert (
        "(val_family): loss did not move clear of 0 (95 % interval over seeds) in 4 of 4 arms (iid 4.00 → 4.00" in text
    )


def test_evidence_is_told_in_words(words_only):
    evidence = (
        '{"by_seed":{"1024":5.25,"8":1.0},"left_out":{},"p":{"shift":0.001},"steps":[140,148],"tables":["geometry"]}'
    )
    text = s.report(claims=s.claims().with_columns(evidence=pl.lit(evidence))).files["report.md"].decode()
    assert "tables: geometry; by seed: 8 1.00, 1024 5.25; p: shift 0.00100; steps: 140, 148" in text
    assert "by_seed" not in text and "left out:" not in text


def test_the_power_is_that_of_the_p_alone(text, words_only):
    assert "was not worked out" in text
    row = {"study": "small", "n_seeds": 8, "num_captures": 101, "num_contrasts": 5, "power": 0.8, "event_size": 2.0}
    row |= {"paired_difference": 1.0, "smallest_q": 0.02, "num_studies": 20}
    told = s.report(minimum_detectable=frame(MinimumDetectable, [row])).files["report.md"].decode()
    assert "finds a common event of 2 robust sd in every seed with power 0.8" in told
    assert "a difference of 1.00 sd of the paired differences" in told
    assert "the power of the p alone. A verdict of supported also needs an interval clear" in told
    blind = frame(MinimumDetectable, [row | {"event_size": None, "paired_difference": None}])
    told = s.report(minimum_detectable=blind.lazy()).files["report.md"].decode()
    assert "finds none of the common events tried" in told and "Between two arms" not in told


def test_sizes_that_cannot_say_anything_are_called_so(text):
    assert cells(text, "seeds an arm") == ["seeds an arm", "3", "8", "NO"]
    assert cells(text, "draws a null family") == ["draws a null family", "10", "100", "NO"]
    assert "no claim was put to a real test" in text


def test_scale_provenance_curricula_and_plant_are_there(text, page):
    for words in ("robust sd: 1.4826", "envelopes: an increment", "DIS (dynamics impact score)"):
        assert words in text
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
    assert row == ["iid", "neighbour_coverage", "0.500", "0.375", "0.125", "0.500", "2"]
    outcome = cells(text, "consensus_event_count | iid")
    assert outcome[8:11] == ["5.50", "0.600", "3"]


def test_a_study_without_runs_is_refused():
    with pytest.raises(ValueError, match="no arm has both runs and a curriculum"):
        s.report(run_manifest=s.run_manifest().clear())
