"""Which of the 17 families a problem belongs to: scored rules, one auditable record per item.

Here: scoring, records. Not here: the rules themselves (science.family_rules, science.family_rules_words).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import polars as pl

from squiggle_assets.science.canonical import sha256_json
from squiggle_assets.science.families import NAMES, PLANTED, family_type
from squiggle_assets.science.family_rules import COMPETITION_RULES, SUBJECTS, TYPE_WEIGHT, TYPES
from squiggle_assets.science.family_rules_words import WORD_RULES
from squiggle_assets.science.pool import GENERATED

RULES = (*COMPETITION_RULES, *WORD_RULES)
MODEL_ID = "rules"
VERSION = "1"
NUM_ALTERNATIVES = 3
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
LONGEST = 4000
"""Characters that are looked at: of a longer text the first and last half of that."""
DRAWING = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)
MATHS = re.compile(r"(?<!\\)\$([^$\s](?:[^$]*[^$\s])?)\$(?!\d)")
"""Text between two dollars that are TeX: no space inside them, no digit after the second ('$5 and $3' is money)."""

RECORD_COLUMNS: dict[str, type[pl.DataType]] = {
    "item_id": pl.String,
    "content_sha256": pl.String,
    "family_id": pl.String,
    "family_type": pl.String,
    "confidence": pl.Float64,
    "alternatives_json": pl.String,
    "reasoning": pl.String,
    "model_id": pl.String,
    "temperature": pl.Float64,
    "prompt_version": pl.String,
    "prompt_sha256": pl.String,
    "raw_response": pl.String,
}
"""Columns of classification, in order."""


class Judgement(NamedTuple):
    """What the rules say about one text."""

    family: str
    confidence: float
    """Softmax of the scores over the families that could be chosen, at the chosen one: 0 to 1."""
    alternatives: list[tuple[str, float]]
    """The next families and their softmax, best first."""
    reasons: list[str]
    """Reasons of the rules that spoke for the chosen family."""
    scores: dict[str, float]
    """Family -> summed weights, where not 0."""


@cache
def _compiled() -> tuple[tuple[Any, ...], ...]:
    return tuple(
        tuple(re.compile(pattern, re.DOTALL) if pattern else None for pattern in (rule.text, rule.ask, rule.story))
        for rule in RULES
    )


@cache
def rules_sha256() -> str:
    """Identity of everything that decides a family: the place of a prompt's hash."""
    return sha256_json([[list(rule) for rule in RULES], SUBJECTS, TYPES, TYPE_WEIGHT, NUM_ALTERNATIVES])


def split_question(problem: str) -> tuple[str, str]:
    """(story, question): the last sentence, or the last that ends with a question mark, is the question."""
    sentences = SENTENCE_END.split(problem.strip())
    asked = [i for i, sentence in enumerate(sentences) if sentence.endswith("?")]
    at = asked[-1] if asked else len(sentences) - 1
    return " ".join(sentences[:at] + sentences[at + 1 :]), sentences[at]


def readable(problem: str) -> str:
    """The problem in lower case, without the code of its drawings, with dollars only where they are money.

    Of a text longer than LONGEST the middle is left out: some rules take time quadratic in the length.
    """
    if len(problem) > LONGEST:
        problem = f"{problem[: LONGEST // 2]} {problem[-LONGEST // 2 :]}"
    return MATHS.sub(r"\1", DRAWING.sub("[asy]", problem)).replace("\\$", "$").replace("\\%", "%").lower()


def judge(problem: str, hint: str | None = None) -> Judgement:
    """The family of one problem, by the rules.

    hint: a MATH subject limits the families to those it covers; an SVAMP type is one more piece of evidence; any
    other hint is ignored. Ties go to the earlier of families.NAMES (or of the subject's list).
    """
    text = readable(problem)
    story, question = split_question(text)
    parts = (text, question, story)
    scores: dict[str, float] = {}
    reasons: dict[str, list[str]] = {}
    for rule, patterns in zip(RULES, _compiled(), strict=True):
        if all(pattern is None or pattern.search(part) for pattern, part in zip(patterns, parts, strict=True)):
            scores[rule.family] = scores.get(rule.family, 0.0) + rule.weight
            reasons.setdefault(rule.family, []).append(rule.reason)
    if hint in TYPES:
        family = TYPES[hint]
        scores[family] = scores.get(family, 0.0) + TYPE_WEIGHT
        reasons.setdefault(family, []).append(f"type {hint}")
    choices = SUBJECTS.get(hint, NAMES) if hint is not None else NAMES
    exponents = {family: math.exp(scores.get(family, 0.0)) for family in choices}
    total = sum(exponents.values())
    ranked = sorted(choices, key=lambda family: -exponents[family])
    best = ranked[0]
    why = reasons.get(best, []) + ([f"subject {hint}"] if hint in SUBJECTS else [])
    shares = [(family, exponents[family] / total) for family in ranked]
    return Judgement(best, shares[0][1], shares[1 : 1 + NUM_ALTERNATIVES], why, scores)


def _record(item: dict[str, Any], judgement: Judgement) -> dict[str, Any]:
    return {
        "item_id": item["item_id"],
        "content_sha256": item["content_sha256"],
        "family_id": judgement.family,
        "family_type": family_type(judgement.family),
        "confidence": judgement.confidence,
        "alternatives_json": json.dumps([[name, round(share, 6)] for name, share in judgement.alternatives]),
        "reasoning": "; ".join(judgement.reasons),
        "model_id": MODEL_ID,
        "temperature": 0.0,
        "prompt_version": VERSION,
        "prompt_sha256": rules_sha256(),
        "raw_response": json.dumps(judgement.scores, sort_keys=True),
    }


def _known(item: dict[str, Any], family: str, model_id: str) -> dict[str, Any]:
    """Record of a family that nobody had to guess: there is no prompt and no response."""
    judged = Judgement(family, 1.0, [], [f"family named by the {model_id}"], {})
    return _record(item, judged) | {
        "model_id": model_id,
        "temperature": None,
        "prompt_version": None,
        "prompt_sha256": None,
        "raw_response": None,
    }


def classify_items(
    items: pl.DataFrame, hints: Sequence[str | None] | pl.Series | None = None, given: pl.Series | None = None
) -> pl.DataFrame:
    """One classification record per item, in their order (columns RECORD_COLUMNS).

    items: item_id, content_sha256, problem, source, family_id. Generated and planted items keep their family
    (model_id 'generator', confidence 1); items with a given family keep that (model_id 'source', confidence 1);
    all others are judged by the rules (model_id 'rules', temperature 0) and family_id is not looked at. With `given`
    an item whose entry is null has no family yet, wherever it says it comes from.
    """
    rows = []
    hints = [None] * items.height if hints is None else list(hints)
    families = [None] * items.height if given is None else given.to_list()
    for item, hint, family in zip(items.iter_rows(named=True), hints, families, strict=True):
        own = given is None or family is not None
        if (item["source"] == GENERATED and own) or item["family_id"] == PLANTED:
            rows.append(_known(item, item["family_id"], "generator"))
        elif family is not None:
            rows.append(_known(item, family, "source"))
        else:
            rows.append(_record(item, judge(item["problem"], hint)))
    return pl.DataFrame(rows, schema=RECORD_COLUMNS, orient="row")
