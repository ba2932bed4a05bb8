"""What a policy draws: expected exposure, and what extra steps of the ladder add."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squiggle_assets.science.families import NAMES, TARGETS
from squiggle_assets.science.policy import Policy, resolve
from tests.science.curriculum_items import family_shares, items_of, one_phase, planted_items, template_of
from tests.science.policy_presets import PLANT, SMALL, drawn_totals, preset


def test_expected_draws_by_hand():
    # 10 steps of 8 draws, half to a family of 2 and half to one of 6: 20 and 6 2/3 an item
    policy = one_phase("{type: uniform}", "balanced_family", SMALL, total_steps=10, batch_size=8)
    by_item = dict(zip(policy.items["item_id"], policy.expected_draws(0, 10), strict=True))
    assert by_item["cyclic_groups-1"] == pytest.approx(20)
    assert by_item["inequalities-3"] == pytest.approx(20 / 3)


def test_expected_draws_of_a_ramp_by_hand():
    # u = 0, 1/4, 1/2, 3/4: the second family has u / (1 + u) = 0, 1/5, 1/3, 3/7 of 8 draws
    ramp = "{type: ramp, ramp: {from: {cyclic_groups: 1, inequalities: 0}, to: {inequalities: 1}}}"
    policy = one_phase(ramp, "balanced_family", SMALL, total_steps=4, batch_size=8)
    wanted = 8 * (1 / 5 + 1 / 3 + 3 / 7)
    exposure = policy.exposure_by_family().filter(pl.col("family_id") == "inequalities")
    assert exposure["expected_draws"].item() == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("name", "ramp_share", "whole"),
    [
        ("family_ramp", 6 / 11 * math.log(17 / 6), 0.30 + 0.40 * 6 / 11 * math.log(17 / 6) + 0.30 * 6 / 17),
        ("controls_first", 1 - 11 / 6 * math.log(17 / 11), 0.40 * (1 - 11 / 6 * math.log(17 / 11)) + 0.30 * 6 / 17),
    ],
)
def test_ramps_give_the_targets_the_share_of_the_integral(name, ramp_share, whole):
    policy = preset(name, total_steps=4000, batch_size=1)
    exposure = policy.expected_exposure().filter(pl.col("family_id").is_in(TARGETS))
    ramp = exposure.filter(pl.col("phase_idx") == 1)["expected_draws"].sum() / 1600
    assert ramp == pytest.approx(ramp_share, abs=1e-3)
    assert exposure["expected_draws"].sum() / 4000 == pytest.approx(whole, abs=1e-3)


@pytest.mark.parametrize("name", ["family_ramp", "difficulty_ramp"])
def test_expected_draws_agree_with_drawing_many_times(name):
    policy = preset(
        name,
        total_steps=30,
        batch_size=8,
        plant=PLANT,
        planted=planted_items(4),
        extra_steps=5,
        shuffle_families_seed=1,
    )
    num_seeds = 300
    expected = policy.expected_draws(0, policy.num_steps)
    seen = drawn_totals(policy, range(num_seeds))
    # the variance of a sum of draws is at most its mean
    z = (seen - expected) / np.sqrt(np.maximum(expected, 1e-12) / num_seeds)
    assert np.abs(z[expected > 0]).max() < 4.5
    assert not seen[expected == 0].any()
    assert 0.8 < np.sqrt(np.mean(z[expected > 0] ** 2)) < 1.2


def test_expected_exposure_is_the_sum_of_the_probabilities_of_its_steps():
    policy = preset("family_ramp", total_steps=40, plant=PLANT, planted=planted_items(3), extra_steps=10)
    table = policy.expected_exposure()
    for (first, stop), part in table.group_by("start_step", "end_step"):
        brute = 8 * sum(policy.probabilities(step) for step in range(first, stop))
        np.testing.assert_allclose(part["expected_draws"], brute, rtol=1e-12, atol=1e-12)
    assert table["expected_draws"].sum() == pytest.approx(8 * 50)
    assert len(table) == 3 * len(policy.items)
    assert table["end_step"].max() == 50


@st.composite
def policies(draw) -> Policy:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True))
    counts = {name: draw(st.integers(1, 9)) for name in names}
    weight = st.integers(0, 10**5).map(lambda thousandths: thousandths / 1000)
    first, last = ({name: draw(weight) for name in names} for _ in range(2))
    first[names[0]], last[names[1]] = 1.0, 2.0
    given_weights = draw(
        st.sampled_from(
            [
                "{type: uniform}",
                "{type: proportional}",
                f"{{type: explicit, explicit: {first}}}",
                f"{{type: ramp, ramp: {{from: {first}, to: {last}}}}}",
            ]
        )
    )
    mode = draw(st.sampled_from(["balanced_family", "proportional_family", "uniform_item", "weighted_family"]))
    return one_phase(given_weights, mode, counts, total_steps=draw(st.integers(1, 30)), batch_size=4)


@given(policies())
@settings(max_examples=50, deadline=None)
def test_probabilities_are_a_distribution_at_every_step(policy):
    for step in range(policy.num_steps):
        p = policy.probabilities(step)
        assert (p >= 0).all()
        assert p.sum() == pytest.approx(1)
        assert (p[policy.draw(0, step)] > 0).all()


@pytest.mark.parametrize("name", ["family_ramp", "family_blocked_matched"])
def test_a_longer_run_extends_a_shorter_one(name):
    short, long = preset(name), preset(name, extra_steps=200)
    for step in (0, 70, 199):
        np.testing.assert_array_equal(short.draw(3, step), long.draw(3, step))
    assert long.curriculum_id == short.curriculum_id
    assert long.phase_boundaries() == short.phase_boundaries()
    assert long.phase_at(399) == short.phase_at(199)
    np.testing.assert_array_equal(long.probabilities(200), long.probabilities(399))


def test_extra_steps_stand_at_the_final_weights_of_a_ramp():
    ramp = "{type: ramp, ramp: {from: {cyclic_groups: 1, inequalities: 0}, to: {cyclic_groups: 1, inequalities: 3}}}"
    made = template_of(f"- {{name: a, start: 0, end: 1, families: {{include: '*'}}, weights: {ramp}}}")
    policy = resolve(made, items_of(SMALL), total_steps=10, batch_size=2, extra_steps=5)
    for step in (10, 14):
        assert family_shares(policy, step) == pytest.approx({"cyclic_groups": 1 / 4, "inequalities": 3 / 4})
    assert family_shares(policy, 9)["inequalities"] == pytest.approx(2.7 / 3.7)
