"""Simulated arms: noise of known size, events of known size and place, with the statistics' own test run on them.

Here: increments of an arm with and without a common event, under schedules that shape the noise; rejection and power.
Not here: the test itself (nulls), real runs.
Legend: S = seeds, K = series, T = increments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science import rng
from squiggle_assets.science.cells import ArmSeries, Schedule, cells_of
from squiggle_assets.science.nulls import with_nulls
from squiggle_assets.science.spec import ConsensusSpec, DetectionSpec
from squiggle_assets.science.stats import benjamini_hochberg

F64 = NDArray[np.float64]
Noise = Literal["white", "learning_rate", "boundary_1", "boundary_3"]
NOISES: tuple[Noise, ...] = ("white", "learning_rate", "boundary_1", "boundary_3")
"""white: one size throughout; learning_rate: size follows warm-up and decay; boundary_n: size × 4 for n captures
after every block boundary. The same in all seeds: nothing but the schedule agrees."""

DETECTION = DetectionSpec()
"""The detector of a study that names no other."""
_METRICS = ("effective_rank", "sparsity_proxy", "principal_angle")


@dataclass(frozen=True, kw_only=True)
class Design:
    """A simulated arm; the defaults are the demo's: 8 seeds, 100 increments, 4 layers × 3 metric groups = 12 cells."""

    num_seeds: int = 8
    num_increments: int = 100
    num_layers: int = 4
    layer_correlation: float = 0.9
    """Between the increments of any two layers, per metric group."""
    capture_every: int = 2
    noise: Noise = "white"
    size: float = 0.0
    """Event in every seed, in standard deviations of the plain increments of its series; 0 = none."""
    jitter: int = 1
    """Captures by which the event may come earlier or later in each seed."""

    def __post_init__(self) -> None:
        """Refuse designs that cannot be simulated."""
        if self.num_seeds < 2 or self.num_increments < 40 or not 0 <= self.layer_correlation <= 1:
            raise ValueError(
                f"a design needs 2 seeds, 40 increments and a correlation between 0 and 1, got {self.num_seeds}, "
                f"{self.num_increments}, {self.layer_correlation}"
            )


class SimulatedOutcome(NamedTuple):
    """What the pre-registered test said about one simulated arm."""

    p_value: float
    """Max-statistic p over all cells, the larger of the two null families."""
    q_value: float
    """Smallest Benjamini-Hochberg q of any cell."""
    num_events: int
    null_mean: float
    """Mean number of consensus events in the null family with more of them."""


def schedule_of(design: Design) -> Schedule:
    """Warm-up of 5 %, decay from 85 % on; six blocks of a tenth where the noise follows boundaries."""
    total = design.num_increments * design.capture_every
    blocks = tuple(total * part // 10 for part in range(1, 7)) if design.noise.startswith("boundary") else ()
    return Schedule(warmup_end=total // 20, decay_start=total * 17 // 20, phase_starts=blocks)


def simulated_arm(design: Design, draws: np.random.Generator) -> ArmSeries:
    """Gaussian increments with correlated layers, the noise's envelope, and (size > 0) one event in one series."""
    shape = design.num_seeds, design.num_layers, len(_METRICS), design.num_increments
    common = draws.normal(size=(shape[0], 1, *shape[2:]))
    own = draws.normal(size=shape)
    rho = design.layer_correlation
    plain = (np.sqrt(rho) * common + np.sqrt(1 - rho) * own).reshape(shape[0], -1, shape[-1])
    schedule = schedule_of(design)
    steps = np.arange(1, design.num_increments + 1) * design.capture_every
    increments = plain * _noise_size(design, schedule, steps)
    if design.size > 0:
        _add_event(increments, design, draws)
    layers = tuple(int(layer) for layer in np.repeat(np.arange(design.num_layers), len(_METRICS)))
    metrics = _METRICS * design.num_layers
    levels = np.concatenate([np.zeros((*increments.shape[:2], 1)), increments.cumsum(axis=-1)], axis=-1)
    return ArmSeries(
        seeds=tuple(range(design.num_seeds)),
        layers=layers,
        metrics=metrics,
        steps=steps,
        increments=increments,
        levels=levels,
        min_threshold=np.zeros(len(metrics)),
        cells=cells_of(layers, metrics, design.num_layers),
        schedule=schedule,
    )


def _noise_size(design: Design, schedule: Schedule, steps: NDArray[np.int64]) -> F64:
    size = np.ones(len(steps))
    if design.noise == "learning_rate":
        size = np.minimum(1.0, steps / schedule.warmup_end)
        decay = float(schedule.decay_start or steps[-1])
        return np.where(steps > decay, 1 - 0.9 * (steps - decay) / (steps[-1] - decay), size)
    if design.noise.startswith("boundary"):
        length = int(design.noise.removeprefix("boundary_"))
        for start in schedule.phase_starts:
            first = int(np.searchsorted(steps, start, side="right"))
            size[first : first + length] = 4.0
    return size


def _add_event(increments: F64, design: Design, draws: np.random.Generator) -> None:
    """The event lies in one series, at one time between 15 % and 85 % of the run, with one sign, in every seed."""
    edge = max(design.jitter, design.num_increments * 3 // 20)
    centre = int(draws.integers(edge, design.num_increments - edge))
    series, sign = int(draws.integers(increments.shape[1])), float(draws.choice([-1.0, 1.0]))
    at = centre + draws.integers(-design.jitter, design.jitter + 1, size=design.num_seeds)
    increments[np.arange(design.num_seeds), series, at] += sign * design.size


def simulated_outcome(
    design: Design, spec: ConsensusSpec, study: int, detection: DetectionSpec = DETECTION
) -> SimulatedOutcome:
    """One simulated arm, tested as a real one is; the study's number keys all its randomness.

    Absolute floors of the detector (adaptive_min_threshold) play no part: simulated increments have no unit.
    """
    draws = rng.generator("simulation", design.noise, str(design), study)
    series = simulated_arm(design, draws)
    seen = with_nulls(series, detection, spec, draws)
    cell_p = np.max(list(seen.cell_p().values()), axis=0)
    return SimulatedOutcome(
        seen.study_p(),
        float(benjamini_hochberg(cell_p).min()),
        seen.num_events(series.steps),
        max(float(null.count.mean()) for null in seen.nulls),
    )


def studies(
    design: Design, spec: ConsensusSpec, num_studies: int, detection: DetectionSpec = DETECTION
) -> Iterator[SimulatedOutcome]:
    """That many simulated arms of one design."""
    return (simulated_outcome(design, spec, study, detection) for study in range(num_studies))


def num_rejected(results: list[SimulatedOutcome], alpha: float) -> int:
    """Studies whose pre-registered p is at most alpha, as claims are judged."""
    return sum(result.p_value <= alpha for result in results)
