"""The claims of a curriculum study: what it set out to show, with everything the verdict rests on.

Here: arms from the tables, families, correction, verdicts, rows. Not here: the kinds of claim (claim_kinds), the
statistics (comparison, planted, nulls), what arms measured (outcomes), the verdict (verdict).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl

from squiggle_assets.science import rng
from squiggle_assets.science.cells import arm_series, schedule_from
from squiggle_assets.science.claim_kinds import Claim, consensus_claims, contrast_claim, planted_claims
from squiggle_assets.science.comparison import ArmData, agreement_with
from squiggle_assets.science.outcomes import arm_outcomes
from squiggle_assets.science.spec import Study
from squiggle_assets.science.stats import benjamini_hochberg, smallest_corrected_p
from squiggle_assets.science.verdict import Evidence, verdict_of

_SCHEMA = {
    **dict.fromkeys(("claim", "arm", "contrast", "hypothesis"), pl.String),
    **{"estimate": pl.Float64, "unit": pl.String},
    **dict.fromkeys(("ci_lo", "ci_hi", "null_mean", "p_value", "q_value"), pl.Float64),
    **{"n_seeds": pl.Int64, "n_items": pl.Int64, "method": pl.String, "control": pl.String},
    **dict.fromkeys(("control_difference", "control_ci_lo", "control_ci_hi"), pl.Float64),
    **{"scale": pl.String, "preregistered": pl.Boolean},
    **dict.fromkeys(("verdict", "reasons", "evidence", "analysis_id"), pl.String),
}


class StudyResult(NamedTuple):
    """The two tables of a study."""

    arm_outcomes: pl.DataFrame
    claims: pl.DataFrame


def arms_of(
    study: Study, *, geometry: pl.DataFrame, manifest: pl.DataFrame, null_draws: pl.DataFrame
) -> dict[str, ArmData]:
    """The study's arms on the pre-registered probe set; ValueError names an arm that lacks geometry or draws."""
    found = {}
    for arm in study.arms:
        of_arm = pl.col("arm") == arm.name
        mine = manifest.filter(of_arm)
        if mine.is_empty():
            raise ValueError(f"study {study.name}: no runs of arm {arm.name!r} in the manifest")
        series = arm_series(
            geometry.filter(of_arm),
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

    Any other number of seeds is another look at the data, and its p-values hold for no single look.
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
    """Outcomes and claims of a whole study; every frame holds the rows of all its arms.

    planted_steps: first step with planted items and the step after the last one. scale: embedded model, or which
    real model and data. preregistered: as `is_preregistered` says. ValueError as `arms_of`, and on a contrast over an
    outcome that does not exist.
    """
    arms = arms_of(study, geometry=geometry, manifest=manifest, null_draws=null_draws)
    draws = rng.generator("claims", study.consensus.seed, analysis_id)
    families = (
        planted_claims(study, arms, planted_steps, draws),
        consensus_claims(study, arms, consensus_events),
        [contrast_claim(study, contrast, arms, scalars, consensus_events, draws) for contrast in study.contrasts],
    )
    rows = [row for family in families for row in _judged(family, study.consensus.alpha, preregistered)]
    shared = {"scale": scale, "preregistered": preregistered, "analysis_id": analysis_id}
    claims = pl.DataFrame([{name: {**row, **shared}[name] for name in _SCHEMA} for row in rows], schema=_SCHEMA)
    return StudyResult(
        arm_outcomes(arms, scalars, study=study.name, analysis_id=analysis_id, spec=study.consensus),
        claims.select(pl.lit(study.name).alias("study"), pl.all()),
    )


def _judged(family: list[Claim], alpha: float, preregistered: bool) -> list[dict[str, Any]]:
    """Rows of one family: q over its claims, then the verdict of each."""
    q = benjamini_hochberg(np.array([claim.p_value for claim in family]))
    rows = []
    for claim, level in zip(family, q, strict=True):
        found = verdict_of(
            Evidence(
                smallest_p=smallest_corrected_p(claim.smallest_p, len(family)),
                q_value=float(level),
                interval=claim.interval,
                n_seeds=claim.row["n_seeds"],
                null_value=claim.null_value,
                margin=claim.margin,
                direction=claim.direction,
                control=None if claim.control is None else claim.control[2],
                preregistered=preregistered,
                near_boundary=claim.near_boundary,
                floor=claim.floor,
                alpha=alpha,
            )
        )
        name, difference, interval = claim.control or (None, None, (None, None))
        rows.append(
            {
                **claim.row,
                "ci_lo": claim.interval.lo,
                "ci_hi": claim.interval.hi,
                "null_mean": claim.null_value,
                "p_value": claim.p_value,
                "q_value": float(level),
                "control": name,
                "control_difference": difference,
                "control_ci_lo": interval[0],
                "control_ci_hi": interval[1],
                "verdict": found.word,
                "reasons": "; ".join(found.reasons),
            }
        )
    return rows
