"""How often each item was shown in the windows of consensus events, and how often chance would have shown it.

Here: counts, shares and expectations per event, lag, seed and item. Not here: the windows (trigger_windows), the tests
made of them and why they condition on exposure (triggers).
Legend: S = seeds of an event, N = items of the policy, L = lags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.exposures import Exposures, expected_up_to, untimed
from squiggle_assets.science.policy import Policy
from squiggle_assets.science.trigger_windows import Window, events_in, windows_of

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowCounts:
    """Counts of one event and lag."""

    windows: tuple[Window, ...]
    """S."""
    count: I64
    """[S, N] draws in the window."""
    share: F64
    """[S, N] chance that a showing of the item in that run falls into the window."""
    expected: F64
    """[S, N] draws of the whole run × share."""
    by_policy: F64
    """[N] expected draws in all windows by the policy alone, plant included."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EventCounts:
    """Counts of one event."""

    event: Mapping[str, Any]
    """Its row of consensus_events."""
    total: I64
    """[S, N] draws in the whole runs."""
    untimed: NDArray[np.bool_]
    """[N] items whose share is uniform in time, because the policy does not randomise when they are shown."""
    at: tuple[WindowCounts, ...]
    """L."""


def count_windows(
    consensus: pl.DataFrame, exposures: Exposures, policy: Policy, lags: Sequence[int]
) -> list[EventCounts]:
    """One per consensus event, by id.

    Raises:
        ValueError: consensus events of several arms, a matched seed without a trace, a window beyond its end, an item
            shown where the policy cannot draw it, runs of different length.
    """
    placed = [(event, [windows_of(event, policy, lag) for lag in lags]) for event in events_in(consensus)]
    windows = [window for _, by_lag in placed for own in by_lag for window in own]
    num_steps = _common_end(windows, exposures)
    edges = np.unique([num_steps, *(w.start for w in windows), *(w.stop for w in windows)])
    upto = dict(zip(edges.tolist(), expected_up_to(policy, edges), strict=True))
    free = untimed(policy, num_steps)
    whole = np.where(free, 1.0, upto[num_steps])
    total = dict(zip(exposures.seeds, exposures.totals(), strict=True))

    def counted(own: tuple[Window, ...]) -> WindowCounts:
        count = np.stack([exposures.counts(*window) for window in own])
        inside = np.stack([upto[window.stop] - upto[window.start] for window in own])
        uniform = np.array([window.stop - window.start for window in own])[:, None] / num_steps
        share = np.where(free, uniform, np.clip(inside / whole, 0.0, 1.0))
        _refuse_impossible(own, (count > 0) & (share == 0), policy)
        expected = np.stack([total[window.seed] for window in own]) * share
        return WindowCounts(windows=own, count=count, share=share, expected=expected, by_policy=inside.sum(axis=0))

    return [
        EventCounts(
            event=event,
            total=np.stack([total[window.seed] for window in by_lag[0]]),
            untimed=free,
            at=tuple(counted(own) for own in by_lag),
        )
        for event, by_lag in placed
    ]


def _common_end(windows: Sequence[Window], exposures: Exposures) -> int:
    if len(set(exposures.num_steps)) != 1:
        lengths = dict(zip(exposures.seeds, exposures.num_steps, strict=True))
        raise ValueError(f"runs of one length are needed, got {lengths} by seed; leave out runs that were stopped")
    num_steps = exposures.num_steps[0]
    for window in windows:
        if window.seed not in exposures.seeds:
            raise ValueError(f"no trace of seed {window.seed}, which takes part in an event: got {exposures.seeds}")
        if window.stop > num_steps:
            raise ValueError(f"seed {window.seed} has an event at step {window.stop}, its trace {num_steps} steps")
    return num_steps


def _refuse_impossible(windows: Sequence[Window], bad_SN: NDArray[np.bool_], policy: Policy) -> None:
    if bad_SN.any():
        seed, item = np.argwhere(bad_SN)[0]
        raise ValueError(
            f"item {policy.items['item_id'][int(item)]!r} was shown in {windows[seed]}, where the policy cannot draw it"
        )
