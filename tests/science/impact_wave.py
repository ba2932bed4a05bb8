"""A simulated confirmation wave of an impact study as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import polars as pl
import simulated_study as fake

from squiggle_assets.science.consensus import consensus_of
from squiggle_assets.science.exclusions import stopped_seeds
from squiggle_assets.science.impact_claims import ImpactResult, impact_result
from squiggle_assets.science.waves import FollowUp

SEEDS = tuple(range(100, 108))
IMPACT, LOSS, PLAIN = "iid.impact-w2", "iid.loss-w2", "iid.exact"
RANDOMS = ("iid.random-w2", "iid.random-w2-2", "iid.random-w2-3")
MEAN = "iid.random-w2-mean"
NAMES = (IMPACT, *RANDOMS, LOSS, PLAIN)
FOLLOWUPS = (
    FollowUp(parent="iid", condition="exact"),
    *(FollowUp(parent="iid", condition="exact", core=core, weight=2) for core in ("impact", "loss")),
    *(FollowUp(parent="iid", condition="exact", core="random", weight=2, draw=draw) for draw in range(3)),
)
SPEC = replace(fake.SPEC, draws_per_cell=10)
STUDY = fake.study(name="impact", kind="impact", fresh_seeds=SEEDS, contrasts=(), followups=FOLLOWUPS, consensus=SPEC)
EVENTS = [(step, layer, metric, 7.0) for step, layer, metric in (
    (40, 0, "principal_angle"), (80, 1, "sparsity_proxy"), (120, 2, "principal_angle"), (150, 3, "effective_rank"),
)]  # fmt: skip
STATUS: dict[str, Any] = {
    "status": "triggers", "reason": "3 significant events of the compared arms; every item is a trigger",
    "num_significant_events": 3, "num_items": 8, "num_triggers": 8, "core_sha256": "0" * 64,
    "consensus_event_id": "e", "band": "layers_0_0", "metric_group": "angle", "polarity": 1, "near_boundary": False,
}  # fmt: skip
NO_CORE = {**STATUS, "status": "no_selection", "reason": "0 items could be ranked", "band": None}


@cache
def tables(
    with_events: Sequence[str] = (IMPACT,), stopped: tuple[tuple[str, int], ...] = (), names: Sequence[str] = NAMES
) -> Mapping[str, pl.DataFrame]:
    """geometry, manifest, scalars, consensus_events and null_draws; some arms share events, some runs were stopped."""
    geometry = pl.concat(
        [fake.geometry_of(name, seeds=SEEDS, events=EVENTS if name in with_events else ()) for name in names]
    )
    manifest = fake.manifest_of(names, seeds=SEEDS)
    for arm, seed in stopped:
        run = (pl.col("arm") == arm) & (pl.col("seed") == seed)
        manifest = manifest.with_columns(stopped_early=pl.col("stopped_early") | run)
        geometry = geometry.filter(~run | (pl.col("step") <= 60))
    found = [
        consensus_of(
            own, fake.events_table(own), arm=own["arm"][0], analysis_id=fake.VERSION, schedule=fake.SCHEDULE,
            detection=fake.DETECTION, spec=SPEC, excluded=stopped_seeds(manifest).get(own["arm"][0], ()),
        )
        for own in geometry.partition_by("arm")
    ]  # fmt: skip
    return {
        "geometry": geometry,
        "manifest": manifest,
        "scalars": fake.scalars_of(names, better=[name for name in names if name in with_events], seeds=SEEDS),
        "consensus_events": pl.concat([each.consensus_events for each in found]),
        "null_draws": pl.concat([each.null_draws for each in found]),
    }


def result(status: Mapping[str, Any] = STATUS, **given: Any) -> ImpactResult:
    """What is claimed of such a wave."""
    return _result(tuple(status.items()), **given)


@cache
def _result(status: tuple[tuple[str, Any], ...], num_seeds: int = len(SEEDS), **given: Any) -> ImpactResult:
    return impact_result(
        STUDY, dict(status), **tables(**given), num_seeds=num_seeds, analysis_id=fake.VERSION, scale="simulated"
    )


def claims_of(found: ImpactResult) -> dict[str, dict[str, Any]]:
    """Claim -> row, by what stands after the colon of the impact arm."""
    return {row["claim"].removeprefix(f"impact:{IMPACT}-"): row for row in found.claims.iter_rows(named=True)}
