from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squiggle_assets.science.curriculum import load_preset, parse_template
from squiggle_assets.science.families import CONTROLS, NAMES, TARGETS
from squiggle_assets.science.policy import Policy, resolve
from squiggle_assets.science.spec import Plant
from tests.science.curriculum_items import family_shares, items_of, one_phase, planted_items, template_of

EVEN = dict.fromkeys(NAMES, 6)
SMALL = {"cyclic_groups": 2, "inequalities": 6}
PLANT = Plant(start=0.5, num_steps=4, share=0.75, num_items=3)


def preset(name: str, counts: dict[str, int] = EVEN, **changes) -> Policy:
    sizes = {"total_steps": 200, "batch_size": 8, **changes}
    return resolve(load_preset(name), items_of(counts), **sizes)


def drawn_totals(policy: Policy, seeds: range) -> np.ndarray:
    steps = range(policy.num_steps)
    draws = np.concatenate([policy.draw(seed, step) for seed in seeds for step in steps])
    return np.bincount(draws, minlength=len(policy.items)) / len(seeds)


# --- expected exposure ---------------------------------------------------------------------------------------------


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


# --- phases --------------------------------------------------------------------------------------------------------


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


# --- the step ladder -----------------------------------------------------------------------------------------------


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


# --- plant ---------------------------------------------------------------------------------------------------------


def test_planted_items_fill_the_first_slots_of_their_steps_and_nothing_else_changes():
    plain = preset("iid_baseline")
    planted = preset("iid_baseline", plant=PLANT, planted=planted_items(5))
    for step in range(200):
        inside = 100 <= step < 104
        slots = 6 if inside else 0
        draw = planted.draw(42, step)
        assert planted.planted_slots(step) == slots
        assert planted.items[draw]["planted"].to_list() == [True] * slots + [False] * (8 - slots)
        np.testing.assert_array_equal(draw[slots:], plain.draw(42, step)[slots:])
    assert planted.phase_boundaries() == plain.phase_boundaries() == []
    assert planted.phase_at(101) == plain.phase_at(101)


def test_planted_exposure_by_hand():
    # 4 steps x 6 slots over 3 items = 8 draws each; the 102 training items share the other 200 x 8 - 24
    policy = preset("iid_baseline", plant=PLANT, planted=planted_items(5))
    expected = policy.expected_draws(0, 200)
    np.testing.assert_allclose(expected[policy.num_training_items :], [8, 8, 8])
    np.testing.assert_allclose(expected[: policy.num_training_items], (1600 - 24) / 102)
    assert policy.items.filter("planted")["item_id"].to_list() == ["planted-0", "planted-1", "planted-2"]


def test_every_planted_item_is_drawn_and_seeds_differ():
    policy = preset("iid_baseline", plant=PLANT, planted=planted_items(3))
    one, two = (np.concatenate([policy.draw(seed, step)[:6] for step in range(100, 104)]) for seed in (1, 2))
    assert set(one) == {102, 103, 104}
    assert not np.array_equal(one, two)


def test_planted_items_without_a_plant_stay_out():
    policy = preset("iid_baseline", planted=planted_items(5))
    assert policy.num_planted_items == 0


@pytest.mark.parametrize(
    ("plant", "fragment"),
    [
        (Plant(start=0.5, num_steps=4, share=0.01), "fill at least one of 8 slots, got 0.01"),
        (Plant(start=0.5, num_steps=4, share=1.5), "got 1.5"),
        (Plant(start=0.99, num_steps=4, share=0.5), "within the base budget of 200 steps"),
        (Plant(start=-0.1, num_steps=4, share=0.5), "plant.start -0.1"),
        (Plant(start=0.5, num_steps=0, share=0.5), "plant.num_steps 0"),
        (Plant(start=0.5, num_steps=4, share=0.5, num_items=9), "wants 9 planted items (at least 1), and 8 are there"),
    ],
)
def test_a_plant_that_cannot_be_laid_is_refused(plant, fragment):
    with pytest.raises(ValueError, match="plant") as caught:
        preset("iid_baseline", plant=plant, planted=planted_items(8))
    assert fragment in str(caught.value)


