from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from squiggle_assets.science import tokens
from squiggle_assets.science.tokens import (
    TokenRow,
    answer_chars,
    answer_span,
    completion_text,
    prompt_text,
    tokenize,
    tokenize_items,
)
from tests.science.tiny_models import items, tokenizer


def words_tokenizer(eos: str | None = "<e>", bos: bool = False) -> PreTrainedTokenizerFast:
    """One id per white-space word of a fixed list; ids are list positions."""
    vocabulary = ["<e>", "<u>", "Problem:", "two", "Solution:", "Answer:", "4", "done", "<b>"]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<u>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=eos, bos_token="<b>" if bos else None)


def test_a_row_is_prompt_then_completion_then_eos() -> None:
    # "Problem: two\n\nSolution:" = 2 3 4; " done Answer: 4" = 7 5 6; eos = 0
    row = tokenize(words_tokenizer(), prompt_text("two"), completion_text("done Answer: 4"), 16)
    assert row == TokenRow((2, 3, 4, 7, 5, 6, 0), num_prompt=3, truncated=False)


def test_truncation_cuts_the_end_and_says_so() -> None:
    row = tokenize(words_tokenizer(), prompt_text("two"), completion_text("done Answer: 4"), 6)
    assert row == TokenRow((2, 3, 4, 7, 5, 6), num_prompt=3, truncated=True)
    # exactly fitting is not truncated
    assert not tokenize(words_tokenizer(), prompt_text("two"), completion_text("done Answer: 4"), 7).truncated


def test_the_answer_span_holds_the_tokens_after_the_last_mark() -> None:
    # row 2 3 4 | 5 4 7 5 6 6 0: completion starts at 3, the last mark is its token 3, the answer its tokens 4 and 5
    text = completion_text("Answer: Solution: done Answer: 4 4")
    row = tokenize(words_tokenizer(), prompt_text("two"), text, 16)
    assert answer_span(words_tokenizer(), row, text) == (7, 9)
    assert [row.input_ids[i] for i in range(7, 9)] == [6, 6]


def test_a_cut_or_missing_answer_has_no_span() -> None:
    text = completion_text("done Answer: 4 4")
    cut = tokenize(words_tokenizer(), prompt_text("two"), text, 6)
    assert answer_span(words_tokenizer(), cut, text) is None
    # one token more holds the whole answer and lacks the eos only
    assert answer_span(words_tokenizer(), tokenize(words_tokenizer(), prompt_text("two"), text, 7), text) == (5, 7)
    for without in ("done", "done Answer:", "done Answer:  \n "):
        full = tokenize(words_tokenizer(), prompt_text("two"), completion_text(without), 16)
        assert answer_span(words_tokenizer(), full, completion_text(without)) is None


def test_the_answer_span_of_bytes_decodes_to_the_answer() -> None:
    for problem, solution, answer in items(30).select("problem", "solution", "final_answer").rows():
        text = completion_text(solution)
        row = tokenize(tokenizer(), prompt_text(problem), text, 64)
        span = answer_span(tokenizer(), row, text)
        assert span is not None
        assert tokenizer().decode(row.input_ids[slice(*span)]).strip() == answer
        assert row.input_ids[span[1]] == tokenizer().eos_token_id


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.integers(1, 80))
def test_a_row_is_a_prefix_of_the_untruncated_row(problem: str, solution: str, max_length: int) -> None:
    prompt, completion = prompt_text(problem), completion_text(solution)
    whole = tokenize(tokenizer(), prompt, completion, 10_000)
    if max_length <= whole.num_prompt:
        with pytest.raises(ValueError, match=f"max_length {max_length}"):
            tokenize(tokenizer(), prompt, completion, max_length)
        return
    row = tokenize(tokenizer(), prompt, completion, max_length)
    assert row.input_ids == whole.input_ids[:max_length]
    assert row.truncated == (len(whole.input_ids) > max_length)
    assert row.num_prompt == whole.num_prompt < len(row.input_ids)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=80))
def test_the_span_in_characters_is_the_stripped_text_after_the_last_mark(text: str) -> None:
    span = answer_chars(text + "Answer:" + text)
    expected = (text + "Answer:" + text).rpartition("Answer:")[2].strip()
    assert (span is None) == (not expected)
    assert span is None or (text + "Answer:" + text)[slice(*span)] == expected


def test_the_table_holds_the_rows_that_tokenize_gives_one_by_one() -> None:
    frame = items(25)
    lengths = [len(tokenize(tokenizer(), prompt_text(p), completion_text(s), 64).input_ids) for p, s in
               frame.select("problem", "solution").rows()]  # fmt: skip
    limit = sorted(lengths)[12]
    table = tokenize_items(tokenizer(), frame, limit)
    assert 0 < table.num_truncated == sum(length > limit for length in lengths) < 25
    assert table.item_ids == tuple(frame["item_id"])
    for i, (problem, solution) in enumerate(frame.select("problem", "solution").rows()):
        row = tokenize(tokenizer(), prompt_text(problem), completion_text(solution), limit)
        assert table.row(i) == row
        span = answer_span(tokenizer(), row, completion_text(solution)) or (-1, -1)
        assert (table.answer_start[i], table.answer_end[i]) == span
    assert table.index["item-7"] == table.item_ids.index("item-7")
    assert table.offsets[-1] == len(table.input_ids)


def test_items_without_room_for_a_completion_are_dropped_by_name() -> None:
    frame = items(3).with_columns(
        problem=pl.when(pl.col("item_id") == "item-3").then(pl.lit("x" * 500)).otherwise(pl.col("problem"))
    )
    table = tokenize_items(tokenizer(), frame, 64)
    assert table.dropped == ("item-3",)
    assert table.item_ids == ("item-2", "item-4")
    assert len(table.num_prompt) == 2


def test_an_empty_frame_gives_an_empty_table() -> None:
    table = tokenize_items(tokenizer(), items(1).head(0), 64)
    assert table.item_ids == () and table.offsets.tolist() == [0] and table.input_ids.dtype == np.int64


def test_a_tokenizer_that_starts_texts_with_bos_starts_rows_with_it() -> None:
    row = tokenize(tokenizer(), prompt_text("1"), completion_text("1"), 64)
    assert row.input_ids[0] == tokenizer().bos_token_id
    assert list(row.input_ids).count(tokenizer().bos_token_id) == 1
    # a tokenizer that has a bos but does not put it in front of texts (GPT-2) keeps its rows without
    assert tokenize(words_tokenizer(bos=True), prompt_text("two"), " 4", 16).input_ids == (2, 3, 4, 6, 0)


def test_bad_requests_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no eos token"):
        tokenize(words_tokenizer(eos=None), "two", " 4", 16)
    twice = pl.concat([items(2), items(1)])
    with pytest.raises(ValueError, match="item-2"):
        tokenize_items(tokenizer(), twice, 64)


def test_an_item_without_solution_is_refused_by_name() -> None:
    frame = items(3).with_columns(solution=pl.when(pl.col("item_id") != "item-3").then(pl.col("solution")))
    with pytest.raises(ValueError, match=r"without problem or solution.*item-3"):
        tokenize_items(tokenizer(), frame, 64)


def test_tokens_and_mixture_import_no_torch() -> None:
    code = (
        "import sys, squiggle_assets.science.tokens, squiggle_assets.science.mixture; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'tokenizers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert tokens.ANSWER_MARK == "Answer:"
