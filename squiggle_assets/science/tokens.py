"""How an item becomes token ids: the one tokenisation that training, evaluation, probes and nulls share.

Here: prompt and completion text, rows of ids with their supervised part, a table of rows, the answer's position.
Not here: training a tokenizer (tokenizer_training), padding and batches (training), loading (resources.base_model).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

ANSWER_MARK = "Answer:"
"""The answer of a solution is the text after the last one of these."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class TokenRow(NamedTuple):
    """One item as ids: [bos] prompt, completion, eos."""

    input_ids: tuple[int, ...]
    num_prompt: int
    """Positions num_prompt.. are supervised; the ones before are context only."""
    truncated: bool
    """The end (at least the eos) was cut off by max_length."""


@dataclass(frozen=True, kw_only=True)
class TokenTable:
    """All items of a frame as ids, tokenised once; row i of n is input_ids[offsets[i]:offsets[i + 1]]."""

    item_ids: tuple[str, ...]
    input_ids: Ints
    """All rows one after the other."""
    offsets: Ints
    """Shape (n + 1,)."""
    num_prompt: Ints
    """Shape (n,); the supervised part of row i starts there."""
    answer_start: Ints
    """Shape (n,): first answer token, index within the row; -1 where a row has no whole answer in it."""
    answer_end: Ints
    """Shape (n,): one past the last answer token; -1 where there is none."""
    truncated: Bools
    dropped: tuple[str, ...]
    """Items left out because max_length leaves no completion token of them; not among item_ids."""

    @property
    def num_truncated(self) -> int:
        """Kept rows whose end was cut off."""
        return int(self.truncated.sum())

    @cached_property
    def index(self) -> dict[str, int]:
        """item_id -> row number."""
        return {item_id: i for i, item_id in enumerate(self.item_ids)}

    def row(self, i: int) -> TokenRow:
        """Row i."""
        ids = self.input_ids[self.offsets[i] : self.offsets[i + 1]]
        return TokenRow(tuple(ids.tolist()), int(self.num_prompt[i]), bool(self.truncated[i]))


def prompt_text(problem: str) -> str:
    """What the model is given."""
    return f"Problem: {problem}\n\nSolution:"


def completion_text(solution: str) -> str:
    """What the model is trained to write; the space keeps word tokens the same as inside a sentence."""
    return f" {solution}"


def prefix_ids(tokenizer: Any) -> list[int]:
    """[bos] if this tokenizer starts a text with one by itself (Gemma, Llama, ours), else []."""
    ids = tokenizer("a")["input_ids"]
    return [int(ids[0])] if ids and ids[0] == tokenizer.bos_token_id else []


def eos_id(tokenizer: Any) -> int:
    """The id that ends a completion; ValueError if the tokenizer has none."""
    if tokenizer.eos_token_id is None:
        raise ValueError(
            f"tokenizer {tokenizer.name_or_path!r} has no eos token: set one before training on completions"
        )
    return int(tokenizer.eos_token_id)


def tokenize(tokenizer: Any, prompt: str, completion: str, max_length: int) -> TokenRow:
    """Prompt ids + completion ids + eos, cut at max_length tokens.

    Prompt and completion are tokenised apart, so that no token spans the border and the ids of a prompt are
    the same in training and in generation.

    Raises:
        ValueError: max_length leaves no supervised token.
    """
    head = prefix_ids(tokenizer) + _ids(tokenizer, prompt)
    return _row(head, _ids(tokenizer, completion), eos_id(tokenizer), max_length)


def answer_chars(completion: str) -> tuple[int, int] | None:
    """Character span of the answer: the stripped text after the last "Answer:"; None if there is none."""
    mark = completion.rfind(ANSWER_MARK)
    if mark < 0:
        return None
    tail = completion[mark + len(ANSWER_MARK) :]
    if not tail.strip():
        return None
    start = mark + len(ANSWER_MARK) + len(tail) - len(tail.lstrip())
    return start, start + len(tail.strip())


def answer_span(tokenizer: Any, row: TokenRow, completion: str) -> tuple[int, int] | None:
    """[start, end) of the row's tokens that hold any character of the answer of its completion.

    None if the completion names no answer or truncation cut a part of it off: a partial answer must not count
    as answered. ValueError for a tokenizer without offsets (not a fast one).
    """
    offsets = _encoded(tokenizer, [completion])["offset_mapping"][0]
    return _span(row, offsets, completion)


