"""Which seeds a study has on an instance: the roster, kept in step with the study's value.

Here: reading it, adding to it, taking seeds off it (their runs stay in the store).
"""

from __future__ import annotations

import dagster as dg

from partitions.dimensions import seed_dimension
from partitions.keys import seed_key, seed_of
from squiggle_assets.science.spec import Profile, Study
from squiggle_assets.science.waves import CONFIRMATION, Roster


def wanted_seeds(study: Study, profile: Profile) -> Roster:
    """The pre-registered seeds a profile uses, fresh ones only for a study with follow-up arms.

    ValueError when the profile wants more than the study registered.
    """
    wanted = {"seeds": study.seeds, "fresh seeds": study.fresh_seeds if study.followups else ()}
    num = study.num_seeds(profile)
    for what, there in wanted.items():
        if num > len(there) and (what == "seeds" or study.followups):
            raise ValueError(f"profile {profile.name} wants {num} {what}, study {study.name} registers {len(there)}")
    return Roster(*(there[:num] for there in wanted.values()))


def registered_seeds(study: Study, instance: dg.DagsterInstance) -> Roster:
    """Seeds on this instance, sorted as numbers."""
    return Roster(*(_registered(study, instance, wave) for wave in ("", CONFIRMATION)))


def add_seeds(study: Study, instance: dg.DagsterInstance, seeds: tuple[int, ...], wave: str = "") -> tuple[int, ...]:
    """Register seeds that are not there yet; the new ones, in order. Bad keys are refused before any is added."""
    keys = [seed_key(seed) for seed in seeds]
    there = set(_registered(study, instance, wave))
    new = tuple(seed for seed in dict.fromkeys(seed_of(key) for key in keys) if seed not in there)
    if new:
        instance.add_dynamic_partitions(seed_dimension(study, wave), [seed_key(seed) for seed in new])
    return new


def remove_seeds(
    study: Study, profile: Profile, instance: dg.DagsterInstance, seeds: tuple[int, ...]
) -> tuple[int, ...]:
    """Take seeds off the roster; those that were on it.

    ValueError, before any goes, names one that is not on it or that the profile wants (sync would bring it back).
    """
    there = registered_seeds(study, instance).seeds
    unknown = sorted(set(seeds) - set(there))
    if unknown:
        raise ValueError(f"seeds {unknown} are not registered; registered are {list(there)}")
    wanted = sorted(set(seeds) & set(wanted_seeds(study, profile).seeds))
    if wanted:
        raise ValueError(
            f"seeds {wanted} belong to the {study.num_seeds(profile)} seeds of profile {profile.name} and would come "
            "back with the next command; a profile of your own (--profile my.yaml) with a smaller num_seeds leaves "
            "them out"
        )
    for seed in dict.fromkeys(seeds):
        instance.delete_dynamic_partition(seed_dimension(study), seed_key(seed))
    return tuple(dict.fromkeys(seeds))


def sync(study: Study, profile: Profile, instance: dg.DagsterInstance) -> tuple[int, ...]:
    """Bring the roster up to the study's value; the seeds that were added."""
    wanted = wanted_seeds(study, profile)
    fresh = add_seeds(study, instance, wanted.fresh, CONFIRMATION)
    return add_seeds(study, instance, wanted.seeds) + fresh


def next_seeds(study: Study, instance: dg.DagsterInstance, num: int) -> tuple[int, ...]:
    """The next pre-registered seeds that are not on the instance yet (fewer when the roster is used up)."""
    there = set(registered_seeds(study, instance).seeds)
    return tuple(seed for seed in study.seeds if seed not in there)[:num]


def _registered(study: Study, instance: dg.DagsterInstance, wave: str) -> tuple[int, ...]:
    return tuple(sorted(seed_of(key) for key in instance.get_dynamic_partitions(seed_dimension(study, wave))))
