"""A/A: two sets of runs of one arm, declared two arms, put through the contrast claim that real studies make.

Here: splitting the runs of an arm, the claim about the two halves, simulated arms and re-splits of real ones.
Not here: the claim and its test (claim_contrasts, comparison), made-up increments (simulation), bounds (calibration).

Nothing distinguishes the halves, so a claim may reject as often as alpha and no more. Simulated arms are independent of
each other and their rejections are counted with an exact interval. Re-splits of the same real runs are not: of 24 runs
only one pair of disjoint sets of 8 fits, every other split shares runs with it, and no interval is given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl

from squiggle_assets.science import rng
from squiggle_assets.science.cells import ArmSeries
from squiggle_assets.science.claim_contrasts import EXCESS, contrast_claim
from squiggle_assets.science.comparison import ArmData
from squiggle_assets.science.nulls import with_nulls
from squiggle_assets.science.simulation import DETECTION, Design, simulated_arm
from squiggle_assets.science.spec import Arm, ConsensusSpec, Contrast, DetectionSpec, Study

FIRST, SECOND = "first", "second"
MIN_SIDE = 2
"""Runs that each half needs."""
SPLIT_SCHEMA: dict[str, type[pl.DataType]] = {
    **{"split": pl.Int64, "first_seeds": pl.String, "second_seeds": pl.String},
    **dict.fromkeys(("events_first", "events_second"), pl.Int64),
    **{"estimate": pl.Float64, "p_value": pl.Float64, "rejected": pl.Boolean},
}
"""Columns of re-splits; rejected is null where halves of this size cannot have a p of at most alpha."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One kind of arm that is simulated and halved."""

    name: str
    design: Design
    """Its num_seeds are those of both halves together: what the arm holds, both halves hold."""
    num_events: int = 0
    """Events of the arm, evenly apart, each in one series, in every seed."""
    event_size: float = 0.0
    """In standard deviations of the plain increments; where the detector finds about half of them, halves of one arm
    differ most in what they count."""

    def __post_init__(self) -> None:
        """Refuse an arm that has no halves, and events without a size."""
        if (self.num_events == 0) != (self.event_size == 0) or self.num_events < 0:
            raise ValueError(f"scenario {self.name}: {self.num_events} events of size {self.event_size} make no sense")
        if self.design.num_seeds % 2 or self.design.num_seeds < 2 * MIN_SIDE:
            raise ValueError(f"scenario {self.name}: an even number of seeds from 4 on, got {self.design.num_seeds}")


class HalvesCompared(NamedTuple):
    """What the contrast claim said of two halves of one arm."""

    p_value: float
    smallest_p: float
    estimate: float
    """Consensus events of the first half beyond chance less those of the second."""
    events_first: int
    events_second: int


def half_of(series: ArmSeries, places: Sequence[int]) -> ArmSeries:
    """The runs at these positions as an arm of seeds 0, 1, ...; ValueError on a position twice.

    So the runs of two halves are paired by their order: arbitrarily, since runs of different seeds share nothing.
    """
    if len(set(places)) != len(places):
        raise ValueError(f"a run cannot be in a half twice, got positions {list(places)}")
    at = list(places)
    return replace(series, seeds=tuple(range(len(at))), increments=series.increments[at], levels=series.levels[at])


def halves_compared(
    first: ArmSeries,
    second: ArmSeries,
    detection: DetectionSpec,
    spec: ConsensusSpec,
    draws: np.random.Generator,
) -> HalvesCompared:
    """The claim that the first of two arms shows more consensus events than the second (claim_contrasts).

    Each half gets null draws of its own, as arms of a study do; `draws` makes them. ValueError where the halves differ
    in size.
    """
    study = _study(detection, spec)
    arms = {
        name: ArmData(
            arm=study.arm(name), series=series, seen=with_nulls(series, detection, spec, draws), num_items=1,
            total_steps=int(series.steps[-1]),
        )
        for name, series in ((FIRST, first), (SECOND, second))
    }  # fmt: skip
    if first.seeds != second.seeds:
        raise ValueError(f"halves of one size are compared, got {len(first.seeds)} and {len(second.seeds)} runs")
    claim = contrast_claim(study, study.contrasts[0], arms, _no_scalars(), _no_events())
    return HalvesCompared(
        claim.p_value, claim.smallest_p, float(claim.row["estimate"]), arms[FIRST].count, arms[SECOND].count
    )


