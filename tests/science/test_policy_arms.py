"""What makes an arm of a curriculum: planted items and shuffled labels."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from squiggle_assets.science.families import NAMES
from squiggle_assets.science.policy import resolve
from squiggle_assets.science.spec import Plant
from tests.science.curriculum_items import items_of, planted_items, template_of
from tests.science.policy_presets import PLANT, preset


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
