"""What a follow-up of given sizes can show at all, before anything is spent.

Here: smallest attainable p and q, the number of seeds that could reach alpha. Not here: power against an effect of some
size (power), the effects (effects).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from squiggle_assets.science.effect_labels import KILLS
from squiggle_assets.science.stats import paired_newcombe, smallest_corrected_p, smallest_sign_flip_p


class Attainable(NamedTuple):
    """What the most extreme data of a design would give."""

    smallest_p: float
    """Of one exact two-sided sign flip over the seeds."""
    smallest_q: float
    """Of a lone effect among the tests of the family."""
    can_kill: bool
    """Whether 0 of all against all of all seeds would be labelled 'kills'."""
    seeds_for_alpha: int
    """Seeds from which on a lone effect of the family can reach alpha."""
    seeds_to_kill: int
    """Seeds from which on the label 'kills' is possible, alpha reached too."""


def attainable(num_seeds: int, num_tests: int, alpha: float = 0.05) -> Attainable:
    """Smallest p, q and the sizes that could do; num_tests: (event, condition) of the pre-registered family.

    ValueError unless there are seeds, tests and 0 < alpha < 1.
    """
    if num_seeds < 1 or num_tests < 1 or not 0 < alpha < 1:
        raise ValueError(
            f"a design has seeds, tests and an alpha between 0 and 1, got {num_seeds}, {num_tests}, {alpha}"
        )
    smallest_p = smallest_sign_flip_p(num_seeds)
    enough = next(
        num for num in range(1, 10_000) if smallest_corrected_p(smallest_sign_flip_p(num), num_tests) <= alpha
    )
    killing = next(num for num in range(enough, 10_000) if _kills(num))
    return Attainable(
        smallest_p=smallest_p,
        smallest_q=smallest_corrected_p(smallest_p, num_tests),
        can_kill=num_seeds >= killing,
        seeds_for_alpha=enough,
        seeds_to_kill=killing,
    )


def _kills(num_seeds: int) -> bool:
    return paired_newcombe(np.zeros(num_seeds), np.ones(num_seeds)).hi < KILLS
