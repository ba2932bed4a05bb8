"""How alike two lists of triggers are, beside what chance gives: Jaccard of their tops and the overlap's p.

Here: lists of different arms, seeds or sampling modes in pairs. Not here: how a list is ranked (triggers).

Lists are first cut to the items that both sides could draw: a list that lacks an item because its arm never showed it
is not in disagreement. The null takes both tops at random from these items, so the overlap is hypergeometric.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any

import polars as pl

TOPS = (10, 25, 50)
"""Sizes of the tops that are compared."""
SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("list_a", "list_b"), pl.String),
    **dict.fromkeys(("k", "num_a", "num_b", "num_drawable", "overlap"), pl.Int64),
    **dict.fromkeys(("expected_overlap", "jaccard", "expected_jaccard", "p_value"), pl.Float64),
}
"""Columns of the trigger_overlap table."""


def jaccard(overlap: float, num_a: int, num_b: int) -> float:
    """|A and B| / |A or B|; nan for two empty sets."""
    union = num_a + num_b - overlap
    return overlap / union if union else float("nan")


def overlap_of(
    rankings: Mapping[str, Sequence[str]], drawable: Mapping[str, Collection[str]], *, tops: Sequence[int] = TOPS
) -> pl.DataFrame:
    """One row per pair of lists and size of top: columns SCHEMA.

    Args:
        rankings: Item ids by name of the list, best first.
        drawable: Items that could have been on each list.
        tops: Sizes; a list with fewer items left gives all it has (num_a, num_b).

    expected_jaccard is the Jaccard of the mean overlap, K / (2 N - K) for two tops of K of N items; p is that of an
    overlap at least as large (hypergeometric). Both, and the Jaccard, are null where one of the lists is empty.

    Raises:
        ValueError: fewer than two lists, an item twice on a list or not drawable there, sizes that are not positive.
    """
    _refuse(rankings, drawable, tops)
    rows = []
    for a, b in combinations(sorted(rankings), 2):
        both = set(drawable[a]) & set(drawable[b])
        first, second = ([item for item in rankings[name] if item in both] for name in (a, b))
        rows += [{"list_a": a, "list_b": b, "k": k, **_compared(first[:k], second[:k], len(both))} for k in tops]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _compared(first: Sequence[str], second: Sequence[str], num_drawable: int) -> dict[str, Any]:
    from scipy.stats import hypergeom

    num_a, num_b, overlap = len(first), len(second), len(set(first) & set(second))
    known = num_a > 0 and num_b > 0
    expected = num_a * num_b / num_drawable if known else 0.0
    tail = hypergeom.sf(overlap - 1, num_drawable, num_a, num_b) if known else None
    return {
        "num_a": num_a,
        "num_b": num_b,
        "num_drawable": num_drawable,
        "overlap": overlap,
        "expected_overlap": expected,
        "jaccard": jaccard(overlap, num_a, num_b) if known else None,
        "expected_jaccard": jaccard(expected, num_a, num_b) if known else None,
        "p_value": min(1.0, float(tail)) if tail is not None else None,
    }


def _refuse(
    rankings: Mapping[str, Sequence[str]], drawable: Mapping[str, Collection[str]], tops: Sequence[int]
) -> None:
    if len(rankings) < 2 or not tops or min(tops) < 1:
        raise ValueError(f"at least two lists and positive sizes are needed, got {sorted(rankings)} and {tops}")
    for name, items in rankings.items():
        if len(set(items)) != len(items):
            raise ValueError(f"list {name!r} holds an item twice")
        if name not in drawable or not set(items) <= set(drawable[name]):
            raise ValueError(f"list {name!r} holds items that it could not have drawn, or nothing says which it could")
