"""What the reports of order, sampling modes and calibration say beyond those of other studies."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from squiggle_assets.report.chapters_calibration import calibration_chapters
from squiggle_assets.report.chapters_modes import modes_chapters
from squiggle_assets.report.chapters_order import order_chapters
from squiggle_assets.report.document import Document, Section, draft
from squiggle_assets.schemas import calibration as cal
from squiggle_assets.schemas.base import empty, frame
from squiggle_assets.schemas.experiments import OrderSensitivity, OrderSlopes, TriggerModes, TriggerPersistence
from squiggle_assets.studies.calibration import CALIBRATION
from tests.report import small_study

STUDY = {"study": "s", "analysis_id": "a", "probe_set": "a"}


def model_row(model: Any, **given: Any) -> dict[str, Any]:
    return {**dict.fromkeys(model.to_schema().columns), **given}


def words(sections: Sequence[Section]) -> str:
    return str(draft(Document(title="t", subtitle="s", sections=sections), {}).files["report.md"].decode())


def cells(text: str, first: str) -> list[str]:
    row = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


# ---- order

ARMS = ("blocked_early", "ramp", "controls_first")
PAIRS = [*((ORDER_ARM, other) for i, ORDER_ARM in enumerate(ARMS) for other in ARMS[i + 1 :])]


def order_slopes(gap: float = 0.0) -> pl.DataFrame:
    rows = []
    for arm, against in [*PAIRS, ("placebo", "balanced")]:
        placebo = arm == "placebo"
        rows.append(
            model_row(
                OrderSlopes, **STUDY, comparison="placebo" if placebo else "order", arm=arm, against=against,
                window_lo=140, window_hi=200, num_cells=9, num_units=6, n_seeds=8, num_null=2000,
                slope=0.02 if placebo else 0.4, null_mean=0.0, null_sd=0.1, p_redrawn=0.001, p_seeds=0.008,
                p_value=0.008, smallest_p=0.008, mixture_gap=0.0 if placebo else gap, by_seed_json="{}",
            )
        )  # fmt: skip
    return frame(OrderSlopes, rows)


def order_sensitivity() -> pl.DataFrame:
    """Six families in three arms, six groups in two, two items; the first family is order-sensitive."""
    rows = []
    for number in range(6):
        for comparison, grain, arms in (("order", "family", ARMS), ("placebo", "group", ("placebo", "balanced"))):
            for place, arm in enumerate(arms):
                first = 20.0 * ((number + 2 * place) % 6)
                effect = 0.01 * first / 20 + 0.002 * number
                own = number == 0 and grain == "family"
                rows.append(
                    model_row(
                        OrderSensitivity, **STUDY, comparison=comparison, grain=grain, family_id=f"family_{number}",
                        arm=arm, window_lo=140, window_hi=200, n_seeds=8, num_showings=50, first_step=first, quartile=1,
                        effect=effect, effect_lo=effect - 0.01, effect_hi=effect + 0.01, num_null=2000,
                        interaction=0.3, ci_lo=0.1 if own else -0.2, ci_hi=0.5, null_sd=0.1, p_seeds=0.008,
                        p_value=0.001 if own else 0.5, q_value=0.006 if own else 0.6, order_sensitive=own,
                    )
                )  # fmt: skip
    items = [
        {**row, "grain": "item", "item_id": f"item_{number}", "q_value": 0.9 - number / 10}
        for number in range(2)
        for row in rows[:3]
    ]
    return frame(OrderSensitivity, [*rows, *({**row, "order_sensitive": False} for row in items)])


def test_slopes_and_units_stand_with_their_nulls(words_only: None) -> None:
    said = words(order_chapters(order_sensitivity(), order_slopes()))
    assert "Compared in steps 140 to 199" in said and "mixtures of the window differ" not in said
    row = cells(said, "blocked_early | ramp")
    assert row[2:] == ["6 families", "0.400", "0", "0.100", "0.001", "0.008", "0.008", "0.008", "0 %"]
    assert cells(said, "placebo | balanced")[2:4] == ["6 groups", "0.0200"]
    own = cells(said, "family_0")
    assert own[1] == "blocked_early 0 (0); ramp 0.0200 (40); controls_first 0.0400 (80)"
    assert own[2:] == ["0.300 \\[0.100, 0.500\\]", "0.001", "0.006", "yes"]
    assert cells(said, "shuffled family_0")[-1] == "no"
    assert "1 of 12 units order-sensitive" in said


def test_items_come_by_q_and_mixtures_that_differ_are_a_warning(words_only: None) -> None:
    said = words(order_chapters(order_sensitivity(), order_slopes(0.25)))
    assert said.index("| item_1 (family_0) |") < said.index("| item_0 (family_0) |")
    assert "**Single items (2 of 2)**" in said and "0 of 2 are order-sensitive" in said
    assert "**Warning.** The mixtures of the window differ between arms, in up to 25 % of the slots" in said


def test_without_slopes_or_items_there_is_a_sentence(words_only: None) -> None:
    said = words(order_chapters(empty(OrderSensitivity), empty(OrderSlopes)))
    assert "Nothing could be compared: that takes two ordered arms" in said
    families = order_sensitivity().filter(pl.col("grain") == "family")
    assert "No single item was shown often enough" in words(order_chapters(families, order_slopes()))
    assert "Compared in steps" in words(order_chapters(empty(OrderSensitivity), order_slopes()))


# ---- sampling modes

MODES = ("balanced", "proportional", "tempered")


def trigger_persistence() -> pl.DataFrame:
    known = {"lift": 3.0, "family_lift": 1.1, "p_binomial": 0.001, "p_seeds": 0.0625, "p_value": 0.0625}
    known |= {"smallest_p": 0.0625, "by_seed_json": "{}", "family_by_seed_json": "{}", "n_seeds": 4}
    rows = [
        {"mode": "balanced", "status": "measured", "against": "tempered", "num_triggers": 3, **known}
        | {"measured_in": '["tempered"]', "num_measured": 2},
        {"mode": "proportional", "status": "no triggers", "num_triggers": 0, "n_seeds": 0},
        {"mode": "tempered", "status": "no other mode", "num_triggers": 2, "n_seeds": 0},
    ]
    common = {"share_common_draws": 0.125, "measured_in": "[]"}
    return frame(TriggerPersistence, [model_row(TriggerPersistence, **STUDY, **{**common, **row}) for row in rows])


def trigger_modes() -> pl.DataFrame:
    rows = []
    for number, word in enumerate(("robust", "distribution-sensitive", "inconclusive")):
        lift = {"count": 9, "expected": 2.0, "lift": 3.8 - number, "lower": 1.5 - number / 2, "p": 0.001}
        lifts = {mode: lift for mode in MODES[: 3 - number]}
        rows.append(
            model_row(
                TriggerModes, **STUDY, event_signature="layers_0_0.angle.up", item_id=f"item_{number}",
                content_sha256="a" * 64, family_id="cyclic_groups", found_in='["balanced","tempered"]',
                found_on="[1,2]", measured_on="[3,4,5]", lag=5, num_modes=len(lifts), modes_present="[]",
                lifts_json=json.dumps(lifts), i_squared=0.25 if number < 2 else None, p_heterogeneity=0.3,
                q_every=None if number == 2 else 0.01 + number, mode_class=word,
            )
        )  # fmt: skip
    return frame(TriggerModes, [{**row, "q_every": min(row["q_every"] or 0.9, 0.9)} for row in rows])


def test_persistence_is_told_with_its_control_and_why_a_mode_was_not_measured(words_only: None) -> None:
    said = words(modes_chapters(trigger_modes(), trigger_persistence()))
    row = cells(said, "balanced | 3")
    assert row[2:] == ["tempered", "tempered", "2", "3.00", "1.10", "0.001", "0.062", "0.062", "4", "12 %"]
    assert cells(said, "tempered | 2")[2:6] == ["–", "–", "–", "–"]
    assert "- proportional: no half of the seeds found a trigger" in said
    assert "- tempered: no other mode has such an event" in said


def test_triggers_stand_with_their_lift_in_every_mode_and_their_class(words_only: None) -> None:
    said = words(modes_chapters(trigger_modes(), trigger_persistence()))
    assert "3 pairs of an event and a trigger" in said and "- robust (1): shown before the event" in said
    row = cells(said, "layers_0_0.angle.up | item_0")
    assert row[3] == "balanced and tempered" and row[4].startswith("balanced 3.80 (≥ 1.50); proportional 3.80")
    assert row[5:] == ["0.010", "0.300", "25 %", "robust"]
    assert "n = 3 measuring seeds" in said


def test_modes_without_triggers_or_without_runs_are_sentences(words_only: None) -> None:
    assert "No trigger was found under any mode" in words(modes_chapters(empty(TriggerModes), trigger_persistence()))
    none = words(modes_chapters(empty(TriggerModes), empty(TriggerPersistence)))
    assert "fewer than two sampling modes have runs" in none


# ---- calibration


def calibration_frames(rejected: int = 2) -> dict[str, pl.DataFrame]:
    """40 simulated comparisons of two scenarios, splits of one arm, a curve, three scores, 16 subset runs."""
    simulated = [
        {"scenario": scenario, "study_number": number, "events_first": 1, "events_second": 2, "estimate": -0.5}
        | {"p_value": (number + 1) / 40, "rejected": number < rejected}
        for scenario in ("white", "events")
        for number in range(40)
    ]
    splits = [
        {"arm": "iid", "split": number, "first_seeds": "[1]", "second_seeds": "[2]", "events_first": 0}
        | {"events_second": 0, "estimate": 0.0, "p_value": (number + 1) / 20, "rejected": number == 0}
        for number in range(20)
    ]
    curve = [
        {"extra": extra, "num_studies": 40, "num_true": 1600 if extra else 0, "num_found": int(1500 * extra)}
        | {"num_false": 3, "recall": 0.94 * extra if extra else None, "fdr": 0.02, "fdr_lo": 0.0, "fdr_hi": 0.05}
        | ({"recall_lo": 0.9 * extra, "recall_hi": min(1.0, 0.98 * extra)} if extra else {})
        | {"any_false": 0.05, "any_false_lo": 0.006, "any_false_hi": 0.17}
        for extra in (0.0, 0.4, 1.0)
    ]
    lds = [
        model_row(
            cal.Lds, study="s", arm="planted", place="layers_0_0.angle up at 140", share=0.5, method=method,
            num_subsets=40, num_items=1000, num_queries=1, lds=value, ci_lo=value - 0.2, ci_hi=value + 0.2,
            p_value=0.004, smallest_p=0.001, status="tested", ceiling=0.8, ceiling_lo=0.6, ceiling_hi=0.9,
            num_repeats=8, **difference,
        )
        for method, value, difference in (
            ("lift", 0.5, {"difference": 0.4, "difference_lo": 0.1, "difference_hi": 0.7}),
            ("exposure", 0.1, {}), ("random", 0.0, {}),
        )
    ]  # fmt: skip
    outcomes = [
        {"arm": f"planted.{condition}", "seed": seed, "parent_arm": "planted", "run_id": f"r{seed}", "draw": 0}
        | {"condition": condition, "num_items": 500, "num_planted": 4 + seed % 5, "stopped_early": seed == 7}
        | {"outcome": None if seed == 7 else 1.0 + 0.3 * (seed % 5)}
        for condition in ("subset", "repeat")
        for seed in range(8)
    ]
    tables = {
        "aa_simulated": frame(cal.AASimulated, simulated),
        "aa_resplits": frame(cal.AAResplits, splits),
        "trigger_recall": frame(cal.TriggerRecall, curve),
        "lds": frame(cal.Lds, lds),
        "subset_outcomes": frame(cal.SubsetOutcomes, outcomes),
    }
    asked = {"bound": 0.08, "side": "at most", "unit": "share of studies rejected", "ci_lo": 0.01, "ci_hi": 0.2}
    checks = [
        {"check": "aa_simulated", "what": "white", "value": rejected / 40, "num": 40, "passed": rejected < 4, **asked},
        {"check": "aa_resplits", "what": "iid", "value": 0.05, "unit": "share", "num": 20, "dependent": True},
        {"check": "lds", "what": "planted: lift", "value": None, "unit": "correlation", "num": 0},
    ]
    plain = {"study": "s", "dependent": False, "method": "counted."}
    return {**tables, "calibration": frame(cal.Calibration, [plain | check for check in checks])}


def calibration_words(**given: pl.DataFrame) -> str:
    return words(calibration_chapters(CALIBRATION, **{**calibration_frames(), **given}))


def test_the_frames_of_the_calibration_are_tables_of_the_project() -> None:
    for name, table in calibration_frames().items():
        cal.TABLES[name].validate(table)


def test_checks_are_counted_and_one_that_failed_is_a_warning(words_only: None) -> None:
    said = calibration_words()
    assert "> 3 checks: 1 held, 0 failed, of 2 nothing is asked or nothing could be tested." in said
    row = cells(said, "equal halves, simulated | white")
    assert row[2:7] == ["0.0500", "\\[0.0100, 0.200\\]", "at most 0.08", "40", "yes"] and "counted." in row[7]
    assert cells(said, "attribution against subsets | planted: lift")[2:7] == ["–", "–", "–", "0", "–"]
    loud = calibration_frames(rejected=8)
    failed = words(calibration_chapters(CALIBRATION, **loud))
    assert "1 failed" in failed and "**Warning.** Failed: equal halves, simulated, white. " in failed


def test_halves_are_counted_by_scenario_and_arm_and_arms_that_were_not_split_are_named(words_only: None) -> None:
    said = calibration_words()
    assert cells(said, "simulated | white")[2:] == ["40", "2", "0.050", "1.50", "−0.500"]
    assert cells(said, "real runs | iid")[2:] == ["20", "1", "0.050", "0", "0"]
    assert "Too few whole runs for two halves: placebo and planted." in said
    tiny = calibration_frames()["aa_resplits"].with_columns(rejected=pl.lit(None, dtype=pl.Boolean))
    assert cells(calibration_words(aa_resplits=tiny), "real runs | iid")[3:5] == ["–", "–"], "no p could be so small"
    assert "real runs were not split" in calibration_words(aa_resplits=empty(cal.AAResplits))


def test_the_curve_the_scores_and_the_subsets_are_told(words_only: None) -> None:
    said = calibration_words()
    assert cells(said, "0.4")[4:6] == ["3", "0.376 \\[0.360, 0.392\\]"]
    assert cells(said, "0")[5] == "–", "without effect there is no recall"
    assert cells(said, "planted | lift")[2:5] == ["0.500 \\[0.300, 0.700\\]", "0.004", "0.400 \\[0.100, 0.700\\]"]
    assert "Ceiling: planted (layers_0_0.angle up at 140) 0.800 \\[0.600, 0.900\\] from 8 repeats" in said
    assert "16 runs on subsets; 2 without an outcome" in said


def test_empty_tables_of_a_calibration_are_sentences(words_only: None) -> None:
    said = words(calibration_chapters(CALIBRATION, **{name: empty(model) for name, model in cal.TABLES.items()
                                                      if name != "item_losses"}))  # fmt: skip
    for sentence in (
        "No check was made.",
        "No arm was split, simulated or real.",
        "No arms with known triggers were simulated.",
        "No run on a subset was made.",
        "No score was held against them.",
    ):
        assert sentence in said
    few = calibration_frames()["lds"].with_columns(
        *(pl.lit(None, dtype=pl.Float64).alias(name) for name in ("lds", "ci_lo", "ci_hi", "p_value", "ceiling")),
        status=pl.lit("too few subsets"),
    )
    assert cells(calibration_words(lds=few), "planted | lift")[2] == "–"


# ---- inside a study's report


def chapters() -> list[Section]:
    return [
        *order_chapters(order_sensitivity(), order_slopes(0.1)),
        *modes_chapters(trigger_modes(), trigger_persistence()),
        *calibration_chapters(CALIBRATION, **calibration_frames()),
    ]


def report() -> Any:
    return small_study.report(chapters=chapters())


def test_chapters_stand_after_the_controls_and_their_figures_are_files() -> None:
    made = report()
    titles = re.findall(r"(?m)^## (.*)", made.files["report.md"].decode())
    own = [section.title for section in chapters()]
    assert titles[: 4 + len(own)] == ["What was found", "Claims", "Scale: what this is about", "Controls", *own]
    named = {"introductions", "mode_lifts", "equal_halves", "trigger_recall", "lds", "subset_outcomes"}
    assert {f"plots/{name}.png" for name in named} <= set(made.files)
    assert report().files == made.files


@pytest.mark.parametrize("table", [order_sensitivity, order_slopes, trigger_modes, trigger_persistence])
def test_the_frames_of_order_and_modes_are_tables_of_the_project(table: Any) -> None:
    from squiggle_assets.schemas.experiments import TABLES

    TABLES[table.__name__].validate(table())
