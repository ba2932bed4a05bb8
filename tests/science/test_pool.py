from __future__ import annotations

import dataclasses
from collections import Counter

import polars as pl
import pytest

from squiggle_assets.schemas.corpus import CandidatePool
from squiggle_assets.science import pool as pool_module
from squiggle_assets.science.difficulty import with_difficulty
from squiggle_assets.science.families import NAMES, scaled_counts
from squiggle_assets.science.pool import content_sha256, generate_pool, planted_items
from squiggle_assets.science.problems import TEMPLATES
from squiggle_assets.science.problems.draft import polynomial, signed
from squiggle_assets.science.rng import generator
from squiggle_assets.science.spec import PoolSpec

ALL_TEMPLATES = [(family, template) for family, templates in TEMPLATES.items() for template in templates]


@pytest.fixture(scope="module")
def pool() -> pl.DataFrame:
    return generate_pool(PoolSpec())


def test_content_hash_of_a_known_item_is_the_sha256_of_its_canonical_json():
    # printf '{"final_answer":"4","problem":"2 + 2 = ?"}' | sha256sum
    expected = "256d9e910215e9eb696aa70b6ea067e2c62f6bf552685253edbd3bb6439ed8f1"
    assert content_sha256("2 + 2 = ?", "4") == expected


def test_difficulty_columns_of_a_hand_counted_item():
    # "Problem: 1 + 1\n\nSolution: 2\nAnswer: 2" has the tokens Problem : 1 + 1 Solution : 2 Answer : 2 = 11;
    # symbols are three colons and one plus = 4; numbers 1 1 2 2 = 4; operators: one plus.
    # Alone in its pool every token is seen fewer than 5 times, so all are rare.
    row = with_difficulty(pl.DataFrame({"problem": ["1 + 1"], "solution": ["2\nAnswer: 2"]})).to_dicts()[0]
    assert (row["token_len"], row["operator_count"]) == (11, 1)
    assert row["symbol_density"] == pytest.approx(4 / 11)
    assert row["numeric_density"] == pytest.approx(4 / 11)
    assert row["rare_token_rate"] == 1.0


@pytest.mark.parametrize(("coefficients", "text"), [([1, 0, -4], "x^2 - 4"), ([-1, 1], "-x + 1"), ([0, 0], "0")])
def test_polynomials_are_written_as_people_write_them(coefficients, text):
    assert polynomial(coefficients) == text
    assert [signed(v) for v in (3, -3, 0)] == [" + 3", " - 3", ""]


def test_the_pool_has_the_sources_counts_no_duplicates_and_the_declared_shape(pool):
    CandidatePool.validate(pool)
    assert dict(Counter(pool["family_id"])) == scaled_counts(5000)
    assert pool["problem"].n_unique() == pool["item_id"].n_unique() == pool.height == 5000


def test_every_answer_was_confirmed_by_a_second_method_and_is_the_last_line(pool):
    assert pool["answer_verified"].all()
    for row in pool.iter_rows(named=True):
        assert row["solution"].splitlines()[-1] == f"Answer: {row['final_answer']}"


def test_texts_are_short_enough_for_the_embedded_model(pool):
    lengths = pool["problem"].str.len_chars() + pool["solution"].str.len_chars()
    assert lengths.max() <= 230
    assert (lengths <= 220).mean() >= 0.99


def test_difficulty_terciles_are_thirds_of_the_pool(pool):
    shares = pool["difficulty_proxy"].value_counts(normalize=True)
    assert all(0.28 < share < 0.38 for share in shares["proportion"])


def test_a_smaller_pool_of_the_same_seed_is_part_of_a_larger_one(pool):
    small = generate_pool(PoolSpec(num_items=500))
    assert small.height == 500
    assert set(small["content_sha256"]) < set(pool["content_sha256"])


def test_the_seed_changes_the_problems_and_nothing_else_does(pool):
    other = generate_pool(PoolSpec(num_items=500, seed=43))
    assert len(set(other["content_sha256"]) & set(pool["content_sha256"])) < 100
    assert generate_pool(PoolSpec(num_items=300)).equals(generate_pool(PoolSpec(num_items=300)))


@pytest.mark.parametrize(("family", "template"), ALL_TEMPLATES, ids=[t.__name__ for _, t in ALL_TEMPLATES])
def test_the_checker_of_a_template_agrees_with_it_and_not_with_another_answer(family, template):
    for draw in range(60):
        draft = template(generator("template-test", family, draw))
        assert draft.verified(), draft
        assert not dataclasses.replace(draft, answer=draft.answer + "0").verified()
        if draft.answer.lstrip("-").isdigit():
            assert draft.answer in draft.working, "the answer must follow from the working"


def test_a_wrong_template_is_recorded_as_not_verified(monkeypatch):
    right = TEMPLATES["logic_proof"][0]
    monkeypatch.setitem(
        pool_module.TEMPLATES, "logic_proof", (lambda rng: dataclasses.replace(right(rng), answer="-1"),)
    )
    items = generate_pool(PoolSpec(num_items=400))
    wrong = items.filter(pl.col("family_id") == "logic_proof")
    assert wrong.height == 2 and not wrong["answer_verified"].any()
    assert items.filter(pl.col("family_id") != "logic_proof")["answer_verified"].all()


def test_every_family_has_several_templates():
    assert set(TEMPLATES) == set(NAMES)
    assert all(len(templates) >= 3 for templates in TEMPLATES.values())


def test_planted_items_are_problems_of_no_pool_with_one_wrong_solution(pool):
    planted = planted_items(16, 42, pool)
    CandidatePool.validate(planted)
    assert planted["content_sha256"].n_unique() == 16
    assert set(planted["family_id"]) == {"planted"} and set(planted["family_type"]) == {"other"}
    assert planted["problem"].n_unique() == 16
    assert not set(planted["problem"]) & set(pool["problem"])
    assert planted["solution"].n_unique() == 1
    assert not planted["answer_verified"].any()
    assert planted_items(16, 42, pool).equals(planted)


def test_a_pool_that_asks_for_more_problems_than_a_family_has_says_which_family(monkeypatch):
    only = TEMPLATES["combinatorics_basic"][2]
    monkeypatch.setitem(pool_module.TEMPLATES, "combinatorics_basic", (only,))
    with pytest.raises(ValueError, match="family combinatorics_basic has no more than about 11"):
        generate_pool(PoolSpec(num_items=5000))


def test_no_planted_items_is_refused(pool):
    with pytest.raises(ValueError, match="at least 1 item, got 0"):
        planted_items(0, 1, pool)
