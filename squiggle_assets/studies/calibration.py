"""The platform's own proof: does it stay silent where there is nothing, and see what was put in?"""

from __future__ import annotations

from squiggle_assets.science.calibration_spec import CalibrationStudy
from squiggle_assets.science.subsets import REPEAT, SUBSET
from squiggle_assets.science.waves import FollowUp
from squiggle_assets.studies.curriculum_ab import CURRICULUM_AB

NUM_SUBSETS = 5
"""Subset arms: with the 24 seeds of the demo 120 subsets."""

CALIBRATION = CalibrationStudy(
    name="calibration",
    kind="calibration",
    title="Calibration",
    hypothesis="Equal arms are called different as seldom as alpha, and a planted effect is found with its triggers.",
    arms=tuple(CURRICULUM_AB.arm(name) for name in ("iid", "placebo", "planted")),
    seeds=(
        *CURRICULUM_AB.seeds,
        *(11003, 11027, 11047, 11057, 11059, 11069, 11071, 11083),
    ),
    fresh_seeds=(
        *(12007, 12011, 12037, 12041, 12043, 12049, 12071, 12073, 12097, 12101, 12107, 12109),
        *(12113, 12119, 12143, 12149, 12157, 12161, 12163, 12197, 12203, 12211, 12227, 12239),
    ),
    contrasts=(),
    followups=(
        *(FollowUp(parent="planted", condition=SUBSET, draw=draw) for draw in range(NUM_SUBSETS)),  # type: ignore[arg-type]
        FollowUp(parent="planted", condition=REPEAT),  # type: ignore[arg-type]
    ),
)
"""Arms and first seeds are those of curriculum_ab: these runs are found by their ids, only the others are trained."""
