"""What an effect is called: kills, delays, weakens, preserves or inconclusive, by rules that are stated beforehand.

Here: Margins, Effect, the rules. Not here: how the numbers were made (effects), what may be claimed (verdict): a label
is a word of the field beside the verdict, never instead of it.

In this order, each but `preserves` and `inconclusive` only where q <= alpha (p for the placebo, which is in no family)
and at least MIN_SEEDS seeds are paired:
    kills        the upper end of the risk difference's 95 % interval is below KILLS
    delays       the lower end of the mean delay's 95 % interval is above 0, and the event comes in the end in at least
                 half of the seeds
    weakens      the upper end of the 95 % interval of the difference in strength is below 0
    preserves    the 1 - 2 alpha interval of the risk difference lies within the margin, and delay and strength are both
                 equivalent at alpha (two one-sided tests each), within margins set beforehand
    inconclusive everything else, also an event that came earlier or stronger: the numbers say so
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from squiggle_assets.science.stats import Interval
from squiggle_assets.science.verdict import MIN_SEEDS

Label = Literal["kills", "delays", "weakens", "preserves", "inconclusive"]
LABELS: tuple[Label, ...] = get_args(Label)

KILLS = -0.5
"""More than half of the seeds lose the event, beyond what placebo edits do."""
REACHED_SHARE = 0.5
"""An event that fewer seeds reach in the end is not late but missing."""


@dataclass(frozen=True, kw_only=True)
class Margins:
    """What is too small to matter; set before the runs."""

    delay_steps: float
    """Mean delay in steps, either way."""
    risk: float = 0.5
    """Difference of shares of seeds, either way; 8 of 8 against 8 of 8 leaves .25 open at 90 %."""
    magnitude_share: float = 0.5
    """Difference of strength, as a share of the control's mean strength, either way."""
    alpha: float = 0.05

    def __post_init__(self) -> None:
        """Refuse margins that nothing or everything meets."""
        if not (self.delay_steps > 0 and 0 < self.risk < 1 and self.magnitude_share > 0 and 0 < self.alpha < 0.5):
            raise ValueError(f"margins are above 0, risk below 1 and alpha below .5, got {self}")


class Effect(NamedTuple):
    """One condition against its control, paired by seed; nan where a number could not be computed."""

    event: str
    condition: str
    part: int
    """Edited were the best 1/part of the triggers."""
    control: str
    seeds: tuple[int, ...]
    num_unedited: int
    """Seeds that are no pair, because nothing was edited in them."""
    num_control_runs: int
    share_present: float
    share_present_control: float
    risk: Interval
    """95 % interval of the difference of shares."""
    risk_narrow: Interval
    """The same at 1 - 2 alpha, for equivalence."""
    risk_exact: Interval
    """95 %, exact and unconditional: it allows for any correlation within pairs."""
    delay: float
    """Difference of mean steps from the onset, restricted to the end of the run."""
    delay_interval: Interval
    logrank_p: float
    share_reached: float
    """Seeds of the condition in which the event comes in the end."""
    magnitude: float
    """Difference of mean strength, in envelopes (frozen_location)."""
    magnitude_interval: Interval
    g: float
    g_interval: Interval
    distance: float
    distance_interval: Interval
    p_value: float
    smallest_p: float
    q_value: float
    equivalence_p: float


class Labelled(NamedTuple):
    """A label and the rule it rests on."""

    label: Label
    reason: str


def label_of(effect: Effect, margins: Margins) -> Labelled:
    """The first rule that fits, in the order of the module's docstring; comparisons with nan never fit."""
    if len(effect.seeds) < MIN_SEEDS:
        unedited = f" ({effect.num_unedited} seeds drew no trigger)" if effect.num_unedited else ""
        return Labelled("inconclusive", f"{len(effect.seeds)} pairs of runs{unedited} are fewer than {MIN_SEEDS}")
    level, name = (effect.p_value, "p") if effect.condition == "placebo" else (effect.q_value, "q")
    if level <= margins.alpha:
        found = _significant(effect)
        if found is not None:
            return Labelled(found.label, f"{found.reason}; {name} = {level:.3g}")
    low, high = effect.risk_narrow
    if -margins.risk < low and high < margins.risk and effect.equivalence_p <= margins.alpha:
        return Labelled("preserves", f"equivalent within the margins, p = {effect.equivalence_p:.3g}")
    return Labelled("inconclusive", f"no rule fits; {name} = {level:.3g}, equivalence p = {effect.equivalence_p:.3g}")


def _significant(effect: Effect) -> Labelled | None:
    if effect.risk.hi < KILLS:
        return Labelled("kills", f"risk difference at most {effect.risk.hi:.3g}, below {KILLS:g}")
    if effect.delay_interval.lo > 0 and effect.share_reached >= REACHED_SHARE:
        return Labelled("delays", f"at least {effect.delay_interval.lo:.3g} steps later")
    if effect.magnitude_interval.hi < 0:
        return Labelled("weakens", f"weaker by at least {-effect.magnitude_interval.hi:.3g} envelopes")
    return None
