"""Partition keys: what may be one, and how arm and seed become one.

Here: validation and conversion. Not here: Dagster's own definitions (partitions.dimensions).
"""

from __future__ import annotations

import re

from squiggle_assets.science.spec import Study, check_name

_SEED = re.compile(r"0|[1-9][0-9]{0,17}")


def arm_key(study: Study, arm: str) -> str:
    """The arm's name if the study has it; ValueError names the arms there are."""
    check_name(arm, "arm")
    return study.arm(arm).name


def seed_of(key: str | int) -> int:
    """The seed a key stands for.

    ValueError unless it is a plain non-negative integer of at most 18 digits in its one spelling: '007' and '7'
    would be two partitions of one seed, and '1|2', '1,2' or '..' are not seeds at all.
    """
    text = str(key)
    if isinstance(key, bool) or not _SEED.fullmatch(text):
        raise ValueError(f"seed {key!r} is not usable: a plain non-negative integer without leading zeros, below 10^18")
    return int(text)


def seed_key(seed: int) -> str:
    """The partition key of a seed."""
    return str(seed_of(seed))
