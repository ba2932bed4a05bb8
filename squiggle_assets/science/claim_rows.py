"""Claims as rows of the claims table: families corrected, verdicts found. The same for every study.

Here: correction within a family, the verdict of each claim, the row. Not here: claims themselves (claim_kinds and the
modules of each study), the rule of the verdict (verdict).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors

from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.claim_kinds import Claim
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


def claim_rows(
    study: Study,
    families: Iterable[Sequence[Claim]],
    *,
    stopped: Mapping[str, tuple[int, ...]],
    preregistered: bool,
    scale: str,
    analysis_id: str,
) -> pl.DataFrame:
    """The claims table of a study, in the order of its families.

    q is Benjamini-Hochberg within each family; positive controls (claims about a planted arm) are corrected with the
    whole family, and all others without them: what is known to be there must not make the rest easier. stopped: arm ->
    seeds of its runs that a controller stopped; a claim over such an arm names them in method and evidence.
    preregistered: whether every arm has exactly the seeds named beforehand (claims.is_preregistered). scale: embedded
    model, or which real model and data.
    """
    rows = [row for family in families for row in _judged(study, family, stopped, preregistered)]
    shared = {"scale": scale, "preregistered": preregistered, "analysis_id": analysis_id}
    table = pl.DataFrame([{name: {**row, **shared}[name] for name in _SCHEMA} for row in rows], schema=_SCHEMA)
    filled = table.with_columns(selectors.float().fill_nan(None))
    return filled.select(pl.lit(study.name).alias("study"), pl.all())


def _is_planted(study: Study, claim: Claim) -> bool:
    """Whether a claim is a positive control: about an arm with a planted effect alone."""
    about = [arm.role for arm in study.arms if arm.name == claim.row["arm"]]
    return about == ["planted"] and claim.row["contrast"] is None


def _corrected(p: NDArray[np.float64], planted: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What each claim has for q, and the number of tests it was corrected for."""
    q, sizes = benjamini_hochberg(p), np.full(len(p), len(p))
    if not planted.all():
        q[~planted], sizes[~planted] = benjamini_hochberg(p[~planted]), (~planted).sum()
    return q, sizes


def _judged(
    study: Study, family: Sequence[Claim], stopped: Mapping[str, tuple[int, ...]], preregistered: bool
) -> list[dict[str, Any]]:
    """Rows of one family: q over its claims, then the verdict of each."""
    p_values = np.array([claim.p_value for claim in family])
    # A claim that could not be tested stays a member of its family: what went wrong must not make the others easier.
    q, sizes = _corrected(np.nan_to_num(p_values, nan=1.0), np.array([_is_planted(study, claim) for claim in family]))
    rows = []
    for claim, level, size in zip(family, np.where(np.isnan(p_values), np.nan, q), sizes, strict=True):
        left_out = {name: stopped[name] for name in claim.arms if name in stopped}
        control = claim.control
        found = verdict_of(
            Evidence(
                smallest_p=smallest_corrected_p(claim.smallest_p, int(size)),
                q_value=float(level),
                interval=claim.interval,
                n_seeds=min([claim.row["n_seeds"], *([] if control is None else [control.num_pairs])]),
                num_excluded=sum(map(len, left_out.values())),
                null_value=claim.null_value,
                margin=claim.margin,
                direction=claim.direction,
                control=None if control is None else control.interval,
                preregistered=preregistered,
                selected=claim.selected,
                replicated=claim.replicated,
                near_boundary=claim.near_boundary,
                floor=claim.floor,
                caveat=claim.caveat,
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
