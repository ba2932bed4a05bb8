"""Intervals: for shares, means, medians and statistics without a formula. nan where none can be computed.

Here: Wilson, Newcombe, Clopper-Pearson, t, bootstrap over units, jackknife. Not here: tests (permutation).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Interval(NamedTuple):
    """Closed interval; (nan, nan) where none can be computed."""

    lo: float
    hi: float

    def shifted(self, by: float) -> Interval:
        """The interval of the estimate plus a constant."""
        return Interval(self.lo + by, self.hi + by)


NO_INTERVAL = Interval(float("nan"), float("nan"))


def _check_share(successes: int, trials: int, level: float) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must lie between 0 and trials, got {successes} of {trials}")
    check_level(level)


def check_level(level: float) -> None:
    """Refuse a confidence level that is no share."""
    if not 0 < level < 1:
        raise ValueError(f"a confidence level lies between 0 and 1, got {level}")


def wilson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Wilson score interval of a share (Wilson 1927); nan for no trials."""
    from statsmodels.stats.proportion import proportion_confint

    _check_share(successes, trials, level)
    if trials == 0:
        return NO_INTERVAL
    return Interval(*map(float, proportion_confint(successes, trials, alpha=1 - level, method="wilson")))


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Exact (conservative) interval of a share (Clopper & Pearson 1934); nan for no trials."""
    from statsmodels.stats.proportion import proportion_confint

    _check_share(successes, trials, level)
    if trials == 0:
        return NO_INTERVAL
    return Interval(*map(float, proportion_confint(successes, trials, alpha=1 - level, method="beta")))


def newcombe(first: tuple[int, int], second: tuple[int, int], level: float = 0.95) -> Interval:
    """Interval of share(first) - share(second) from two Wilson intervals (Newcombe 1998, method 10).

    Each argument is (successes, trials) of an independent sample; nan if one has no trials.
    """
    lo_a, hi_a = wilson(*first, level)
    lo_b, hi_b = wilson(*second, level)
    if 0 in (first[1], second[1]):
        return NO_INTERVAL
    a, b = first[0] / first[1], second[0] / second[1]
    down, up = np.hypot(a - lo_a, hi_b - b), np.hypot(hi_a - a, b - lo_b)
    return Interval(float(a - b - down), float(a - b + up))


def t_interval(values: F64, level: float = 0.95) -> Interval:
    """Interval of the mean of independent values by Student's t; nan with fewer than 2 or any nan."""
    check_level(level)
    if len(values) < 2 or np.isnan(values).any():
        return NO_INTERVAL
    error = float(np.std(values, ddof=1)) / np.sqrt(len(values))
    return interval_around(float(values.mean()), error, len(values) - 1, level)


def _t_quantile(freedom: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2))


def resamples(num_units: int, num_draws: int, rng: np.random.Generator) -> I64:
    """[draws, units] indices of units drawn with replacement."""
    return rng.integers(0, num_units, size=(num_draws, num_units))


def percentile_interval(draws: F64, level: float = 0.95) -> Interval:
    """Percentile interval from bootstrap statistics; nan if all of them are nan."""
    check_level(level)
    known = draws[~np.isnan(draws)]
    if not len(known):
        return NO_INTERVAL
    lo, hi = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(lo), float(hi))


def bootstrap(
    values: F64,
    statistic: Callable[[F64], float],
    rng: np.random.Generator,
    *,
    num_draws: int = 2000,
    level: float = 0.95,
    method: str = "percentile",
) -> Interval:
    """Bootstrap interval over units (first axis, usually seeds).

    method 'percentile', or 'bca' (bias-corrected and accelerated, Efron 1987, acceleration by jackknife). nan
    with fewer than 3 units; bca is nan where all draws lie on one side of the estimate. ValueError on another
    method.
    """
    if method not in ("percentile", "bca"):
        raise ValueError(f"method must be 'percentile' or 'bca', got {method!r}")
    check_level(level)
    num = len(values)
    if num < 3:
        return NO_INTERVAL
    draws = np.array([statistic(values[index]) for index in resamples(num, num_draws, rng)])
    if method == "percentile":
        return percentile_interval(draws, level)
    return _bca(draws, float(statistic(values)), _leave_one_out(values, statistic), level)


def _leave_one_out(values: F64, statistic: Callable[[F64], float]) -> F64:
    return np.array([statistic(np.delete(values, i, axis=0)) for i in range(len(values))])


def _bca(draws: F64, estimate: float, jackknife: F64, level: float) -> Interval:
    from scipy.special import ndtr, ndtri

    below = np.mean(draws < estimate) + 0.5 * np.mean(draws == estimate)
    if not 0 < below < 1:
        return NO_INTERVAL
    gap = jackknife.mean() - jackknife
    spread = float((gap**2).sum() ** 1.5)
    acceleration = float((gap**3).sum() / (6 * spread)) if spread > 0 else 0.0
    bias = ndtri(below)
    z = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    lo, hi = np.quantile(draws, ndtr(bias + z / (1 - acceleration * z)))
    return Interval(float(lo), float(hi))


def without_one(num_units: int) -> I64:
    """[units, units - 1] every group that leaves one unit out."""
    return np.array([[j for j in range(num_units) if j != i] for i in range(num_units)], dtype=np.int64)


def jackknife_error(left_out_values: F64) -> float:
    """Standard error of a statistic by the delete-one jackknife, from its values without each unit in turn.

    variance = (n - 1) / n * sum of squared deviations from their own mean, so that a statistic whose level depends
    on n (fewer seeds, fewer consensus events) is not read as spread. No unit is used twice: a bootstrap would count
    the copies of a seed as agreement. nan with fewer than 3 units or where a value is nan.
    """
    num = len(left_out_values)
    if num < 3:
        return float("nan")
    return float(np.sqrt((num - 1) / num * np.sum((left_out_values - left_out_values.mean()) ** 2)))


def interval_around(estimate: float, error: float, freedom: int, level: float = 0.95) -> Interval:
    """Estimate ± Student t quantile * standard error; nan where one of them is nan or freedom is below 1."""
    check_level(level)
    if np.isnan(estimate) or np.isnan(error) or freedom < 1:
        return NO_INTERVAL
    half = _t_quantile(freedom, level) * error
    return Interval(estimate - half, estimate + half)
