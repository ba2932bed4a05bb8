"""Tables of what a study says: outcomes of its arms and its claims.

Here: one model per table. Not here: the rows they rest on (schemas.consensus, schemas.runs).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column

_CI_LO, _CI_HI = "lower end of the 95 % interval; null if it cannot be computed", "its upper end"
_VERDICTS = ["supported", "exploratory", "not supported", "underpowered"]


class ArmOutcomes(Table):
    """One row per arm and outcome: observed, what chance gives, and how sure."""

    study: str = column("study")
    analysis_id: str = column("version of the interpretation")
    arm: str = column("arm of the study")
    outcome: str = column("consensus_event_count, event_yield_per_step, or final_SCALAR")
    unit: str = column("of value, null_mean, excess and interval")
    value: float = column("observed; mean over seeds for scalars", nullable=True)
    null_mean: float = column("mean over null draws (the family with the larger mean); null for scalars", nullable=True)
    excess: float = column("value - null_mean; null for scalars", nullable=True)
    pairing_mean: float = column("mean count over groups of runs from different arms (pairing_draws)", nullable=True)
    pairing_p: float = column(
        "share of such groups with as many events, over the seeds that all arms have; an arm's own phases make it "
        "small as well as its items do; no part of p_value",
        nullable=True,
        gt=0,
        le=1,
    )
    ci_lo: float = column(_CI_LO + " (of the excess where there is one)", nullable=True)
    ci_hi: float = column(_CI_HI, nullable=True)
    p_value: float = column("against the nulls, the larger of the families", nullable=True, gt=0, le=1)
    q_value: float = column("Benjamini-Hochberg over all arms of the study of this outcome", nullable=True, gt=0, le=1)
    n_seeds: int = column("seeds of the arm whose runs went to their end", ge=1)
    seeds: str = column("JSON list of them")
    method: str = column("how interval and p were made")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "analysis_id", "arm", "outcome"]


class Claims(Table):
    """One row per claim of a study, with everything its verdict rests on."""

    study: str = column("study")
    claim: str = column(
        "consensus:ARM, planted:ARM, contrast:ARM-AGAINST:OUTCOME; CONDITION:PARENT (edited triggers), "
        "impact:ARM-AGAINST:OUTCOME, order:ARM-AGAINST, modes:ARM"
    )
    arm: str = column("arm that the claim is about")
    contrast: str = column("arm it is compared with; null if none", nullable=True)
    hypothesis: str = column("what the claim says, in words")
    estimate: float = column("size of the effect", nullable=True)
    unit: str = column("of estimate, interval and null_mean")
    ci_lo: float = column(_CI_LO, nullable=True)
    ci_hi: float = column(_CI_HI, nullable=True)
    null_mean: float = column("what the estimate is on average when there is nothing", nullable=True)
    p_value: float = column("the largest over the null families", nullable=True, gt=0, le=1)
    q_value: float = column("Benjamini-Hochberg over the claims of the same pre-registered family", nullable=True)
    n_seeds: int = column("seeds of the arm (pairs in a contrast) whose runs went to their end", ge=0)
    n_items: int = column("distinct training items of the arm's curriculum", nullable=True, ge=0)
    method: str = column("test and interval, and which runs were left out because they were stopped")
    control: str = column("arm or null the effect must exceed; null if none", nullable=True)
    control_difference: float = column("estimate - the control's", nullable=True)
    control_ci_lo: float = column("95 % interval of the difference", nullable=True)
    control_ci_hi: float = column("its upper end", nullable=True)
    scale: str = column("embedded model, or which real model and data")
    preregistered: bool = column("stated in the study value before the runs")
    verdict: str = column("by the one verdict function", isin=_VERDICTS)
    reasons: str = column("why, in sentences")
    evidence: str = column("JSON: tables and row keys the claim rests on")
    analysis_id: str = column("version of the interpretation")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "analysis_id", "claim"]


TABLES: dict[str, type[Table]] = {"arm_outcomes": ArmOutcomes, "claims": Claims}
