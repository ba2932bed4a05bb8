"""Every study has a report, and its node hands over what the report asks for."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest

from squiggle_assets import profiles
from squiggle_assets.assets import reports
from squiggle_assets.definitions import graph_of
from squiggle_assets.report import (
    chapters_calibration,
    chapters_modes,
    chapters_order,
    impact_report,
    probe_report,
    study_report,
    trigger_report,
)
from squiggle_assets.studies import STUDIES

PROFILE = profiles.load("test")
ASKS = {
    "trigger_mining": [trigger_report.trigger_report],
    "impact_curriculum": [impact_report.impact_report],
    "probe_harness": [probe_report.probe_report],
    "order": [study_report.study_report, chapters_order.order_chapters],
    "sampling_modes": [study_report.study_report, chapters_modes.modes_chapters],
    "calibration": [study_report.study_report, chapters_calibration.calibration_chapters],
    "curriculum_ab": [study_report.study_report],
}
NO_TABLES = {"study", "profile", "made", "chapters"}


def report_of(name: str) -> Any:
    return graph_of(name, PROFILE).makers["report"]


@pytest.mark.parametrize("name", STUDIES)
def test_the_report_of_every_study_gets_the_tables_that_it_asks_for(name: str) -> None:
    asked = {each for function in ASKS[name] for each in inspect.signature(function).parameters}
    assert set(report_of(name).inputs) == asked - NO_TABLES


@pytest.mark.parametrize(
    ("name", "module", "function"),
    [
        ("order", chapters_order, "order_chapters"),
        ("sampling_modes", chapters_modes, "modes_chapters"),
        ("calibration", chapters_calibration, "calibration_chapters"),
    ],
)
def test_chapters_are_made_of_their_own_tables_and_go_into_the_studys_report(
    name: str, module: Any, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: list[Any] = []
    monkeypatch.setattr(module, function, lambda *given, **named: own.extend([*given, *named.values()]) or ["chapter"])
    monkeypatch.setattr(study_report, "study_report", lambda study, profile, **given: given)
    monkeypatch.setattr(reports, "_made", lambda step: {})
    node = report_of(name)
    step = SimpleNamespace(scope=SimpleNamespace(study="the study", profile="p"))
    made = node.compute(step, **{table: f"rows of {table}" for table in node.inputs})["report"]
    assert made.pop("chapters") == ["chapter"] and made.pop("made") == {}
    handed = {words.removeprefix("rows of ") for words in own if words != "the study"}
    assert handed | set(made) == set(node.inputs) and not handed & set(made)


def test_a_report_is_another_one_when_a_table_of_its_chapter_is_read_otherwise() -> None:
    versions = {name: report_of(name).code_version for name in ("curriculum_ab", "order", "sampling_modes")}
    assert len(set(versions.values())) == 3
