"""Cost and accuracy of the geometry of captures: Gram matrix against SVD. Prints one JSON object.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_geometry.py. Both ways are timed interleaved in one process on the
same captures; the ratio is the figure to watch, milliseconds are of this machine.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science import geometry

NUM_CAPTURES, NUM_ROWS, NUM_LAYERS, REPEATS = 101, 400, 4, 3
WIDTHS = (96, 128)


def captures_of(width: int) -> list[tuple[int, dict[str, NDArray[np.float16]]]]:
    """A drifting cloud per probe set and layer, stored as float16 like real captures."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(width, width)) / 10
    names = [f"{probe}.x_out.{layer:02d}" for probe in "ab" for layer in range(NUM_LAYERS)]
    clouds = {name: rng.normal(size=(NUM_ROWS, width)) @ mixing for name in names}
    found = []
    for at in range(NUM_CAPTURES):
        clouds = {name: cloud + 0.02 * rng.normal(size=cloud.shape) for name, cloud in clouds.items()}
        found.append((2 * at, {name: cloud.astype(np.float16) for name, cloud in clouds.items()}))
    return found


def by_svd(captures: list[tuple[int, dict[str, NDArray[np.float16]]]]) -> None:
    """Spectrum and directions of every matrix by a float64 SVD, nothing else."""
    for _, captured in captures:
        for matrix in captured.values():
            x = matrix.astype(np.float64)
            np.linalg.svd(x - x.mean(axis=0), full_matrices=False)


def by_gram(captures: list[tuple[int, dict[str, NDArray[np.float16]]]]) -> None:
    """The same by what the project uses."""
    for _, captured in captures:
        geometry.spectra_of(captured)


def table(captures: list[tuple[int, dict[str, NDArray[np.float16]]]]) -> None:
    """The whole geometry table of a run."""
    geometry.geometry_of(captures, arm="a", seed=0, run_id="r", probe_set_sha256={"a": "", "b": ""})


def timed(work: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Median CPU seconds of each, interleaved."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(REPEATS):
        for name, run in work.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def accuracy(dtype: type[np.floating], span: float) -> dict[str, float]:
    """Worst errors of a Gram matrix of this precision on a rotated spectrum that spans 1 .. 1 / span."""
    rng = np.random.default_rng(1)
    truth = np.logspace(0, -np.log10(span), 96)
    left, _ = np.linalg.qr(np.column_stack([np.ones(NUM_ROWS), rng.normal(size=(NUM_ROWS, 96))]))
    right, _ = np.linalg.qr(rng.normal(size=(96, 96)))
    x = (left[:, 1:] * truth @ right.T).astype(dtype)
    values = np.sqrt(np.clip(np.linalg.eigvalsh(x.T @ x)[::-1].astype(np.float64), 1e-24, None))
    return {
        "worst_sigma_relative": float(np.max(np.abs(values / truth - 1))),
        "effective_rank_relative": abs(geometry.effective_rank(values) / geometry.effective_rank(truth) - 1),
        "sv_entropy_relative": abs(geometry.sv_entropy(values) / geometry.sv_entropy(truth) - 1),
    }


def main() -> None:
    """Measure and print."""
    report: dict[str, object] = {"captures": NUM_CAPTURES, "matrices_per_capture": 2 * NUM_LAYERS, "rows": NUM_ROWS}
    for width in WIDTHS:
        captures = captures_of(width)
        seconds = timed(
            {
                "svd": partial(by_svd, captures),
                "gram": partial(by_gram, captures),
                "table": partial(table, captures),
            }
        )
        report[f"width_{width}"] = {
            "gram_times_faster_than_svd": seconds["svd"] / seconds["gram"],
            "spectra_ms_per_capture": 1e3 * seconds["gram"] / NUM_CAPTURES,
            "table_ms_per_capture": 1e3 * seconds["table"] / NUM_CAPTURES,
            "table_seconds": seconds["table"],
        }
    report["accuracy"] = {
        f"gram_{dtype.__name__}_span_{span:g}": accuracy(dtype, span)
        for dtype in (np.float32, np.float64)
        for span in (1e2, 1e4, 1e6)
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