def _study(detection: DetectionSpec, spec: ConsensusSpec) -> Study:
    """A study whose contrast the halves are; without runs of its placebo arm the claim has no control."""
    roles = {FIRST: "treatment", SECOND: "baseline", "placebo": "placebo"}
    arms = tuple(
        Arm(name=name, curriculum="iid_baseline", role=role, description="one half of the runs of an arm")  # type: ignore[arg-type]
        for name, role in roles.items()
    )
    return Study(
        name="aa",
        title="A/A",
        hypothesis="One half of an arm shows more consensus events than the other.",
        arms=arms,
        seeds=(),
        fresh_seeds=(),
        contrasts=(Contrast(arm=FIRST, against=SECOND, outcome=EXCESS, direction="greater"),),
        detection=detection,
        consensus=spec,
    )


def _no_scalars() -> pl.DataFrame:
    types = {"arm": pl.String, "seed": pl.Int64, "step": pl.Int64, "metric": pl.String, "value": pl.Float64}
    return pl.DataFrame(schema=types)


def _no_events() -> pl.DataFrame:
    types = {"arm": pl.String, "probe_set": pl.String, "p_familywise": pl.Float64, "near_boundary": pl.Boolean}
    return pl.DataFrame(schema=types)


def _with_events(series: ArmSeries, scenario: Scenario, draws: np.random.Generator) -> ArmSeries:
    """The arm with its events: places evenly apart between 15 % and 85 % of the run, jitter as the design says."""
    num_seeds, num_series, num = series.increments.shape
    increments, jitter = series.increments.copy(), scenario.design.jitter
    for centre in np.linspace(0.15 * num, 0.85 * num, scenario.num_events).astype(int):
        at = centre + draws.integers(-jitter, jitter + 1, size=num_seeds)
        size = float(draws.choice([-1.0, 1.0])) * scenario.event_size
        increments[np.arange(num_seeds), int(draws.integers(num_series)), at] += size
    levels = np.concatenate([np.zeros((num_seeds, num_series, 1)), increments.cumsum(axis=-1)], axis=-1)
    return replace(series, increments=increments, levels=levels)


def simulated_halves(
    scenario: Scenario, spec: ConsensusSpec, number: int, detection: DetectionSpec = DETECTION
) -> HalvesCompared:
    """One simulated arm, halved; its number keys all its randomness."""
    draws = rng.generator("aa_test", str(scenario), number)
    series = simulated_arm(scenario.design, draws)
    if scenario.num_events:
        series = _with_events(series, scenario, draws)
    side = len(series.seeds) // 2
    first, second = half_of(series, range(side)), half_of(series, range(side, 2 * side))
    return halves_compared(first, second, detection, spec, draws)


def simulated_rows(
    scenario: Scenario, spec: ConsensusSpec, numbers: Sequence[int], detection: DetectionSpec = DETECTION
) -> Iterator[Mapping[str, object]]:
    """One row per simulated arm: scenario, study, p_value, estimate, events of both halves, rejected."""
    for number in numbers:
        found = simulated_halves(scenario, spec, number, detection)
        yield {"scenario": scenario.name, "study_number": number, **_told(found, spec)}


def resplits(
    series: ArmSeries,
    detection: DetectionSpec,
    spec: ConsensusSpec,
    *,
    per_side: int,
    num_splits: int,
    key: str,
) -> pl.DataFrame:
    """The runs of one arm split at random many times: SPLIT_SCHEMA, one row a split.

    Args:
        series: Whole runs of one arm.
        detection: Of the study.
        spec: Of the study.
        per_side: Runs in each half, drawn without replacement; those that are left over take no part in that split.
        num_splits: How many. They share runs: the rows are no independent trials.
        key: Names the arm in the keys of the draws.

    Raises:
        ValueError: fewer than 2 runs a side, or fewer runs than both sides need.
    """
    seeds, num = series.seeds, len(series.seeds)
    if per_side < MIN_SIDE or 2 * per_side > num:
        raise ValueError(f"{per_side} runs a side of {num} runs: at least {MIN_SIDE} a side and 2 sides of them")
    rows = []
    for split in range(num_splits):
        draws = rng.generator("aa_resplit", key, spec.seed, per_side, split)
        chosen = draws.permutation(num)[: 2 * per_side]
        sides = sorted(chosen[:per_side].tolist()), sorted(chosen[per_side:].tolist())
        found = halves_compared(half_of(series, sides[0]), half_of(series, sides[1]), detection, spec, draws)
        first, second = (json.dumps([seeds[at] for at in side]) for side in sides)
        rows.append({"split": split, "first_seeds": first, "second_seeds": second, **_told(found, spec)})
    return pl.DataFrame(rows, schema=SPLIT_SCHEMA)


def _told(found: HalvesCompared, spec: ConsensusSpec) -> dict[str, object]:
    return {
        "events_first": found.events_first,
        "events_second": found.events_second,
        "estimate": found.estimate,
        "p_value": found.p_value,
        # Halves too small ever to be called different (4 against 4: p is 1/16 at least) show no silence.
        "rejected": found.p_value <= spec.alpha if found.smallest_p <= spec.alpha else None,
    }
