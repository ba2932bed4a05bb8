"""Discovery: which files are models, what is read off them, and in which order they come."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.sql_models import description, discover

SELECT = "-- What a row is.\nselect * from {} order by all"


def _file(stem, *tables, layer="marts"):
    return layer, stem, SELECT.format(", ".join(tables))


def test_a_model_is_its_stem_folder_comment_text_and_tables():
    text = "-- One row per arm.\n-- grain: arm. Steps in steps.\nselect arm from runs, items order by arm -- c"
    (model,) = discover([("marts", "arms", text)], ["runs", "items"])
    assert (model.name, model.layer, model.text) == ("arms", "marts", text)
    assert model.description == "One row per arm.\ngrain: arm. Steps in steps."
    assert model.upstreams == ("items", "runs")


def test_the_code_version_changes_with_any_character_and_with_nothing_else():
    first, again, other = (
        discover([("marts", name, SELECT.format("a") + tail)], ["a"])[0].code_version
        for name, tail in [("x", ""), ("y", ""), ("x", " ")]
    )
    assert first == again
    assert first != other


def test_makers_come_before_users_whatever_the_order_of_the_files():
    files = [_file("c", "b"), _file("b", "a"), _file("a", "raw")]
    assert [model.name for model in discover(files, ["raw"])] == ["a", "b", "c"]


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(6)), st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5))))
def test_every_model_comes_after_all_it_reads(order, pairs):
    # An edge from a lower to a higher number only, so there is never a cycle.
    reads = {n: sorted({a for a, b in pairs if b == n and a < b}) for n in range(6)}
    files = [_file(f"m{n}", "raw", *(f"m{up}" for up in reads[n])) for n in order]
    models = discover(files, ["raw"])
    place = {model.name: index for index, model in enumerate(models)}
    assert len(models) == 6
    assert all(place[up] < place[m.name] for m in models for up in m.upstreams if up != "raw")


def test_quoted_and_upper_case_names_are_the_same_model():
    files = [_file("a", "RAW"), _file("b", '"A"')]
    assert [model.upstreams for model in discover(files, ["raw"])] == [("raw",), ("a",)]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([_file("a", "nowhere")], r"marts/a\.sql: unknown table 'nowhere'; there are \['a', 'raw'\]"),
        (
            [_file("a", "b"), _file("b", "a")],
            r"cycle: .*marts/a\.sql.*marts/b\.sql|cycle: .*marts/b\.sql.*marts/a\.sql",
        ),
        ([_file("a", "a")], r"cycle: marts/a\.sql -> marts/a\.sql"),
        ([_file("raw", "raw")], r"marts/raw\.sql: the name 'raw' is taken by a table"),
        ([_file("a", "raw"), _file("a", "raw", layer="staging")], r"staging/a\.sql: .*taken by marts/a\.sql"),
        ([_file("a", "b", layer="staging"), _file("b", "raw")], r"staging/a\.sql: reads marts/b\.sql, a later layer"),
        ([_file("a", "raw", layer="gold")], r"gold/a\.sql: no layer 'gold'"),
        ([_file("A-b", "raw")], r"marts/A-b\.sql: 'A-b' is not a usable name"),
        ([("marts", "a", "select * from raw order by all")], r"marts/a\.sql: begins with no comment"),
        ([("marts", "a", "--\n--  \nselect * from raw order by all")], r"marts/a\.sql: begins with no comment"),
        ([("marts", "a", "-- x\nselect * from raw")], r"marts/a\.sql: has no outermost ORDER BY"),
        ([("marts", "a", "-- x\nselect 1 order by 1; select 2 order by 1")], r"marts/a\.sql: exactly one SELECT"),
        ([("marts", "a", "-- x\ncreate table b as select 1")], r"marts/a\.sql: only a SELECT"),
        ([("marts", "a", "-- x\nselect * fro raw order by")], r"marts/a\.sql: not SQL"),
        (
            [("marts", "a", "-- x\nselect * from read_csv('y') order by all")],
            r"marts/a\.sql: table function 'read_csv'",
        ),
        ([("marts", "a", "-- x\nselect * from main.raw order by all")], r"marts/a\.sql: table 'main\.raw'"),
    ],
)
def test_what_cannot_be_a_model_is_refused_by_file(files, words):
    with pytest.raises(ValueError, match=words):
        discover(files, ["raw"])


def test_a_comment_after_the_select_is_no_description():
    assert description("select 1 -- one") == ""
    assert description("\n-- a\n--\n-- b\n\n-- not this\nselect 1") == "a\n\nb"
