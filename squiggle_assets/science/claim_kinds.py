"""Two kinds of claim of a curriculum study, before their families are corrected and judged.

Here: what a claim is, consensus of an arm, planted or placebo response. Not here: contrasts of arms (claim_contrasts),
correction and verdict (claim_rows).

An arm of which fewer than two runs went to their end is not among the arms given here: claims about it are made all
the same, without numbers, and a control arm of that kind is a control that nothing is known to beat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from squiggle_assets.science import rng
from squiggle_assets.science.comparison import ArmData, on_shared_seeds, shared_seeds, strongest_of
from squiggle_assets.science.events import parameters_id
from squiggle_assets.science.matching import CAP
from squiggle_assets.science.planted import (
    Control,
    Response,
    beyond_control,
    boundaries_near,
    place_of,
    response_of,
    untested_control,
    weakest_control,
)
from squiggle_assets.science.spec import Study
from squiggle_assets.science.stats import NO_INTERVAL, Direction, Interval, t_interval

NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim before its family is corrected and its verdict is found."""

    row: dict[str, Any]
    """Columns of the claims table; evidence still as an object."""
    arms: tuple[str, ...]
    """Arms whose runs it rests on, controls included."""
    p_value: float = NAN
    smallest_p: float = NAN
    interval: Interval = NO_INTERVAL
    control: Control | None = None
    null_value: float = 0.0
    margin: float | None = None
    direction: Direction = "greater"
    near_boundary: bool = False
    floor: bool = False
    selected: bool = False
    """Whether what is claimed was chosen by looking at data."""
    replicated: bool = False
    """Whether seeds that took no part in that choice showed it too."""
    caveat: str = ""
    """What it says and the design cannot show, in words; "" = nothing."""


def arm_row(arm: ArmData, **rest: Any) -> dict[str, Any]:
    """The columns that say what a claim is about, and the rest of its row."""
    return {"arm": arm.arm.name, "contrast": None, "n_seeds": len(arm.series.seeds), "n_items": arm.num_items, **rest}


def untested(name: str, arm: str, hypothesis: str, unit: str, arms: Sequence[str], *, n_seeds: int = 0) -> Claim:
    """A claim about which nothing can be said: too few runs went to their end."""
    row = {
        **{"claim": name, "arm": arm, "contrast": None, "hypothesis": hypothesis, "estimate": None, "unit": unit},
        **{"n_seeds": n_seeds, "n_items": None, "method": "not tested: fewer than 2 runs (pairs of runs) to compare"},
        "evidence": {"tables": ["run_manifest"], "arms": list(arms)},
    }
    return Claim(row=row, arms=tuple(arms), null_value=NAN)


def draws_for(study: Study, claim: str) -> np.random.Generator:
    """The generator of one claim, keyed by parameters and claim: no other claim moves what it draws."""
    consensus = study.consensus
    return rng.generator("claims", consensus.seed, parameters_id(study.detection, consensus), claim)


def baselines_of(study: Study) -> list[str]:
    """Names of the baseline arms, in the study's order."""
    return [arm.name for arm in study.arms if arm.role == "baseline"]


def planted_claims(study: Study, arms: Mapping[str, ArmData], steps: tuple[int, int]) -> list[Claim]:
    """The planted arm against placebo and first baseline, and the placebo arm against that baseline, at one place.

    The first baseline is the planted arm's matched control: equal draws before the planted steps. Both claims lie
    near a boundary if one of the arms has one near the planted steps.
    """
    planted, placebo = study.only("planted").name, study.only("placebo").name
    baseline = baselines_of(study)[:1]
    place = _place(study)
    names = [name for name in (planted, placebo, *baseline) if name in arms]
    found = {
        name: response_of(arms[name].series, steps, study.consensus, draws_for(study, f"planted:{name}"), **place)
        for name in names
    }
    pairs = [(planted, [placebo, *baseline]), (placebo, baseline)]
    return [_planted_claim(study, arms, found, name, against, steps) for name, against in pairs]


def _place(study: Study) -> dict[str, Any]:
    plant = study.only("planted").plant
    return {} if plant is None else {"band": plant.band, "group": plant.metric_group}


_PLANTED_UNIT = "asinh of robust sd of the increments"


