"""What captures, their geometry and validations add to a run of the demo's size. Prints one JSON object.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_capture.py. Batches of 16 and captures of 2 sets of 8 x 64 tokens every
2 steps. Every update and every capture is timed by itself in CPU time on one thread, within the same runs; geometry is
computed from the captures that were made, as the pipeline does (files are not written). The floor of a capture is its
forward pass alone: no loss, nothing kept. Goals: a run within 10 s, captures and geometry within 30 % of the updates.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import patch

import torch
from embedded_run import Nowhere, inputs
from torch import Tensor

from squiggle_assets.science import capture, training
from squiggle_assets.science.geometry import geometry_of
from squiggle_assets.science.spec import ProbeSpec, TrainingSpec
from squiggle_assets.science.training import RunInputs, train

REPEATS = 3
NUM_STEPS = 100


class Kept(Nowhere):
    """A sink that remembers the captures."""

    def __init__(self) -> None:
        """Nothing kept yet."""
        self.steps: dict[int, Mapping[str, Tensor]] = {}

    def put(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Keep them."""
        self.steps[step] = tensors


def timed(function: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    """The function, whose calls add their CPU seconds to a list."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        begin = time.process_time()
        found = function(*args, **kwargs)
        seconds.append(time.process_time() - begin)
        return found

    return wrapped


def floor_of(self: capture.Prober) -> None:
    """The forward pass of a capture, from which nothing is kept."""
    with torch.inference_mode():
        capture.hidden(self._parts, self._batch)


def measured(run: RunInputs) -> dict[str, list[float]]:
    """CPU seconds of the updates, captures, floors of captures, validations and the geometry of one run."""
    found: dict[str, list[float]] = {"update": [], "capture": [], "floor": [], "validation": [], "geometry": []}
    original, bare = capture.Prober.capture, timed(floor_of, found["floor"])
    whole = timed(original, found["capture"])

    def both(self: capture.Prober) -> Any:
        bare(self)
        return whole(self)

    sink = Kept()
    with (
        patch.object(capture.Prober, "capture", both),
        patch.object(training, "measure", timed(training.measure, found["validation"])),
        patch.object(training._Run, "_update", timed(training._Run._update, found["update"])),
    ):
        train(run, checkpoints=Nowhere(), captures=sink)
    arrays = [(step, {name: t.numpy() for name, t in tensors.items()}) for step, tensors in sink.steps.items()]
    table = timed(geometry_of, found["geometry"])
    table(arrays, arm="a", seed=0, run_id="r", probe_set_sha256=dict.fromkeys(run.probes, ""))
    return found


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    run = inputs(TrainingSpec(total_steps=NUM_STEPS), ProbeSpec())
    repeats = [measured(run) for _ in range(REPEATS + 1)][1:]
    every = ProbeSpec().capture_every
    cost = {name: statistics.median(s for found in repeats for s in found[name]) for name in repeats[0]}
    cost["geometry"] /= NUM_STEPS // every + 1
    updates = every * cost["update"]
    validations = 2 + TrainingSpec().total_steps // TrainingSpec().eval_every - 1
    steps = TrainingSpec().total_steps
    print(
        json.dumps(
            {
                "benchmark": "capture",
                "ms": {name: round(1e3 * value, 2) for name, value in cost.items()},
                "share_of_updates": {
                    "capture": round(cost["capture"] / updates, 3),
                    "geometry": round(cost["geometry"] / updates, 3),
                    "both": round((cost["capture"] + cost["geometry"]) / updates, 3),
                    "forward_pass_alone": round(cost["floor"] / updates, 3),
                },
                "shares_by_run": [
                    round(
                        (statistics.median(f["capture"]) + f["geometry"][0] / (NUM_STEPS // every + 1))
                        / (every * statistics.median(f["update"])),
                        3,
                    )
                    for f in repeats
                ],
                "run_seconds": round(
                    steps * (cost["update"] + (cost["capture"] + cost["geometry"]) / every)
                    + validations * cost["validation"],
                    2,
                ),
                "probe_tokens": {name: rows.num_tokens for name, rows in run.probes.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
