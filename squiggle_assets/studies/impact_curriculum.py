"""Experiment 5 of the corpus plan: does a curriculum that starts from the items discovery found bring more events?"""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from squiggle_assets.science.spec import Study
from squiggle_assets.science.waves import Core, FollowUp
from squiggle_assets.studies.curriculum_ab import CURRICULUM_AB

_WEIGHTS = (2, 1, 4)
"""In the order in which profiles take them."""
_RANDOM_CORES = 5
"""Draws of the random core per weight; a profile says how many it makes."""

IMPACT_CURRICULUM: Study = replace(
    CURRICULUM_AB,
    name="impact_curriculum",
    kind="impact",
    title="Impact curriculum",
    hypothesis=(
        "A curriculum that starts from the items that discovery ranks first brings more consensus events, and better "
        "held-out scores, on fresh seeds than one that starts from random or high-loss items of the same families."
    ),
    contrasts=(),
    followups=(
        FollowUp(parent="iid", condition="exact"),
        *(
            FollowUp(parent="iid", condition="exact", core=core, weight=weight, draw=draw)
            for weight in _WEIGHTS
            for core in get_args(Core)
            for draw in range(_RANDOM_CORES if core == "random" else 1)
        ),
    ),
)
"""Discovery has the arms and seeds of curriculum_ab, so its runs are found by their ids."""
