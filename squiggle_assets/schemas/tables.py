"""TABLES: asset name -> model, for every table there is. Not here: any model."""

from __future__ import annotations

from squiggle_assets.schemas import (
    calibration,
    claims,
    consensus,
    corpus,
    curriculum,
    design,
    events,
    experiments,
    followup,
    geometry,
    impact,
    probes,
    runs,
    triggers,
    warehouse,
)
from squiggle_assets.schemas.base import Table

RAW: dict[str, type[Table]] = {
    **corpus.TABLES,
    **curriculum.TABLES,
    **runs.TABLES,
    **geometry.TABLES,
    **events.TABLES,
    **consensus.TABLES,
    **claims.TABLES,
    **design.TABLES,
    **triggers.TABLES,
    **followup.TABLES,
    **impact.TABLES,
    **calibration.TABLES,
    **probes.TABLES,
    **experiments.TABLES,
}
"""Tables that Python makes."""

TABLES: dict[str, type[Table]] = {**RAW, **warehouse.TABLES}
"""All tables, the results of SQL models among them."""
