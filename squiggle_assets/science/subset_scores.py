"""The event at the planted place, and the scores of every item for it.

Here: that event as attribution reads events, scores by several rules. Not here: attribution (triggers), the response
and its test (planted), what the scores are worth (lds).
Legend: N = items of the policy, S = seeds, M = series of the cell, W = increments of the window.

The event is where the plant is, in the pre-registered cell, whether or not the consensus test found one there: what is
scored must not depend on what was found. The polarity is that of the response over all seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.calibration import EXPOSURE, FREQUENCY, LIFT, LOSS, TRIGGERS, TRUTH
from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.cells import ArmSeries, Cell
from squiggle_assets.science.envelope import standardise
from squiggle_assets.science.exposures import exposures_of
from squiggle_assets.science.planted import place_of, response_of, window_of
from squiggle_assets.science.policy import Policy
from squiggle_assets.science.spec import ConsensusSpec, Plant
from squiggle_assets.science.triggers import attribute
from squiggle_assets.science.waves import TriggerSpec

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

NO_EVENT = "none: too few runs of the parent went to their end"
"""Name of the event where there is nothing to seek it in."""


class PlantedEvent(NamedTuple):
    """The event at the planted place of one arm."""

    row: Mapping[str, Any]
    """The columns of consensus_events that attribution reads."""
    cell: Cell
    window: I64
    """[W] increments in which the response is sought."""
    polarity: int
    name: str
    """Cell, polarity and steps."""


def planted_event(
    series: ArmSeries,
    steps: tuple[int, int],
    plant: Plant,
    spec: ConsensusSpec,
    *,
    arm: str,
    analysis_id: str,
    draws: np.random.Generator,
) -> PlantedEvent:
    """The event of the planted arm at its planted steps: (first step, step after the last one).

    Its onset is the first planted step; each seed's own step is where its largest oriented increment within the window
    ends. ValueError as `place_of` and `window_of`.
    """
    cell = place_of(series, plant.band, plant.metric_group)
    window = window_of(series, steps, spec)
    polarity = response_of(series, steps, spec, draws, band=plant.band, group=plant.metric_group).polarity
    scale_SK = standardise(series).scale
    scale_SM = np.where(scale_SK > 0, scale_SK, np.inf)[:, list(cell.members)]
    unit_SMW = polarity * series.increments[:, list(cell.members)][:, :, window] / scale_SM[:, :, None]
    peak_S = series.steps[window][unit_SMW.max(axis=1).argmax(axis=1)]
    name = f"{cell.name}{'+' if polarity > 0 else '-'} at steps {steps[0]} to {steps[1] - 1}"
    row = {
        **{"arm": arm, "analysis_id": analysis_id, "probe_set": spec.probe_set, "consensus_event_id": "planted"},
        **{"band": f"layers_{cell.layer_lo}_{cell.layer_hi}", "metric_group": cell.group, "polarity": polarity},
        "median_step": float(np.median(peak_S)),
        "onset_step": float(steps[0]),
        "constituents": canonical_json(
            {str(seed): {"step": int(step)} for seed, step in zip(series.seeds, peak_S.tolist(), strict=True)}
        ),
    }
    return PlantedEvent(row, cell, window, polarity, name)


def item_scores(
    event: PlantedEvent, traces: pl.DataFrame, policy: Policy, spec: TriggerSpec, losses: Mapping[str, float]
) -> dict[str, F64]:
    """Score -> [1, N] of every item for the event; only traces of the parent's runs are read, no outcome of a subset.

    triggers: attribution's shrunken log lift of the items it calls triggers, 0 for all others. lift: the same of every
    item that a window holds. frequency: the sources' score, 0 for an item that no window holds. exposure: draws in all
    runs. loss: of the base model, by item_id. planted: 1 for planted items, which no rule may read: what a score could
    reach here, and how far beyond exposure. ValueError names an item without a loss.
    """
    missing = [name for name in policy.items["item_id"] if not np.isfinite(losses.get(name, np.nan))]
    if missing:
        raise ValueError(f"{len(missing)} items have no loss, for instance {missing[0]!r}")
    found = attribute(pl.DataFrame([event.row]), traces, policy, spec).items
    shown = policy.items.select("item_id").join(found, on="item_id", how="left", maintain_order="left")

    def of(column: str) -> F64:
        return shown[column].fill_null(0.0).to_numpy().astype(np.float64)[None]

    called = shown["is_trigger"].fill_null(False).to_numpy()
    return {
        TRIGGERS: of("log_lift_shrunk") * called,
        LIFT: of("log_lift_shrunk"),
        EXPOSURE: exposures_of(traces, policy).totals().sum(axis=0).astype(np.float64)[None],
        FREQUENCY: of("score_freq"),
        LOSS: np.array([[losses[name] for name in policy.items["item_id"]]]),
        TRUTH: policy.items["planted"].to_numpy().astype(np.float64)[None],
    }


def no_scores(policy: Policy) -> dict[str, F64]:
    """Scores of nothing, by the names of item_scores: 0 for every item."""
    return {name: np.zeros((1, len(policy.items))) for name in (TRIGGERS, LIFT, EXPOSURE, FREQUENCY, LOSS, TRUTH)}
