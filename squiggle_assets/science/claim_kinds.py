"""The three kinds of claim of a curriculum study, before their families are corrected and judged.

Here: consensus of an arm, planted or placebo response, contrast of arms. Not here: correction and verdict (claims).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.comparison import ArmData, Difference, Strongest, excess_difference, strongest_of
from squiggle_assets.science.matching import CAP
from squiggle_assets.science.outcomes import floor_check, paired_final
from squiggle_assets.science.planted import Response, beyond_control, place_of, response_of, weakest_control
from squiggle_assets.science.spec import Contrast, Study
from squiggle_assets.science.stats import Direction, Interval, sign_flip, t_interval

_EXCESS = "consensus_event_excess"
_FINAL = "final_"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim before its family is corrected and its verdict is found."""

    row: dict[str, Any]
    p_value: float
    smallest_p: float
    interval: Interval
    control: tuple[str, float, Interval] | None
    null_value: float = 0.0
    margin: float | None = None
    direction: Direction = "greater"
    near_boundary: bool = False
    floor: bool = False


def _arm_row(arm: ArmData, **rest: Any) -> dict[str, Any]:
    return {"arm": arm.arm.name, "contrast": None, "n_seeds": len(arm.series.seeds), "n_items": arm.num_items, **rest}


def planted_claims(
    study: Study, arms: Mapping[str, ArmData], steps: tuple[int, int], draws: np.random.Generator
) -> list[Claim]:
    """The planted arm against placebo and first baseline, and the placebo arm against that baseline, at one place.

    The first baseline is the planted arm's matched control: equal draws before the planted steps.
    """
    planted, placebo = study.only("planted").name, study.only("placebo").name
    baseline = _baselines(study)[:1]
    place = _place(study)
    names = [planted, placebo, *baseline]
    found = {name: response_of(arms[name].series, steps, study.consensus, draws, **place) for name in names}
    pairs = [(planted, [placebo, *baseline]), (placebo, baseline)]
    return [_planted_claim(study, arms, found, name, against, steps) for name, against in pairs]


def _baselines(study: Study) -> list[str]:
    return [arm.name for arm in study.arms if arm.role == "baseline"]


def _place(study: Study) -> dict[str, Any]:
    plant = study.only("planted").plant
    return {} if plant is None else {"band": plant.band, "group": plant.metric_group}


def _planted_claim(
    study: Study,
    arms: Mapping[str, ArmData],
    found: Mapping[str, Response],
    name: str,
    against: Sequence[str],
    steps: tuple[int, int],
) -> Claim:
    arm, response = arms[name], found[name]
    cell = place_of(arm.series, **_place(study))
    _, distance = arm.series.schedule.nearest(steps[0])
    interval = float(np.median(np.diff(arm.series.steps)))
    controls = {other: beyond_control(response, found[other]) for other in against}
    row = _arm_row(
        arm,
        claim=f"planted:{name}",
        hypothesis=f"Arm {name} responds in {cell.name} to items planted at steps {steps[0]} to {steps[1] - 1}.",
        estimate=response.estimate,
        unit="robust sd of the increments",
        method=(
            f"mean over seeds of the largest oriented increment in the window; the same functional in "
            f"{response.num_draws} draws each of shift and surrogate, larger p; t interval over seeds"
        ),
        evidence=canonical_json(
            {
                "tables": ["geometry", "run_manifest"],
                "arm": name,
                "cell": cell.name,
                "probe_set": study.consensus.probe_set,
                "steps": list(steps),
                "polarity": response.polarity,
                "p": dict(response.p_values),
                "control_differences": {other: round(beyond, 4) for other, (beyond, _) in controls.items()},
                "by_seed": {str(seed): round(value, 4) for seed, value in response.by_seed.items()},
            }
        ),
    )
    return Claim(
        row=row,
        p_value=response.p_value,
        smallest_p=1 / (1 + response.num_draws),
        interval=response.interval,
        control=weakest_control(controls),
        null_value=response.null_mean,
        margin=max(study.plant_margin, response.null_mean),
        near_boundary=abs(distance) <= arm.seen.tau + interval,
    )


def consensus_claims(study: Study, arms: Mapping[str, ArmData], events: pl.DataFrame) -> list[Claim]:
    """Per arm: its seeds agree more than chance and schedule make them.

    Control: the placebo arm's strongest moment; for the placebo arm that of the first baseline.
    """
    placebo = study.only("placebo").name
    of_placebo = next(iter(_baselines(study)), None)
    strongest = {name: strongest_of(arm) for name, arm in arms.items()}
    return [
        _consensus_claim(study, arms[name], strongest, of_placebo if name == placebo else placebo, events)
        for name in arms
    ]


def _significant(study: Study, arm: str, events: pl.DataFrame) -> pl.DataFrame:
    """The arm's familywise significant consensus events on the pre-registered probe set."""
    return events.filter(
        (pl.col("arm") == arm)
        & (pl.col("probe_set") == study.consensus.probe_set)
        & (pl.col("p_familywise") <= study.consensus.alpha)
    )


def _boundary_only(significant: pl.DataFrame) -> bool:
    return bool(len(significant)) and bool(significant["near_boundary"].all())


