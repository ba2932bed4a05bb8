"""The steps in which a trigger of a consensus event may lie: one window per event, seed and lag.

Here: windows from consensus events, clipped where they must be. Not here: what was drawn in them (exposures), tests
(triggers).

A constituent's step k is that of a capture: it has seen the draws of steps 0 to k - 1. The window of lag L is therefore
onset - L <= draw < k, and no draw after the peak is ever in it. The onset of a seed lies as far before its own step as
the event's onset_step (the last capture surely before the change) lies before its median_step. The draws between the
two captures that show the change stay in: one of them made it. A window never reaches into the phase before the one
that made the last draw: there another sampler was at work, and a boundary is an explanation of its own.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import polars as pl

from squiggle_assets.science.policy import Policy


class Window(NamedTuple):
    """Draws start <= step < stop of one seed's run."""

    seed: int
    start: int
    stop: int


def windows_of(event: Mapping[str, Any], policy: Policy, lag: int) -> tuple[Window, ...]:
    """One window per seed that takes part in a consensus event (a row of the table), seeds ascending.

    Raises:
        ValueError: a negative lag, a constituent before the first draw or after the budget.
    """
    if lag < 0:
        raise ValueError(f"a lag must not be negative, got {lag}")
    lead = event["median_step"] - event["onset_step"]
    phases = [0, *(step for step, _ in policy.phase_boundaries())]
    found = []
    for seed, own in sorted((int(seed), own) for seed, own in json.loads(event["constituents"]).items()):
        stop = int(own["step"])
        if not 1 <= stop <= policy.num_steps:
            raise ValueError(
                f"event {event['consensus_event_id']}: seed {seed} has step {stop}, outside 1 to {policy.num_steps}"
            )
        first = phases[bisect_right(phases, stop - 1) - 1]
        start = max(first, math.floor(stop - lead) - lag)
        found.append(Window(seed, min(start, stop - 1), stop))
    return tuple(found)


def events_in(consensus: pl.DataFrame) -> Iterable[Mapping[str, Any]]:
    """The rows of consensus events by id; ValueError if they are of several arms, analyses or probe sets.

    Their tests are one family, and each arm has a policy of its own.
    """
    kinds = consensus.select("arm", "analysis_id", "probe_set").unique()
    if len(kinds) > 1:
        raise ValueError(
            f"consensus events of one arm, analysis and probe set are needed, got {kinds.sort('arm').rows()}"
        )
    return consensus.sort("consensus_event_id").iter_rows(named=True)


def signature_of(event: Mapping[str, Any]) -> str:
    """What kind of event it is, wherever it lies: band, metric group and direction, as in 'layers_0_0.angle+'."""
    return f"{event['band']}.{event['metric_group']}{'+' if event['polarity'] > 0 else '-'}"
