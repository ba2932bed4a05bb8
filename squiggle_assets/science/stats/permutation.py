"""p-values by draws: the +1 rule, sign flips, label swaps, and how small a p can get at all.

Here: p from null draws, exact paired sign flips, max-statistic p, smallest attainable p.
Not here: what is drawn (nulls), correction over a family (multiplicity).
"""

from __future__ import annotations

from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Direction = Literal["greater", "less", "two-sided"]

MAX_EXACT = 16
"""Up to this many pairs every sign assignment is enumerated."""
NUM_SAMPLED = 20_000
"""Sign assignments that are drawn above that."""


class SignFlip(NamedTuple):
    """A paired sign-flip test."""

    statistic: float
    """Mean difference."""
    p_value: float
    smallest_p: float
    """The p that the most extreme data of this many pairs would get."""


def permutation_p(
    observed: F64 | float, draws: NDArray[np.floating] | NDArray[np.integer], direction: Direction = "greater"
) -> F64:
    """(1 + draws at least as extreme) / (1 + draws), draws along the first axis (Phipson & Smyth 2010).

    Two-sided: twice the smaller tail, at most 1. nan where the observed value is nan. ValueError on no draws.
    """
    num = len(draws)
    if num == 0:
        raise ValueError("a permutation p needs at least one draw, got none")
    upper = (1 + (draws >= observed).sum(axis=0)) / (1 + num)
    lower = (1 + (draws <= observed).sum(axis=0)) / (1 + num)
    two = np.minimum(1.0, 2 * np.minimum(upper, lower))
    p = {"greater": upper, "less": lower, "two-sided": two}[direction]
    return np.where(np.isnan(observed), np.nan, p)


def max_statistic_p(observed_C: F64, draws_DC: NDArray[np.floating]) -> F64:
    """[C] p of each cell against the largest cell of each draw: familywise error over dependent cells.

    Cells are first put on one scale by mean and standard deviation over draws and observed together, so that
    a cell that is large by nature does not hide the others (Westfall & Young 1993, single step).
    """
    together = np.concatenate([observed_C[None].astype(np.float64), draws_DC.astype(np.float64)])
    spread = together.std(axis=0)
    scaled = (together - together.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return permutation_p(scaled[0], scaled[1:].max(axis=1)[:, None])


def signs_of(num: int) -> NDArray[np.int8]:
    """[2 ** num, num] every assignment of +1 and -1, the observed one (all +1) first; ValueError above MAX_EXACT."""
    if not 1 <= num <= MAX_EXACT:
        raise ValueError(f"all sign assignments are listed for 1 to {MAX_EXACT} pairs, got {num}")
    return np.array(list(product((1, -1), repeat=num)), dtype=np.int8)


def sign_flip(
    differences: F64, direction: Direction = "two-sided", *, rng: np.random.Generator | None = None
) -> SignFlip:
    """Paired sign-flip permutation test of the mean difference.

    Exact over all 2^n assignments up to MAX_EXACT pairs, else NUM_SAMPLED draws of rng with the +1 rule. nan for no
    pairs. ValueError on nan and on more than MAX_EXACT pairs without rng. Ties count as at least as extreme.
    """
    if np.isnan(differences).any():
        raise ValueError(f"differences must not be nan, got {differences}")
    num = len(differences)
    if num == 0:
        return SignFlip(float("nan"), float("nan"), float("nan"))
    if num <= MAX_EXACT:
        means = signs_of(num) @ differences / num
    elif rng is None:
        raise ValueError(f"{num} pairs are too many to enumerate: pass rng")
    else:
        drawn = rng.choice(np.array([-1.0, 1.0]), size=(NUM_SAMPLED, num))
        means = np.concatenate([[differences.mean()], drawn @ differences / num])
    slack = 1e-12 * np.abs(differences).sum()
    upper, lower = (means >= means[0] - slack).mean(), (means <= means[0] + slack).mean()
    two = (np.abs(means) >= abs(means[0]) - slack).mean()
    p = {"greater": upper, "less": lower, "two-sided": two}[direction]
    return SignFlip(float(means[0]), float(p), max(1 / len(means), smallest_sign_flip_p(num, direction)))


def smallest_sign_flip_p(num: int, direction: Direction = "two-sided") -> float:
    """1 / 2^n one-sided, 2 / 2^n two-sided (3 pairs: .25, so never significant); nan for no pairs."""
    if num < 1:
        return float("nan")
    return float(min(1.0, (2.0 if direction == "two-sided" else 1.0) / 2.0**num))


def smallest_corrected_p(smallest_p: float, num_tests: int) -> float:
    """The smallest Benjamini-Hochberg q that one lone effect among num_tests can reach: min(1, p * tests)."""
    if num_tests < 1:
        raise ValueError(f"num_tests must be at least 1, got {num_tests}")
    return float(min(1.0, smallest_p * num_tests))
