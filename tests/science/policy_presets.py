"""Policies of the shipped presets over items made for tests, and how often they draw what."""

from __future__ import annotations

import numpy as np

from squiggle_assets.science.curriculum import load_preset
from squiggle_assets.science.families import NAMES
from squiggle_assets.science.policy import Policy, resolve
from squiggle_assets.science.spec import Plant
from tests.science.curriculum_items import items_of

EVEN = dict.fromkeys(NAMES, 6)
SMALL = {"cyclic_groups": 2, "inequalities": 6}
PLANT = Plant(start=0.5, num_steps=4, share=0.75, num_items=3)


def preset(name: str, counts: dict[str, int] = EVEN, **changes) -> Policy:
    """The preset over so many items a family; 200 steps of 8 unless told otherwise."""
    sizes = {"total_steps": 200, "batch_size": 8, **changes}
    return resolve(load_preset(name), items_of(counts), **sizes)


def drawn_totals(policy: Policy, seeds: range) -> np.ndarray:
    """Draws of each item in a run, mean over seeds."""
    steps = range(policy.num_steps)
    draws = np.concatenate([policy.draw(seed, step) for seed in seeds for step in steps])
    return np.bincount(draws, minlength=len(policy.items)) / len(seeds)