def _planted_claim(
    study: Study,
    arms: Mapping[str, ArmData],
    found: Mapping[str, Response],
    name: str,
    against: Sequence[str],
    steps: tuple[int, int],
) -> Claim:
    claim, there = f"planted:{name}", f"to items planted at steps {steps[0]} to {steps[1] - 1}."
    if name not in arms:
        return untested(claim, name, f"Arm {name} responds {there}", _PLANTED_UNIT, [name, *against])
    arm, response = arms[name], found[name]
    cell = place_of(arm.series, **_place(study))
    controls = [
        beyond_control(other, response, found[other]) if other in found else untested_control(other)
        for other in against
    ]
    near = boundaries_near((arms[other].series for other in found), steps, study.consensus)
    row = arm_row(
        arm,
        claim=claim,
        hypothesis=f"Arm {name} responds in {cell.name} {there}",
        estimate=response.estimate,
        unit=_PLANTED_UNIT,
        method=(
            f"mean over seeds of asinh of the largest oriented increment in the window; the same functional in "
            f"{response.num_draws} draws each of shift and surrogate, larger p; t interval over seeds"
        ),
        evidence={
            "tables": ["geometry", "run_manifest"],
            "arm": name,
            "cell": cell.name,
            "probe_set": study.consensus.probe_set,
            "steps": list(steps),
            "boundaries_near": [list(boundary) for boundary in near],
            "polarity": response.polarity,
            "p": dict(response.p_values),
            "control_differences": {control.name: _rounded(control.difference) for control in controls},
            "by_seed": {str(seed): round(value, 4) for seed, value in response.by_seed.items()},
        },
    )
    return Claim(
        row=row,
        arms=(name, *against),
        p_value=response.p_value,
        smallest_p=1 / (1 + response.num_draws),
        interval=response.interval,
        control=weakest_control(controls),
        null_value=response.null_mean,
        margin=max(math.asinh(study.plant_margin), response.null_mean),
        near_boundary=bool(near),
    )


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)


def consensus_claims(study: Study, arms: Mapping[str, ArmData], events: pl.DataFrame) -> list[Claim]:
    """Per arm: its seeds agree more than chance and schedule make them.

    Control: the placebo arm's strongest moment; for the placebo arm that of the first baseline. Each is sought among
    the seeds that both arms have: the strongest moment of fewer seeds is stronger by chance.
    """
    placebo = study.only("placebo").name
    of_placebo = next(iter(baselines_of(study)), None)
    return [
        _consensus_claim(study, arm.name, arms, of_placebo if arm.name == placebo else placebo, events)
        for arm in study.arms
    ]


def significant(study: Study, arm: str, events: pl.DataFrame) -> pl.DataFrame:
    """The arm's familywise significant consensus events on the pre-registered probe set."""
    return events.filter(
        (pl.col("arm") == arm)
        & (pl.col("probe_set") == study.consensus.probe_set)
        & (pl.col("p_familywise") <= study.consensus.alpha)
    )


def boundary_only(chosen: pl.DataFrame) -> bool:
    """Whether there are events and all of them lie near a boundary."""
    return bool(len(chosen)) and bool(chosen["near_boundary"].all())


def _beyond_moment(
    study: Study, arm: ArmData, control: str, arms: Mapping[str, ArmData], draws: np.random.Generator
) -> Control:
    if control not in arms or len(shared_seeds(arm, arms[control])) < 2:
        return untested_control(control)
    mine, theirs = on_shared_seeds(arm, arms[control], study.detection, study.consensus, draws)
    return beyond_control(control, strongest_of(mine), strongest_of(theirs))


def _consensus_claim(
    study: Study,
    name: str,
    arms: Mapping[str, ArmData],
    control: str | None,
    events: pl.DataFrame,
) -> Claim:
    claim, hypothesis = f"consensus:{name}", f"Seeds of arm {name} share an event beyond chance and schedule."
    unit = f"envelopes, mean over seeds of min(|z|, {CAP:g})"
    concerned = (name,) if control is None else (name, control)
    if name not in arms:
        return untested(claim, name, hypothesis, unit, concerned)
    arm = arms[name]
    found = strongest_of(arm)
    own = significant(study, name, events)
    row = arm_row(
        arm,
        claim=claim,
        hypothesis=hypothesis,
        estimate=found.estimate,
        unit=unit,
        method=(
            f"most surprising moment over all cells, strengths capped at {CAP:g}; max-statistic p, larger of shift and "
            "surrogate; t interval over seeds; null: the largest cell of each draw"
        ),
        evidence={
            "tables": ["consensus_events", "null_draws"],
            "arm": name,
            "probe_set": study.consensus.probe_set,
            "cell": arm.series.cells[found.cell].name,
            "by_seed": {str(seed): round(value, 4) for seed, value in found.by_seed.items()},
            "num_events": arm.count,
            "num_events_null": round(arm.null_mean(), 4),
            "num_events_p": arm.count_p(),
            "consensus_event_id": own["consensus_event_id"].to_list(),
        },
    )
    return Claim(
        row=row,
        arms=concerned,
        p_value=arm.seen.study_p(),
        smallest_p=1 / (1 + min(len(null.count) for null in arm.seen.nulls)),
        interval=t_interval(np.array(list(found.by_seed.values()))),
        control=None if control is None else _beyond_moment(study, arm, control, arms, draws_for(study, claim)),
        null_value=found.null_mean,
        near_boundary=boundary_only(own),
        # With every seed at the cap the interval has no width and nothing can be told apart from it.
        floor=min(found.by_seed.values()) >= CAP,
    )
