"""Experiment 3 of the corpus plan: does what a family does depend on when it is introduced?

The arms are the matched presets: every family and item is expected equally often in all of them, over the base budget,
and as often as in the balanced arm. In the plain presets a family that comes earlier also comes more often (blocked
targets fill 60 % of the run, controls 40 %), so that order and exposure could not be told apart. The price is that
phases are shorter than written: a block ends when its family has had four fifths of its draws (reserve .2), the rest is
left for the last phase, where effects are compared.
"""

from __future__ import annotations

from dataclasses import replace

from squiggle_assets.science.spec import Arm, Study
from squiggle_assets.studies.curriculum_ab import CURRICULUM_AB

ORDER: Study = replace(
    CURRICULUM_AB,
    name="order",
    kind="order",
    title="Order: effect by time of introduction",
    hypothesis="What a family does to the model, shown in the same mixture at the same time, depends on when it first "
    "came; the same blocks over shuffled labels show no such thing.",
    arms=(
        CURRICULUM_AB.arm("iid"),
        CURRICULUM_AB.arm("balanced"),
        Arm(
            name="blocked_early",
            curriculum="blocked_early_matched",
            role="treatment",
            description="One target family after the other, then everything; exposure as in balanced.",
        ),
        Arm(
            name="ramp",
            curriculum="family_ramp_matched",
            role="treatment",
            description="Targets only, then controls ramped in, then everything; exposure as in balanced.",
        ),
        Arm(
            name="controls_first",
            curriculum="controls_first_matched",
            role="treatment",
            description="Controls only, then targets ramped in, then everything; exposure as in balanced.",
        ),
        Arm(
            name="placebo",
            curriculum="blocked_early_matched",
            role="placebo",
            shuffle_families=True,
            description="The blocks of blocked_early over shuffled labels: the same introductions, of random items.",
        ),
        CURRICULUM_AB.only("planted"),
    ),
    contrasts=(),
)
"""iid, balanced and planted are runs of curriculum_ab, found by their ids. balanced is the last baseline: the arm
without order that the placebo is compared with; iid is the first: the planted arm's matched control."""
