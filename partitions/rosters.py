"""Which seeds a study has on an instance: the roster, kept in step with the study's value.

Here: reading it, adding to it, taking seeds off it (their runs stay in the store).
"""

from __future__ import annotations

import dagster as dg

from partitions.dimensions import seed_dimension
from partitions.keys import seed_key, seed_of
from squiggle_assets.science.spec import Profile, Study


def wanted_seeds(study: Study, profile: Profile) -> tuple[int, ...]:
    """The pre-registered seeds a profile uses; ValueError when it wants more than the study registered."""
    if profile.num_seeds > len(study.seeds):
        raise ValueError(
            f"profile {profile.name} wants {profile.num_seeds} seeds, study {study.name} registers {len(study.seeds)}"
        )
    return study.seeds[: profile.num_seeds]


def registered_seeds(study: Study, instance: dg.DagsterInstance) -> tuple[int, ...]:
    """Seeds on this instance, sorted as numbers."""
    return tuple(sorted(seed_of(key) for key in instance.get_dynamic_partitions(seed_dimension(study))))


def add_seeds(study: Study, instance: dg.DagsterInstance, seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Register seeds that are not there yet; the new ones, in order. Bad keys are refused before any is added."""
    keys = [seed_key(seed) for seed in seeds]
    there = set(registered_seeds(study, instance))
    new = tuple(seed for seed in dict.fromkeys(seed_of(key) for key in keys) if seed not in there)
    if new:
        instance.add_dynamic_partitions(seed_dimension(study), [seed_key(seed) for seed in new])
    return new


def remove_seeds(study: Study, instance: dg.DagsterInstance, seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Take seeds off the roster; those that were on it. ValueError names one that is not, before any goes."""
    there = registered_seeds(study, instance)
    unknown = sorted(set(seeds) - set(there))
    if unknown:
        raise ValueError(f"seeds {unknown} are not registered; registered are {list(there)}")
    for seed in dict.fromkeys(seeds):
        instance.delete_dynamic_partition(seed_dimension(study), seed_key(seed))
    return tuple(dict.fromkeys(seeds))


def sync(study: Study, profile: Profile, instance: dg.DagsterInstance) -> tuple[int, ...]:
    """Bring the roster up to the study's value; the seeds that were added."""
    return add_seeds(study, instance, wanted_seeds(study, profile))


def next_seeds(study: Study, instance: dg.DagsterInstance, num: int) -> tuple[int, ...]:
    """The next pre-registered seeds that are not on the instance yet (fewer when the roster is used up)."""
    there = set(registered_seeds(study, instance))
    return tuple(seed for seed in study.seeds if seed not in there)[:num]
