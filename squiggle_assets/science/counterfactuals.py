"""Rows of the second wave: the frozen choice as a row and back again, runs as rows, runs beside their effects.

Here: selection rows, counterfactual_runs and counterfactual_results as frames. Not here: the numbers in them
(frozen_location, effects), table models (schemas), storage.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from squiggle_assets.science.canonical import canonical_json, short_hash
from squiggle_assets.science.edits import Intervention, Window
from squiggle_assets.science.frozen_location import FrozenLocation

SEVERAL = "several"
"""family_id of triggers of more than one family."""
ABOUT_RUNS = (
    *("base_run_id", "cf_run_id", "num_edits", "first_edit_step", "prefix_identical", "steps_reused"),
    *("final_loss", "dis"),
)
"""What is known of a replay beside its measurement, by seed."""
_OF_CHOICE = (
    *("consensus_event_id", "event_signature", "trigger_set_id", "n_items", "family_id"),
    *("condition", "part", "draw", "edit_scope"),
)
_MEASURED = (
    *("event_present", "event_step", "delay", "censored", "magnitude", "magnitude_ratio", "dis"),
    *("trajectory_distance", "final_loss"),
)
RUN_COLUMNS = (
    *("arm", "seed", "status", *_OF_CHOICE, "base_run_id", "cf_run_id", *_MEASURED),
    *("steps_to_event", "horizon_steps", "num_edits", "first_edit_step", "prefix_identical", "steps_reused"),
)
"""Columns of counterfactual_runs in order."""
_EFFECT = ("effect_rd", "effect_g", "ci_lo", "ci_hi", "p_value", "q_value", "n_seeds", "label")
RESULT_COLUMNS = ("exp_id", "status", *_OF_CHOICE, "base_run_id", "cf_run_id", *_MEASURED, "seed", *_EFFECT)
"""Columns of counterfactual_results in order."""
SELECTED = "selected"


def signature_of(location: FrozenLocation) -> str:
    """probe_set.band.metric_group.direction: what kind of event it is, wherever in time."""
    direction = "up" if location.polarity > 0 else "down"
    return f"{location.probe_set}.layers_{location.layer_lo}_{location.layer_hi}.{location.metric_group}.{direction}"


def selection_row(
    *,
    arm: str,
    parent_arm: str,
    analysis_id: str,
    consensus_event_id: str,
    location: FrozenLocation,
    intervention: Intervention,
    family_of: Mapping[str, str],
    part: int = 1,
) -> dict[str, Any]:
    """The frozen choice of one follow-up arm and event: one row of selection.

    family_of: true family by item_id, of every trigger; part: the items are the best 1/part of the event's triggers.
    ValueError where a family is missing.
    """
    absent = [name for name in intervention.triggers if name not in family_of]
    if absent:
        raise ValueError(f"triggers without a family: {absent[:3]}")
    families = sorted({family_of[name] for name in intervention.triggers})
    return {
        "arm": arm,
        "status": SELECTED,
        "parent_arm": parent_arm,
        "analysis_id": analysis_id,
        "condition": intervention.condition,
        "part": part,
        "edit_scope": intervention.scope,
        "draw": intervention.draw,
        "consensus_event_id": consensus_event_id,
        "event_signature": signature_of(location),
        "trigger_set_id": short_hash(sorted(intervention.triggers)),
        "trigger_items": canonical_json(list(intervention.triggers)),
        "n_items": len(intervention.triggers),
        "family_id": families[0] if len(families) == 1 else SEVERAL,
        "probe_set": location.probe_set,
        "layer_lo": location.layer_lo,
        "layer_hi": location.layer_hi,
        "metric_group": location.metric_group,
        "polarity": location.polarity,
        "event_step": location.step,
        "onset_step": location.onset,
        "tolerance_steps": location.tolerance,
        "floor": location.floor,
        "window_first": intervention.window.first,
        "window_stop": intervention.window.stop,
    }


def location_of(row: Mapping[str, Any]) -> FrozenLocation:
    """The frozen location of a selection row; what follow-up runs are measured at."""
    return FrozenLocation(
        probe_set=row["probe_set"],
        layer_lo=row["layer_lo"],
        layer_hi=row["layer_hi"],
        metric_group=row["metric_group"],
        polarity=row["polarity"],
        step=row["event_step"],
        onset=row["onset_step"],
        tolerance=row["tolerance_steps"],
        floor=row["floor"],
    )


def intervention_of(row: Mapping[str, Any]) -> Intervention:
    """The intervention of a selection row; what the edits of a replay are made from."""
    return Intervention(
        condition=row["condition"],
        triggers=tuple(json.loads(row["trigger_items"])),
        window=Window(row["window_first"], row["window_stop"]),
        scope=row["edit_scope"],
        draw=row["draw"],
    )


def runs_of(measured: pl.DataFrame, about: pl.DataFrame, row: Mapping[str, Any]) -> pl.DataFrame:
    """counterfactual_runs (RUN_COLUMNS) of one follow-up arm and event, by seed.

    Args:
        measured: frozen_location.measure of its runs.
        about: One row a run: seed and ABOUT_RUNS; final_loss and dis are null where there are none.
        row: Its selection.

    Raises:
        ValueError: measurement and `about` are of different seeds.
    """
    if sorted(measured["seed"]) != sorted(about["seed"]):
        raise ValueError(f"measured are seeds {sorted(measured['seed'])}, described are {sorted(about['seed'])}")
    keys = {name: pl.lit(row[name]) for name in ("arm", "status", *_OF_CHOICE)}
    typed = {name: expr.cast(pl.Int64) if name in ("n_items", "part", "draw") else expr for name, expr in keys.items()}
    return measured.join(about, on="seed").with_columns(**typed).select(RUN_COLUMNS).sort("seed")


def results_of(runs: pl.DataFrame, effects: pl.DataFrame, *, exp_id: str) -> pl.DataFrame:
    """counterfactual_results (RESULT_COLUMNS): every run with the effect and label of its event, condition and part.

    runs: counterfactual_runs of all follow-up arms of one wave; effects: effects_of these runs and no others. Exact
    replays are no condition and have no effect.
    """
    keys = ["consensus_event_id", "condition", "part"]
    beside = runs.join(effects.select(*keys, *_EFFECT), on=keys, how="left", maintain_order="left")
    order = ["consensus_event_id", "condition", "part", "edit_scope", "draw", "seed"]
    return beside.with_columns(exp_id=pl.lit(exp_id)).select(RESULT_COLUMNS).sort(order)
