"""The page that the calibration command writes, and the part of README that it replaces."""

from __future__ import annotations

import polars as pl
import pytest

from benchmarks import calibration
from benchmarks.calibration import BEGIN, END, inserted, page, readme_block
from squiggle_assets.science.calibration import aa_rows, trigger_rows
from squiggle_assets.science.calibration_spec import CalibrationSpec
from squiggle_assets.science.trigger_curve import curve_table

SPEC = CalibrationSpec()
README = f"# Title\n\nbefore\n\n{BEGIN}\nold figures\n{END}\n\nafter\n"


def checks(rejected: int = 3, recall: float = 0.96) -> tuple[list[dict], pl.DataFrame]:
    halves = pl.DataFrame(
        [
            {"scenario": scenario.name, "rejected": number < rejected}
            for scenario in SPEC.scenarios
            for number in range(200)
        ]
    )
    shares = {f"{name}{end}": 0.02 for name in ("fdr", "any_false") for end in ("", "_lo", "_hi")}
    rows = [
        {
            **{"extra": extra, "num_studies": 40, "num_true": 1600, "num_found": 1536, "num_false": 3},
            **{f"recall{end}": recall if extra else float("nan") for end in ("", "_lo", "_hi")},
            **shares,
        }
        for extra in SPEC.extras
    ]
    curve = curve_table(rows)
    return [*aa_rows(halves, SPEC), *trigger_rows(curve, SPEC)], curve


def real() -> pl.DataFrame:
    row = {
        **{"check": "aa_resplits", "what": "iid", "value": 0.015, "unit": "share of re-splits rejected"},
        **{"ci_lo": None, "ci_hi": None, "num": 200, "dependent": True, "passed": None},
    }
    return pl.DataFrame([row], schema_overrides={"ci_lo": pl.Float64, "ci_hi": pl.Float64, "passed": pl.Boolean})


def test_what_stands_between_the_markers_is_replaced_and_nothing_else() -> None:
    found = inserted(README, "new figures\n")
    assert found == README.replace("old figures", "new figures")
    assert inserted(found, "new figures") == found


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n{BEGIN}", f"{README}{README}"])
def test_a_text_without_its_markers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        inserted(text, "new")


def test_the_page_says_what_was_found_and_whether_it_held() -> None:
    rows, curve = checks()
    text = page(SPEC, rows, curve, None, "demo")
    assert text.count("| 3 of 200 |") == len(SPEC.scenarios)
    assert "| 1 | 1536 of 1600 | 0.96 |" in text and "| 0 | 1536 of 1600 | – |" in text
    assert "has not been run in the workspace of profile `demo`" in text
    assert "| NO |" not in text
    rows, curve = checks(rejected=17, recall=0.5)
    worse = page(SPEC, rows, curve, real(), "demo")
    assert worse.count("| NO |") == len(SPEC.scenarios) and "held: NO" in worse
    assert "| aa_resplits | iid | 0.015 | – | 200 | yes | – |" in worse


def test_the_short_form_names_the_worst_scenario_and_the_registered_effect() -> None:
    rows, _ = checks()
    text = readme_block(rows, None)
    assert "at most 3 of 200" in text and "over 5 kinds" in text
    assert "0.96 (0.960 to 0.960; at least 0.9 asked)" in text and "0.02 (0.020 to 0.020; at most 0.1 asked)" in text
    assert "Real runs" not in text
    assert "Real runs, iid: 0.015 share of re-splits rejected (–; dependent)." in readme_block(rows, real())


@pytest.mark.parametrize("change", [None, "fewer studies", "another size", "not run"])
def test_simulations_of_the_study_are_taken_only_in_the_sizes_that_are_asked(
    monkeypatch: pytest.MonkeyPatch, change: str | None
) -> None:
    halves = pl.DataFrame(
        [(scenario.name, n) for scenario in SPEC.scenarios for n in range(SPEC.num_studies)],
        schema=["scenario", "study_number"],
        orient="row",
    )
    curve = pl.DataFrame({"extra": SPEC.extras, "num_studies": [SPEC.trigger_studies] * len(SPEC.extras)})
    if change == "fewer studies":
        halves = halves.filter(pl.col("study_number") < SPEC.num_studies - 1)
    if change == "another size":
        curve = curve.with_columns(extra=pl.col("extra") * 2)
    tables = {"aa_simulated": halves, "trigger_recall": curve}
    monkeypatch.setattr(calibration, "of_study", lambda profile, table: None if change == "not run" else tables[table])
    found = calibration.simulated_by_study(SPEC, "demo")
    assert (found is not None) == (change is None)
