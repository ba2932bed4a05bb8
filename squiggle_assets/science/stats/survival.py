"""Times until something happens, where some runs end before it does.

Here: restricted mean time and the log-rank test. Not here: what is waited for (frozen_location), labels (effects).
Legend: M = units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]


class LogRank(NamedTuple):
    """A two-sided log-rank test."""

    statistic: float
    """Standard normal where nothing differs; above 0: the first group has more events than expected."""
    p_value: float


def _checked(times_M: F64, observed_M: Bools) -> tuple[F64, Bools]:
    times, observed = np.asarray(times_M, dtype=np.float64), np.asarray(observed_M, dtype=bool)
    if times.shape != observed.shape or times.ndim != 1 or np.isnan(times).any() or (times < 0).any():
        raise ValueError(f"one time from 0 on and one flag a unit are needed, got {times_M} and {observed_M}")
    return times, observed


def _censored(times: F64, observed: Bools) -> object:
    from scipy.stats import CensoredData

    return CensoredData(uncensored=times[observed], right=times[~observed])


def restricted_mean(times_M: F64, observed_M: Bools, horizon: float) -> float:
    """Area under the Kaplan-Meier curve from 0 to the horizon, in units of the times; nan for no units.

    observed: whether the unit's time is the event's, else it was watched so long without one. ValueError on shapes that
    disagree, nan or times below 0, and where nobody was watched up to the horizon and some were without event to the
    last: the curve is not known up to there.
    """
    from scipy.stats import ecdf

    times, observed = _checked(times_M, observed_M)
    if not len(times):
        return float("nan")
    last = float(times[~observed].max(initial=-1.0))
    if 0 <= last < horizon and not (times[observed] > last).any():
        raise ValueError(f"a unit without event was watched for {last:g}, less than the horizon of {horizon:g}")
    curve = ecdf(_censored(times, observed)).sf
    edges = np.concatenate([[0.0], curve.quantiles[(curve.quantiles > 0) & (curve.quantiles < horizon)]])
    return float(curve.evaluate(edges) @ np.diff(edges, append=horizon))


def logrank(first: tuple[F64, Bools], second: tuple[F64, Bools]) -> LogRank:
    """Two-sided log-rank test of two independent groups, each (times, whether observed); scipy's, null of equal curves.

    nan where one of the groups is empty, no event is known in either, or all come at once. Groups that share their
    units are not independent: where they are alike within pairs the p is too large.
    """
    from scipy.stats import logrank as of_scipy

    groups = [_checked(*group) for group in (first, second)]
    if any(not len(times) for times, _ in groups) or not any(observed.any() for _, observed in groups):
        return LogRank(float("nan"), float("nan"))
    with np.errstate(invalid="ignore"):
        found = of_scipy(_censored(*groups[0]), _censored(*groups[1]))
    return LogRank(float(found.statistic), float(found.pvalue))
