"""What captures and validations add to a run of the demo's size. Prints one JSON object.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_capture.py. 200 steps of batch 8; captures of 2 sets of 8 x 64 tokens
every 2 steps, forward pass only (geometry is measured by bench_geometry.py). CPU time of whole runs, interleaved, on
one thread; files are not written. Goals: a run within 10 s, captures and geometry within 30 % of the updates.
"""

from __future__ import annotations

import json
import statistics
import time

import torch
from embedded_run import Nowhere, inputs

from squiggle_assets.science.spec import ProbeSpec, TrainingSpec
from squiggle_assets.science.training import RunInputs, train

REPEATS = 3
NEVER = 10**6


def seconds(run: RunInputs) -> float:
    """CPU seconds of one run."""
    begin = time.process_time()
    train(run, checkpoints=Nowhere(), captures=Nowhere())
    return time.process_time() - begin


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    bare = TrainingSpec(eval_every=NEVER, checkpoint_every=NEVER)
    runs = {
        "updates": inputs(bare, ProbeSpec(capture_every=NEVER)),
        "with_captures": inputs(bare, ProbeSpec()),
        "whole": inputs(TrainingSpec(), ProbeSpec()),
    }
    tokens = {name: rows.num_tokens for name, rows in runs["whole"].probes.items()}
    seconds(inputs(TrainingSpec(total_steps=10), ProbeSpec()))
    measured: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPEATS):
        for name, run in runs.items():
            measured[name].append(seconds(run))
    median = {name: statistics.median(values) for name, values in measured.items()}
    print(
        json.dumps(
            {
                "benchmark": "capture",
                "seconds": {name: round(value, 2) for name, value in median.items()},
                "capture_share_of_updates": round(median["with_captures"] / median["updates"] - 1, 3),
                "capture_ms": round(1e3 * (median["with_captures"] - median["updates"]) / 99, 1),
                "ms_per_step": round(1e3 * median["updates"] / TrainingSpec().total_steps, 1),
                "validation_and_checkpoints_s": round(median["whole"] - median["with_captures"], 2),
                "probe_tokens": tokens,
            }
        )
    )


if __name__ == "__main__":
    main()
