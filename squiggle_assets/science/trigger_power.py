"""What attribution can find in a design: the smallest lift, before anything is spent. By formula, nothing simulated.

Here: the minimum detectable lift of one item and event. Not here: simulated studies (trigger_simulation), power of
consensus (power).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.stats import pooled_binomial_tail
from squiggle_assets.science.waves import TriggerSpec

F64 = NDArray[np.float64]

SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("lag", "window_steps", "num_seeds", "num_steps", "batch_size", "num_items"), pl.Int64),
    **dict.fromkeys(("num_events", "num_tests"), pl.Int64),
    **dict.fromkeys(("expected_window", "expected_total", "threshold_p"), pl.Float64),
    **dict.fromkeys(("minimum_lift", "minimum_extra", "power"), pl.Float64),
}
"""Columns of the minimum_lift table but study and arm."""


@dataclass(frozen=True, kw_only=True)
class TriggerDesign:
    """Sizes of a study as attribution sees them; items are drawn evenly."""

    num_seeds: int
    """Seeds that take part in an event."""
    num_steps: int
    batch_size: int
    num_items: int
    """Items that can be drawn."""
    num_events: int = 1
    """Consensus events that are tested together."""
    event_steps: int = 4
    """Steps from the onset of an event to its peak: two capture intervals."""

    def __post_init__(self) -> None:
        """Refuse sizes that are not positive and events as long as the run."""
        sizes = (self.num_seeds, self.num_steps, self.batch_size, self.num_items, self.num_events, self.event_steps)
        if min(sizes) < 1 or self.event_steps >= self.num_steps:
            raise ValueError(f"sizes must be positive and an event shorter than the run, got {self}")


def lift_power(design: TriggerDesign, lag: int, lift: float, threshold_p: float) -> float:
    """Chance that an item shown `lift` times as often in the windows as chance has it gets p <= threshold_p at a lag.

    Showings in and outside the windows are taken as Poisson counts; p is that of all of them, conditional on their
    number (binomial, with the windows' share of the run). Terms below 1e-12 are left out.
    """
    share = _window_steps(design, lag) / design.num_steps
    total = _expected_total(design)
    outside = _poisson(total * (1 - share))
    inside = _poisson(lift * total * share)
    k_in, k_out = np.arange(len(inside)), np.arange(len(outside))
    trials = k_in[:, None] + k_out
    found = pooled_binomial_tail(k_in[:, None], trials, trials * share) <= threshold_p
    return float(inside @ found @ outside)


def _poisson(mean: float) -> F64:
    from scipy.stats import poisson

    return np.asarray(poisson.pmf(np.arange(int(poisson.isf(1e-12, mean)) + 2), mean))


def _window_steps(design: TriggerDesign, lag: int) -> int:
    return min(design.event_steps + lag, design.num_steps)


def _expected_total(design: TriggerDesign) -> float:
    return design.num_seeds * design.num_steps * design.batch_size / design.num_items


def minimum_lift(design: TriggerDesign, spec: TriggerSpec | None = None, *, power: float = 0.8) -> pl.DataFrame:
    """One row per lag: the smallest lift that is found with that power; columns SCHEMA.

    threshold_p is what one lone trigger must reach for q <= max_q among all items, events and lags: max_q / tests. With
    several true triggers the threshold is easier, so this is the safe side. minimum_extra: showings above chance per
    window of one seed. Both are null where an item in every slot of the windows would not be enough. The demand on
    min_seeds is not in it.

    Raises:
        ValueError: a power outside 0..1.
    """
    if not 0 < power < 1:
        raise ValueError(f"power lies between 0 and 1, got {power}")
    spec = spec or TriggerSpec()
    num_tests = design.num_items * design.num_events
    threshold = spec.max_q / (num_tests * len(spec.lags))
    rows = []
    for lag in sorted(spec.lags):
        window = _window_steps(design, lag)
        expected = _expected_total(design) * window / design.num_steps
        lift = _smallest(design, lag, threshold, power)
        rows.append(
            {
                "lag": lag,
                "window_steps": window,
                **{name: getattr(design, name) for name in ("num_seeds", "num_steps", "batch_size", "num_items")},
                "num_events": design.num_events,
                "num_tests": num_tests,
                "expected_window": expected,
                "expected_total": _expected_total(design),
                "threshold_p": threshold,
                "minimum_lift": lift,
                "minimum_extra": None if lift is None else (lift - 1) * expected / design.num_seeds,
                "power": power,
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _smallest(design: TriggerDesign, lag: int, threshold: float, power: float) -> Any:
    """By bisection of the logarithm: power grows with the lift. None where the largest is not enough."""
    # An item that fills every slot is shown num_items times as often as chance has it.
    low, high = 0.0, math.log(design.num_items)
    if lift_power(design, lag, math.exp(high), threshold) < power:
        return None
    while high - low > 1e-4:
        middle = (low + high) / 2
        enough = lift_power(design, lag, math.exp(middle), threshold) >= power
        low, high = (low, middle) if enough else (middle, high)
    return math.exp(high)