# --- placebo -------------------------------------------------------------------------------------------------------


def test_shuffled_labels_keep_their_numbers_and_the_true_family_stays():
    counts = dict(zip(NAMES, range(3, 20), strict=True))
    plain, placebo = preset("family_blocked", counts), preset("family_blocked", counts, shuffle_families_seed=1)
    assert placebo.items["family_id"].equals(plain.items["family_id"])
    assert dict(placebo.items["policy_family_id"].value_counts().iter_rows()) == counts
    assert (placebo.items["family_id"] != placebo.items["policy_family_id"]).mean() > 0.8
    assert plain.items["family_id"].equals(plain.items["policy_family_id"].alias("family_id"))
    assert placebo.phase_boundaries() == plain.phase_boundaries()


def test_a_shuffled_block_holds_items_of_many_families_and_a_plain_one_of_one():
    families = []
    for seed in (None, 1):
        policy = preset("family_blocked", dict.fromkeys(NAMES, 30), shuffle_families_seed=seed)
        drawable = policy.items.filter(pl.Series(policy.probabilities(0) > 0))
        assert len(drawable) == 30
        families.append(drawable["family_id"].n_unique())
    assert families[0] == 1
    assert families[1] >= 10


def test_shuffling_is_seeded_and_leaves_planted_items_alone():
    def labels(seed: int) -> list[str]:
        policy = preset("iid_baseline", plant=PLANT, planted=planted_items(3), shuffle_families_seed=seed)
        assert policy.items["policy_family_id"].to_list()[-3:] == ["planted"] * 3
        return policy.items["policy_family_id"].to_list()

    assert labels(1) == labels(1)
    assert labels(1) != labels(2)


def test_exposure_by_family_tells_true_from_shuffled_labels():
    counts = {"functional_equations": 50, "bijection_counting": 50}
    made = template_of("- {name: a, start: 0, end: 1, families: {include: [bijection_counting]}}")
    policy = resolve(made, items_of(counts), total_steps=5, batch_size=10, shuffle_families_seed=3)
    rows = {row["family_id"]: row for row in policy.exposure_by_family().to_dicts()}
    assert rows["bijection_counting"]["policy_expected_draws"] == pytest.approx(50)
    assert rows["functional_equations"]["policy_expected_draws"] == 0
    assert policy.manifest()["shuffle_families_seed"] == 3
    both = policy.items.filter(pl.col("family_id") != pl.col("policy_family_id"))
    strangers = (both["policy_family_id"] == "bijection_counting").sum()
    assert rows["functional_equations"]["expected_draws"] == pytest.approx(strangers)
    assert 10 < strangers < 40


# --- manifest and id -----------------------------------------------------------------------------------------------


def test_the_manifest_is_json_and_says_what_was_resolved():
    policy = preset("family_ramp", plant=PLANT, planted=planted_items(3))
    said = json.loads(json.dumps(policy.manifest(), allow_nan=False))
    assert said["curriculum_id"] == policy.curriculum_id
    assert said["yaml_sha256"] == load_preset("family_ramp").yaml_sha256
    assert said["family_counts"] == EVEN
    assert [(p["start_step"], p["end_step"]) for p in said["resolved_phases"]] == [(0, 60), (60, 140), (140, 200)]
    ramp = said["resolved_phases"][1]
    assert ramp["ramp"]["from"]["families"] == {**dict.fromkeys(TARGETS, 1), **dict.fromkeys(CONTROLS, 0)}
    assert ramp["ramp"]["to"]["families"] == dict.fromkeys(NAMES, 1)
    assert ramp["sampling_mode"] == "balanced_family"
    assert said["resolved_phases"][2]["weights"] == EVEN  # proportional: base x w is the count
    assert said["plant"] == {
        "start_step": 100,
        "end_step": 104,
        "slots": 6,
        "item_ids": ["planted-0", "planted-1", "planted-2"],
    }
    assert sum(said["expected_exposure_by_family"].values()) == pytest.approx(1600)
    assert sum(said["expected_exposure_by_item"].values()) == pytest.approx(1600)
    assert said["expected_exposure_by_family"]["planted"] == pytest.approx(24)