def _consensus_claim(
    study: Study, arm: ArmData, strongest: Mapping[str, Strongest], control: str | None, events: pl.DataFrame
) -> Claim:
    name = arm.arm.name
    found = strongest[name]
    own = _significant(study, name, events)
    row = _arm_row(
        arm,
        claim=f"consensus:{name}",
        hypothesis=f"Seeds of arm {name} share an event beyond chance and schedule.",
        estimate=found.estimate,
        unit=f"envelopes, mean over seeds of min(|z|, {CAP:g})",
        method=(
            f"most surprising moment over all cells, strengths capped at {CAP:g}; max-statistic p, larger of shift and "
            "surrogate; t interval over seeds; null: the largest cell of each draw"
        ),
        evidence=canonical_json(
            {
                "tables": ["consensus_events", "null_draws"],
                "arm": name,
                "probe_set": study.consensus.probe_set,
                "cell": arm.series.cells[found.cell].name,
                "by_seed": {str(seed): round(value, 4) for seed, value in found.by_seed.items()},
                "num_events": arm.count,
                "num_events_null": round(arm.null_mean(), 4),
                "num_events_p": arm.count_p(),
                "consensus_event_id": own["consensus_event_id"].to_list(),
            }
        ),
    )
    return Claim(
        row=row,
        p_value=arm.seen.study_p(),
        smallest_p=1 / (1 + min(len(null.count) for null in arm.seen.nulls)),
        interval=t_interval(np.array(list(found.by_seed.values()))),
        control=None if control is None else (control, *beyond_control(found, strongest[control])),
        null_value=found.null_mean,
        near_boundary=_boundary_only(own),
        # With every seed at the cap the interval has no width and nothing can be told apart from it.
        floor=min(found.by_seed.values()) >= CAP,
    )


def contrast_claim(
    study: Study,
    contrast: Contrast,
    arms: Mapping[str, ArmData],
    scalars: pl.DataFrame,
    events: pl.DataFrame,
    draws: np.random.Generator,
) -> Claim:
    """One arm against another.

    Control: the placebo arm; in its own contrasts the first baseline that takes no part in them. A contrast of event
    counts lies at a boundary only if all significant events of the arm with more of them do.
    """
    found, unit, method = _measured(study, contrast, contrast.against, arms, scalars, draws)
    richer = contrast.against if found.estimate < 0 else contrast.arm
    at_boundary = contrast.outcome == _EXCESS and _boundary_only(_significant(study, richer, events))
    others = [study.only("placebo").name, *_baselines(study)]
    name = next((name for name in others if name not in (contrast.arm, contrast.against)), None)
    control = None
    if name is not None:
        beyond = _measured(study, contrast, name, arms, scalars, draws)[0]
        control = (name, beyond.estimate, beyond.interval)
    on_floor = [name for name in (contrast.arm, contrast.against) if not floor_check(scalars, name).left]
    sign = -1.0 if contrast.direction == "less" else 1.0
    row = _arm_row(
        arms[contrast.arm],
        claim=f"contrast:{contrast.arm}-{contrast.against}:{contrast.outcome}",
        contrast=contrast.against,
        hypothesis=f"{contrast.outcome} of arm {contrast.arm} is {_word(contrast)} that of {contrast.against}.",
        estimate=found.estimate,
        unit=unit,
        n_seeds=found.num_pairs,
        method=method,
        evidence=canonical_json(
            {
                "tables": ["arm_outcomes", "consensus_events", "null_draws", "scalars"],
                "arms": [contrast.arm, contrast.against],
                "outcome": contrast.outcome,
                "on_floor": on_floor,
            }
        ),
    )
    return Claim(
        row=row,
        p_value=found.p_value,
        smallest_p=found.smallest_p,
        interval=found.interval,
        control=control,
        margin=sign * contrast.margin if contrast.margin > 0 else None,
        direction=contrast.direction,
        near_boundary=at_boundary,
        floor=bool(on_floor),
    )


def _word(contrast: Contrast) -> str:
    return {"greater": "greater than", "less": "less than", "two-sided": "different from"}[contrast.direction]


def _measured(
    study: Study,
    contrast: Contrast,
    against: str,
    arms: Mapping[str, ArmData],
    scalars: pl.DataFrame,
    draws: np.random.Generator,
) -> tuple[Difference, str, str]:
    if contrast.outcome == _EXCESS:
        found = excess_difference(arms[contrast.arm], arms[against], study.consensus, contrast.direction, draws)
        return (
            found,
            "consensus events",
            "excess over the null; p: larger of label swaps over seeds (searched again) and null draws of both arms; "
            "t interval with the larger of jackknife over pairs of seeds and sd of the null counts",
        )
    if not contrast.outcome.startswith(_FINAL):
        raise ValueError(
            f"contrast over unknown outcome {contrast.outcome!r}: {_EXCESS} or {_FINAL}<scalar> such as "
            "final_val_random_loss"
        )
    differences = paired_final(
        scalars, contrast.outcome.removeprefix(_FINAL), contrast.arm, against, arms[contrast.arm].series.seeds
    )
    test = sign_flip(differences, contrast.direction, rng=draws)
    difference = Difference(test.statistic, t_interval(differences), test.p_value, test.smallest_p, len(differences))
    return difference, "units of the scalar", "paired sign-flip permutation over seeds; t interval"
