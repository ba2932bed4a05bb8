"""The one verdict function: what may be said of a claim, for every study.

Here: Evidence, verdict and its reasons. Not here: how the evidence was computed (stats, nulls, outcomes).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from squiggle_assets.science.stats.intervals import NO_INTERVAL, Interval
from squiggle_assets.science.stats.permutation import Direction

Word = Literal["supported", "exploratory", "not supported", "underpowered"]

MIN_SEEDS = 5
"""Fewer replicates never support a claim."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything a verdict may depend on; nan where a number could not be computed."""

    smallest_p: float
    """The smallest q that data of this size could have given, were this the only effect in its family."""
    q_value: float
    """Corrected p in the pre-registered family."""
    interval: Interval
    """95 % interval of the estimate."""
    n_seeds: int
    """Replicates that the estimate rests on, and its difference to the control, whichever are fewer."""
    num_excluded: int = 0
    """Runs of the compared arms that are left out because they were stopped."""
    null_value: float = 0.0
    """What the estimate is when there is nothing."""
    margin: float | None = None
    """Smallest value that matters, on the scale of the estimate (beyond null_value); None = not stated."""
    direction: Direction = "two-sided"
    """Which side of the null value the claim is about."""
    control: Interval | None = None
    """95 % interval of estimate minus its placebo or matched control; None = there is no control yet."""
    preregistered: bool = True
    selected: bool = False
    """Whether what is claimed was chosen by looking at data."""
    replicated: bool = False
    """Whether fresh seeds, which took no part in the selection, showed it."""
    near_boundary: bool = False
    """Whether it lies only at a boundary of the schedule, which may explain it."""
    floor: bool = False
    """Whether the outcome (or what it rests on) has not left its floor or ceiling."""
    caveat: str = ""
    """What the claim says and this design cannot show, in words; "" = nothing. Exploratory at most."""
    alpha: float = 0.05


class Verdict(NamedTuple):
    """A word and why."""

    word: Word
    reasons: tuple[str, ...]


def verdict_of(evidence: Evidence) -> Verdict:
    """The verdict: underpowered first, then not supported, then exploratory, else supported.

    underpowered: no data of this size could have been significant, or runs that were stopped leave fewer than
    MIN_SEEDS, or the outcome sits on its floor or ceiling, or the interval holds both the null value and the margin.
    Whether data could have been significant is asked before anything is known of the other tests: a lone effect among
    them reaches a q of its smallest p times their number, and no less. Beside other effects the attainable q is lower
    (the smallest p itself where all have it), so where q is at most alpha the claim has shown that it could, and the
    reason falls away; the false discovery rate holds all the same, since q counts every test of the family. It never
    falls away where q is above alpha: without help from other effects nothing could have been seen, so that nothing
    was seen says nothing.
    not supported: q above alpha, or the interval holds the null value or lies on the wrong side; also q at most alpha
    with an interval that holds the margin or a difference to the control that holds 0 (the design's table is silent
    on these two: an effect that may be too small to matter, or no larger than its control's, is not a finding to
    explore). exploratory: significant, but not pre-registered, or selected and not replicated, or near a boundary
    only, or too few seeds, or no control, or something that the design cannot show (caveat).
    An interval that could not be computed holds everything. ValueError on a margin on the wrong side of the null
    value, on alpha outside 0..1, or on fewer than 0 seeds or exclusions.
    """
    _check(evidence)
    for word, reasons in (
        ("underpowered", _underpowered(evidence)),
        ("not supported", _not_supported(evidence)),
        ("exploratory", _exploratory(evidence)),
    ):
        if reasons:
            return Verdict(word, tuple(reasons))  # type: ignore[arg-type]
    return Verdict("supported", (_all_clear(evidence),))


def _check(evidence: Evidence) -> None:
    if not 0 < evidence.alpha < 1:
        raise ValueError(f"alpha lies between 0 and 1, got {evidence.alpha}")
    if min(evidence.n_seeds, evidence.num_excluded) < 0:
        raise ValueError(
            f"n_seeds and num_excluded cannot be negative, got {evidence.n_seeds} and {evidence.num_excluded}"
        )
    if evidence.margin is None:
        return
    beyond = evidence.margin - evidence.null_value
    if (evidence.direction == "greater" and beyond < 0) or (evidence.direction == "less" and beyond > 0):
        raise ValueError(
            f"margin {evidence.margin} lies on the wrong side of the null value {evidence.null_value} for a claim of "
            f"direction {evidence.direction!r}"
        )


