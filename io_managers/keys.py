"""From Dagster's partition keys to (arm, seed).

Here: reading a key by its dimensions, never by splitting its text (Dagster orders dimensions by name).
Not here: the dimensions and rosters (partitions).
"""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from io_managers.pointers import sort_key

ArmSeed = tuple[str | None, int | None]

ARM = "arm"
SEED = "seed"


def arm_seed(partitions_def: dg.PartitionsDefinition, key: str) -> ArmSeed:
    """Arm and seed of one partition key; ValueError for other dimensions than arm (and seed) or a seed like '007'."""
    if not isinstance(partitions_def, dg.MultiPartitionsDefinition):
        return key, None
    multi = partitions_def.get_partition_key_from_str(key)
    dimensions = multi.keys_by_dimension
    if set(dimensions) != {ARM, SEED}:
        raise ValueError(f"partitions are {ARM} x {SEED}, got dimensions {sorted(dimensions)} in key {key!r}")
    return dimensions[ARM], seed_number(dimensions[SEED])


def seed_number(text: str) -> int:
    """The seed as a number; ValueError unless it is written the one way a number is."""
    if not (text.isascii() and text.isdecimal() and str(int(text)) == text):
        raise ValueError(f"seed {text!r} is not a whole number written without sign, spaces or leading zeros")
    return int(text)


def partitions_of(context: dg.InputContext | dg.OutputContext) -> list[ArmSeed]:
    """The partitions an input or output stands for, by arm, then by seed as a number; [(None, None)] if it has none."""
    if not context.has_asset_partitions:
        return [(None, None)]
    return sort_partitions(arm_seed(context.asset_partitions_def, key) for key in context.asset_partition_keys)


def sort_partitions(partitions: Iterable[ArmSeed]) -> list[ArmSeed]:
    """In the order every frame and dict of several partitions has, whatever order Dagster names them in."""
    return sorted(partitions, key=lambda partition: sort_key(*partition))