def tokenize_items(tokenizer: Any, items: pl.DataFrame, max_length: int, *, cut_prompts: bool = False) -> TokenTable:
    """Every item (columns item_id, problem, solution) tokenised once, in the frame's order.

    Rows equal `tokenize(tokenizer, prompt_text(problem), completion_text(solution), max_length)`. Items of which
    max_length leaves no supervised token are listed in `dropped`; with cut_prompts they are kept as the start of their
    prompt, with nothing supervised (for probes: what is read there is the text, not a loss).
    ValueError on duplicated item ids and on items without a problem or solution.
    """
    item_ids = [str(item_id) for item_id in items["item_id"]]
    if len(set(item_ids)) != len(item_ids):
        twice = items["item_id"].filter(items["item_id"].is_duplicated()).unique().sort().to_list()[:5]
        raise ValueError(f"duplicated item_id, for instance {twice}: an item is tokenised once")
    if (bare := items.filter(pl.any_horizontal(pl.col("problem", "solution").is_null()))).height:
        raise ValueError(f"items without problem or solution cannot be trained on: {bare['item_id'].to_list()[:5]}")
    completions = [completion_text(solution) for solution in items["solution"]]
    prompts = _encoded(tokenizer, [prompt_text(problem) for problem in items["problem"]])["input_ids"]
    encoded = _encoded(tokenizer, completions)
    bos, eos = prefix_ids(tokenizer), eos_id(tokenizer)
    rows: list[TokenRow] = []
    spans: list[tuple[int, int]] = []
    kept: list[str] = []
    dropped: list[str] = []
    for i, item_id in enumerate(item_ids):
        head = bos + list(prompts[i])
        if len(head) >= max_length and not cut_prompts:
            dropped.append(item_id)
            continue
        if len(head) >= max_length:
            rows.append(TokenRow(tuple(int(token) for token in head[:max_length]), max_length, True))
            spans.append((-1, -1))
            kept.append(item_id)
            continue
        row = _row(head, encoded["input_ids"][i], eos, max_length)
        rows.append(row)
        spans.append(_span(row, encoded["offset_mapping"][i], completions[i]) or (-1, -1))
        kept.append(item_id)
    return TokenTable(
        item_ids=tuple(kept),
        input_ids=np.fromiter((token for row in rows for token in row.input_ids), dtype=np.int64),
        offsets=np.cumsum([0] + [len(row.input_ids) for row in rows], dtype=np.int64),
        num_prompt=np.array([row.num_prompt for row in rows], dtype=np.int64),
        answer_start=np.array([start for start, _ in spans], dtype=np.int64),
        answer_end=np.array([end for _, end in spans], dtype=np.int64),
        truncated=np.array([row.truncated for row in rows], dtype=np.bool_),
        dropped=tuple(dropped),
    )


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _encoded(tokenizer: Any, texts: list[str]) -> Any:
    if not tokenizer.is_fast:
        raise ValueError(
            f"tokenizer {tokenizer.name_or_path!r} is not a fast one: answers cannot be located without offsets"
        )
    if not texts:
        return {"input_ids": [], "offset_mapping": []}
    return tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False)


def _row(head: Sequence[int], body: Sequence[int], eos: int, max_length: int) -> TokenRow:
    if len(head) >= max_length:
        raise ValueError(
            f"a prompt of {len(head)} tokens leaves no supervised token within max_length {max_length}: "
            "raise max_length or drop the item"
        )
    ids = [*head, *body, eos]
    return TokenRow(tuple(int(i) for i in ids[:max_length]), len(head), len(ids) > max_length)


def _span(row: TokenRow, offsets: Sequence[tuple[int, int]], completion: str) -> tuple[int, int] | None:
    chars = answer_chars(completion)
    if chars is None:
        return None
    start, end = chars
    inside = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
    if not inside or row.num_prompt + inside[-1] >= len(row.input_ids):
        return None
    return row.num_prompt + inside[0], row.num_prompt + inside[-1] + 1
