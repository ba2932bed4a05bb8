from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squiggle_assets.science.tokenizer_training import BOS, EOS, NUM_BYTES, PAD, train_tokenizer
from tests.science.tiny_models import VOCAB, items, tokenizer


def ids(text: str) -> list[int]:
    return tokenizer()(text, add_special_tokens=False)["input_ids"]


def test_every_digit_is_a_token_of_its_own_that_holds_at_most_a_leading_space_more() -> None:
    for text in ("123", "a123", " 123", "f(12)+3", "1 23"):
        digits = [t for t in tokenizer().convert_ids_to_tokens(ids(text)) if any(c.isdigit() for c in t)]
        assert [t.removeprefix("Ġ") for t in digits] == ["1", "2", "3"], text
    assert tokenizer().convert_ids_to_tokens(ids("= 47")) == ["=", "Ġ4", "7"]


def test_merges_never_cross_a_word() -> None:
    vocabulary = tokenizer().get_vocab()
    assert any(len(piece) > 3 for piece in vocabulary if piece not in (BOS, EOS, PAD))
    for piece in set(vocabulary) - {BOS, EOS, PAD}:
        assert "Ġ" not in piece[1:] or set(piece) <= {"Ġ", "Ċ"}, piece


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=80))
def test_any_text_comes_back_from_its_ids(text: str) -> None:
    assert tokenizer().decode(ids(text)) == text


def test_the_same_texts_give_the_same_tokenizer() -> None:
    texts = [f"{p} {s} and so on" for p, s in items(50).select("problem", "solution").rows()]
    first, second = (train_tokenizer(texts, NUM_BYTES + 20, 32).backend_tokenizer.to_str() for _ in range(2))
    assert first == second
    other = train_tokenizer([text.upper() for text in texts], NUM_BYTES + 20, 32).backend_tokenizer.to_str()
    assert json.loads(first)["model"]["merges"] != json.loads(other)["model"]["merges"]


def test_another_process_with_another_hash_seed_makes_the_same_tokenizer() -> None:
    code = "from tests.science.tiny_models import tokenizer; print(tokenizer().backend_tokenizer.to_str(), end='')"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == tokenizer().backend_tokenizer.to_str()


def test_special_tokens_are_distinct_and_first() -> None:
    made = tokenizer()
    assert len(made) == VOCAB
    assert (made.bos_token_id, made.eos_token_id, made.pad_token_id) == (0, 1, 2)
    assert made("a")["input_ids"][0] == made.bos_token_id
    assert made("a")["input_ids"][-1] != made.eos_token_id


def test_a_vocabulary_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 259.*got 100"):
        train_tokenizer(["a"], 100, 8)
    with pytest.raises(ValueError, match="not the 400 asked for"):
        train_tokenizer(["ab ab"], 400, 8)
