"""Made-up consensus events and traces for the tests of attribution."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import polars as pl

from squiggle_assets.science.policy import Policy
from squiggle_assets.science.trigger_simulation import drawn_runs, trace_of

LEAD = 4
"""Steps from onset to peak: two captures of two steps."""


def event_of(steps: Mapping[int, int], name: str = "e", **changes) -> dict:
    """A consensus event with these peaks by seed; those columns that attribution reads."""
    median = float(sorted(steps.values())[len(steps) // 2])
    return {
        "arm": "made",
        "analysis_id": "x",
        "probe_set": "a",
        "consensus_event_id": name,
        "band": "layers_0_0",
        "metric_group": "angle",
        "polarity": 1,
        "onset_step": median - LEAD,
        "median_step": median,
        "constituents": json.dumps({str(seed): {"step": step} for seed, step in steps.items()}),
        **changes,
    }


def events(*steps: Mapping[int, int]) -> pl.DataFrame:
    """Events e0, e1, ..."""
    return pl.DataFrame([event_of(own, f"e{number}") for number, own in enumerate(steps)])


def traces(policy: Policy, num_seeds: int, first: int = 0) -> pl.DataFrame:
    """Trace rows of seeds 0, 1, ..., drawn with the seeds `first` and following."""
    return trace_of(policy, drawn_runs(policy, range(first, first + num_seeds)))


def put(trace: pl.DataFrame, item: str, places: Sequence[tuple[int, int]]) -> pl.DataFrame:
    """The trace with an item in the first slot of these (seed, step)."""
    wanted = pl.DataFrame(places, schema=["seed", "step"], orient="row").with_columns(new=pl.lit(item))
    slot = pl.int_range(pl.len()).over("seed", "step")
    joined = trace.join(wanted, on=["seed", "step"], how="left", maintain_order="left")
    return joined.with_columns(
        item_id=pl.when(pl.col("new").is_not_null() & (slot == 0)).then("new").otherwise("item_id")
    ).drop("new")
