"""10,000 null draws over 24 layers, 3 metrics and 8 seeds, on one thread. Prints one JSON object.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_permutations.py. An arm of 100 increments is drawn; both null families
of the consensus test are drawn as an arm's own are (shift: strengths moved; surrogate: increments moved, signed and
detected again), then the sign flips of the same 72 series over the 8 seeds: all 256 assignments, and 10,000 sampled
ones. CPU seconds. Goal: the two null families together within 60 s.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from squiggle_assets.science import nulls
from squiggle_assets.science.cells import cells_of
from squiggle_assets.science.rng import generator
from squiggle_assets.science.simulation import DETECTION, Design, simulated_arm
from squiggle_assets.science.spec import ConsensusSpec
from squiggle_assets.science.stats import max_sign_flip, signs_of

NUM_LAYERS, NUM_BANDS, NUM_DRAWS, GOAL_SECONDS = 24, 4, 10_000, 60.0


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What the function gives, and its CPU seconds."""
    begin = time.process_time()
    found = function()
    return found, time.process_time() - begin


def main() -> None:
    """Measure and print."""
    design = Design(num_layers=NUM_LAYERS)
    series = simulated_arm(design, generator("bench_permutations", 0))
    series = replace(series, cells=cells_of(series.layers, series.metrics, NUM_BANDS))
    spec = ConsensusSpec(num_bands=NUM_BANDS, draws_per_cell=-(-NUM_DRAWS // len(series.cells)))
    seen, null_seconds = timed(lambda: nulls.with_nulls(series, DETECTION, spec, generator("bench_permutations", 1)))
    outcomes = series.levels[:, :, -1].T
    exact, exact_seconds = timed(lambda: max_sign_flip(outcomes))
    # sampled flips of more pairs than can be listed: the 8 seeds twice
    doubled = np.concatenate([outcomes, outcomes], axis=1)
    _, sampled_seconds = timed(lambda: max_sign_flip(doubled, rng=generator("bench_permutations", 2)))
    num_draws = {null.name: len(null.count) for null in seen.nulls}
    print(
        json.dumps(
            {
                "benchmark": "permutations",
                "layers": NUM_LAYERS,
                "metrics": len(set(series.metrics)),
                "seeds": len(series.seeds),
                "increments": len(series.steps),
                "cells": len(series.cells),
                "draws": num_draws,
                "null_seconds": round(null_seconds, 2),
                "sign_flip_seconds": {"exact": round(exact_seconds, 4), "sampled": round(sampled_seconds, 4)},
                "sign_flips": {"exact": len(signs_of(len(series.seeds))), "sampled": 20_000},
                "p_values": {"study": round(seen.study_p(), 4), "sign_flip": round(exact.p_value, 4)},
                "goal_seconds": GOAL_SECONDS,
                "goal_met": bool(null_seconds <= GOAL_SECONDS and min(num_draws.values()) >= NUM_DRAWS),
            }
        )
    )


if __name__ == "__main__":
    main()
