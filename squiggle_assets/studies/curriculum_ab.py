"""Experiment 1 of the corpus plan: do blocked and ramp curricula yield more consensus events?"""

from __future__ import annotations

from squiggle_assets.science.spec import Arm, Contrast, Plant, Study

_EVENTS = "consensus_event_excess"

CURRICULUM_AB = Study(
    name="curriculum_ab",
    title="Curriculum A/B: event yield",
    hypothesis="Blocked and ramp curricula yield more consensus events than iid and balanced baselines.",
    arms=(
        Arm(
            name="iid",
            curriculum="iid_baseline",
            role="baseline",
            description="Families in proportion to their size, no structure in time.",
        ),
        Arm(
            name="balanced",
            curriculum="balanced_baseline",
            role="baseline",
            description="Every family equally likely, no structure in time.",
        ),
        Arm(
            name="blocked",
            curriculum="family_blocked",
            role="treatment",
            description="Six 10 % blocks of one target family each, then the balanced mixture.",
        ),
        Arm(
            name="ramp",
            curriculum="family_ramp",
            role="treatment",
            description="Targets only, then controls ramped in, then the full mixture.",
        ),
        Arm(
            name="placebo",
            curriculum="family_blocked",
            role="placebo",
            shuffle_families=True,
            description="The blocked schedule over shuffled family labels: the same boundaries, no family in a block.",
        ),
        Arm(
            name="planted",
            curriculum="iid_baseline",
            role="planted",
            plant=Plant(start=0.7, num_steps=8, share=1.0, band=0, metric_group="angle"),
            description="iid with known trigger items filling eight consecutive batches.",
        ),
    ),
    seeds=(42, 123, 456, 7, 19, 88, 311, 1024, 2048, 4096, 5150, 6007, 7919, 8675, 9001, 9973),
    fresh_seeds=(10007, 10009, 10037, 10039, 10061, 10067, 10069, 10079),
    contrasts=(
        Contrast(arm="blocked", against="iid", outcome=_EVENTS, direction="greater", margin=0.0),
        Contrast(arm="blocked", against="balanced", outcome=_EVENTS, direction="greater", margin=0.0),
        Contrast(arm="ramp", against="iid", outcome=_EVENTS, direction="greater", margin=0.0),
        Contrast(arm="ramp", against="balanced", outcome=_EVENTS, direction="greater", margin=0.0),
        Contrast(arm="placebo", against="iid", outcome=_EVENTS, direction="greater", margin=0.0),
    ),
)
