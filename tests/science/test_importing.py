from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squiggle_assets.schemas.corpus import CandidatePool, Classification
from squiggle_assets.science.importing import import_items
from squiggle_assets.science.pool import content_sha256, generate_pool
from squiggle_assets.science.spec import PoolSpec

SPEC = PoolSpec(items="rows.jsonl")
GSM8K = {
    "question": "A pen costs $2. How much do 3 pens cost? ",
    "answer": "3 pens cost 3*2=<<3*2=6>>6 dollars.\nSo 1,200 for more.\n#### 1,200",
}
OMR = {
    "problem": "Find the remainder of 7 divided by 4.",
    "generated_solution": "<think>\n7 = 4 + 3\n</think>\nIt is 3.",
    "expected_answer": "3",
    "problem_type": "has_answer_extracted",
}
MATH500 = {
    "problem": "What is the area of a circle of radius 2?",
    "solution": "It is $\\boxed{4\\pi}$.",
    "answer": "4\\pi",
    "subject": "Geometry",
    "level": 1,
    "unique_id": "test/geometry/1.json",
}
SVAMP = {
    "ID": "chal-1",
    "Body": "Tom had 8 nuts. He ate 2",
    "Question": "How many nuts are left?",
    "Equation": "( 8.0 - 2.0 )",
    "Answer": 6.0,
    "Type": "Subtraction",
}


def item(**changes):
    return {"problem": "What is 1 + 1?", "solution": "Answer: 2", "final_answer": "2"} | changes


def one(row):
    imported = import_items([row], "rows.jsonl", SPEC)
    CandidatePool.validate(imported.items)
    Classification.validate(imported.classification)
    return imported.items.to_dicts()[0]


def test_gsm8k_loses_its_calculator_notes_and_its_answer_mark():
    row = one(GSM8K)
    assert row["problem"] == "A pen costs $2. How much do 3 pens cost?"
    assert row["solution"] == "3 pens cost 3*2=6 dollars.\nSo 1,200 for more.\nAnswer: 1200"
    assert (row["final_answer"], row["source"], row["source_id"]) == ("1200", "gsm8k", "1")
    assert row["item_id"] == f"gsm8k:{content_sha256(row['problem'], '1200')[:16]}"
    assert row["answer_verified"] is False


def test_open_math_reasoning_keeps_its_reasoning_and_gets_an_answer_line():
    row = one(OMR)
    assert row["solution"] == "<think>\n7 = 4 + 3\n</think>\nIt is 3.\nAnswer: 3"
    assert (row["source"], row["family_id"]) == ("open_math_reasoning", "modular_arithmetic")


def test_math500_gets_its_family_from_its_subject():
    row = one(MATH500)
    assert (row["family_id"], row["source_id"]) == ("geometry_euclidean", "test/geometry/1.json")
    assert one(MATH500 | {"subject": "Number Theory"})["family_id"] == "number_theory_basic"


def test_svamp_joins_body_and_question_and_writes_its_equation_as_the_working():
    row = one(SVAMP)
    assert row["problem"] == "Tom had 8 nuts. He ate 2. How many nuts are left?"
    assert row["solution"] == "8 - 2 = 6\nAnswer: 6"
    assert (row["final_answer"], row["family_id"]) == ("6", "invariant_monovariant")


def test_our_own_items_come_back_as_they_went():
    pool = generate_pool(PoolSpec(num_items=200))
    imported = import_items(json.loads(json.dumps(pool.to_dicts())), "own.jsonl", SPEC)
    assert imported.items.equals(pool)
    assert set(imported.classification["model_id"]) == {"generator"}


def test_the_nested_item_schema_is_read_with_its_family_and_its_hash():
    content = {"problem": "What is 1 + 1?", "final_answer": "2"}
    row = {
        "item_id": "omr:cot:7",
        "family_id": "misc_other",
        "content": content,
        "source": {"dataset": "nvidia/OpenMathReasoning", "source_id": "7"},
        "provenance": {"generated_solution": "1 + 1 = 2."},
        "hashes": {"content_sha256": content_sha256("What is 1 + 1?", "2")},
    }
    got = one(row)
    assert (got["item_id"], got["family_id"]) == ("omr:cot:7", "misc_other")
    assert got["solution"] == "1 + 1 = 2.\nAnswer: 2"
    with pytest.raises(ValueError, match=r"row 1 \(item omr:cot:7\): content_sha256 is 0000"):
        one(row | {"hashes": {"content_sha256": "0" * 64}})


def test_another_solution_of_the_same_problem_is_dropped_and_counted():
    rows = [OMR, OMR | {"generated_solution": "another way"}, OMR | {"problem": "And of 8 by 5?"}]
    imported = import_items(rows, "omr", SPEC)
    assert (imported.num_rows, imported.num_duplicates, imported.items.height) == (3, 1, 2)
    assert "another way" not in imported.items["solution"][0]


def test_only_the_first_max_items_rows_are_taken():
    rows = [item(problem=f"What is {i} + 1?") for i in range(9)]
    imported = import_items(rows, "rows", PoolSpec(max_items=4))
    assert imported.items["problem"].to_list() == [f"What is {i} + 1?" for i in range(4)]
    assert imported.num_rows == 4


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=10))
@settings(max_examples=50)
def test_any_text_is_either_imported_unchanged_or_refused_by_row(problem, answer):
    try:
        got = import_items([item(problem=problem, final_answer=answer)], "rows", SPEC).items.to_dicts()[0]
    except ValueError as error:
        assert "rows row 1: " in str(error)
    else:
        assert (got["problem"], got["final_answer"]) == (problem, answer)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (item(final_answer=None), "rows row 2: no final_answer"),
        (item(final_answer="  "), "rows row 2: no final_answer"),
        (item(problem=""), "rows row 2: no problem"),
        (item(solution=""), "rows row 2: no solution"),
        (item(problem="a\x00b"), "rows row 2: NUL byte in problem, at character 1"),
        (item(solution="ab\ud800"), "rows row 2: lone surrogate in solution, at character 2"),
        (item(solution="x" * 10_000_000), "rows row 2: solution has 10,000,000 bytes"),
        (item(problem=["a"]), "rows row 2: problem is list, not text"),
        (item(item_id="a|b"), "rows row 2: item_id 'a|b' may hold"),
        (item(item_id="a"), "rows row 2: item_id a was used in row 1 for another content"),
        (item(family_id="algebra"), "rows row 2: unknown family_id 'algebra'"),
        (item(item_id="b", problem=" "), "rows row 2 (item b): no problem"),
        ({"question": "What?", "answer": "no mark"}, "rows row 2: no final_answer"),
        ({"text": "hello", "label": 1}, "rows row 2: fields ['label', 'text'] are of no known shape"),
    ],
)
def test_a_bad_row_is_refused_with_source_row_and_field(bad, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        import_items([item(item_id="a", problem="Another one?"), bad], "rows", SPEC)


def test_a_source_without_rows_is_refused():
    with pytest.raises(ValueError, match=r"empty\.jsonl: no rows"):
        import_items([], "empty.jsonl", SPEC)
