"""One treated run beside several controls of the same unit: which of them is the treated one is what chance decides.

Here: the exact test of several outcomes under exchange of runs within units. Not here: sign flips of differences
(paired), which take a run less the mean of several for symmetric; it is not where the outcomes are skewed.
Legend: O = outcomes, S = units (usually seeds), D = controls of a unit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science.stats.permutation import NUM_SAMPLED

F64 = NDArray[np.float64]

MAX_LISTED = 2**16
"""Up to this many assignments every one is listed, as with sign flips (MAX_EXACT): 8 units of 3 controls."""


def max_exchange_p(treated_OS: F64, controls_S: Sequence[F64], *, rng: np.random.Generator | None = None) -> float:
    """P of the largest |sum over units of (treated - mean of its controls)|, over several outcomes at once.

    Under the null the 1 + D runs of a unit are exchangeable, so each is as likely as any to be the one called treated:
    prod(1 + D) assignments, all runs of a unit together, so that the dependence of outcomes is kept. Every outcome is
    divided by the root of its mean square over assignments, which no assignment changes. With one control a unit it is
    the sign flip. Two-sided; exact up to MAX_LISTED assignments, else NUM_SAMPLED draws of rng with the +1 rule. An
    outcome without any difference adds 0. nan for no units. Randomised blocks with one treated unit (Fisher 1935).

    Args:
        treated_OS: outcomes of the treated run of each unit.
        controls_S: S arrays [O, D], D at least 1 and not the same for all units necessarily.
        rng: needed above MAX_LISTED assignments only.

    Raises:
        ValueError: shapes that do not fit, a unit without controls, nan, too many assignments without rng.
    """
    treated = np.asarray(treated_OS, dtype=np.float64)
    if treated.ndim != 2 or treated.shape[1] != len(controls_S):
        raise ValueError(f"treated runs [outcomes, units] and controls of each unit do not fit: {treated.shape}")
    if not len(controls_S):
        return float("nan")
    units = [_differences(treated[:, at], controls) for at, controls in enumerate(controls_S)]
    mean_square = sum((unit_OR**2).mean(axis=1) for unit_OR in units)
    size = np.sqrt(np.where(mean_square > 0, mean_square, 1.0))[:, None]
    totals = np.zeros((len(treated), 1))
    if np.prod([float(unit.shape[1]) for unit in units]) <= MAX_LISTED:
        for unit in units:
            # the observed assignment stays first
            totals = (totals[:, :, None] + (unit / size)[:, None]).reshape(len(treated), -1)
    elif rng is None:
        raise ValueError(f"{len(units)} units with several controls have too many assignments to list: pass rng")
    else:
        totals = np.zeros((len(treated), 1 + NUM_SAMPLED))
        for unit in units:
            drawn = np.concatenate([[0], rng.integers(unit.shape[1], size=NUM_SAMPLED)])
            totals += (unit / size)[:, drawn]
    largest = np.abs(totals).max(axis=0)
    return float((largest >= largest[0] - 1e-9).mean())


def _differences(treated_O: F64, controls_OD: F64) -> F64:
    """[O, 1 + D] each run of a unit less the mean of the others, the treated one first."""
    runs = np.concatenate([treated_O[:, None], np.asarray(controls_OD, dtype=np.float64)], axis=1)
    num = runs.shape[1]
    if num < 2 or np.isnan(runs).any():
        raise ValueError(f"a unit has a treated run and at least one control, without nan, got {runs}")
    return np.asarray((num * runs - runs.sum(axis=1, keepdims=True)) / (num - 1))
