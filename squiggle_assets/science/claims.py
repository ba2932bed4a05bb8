"""The claims of a curriculum study: what it set out to show, with everything the verdict rests on.

Here: arms from the tables, families, correction, verdicts, rows. Not here: the kinds of claim (claim_kinds,
claim_contrasts), the statistics (comparison, planted, nulls, pairing), what arms measured (outcomes), the verdict
(verdict).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from polars import selectors

from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.cells import arm_series, schedule_from
from squiggle_assets.science.claim_contrasts import contrast_claim
from squiggle_assets.science.claim_kinds import Claim, consensus_claims, planted_claims
from squiggle_assets.science.comparison import ArmData, agreement_with
from squiggle_assets.science.exclusions import stopped_seeds, without_stopped
from squiggle_assets.science.outcomes import arm_outcomes
from squiggle_assets.science.pairing import pairing_of
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
    rows = [row for family in families for row in _judged(study, family, stopped_seeds(manifest), preregistered)]
    pairing = pairing_of(arms, study.detection, study.consensus)
    shared = {"scale": scale, "preregistered": preregistered, "analysis_id": analysis_id}
    claims = pl.DataFrame([{name: {**row, **shared}[name] for name in _SCHEMA} for row in rows], schema=_SCHEMA)
    claims = claims.with_columns(selectors.float().fill_nan(None))
    return StudyResult(
        arm_outcomes(arms, scalars, pairing, study=study, analysis_id=analysis_id),
        claims.select(pl.lit(study.name).alias("study"), pl.all()),
        pairing.draws.select(
            pl.lit(study.name).alias("study"),
            pl.lit(analysis_id).alias("analysis_id"),
            pl.lit(study.consensus.probe_set).alias("probe_set"),
            pl.all(),
        ),
    )


def _judged(
    study: Study, family: list[Claim], stopped: Mapping[str, tuple[int, ...]], preregistered: bool
) -> list[dict[str, Any]]:
    """Rows of one family: q over its claims, then the verdict of each."""
    p_values = np.array([claim.p_value for claim in family])
    # A claim that could not be tested stays a member of its family: what went wrong must not make the others easier.
    q = np.where(np.isnan(p_values), np.nan, benjamini_hochberg(np.nan_to_num(p_values, nan=1.0)))
    rows = []
    for claim, level in zip(family, q, strict=True):
        left_out = {name: stopped[name] for name in claim.arms if name in stopped}
        control = claim.control
        found = verdict_of(
            Evidence(
                smallest_p=smallest_corrected_p(claim.smallest_p, len(family)),
                q_value=float(level),
                interval=claim.interval,
                n_seeds=min([claim.row["n_seeds"], *([] if control is None else [control.num_pairs])]),
                num_excluded=sum(map(len, left_out.values())),
                null_value=claim.null_value,
                margin=claim.margin,
                direction=claim.direction,
                control=None if control is None else control.interval,
                preregistered=preregistered,
                near_boundary=claim.near_boundary,
                floor=claim.floor,
                alpha=study.consensus.alpha,
            )
        )
        rows.append(
            {
                **claim.row,
                "method": claim.row["method"] + _told(left_out),
                "evidence": canonical_json({**claim.row["evidence"], "left_out": left_out}),
                "ci_lo": claim.interval.lo,
                "ci_hi": claim.interval.hi,
                "null_mean": claim.null_value,
                "p_value": claim.p_value,
                "q_value": float(level),
                "control": None if control is None else control.name,
                "control_difference": None if control is None else control.difference,
                "control_ci_lo": None if control is None else control.interval.lo,
                "control_ci_hi": None if control is None else control.interval.hi,
                "verdict": found.word,
                "reasons": "; ".join(found.reasons),
            }
        )
    return rows


def _told(left_out: Mapping[str, Sequence[int]]) -> str:
    """The runs that are missing, in words."""
    if not left_out:
        return ""
    named = [f"{arm} {', '.join(map(str, seeds))}" for arm, seeds in left_out.items()]
    return f"; left out because a controller stopped them: {'; '.join(named)}"
