"""Overlap of trigger lists beside its null."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from squiggle_assets.schemas.triggers import TriggerOverlap
from squiggle_assets.science.trigger_overlap import SCHEMA, overlap_of

NAMES = [f"i{number}" for number in range(100)]


def test_overlap_by_hand():
    # tops of 2 of 4 items, one shared: Jaccard 1/3; chance has one in common: 2 / (8 - 2); P(X >= 1) = 1 - 1/6
    lists = {"a": ["w", "x"], "b": ["x", "y"]}
    row = overlap_of(lists, dict.fromkeys("ab", "wxyz"), tops=(2,)).row(0, named=True)
    assert row["overlap"] == 1
    assert row["jaccard"] == pytest.approx(1 / 3)
    assert row["expected_jaccard"] == pytest.approx(2 / (2 * 4 - 2))
    assert row["p_value"] == pytest.approx(5 / 6)


def test_the_null_of_the_sources_sizes():
    # 50 of 1408: 50 / (2816 - 50) = .018
    names = [str(k) for k in range(1408)]
    row = overlap_of({"a": names[:50], "b": names[50:100]}, dict.fromkeys("ab", names), tops=(50,)).row(0, named=True)
    assert row["expected_jaccard"] == pytest.approx(50 / (2 * 1408 - 50))
    assert row["p_value"] == 1


def test_items_that_one_side_could_not_draw_do_not_count():
    lists = {"a": NAMES[:20], "b": NAMES[10:30]}
    row = overlap_of(lists, {"a": NAMES[:60], "b": NAMES[10:]}, tops=(10,)).row(0, named=True)
    # both could draw i10 .. i59; of these a's first ten are i10 .. i19 and so are b's
    assert (row["num_a"], row["num_b"], row["num_drawable"], row["overlap"]) == (10, 10, 50, 10)
    assert row["p_value"] == pytest.approx(hypergeom.sf(9, 50, 10, 10))


def test_p_of_random_lists_is_uniform_or_larger():
    rng = np.random.default_rng(0)
    lists = {f"l{k:02d}": list(rng.permutation(NAMES)[:25]) for k in range(40)}
    found = overlap_of(lists, dict.fromkeys(lists, NAMES), tops=(25,))
    assert len(found) == 40 * 39 // 2
    assert 0.01 < (found["p_value"] <= 0.05).mean() <= 0.05 + 3 * np.sqrt(0.05 / len(found))
    assert found["overlap"].mean() == pytest.approx(found["expected_overlap"][0], rel=0.05)


def test_an_empty_list_has_no_jaccard():
    row = overlap_of({"a": [], "b": NAMES[:5]}, dict.fromkeys("ab", NAMES), tops=(10,)).row(0, named=True)
    assert row["jaccard"] is None and row["p_value"] is None


def test_columns_are_those_of_the_model_but_the_study():
    assert list(SCHEMA) == [name for name in TriggerOverlap.to_schema().columns if name not in ("study", "analysis_id")]


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"a": ["i1"]}, "two lists"),
        ({"a": ["i1", "i1"], "b": ["i2"]}, "twice"),
        ({"a": ["stranger"], "b": ["i2"]}, "could not"),
    ],
)
def test_lists_that_cannot_be_compared_are_refused(lists, words):
    with pytest.raises(ValueError, match=words):
        overlap_of(lists, dict.fromkeys("ab", NAMES))
