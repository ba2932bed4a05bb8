"""How hard an item looks: proxies counted on its text, without any model's tokenizer.

Here: the derived columns of the candidate pool. Not here: how the text of an item is made (science.pool,
science.importing).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import polars as pl

TOKEN = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")
"""A word, a whole number, or one other visible character."""

RARE_BELOW = 5
"""A token seen fewer times than this in the whole pool is rare in it."""

OPERATORS = frozenset("+-*/^=")
COLUMNS = {
    "token_len": pl.Int64,
    "symbol_density": pl.Float64,
    "numeric_density": pl.Float64,
    "operator_count": pl.Int64,
    "rare_token_rate": pl.Float64,
    "difficulty_proxy": pl.String,
}


def training_text(problem: str, solution: str) -> str:
    """The text of an item as it is trained on."""
    return f"Problem: {problem}\n\nSolution: {solution}"


def _terciles(scores: pl.Series, reference: pl.Series) -> pl.Series:
    low, high = reference.quantile(0.33, "linear"), reference.quantile(0.67, "linear")
    assert low is not None and high is not None
    name = (
        pl.when(scores <= low).then(pl.lit("easy")).when(scores > high).then(pl.lit("hard")).otherwise(pl.lit("medium"))
    )
    return pl.select(name).to_series()


def with_difficulty(items: pl.DataFrame, reference: pl.DataFrame | None = None) -> pl.DataFrame:
    """The items with the difficulty columns added (or made anew), all counted on problem and solution.

    token_len in tokens of TOKEN; symbol_density = characters that are neither letter, digit nor space per token;
    numeric_density = share of tokens that are numbers; operator_count = number of + - * / ^ =; rare_token_rate =
    share of tokens seen fewer than RARE_BELOW times in the reference pool; difficulty_proxy: easy and hard are the
    bottom and top 33 % of token_len + 2 symbol_density in the reference pool. The reference is the items themselves
    unless another frame with columns problem and solution is given. Formulas: the sources' optional fields; which
    text and which tokens they meant is not said there.
    """
    if items.is_empty():
        raise ValueError("no items: difficulty is relative to a pool, which cannot be empty")
    base = items if reference is None else reference
    tokens = _tokens(items)
    reference_tokens = tokens if reference is None else _tokens(base)
    counts = Counter(token for row in reference_tokens for token in row)
    counted = _counted(items, tokens, counts)
    scores = counted["token_len"] + 2 * counted["symbol_density"]
    if reference is None:
        reference_scores = scores
    else:
        ours = _counted(base, reference_tokens, counts)
        reference_scores = ours["token_len"] + 2 * ours["symbol_density"]
    return items.drop(COLUMNS, strict=False).with_columns(
        *counted, _terciles(scores, reference_scores).alias("difficulty_proxy")
    )


def _texts(items: pl.DataFrame) -> list[str]:
    return [training_text(p, s) for p, s in zip(items["problem"], items["solution"], strict=True)]


def _tokens(items: pl.DataFrame) -> list[list[str]]:
    return [TOKEN.findall(text) for text in _texts(items)]


def _counted(items: pl.DataFrame, tokens: Sequence[Sequence[str]], counts: Counter[str]) -> pl.DataFrame:
    rows = []
    for text, row in zip(_texts(items), tokens, strict=True):
        symbols = sum(not c.isalnum() and not c.isspace() for c in text)
        rows.append(
            (
                len(row),
                symbols / len(row),
                sum(token[0].isdigit() for token in row) / len(row),
                sum(c in OPERATORS for c in text),
                sum(counts[token] < RARE_BELOW for token in row) / len(row),
            )
        )
    names = [name for name in COLUMNS if name != "difficulty_proxy"]
    return pl.DataFrame(rows, schema={name: COLUMNS[name] for name in names}, orient="row")
