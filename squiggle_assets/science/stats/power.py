"""What a design could see at all: power and smallest detectable effect, by formula and by simulation.

Here: one-sample (paired) t, sign-flip by simulation, search for the effect. Not here: power of consensus (simulation).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science.stats.intervals import Interval, wilson
from squiggle_assets.science.stats.permutation import signs_of, smallest_sign_flip_p

F64 = NDArray[np.float64]


def detectable_paired(num: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Mean difference, in standard deviations of the differences, that a two-sided paired t-test finds with that power.

    nan with fewer than 2 pairs.
    """
    from statsmodels.stats.power import TTestPower

    if not (0 < alpha < 1 and 0 < power < 1):
        raise ValueError(f"alpha and power lie between 0 and 1, got {alpha} and {power}")
    if num < 2:
        return float("nan")
    return float(TTestPower().solve_power(nobs=num, alpha=alpha, power=power, alternative="two-sided"))


def sign_flip_power(
    effect: float, num: int, rng: np.random.Generator, *, alpha: float = 0.05, num_studies: int = 400
) -> float:
    """Share of simulated studies (normal differences, sd 1) in which the exact two-sided sign-flip test rejects."""
    if smallest_sign_flip_p(num) > alpha:
        return 0.0
    signs = signs_of(num).astype(np.float64)
    means = np.abs(rng.normal(effect, 1.0, size=(num_studies, num)) @ signs.T)
    return float(((means >= means[:, :1] - 1e-12).mean(axis=1) <= alpha).mean())


def smallest_effect(power_at: Callable[[float], float], sizes: F64, power: float = 0.8) -> float:
    """Smallest of the increasing sizes from which on the power stays at or above the wanted one.

    Linear between neighbours; nan if the largest size does not reach it. ValueError if sizes do not increase.
    """
    if (np.diff(sizes) <= 0).any():
        raise ValueError(f"sizes must increase, got {sizes}")
    powers = np.array([power_at(float(size)) for size in sizes])
    if powers[-1] < power:
        return float("nan")
    below = np.flatnonzero(powers < power)
    if not len(below):
        return float(sizes[0])
    at = int(below[-1])
    share = (power - powers[at]) / (powers[at + 1] - powers[at])
    return float(sizes[at] + share * (sizes[at + 1] - sizes[at]))


def rejection_share(num_rejected: int, num_studies: int) -> tuple[float, Interval]:
    """Share of studies that rejected and its 95 % Wilson interval."""
    return (num_rejected / num_studies if num_studies else float("nan")), wilson(num_rejected, num_studies)
