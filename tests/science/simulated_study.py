"""A whole simulated study as tables: what the tests of consensus and claims stand on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from squiggle_assets.science.accounts import detection_of
from squiggle_assets.science.baselines import baselines_of
from squiggle_assets.science.cells import Schedule
from squiggle_assets.science.events import analysis_id, events_of
from squiggle_assets.science.metrics import ORIENTATION
from squiggle_assets.science.spec import Arm, ConsensusSpec, Contrast, DetectionSpec, Plant, Study

DETECTION = DetectionSpec(adaptive_min_threshold={})
SPEC = ConsensusSpec(draws_per_cell=25)
VERSION = analysis_id(DETECTION, SPEC)
METRICS = ("effective_rank", "sv_entropy", "topk_mass_k8", "sparsity_proxy", "principal_angle")
SCHEDULE = Schedule(warmup_end=10, decay_start=170)
PLANT_STEPS = (120, 124)


def geometry_of(
    arm: str, *, seed: int = 0, seeds=range(8), events=(), num_layers: int = 4, probe_sets=("a",)
) -> pl.DataFrame:
    """Random walks with unit increments, alike (.9) within a group of metrics and between layers.

    Events are (step, layer, metric, size), put into every seed, oriented.
    """
    draws = np.random.default_rng([seed, sum(map(ord, arm))])
    steps, frames = np.arange(0, 202, 2), []
    for probe_set in probe_sets:
        for run in seeds:
            common = draws.normal(size=(3, 100))[[0, 0, 0, 1, 2]]
            for layer in range(num_layers):
                walk = 0.95 * common + 0.31 * draws.normal(size=(len(METRICS), 100))
                for step, at_layer, metric, size in events:
                    if at_layer == layer:
                        row = METRICS.index(metric)
                        walk[row, step // 2 + int(draws.integers(-1, 2))] += size
                for metric, increments in zip(METRICS, walk, strict=True):
                    values = np.concatenate([[0.0], np.cumsum(increments)]) * ORIENTATION[metric]
                    frames.append(
                        pl.DataFrame({"step": steps, "value": values}).with_columns(
                            arm=pl.lit(arm),
                            seed=pl.lit(run, dtype=pl.Int64),
                            run_id=pl.lit(f"{arm}-{run}"),
                            probe_set=pl.lit(probe_set),
                            component=pl.lit("x_out"),
                            layer=pl.lit(layer, dtype=pl.Int64),
                            metric=pl.lit(metric),
                        )
                    )
    return pl.concat(frames)


def events_table(geometry: pl.DataFrame) -> pl.DataFrame:
    """The events table of every run, judged by the other runs of the same arm."""
    runs = geometry.partition_by("run_id")
    usual = baselines_of(runs, DETECTION)
    return pl.concat(
        [events_of(detection_of(run, DETECTION, SCHEDULE.warmup_end), usual, DETECTION, VERSION) for run in runs]
    )


def study(**changes) -> Study:
    """A baseline, a treatment, a placebo and a planted arm."""
    arms = (
        Arm(name="iid", curriculum="iid_baseline", role="baseline", description="."),
        Arm(name="blocked", curriculum="family_blocked", role="treatment", description="."),
        Arm(name="placebo", curriculum="iid_baseline", role="placebo", description=".", shuffle_families=True),
        Arm(
            name="planted",
            curriculum="iid_baseline",
            role="planted",
            description=".",
            plant=Plant(start=0.6, num_steps=4, share=0.75),
        ),
    )
    found = Study(
        name="simulated",
        title=".",
        hypothesis=".",
        arms=arms,
        seeds=tuple(range(8)),
        fresh_seeds=(100,),
        contrasts=(
            Contrast(arm="blocked", against="iid", outcome="consensus_event_excess", direction="greater"),
            Contrast(arm="blocked", against="iid", outcome="final_val_random_loss", direction="less"),
        ),
        detection=DETECTION,
        consensus=SPEC,
    )
    return replace(found, **changes)


def manifest_of(names, seeds=range(8)) -> pl.DataFrame:
    """run_manifest with the columns that claims read."""
    rows = [
        {
            "arm": name,
            "seed": seed,
            "warmup_end": SCHEDULE.warmup_end,
            "decay_start": SCHEDULE.decay_start,
            "phase_boundaries_json": "[]",
            "total_steps": 200,
            "num_train_items": 1000,
            "stopped_early": False,
        }
        for name in names
        for seed in seeds
    ]
    return pl.DataFrame(rows)


def scalars_of(names, *, drop: float = 1.0, gain: float = 0.2, better=(), seeds=range(8)) -> pl.DataFrame:
    """Held-out loss falls by drop (more in the arms of better) and accuracy rises by gain, with some noise."""
    draws, rows = np.random.default_rng(1), []
    for name in names:
        for seed in seeds:
            extra = 0.5 if name in better else 0.0
            ends = {
                "val_random_loss": (3.0, 3.0 - drop - extra),
                "val_random_token_acc": (0.1, 0.1 + gain),
                "val_random_answer_acc": (0.0, 0.0),
            }
            for metric, (first, last) in ends.items():
                noise = 0.05 * draws.normal() if metric != "val_random_answer_acc" else 0.0
                rows += [(name, seed, 0, metric, first), (name, seed, 200, metric, last + noise)]
    return pl.DataFrame(rows, schema=["arm", "seed", "step", "metric", "value"], orient="row")
