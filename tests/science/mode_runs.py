"""Made-up runs of three sampling modes with known triggers, for the tests of persistence."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import polars as pl

from squiggle_assets.science.mode_halves import ModeRuns
from squiggle_assets.science.rng import generator
from squiggle_assets.science.trigger_simulation import drawn_runs, trace_of
from tests.science.attribution_arms import event_of
from tests.science.policy_presets import preset

SIZES = {"cyclic_groups": 20, "inequalities": 40, "modular_arithmetic": 80, "optimization": 40, "misc_other": 60}
PRESETS = {"balanced": "balanced_baseline", "proportional": "iid_baseline", "tempered": "tempered_baseline"}
POLICIES = {mode: preset(name, SIZES) for mode, name in PRESETS.items()}
SEEDS = range(8)
STEPS = {"balanced": 61, "proportional": 121, "tempered": 91}
"""Where the event of each mode lies; draws of one seed are shared between modes, windows are not."""


def event(mode: str, seeds: Collection[int] = SEEDS, *, step: int | None = None, **changes) -> dict:
    """A consensus event of that mode, a step later in every other seed."""
    at = {seed: (STEPS[mode] if step is None else step) + 2 * (seed % 2) for seed in seeds}
    return {**event_of(at, f"{mode}-e", arm=mode), "q_value": 0.01, "p_value": 0.001, **changes}


def modes(
    number: int = 0,
    triggers: Mapping[str, Collection[str]] | None = None,
    *,
    lift: float = 10.0,
    seeds: Collection[int] = SEEDS,
    without: Collection[str] = (),
    **changes,
) -> list[ModeRuns]:
    """Runs of every mode; the triggers of a mode are shown `lift` times as often in the 8 steps before its peaks.

    number: keys the draws. without: modes that have no event. changes: of every event.
    """
    first, found = int(generator("mode_runs", number).integers(2**40, 2**60)), []
    for mode, policy in POLICIES.items():
        drawn = drawn_runs(policy, range(first, first + len(SEEDS)))
        own = event(mode, seeds, **changes)
        _put(drawn, own, policy, (triggers or {}).get(mode, ()), lift, number)
        events = pl.DataFrame([own])
        found.append(
            ModeRuns(
                mode=mode, policy=policy, traces=trace_of(policy, drawn),
                events=events.clear() if mode in without else events,
            )
        )  # fmt: skip
    return found


def _put(drawn: np.ndarray, event: dict, policy, items: Collection[str], lift: float, number: int) -> None:
    place = {name: row for row, name in enumerate(policy.items["item_id"])}
    draws, usual = generator("mode_triggers", number, event["arm"]), 64 * policy.probabilities(0)
    for seed in SEEDS:
        stop = STEPS[event["arm"]] + 2 * (seed % 2)
        free = draws.permutation(np.arange(64))
        more = [place[item] for item in items for _ in range(draws.poisson((lift - 1) * usual[place[item]]))]
        for slot, item in zip(free, more, strict=False):
            drawn[seed, stop - 8 + slot // 8, slot % 8] = item
