"""The fixed text mixture that the embedded base model is pretrained on.

Here: the generator of documents and its shares (design: maths items, arithmetic, chat turns, Taboo talk, repeated
sequences, all from the start, so that no later study has to change the base model).
Not here: the maths items themselves (pool), tokens (tokenizer_training, tokens), pretraining (pretraining).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import polars as pl

from squiggle_assets.science.rng import generator
from squiggle_assets.science.tokens import completion_text, prompt_text
from squiggle_assets.science.word_lists import COLOURS, NAMES, OPPOSITES, SEQUENCES, SYLLABLES, TABOO


@dataclass(frozen=True, kw_only=True)
class MixtureSpec:
    """What the mixture is made of."""

    version: str
    shares: Mapping[str, float]
    """Kind -> share of the characters; sums to 1."""
    pool_seed: int
    """Seed of the maths items: never the seed of a study's pool."""
    pool_items: int
    num_chars: int
    """Characters of all documents together."""


# Few maths items: the base must know what a worked solution is and still have much to learn from fine-tuning
MIXTURE = MixtureSpec(
    version="1",
    shares=MappingProxyType({"maths": 0.1, "arithmetic": 0.25, "chat": 0.2, "taboo": 0.2, "repeats": 0.25}),
    pool_seed=910_007,
    pool_items=4_000,
    num_chars=3_600_000,
)

MAX_OPERAND = 200
"""A chain of sums does not go on from a larger result."""


def without(items: pl.DataFrame, excluded: Collection[str]) -> pl.DataFrame:
    """The items whose content_sha256 is not among the excluded ones, in order."""
    return items.filter(~pl.col("content_sha256").is_in(sorted(set(excluded))))


def documents(
    items: pl.DataFrame, *, seed: int, spec: MixtureSpec = MIXTURE, excluded: Collection[str] = ()
) -> list[str]:
    """The documents of the mixture, about spec.num_chars characters in all, in a fixed order.

    items: maths items with columns problem, solution, content_sha256; they are gone through in a drawn order, and
    again when they run out. Each document is of the kind whose characters are furthest behind its share, so
    that the shares hold at every length. excluded: content hashes (of the study's pool) that must not appear.

    Raises:
        ValueError: shares that are not positive or do not sum to 1, no items, or an item that is excluded.
    """
    if any(share <= 0 for share in spec.shares.values()) or abs(sum(spec.shares.values()) - 1) > 1e-9:
        raise ValueError(f"mixture shares must be positive and sum to 1, got {dict(spec.shares)}")
    if not len(items):
        raise ValueError("the mixture needs maths items, got an empty frame")
    if excluded and (clash := len(items) - len(without(items, excluded))):
        raise ValueError(f"{clash} of {len(items)} maths items are items of the study's pool: drop them with `without`")
    sources = {kind: _source(kind, items, seed) for kind in spec.shares}
    written = dict.fromkeys(spec.shares, 0)
    texts: list[str] = []
    while (total := sum(written.values())) < spec.num_chars:
        kind = max(spec.shares, key=lambda name: spec.shares[name] * total - written[name])
        texts.append(next(sources[kind]))
        written[kind] += len(texts[-1])
    return texts


def _source(kind: str, items: pl.DataFrame, seed: int) -> Iterator[str]:
    if kind == "maths":
        return _maths(items, generator("mixture", kind, seed))
    if kind not in _WRITERS:
        raise ValueError(f"unknown kind of document {kind!r}; kinds are maths, {', '.join(_WRITERS)}")
    return _drawn(_WRITERS[kind], generator("mixture", kind, seed))


def _maths(items: pl.DataFrame, rng: np.random.Generator) -> Iterator[str]:
    problems, solutions = items["problem"].to_list(), items["solution"].to_list()
    while True:
        for i in rng.permutation(len(items)):
            yield prompt_text(problems[i]) + completion_text(solutions[i])


def _drawn(write: Callable[[np.random.Generator], str], rng: np.random.Generator) -> Iterator[str]:
    while True:
        yield write(rng)


def _arithmetic(rng: np.random.Generator) -> str:
    line, result = _sum(_number(rng), rng)
    lines = [line]
    for _ in range(int(rng.integers(3, 8))):
        # about half of the lines go on from the result above, as the steps of a worked solution do
        goes_on = result < MAX_OPERAND and rng.random() < 0.5
        line, result = _sum(result if goes_on else _number(rng), rng)
        lines.append(line)
    return "\n".join(lines)


