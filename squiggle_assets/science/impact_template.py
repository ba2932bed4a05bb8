"""The curriculum that starts from a core of items: its YAML, and proof that two of them differ in the core only.

Here: from a core to a template; how far the expected exposures of two curricula differ. Not here: which items are a
core (impact_core), what a template means for items and steps (policy).

    core       0 to .30    the core alone, every item equally likely
    ramp_rest  .30 to .70  every other item ramped in from 0 to 1; a core item keeps the weight w
    all        .70 to 1    every item equally likely

Phase and shape are the corpus plan's. As weights are relative, w says nothing where the core is alone: it says for how
long the core holds its own while the rest comes in. With K core items of N its share of the draws in the second phase
is w K / (w K + u (N - K)), u from 0 to 1. The rest of a family that has core items is named item by item: an item
weight inside a weighted family multiplies that family's mass, and would be ramped in with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import yaml

from squiggle_assets.science.curriculum import parse_template
from squiggle_assets.science.template import ITEM, Template

CORE_ENDS, FULL_FROM = 0.3, 0.7
"""Fractions of the budget at which the rest begins to come in and at which every item is equally likely."""
NAMES = {"impact": "impact_ramp", "random": "random_core_ramp", "loss": "loss_core_ramp"}
"""Core -> name of the curriculum made of it."""


def core_ramp(core: Sequence[str], items: pl.DataFrame, *, weight: float, name: str) -> Template:
    """The template that starts from a core, as the loader of every curriculum reads it.

    Args:
        core: item_id of its items.
        items: training items: item_id, family_id.
        weight: of a core item while the rest is ramped in from 0 to 1.
        name: of the curriculum.

    Raises:
        ValueError: for an empty or repeated core, a core item that may not be trained on, a core that leaves no rest,
            or a weight that is not above 0.
    """
    chosen = set(core)
    unknown = sorted(chosen - set(items["item_id"]))
    if not core or len(chosen) != len(core) or unknown or not weight > 0:
        raise ValueError(
            f"a core names training items once each and has a weight above 0, got {len(core)} items ({len(chosen)} "
            f"different, unknown: {unknown[:5]}) and weight {weight}"
        )
    is_core = pl.col("item_id").is_in(sorted(chosen))
    of_core = items.filter(is_core)["family_id"].unique().sort().to_list()
    whole = items.filter(~pl.col("family_id").is_in(of_core))["family_id"].unique().sort().to_list()
    beside = items.filter(pl.col("family_id").is_in(of_core) & ~is_core)["item_id"].sort().to_list()
    rest = [*whole, *(f"{ITEM}{item}" for item in beside)]
    if not rest:
        raise ValueError(f"a core of {len(core)} items leaves none of {items.height} training items to ramp in")
    held = {f"{ITEM}{item}": weight for item in sorted(chosen)}
    everything = {"include": "*"}
    phases = [
        {
            **{"name": "core", "start": 0, "end": CORE_ENDS, "families": {"include": of_core}},
            **{"weights": {"type": "explicit", "explicit": held}, "sampling": {"mode": "uniform_item"}},
        },
        {
            **{"name": "ramp_rest", "start": CORE_ENDS, "end": FULL_FROM, "families": everything},
            "weights": {
                "type": "ramp",
                "ramp": {"from": {**held, **dict.fromkeys(rest, 0)}, "to": dict.fromkeys(rest, 1)},
            },
            "sampling": {"mode": "uniform_item"},
        },
        {
            **{"name": "all", "start": FULL_FROM, "end": 1, "families": everything},
            **{"weights": {"type": "proportional"}, "sampling": {"mode": "proportional_family"}},
        },
    ]
    document = {
        "version": 1,
        "name": name,
        "description": (
            f"{len(core)} core items alone, then every other item ramped in while core items keep weight {weight:g}, "
            "then every item equally."
        ),
        "time_unit": "steps",
        "defaults": {"sampling": {"mode": "balanced_family", "replacement": True}},
        "phases": phases,
    }
    text = yaml.dump(document, Dumper=_Plain, sort_keys=False, width=120)
    return parse_template(text, f"{name}.yaml")


class _Plain(yaml.SafeDumper):
    """Never an alias: a reader should find every weight where it belongs."""

    def ignore_aliases(self, data: object) -> bool:
        """Write equal parts out each time."""
        return True


def exposure_residual(exposure: pl.DataFrame, arms: Sequence[str]) -> float:
    """Largest difference between arms in expected draws, phase by phase and family by family, items by size.

    0 says that the arms expect the same draws and differ only in which items of a family get them.
    exposure: expected_exposure rows. ValueError for an arm without rows and where phases or numbers of items differ.
    """
    profiles = [_profile(exposure, arm) for arm in arms]
    if len({profile.height for profile in profiles}) > 1 or any(profile.is_empty() for profile in profiles):
        raise ValueError(f"arms {list(arms)} expect draws of {[profile.height for profile in profiles]} phases × items")
    keys = ("phase_idx", "start_step", "end_step", "family_id")
    for profile in profiles[1:]:
        if not profile.select(keys).equals(profiles[0].select(keys)):
            raise ValueError(f"the phases or families of arms {list(arms)} differ: their exposures do not compare")
    draws = np.stack([profile["expected_draws"].to_numpy() for profile in profiles]) if profiles else np.zeros((1, 1))
    return float((draws.max(axis=0) - draws.min(axis=0)).max())


def _profile(exposure: pl.DataFrame, arm: str) -> pl.DataFrame:
    return exposure.filter(pl.col("arm") == arm).sort("phase_idx", "family_id", "expected_draws")
