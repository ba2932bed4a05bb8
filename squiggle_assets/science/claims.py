"""The claims of a curriculum study: what it set out to show, with everything the verdict rests on.

Here: arms from the tables, families. Not here: the kinds of claim (claim_kinds, claim_contrasts), correction and
verdict (claim_rows), the statistics (comparison, planted, nulls, pairing), what arms measured (outcomes).
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from squiggle_assets.science.cells import arm_series, schedule_from
from squiggle_assets.science.claim_contrasts import contrast_claim
from squiggle_assets.science.claim_kinds import consensus_claims, planted_claims
from squiggle_assets.science.claim_rows import claim_rows
from squiggle_assets.science.comparison import ArmData, agreement_with
from squiggle_assets.science.exclusions import stopped_seeds, without_stopped
from squiggle_assets.science.outcomes import arm_outcomes
from squiggle_assets.science.pairing import pairing_of
from squiggle_assets.science.spec import Study


class StudyResult(NamedTuple):
    """The three tables of a study."""

    arm_outcomes: pl.DataFrame
    claims: pl.DataFrame
    pairing_draws: pl.DataFrame


def arms_of(
    study: Study, *, geometry: pl.DataFrame, manifest: pl.DataFrame, null_draws: pl.DataFrame
) -> dict[str, ArmData]:
    """The study's arms on the pre-registered probe set, each with the runs that went to their end.

    An arm of which fewer than two did is left out: there is nothing to compare. ValueError names an arm without runs,
    or one that lacks geometry or draws.
    """
    found = {}
    for arm in study.arms:
        of_arm = pl.col("arm") == arm.name
        mine = manifest.filter(of_arm)
        if mine.is_empty():
            raise ValueError(f"study {study.name}: no runs of arm {arm.name!r} in the manifest")
        if (~mine["stopped_early"]).sum() < 2:
            continue
        series = arm_series(
            without_stopped(geometry.filter(of_arm), mine),
            probe_set=study.consensus.probe_set,
            schedule=schedule_from(mine),
            detection=study.detection,
            num_bands=study.consensus.num_bands,
        )
        draws = null_draws.filter(of_arm & (pl.col("probe_set") == study.consensus.probe_set))
        found[arm.name] = ArmData(
            arm=arm,
            series=series,
            seen=agreement_with(series, draws, study.detection, study.consensus),
            num_items=int(mine["num_train_items"].max()),  # type: ignore[arg-type]
            total_steps=int(mine["total_steps"].max()),  # type: ignore[arg-type]
        )
    return found


def is_preregistered(study: Study, manifest: pl.DataFrame, num_seeds: int) -> bool:
    """Whether every arm has exactly the seeds named beforehand, the first num_seeds of the study's.

    Any other number of seeds is another look at the data, and its p-values hold for no single look. A run that a
    controller stopped is one of them: nobody chose to leave it out.
    """
    registered = set(study.seeds[:num_seeds])
    return all(set(own["seed"]) == registered for own in manifest.partition_by("arm"))


def study_result(
    study: Study,
    *,
    geometry: pl.DataFrame,
    manifest: pl.DataFrame,
    scalars: pl.DataFrame,
    consensus_events: pl.DataFrame,
    null_draws: pl.DataFrame,
    analysis_id: str,
    planted_steps: tuple[int, int],
    scale: str,
    preregistered: bool,
) -> StudyResult:
    """Outcomes, claims and pairing draws of a whole study; every frame holds the rows of all its arms.

    Runs that a controller stopped (manifest: stopped_early) are left out of all of them, and every claim that would
    have rested on one names it in its method and evidence. planted_steps: first step with planted items and the step
    after the last one. scale: embedded model, or which real model and data. preregistered: as `is_preregistered` says.
    ValueError as `arms_of`, and on a contrast over an outcome that does not exist.
    """
    arms = arms_of(study, geometry=geometry, manifest=manifest, null_draws=null_draws)
    scalars = without_stopped(scalars, manifest)
    families = (
        planted_claims(study, arms, planted_steps),
        consensus_claims(study, arms, consensus_events),
        [contrast_claim(study, contrast, arms, scalars, consensus_events) for contrast in study.contrasts],
    )
    claims = claim_rows(
        study,
        families,
        stopped=stopped_seeds(manifest),
        preregistered=preregistered,
        scale=scale,
        analysis_id=analysis_id,
    )
    pairing = pairing_of(arms, study.detection, study.consensus)
    return StudyResult(
        arm_outcomes(arms, scalars, pairing, study=study, analysis_id=analysis_id),
        claims,
        pairing.draws.select(
            pl.lit(study.name).alias("study"),
            pl.lit(analysis_id).alias("analysis_id"),
            pl.lit(study.consensus.probe_set).alias("probe_set"),
            pl.all(),
        ),
    )
