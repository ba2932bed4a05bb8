"""Which problems are the same problem: exactly after normalisation, or nearly so.

Here: normalisation, shingles, groups. Not here: what is done with the groups (science.splitting).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from datasketch import MinHash, MinHashLSH

from squiggle_assets.science.canonical import sha256_text
from squiggle_assets.science.rng import torch_seed

NUM_PERMUTATIONS = 128
SHINGLE = 3
WORD = re.compile(r"[^\W\d_]+|\d+(?:\.\d+)?|[-+*/^=<>]")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBER_WORDS = {name: str(value) for value, name in enumerate(_NAMES)}


def words(problem: str) -> list[str]:
    """Lower-case words, numbers and operators of a problem; small number words become digits, layout is lost."""
    return [NUMBER_WORDS.get(token, token) for token in WORD.findall(problem.lower())]


def normalised(problem: str) -> str:
    """The problem without case, layout and punctuation; numbers stay, so '2 + 3' and '2 + 4' differ."""
    return " ".join(words(problem))


def shingles(tokens: Sequence[str]) -> frozenset[str]:
    """All runs of 3 tokens (the whole text where it is shorter)."""
    if len(tokens) <= SHINGLE:
        return frozenset([" ".join(tokens)])
    return frozenset(" ".join(tokens[i : i + SHINGLE]) for i in range(len(tokens) - SHINGLE + 1))


def _numbers(tokens: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(token for token in tokens if NUMBER.fullmatch(token)))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Share of common shingles: 0 to 1."""
    return len(a & b) / len(a | b)


class _Forest:
    """Union-find over positions; the smallest position of a group is its root."""

    def __init__(self, size: int) -> None:
        self.parent = list(range(size))

    def root(self, i: int) -> int:
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        a, b = self.root(i), self.root(j)
        self.parent[max(a, b)] = min(a, b)


def duplicate_groups(problems: Sequence[str], threshold: float) -> list[str]:
    """A group id per problem: equal ids are the same problem, exactly or nearly.

    Same normalised text, or the same numbers and a Jaccard similarity of word 3-shingles of at least `threshold`
    (0-1; candidates by MinHash LSH with 128 permutations, then the exact similarity), joined transitively. Problems
    that differ in a number are different problems however alike their words: they are siblings of a template, and
    without this rule one template would be one group. The id is 'g' + 16 digits of the hash of the normalised text
    of the group's first problem in sorted order, so it does not depend on the order of the rows. ValueError for a
    threshold outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"minhash_threshold must lie in (0, 1], got {threshold}")
    texts = [normalised(problem) for problem in problems]
    unique = sorted(set(texts))
    tokens = [text.split(" ") for text in unique]
    shingled = [shingles(row) for row in tokens]
    numbers = [_numbers(row) for row in tokens]
    forest = _Forest(len(unique))
    if len(unique) > 1:
        sketches = MinHash.bulk(
            [[s.encode("utf-8") for s in sorted(row)] for row in shingled],
            num_perm=NUM_PERMUTATIONS,
            seed=torch_seed("minhash") % 2**31,
        )
        index = MinHashLSH(threshold=max(threshold - 0.1, 0.05), num_perm=NUM_PERMUTATIONS)
        for i, sketch in enumerate(sketches):
            for j in index.query(sketch):
                if numbers[i] == numbers[j] and jaccard(shingled[i], shingled[j]) >= threshold:
                    forest.join(i, j)
            index.insert(i, sketch)
    ids = {text: "g" + sha256_text(unique[forest.root(i)])[:16] for i, text in enumerate(unique)}
    return [ids[text] for text in texts]