def test_item_weights_are_in_the_manifest():
    weights = "{type: explicit, explicit: {inequalities: 2, 'item:inequalities-0': 5, 'item:cyclic_groups-0': 3}}"
    phase = one_phase(weights, "proportional_family", SMALL).manifest()["resolved_phases"][0]
    assert phase["weights"] == {"inequalities": 12, "item:cyclic_groups-0": 3}
    assert phase["item_weights"] == {"item:inequalities-0": 5}


def test_the_id_changes_with_what_is_drawn_and_with_nothing_else():
    def made(weight: int, comment: str = "") -> Policy:
        weights = f"{{type: explicit, explicit: {{inequalities: 1, cyclic_groups: {weight}}}}}"
        phase = f"{{name: a, start: 0, end: 1, families: {{include: '*'}}, weights: {weights}}}"
        text = f"version: 1\nname: made\n{comment}phases: [{phase}]\n"
        return resolve(parse_template(text, "made.yaml"), items_of(SMALL), total_steps=10, batch_size=2)

    base = made(1)
    assert base.curriculum_id == made(1, "# words\n").curriculum_id
    assert base.manifest()["yaml_sha256"] != made(1, "# words\n").manifest()["yaml_sha256"]
    others = [
        made(2),
        resolve(base.template, items_of({**SMALL, "inequalities": 7}), total_steps=10, batch_size=2),
        resolve(base.template, items_of(SMALL), total_steps=11, batch_size=2),
        resolve(base.template, items_of(SMALL), total_steps=10, batch_size=3),
        resolve(base.template, items_of(SMALL), total_steps=10, batch_size=2, shuffle_families_seed=1),
    ]
    assert len({base.curriculum_id, *(other.curriculum_id for other in others)}) == 6


# --- refusals ------------------------------------------------------------------------------------------------------


def refused(phases: str, counts: dict[str, int], total_steps: int = 10, **top: str) -> str:
    with pytest.raises(ValueError, match=r"\Amade\.yaml: phase 'warm': ") as caught:
        resolve(template_of(phases, **top), items_of(counts), total_steps=total_steps, batch_size=4)
    return str(caught.value)


def warm(rest: str, families: str = "{include: '*'}") -> str:
    return f"- {{name: warm, start: 0, end: 1, families: {families}{rest}}}"


def test_a_phase_whose_families_the_data_lack_is_refused():
    message = refused(warm("", "{include: [optimization]}"), SMALL)
    assert "families: empty phase" in message
    assert "optimization" in message


def test_a_phase_whose_filters_leave_nothing_is_refused():
    message = refused(warm(", filters: {token_len: {min: 900}}"), SMALL)
    assert "families: empty phase" in message
    assert "filters leave no item" in message


def test_a_phase_whose_weighted_families_the_data_lack_is_refused():
    weights = ", weights: {type: explicit, explicit: {optimization: 1, inequalities: 0}}"
    message = refused(warm(weights), SMALL)
    assert "weights.explicit: empty phase" in message
    assert "optimization" in message


def test_a_ramp_that_begins_on_families_the_data_lack_is_refused():
    ramp = ", weights: {type: ramp, ramp: {from: {optimization: 1, inequalities: 0}, to: {inequalities: 1}}}"
    assert "weights.ramp.from: empty phase" in refused(warm(ramp), SMALL)


def test_a_weight_of_an_item_that_is_not_there_is_refused():
    assert "weights.explicit.item:x: no such training item" in refused(
        warm(", weights: {type: explicit, explicit: {'item:x': 1}}"), SMALL
    )


