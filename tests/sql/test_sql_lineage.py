"""From which columns of which tables a model's columns come."""

from __future__ import annotations

import pytest

from resources.sql_lineage import column_lineage
from resources.sql_models import discover

COLUMNS = {"runs": ["study", "arm", "seed", "loss"], "claims": ["arm", "q"], "other": ["q", "arm", "name"]}


def _lineage(select):
    (model,) = discover([("marts", "m", f"-- x\n{select} order by all")], COLUMNS)
    return column_lineage(model, COLUMNS)


def test_plain_renamed_and_computed_columns_lead_to_their_table():
    assert _lineage("select arm, loss as final, loss * 2 + seed as mixed from runs") == {
        "arm": [("runs", "arm")],
        "final": [("runs", "loss")],
        "mixed": [("runs", "loss"), ("runs", "seed")],
    }


def test_lineage_goes_through_chained_ctes_subqueries_and_aliases():
    found = _lineage(
        "with a as (select arm, max(loss) as worst from runs as r group by arm), "
        "b as (select x.arm, x.worst, c.q from a as x join (select * from claims) as c using (arm)) "
        "select b.arm, worst / q as ratio from b"
    )
    assert found == {"arm": [("runs", "arm")], "ratio": [("claims", "q"), ("runs", "loss")]}


def test_a_cte_with_the_name_of_its_table_leads_to_the_table():
    assert _lineage("with runs as (select arm, loss as l from runs) select l from runs") == {"l": [("runs", "loss")]}


def test_both_sides_of_a_union_are_sources():
    assert _lineage("select arm, q from claims union all select arm, q from other") == {
        "arm": [("claims", "arm"), ("other", "arm")],
        "q": [("claims", "q"), ("other", "q")],
    }


def test_a_count_of_rows_has_no_source_and_a_filtered_aggregate_has_those_of_its_filter():
    found = _lineage("select count(*) as num, count(*) filter (where q > .5) as num_large, sum(q) as total from claims")
    assert found == {"num": [], "num_large": [("claims", "q")], "total": [("claims", "q")]}


def test_a_star_is_every_column_of_the_table():
    assert _lineage("select * from other") == {name: [("other", name)] for name in COLUMNS["other"]}


def test_a_window_reads_what_it_is_ordered_and_partitioned_by():
    assert _lineage("select row_number() over (partition by arm order by q) as rank from claims") == {
        "rank": [("claims", "arm"), ("claims", "q")]
    }


@pytest.mark.parametrize(
    ("select", "columns", "words"),
    [
        ("select arm from runs", {}, r"m: the columns of \['runs'\] are not given"),
        ("select nope from runs", COLUMNS, "m: no lineage: .*'nope' could not be resolved"),
        ("with a as (select arm as x from runs) select loss from a", COLUMNS, "m: no lineage: .*'loss'"),
        ("select q from claims, other", COLUMNS, "m: no lineage: .*'q' could not be resolved"),
        ("select arm, q from claims union all by name select q, arm from other", COLUMNS, "m: .*UNION BY NAME"),
    ],
)
def test_what_cannot_be_resolved_is_refused(select, columns, words):
    (model,) = discover([("marts", "m", f"-- x\n{select} order by all")], COLUMNS)
    with pytest.raises(ValueError, match=words):
        column_lineage(model, columns)
