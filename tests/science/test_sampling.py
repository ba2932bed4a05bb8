"""Draws against probabilities: each mode and weight type, and samplers that are wrong on purpose."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare

from squiggle_assets.science.policy import Policy
from tests.science.curriculum_items import family_shares, one_phase

COUNTS = {"cyclic_groups": 2, "inequalities": 6, "optimization": 12}
STEP = 5
"""Half of a ramp over 10 steps."""
NUM_SEEDS = 300

UNIFORM = "{type: uniform}"
PROPORTIONAL = "{type: proportional}"
EXPLICIT = "{type: explicit, explicit: {cyclic_groups: 3, inequalities: 1, optimization: 0.5}}"
RAMP = "{type: ramp, ramp: {from: {cyclic_groups: 1, inequalities: 0}, to: {inequalities: 1, cyclic_groups: 0}}}"
ITEMS = "{type: explicit, explicit: {cyclic_groups: 1, inequalities: 1, 'item:inequalities-0': 4}}"
LONE = "{type: explicit, explicit: {'item:cyclic_groups-0': 1, 'item:inequalities-0': 3}}"
ITEM_RAMP = "{type: ramp, ramp: {from: {inequalities: 1, 'item:inequalities-0': 0}, to: {'item:inequalities-0': 10}}}"
WEIGHTS = {
    "uniform": UNIFORM,
    "proportional": PROPORTIONAL,
    "explicit": EXPLICIT,
    "ramp": RAMP,
    "items": ITEMS,
    "lone": LONE,
    "item_ramp": ITEM_RAMP,
}
MODES = ("balanced_family", "proportional_family", "uniform_item", "weighted_family")

# Masses by hand at u = 1/2, over items (2 of cyclic_groups, 6 of inequalities, 12 of optimization):
# (base x w of each family), then the share of item inequalities-0.
HAND = {
    ("uniform", "balanced_family"): ((1, 1, 1), 1 / 3 / 6),
    ("uniform", "weighted_family"): ((1, 1, 1), 1 / 3 / 6),
    ("uniform", "proportional_family"): ((2, 6, 12), 1 / 20),
    ("uniform", "uniform_item"): ((2, 6, 12), 1 / 20),
    # proportional is the count taken once: not its square where the base is the count already
    ("proportional", "balanced_family"): ((2, 6, 12), 1 / 20),
    ("proportional", "weighted_family"): ((2, 6, 12), 1 / 20),
    ("proportional", "proportional_family"): ((2, 6, 12), 1 / 20),
    ("proportional", "uniform_item"): ((2, 6, 12), 1 / 20),
    ("explicit", "balanced_family"): ((3, 1, 0.5), 1 / 4.5 / 6),
    ("explicit", "weighted_family"): ((3, 1, 0.5), 1 / 4.5 / 6),
    ("explicit", "proportional_family"): ((6, 6, 6), 1 / 18),
    ("explicit", "uniform_item"): ((6, 6, 6), 1 / 18),
    ("ramp", "balanced_family"): ((0.5, 0.5, 0), 1 / 12),
    ("ramp", "weighted_family"): ((0.5, 0.5, 0), 1 / 12),
    ("ramp", "proportional_family"): ((1, 3, 0), 3 / 4 / 6),
    ("ramp", "uniform_item"): ((1, 3, 0), 3 / 4 / 6),
    # within inequalities: 4 of 4 + 5; pooled: 2 + 5 + 4 = 11
    ("items", "balanced_family"): ((1, 1, 0), 4 / 9 / 2),
    ("items", "weighted_family"): ((1, 1, 0), 4 / 9 / 2),
    ("items", "proportional_family"): ((2, 6, 0), 3 / 4 * 4 / 9),
    ("items", "uniform_item"): ((2, 9, 0), 4 / 11),
    # an item without its family is a family of one item, in every mode
    ("lone", "balanced_family"): ((1, 3, 0), 3 / 4),
    ("lone", "weighted_family"): ((1, 3, 0), 3 / 4),
    ("lone", "proportional_family"): ((1, 3, 0), 3 / 4),
    ("lone", "uniform_item"): ((1, 3, 0), 3 / 4),
    # v = 5 of 5 + 5
    ("item_ramp", "balanced_family"): ((0, 1, 0), 1 / 2),
    ("item_ramp", "weighted_family"): ((0, 1, 0), 1 / 2),
    ("item_ramp", "proportional_family"): ((0, 6, 0), 1 / 2),
    ("item_ramp", "uniform_item"): ((0, 10, 0), 1 / 2),
}


def policy_of(weights: str, mode: str) -> Policy:
    return one_phase(WEIGHTS[weights], mode, COUNTS)


def counts_of(policy: Policy) -> np.ndarray:
    draws = np.concatenate([policy.draw(seed, STEP) for seed in range(NUM_SEEDS)])
    return np.bincount(draws, minlength=len(policy.items))


def p_value(counts_n: np.ndarray, probabilities_n: np.ndarray) -> float:
    """Chance of draws this far from the probabilities; 0 where something impossible was drawn."""
    possible = probabilities_n > 0
    if counts_n[~possible].any():
        return 0.0
    return float(chisquare(counts_n[possible], counts_n.sum() * probabilities_n[possible]).pvalue)


@pytest.mark.parametrize(("weights", "mode"), HAND)
def test_probabilities_are_base_times_weight_as_by_hand(weights, mode):
    masses, item = HAND[weights, mode]
    policy = policy_of(weights, mode)
    wanted = {name: mass / sum(masses) for name, mass in zip(COUNTS, masses, strict=True)}
    assert family_shares(policy, STEP) == pytest.approx(wanted)
    row = policy.items["item_id"].to_list().index("inequalities-0")
    assert policy.probabilities(STEP)[row] == pytest.approx(item)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_draws_follow_the_probabilities(weights, mode):
    policy = policy_of(weights, mode)
    assert p_value(counts_of(policy), policy.probabilities(STEP)) > 1e-3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("weights", ["explicit", "ramp", "items", "lone", "item_ramp"])
def test_a_sampler_that_ignores_its_weights_fails_the_same_test(weights, mode):
    ignoring = counts_of(policy_of("uniform", mode))
    assert p_value(ignoring, policy_of(weights, mode).probabilities(STEP)) < 1e-12


def test_a_sampler_that_switches_instead_of_ramping_fails_the_same_test():
    ramping = policy_of("ramp", "balanced_family")
    draws = np.concatenate([ramping.draw(seed, 0) for seed in range(NUM_SEEDS)])
    counts = np.bincount(draws, minlength=len(ramping.items))
    assert p_value(counts, ramping.probabilities(0)) > 1e-3
    assert p_value(counts, ramping.probabilities(STEP)) < 1e-12


def test_a_sampler_off_by_a_twentieth_of_one_family_fails_the_same_test():
    # the test has the power to see what matters: 0.55 against 0.5
    near = one_phase("{type: explicit, explicit: {cyclic_groups: 0.55, inequalities: 0.45}}", "balanced_family", COUNTS)
    even = one_phase("{type: explicit, explicit: {cyclic_groups: 0.5, inequalities: 0.5}}", "balanced_family", COUNTS)
    assert p_value(counts_of(near), even.probabilities(STEP)) < 1e-6


def test_each_draw_is_a_pure_function_of_seed_and_step():
    one, two = policy_of("ramp", "balanced_family"), policy_of("ramp", "balanced_family")
    forward = [one.draw(42, step) for step in range(10)]
    backward = [two.draw(42, step) for step in reversed(range(10))][::-1]
    np.testing.assert_array_equal(forward, backward)


@pytest.mark.parametrize(("other_seed", "other_step"), [(1, 0), (0, 1)])
def test_neighbouring_seeds_and_steps_are_independent(other_seed, other_step):
    policy = one_phase(UNIFORM, "balanced_family", {"cyclic_groups": 1, "inequalities": 1, "optimization": 1})
    pairs = [(seed, seed + other_seed) for seed in range(NUM_SEEDS)]
    here = np.concatenate([policy.draw(seed, STEP) for seed, _ in pairs])
    there = np.concatenate([policy.draw(seed, STEP + other_step) for _, seed in pairs])
    table = np.zeros((3, 3))
    np.add.at(table, (here, there), 1)
    assert chi2_contingency(table).pvalue > 1e-3
    np.add.at(table, (here, here), 1)
    assert chi2_contingency(table).pvalue < 1e-12


def test_the_slots_of_a_batch_are_independent():
    policy = one_phase(UNIFORM, "balanced_family", {"cyclic_groups": 1, "inequalities": 1, "optimization": 1})
    batches = np.stack([policy.draw(seed, STEP) for seed in range(NUM_SEEDS)])
    table = np.zeros((3, 3))
    np.add.at(table, (batches[:, :-1].ravel(), batches[:, 1:].ravel()), 1)
    assert chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("weights", ["ramp", "explicit"])
def test_the_ends_of_the_uniform_range_draw_what_is_possible(weights):
    # at step 0 of the ramp the last two families have probability 0; cyclic_groups comes first
    policy = policy_of(weights, "balanced_family")
    least, most = 0.0, np.nextafter(1.0, 0.0)
    drawn = policy.phases[0].draw(np.array([[least, least, most, most], [least, most, least, most]]), 0)
    assert (policy.probabilities(0)[drawn] > 0).all()
    last = {"ramp": "cyclic_groups", "explicit": "optimization"}[weights]
    assert policy.items[drawn]["family_id"].to_list() == ["cyclic_groups", "cyclic_groups", last, last]


def test_a_family_of_probability_0_before_the_others_is_not_drawn_at_0():
    policy = one_phase("{type: explicit, explicit: {cyclic_groups: 0, optimization: 1}}", "balanced_family", COUNTS)
    drawn = policy.phases[0].draw(np.zeros((2, 1)), 0)
    assert policy.items[drawn]["family_id"].to_list() == ["optimization"]
