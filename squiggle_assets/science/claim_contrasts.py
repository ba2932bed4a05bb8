"""The third kind of claim of a curriculum study: one arm against another on one outcome.

Here: contrasts of event counts and of final scores. Not here: the other kinds (claim_kinds), correction and verdict
(claims), the comparison itself (comparison).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from squiggle_assets.science.claim_kinds import (
    Claim,
    arm_row,
    baselines_of,
    boundary_only,
    draws_for,
    significant,
    untested,
)
from squiggle_assets.science.comparison import (
    ArmData,
    Difference,
    excess_difference,
    on_shared_seeds,
    shared_seeds,
)
from squiggle_assets.science.outcomes import floor_check, paired_final
from squiggle_assets.science.planted import Control, untested_control
from squiggle_assets.science.spec import Contrast, Study
from squiggle_assets.science.stats import sign_flip, t_interval

EXCESS = "consensus_event_excess"
FINAL = "final_"
_METHODS = {
    EXCESS: "excess over the null; p: larger of label swaps over seeds (searched again) and null draws of both arms; "
    "t interval with the larger of jackknife over pairs of seeds and sd of the null counts",
    FINAL: "paired sign-flip permutation over seeds; t interval",
}
_WORDS = {"greater": "greater than", "less": "less than", "two-sided": "different from"}


def contrast_claim(
    study: Study,
    contrast: Contrast,
    arms: Mapping[str, ArmData],
    scalars: pl.DataFrame,
    events: pl.DataFrame,
) -> Claim:
    """One arm against another, over the seeds that both have.

    Control: the placebo arm; in its own contrasts the first baseline that takes no part in them. A contrast of event
    counts lies at a boundary only if all significant events of the arm with more of them do. ValueError on an outcome
    that does not exist.
    """
    kind = _kind(contrast)
    unit = "consensus events" if kind == EXCESS else "units of the scalar"
    claim = f"contrast:{contrast.arm}-{contrast.against}:{contrast.outcome}"
    hypothesis = f"{contrast.outcome} of arm {contrast.arm} is {_WORDS[contrast.direction]} that of {contrast.against}."
    others = [study.only("placebo").name, *baselines_of(study)]
    name = next((name for name in others if name not in (contrast.arm, contrast.against)), None)
    concerned = [contrast.arm, contrast.against, *([] if name is None else [name])]
    draws = draws_for(study, claim)
    found = _measured(study, contrast, contrast.against, arms, scalars, draws)
    if found is None:
        missing = untested(claim, contrast.arm, hypothesis, unit, concerned)
        return replace(missing, row={**missing.row, "contrast": contrast.against})
    richer = contrast.against if found.estimate < 0 else contrast.arm
    on_floor = [name for name in (contrast.arm, contrast.against) if not floor_check(scalars, name).left]
    sign = -1.0 if contrast.direction == "less" else 1.0
    row = arm_row(
        arms[contrast.arm],
        claim=claim,
        contrast=contrast.against,
        hypothesis=hypothesis,
        estimate=found.estimate,
        unit=unit,
        n_seeds=found.num_pairs,
        method=_METHODS[kind],
        evidence={
            "tables": ["arm_outcomes", "consensus_events", "null_draws", "scalars"],
            "arms": [contrast.arm, contrast.against],
            "outcome": contrast.outcome,
            "on_floor": on_floor,
            "p": dict(found.p_values),
        },
    )
    return Claim(
        row=row,
        arms=tuple(concerned),
        p_value=found.p_value,
        smallest_p=found.smallest_p,
        interval=found.interval,
        control=None if name is None else _control(study, contrast, name, arms, scalars, draws),
        margin=sign * contrast.margin if contrast.margin > 0 else None,
        direction=contrast.direction,
        near_boundary=kind == EXCESS and boundary_only(significant(study, richer, events)),
        floor=bool(on_floor),
    )


def _kind(contrast: Contrast) -> str:
    if contrast.outcome == EXCESS:
        return EXCESS
    if contrast.outcome.startswith(FINAL):
        return FINAL
    raise ValueError(
        f"contrast over unknown outcome {contrast.outcome!r}: {EXCESS} or {FINAL}<scalar> such as final_val_random_loss"
    )


def _control(
    study: Study,
    contrast: Contrast,
    name: str,
    arms: Mapping[str, ArmData],
    scalars: pl.DataFrame,
    draws: np.random.Generator,
) -> Control:
    beyond = _measured(study, contrast, name, arms, scalars, draws)
    if beyond is None:
        return untested_control(name)
    return Control(name, beyond.estimate, beyond.interval, beyond.num_pairs)


def _measured(
    study: Study,
    contrast: Contrast,
    against: str,
    arms: Mapping[str, ArmData],
    scalars: pl.DataFrame,
    draws: np.random.Generator,
) -> Difference | None:
    """The difference to one arm; None where fewer than 2 seeds have a whole run in both."""
    if not {contrast.arm, against} <= set(arms) or len(shared_seeds(arms[contrast.arm], arms[against])) < 2:
        return None
    mine, theirs = arms[contrast.arm], arms[against]
    if _kind(contrast) == EXCESS:
        pair = on_shared_seeds(mine, theirs, study.detection, study.consensus, draws)
        return excess_difference(*pair, study.consensus, contrast.direction, draws)
    differences = paired_final(
        scalars, contrast.outcome.removeprefix(FINAL), contrast.arm, against, shared_seeds(mine, theirs)
    )
    test = sign_flip(differences, contrast.direction, rng=draws)
    return Difference(
        estimate=test.statistic,
        interval=t_interval(differences),
        p_values={"sign_flips": test.p_value},
        smallest_p=test.smallest_p,
        num_pairs=len(differences),
    )