def test_a_weight_of_an_item_that_is_filtered_out_is_refused():
    weights = ", weights: {type: explicit, explicit: {'item:inequalities-0': 1}}, filters: {token_len: {min: 11}}"
    assert "kept out of this phase" in refused(warm(weights), SMALL)


def test_a_family_whose_every_item_is_weighted_0_is_refused():
    weights = ", weights: {type: explicit, explicit: {cyclic_groups: 1, 'item:cyclic_groups-0': 0}}"
    assert "every item of cyclic_groups is weighted 0" in refused(
        warm(weights), {"cyclic_groups": 1, "inequalities": 1}
    )


def test_a_phase_too_short_for_a_step_is_refused():
    phases = """
        - {name: warm, start: 0, end: 0.05, families: {include: '*'}}
        - {name: b, start: 0.05, end: 1, families: {include: '*'}}
    """
    assert "end: 0 to 0.05 of 10 steps is no step: empty phase" in refused(phases, SMALL)


def test_the_smallest_family_is_guarded():
    message = refused(warm(""), SMALL, safeguards="{min_items_per_family: 3}")
    assert "safeguards.min_items_per_family: cyclic_groups has 2 items" in message


def test_the_largest_share_is_guarded_also_at_the_end_of_a_ramp():
    ramp = ", weights: {type: ramp, ramp: {from: {inequalities: 1, cyclic_groups: 1}, to: {inequalities: 9}}}"
    message = refused(warm(ramp), SMALL, safeguards="{max_sampling_fraction_per_family: 0.85}")
    # w = 1 + 8 u: 0.85 is passed where 1 + 8 u = 17/3, at step 6
    assert "safeguards.max_sampling_fraction_per_family: inequalities has probability 0.8529 at step 6" in message
    one_phase("{type: uniform}", "balanced_family", SMALL)


def test_a_filter_on_a_value_that_items_lack_is_refused():
    items = items_of(SMALL).with_columns(difficulty_proxy=pl.lit(None, pl.String))
    with pytest.raises(ValueError, match=r"phase 'easy': filters.difficulty_proxy: 8 training items have no"):
        resolve(load_preset("difficulty_ramp"), items, total_steps=10, batch_size=2)


def test_bad_items_and_sizes_are_refused():
    items, plain = items_of(SMALL), load_preset("iid_baseline")
    for bad, message in (
        (items.drop("token_len"), "missing: token_len"),
        (items.clear(), "no training items"),
        (pl.concat([items, items.head(1)]), "'cyclic_groups-0' is there"),
        (items.with_columns(family_id=pl.lit(None, pl.String)), "8 rows have no family_id"),
        (items.with_columns(family_id=pl.lit("planted")), "hold the family 'planted'"),
    ):
        with pytest.raises(ValueError, match=message):
            resolve(plain, bad, total_steps=10, batch_size=2)
    for sizes in ({"total_steps": 0}, {"batch_size": 0}, {"extra_steps": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(sizes))} must be at least"):
            resolve(plain, items, **{"total_steps": 10, "batch_size": 2, **sizes})
    clash = items_of({"planted": 2}).with_columns(item_id=pl.Series(["inequalities-0", "x"]))
    with pytest.raises(ValueError, match="ids must differ"):
        resolve(
            plain,
            items,
            total_steps=20,
            batch_size=2,
            plant=Plant(start=0, num_steps=1, share=1, num_items=2),
            planted=clash,
        )


def test_steps_outside_the_budget_are_refused():
    policy = preset("iid_baseline", extra_steps=10)
    for call in (policy.draw, lambda _, step: policy.probabilities(step), lambda _, step: policy.phase_at(step)):
        for step in (-1, 210):
            with pytest.raises(ValueError, match=r"outside the budget: 0 to 209"):
                call(1, step)
    with pytest.raises(ValueError, match="outside the budget of 210 steps"):
        policy.expected_draws(5, 211)
