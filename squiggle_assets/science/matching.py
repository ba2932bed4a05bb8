"""Ordered one-dimensional matching of the events of several seeds, the same code for observed and null.

Here: scanning centres, totals and support, choosing disjoint centres, members of one centre.
Not here: where events come from (detection) and how draws are made (nulls).
Legend: D = draws, C = cells, ... = any leading axes, S = seeds, K = series, P = polarity (0: up, 1: down), T = grid.

A consensus event is a centre on the capture grid; each seed gives it the strongest of its events of that
polarity within tau steps, at most one. Its statistic is the sum over seeds of the capped strengths, a missing
seed adds 0. Centres are taken best first and later ones must be more than 2 tau away, so that windows are
disjoint: an event is used once and consensus events of one polarity never cross in any seed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]

CAP = 6.0
"""Strengths count up to here, so that one wild seed cannot stand for several."""
FLOOR = 1e-3
"""Strength of an event whose standardised increment does not point its way: it supports, but adds nothing."""


class Scan(NamedTuple):
    """Every centre of every problem."""

    total: F32
    """[..., P, T] sum over seeds of the capped strengths within tau."""
    support: NDArray[np.int16]
    """[..., P, T] number of seeds with an event within tau."""


def tolerance(steps_T: I64, tolerance_steps: int) -> float:
    """Tau = max(tolerance_steps, usual capture interval), in steps."""
    return float(max(tolerance_steps, np.median(np.diff(steps_T))))


def strengths(z_DSKT: NDArray[np.floating], plain_DSKT: NDArray[np.floating], peaks_DSKT: Bools, cell_K: I64) -> F32:
    """[D, C, S, P, T] strength of each cell's events by polarity, 0 where there is none.

    The polarity of an event is the sign of the plain increment; its strength is the standardised one in that
    direction, between FLOOR and CAP. Of several series of a cell the strongest counts: they are one measurement.
    """
    d, s, k, t = np.nonzero(peaks_DSKT)
    down = plain_DSKT[d, s, k, t] < 0
    size = np.clip(np.where(down, -1.0, 1.0) * z_DSKT[d, s, k, t], FLOOR, CAP).astype(np.float32)
    num_draws, num_seeds, _, num = peaks_DSKT.shape
    found = np.zeros((num_draws, int(cell_K.max()) + 1, num_seeds, 2, num), dtype=np.float32)
    np.maximum.at(found, (d, cell_K[k], s, down.astype(np.int64), t), size)
    return found


def scan(strength: F32, steps_T: I64, tau: float) -> Scan:
    """Totals and support of all centres; strength is [..., S, P, T], one entry an event, 0 elsewhere."""
    best = _strongest_within(strength, steps_T, tau)
    return Scan(best.sum(axis=-3), (best > 0).sum(axis=-3, dtype=np.int16))


def _strongest_within(strength: F32, steps_T: I64, tau: float) -> F32:
    best = strength.copy()
    num = len(steps_T)
    for lag in range(1, num):
        near_T = steps_T[lag:] - steps_T[:-lag] <= tau
        if not near_T.any():
            break
        later, earlier = strength[..., lag:], strength[..., :-lag]
        if near_T.all():
            np.maximum(best[..., :-lag], later, out=best[..., :-lag])
            np.maximum(best[..., lag:], earlier, out=best[..., lag:])
        else:
            np.maximum(best[..., :-lag], later * near_T, out=best[..., :-lag])
            np.maximum(best[..., lag:], earlier * near_T, out=best[..., lag:])
    return best


def best_total(found: Scan) -> F32:
    """[...] largest total over polarities and centres: the test statistic of a cell."""
    return np.asarray(found.total.max(axis=(-2, -1)))


def centres(found: Scan, steps_T: I64, tau: float, min_support: int) -> Bools:
    """[..., P, T] the consensus events: centres with enough support, best total first, more than 2 tau apart."""
    shape = found.total.shape
    total = np.where(found.support >= min_support, found.total, -1.0).reshape(-1, shape[-1])
    chosen = np.zeros(total.shape, dtype=bool)
    rows = np.flatnonzero((total > 0).any(axis=1))
    while len(rows):
        at = total[rows].argmax(axis=1)
        chosen[rows, at] = True
        blocked = np.abs(steps_T - steps_T[at][:, None]) <= 2 * tau
        total[rows] = np.where(blocked, -1.0, total[rows])
        rows = rows[(total[rows] > 0).any(axis=1)]
    return chosen.reshape(shape)


def count(found: Scan, steps_T: I64, tau: float, min_support: int) -> I64:
    """[...] number of consensus events, both polarities."""
    return np.asarray(centres(found, steps_T, tau, min_support).sum(axis=(-2, -1)))


def weight(found: Scan, steps_T: I64, tau: float, min_support: int, num_seeds: int) -> NDArray[np.float64]:
    """[...] the count with every event weighted by its total over the largest possible one, between 0 and 1.

    It falls with every seed that leaves an event; the plain count stays until too few are left.
    """
    chosen = centres(found, steps_T, tau, min_support)
    return np.asarray((found.total * chosen).sum(axis=(-2, -1), dtype=np.float64) / (CAP * num_seeds))


def members(strength_ST: F32, steps_T: I64, tau: float, centre: int) -> I64:
    """[S] position in T of each seed's event of one polarity at a centre, -1 where it has none.

    The strongest within tau; of equals the nearest to the centre, then the earlier.
    """
    distance_T = np.abs(steps_T - steps_T[centre])
    found = np.full(len(strength_ST), -1, dtype=np.int64)
    for s, strength_T in enumerate(strength_ST):
        inside = np.flatnonzero((distance_T <= tau) & (strength_T > 0))
        if len(inside):
            found[s] = min(inside, key=lambda t: (-strength_T[t], distance_T[t], t))
    return found
