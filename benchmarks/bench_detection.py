"""A million geometry points through detection, against a plain Python loop. Prints one JSON object.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_detection.py. Selection alone (what the null draws need) and the
full account (what the observed run needs) are each compared with a loop that gives the same output, else the script
fails; all are timed interleaved in one process. Goal: at least 10 times the loop.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from squiggle_assets.science.detection import (
    FATES,
    PRE_WARMUP_CAP,
    SELECTED,
    SUPPRESSION,
    TOPK,
    Detected,
    detect,
    detect_peaks,
)
from squiggle_assets.science.spec import DetectionSpec

NUM_SERIES, NUM_POINTS, REPEATS, WARMUP_END = 10_000, 100, 5, 10


def candidates(series: list[float], spec: DetectionSpec) -> list[tuple[float, int]]:
    """(-size, position) of the points above the threshold, largest first."""
    size = [abs(d) for d in series]
    median = sorted(size)[len(size) // 2]
    mad = sorted([abs(d - median) for d in size])[len(size) // 2]
    threshold = median + spec.adaptive_k * mad
    return sorted((-d, i) for i, d in enumerate(size) if d > threshold)


def budgets(spec: DetectionSpec) -> tuple[tuple[bool, int], tuple[bool, int]]:
    """(whether up to the end of warm-up, how many events) in the order of selection."""
    return (False, max(1, spec.max_events_per_series - spec.max_pre_warmup)), (True, spec.max_pre_warmup)


def loop_peaks(increments: list[list[float]], steps: list[int], spec: DetectionSpec) -> list[list[int]]:
    """Selected positions of each series over lists, as fast as plain Python readily goes."""
    radius, found = spec.peak_suppression_radius, []
    for series in increments:
        hits = candidates(series, spec)
        chosen: list[int] = []
        for pre, budget in budgets(spec):
            num = 0
            for _, i in hits:
                if num == budget:
                    break
                if (steps[i] <= WARMUP_END) == pre and all(abs(steps[i] - steps[j]) > radius for j in chosen):
                    chosen.append(i)
                    num += 1
        found.append(sorted(chosen))
    return found


def loop_account(increments: list[list[float]], steps: list[int], spec: DetectionSpec) -> list[dict[int, str]]:
    """The fate of every candidate of each series."""
    radius, found = spec.peak_suppression_radius, []
    for series in increments:
        hits = candidates(series, spec)
        chosen: list[int] = []
        fates: dict[int, str] = {}
        for pre, budget in budgets(spec):
            num = 0
            for _, i in hits:
                if (steps[i] <= WARMUP_END) != pre:
                    continue
                if any(abs(steps[i] - steps[j]) <= radius for j in chosen):
                    fates[i] = SUPPRESSION
                elif num == budget:
                    fates[i] = PRE_WARMUP_CAP if pre else TOPK
                else:
                    fates[i] = SELECTED
                    chosen.append(i)
                    num += 1
        found.append(fates)
    return found


def same(account: Detected, expected: list[dict[int, str]]) -> bool:
    """Whether every candidate has the fate that the loop found."""
    mine: list[dict[int, str]] = [{} for _ in expected]
    for s, t in np.argwhere(account.candidate).tolist():
        mine[s][t] = FATES[account.fate[s, t]]
    return mine == expected


def main() -> None:
    """Measure, compare and print."""
    spec = DetectionSpec()
    increments = np.random.default_rng(0).standard_t(4, size=(NUM_SERIES, NUM_POINTS))
    steps, floor = np.arange(2, 2 * NUM_POINTS + 2, 2), np.zeros(NUM_SERIES)
    lists, step_list = increments.tolist(), steps.tolist()
    work: dict[str, Callable[[], Any]] = {
        "loop_peaks": lambda: loop_peaks(lists, step_list, spec),
        "peaks": lambda: detect_peaks(increments, steps, WARMUP_END, spec, floor),
        "loop_account": lambda: loop_account(lists, step_list, spec),
        "account": lambda: detect(increments, steps, spec, WARMUP_END, floor),
    }
    seconds: dict[str, list[float]] = {name: [] for name in work}
    result: dict[str, Any] = {}
    for _ in range(REPEATS):
        for name, run in work.items():
            start = time.process_time()
            result[name] = run()
            seconds[name].append(time.process_time() - start)
    if [np.flatnonzero(row).tolist() for row in result["peaks"]] != result["loop_peaks"]:
        raise SystemExit("detect_peaks and the plain loop select different points")
    if not same(result["account"], result["loop_account"]):
        raise SystemExit("detect and the plain loop account differently")
    median = {name: statistics.median(values) for name, values in seconds.items()}
    report = {
        "points": NUM_SERIES * NUM_POINTS,
        "events": int(result["peaks"].sum()),
        "identical_output": True,
        **{f"{name}_ms": 1e3 * value for name, value in median.items()},
        "peaks_times_faster_than_loop": median["loop_peaks"] / median["peaks"],
        "account_times_faster_than_loop": median["loop_account"] / median["account"],
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
