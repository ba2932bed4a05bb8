"""The sampler's speed: microseconds a step, and exact expectations, against numpy's choice with probabilities.

Prints one JSON row. `ratio_*` is numpy's time over ours in the same process, so it does not depend on the machine.

    python benchmarks/bench_sampler.py [num_items] [batch_size]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np
import polars as pl

from squiggle_assets.science.canonical import sha256_text
from squiggle_assets.science.curriculum import load_preset
from squiggle_assets.science.families import scaled_counts
from squiggle_assets.science.policy import Policy, resolve
from squiggle_assets.science.rng import generator

TOTAL_STEPS = 374
NUM_ROUNDS = 5


def items_of(num_items: int) -> pl.DataFrame:
    """Items in the sources' proportions."""
    rows = [
        (f"{family}-{k}", sha256_text(f"{family}-{k}"), family, 50, "easy")
        for family, count in scaled_counts(num_items).items()
        for k in range(count)
    ]
    columns = ["item_id", "content_sha256", "family_id", "token_len", "difficulty_proxy"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def seconds(work: Callable[[], object]) -> float:
    """The fastest of a few rounds: the others had company."""
    times = []
    for _ in range(NUM_ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def draw_all(policy: Policy) -> None:
    """Every batch of one run."""
    for step in range(policy.num_steps):
        policy.draw(42, step)


def choose_all(policy: Policy, probabilities_tn: np.ndarray) -> None:
    """The same batches by numpy, its probabilities given for nothing."""
    for step in range(policy.num_steps):
        generator("sample", 42, step).choice(len(policy.items), policy.batch_size, p=probabilities_tn[step])


def main(num_items: int = 5000, batch_size: int = 64) -> None:
    """Measure family_ramp, which has constant phases and one that ramps."""
    policy = resolve(load_preset("family_ramp"), items_of(num_items), total_steps=TOTAL_STEPS, batch_size=batch_size)
    probabilities_tn = np.stack([policy.probabilities(step) for step in range(policy.num_steps)])
    ours, numpys = seconds(lambda: draw_all(policy)), seconds(lambda: choose_all(policy, probabilities_tn))
    exact = seconds(lambda: policy.expected_draws(0, policy.num_steps))
    summed = seconds(lambda: batch_size * sum(policy.probabilities(step) for step in range(policy.num_steps)))
    row = {
        "benchmark": "sampler",
        "num_items": len(policy.items),
        "batch_size": batch_size,
        "num_steps": policy.num_steps,
        "draw_us_per_step": round(1e6 * ours / policy.num_steps, 1),
        "draws_per_second": round(policy.num_steps * batch_size / ours),
        "ratio_draw_numpy_choice": round(numpys / ours, 2),
        "expected_draws_ms": round(1e3 * exact, 2),
        "expected_exposure_ms": round(1e3 * seconds(policy.expected_exposure), 2),
        "ratio_expected_sum_of_steps": round(summed / exact, 1),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
