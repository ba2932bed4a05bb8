"""What a study could see before anything is spent: the smallest detectable event and the smallest attainable p.

Here: minimum detectable effects of a study's design, by simulation. Not here: the simulated arms (simulation),
formulas (stats).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from squiggle_assets.science.comparison import MAX_SWAPS, NUM_SWAPS
from squiggle_assets.science.metrics import METRIC_GROUPS
from squiggle_assets.science.simulation import DETECTION, Design, num_rejected, studies
from squiggle_assets.science.spec import ConsensusSpec, DetectionSpec
from squiggle_assets.science.stats import (
    detectable_paired,
    smallest_corrected_p,
    smallest_effect,
    smallest_sign_flip_p,
)

SIZES = np.array([1.0, 2.0, 3.0, 4.0, 6.0])


class Detectable(NamedTuple):
    """What a design of this size can show; nan where no size tried reaches the power."""

    event_size: float
    """Common event in every seed, in robust sd of the increments, found with the wanted power."""
    paired_difference: float
    """Difference of an outcome between two arms, in sd of the paired differences (t approximation)."""
    smallest_q: float
    """Smallest q of a contrast between arms, one-sided: over label swaps and over null draws."""
    num_studies: int
    """Simulated studies per size."""


def minimum_detectable(
    num_seeds: int,
    num_captures: int,
    num_contrasts: int,
    spec: ConsensusSpec,
    *,
    detection: DetectionSpec = DETECTION,
    capture_every: int = 2,
    power: float = 0.8,
    num_studies: int = 20,
    draws_per_cell: int = 10,
) -> Detectable:
    """The smallest effects that a study of this size, detector and cadence finds with the wanted power.

    capture_every: steps between captures, against which the detector's radius and the tolerance are steps.
    Simulation on white noise with layers correlated .9: the best case. With 20 studies a size the share has a
    standard error of about .09 at a power of .8, enough to plan with. draws_per_cell is that of the simulated tests
    only. ValueError as `Design`.
    """
    design = Design(
        num_seeds=num_seeds,
        num_increments=num_captures - 1,
        num_layers=spec.num_bands,
        capture_every=capture_every,
    )
    cheap = replace(spec, draws_per_cell=draws_per_cell)

    def power_at(size: float) -> float:
        found = studies(replace(design, size=size), cheap, num_studies, detection)
        return num_rejected(list(found), spec.alpha) / num_studies

    return Detectable(
        event_size=smallest_effect(power_at, SIZES, power),
        paired_difference=detectable_paired(num_seeds, alpha=spec.alpha, power=power),
        smallest_q=smallest_corrected_p(_smallest_p(num_seeds, spec), max(1, num_contrasts)),
        num_studies=num_studies,
    )


def _smallest_p(num_seeds: int, spec: ConsensusSpec) -> float:
    """The best that comparison.excess_difference can give: over swaps of labels, and over the draws of the nulls."""
    swaps = smallest_sign_flip_p(num_seeds, "greater") if num_seeds <= MAX_SWAPS else 1 / (1 + NUM_SWAPS)
    return max(swaps, 1 / (1 + spec.draws_per_cell * spec.num_bands * len(METRIC_GROUPS)))
