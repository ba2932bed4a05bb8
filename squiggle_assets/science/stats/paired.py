"""Two conditions over the same units: difference of shares, effect size, equivalence, several outcomes at once.

Here: intervals and tests of paired values. Not here: one outcome's sign flips (permutation), times (survival), labels
(effects). Legend: O = outcomes, S = units (usually seeds).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science.stats.intervals import NO_INTERVAL, Interval, check_level
from squiggle_assets.science.stats.permutation import (
    MAX_EXACT,
    NUM_SAMPLED,
    SignFlip,
    signs_of,
    smallest_sign_flip_p,
)

F64 = NDArray[np.float64]


def paired_newcombe(first_S: F64, second_S: F64, level: float = 0.95) -> Interval:
    """Interval of mean(first) - mean(second) over the same units (Newcombe 1998, paired data, method 10).

    Two Wilson intervals joined by the correlation of the 2 x 2 table of units, with its correction for few units. Each
    value is a share, 0 to 1: a mean over several draws of one unit enters as a part of a success, and the number of
    trials stays that of the units, so draws of one unit never count as units. nan for no units. ValueError on values
    outside 0..1 or unequal lengths.
    """
    check_level(level)
    first, second = np.asarray(first_S, dtype=np.float64), np.asarray(second_S, dtype=np.float64)
    both = np.concatenate([first, second])
    if first.shape != second.shape or not ((both >= 0) & (both <= 1)).all():
        raise ValueError(f"paired shares of equal number between 0 and 1 are needed, got {first} and {second}")
    num = len(first)
    if num == 0:
        return NO_INTERVAL
    share_1, share_2 = float(first.mean()), float(second.mean())
    (lo_1, hi_1), (lo_2, hi_2) = _wilson(share_1, num, level), _wilson(share_2, num, level)
    phi = _correlation(first, second)
    down_1, up_1, down_2, up_2 = share_1 - lo_1, hi_1 - share_1, share_2 - lo_2, hi_2 - share_2
    down = np.sqrt(max(0.0, down_1**2 - 2 * phi * down_1 * up_2 + up_2**2))
    up = np.sqrt(max(0.0, down_2**2 - 2 * phi * down_2 * up_1 + up_1**2))
    return Interval(float(share_1 - share_2 - down), float(share_1 - share_2 + up))


def _wilson(share: float, num: int, level: float) -> tuple[float, float]:
    """Wilson's formula, which statsmodels offers for whole successes only."""
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2))
    centre = (share + z**2 / (2 * num)) / (1 + z**2 / num)
    half = z / (1 + z**2 / num) * np.sqrt(share * (1 - share) / num + z**2 / (4 * num**2))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def _correlation(first: F64, second: F64) -> float:
    num = len(first)
    both, only_1, only_2 = (float(v.sum()) for v in (first * second, first * (1 - second), (1 - first) * second))
    neither = num - both - only_1 - only_2
    margins = (both + only_1) * (only_2 + neither) * (both + only_2) * (only_1 + neither)
    if margins <= 1e-12:
        return 0.0
    cross = both * neither - only_1 * only_2
    return float((max(cross - num / 2, 0.0) if cross > 0 else cross) / np.sqrt(margins))


def paired_exact(num_up: int, num_down: int, num_pairs: int, level: float = 0.95) -> Interval:
    """Exact unconditional interval of P(up) - P(down) over pairs: never below its level, whatever the correlation.

    Of num_pairs pairs num_up have the outcome in the first condition only, num_down in the second only. A difference d
    is in the interval if some split of P(up) - P(down) = d gives both tails of up - down at least (1 - level) / 2
    (Buehler; each tail maximised over the nuisance on a grid of 401). It is wide, because it allows for outcomes of a
    pair that exclude each other: 8 of 8 against 0 of 8 gives an upper end of -.26. nan for no pairs. ValueError on
    counts that do not fit.
    """
    check_level(level)
    if min(num_up, num_down) < 0 or num_up + num_down > num_pairs:
        raise ValueError(f"{num_up} + {num_down} discordant pairs do not fit into {num_pairs}")
    if num_pairs == 0:
        return NO_INTERVAL
    tail = (1 - level) / 2
    return Interval(
        -_largest_difference(num_down - num_up, num_pairs, tail),
        _largest_difference(num_up - num_down, num_pairs, tail),
    )


@cache
def _largest_difference(observed: int, num: int, tail: float) -> float:
    """The largest d at which up - down <= observed still has a chance of at least `tail`, by bisection."""
    lo, hi = -1.0, 1.0
    if _lower_tail(hi, observed, num) >= tail:
        return hi
    for _ in range(50):
        middle = (lo + hi) / 2
        lo, hi = (middle, hi) if _lower_tail(middle, observed, num) >= tail else (lo, middle)
    return lo


def _lower_tail(difference: float, observed: int, num: int) -> float:
    """Largest P(up - down <= observed) over all P(up), P(down) with this difference."""
    from scipy.special import gammaln, xlogy

    discordant = np.linspace(abs(difference), 1.0, 401)[:, None]
    p_up, p_down = (discordant + difference) / 2, (discordant - difference) / 2
    up, down = (grid.ravel() for grid in np.meshgrid(np.arange(num + 1), np.arange(num + 1)))
    kept = (up + down <= num) & (up - down <= observed)
    up, down = up[kept], down[kept]
    rest = num - up - down
    ways = gammaln(num + 1) - gammaln(up + 1) - gammaln(down + 1) - gammaln(rest + 1)
    p_rest = np.maximum(1 - discordant, 0.0)
    logs = ways + xlogy(up, p_up) + xlogy(down, np.maximum(p_down, 0.0)) + xlogy(rest, p_rest)
    return float(np.exp(logs).sum(axis=1).max())


