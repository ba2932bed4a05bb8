"""Experiment 2 of the corpus plan: do the items shown before an event cause it? Remove or replace them and see."""

from __future__ import annotations

from dataclasses import replace

from squiggle_assets.science.spec import Study
from squiggle_assets.science.waves import FollowUp
from squiggle_assets.studies.curriculum_ab import CURRICULUM_AB

_EDITS = ("exact", "remove", "replace")
_PARTS = (2, 4, 8)
"""The best half, quarter and eighth of the triggers are removed too: how few of them still do it."""


def _followups(parent: str, *conditions: str) -> tuple[FollowUp, ...]:
    edits = tuple(FollowUp(parent=parent, condition=each) for each in conditions)  # type: ignore[arg-type]
    parts = tuple(FollowUp(parent=parent, condition="remove", part=part) for part in _PARTS)
    return edits + parts + tuple(FollowUp(parent=parent, condition="placebo", draw=draw) for draw in range(5))


TRIGGER_MINING: Study = replace(
    CURRICULUM_AB,
    name="trigger_mining",
    kind="triggers",
    title="Trigger mining",
    hypothesis="Removing or replacing an event's triggers kills it; the same number of like edits elsewhere does not.",
    fresh_seeds=(20011, 20021, 20023, 20029, 20047, 20051, 20063, 20071),
    contrasts=(),
    followups=(*_followups("planted", "exact", "remove"), *_followups("blocked", *_EDITS)),
)
"""The runs are those of curriculum_ab: same arms, same seeds, found by their ids."""
