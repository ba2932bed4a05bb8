"""A simulated study with consensus and claims made of it, once for all tests that read it."""

from __future__ import annotations

from functools import cache

import polars as pl
import simulated_study as fake

from squiggle_assets.science.cells import ArmSeries, arm_series
from squiggle_assets.science.claims import StudyResult, arms_of, study_result
from squiggle_assets.science.comparison import ArmData
from squiggle_assets.science.consensus import consensus_of
from squiggle_assets.science.exclusions import stopped_seeds

NAMES = ("iid", "blocked", "placebo", "planted")
BLOCKED = [(step, layer, metric, 7.0) for step, layer, metric in (
    (40, 0, "effective_rank"), (80, 1, "sparsity_proxy"), (120, 2, "principal_angle"), (150, 3, "effective_rank"),
)]  # fmt: skip
PLANTED = [(121, 3, metric, 7.0) for metric in ("effective_rank", "sv_entropy")]


def study_tables(stopped: dict[str, tuple[int, ...]] | None = None) -> dict[str, pl.DataFrame]:
    """The tables that claims are made of; runs of `stopped` end at step 60."""
    geometry = pl.concat(
        [fake.geometry_of(name, events={"blocked": BLOCKED, "planted": PLANTED}.get(name, ())) for name in NAMES]
    )
    manifest, scalars = fake.manifest_of(NAMES), fake.scalars_of(NAMES, better=("blocked",))
    for arm, seeds in (stopped or {}).items():
        run = (pl.col("arm") == arm) & pl.col("seed").is_in(seeds)
        geometry = geometry.filter(~run | (pl.col("step") <= 60))
        manifest = manifest.with_columns(stopped_early=pl.col("stopped_early") | run)
        # as a diverged run would leave it
        scalars = scalars.with_columns(value=pl.when(run & (pl.col("step") > 0)).then(99.0).otherwise("value"))
    excluded = stopped_seeds(manifest)
    results = [
        consensus_of(
            own,
            fake.events_table(own),
            arm=own["arm"][0],
            analysis_id=fake.VERSION,
            schedule=fake.SCHEDULE,
            detection=fake.DETECTION,
            spec=fake.SPEC,
            excluded=excluded.get(own["arm"][0], ()),
        )
        for own in geometry.partition_by("arm")
    ]
    return {
        "geometry": geometry,
        "manifest": manifest,
        "scalars": scalars,
        "consensus_events": pl.concat([result.consensus_events for result in results]),
        "null_draws": pl.concat([result.null_draws for result in results]),
    }


@cache
def whole_study() -> dict[str, pl.DataFrame]:
    """The tables of a study in which every run went to its end."""
    return study_tables()


@cache
def whole_result() -> StudyResult:
    """What is claimed of it."""
    return judged(whole_study())


@cache
def whole_arms() -> dict[str, ArmData]:
    """Its arms as comparisons need them."""
    return arms_of(fake.study(), **{name: whole_study()[name] for name in ("geometry", "manifest", "null_draws")})


def judged(tables, study=None, **changes) -> StudyResult:
    """The result of a study over some tables."""
    settings = {
        **tables,
        "analysis_id": fake.VERSION,
        "planted_steps": fake.PLANT_STEPS,
        "scale": "simulated",
        "preregistered": True,
        **changes,
    }
    return study_result(study or fake.study(), **settings)


def claim(result: StudyResult, name: str) -> dict:
    """One claim as a mapping."""
    return result.claims.filter(pl.col("claim") == name).row(0, named=True)


def series_with(events, **changes) -> ArmSeries:
    """The series of a planted arm with events of choice."""
    return arm_series(
        fake.geometry_of("planted", events=events, **changes),
        probe_set="a", schedule=fake.SCHEDULE, detection=fake.DETECTION, num_bands=4,
    )  # fmt: skip
