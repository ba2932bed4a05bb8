"""Dagster partitions definitions of a study: static arms, a dynamic seed roster, their product.

Here: one function per definition. Not here: which keys a roster holds (partitions.rosters).
"""

from __future__ import annotations

from functools import cache

import dagster as dg

from squiggle_assets.science.spec import Study


def seed_dimension(study: Study) -> str:
    """Name of the dynamic dimension that holds the study's seeds."""
    return f"{study.name}_seed"


@cache
def _arms(names: tuple[str, ...]) -> dg.StaticPartitionsDefinition:
    return dg.StaticPartitionsDefinition(list(names))


def arms(study: Study) -> dg.StaticPartitionsDefinition:
    """One partition per arm."""
    return _arms(tuple(arm.name for arm in study.arms))


@cache
def _seeds(name: str) -> dg.DynamicPartitionsDefinition:
    return dg.DynamicPartitionsDefinition(name=name)


def seeds(study: Study) -> dg.DynamicPartitionsDefinition:
    """One partition per registered seed."""
    return _seeds(seed_dimension(study))


def runs(study: Study) -> dg.MultiPartitionsDefinition:
    """Arm x seed: one partition per run. Dagster orders the dimensions by name, so keys read arm|seed."""
    return dg.MultiPartitionsDefinition({"arm": arms(study), "seed": seeds(study)})


def run_key(arm: str, seed: int) -> dg.MultiPartitionKey:
    """The multi-partition key of one run."""
    return dg.MultiPartitionKey({"arm": arm, "seed": str(seed)})