def _holds(interval: Interval, value: float) -> bool:
    """Whether the interval holds a value; one that could not be computed holds everything."""
    return any(map(math.isnan, (*interval, value))) or interval.lo <= value <= interval.hi


def _margins(evidence: Evidence) -> tuple[float, ...]:
    """The margin, on both sides of the null value if the claim has no direction."""
    if evidence.margin is None:
        return ()
    if evidence.direction == "two-sided":
        return evidence.margin, 2 * evidence.null_value - evidence.margin
    return (evidence.margin,)


def _clear_of(evidence: Evidence, value: float, mirrored: float) -> bool:
    """Whether the interval lies wholly beyond a value, on the side that the claim is about."""
    lo, hi = evidence.interval
    above, below = lo > value, hi < mirrored
    return {"greater": above, "less": hi < value, "two-sided": above or below}[evidence.direction]


def _underpowered(evidence: Evidence) -> list[str]:
    reasons = []
    if evidence.floor:
        reasons.append("floor: the outcome, or the loss and accuracy it rests on, has not left its floor or ceiling")
    if math.isnan(evidence.smallest_p) or (
        evidence.smallest_p > evidence.alpha and not evidence.q_value <= evidence.alpha
    ):
        reasons.append(
            f"the smallest q that {evidence.n_seeds} seeds can give a lone effect among this many tests is "
            f"{evidence.smallest_p:.3g}, above {evidence.alpha:g}"
        )
    if evidence.num_excluded and evidence.n_seeds < MIN_SEEDS:
        reasons.append(
            f"{evidence.n_seeds} seeds are left, fewer than {MIN_SEEDS}, after {evidence.num_excluded} of the runs "
            "were stopped"
        )
    if math.isnan(evidence.q_value):
        reasons.append("no p could be computed")
    if any(map(math.isnan, evidence.interval)):
        reasons.append("no interval could be computed")
    elif any(_holds(evidence.interval, m) for m in _margins(evidence)) and _holds(
        evidence.interval, evidence.null_value
    ):
        reasons.append(f"the interval {_text(evidence.interval)} holds both no effect and the margin")
    return reasons


def _not_supported(evidence: Evidence) -> list[str]:
    reasons = []
    if evidence.q_value > evidence.alpha:
        reasons.append(f"q = {evidence.q_value:.3g} is above {evidence.alpha:g}")
    null = evidence.null_value
    if _holds(evidence.interval, null):
        reasons.append(f"the interval {_text(evidence.interval)} holds the null value {null:.3g}")
    elif not _clear_of(evidence, null, null):
        reasons.append(f"the interval {_text(evidence.interval)} lies on the wrong side of the null value {null:.3g}")
    elif evidence.margin is not None and not _clear_of(evidence, evidence.margin, 2 * null - evidence.margin):
        reasons.append(f"the interval {_text(evidence.interval)} does not exceed the margin {evidence.margin:.3g}")
    if evidence.control is not None and not _beyond_control(evidence.control, evidence):
        reasons.append(f"the difference to the control {_text(evidence.control)} is not clear of 0")
    return reasons


def _beyond_control(control: Interval, evidence: Evidence) -> bool:
    if any(map(math.isnan, control)):
        return False
    above, below = control.lo > 0, control.hi < 0
    if evidence.direction == "two-sided":
        return above if evidence.interval.lo > evidence.null_value else below
    return above if evidence.direction == "greater" else below


def _exploratory(evidence: Evidence) -> list[str]:
    found = (
        (not evidence.preregistered, "it was not pre-registered"),
        (evidence.selected and not evidence.replicated, "it was selected from data and not replicated on fresh seeds"),
        (evidence.near_boundary, "it lies at a boundary of the schedule only"),
        (evidence.n_seeds < MIN_SEEDS, f"{evidence.n_seeds} seeds are fewer than {MIN_SEEDS}"),
        (evidence.control is None, "it has no control yet"),
        (bool(evidence.caveat), evidence.caveat),
    )
    return [reason for there, reason in found if there]


def _all_clear(evidence: Evidence) -> str:
    return (
        f"q = {evidence.q_value:.3g}, interval {_text(evidence.interval)} clear of {evidence.null_value:.3g}"
        + (f" and of the margin {evidence.margin:.3g}" if evidence.margin is not None else "")
        + f", difference to the control {_text(evidence.control or NO_INTERVAL)}, {evidence.n_seeds} seeds"
    )


def _text(interval: Interval) -> str:
    return f"[{interval.lo:.3g}, {interval.hi:.3g}]"
