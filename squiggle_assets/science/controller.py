"""What may act on a run while it trains: controllers that read a window of losses and log every decision.

Here: the feature window, the two controllers there are, their decisions as plain rows. Not here: carrying a decision
out (training), learning rates (schedule). Everything is a function of the losses so far, so resuming needs no state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np

from squiggle_assets.science.spec import TrainingSpec
from squiggle_assets.science.stats.robust import robust_scale

WINDOW = 20
"""Losses before the current one that set what is usual."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """The window as numbers; nan where there are too few losses for one."""

    last: float
    mean: float
    """Of the w losses before the last."""
    slope: float
    """Least squares over those w losses, per step."""
    z: float
    """(last - median) / robust sigma of those w losses; nan where they do not vary."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One entry of the decision stream."""

    step: int
    controller: str
    feature: str
    value: float
    decision: Literal["continue", "stop"]
    reason: str

    def row(self) -> dict[str, Any]:
        """As plain values, for a table or a checkpoint."""
        return asdict(self)


class Controller(Protocol):
    """Reads the losses of steps 0..step and says what it thinks, or None if it has nothing to say."""

    def decide(self, step: int, losses: Sequence[float], grad_norm: float) -> Decision | None:
        """losses[step] is the current one; grad_norm belongs to the same step, before clipping."""


def features(losses: Sequence[float], window: int = WINDOW) -> Features:
    """Features of the last loss against the `window` before it. ValueError without losses or window below 3."""
    if not losses or window < 3:
        raise ValueError(f"features need a loss and a window of at least 3, got {len(losses)} losses, window {window}")
    last = float(losses[-1])
    past = np.asarray(losses[-window - 1 : -1], dtype=np.float64)
    if len(past) < window:
        return Features(last=last, mean=math.nan, slope=math.nan, z=math.nan)
    time = np.arange(window) - (window - 1) / 2
    scale = float(robust_scale(past))
    return Features(
        last=last,
        mean=float(past.mean()),
        slope=float(time @ past / (time @ time)),
        z=(last - float(np.median(past))) / scale if scale > 0 else math.nan,
    )


@dataclass(frozen=True)
class NonFinite:
    """Stops a run whose loss or gradient is nan or inf: always on, and silent as long as they are finite."""

    def decide(self, step: int, losses: Sequence[float], grad_norm: float) -> Decision | None:
        """A stop, or None."""
        for feature, value in (("loss", losses[-1]), ("grad_norm", grad_norm)):
            if not math.isfinite(value):
                return Decision(
                    step=step,
                    controller="non_finite",
                    feature=feature,
                    value=value,
                    decision="stop",
                    reason=f"{feature} is {value} at step {step}",
                )
        return None


def stopped_by_capture(step: int, reason: str) -> Decision:
    """The stop of a run whose activations can no longer be recorded."""
    return Decision(
        step=step, controller="non_finite", feature="activation", value=math.nan, decision="stop", reason=reason
    )


@dataclass(frozen=True)
class Divergence:
    """Stops a run whose loss leaves its own recent past upwards."""

    limit: float
    """Robust standard deviations."""
    window: int = WINDOW

    def decide(self, step: int, losses: Sequence[float], grad_norm: float) -> Decision | None:
        """One decision a step once the window is full and not flat."""
        z = features(losses, self.window).z
        if math.isnan(z):
            return None
        stop = z > self.limit
        return Decision(
            step=step,
            controller="divergence",
            feature="loss_z",
            value=z,
            decision="stop" if stop else "continue",
            reason=f"loss {losses[-1]:.4g} is {z:.2f} robust sigma from its last {self.window}, limit {self.limit:g}",
        )


def controllers(spec: TrainingSpec) -> tuple[Controller, ...]:
    """The controllers of a training spec, in the order they are asked.

    Raises:
        ValueError: divergence_z is not positive.
    """
    if spec.divergence_z is None:
        return (NonFinite(),)
    if not spec.divergence_z > 0:
        raise ValueError(f"divergence_z must be positive or None, got {spec.divergence_z}")
    return (NonFinite(), Divergence(spec.divergence_z))
