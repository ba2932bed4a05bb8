"""Trigger attribution of 25,000 trace rows against 100 consensus events. Prints one JSON object.

Run: OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 python benchmarks/bench_attribution.py. Eight seeds, 390 steps of 8, 1,400
items, three lags, for policies without phases, with blocks and with a ramp. A sample of the p-values is made again by
a plain convolution over seeds, else the script fails. Goal: under 5 s.
"""

from __future__ import annotations

import json
import statistics
import time

import numpy as np
import polars as pl
from scipy.stats import binom

from squiggle_assets.science.exposures import exposures_of
from squiggle_assets.science.rng import generator
from squiggle_assets.science.trigger_counts import count_windows
from squiggle_assets.science.trigger_simulation import TriggerStudy, drawn_runs, made_events, study_policy, trace_of
from squiggle_assets.science.triggers import attribute

STUDY = TriggerStudy(num_steps=390, batch_size=8, num_items=1400, num_events=1)
NUM_EVENTS, LAGS, REPEATS, SAMPLE = 100, (0, 5, 20), 5, 200


def events_of(study: TriggerStudy) -> pl.DataFrame:
    """A hundred events, each where it happens to fall: their windows overlap."""
    rows = [made_events(study, max(LAGS), generator("bench_attribution", number)) for number in range(NUM_EVENTS)]
    return pl.concat(rows).with_columns(consensus_event_id=pl.int_range(pl.len()).cast(pl.String))


def plain_tail(count: int, trials: np.ndarray, shares: np.ndarray) -> float:
    """P(X >= count) by convolving the seeds' binomials."""
    total = np.ones(1)
    for num, share in zip(trials, shares, strict=True):
        total = np.convolve(total, binom.pmf(np.arange(num + 1), num, share))
    return float(total[count:].sum())


def check(items: pl.DataFrame, events: pl.DataFrame, traces: pl.DataFrame, study: TriggerStudy) -> None:
    """Fail unless a sample of rows has the p that plain code gives."""
    policy = study_policy(study)
    counted = count_windows(events, exposures_of(traces, policy), policy, LAGS)
    counts = {one.event["consensus_event_id"]: one for one in counted}
    place = dict(zip(policy.items["item_id"], range(len(policy.items)), strict=True))
    for row in items.sample(SAMPLE, seed=0).iter_rows(named=True):
        one, item = counts[row["consensus_event_id"]], place[row["item_id"]]
        at = one.at[LAGS.index(row["lag"])]
        plain = plain_tail(int(at.count[:, item].sum()), one.total[:, item], at.share[:, item])
        if not np.isclose(plain, row["p_value"], rtol=1e-9, atol=0):
            raise SystemExit(f"{row['item_id']}: p {row['p_value']}, by plain convolution {plain}")


def main() -> None:
    """Measure, compare and print."""
    report: dict[str, object] = {"benchmark": "attribution", "events": NUM_EVENTS, "lags": list(LAGS)}
    for preset in ("iid_baseline", "family_blocked", "family_ramp"):
        study = TriggerStudy(**{**STUDY.__dict__, "preset": preset})
        policy, events = study_policy(study), events_of(study)
        traces = trace_of(policy, drawn_runs(policy, range(study.num_seeds)))
        wall, cpu = [], []
        for _ in range(REPEATS):
            begin = time.perf_counter(), time.process_time()
            found = attribute(events, traces, policy)
            wall.append(time.perf_counter() - begin[0])
            cpu.append(time.process_time() - begin[1])
        check(found.items, events, traces, study)
        report["trace_rows"] = len(traces)
        report[preset] = {
            "wall_seconds": round(statistics.median(wall), 2),
            "cpu_seconds": round(statistics.median(cpu), 2),
            "rows": len(found.items),
            "triggers": int(found.items["is_trigger"].sum()),
        }
    print(json.dumps({**report, "same_as_plain_convolution": True}))


if __name__ == "__main__":
    main()
