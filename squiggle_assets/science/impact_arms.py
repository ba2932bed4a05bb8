"""The arms of an impact curriculum: which belong together, what is compared with what, what a design can show.

Here: trios of cores, the confirmation wave as a study, attainable q per family of claims. Not here: comparisons
(impact_effects), claims (impact_claims).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from squiggle_assets.science.impact_core import IMPACT, LOSS, RANDOM
from squiggle_assets.science.impact_effects import OUTCOMES
from squiggle_assets.science.spec import Arm, Study
from squiggle_assets.science.stats import prediction_spreads, smallest_corrected_p, smallest_sign_flip_p

_INTERVAL_TAIL = 0.025
"""Of one side of a 95 % interval, which has to be clear of 0 as well."""


class Trio(NamedTuple):
    """The arms of one weight and the plain curriculum, by name."""

    impact: str
    randoms: tuple[str, ...]
    """One a draw."""
    loss: str
    baseline: str
    weight: int

    @property
    def random(self) -> str:
        """The random cores together: no arm, the name of what 'mean of them' is compared with."""
        return f"{self.randoms[0]}-mean"

    @property
    def cores(self) -> tuple[str, ...]:
        """Every arm that starts from a core."""
        return self.impact, *self.randoms, self.loss

    @property
    def against(self) -> tuple[str, ...]:
        """What the impact core is compared with."""
        return self.random, self.loss, self.baseline

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every comparison that is made: the impact core's, then those of its controls."""
        own = tuple((self.impact, other) for other in self.against)
        plain = tuple((other, self.baseline) for other in (*self.randoms, self.loss))
        return (*own, *plain, (self.loss, self.random))

    def members(self, name: str) -> tuple[str, ...]:
        """The arms behind a name: the random cores for their mean, else the arm itself."""
        return self.randoms if name == self.random else (name,)


def trios_of(study: Study) -> tuple[Trio, ...]:
    """The study's weights in order, each with its cores and the one arm without a core.

    ValueError unless every weight has an impact and a loss core and the same draws of the random one, from 0 on, and
    there is exactly one arm without.
    """
    plain = [each.name for each in study.followups if each.core is None]
    weights = list(dict.fromkeys(each.weight for each in study.followups if each.core is not None))
    named = {(str(each.core), each.draw, each.weight): each.name for each in study.followups if each.core is not None}
    draws = range(num_random_cores(study))
    kinds = [(IMPACT, 0), (LOSS, 0), *((RANDOM, draw) for draw in draws)]
    due = {(core, draw, weight) for core, draw in kinds for weight in weights}
    if len(plain) != 1 or set(named) != due or not weights or not draws:
        raise ValueError(
            f"study {study.name}: every weight needs an impact, a random and a loss core (random ones in the same "
            "draws), and the study one follow-up arm without a core; it has "
            f"{[each.name for each in study.followups]}"
        )
    return tuple(
        Trio(
            impact=named[IMPACT, 0, weight],
            randoms=tuple(named[RANDOM, draw, weight] for draw in draws),
            loss=named[LOSS, 0, weight],
            baseline=plain[0],
            weight=weight,
        )
        for weight in weights
    )


def num_random_cores(study: Study) -> int:
    """Draws of the random core."""
    return max((each.draw + 1 for each in study.followups if each.core == RANDOM), default=0)


class Attainable(NamedTuple):
    """What a family of claims could show at best."""

    family: str
    num_claims: int
    smallest_p: float
    """Over pairs of seeds."""
    smallest_q: float
    """Of a lone effect among the family's claims, over pairs of seeds."""
    seeds_for_alpha: int
    """Pairs of seeds from which on a lone effect can reach alpha."""
    num_draws: int
    """Random cores."""
    spreads_for_alpha: float
    """Distance from the mean of the random cores, in sd over them, from which on a lone effect reaches alpha over cores
    too, its interval included; nan with one core. The p over cores has no lower bound, so there is no smallest one."""


def attainable_by_family(study: Study, num_seeds: int) -> tuple[Attainable, ...]:
    """Of every family of claims, over exact one-sided flips of num_seeds pairs and over the study's random cores."""
    num_contrasts = sum(len(trio.against) for trio in trios_of(study))
    num_draws, alpha = num_random_cores(study), study.consensus.alpha
    found = []
    for family in dict.fromkeys(outcome.family for outcome in OUTCOMES):
        num = num_contrasts * sum(outcome.family == family for outcome in OUTCOMES)
        smallest = smallest_sign_flip_p(num_seeds, "greater")
        enough = next(
            n for n in range(1, 100) if smallest_corrected_p(smallest_sign_flip_p(n, "greater"), num) <= alpha
        )
        needed = prediction_spreads(min(alpha / num, _INTERVAL_TAIL), num_draws)
        smallest_q = smallest_corrected_p(smallest, num)
        found.append(Attainable(family, num, smallest, smallest_q, enough, num_draws, needed))
    return tuple(found)


def wave_study(study: Study, names: Sequence[str]) -> Study:
    """The study as its confirmation wave is: follow-up arms of these names, fresh seeds."""
    roles = {None: "baseline", IMPACT: "treatment"}
    arms = tuple(
        Arm(
            name=each.name,
            curriculum=study.arm(each.parent).curriculum,
            role=roles.get(each.core, "placebo"),  # type: ignore[arg-type]
            description=f"{each.core or 'no'} core",
        )
        for each in study.followups
        if each.name in names
    )
    return replace(study, arms=arms, seeds=study.fresh_seeds, fresh_seeds=(), followups=(), contrasts=())
