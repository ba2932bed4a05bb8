"""Measured on files that are not part of the repository: SQUIGGLE_SHARED_DATA, or ../shared/data beside it."""

from __future__ import annotations

import csv
import gzip
import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squiggle_assets.schemas.corpus import Classification
from squiggle_assets.science.classify import classify_items, judge, readable, rules_sha256, split_question
from squiggle_assets.science.families import CONTROLS, NAMES, TARGETS
from squiggle_assets.science.family_rules import SUBJECTS, TYPES
from squiggle_assets.science.importing import import_items, map_row
from squiggle_assets.science.pool import content_sha256, generate_pool, planted_items
from squiggle_assets.science.spec import PoolSpec

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SQUIGGLE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
LABELS = REPOSITORY / "tests" / "data" / "gsm8k_hand_labels.csv"


def lines(name: str) -> list[dict]:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"no {path}: set SQUIGGLE_SHARED_DATA to the folder that holds {name}")
    text = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def labels() -> pl.DataFrame:
    with LABELS.open(encoding="utf-8", newline="") as file:
        return pl.DataFrame(list(csv.DictReader(file)))


@pytest.fixture(scope="module")
def gsm8k():
    """The hand-labelled rows and every eighth of the others."""
    rows = lines("gsm8k/train.jsonl.gz")
    wanted = set(labels()["content_sha256"])
    drafts = [map_row(row, number, "gsm8k") for number, row in enumerate(rows)]
    hand = [content_sha256(draft.problem, draft.final_answer) in wanted for draft in drafts]
    return import_items([row for i, row in enumerate(rows) if hand[i] or i % 8 == 0], "gsm8k", PoolSpec())


def test_confidence_of_a_text_that_one_rule_speaks_for_is_its_softmax():
    # 'average' scores 4, 'nothing decisive' 1, the other 15 families 0: e^4 / (e^4 + e + 15) = 0.7550
    judgement = judge("Find the average of 3 and 5.")
    assert judgement.scores == {"probability_expectation": 4.0, "misc_other": 1.0}
    assert judgement.family == "probability_expectation"
    assert judgement.confidence == pytest.approx(np.exp(4) / (np.exp(4) + np.e + 15))
    assert judgement.alternatives[0] == ("misc_other", pytest.approx(np.e / (np.exp(4) + np.e + 15)))
    assert judgement.reasons == ["average"]


def test_a_text_that_says_nothing_is_misc_other_without_confidence():
    judgement = judge("Hello.")
    assert (judgement.family, judgement.reasons) == ("misc_other", ["nothing decisive"])
    assert judgement.confidence < 0.2


def test_the_question_is_the_last_sentence_that_asks():
    assert split_question("Tom has 3. How many has he? Show it.") == ("Tom has 3. Show it.", "How many has he?")
    assert split_question("Add 3 and 4.") == ("", "Add 3 and 4.")


def test_dollars_around_tex_are_no_money_and_others_are():
    assert readable(r"What is $x+2$?") == "what is x+2?"
    assert readable(r"It costs \$5.") == "it costs $5."
    assert readable("It cost $5 and now $3.") == "it cost $5 and now $3."
    assert "optimization" not in judge(r"How much is $2$ more than $3$?").scores


def test_a_subject_limits_the_families_and_a_type_is_evidence():
    text = "What is the probability that a triangle has area 3?"
    assert judge(text, "Geometry").family == "geometry_euclidean"
    assert judge(text, "Counting & Probability").family == "probability_expectation"
    assert judge("He had 5 of 8.", "Subtraction").family == "invariant_monovariant"
    assert judge("He had 5 of 8.", "Multiplication").family == "bijection_counting"
    assert set(TYPES.values()) | {f for families in SUBJECTS.values() for f in families} <= set(NAMES)


@given(st.text(max_size=300))
@settings(max_examples=50)
def test_every_text_gets_one_family_and_shares_that_add_up_to_at_most_one(text):
    judgement = judge(text)
    shares = [judgement.confidence, *(share for _, share in judgement.alternatives)]
    assert judgement.family in NAMES
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1 + 1e-9
    assert judge(text) == judgement


