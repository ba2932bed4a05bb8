"""From a frozen choice to results as tables: nothing is lost on the way, and every frame meets its model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from squiggle_assets.schemas import followup
from squiggle_assets.schemas.base import dtypes, frame
from squiggle_assets.science.cells import ArmSeries, arm_series
from squiggle_assets.science.counterfactuals import (
    RESULT_COLUMNS,
    RUN_COLUMNS,
    intervention_of,
    location_of,
    results_of,
    runs_of,
    selection_row,
    signature_of,
)
from squiggle_assets.science.edits import Intervention, Window
from squiggle_assets.science.effect_labels import LABELS, Margins
from squiggle_assets.science.effects import SCHEMA as EFFECTS
from squiggle_assets.science.effects import effects_of
from squiggle_assets.science.frozen_location import freeze, measure
from tests.science import simulated_study as fake

EVENT = {
    "probe_set": "a", "layer_lo": 2, "layer_hi": 2, "metric_group": "sparsity", "polarity": 1, "peak_step": 80,
    "onset_step": 76.0,
}  # fmt: skip
FAMILIES = {"x": "inequalities", "y": "inequalities", "z": "optimization"}


def series(events=(), seed: int = 0) -> ArmSeries:
    settings = {"probe_set": "a", "schedule": fake.SCHEDULE, "detection": fake.DETECTION, "num_bands": 4}
    return arm_series(fake.geometry_of("arm", seed=seed, events=events), **settings)


PARENTS = series([(80, 2, "sparsity_proxy", 9.0)])
LOCATION = freeze(PARENTS, EVENT, fake.SPEC)


def selection(condition: str, draw: int = 0, triggers=("y", "x"), part: int = 1) -> dict:
    return selection_row(
        part=part,
        arm=f"iid.{condition}{draw}",
        parent_arm="iid",
        analysis_id="v",
        consensus_event_id="e",
        location=LOCATION,
        intervention=Intervention(condition=condition, triggers=triggers, window=Window(60, 80), draw=draw),
        family_of=FAMILIES,
    )


def runs(condition: str, change=lambda increments: None, draw: int = 0) -> pl.DataFrame:
    """Replays of the parents, their increments changed, as rows of counterfactual_runs."""
    increments = PARENTS.increments.copy()
    change(increments)
    levels = np.concatenate([PARENTS.levels[..., :1], PARENTS.levels[..., :1] + increments.cumsum(axis=-1)], axis=-1)
    found = measure(replace(PARENTS, increments=increments, levels=levels), PARENTS, LOCATION)
    about = pl.DataFrame(
        {
            "seed": range(8),
            "base_run_id": [f"base-{seed}" for seed in range(8)],
            "cf_run_id": [f"{condition}-{draw}-{seed}" for seed in range(8)],
            "num_edits": 3,
            "first_edit_step": 61,
            "prefix_identical": True,
            "steps_reused": 50,
            "final_loss": 1.5,
            "dis": pl.Series([None] * 8, dtype=pl.Float64),
        },
        schema_overrides={"num_edits": pl.Int64, "first_edit_step": pl.Int64, "steps_reused": pl.Int64},
    )
    return runs_of(found, about, selection(condition, draw))


def flatten(increments: np.ndarray) -> None:
    at = [k for k, layer in enumerate(PARENTS.layers) if layer == 2 and PARENTS.metrics[k] == "sparsity_proxy"]
    inside = np.abs(PARENTS.steps - 80) <= 6
    increments[:, at[0], inside] = np.minimum(increments[:, at[0], inside], 0.5)


def jolt(draw: int):
    """Noise after the first edit, small beside the event."""

    def change(increments: np.ndarray) -> None:
        increments[..., 31:] += np.random.default_rng(draw).normal(0, 0.3, size=increments[..., 31:].shape)

    return change


ALL = pl.concat([runs("exact"), runs("remove", flatten), *(runs("placebo", jolt(draw), draw) for draw in range(5))])
EFFECTS_FOUND = effects_of(ALL, family=[("e", "remove")], margins=Margins(delay_steps=5))


def valid(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    return followup.TABLES[table].validate(rows)


def test_a_selection_comes_back_from_its_row_as_it_was():
    row = selection("placebo", 3)
    assert location_of(row) == LOCATION
    assert intervention_of(row) == Intervention(condition="placebo", triggers=("y", "x"), window=Window(60, 80), draw=3)
    assert row["event_signature"] == signature_of(LOCATION) == "a.layers_2_2.sparsity.up"
    assert (row["family_id"], row["n_items"]) == ("inequalities", 2)
    assert selection("remove", triggers=("x", "z"))["family_id"] == "several"
    assert selection("remove", triggers=("x", "y"))["trigger_set_id"] == row["trigger_set_id"]
    assert selection("remove", triggers=("x", "z"))["trigger_set_id"] != row["trigger_set_id"]
    valid("selection", frame(followup.Selection, [row, selection("remove")]))
    with pytest.raises(ValueError, match="without a family"):
        selection("remove", triggers=("stranger",))


def test_runs_effects_and_results_meet_their_models():
    assert valid("counterfactual_runs", ALL).columns == list(RUN_COLUMNS) and len(ALL) == 56
    shown = EFFECTS_FOUND.select(pl.lit("study").alias("exp_id"), pl.lit("selected").alias("status"), pl.all())
    assert valid("counterfactual_effects", shown).columns[2:] == list(EFFECTS)
    results = results_of(ALL, EFFECTS_FOUND, exp_id="study")
    assert valid("counterfactual_results", results).columns == list(RESULT_COLUMNS)
    assert len(results) == 56 and results.filter(pl.col("condition") == "exact")["label"].null_count() == 8


def test_removing_the_event_kills_it_and_placebo_edits_do_not():
    labels = dict(EFFECTS_FOUND.select("condition", "label").iter_rows())
    assert labels == {"remove": "kills", "placebo": "preserves"}
    exact = ALL.filter(pl.col("condition") == "exact")
    assert exact["delay"].to_list() == exact["trajectory_distance"].to_list() == [0.0] * 8
    assert exact["magnitude_ratio"].to_list() == [1.0] * 8


def test_runs_and_their_descriptions_must_be_of_the_same_seeds():
    found = measure(PARENTS, PARENTS, LOCATION)
    with pytest.raises(ValueError, match="measured are seeds"):
        runs_of(found[1:], pl.DataFrame({"seed": range(8)}), selection("remove"))


def test_every_table_can_say_that_nothing_was_selected_and_nothing_else_may_be_missing():
    keys = {"arm": "iid.remove", "seed": 3, "exp_id": "study"}
    of_a_choice = {name: model for name, model in followup.TABLES.items() if "status" in dtypes(model)}
    assert set(followup.TABLES) - set(of_a_choice) == {"followup_design"}, "what a design can show needs no choice"
    for name, model in of_a_choice.items():
        own = {key: value for key, value in keys.items() if key in dtypes(model)}
        if name == "counterfactual_results":
            own.pop("seed")
        rows = valid(name, followup.no_selection(model, **own))
        assert len(rows) == 1 and rows["status"][0] == "no_selection"
        with pytest.raises(Exception, match="only_no_selection_leaves_out"):
            valid(name, rows.with_columns(status=pl.lit("selected")))


def test_a_row_with_a_selection_may_lack_only_what_its_model_says():
    valid(
        "counterfactual_runs", ALL.with_columns(event_step=None, delay=None).cast(dtypes(followup.CounterfactualRuns))
    )
    for name in ("magnitude", "cf_run_id", "censored"):
        lacking = ALL.with_columns(pl.when(pl.col("seed") > 0).then(name).alias(name))
        with pytest.raises(Exception, match="only_no_selection_leaves_out"):
            valid("counterfactual_runs", lacking)
    odd = ALL.with_columns(status=pl.lit("no_selection"))
    with pytest.raises(Exception, match="only_no_selection_leaves_out"):
        valid("counterfactual_runs", odd)


def test_labels_of_models_and_rules_are_the_same():
    assert set(followup._LABELS) == set(LABELS)
