"""Dagster partitions definitions of a study: static arms, a dynamic seed roster, their product.

Here: one function per definition. Not here: which keys a roster holds (partitions.rosters).
"""

from __future__ import annotations

from functools import cache

import dagster as dg

from squiggle_assets.science.spec import Study
from squiggle_assets.science.waves import CONFIRMATION


def seed_dimension(study: Study, wave: str = "") -> str:
    """Name of the dynamic dimension that holds the seeds of a wave: the study's own, or its fresh ones."""
    return f"{study.name}_fresh_seed" if wave == CONFIRMATION else f"{study.name}_seed"


@cache
def _arms(names: tuple[str, ...]) -> dg.StaticPartitionsDefinition:
    return dg.StaticPartitionsDefinition(list(names))


def arms(study: Study, wave: str = "") -> dg.StaticPartitionsDefinition:
    """One partition per arm, or per follow-up arm in a later wave."""
    return _arms(tuple(arm.name for arm in (study.followups if wave else study.arms)))


@cache
def _seeds(name: str) -> dg.DynamicPartitionsDefinition:
    return dg.DynamicPartitionsDefinition(name=name)


def seeds(study: Study, wave: str = "") -> dg.DynamicPartitionsDefinition:
    """One partition per registered seed of a wave."""
    return _seeds(seed_dimension(study, wave))


def runs(study: Study, wave: str = "") -> dg.MultiPartitionsDefinition:
    """Arm x seed: one partition per run. Dagster orders the dimensions by name, so keys read arm|seed."""
    return dg.MultiPartitionsDefinition({"arm": arms(study, wave), "seed": seeds(study, wave)})


def run_key(arm: str, seed: int) -> dg.MultiPartitionKey:
    """The multi-partition key of one run."""
    return dg.MultiPartitionKey({"arm": arm, "seed": str(seed)})
