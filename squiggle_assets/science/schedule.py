"""The learning rate of every step: warm-up, stable, decay, and how the step ladder extends a run.

Here: the boundaries of a budget and the rate at a step, without torch. Not here: the optimiser (training), which item
is drawn when (policy). Legend: a step is the number of updates done; step 0 is before the first update.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from squiggle_assets.science.spec import TrainingSpec

LADDER = (1, 2, 3)
"""Step multipliers there are."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Boundaries of one budget, in steps, and the rate between them."""

    base_steps: int
    """Budget of multiplier 1; fractions of the curriculum are fractions of this."""
    total_steps: int
    warmup_end: int
    """First step at the peak rate."""
    decay_start: int
    """First step whose update uses a falling rate; a run kept here can be extended instead of rerun."""
    peak: float
    min_ratio: float
    clamped: bool
    """The warm-up asked for left no stable step in the budget and was shortened."""
    clamp_reason: str | None

    def boundaries(self) -> tuple[int, int, int]:
        """(warmup_end, decay_start, total_steps)."""
        return self.warmup_end, self.decay_start, self.total_steps

    def lr(self, step: int) -> float:
        """Rate of the update made at a step, 0 <= step < total_steps.

        Rises linearly from peak / warmup_end, stays at the peak, and falls linearly so that the last update uses
        exactly min_ratio * peak. ValueError outside the budget.
        """
        if not 0 <= step < self.total_steps:
            raise ValueError(f"step must be from 0 to {self.total_steps - 1}, got {step}")
        if step < self.warmup_end:
            return self.peak * (step + 1) / self.warmup_end
        if step < self.decay_start:
            return self.peak
        share = (step - self.decay_start + 1) / (self.total_steps - self.decay_start)
        return self.peak * (1 - (1 - self.min_ratio) * share)


def schedule(spec: TrainingSpec) -> Schedule:
    """The schedule of a training spec.

    Warm-up and decay take their lengths from the base budget, and the multiplier lengthens only the stable phase:
    so a run of multiplier 2 is, update for update, the run of multiplier 1 up to that one's decay_start, and can start
    from the checkpoint kept there. (A re-stretched cosine, as in the sources, is another run from the first step on.)

    Raises:
        ValueError: no steps, a multiplier off the ladder, fractions outside 0..1, a rate that is not positive.
    """
    _refuse(spec)
    base = spec.total_steps
    total = base * spec.step_multiplier
    decay = _share(spec.decay_fraction, base)
    wanted = max(spec.min_warmup_steps, _share(spec.warmup_fraction, base))
    warmup = min(wanted, max(0, base - decay - 1))
    clamped = warmup < wanted
    reason = f"{base} steps with {decay} of decay leave {warmup} of {wanted} warm-up steps" if clamped else None
    return Schedule(
        base_steps=base,
        total_steps=total,
        warmup_end=warmup,
        decay_start=total - decay,
        peak=spec.lr,
        min_ratio=spec.min_lr_ratio,
        clamped=clamped,
        clamp_reason=reason,
    )


def _share(fraction: float, steps: int) -> int:
    # as written, not as stored: int(0.29 * 100) would be 28
    return int(Fraction(str(fraction)) * steps)


def _refuse(spec: TrainingSpec) -> None:
    if spec.total_steps < 1:
        raise ValueError(f"total_steps must be at least 1, got {spec.total_steps}")
    if spec.step_multiplier not in LADDER:
        raise ValueError(f"step_multiplier must be one of {LADDER}, got {spec.step_multiplier}")
    if spec.min_warmup_steps < 0:
        raise ValueError(f"min_warmup_steps must not be negative, got {spec.min_warmup_steps}")
    for name in ("warmup_fraction", "decay_fraction", "min_lr_ratio"):
        value = getattr(spec, name)
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be from 0 to 1, got {value}")
    if not spec.lr > 0:
        raise ValueError(f"lr must be positive, got {spec.lr}")
