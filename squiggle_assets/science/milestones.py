"""Loss milestones: when the smoothed training loss first stood a given share below its start.

Here: a pure function of the logged losses, so that resuming needs no state of it. Observation only: nothing acts on
a milestone. Not here: validation losses, and stopping (controller).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

EMA_ALPHA = 0.1
BASELINE_LOSSES = 10
"""Losses after the warm-up whose mean is the baseline."""


@dataclass(frozen=True, kw_only=True)
class Milestone:
    """A relative drop that was reached."""

    step: int
    """The batch of this step brought the smoothed loss to the target."""
    milestone: float
    """Relative drop, 0.2 = a fifth below the baseline."""
    loss_raw: float
    loss_smooth: float
    target_loss: float
    baseline_loss: float


def smoothed(losses: Sequence[float]) -> F64:
    """Exponential moving average with alpha 0.1, started at the first loss: shape of the input."""
    values = np.empty(len(losses))
    mean = math.nan
    for i, loss in enumerate(losses):
        mean = loss if i == 0 else EMA_ALPHA * loss + (1 - EMA_ALPHA) * mean
        values[i] = mean
    return values


def baseline(losses: Sequence[float], warmup_end: int) -> float:
    """Mean of the first 10 losses from warmup_end on; nan while there are fewer than 10."""
    window = losses[warmup_end : warmup_end + BASELINE_LOSSES]
    return math.fsum(window) / BASELINE_LOSSES if len(window) == BASELINE_LOSSES else math.nan


def reached(losses: Sequence[float], warmup_end: int, drops: Sequence[float]) -> list[Milestone]:
    """The milestones of a run, by step and then drop; none before the baseline is known.

    losses[t] is the loss of the batch of step t, in nats per supervised token, from step 0 on. Drop p is reached
    at the first step at which the smoothed loss is at most baseline * (1 - p). All of it follows the run's own number
    of steps (the sources computed one kind from an unrelated constant, so that it never fired).

    Raises:
        ValueError: a drop outside 0..1 (both excluded).
    """
    for drop in drops:
        if not 0 < drop < 1:
            raise ValueError(f"a milestone is a relative drop between 0 and 1, got {drop}")
    start = baseline(losses, warmup_end)
    if math.isnan(start):
        return []
    smooth = smoothed(losses)
    first = warmup_end + BASELINE_LOSSES - 1
    found = []
    for drop in drops:
        hits = np.flatnonzero(smooth[first:] <= start * (1 - drop))
        if len(hits):
            step = first + int(hits[0])
            found.append(
                Milestone(
                    step=step,
                    milestone=drop,
                    loss_raw=losses[step],
                    loss_smooth=float(smooth[step]),
                    target_loss=start * (1 - drop),
                    baseline_loss=start,
                )
            )
    return sorted(found, key=lambda each: (each.step, each.milestone))