def test_of_a_long_text_both_ends_are_judged():
    start, end = "What is the probability of rain? ", " How many are left?"
    scores = judge(start + "and so on " * 50_000 + end).scores
    assert scores == judge(start + "and so on " * 20 + end).scores
    assert {"probability_expectation", "invariant_monovariant"} <= set(scores)


def test_generated_and_planted_items_keep_their_family_with_certainty():
    pool = generate_pool(PoolSpec(num_items=200))
    pool = pl.concat([pool, planted_items(4, 1, pool)])
    records = classify_items(pool)
    Classification.validate(records)
    assert records["family_id"].equals(pool["family_id"])
    assert set(records["model_id"]) == {"generator"} and set(records["confidence"]) == {1.0}
    assert records["raw_response"].null_count() == pool.height


def test_a_judged_item_has_a_whole_record_and_its_own_family_is_not_looked_at():
    pool = generate_pool(PoolSpec(num_items=300)).with_columns(source=pl.lit("elsewhere"))
    records = classify_items(pool.with_columns(family_id=pl.lit("misc_other")))
    Classification.validate(records)
    row = records.to_dicts()[0]
    assert (row["model_id"], row["temperature"], row["prompt_sha256"]) == ("rules", 0.0, rules_sha256())
    assert len(json.loads(row["alternatives_json"])) == 3
    scores = json.loads(row["raw_response"])
    assert scores[row["family_id"]] == max(scores.values())
    assert records["family_id"].n_unique() > 10


def test_an_item_without_a_family_is_judged_even_if_it_says_it_was_generated():
    pool = generate_pool(PoolSpec(num_items=100))
    records = classify_items(pool, given=pl.Series([None] * 100, dtype=pl.String))
    assert set(records["model_id"]) == {"rules"}


def test_shuffled_texts_lose_their_families():
    # null: with texts permuted over labels the agreement falls to what the label counts alone give
    pool = generate_pool(PoolSpec(num_items=600))
    judged = np.array([judge(text).family for text in pool["problem"]])
    truth = pool["family_id"].to_numpy()
    shuffled = np.random.default_rng(0).permutation(truth)
    chance = sum((judged == name).mean() * (truth == name).mean() for name in NAMES)
    assert (judged == truth).mean() > 0.75
    assert abs((judged == shuffled).mean() - chance) < 0.1


def test_hand_labels_are_sixty_different_items_in_known_families():
    table = labels()
    assert table.height == table["content_sha256"].n_unique() == 60
    assert set(table["family_id"]) <= set(NAMES) and table["family_id"].n_unique() >= 12


def test_on_hand_labelled_grade_school_problems_the_rules_are_right_as_often_as_measured(gsm8k):
    # The labels were fixed before the classifier existed, but one reader wrote both.
    # Measured: 38 of 60 (.63, Wilson 95 % .51 to .74),
    # 54 of 60 among the first four, and the same family type in 48.
    both = labels().join(gsm8k.classification, on="content_sha256", suffix="_judged")
    assert both.height == 60
    named = [
        [row["family_id_judged"], *(name for name, _ in json.loads(row["alternatives_json"]))]
        for row in both.iter_rows(named=True)
    ]
    assert sum(names[0] == truth for names, truth in zip(named, both["family_id"], strict=True)) >= 38
    assert sum(truth in names for names, truth in zip(named, both["family_id"], strict=True)) >= 54


def test_on_math500_without_its_subjects_the_rules_are_right_as_often_as_measured():
    # Right = a family that the true subject covers. Rules were tuned on the even rows after one look at the
    # totals of all rows (387 of 500 then). Measured: 203 of 250 there,
    # 195 of 250 on the odd rows (.78, Wilson 95 % .72 to .83).
    right = [judge(row["problem"]).family in SUBJECTS[row["subject"]] for row in lines("math/math500_test.jsonl")]
    assert sum(right[0::2]) >= 203
    assert sum(right[1::2]) >= 195


def test_grade_school_problems_spread_over_targets_and_controls(gsm8k):
    counts = dict(gsm8k.items["family_id"].value_counts().iter_rows())
    assert set(counts) == set(NAMES)
    assert max(counts.values()) / gsm8k.items.height < 0.25
    for families in (TARGETS, CONTROLS):
        assert sum(counts[name] for name in families) / gsm8k.items.height > 0.3