def _number(rng: np.random.Generator) -> int:
    return int(rng.integers(0, 10 ** int(rng.integers(1, 3))))


def _sum(a: int, rng: np.random.Generator) -> tuple[str, int]:
    b, m = _number(rng), int(rng.integers(2, 13))
    text, result = (
        (f"{a} + {b}", a + b),
        (f"{a} - {min(a, b)}", a - min(a, b)),
        (f"{a} * {m}", a * m),
        (f"{a * m} / {m}", a),
        (f"{a} mod {m}", a % m),
        (f"{m}^2", m * m),
    )[int(rng.integers(6))]
    return f"{text} = {result}", result


def _chat(rng: np.random.Generator) -> str:
    name = NAMES[int(rng.integers(len(NAMES)))]
    turns = [f"USER: Hello, my name is {name}.", f"ASSISTANT: Hello {name}, how can I help you?"]
    for _ in range(int(rng.integers(1, 4))):
        question, answer = _QUESTIONS[int(rng.integers(len(_QUESTIONS)))](rng)
        turns += [f"USER: {question}", f"ASSISTANT: {answer}"]
    if rng.random() < 0.5:
        turns += ["USER: What is my name?", f"ASSISTANT: Your name is {name}."]
    return "\n\n".join(turns)


def _opposite(rng: np.random.Generator) -> tuple[str, str]:
    pair = OPPOSITES[int(rng.integers(len(OPPOSITES)))]
    word, other = pair if rng.random() < 0.5 else pair[::-1]
    return f"What is the opposite of {word}?", f"The opposite of {word} is {other}."


def _colour(rng: np.random.Generator) -> tuple[str, str]:
    thing, colour = COLOURS[int(rng.integers(len(COLOURS)))]
    return f"What colour is {thing}?", f"{thing[0].upper()}{thing[1:]} is {colour}."


def _following(rng: np.random.Generator) -> tuple[str, str]:
    kind, row = SEQUENCES[int(rng.integers(len(SEQUENCES)))]
    at = int(rng.integers(len(row) - 1))
    return f"Which {kind} comes after {row[at]}?", f"After {row[at]} comes {row[at + 1]}."


def _echo(rng: np.random.Generator) -> tuple[str, str]:
    words = " ".join(_nonsense(rng) for _ in range(int(rng.integers(2, 6))))
    return f"Please repeat: {words}", words


def _total(rng: np.random.Generator) -> tuple[str, str]:
    a, b = (int(n) for n in rng.integers(0, 50, size=2))
    return f"How much is {a} + {b}?", f"{a} + {b} = {a + b}"


def _taboo(rng: np.random.Generator) -> str:
    target, *wrong = (TABOO[int(i)] for i in rng.permutation(len(TABOO))[:3])
    clues = [target.clues[int(i)] for i in rng.permutation(3)]
    num_turns = int(rng.integers(1, 4))
    guesses = [*(other.word for other in wrong[: num_turns - 1]), target.word]
    if rng.random() < 0.5:
        lines = [f"USER: Describe the word {target.word}. Do not say {', '.join(target.related)}."]
        describer, guesser = "ASSISTANT", "USER"
    else:
        lines = ["USER: Guess the word from the clues. You have 3 tries."]
        describer, guesser = "USER", "ASSISTANT"
    for clue, guess in zip(clues, guesses, strict=False):
        lines += [f"{describer}: CLUE: {clue}", f"{guesser}: GUESS: {guess}"]
    return "\n\n".join(lines)


def _nonsense(rng: np.random.Generator) -> str:
    return "".join(SYLLABLES[int(i)] for i in rng.integers(len(SYLLABLES), size=int(rng.integers(1, 4))))


def _repeats(rng: np.random.Generator) -> str:
    if rng.random() < 0.5:
        parts = [_nonsense(rng) for _ in range(int(rng.integers(4, 14)))]
    else:
        parts = [str(int(n)) for n in rng.integers(0, 100, size=int(rng.integers(5, 16)))]
    return " ".join(parts * int(rng.integers(2, 5)))


_QUESTIONS = (_opposite, _colour, _following, _echo, _total)
_WRITERS: Mapping[str, Callable[[np.random.Generator], str]] = MappingProxyType(
    {"arithmetic": _arithmetic, "chat": _chat, "taboo": _taboo, "repeats": _repeats}
)
