"""Which like item stands in for another one: what the choice among equally good ones depends on."""

from __future__ import annotations

import numpy as np
from scipy.stats import chisquare

from squiggle_assets.science.replay import recorded
from squiggle_assets.science.substitutes import Candidates
from squiggle_assets.science.trace import trace_rows
from tests.science.policy_presets import preset

POLICY = preset("iid_baseline", {"inequalities": 60, "optimization": 12}, total_steps=40)
RUN = recorded(
    POLICY, trace_rows(POLICY, 1, range(40), micro_batch=8), seed=1, curriculum_id=POLICY.curriculum_id
)  # fmt: skip


def test_equally_good_substitutes_are_drawn_anew_at_every_step_and_slot() -> None:
    candidates = Candidates(recorded=RUN, triggers=np.array([0]))
    by_step = [candidates.substitute(0, step, ("test", "slot")).item for step in range(40)]
    by_slot = [candidates.substitute(0, 9, ("test", str(slot))).item for slot in range(40)]
    assert len(set(by_step)) >= 2 and len(set(by_slot)) >= 2
    assert by_step == [candidates.substitute(0, step, ("test", "slot")).item for step in range(40)]
    # each as likely as any other: 99.9 % of chi-square
    found = [candidates.substitute(0, step, ("fair", str(slot))).item for step in range(40) for slot in range(5)]
    assert chisquare(np.unique(found, return_counts=True)[1]).pvalue > 0.001
