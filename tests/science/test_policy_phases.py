"""Phases of a policy: ramps, blocks, filters, families that the data lack."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from squiggle_assets.science.curriculum import load_preset
from squiggle_assets.science.families import CONTROLS, NAMES, TARGETS
from squiggle_assets.science.policy import resolve
from tests.science.curriculum_items import family_shares, items_of, template_of
from tests.science.policy_presets import EVEN, SMALL, preset


def test_a_ramp_never_jumps():
    # share of controls = 11 u / (6 + 11 u), steepest at u = 0: 11/6 over 80 steps
    policy = preset("family_ramp")
    shares = np.array([sum(family_shares(policy, step)[name] for name in CONTROLS) for step in range(59, 140)])
    steps = np.diff(shares)
    assert steps.max() <= 11 / 6 / 80
    assert (steps[1:] > 0).all()
    # an item of a target has 1 / (6 (6 + 11 u)), steepest at u = 0; one of a control moves less
    jumps = [np.abs(policy.probabilities(t + 1) - policy.probabilities(t)).max() for t in range(59, 139)]
    assert max(jumps) <= 11 / 36 / 6 / 80
    # at its end it meets the phase after it: 6 items a family, so proportional is balanced
    assert np.abs(policy.probabilities(140) - policy.probabilities(139)).max() < 11 / 36 / 6 / 80


def test_blocks_draw_one_target_each_and_the_tail_draws_all():
    policy = preset("family_blocked")
    for block, family in enumerate(TARGETS):
        for step in (20 * block, 20 * block + 19):
            assert family_shares(policy, step)[family] == pytest.approx(1)
            assert policy.phase_at(step) == (block, family)
    assert family_shares(policy, 120) == pytest.approx(dict.fromkeys(NAMES, 1 / 17))
    assert policy.phase_boundaries() == [
        *((20 * block, f"phase:{TARGETS[block]}") for block in range(1, 6)),
        (120, "phase:all"),
    ]


def test_iid_draws_every_item_alike_and_balanced_every_family():
    counts = dict(zip(NAMES, range(1, 18), strict=True))
    iid, balanced = preset("iid_baseline", counts), preset("balanced_baseline", counts)
    assert np.ptp(iid.probabilities(0)) == pytest.approx(0)
    assert family_shares(balanced, 0) == pytest.approx(dict.fromkeys(NAMES, 1 / 17))


def test_difficulty_ramp_draws_easy_then_not_hard_then_all():
    policy = preset("difficulty_ramp")
    allowed = {0: {"easy"}, 100: {"easy", "medium"}, 199: {"easy", "medium", "hard"}}
    for step, wanted in allowed.items():
        drawable = policy.items.filter(pl.Series(policy.probabilities(step) > 0))
        assert set(drawable["difficulty_proxy"]) == wanted
        assert np.ptp(policy.probabilities(step)[policy.probabilities(step) > 0]) == pytest.approx(0)


def test_token_length_filters_keep_both_ends():
    made = template_of(
        "- {name: a, start: 0, end: 1, families: {include: '*'}, filters: {token_len: {min: 11, max: 13}}}"
    )
    policy = resolve(made, items_of({"inequalities": 9}), total_steps=2, batch_size=2)
    drawable = policy.items.filter(pl.Series(policy.probabilities(0) > 0))
    assert sorted(drawable["token_len"]) == [11, 12, 13]


def test_excluded_families_are_not_drawn():
    made = template_of("- {name: a, start: 0, end: 1, families: {include: '*', exclude: [inequalities]}}")
    policy = resolve(made, items_of(SMALL), total_steps=2, batch_size=2)
    assert family_shares(policy, 0) == pytest.approx({"cyclic_groups": 1, "inequalities": 0})


def test_families_that_the_data_lack_are_dropped_and_recorded():
    counts = {name: 4 for name in NAMES if name not in ("logic_proof", "cyclic_groups")}
    policy = preset("family_ramp", counts)
    assert policy.manifest()["dropped_families"] == ["cyclic_groups", "logic_proof"]
    assert policy.manifest()["resolved_phases"][0]["dropped_families"] == ["cyclic_groups"]
    assert family_shares(policy, 0)["functional_equations"] == pytest.approx(1 / 5)


def test_the_order_of_the_items_is_of_no_consequence():
    items = items_of(EVEN)
    one = resolve(load_preset("family_ramp"), items, total_steps=50, batch_size=8)
    two = resolve(load_preset("family_ramp"), items.reverse(), total_steps=50, batch_size=8)
    assert one.curriculum_id == two.curriculum_id
    np.testing.assert_array_equal(one.draw(1, 30), two.draw(1, 30))
    assert one.items.equals(two.items)
