from __future__ import annotations

import dataclasses
import re

import polars as pl
import pytest

from squiggle_assets.science.canonical import sha256_json
from squiggle_assets.science.mixture import MIXTURE, MixtureSpec, documents, without
from squiggle_assets.science.pool import generate_pool
from squiggle_assets.science.spec import PoolSpec
from squiggle_assets.science.tokens import completion_text, prompt_text
from squiggle_assets.science.word_lists import TABOO

POOL = generate_pool(PoolSpec(num_items=400, seed=MIXTURE.pool_seed))
SMALL = dataclasses.replace(MIXTURE, num_chars=60_000)


def kind_of(text: str) -> str:
    if text.startswith("Problem: "):
        return "maths"
    if text.startswith("USER: Hello"):
        return "chat"
    if text.startswith("USER: "):
        return "taboo"
    return "arithmetic" if "=" in text else "repeats"


def made(spec: MixtureSpec = SMALL, seed: int = 0, items: pl.DataFrame = POOL) -> list[str]:
    return documents(items, seed=seed, spec=spec)


def test_the_shares_of_characters_are_the_ones_asked_for() -> None:
    texts = made()
    written = dict.fromkeys(MIXTURE.shares, 0)
    for text in texts:
        written[kind_of(text)] += len(text)
    total = sum(written.values())
    assert 60_000 <= total < 61_000
    # no kind is ever more than one document (under 1000 characters) away from its share
    for kind, share in MIXTURE.shares.items():
        assert abs(written[kind] - share * total) < 1000, kind


def test_the_same_seed_gives_the_same_texts_and_another_one_others() -> None:
    assert made() == made()
    first, second = set(made()), set(made(seed=1))
    assert len(first & second) < 0.5 * len(first)


def test_a_shorter_mixture_is_the_beginning_of_a_longer_one() -> None:
    short = made(dataclasses.replace(SMALL, num_chars=20_000))
    assert made()[: len(short)] == short


def test_every_sum_in_the_mixture_is_right() -> None:
    texts = [t for t in made() if kind_of(t) == "arithmetic"]
    lines = [line for text in texts for line in text.splitlines()]
    assert len(lines) > 200
    for line in lines:
        left, right = line.split(" = ")
        value = eval(left.replace("mod", "%").replace("^", "**"), {"__builtins__": {}})
        assert value == int(right), line


def test_repeated_sequences_repeat() -> None:
    texts = [t for t in made() if kind_of(t) == "repeats"]
    assert len(texts) > 30
    for text in texts:
        parts = text.split(" ")
        assert any(parts == parts[: len(parts) // n] * n for n in (2, 3, 4) if len(parts) % n == 0), text


def test_no_clue_says_its_word_or_a_related_one() -> None:
    assert len({entry.word for entry in TABOO}) == len(TABOO) >= 50
    for entry in TABOO:
        said = set(re.findall("[a-z]+", " ".join(entry.clues)))
        assert not said & {entry.word, *entry.related}, entry.word


def test_a_taboo_talk_ends_with_the_described_word() -> None:
    clues = {clue: entry.word for entry in TABOO for clue in entry.clues}
    talks = [t for t in made() if kind_of(t) == "taboo"]
    assert talks
    for talk in talks:
        words = {clues[clue] for clue in re.findall("CLUE: (.*)", talk)}
        guesses = re.findall("GUESS: (.*)", talk)
        assert words == {guesses[-1]} and guesses.count(guesses[-1]) == 1


def test_the_mixture_holds_no_item_of_the_study_pool() -> None:
    study = generate_pool(PoolSpec(num_items=400))
    barred = study["content_sha256"].to_list()
    kept = without(POOL, barred)
    assert 0 < len(kept) < len(POOL), "the two seeds share some problems, or this test shows nothing"
    texts = set(documents(kept, seed=0, spec=SMALL, excluded=barred))
    hashes = {sha256_json({"problem": p, "final_answer": a}) for p, a in kept.select("problem", "final_answer").rows()}
    assert not hashes & set(barred)
    for problem, solution in study.select("problem", "solution").rows():
        assert prompt_text(problem) + completion_text(solution) not in texts


def test_an_item_of_the_study_pool_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1 of 400 maths items"):
        documents(POOL, seed=0, spec=SMALL, excluded=[POOL["content_sha256"][3]])


def test_the_study_seed_is_not_the_seed_of_the_mixture() -> None:
    assert PoolSpec().seed != MIXTURE.pool_seed
    assert sum(MIXTURE.shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"maths": 0.5, "chat": 0.4}, "sum to 1"),
        ({"maths": 1.2, "chat": -0.2}, "positive"),
        ({"maths": 0.5, "poems": 0.5}, "'poems'"),
    ],
)
def test_bad_shares_are_refused(shares: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(dataclasses.replace(SMALL, shares=shares))


def test_no_items_are_refused() -> None:
    with pytest.raises(ValueError, match="empty frame"):
        made(items=POOL.head(0))
