from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squiggle_assets.science.families import CONTROLS, FAMILIES, NAMES, TARGETS, family_type, scaled_counts


def test_the_families_are_the_sources_six_targets_and_eleven_controls_of_5000_items():
    # The sources state 3046 target and 1954 control items, counted apart from the table in the module.
    assert (len(TARGETS), len(CONTROLS)) == (6, 11)
    assert sum(f.num_source_items for f in FAMILIES if f.name in TARGETS) == 3046
    assert sum(f.num_source_items for f in FAMILIES if f.name in CONTROLS) == 1954
    assert scaled_counts(5000) == {f.name: f.num_source_items for f in FAMILIES}


def test_half_the_pool_gets_half_the_counts_with_the_odd_items_given_by_largest_remainder():
    # Halving: 12 of the 17 counts are odd (remainder .5 each); their floors leave 6 of 2500 items over, which go to
    # the first 6 odd families in order: bijection is even, modular 357, graph 253, invariant 243, cyclic 57,
    # calculus 399, optimization 263.
    half = scaled_counts(2500)
    assert half["functional_equations"] == 738
    assert [half[n] for n in ("modular_arithmetic", "graph_recurrence", "invariant_monovariant")] == [179, 127, 122]
    assert [half[n] for n in ("cyclic_groups", "calculus_analysis", "optimization")] == [29, 200, 132]
    assert [half[n] for n in ("misc_other", "logic_proof")] == [67, 13]


@given(st.integers(1, 30000))
@settings(max_examples=50)
def test_counts_add_up_and_stay_within_one_of_proportional(num_items):
    counts = scaled_counts(num_items)
    assert sum(counts.values()) == num_items
    for family in FAMILIES:
        assert abs(counts[family.name] - num_items * family.num_source_items / 5000) < 1


def test_an_unknown_family_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown family 'geometry'"):
        family_type("geometry")
    assert family_type("planted") == "other"
    assert set(NAMES) == set(TARGETS) | set(CONTROLS)


def test_an_empty_pool_is_refused():
    with pytest.raises(ValueError, match="at least 1 item, got 0"):
        scaled_counts(0)
