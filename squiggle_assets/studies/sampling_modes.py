"""Experiment 4 of the corpus plan: do triggers persist when the sampling mode changes?

One phase over all families in every arm, so that no boundary has a part in it; the shares of the families differ.
uniform_item is no arm: with equal weights it gives every item the chance that proportional_family gives it, and the
sampler, keyed by seed and step, then draws the very same items. A third mode that draws others is weighted_family
(tempered_baseline: families by the square root of their size in the sources' slice).
"""

from __future__ import annotations

from dataclasses import replace

from squiggle_assets.science.spec import Arm, Study
from squiggle_assets.studies.curriculum_ab import CURRICULUM_AB

SAMPLING_MODES: Study = replace(
    CURRICULUM_AB,
    name="sampling_modes",
    kind="sampling_modes",
    title="Sampling modes: which triggers persist",
    hypothesis="Triggers found under one sampling mode come before like events under every other mode.",
    arms=(
        replace(CURRICULUM_AB.arm("iid"), name="proportional"),
        replace(CURRICULUM_AB.arm("balanced"), role="treatment"),
        Arm(
            name="tempered",
            curriculum="tempered_baseline",
            role="treatment",
            description="Families by the square root of their size in the sources' slice, no structure in time.",
        ),
        Arm(
            name="placebo",
            curriculum="balanced_baseline",
            role="placebo",
            shuffle_families=True,
            description="Balanced over shuffled family labels: shares of families that mean nothing.",
        ),
        CURRICULUM_AB.only("planted"),
    ),
    contrasts=(),
)
"""proportional (iid), balanced and planted are runs of curriculum_ab, found by their ids."""
