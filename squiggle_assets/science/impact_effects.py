"""What starting from a core does to events and to learning, against other cores and the plain curriculum.

Here: outcomes of one arm against another, on the same fresh seeds. Not here: claims (impact_claims), which items
a core holds (impact_core), how a single arm's agreement is tested (nulls, comparison).
Legend: C = cells, S = seeds, P = polarity, T = increments, G = groups of seeds.

consensus_event_excess   consensus events beyond the null of each arm, one less the other: estimate, p and interval as
                         in curriculum_ab (comparison.excess_difference). Beside it the event rate ratio, (count + .5) /
                         (count of the other + .5), with a t interval of its log over pairs of seeds: error the larger
                         of the jackknife and, by the delta method, chance (the sd of each arm's null counts). With few
                         events the ratio is all but undetermined, so the claim is the excess. Seeds are never drawn
                         with replacement: a copy of a seed agrees with itself.
cell_strength            the strongest event of each run in the cell and direction of the event that the core was taken
                         from, in envelopes of its arm, capped as in the consensus test; 0 for a run without one.
cell_step                the step of that event; the last step for a run without one. Earlier is less.
final_*                  last value of a held-out score.
The last three are paired by seed: exact sign flips, t interval of the mean difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science import matching
from squiggle_assets.science.claim_kinds import draws_for
from squiggle_assets.science.comparison import ArmData, excess_difference, on_shared_seeds, shared_seeds
from squiggle_assets.science.nulls import least_support
from squiggle_assets.science.outcomes import MIN_ACCURACY_GAIN, MIN_LOSS_DROP, final_scores
from squiggle_assets.science.spec import ConsensusSpec, Study
from squiggle_assets.science.stats import (
    Direction,
    Interval,
    interval_around,
    jackknife_error,
    sign_flip,
    t_interval,
    without_one,
)

F64 = NDArray[np.float64]

EVENTS, STRENGTH, STEP = "consensus_event_excess", "cell_strength", "cell_step"
HALF = 0.5
"""Added to both counts of a ratio, so that no events are a number too."""


class Outcome(NamedTuple):
    """What is compared, in which direction the impact core is expected to differ, and what is too small to matter."""

    name: str
    unit: str
    direction: Direction
    margin: float | None
    family: str
    """Claims of one family are corrected together."""


OUTCOMES = (
    Outcome(EVENTS, "consensus events", "greater", None, "events"),
    Outcome(STRENGTH, f"envelopes, at most {matching.CAP:g}", "greater", None, "cell"),
    Outcome(STEP, "steps", "less", None, "cell"),
    Outcome("final_val_random_loss", "nats/token", "less", -MIN_LOSS_DROP, "learning"),
    Outcome("final_val_family_loss", "nats/token", "less", -MIN_LOSS_DROP, "learning"),
    Outcome("final_val_random_answer_acc", "share", "greater", MIN_ACCURACY_GAIN, "learning"),
)
"""Pre-registered. Of event counts no smallest effect is stated, as in curriculum_ab."""
FINAL = "final_"


class Place(NamedTuple):
    """The cell and direction of the event that a core was taken from."""

    band: str
    metric_group: str
    polarity: int


class Ratio(NamedTuple):
    """An event rate ratio."""

    value: float
    interval: Interval


class Compared(NamedTuple):
    """One arm against another on one outcome."""

    value: float
    """Of the arm: number of events, or mean over the shared seeds."""
    against: float
    estimate: float
    """Difference of the two; of events that of their excesses over the null."""
    interval: Interval
    p_value: float
    smallest_p: float
    num_pairs: int
    at_bound: bool
    """Whether every run of both arms sits at the same end of what the outcome can be."""
    ratio: Ratio | None = None
    """Of events."""


def compare(
    outcome: Outcome,
    arm: str,
    against: str,
    *,
    arms: Mapping[str, ArmData],
    scalars: pl.DataFrame,
    place: Place | None,
    study: Study,
) -> Compared | None:
    """The outcome of one arm against another; None where it cannot be compared.

    That is: fewer than 2 seeds have a whole run in both, the score was not measured, or no place is known.
    """
    if not {arm, against} <= set(arms) or len(shared_seeds(arms[arm], arms[against])) < 2:
        return None
    mine, theirs = arms[arm], arms[against]
    if outcome.name == EVENTS:
        draws = draws_for(study, f"impact:{arm}-{against}")
        pair = on_shared_seeds(mine, theirs, study.detection, study.consensus, draws)
        return _events(*pair, study.consensus, outcome.direction, draws)
    seeds = shared_seeds(mine, theirs)
    if outcome.name.startswith(FINAL):
        metric = outcome.name.removeprefix(FINAL)
        ends = [{s: last for s, (_, last) in final_scores(scalars, name, metric).items()} for name in (arm, against)]
    elif place is None:
        return None
    else:
        ends = [_of_cell(data, place, outcome.name) for data in (mine, theirs)]
    shared = [seed for seed in seeds if all(seed in own for own in ends)]
    if len(shared) < 2:
        return None
    first, second = (np.array([own[seed] for seed in shared]) for own in ends)
    return _paired(first, second, outcome, draws_for(study, f"impact:{arm}-{against}:{outcome.name}"))


def _paired(first: F64, second: F64, outcome: Outcome, rng: np.random.Generator) -> Compared:
    differences = first - second
    test = sign_flip(differences, outcome.direction, rng=rng)
    bounds = {STRENGTH: (0.0, matching.CAP)}.get(outcome.name, (0.0, 1.0) if outcome.unit == "share" else ())
    return Compared(
        value=float(first.mean()),
        against=float(second.mean()),
        estimate=test.statistic,
        interval=t_interval(differences),
        p_value=test.p_value,
        smallest_p=test.smallest_p,
        num_pairs=len(differences),
        at_bound=any(bool((first == bound).all() and (second == bound).all()) for bound in bounds),
    )


def _events(
    arm: ArmData, against: ArmData, spec: ConsensusSpec, direction: Direction, rng: np.random.Generator
) -> Compared:
    tested = excess_difference(arm, against, spec, direction, rng)
    return Compared(
        value=float(arm.count),
        against=float(against.count),
        estimate=tested.estimate,
        interval=tested.interval,
        p_value=tested.p_value,
        smallest_p=tested.smallest_p,
        num_pairs=tested.num_pairs,
        at_bound=False,
        ratio=_ratio(arm, against, least_support(len(arm.series.seeds), spec)),
    )


def _ratio(arm: ArmData, against: ArmData, support: int) -> Ratio:
    with_half = np.array([arm.count, against.count]) + HALF
    left_out = [np.log(_counts_without_each(data, support) + HALF) for data in (arm, against)]
    spread = [max(float(null.count.std()) for null in data.seen.nulls) for data in (arm, against)]
    error = float(np.max([jackknife_error(left_out[0] - left_out[1]), np.hypot(*(spread / with_half))]))
    log_ratio = float(np.log(with_half[0] / with_half[1]))
    lo, hi = interval_around(log_ratio, error, len(arm.series.seeds) - 1)
    return Ratio(float(np.exp(log_ratio)), Interval(float(np.exp(lo)), float(np.exp(hi))))


def _counts_without_each(arm: ArmData, support: int) -> F64:
    """[G] consensus events of the groups that leave one seed out, at the support that all seeds need."""
    steps, tau = arm.series.steps, arm.seen.tau
    groups = without_one(len(arm.series.seeds))
    strength_GCSPT = arm.seen.strength[:, groups].transpose(1, 0, 2, 3, 4)
    found = matching.count(matching.scan(strength_GCSPT, steps, tau), steps, tau, support)
    return np.asarray(found.sum(axis=-1), dtype=np.float64)


def _of_cell(arm: ArmData, place: Place, what: str) -> dict[int, float]:
    """Seed -> strength (envelopes) or step of its strongest event in the cell and direction."""
    named = [cell.name for cell in arm.series.cells]
    wanted = f"{place.band}.{place.metric_group}"
    if wanted not in named:
        raise ValueError(f"no cell {wanted!r} among {named}")
    strength_ST = arm.seen.strength[named.index(wanted), :, 0 if place.polarity > 0 else 1]
    at = strength_ST.argmax(axis=1)
    largest = strength_ST.max(axis=1)
    step = np.where(largest > 0, arm.series.steps[at], arm.series.steps[-1])
    return dict(zip(arm.series.seeds, (largest if what == STRENGTH else step).astype(float).tolist(), strict=True))