def paired_hedges_g(differences_S: F64, level: float = 0.95) -> tuple[float, Interval]:
    """Mean over standard deviation of paired differences, corrected for few pairs, and its interval.

    The factor is exact: J = gamma(f / 2) / (sqrt(f / 2) gamma((f - 1) / 2)), f = pairs - 1 (Hedges 1981); the interval
    inverts the noncentral t (exact for normal differences) and is multiplied by J too. nan with fewer than 3 pairs, on
    any nan, and where all differences are equal: no spread gives no scale.
    """
    from scipy.special import gammaln

    check_level(level)
    values = np.asarray(differences_S, dtype=np.float64)
    num = len(values)
    spread = float(np.std(values, ddof=1)) if num > 2 else 0.0
    if not spread > 1e-12 * float(np.abs(values).max(initial=0.0)):
        return float("nan"), NO_INTERVAL
    freedom = num - 1
    correction = float(np.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / np.sqrt(freedom / 2))
    plain = float(values.mean()) / spread
    tail = (1 - level) / 2
    ends = [_noncentrality(np.sqrt(num) * plain, freedom, share) / np.sqrt(num) for share in (1 - tail, tail)]
    return correction * plain, Interval(correction * ends[0], correction * ends[1])


def _noncentrality(t: float, freedom: int, share: float) -> float:
    """The noncentrality at which a t of this size or less has this chance.

    The chance is the mean of Phi(t s - shift) over s = sqrt(chi2 / f), by the trapezoid rule over s as a function of a
    standard normal: scipy's nct gives nan where t is large and the chance small.
    """
    from scipy.optimize import brentq
    from scipy.special import gammainccinv, gammaincinv, ndtr

    normal = np.linspace(-8.0, 8.0, 321)
    weights = np.exp(-(normal**2) / 2)
    half = freedom / 2
    chi2 = 2 * np.where(normal < 0, gammaincinv(half, ndtr(normal)), gammainccinv(half, ndtr(-normal)))
    scaled = t * np.sqrt(chi2 / freedom)
    reach = float(scaled.min()) - 9, float(scaled.max()) + 9
    weights /= weights.sum()
    return float(brentq(lambda shift: ndtr(scaled - shift) @ weights - share, *reach))


def tost_paired(differences_S: F64, low: float, high: float) -> float:
    """P of equivalence: the larger of two one-sided t-tests that the mean difference lies beyond low or high.

    Schuirmann 1987; small means that the mean lies between the margins, which must be set before looking. Where all
    differences are equal there is nothing to estimate: 0 if they lie between the margins, else 1. nan with fewer than 2
    pairs or any nan. ValueError unless low < 0 < high.
    """
    from scipy.special import stdtr

    if not low < 0 < high:
        raise ValueError(f"equivalence margins lie on both sides of 0, got {low} and {high}")
    values = np.asarray(differences_S, dtype=np.float64)
    num = len(values)
    if num < 2 or np.isnan(values).any():
        return float("nan")
    mean, error = float(values.mean()), float(np.std(values, ddof=1) / np.sqrt(num))
    if error <= 1e-12 * max(abs(mean), high, -low):
        return 0.0 if low < mean < high else 1.0
    return float(max(stdtr(num - 1, (mean - high) / error), stdtr(num - 1, (low - mean) / error)))


def max_sign_flip(differences_OS: F64, *, rng: np.random.Generator | None = None) -> SignFlip:
    """One paired test over several outcomes of the same pairs: the largest of |sum| / root of the sum of squares.

    All outcomes of a pair change sign together, so their dependence is kept; the root does not change with signs.
    Exact over all 2^S assignments up to MAX_EXACT pairs, else NUM_SAMPLED draws of rng with the +1 rule; two-sided. An
    outcome without any difference adds 0. nan for no pairs. ValueError on nan and on too many pairs without rng.
    """
    differences = np.asarray(differences_OS, dtype=np.float64)
    if differences.ndim != 2 or np.isnan(differences).any():
        raise ValueError(f"differences are [outcomes, pairs] without nan, got {differences_OS}")
    num = differences.shape[1]
    if num == 0:
        return SignFlip(float("nan"), float("nan"), float("nan"))
    size = np.sqrt((differences**2).sum(axis=1, keepdims=True))
    unit_OS = differences / np.where(size > 0, size, 1.0)
    if num <= MAX_EXACT:
        signs = signs_of(num).astype(np.float64)
    elif rng is None:
        raise ValueError(f"{num} pairs are too many to enumerate: pass rng")
    else:
        drawn = rng.choice(np.array([-1.0, 1.0]), size=(NUM_SAMPLED, num))
        signs = np.concatenate([np.ones((1, num)), drawn])
    largest = np.abs(signs @ unit_OS.T).max(axis=1)
    p = float((largest >= largest[0] - 1e-9).mean())
    return SignFlip(float(largest[0]), p, max(1 / len(signs), smallest_sign_flip_p(num)))
