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
Against random cores their outcomes are averaged within seeds, and the core is one more draw of them too (impact_draws).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science import matching
from squiggle_assets.science.claim_kinds import draws_for
from squiggle_assets.science.comparison import ArmData, Difference, excess_difference, on_shared_seeds
from squiggle_assets.science.impact_draws import (
    HALF,
    Excess,
    OverCores,
    chance_of_difference,
    counts_without_each,
    excess_over,
    over_cores,
    wider,
)
from squiggle_assets.science.nulls import least_support
from squiggle_assets.science.outcomes import MIN_ACCURACY_GAIN, MIN_LOSS_DROP, final_scores
from squiggle_assets.science.spec import Study
from squiggle_assets.science.stats import (
    Direction,
    Interval,
    interval_around,
    jackknife_error,
    sign_flip,
    t_interval,
)

F64 = NDArray[np.float64]

EVENTS, STRENGTH, STEP = "consensus_event_excess", "cell_strength", "cell_step"


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
    """One arm against another, or against the mean of random cores, on one outcome."""

    value: float
    """Of the arm: number of events, or mean over the shared seeds."""
    against: float
    estimate: float
    """Difference of the two; of events that of their excesses over the null."""
    interval: Interval
    p_value: float
    """The larger of p_seeds and, against random cores, that over cores."""
    p_seeds: float
    smallest_p: float
    """Over seeds: the p over cores has no lower bound."""
    num_pairs: int
    at_bound: bool
    """Whether every run of all arms sits at the same end of what the outcome can be."""
    ratio: Ratio | None = None
    """Of events; its interval is over seeds."""
    cores: OverCores | None = None
    """Against random cores."""


def compare(
    outcome: Outcome,
    arm: str,
    against: Sequence[str],
    *,
    arms: Mapping[str, ArmData],
    scalars: pl.DataFrame,
    place: Place | None,
    study: Study,
    one_more: bool = False,
) -> Compared | None:
    """The outcome of one arm against another, or against the mean of several; None where it cannot be compared.

    That is: fewer than 2 seeds have a whole run in all of them, the score was not measured, or no place is known.
    one_more: the others are random cores, and the arm's core has to be more than one more of them.
    """
    named = (arm, *against)
    if not set(named) <= set(arms) or len(_shared([arms[name] for name in named])) < 2:
        return None
    if outcome.name == EVENTS:
        return _events([arms[name] for name in named], study, outcome.direction, one_more)
    seeds = _shared([arms[name] for name in named])
    if outcome.name.startswith(FINAL):
        metric = outcome.name.removeprefix(FINAL)
        ends = [{s: last for s, (_, last) in final_scores(scalars, name, metric).items()} for name in named]
    elif place is None:
        return None
    else:
        ends = [_of_cell(arms[name], place, outcome.name) for name in named]
    shared = [seed for seed in seeds if all(seed in own for own in ends)]
    if len(shared) < 2:
        return None
    first, *others = (np.array([own[seed] for seed in shared]) for own in ends)
    key = f"impact:{arm}-{'+'.join(against)}:{outcome.name}"
    return paired(first, np.stack(others), outcome, draws_for(study, key), one_more=one_more)


def _shared(arms: Sequence[ArmData]) -> list[int]:
    return sorted(set.intersection(*(set(arm.series.seeds) for arm in arms)))


def paired(
    first_S: F64, others_KS: F64, outcome: Outcome, rng: np.random.Generator, *, one_more: bool = False
) -> Compared:
    """One arm's values by seed less the mean of the others' (K arms, S shared seeds).

    p_seeds: sign flips over seeds. one_more: p is the larger of it and of p_cores, the arm as one more draw of the
    others (impact_draws), and the interval the wider one.
    """
    second = others_KS.mean(axis=0)
    differences = first_S - second
    test = sign_flip(differences, outcome.direction, rng=rng)
    bounds = {STRENGTH: (0.0, matching.CAP)}.get(outcome.name, (0.0, 1.0) if outcome.unit == "share" else ())
    cores = over_cores(float(first_S.mean()), others_KS.mean(axis=1), outcome.direction) if one_more else None
    found = Compared(
        value=float(first_S.mean()),
        against=float(second.mean()),
        estimate=test.statistic,
        interval=t_interval(differences),
        p_value=test.p_value,
        p_seeds=test.p_value,
        smallest_p=test.smallest_p,
        num_pairs=len(differences),
        at_bound=any(bool((first_S == bound).all() and (others_KS == bound).all()) for bound in bounds),
    )
    return found if cores is None else _with_cores(found, cores)


def _with_cores(found: Compared, cores: OverCores) -> Compared:
    """The same, over cores too: a p that could not be computed makes the whole one unknown."""
    p = float(np.maximum(found.p_seeds, cores.p_value))
    return found._replace(p_value=p, interval=wider(found.interval, cores.interval), cores=cores)


def _events(arms: Sequence[ArmData], study: Study, direction: Direction, one_more: bool) -> Compared:
    key = f"impact:{arms[0].arm.name}-{'+'.join(arm.arm.name for arm in arms[1:])}"
    arm, *others = _on_shared_seeds(arms, study, key)
    cores, spec = None, study.consensus
    tested: Difference | Excess
    if one_more:
        tested = excess_over(arm, others, spec, direction, lambda: draws_for(study, key))
        cores = tested.cores
    else:
        tested = excess_difference(arm, others[0], spec, direction, draws_for(study, key))
    found = Compared(
        value=float(arm.count),
        against=float(np.mean([other.count for other in others])),
        estimate=tested.estimate,
        interval=tested.interval,
        p_value=tested.p_value,
        p_seeds=tested.p_value,
        smallest_p=tested.smallest_p,
        num_pairs=len(arm.series.seeds),
        at_bound=False,
        ratio=_ratio(arm, others, least_support(len(arm.series.seeds), spec)),
    )
    return found if cores is None else _with_cores(found, cores)


def _on_shared_seeds(arms: Sequence[ArmData], study: Study, key: str) -> list[ArmData]:
    """All arms with the seeds that all have; nulls of an arm that loses one are drawn again."""
    first, *others = arms
    rest = (study.detection, study.consensus)
    for other in others:
        first = on_shared_seeds(first, other, *rest, draws_for(study, key))[0]
    return [first, *(on_shared_seeds(other, first, *rest, draws_for(study, key))[0] for other in others)]


def _ratio(arm: ArmData, others: Sequence[ArmData], support: int) -> Ratio:
    with_half = arm.count + HALF, float(np.mean([other.count for other in others])) + HALF
    left_out = [counts_without_each(data, support) for data in (arm, *others)]
    logs = np.log(left_out[0] + HALF) - np.log(np.mean(left_out[1:], axis=0) + HALF)
    error = float(np.max([jackknife_error(logs), chance_of_difference(arm, others, with_half)]))
    log_ratio = float(np.log(with_half[0] / with_half[1]))
    lo, hi = interval_around(log_ratio, error, len(arm.series.seeds) - 1)
    return Ratio(float(np.exp(log_ratio)), Interval(float(np.exp(lo)), float(np.exp(hi))))


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
