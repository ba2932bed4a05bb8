"""What counts as one SELECT over named tables, and which tables those are."""

from __future__ import annotations

import duckdb
import pytest

from resources.statements import parse


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("select * from a", ("a",)),
        ('select * from "A" join b using (x) left join C as c on c.x = b.x', ("a", "b", "c")),
        ('from "odd name"', ("odd name",)),
        ("select * from a union all by name select * from b except select * from c", ("a", "b", "c")),
        ("select (select max(x) from b) from a where x in (select x from c) and exists (from d)", ("a", "b", "c", "d")),
        ("select * from (select * from (select * from a) join b using (x))", ("a", "b")),
        ("with q as (select * from a) select * from q join b using (x)", ("a", "b")),
        ("with q as (with r as (select * from a) select * from r) select * from q, r", ("a", "r")),
        ("with q as (select 1), r as (select * from q) select * from R", ()),
        ("with recursive n as (select 1 as i union all select i + 1 from n where i < 5) select * from n", ()),
        ("select * from a, lateral (select * from b where b.x = a.x)", ("a", "b")),
        ("select x from a limit (select count(*) from b)", ("a", "b")),
        ("select * from a, unnest(a.list), range(3)", ("a",)),
        ("describe a", ("a",)),
        ("summarize select * from a", ("a",)),
        ("pivot a on y in (1, 2) using sum(z)", ("a",)),
        ("select 'from secret' as x -- from secret", ()),
    ],
)
def test_the_tables_read_are_those_a_reader_of_the_text_would_name(connection, text, tables):
    assert parse(text, connection).tables == tables


def test_a_cte_may_have_the_name_of_the_table_it_reads(connection):
    # Not recursive, so the inner `a` is the table; DuckDB binds it so too: see the next assertion.
    text = "with a as (select x + 1 as x from a) select * from a"
    assert parse(text, connection).tables == ("a",)
    connection.execute("create or replace temp table a as select 1 as x")
    assert connection.execute(text).fetchall() == [(2,)]


def test_a_cte_does_not_hide_a_table_from_the_ctes_before_it(connection):
    assert parse("with q as (select * from b), b as (select 1) select * from q, b", connection).tables == ("b",)


def test_a_cte_of_a_subquery_hides_nothing_outside_it(connection):
    assert parse("select * from (with b as (select 1) select * from b), b", connection).tables == ("b",)


@pytest.mark.parametrize(
    ("text", "is_ordered"),
    [
        ("select * from a order by x", True),
        ("select * from a union select * from b order by 1", True),
        ("select * from (select * from a order by x)", False),
        ("select row_number() over (order by x) from a", False),
        ("select * from a limit 1", False),
    ],
)
def test_only_an_outermost_order_by_orders(connection, text, is_ordered):
    assert parse(text, connection).is_ordered is is_ordered


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "exactly one SELECT .* got 0"),
        ("-- nothing", "exactly one SELECT .* got 0"),
        ("select 1; select 2", "exactly one SELECT .* got 2"),
        ("select 1; drop table a", "only a SELECT"),
        ("drop table a", "only a SELECT"),
        ("insert into a values (1)", "only a SELECT"),
        ("create table a as select 1", "only a SELECT"),
        ("copy a to 'x.csv'", "only a SELECT"),
        ("attach 'x.duckdb'", "only a SELECT"),
        ("install httpfs", "only a SELECT"),
        ("load httpfs", "only a SELECT"),
        ("set threads = 4", "only a SELECT"),
        ("pragma threads = 4", "only a SELECT"),
        ("call pragma_version()", "only a SELECT"),
        ("explain analyze select 1", "only a SELECT"),
        ("with q as (insert into a values (1) returning *) select * from q", "inside WITH: got INSERT"),
        ("with q as (delete from a returning *) select * from q", "inside WITH: got DELETE"),
        ("with q as (update a set x = 1 returning *) select * from q", "inside WITH: got UPDATE"),
        ("with q as (copy a to 'x.csv') select 1", "inside WITH: got COPY"),
        ("select * from read_csv('/etc/passwd')", "table function 'read_csv'"),
        ("select (select count(*) from main.read_text('/etc/passwd'))", "table function 'read_text'"),
        ("from glob('/*')", "table function 'glob'"),
        ("from query('select 1')", "table function 'query'"),
        ("from duckdb_settings()", "table function 'duckdb_settings'"),
        ("from information_schema.tables", "'information_schema.tables': name the table alone"),
        ("from system.main.duckdb_tables", "'system.main.duckdb_tables': name the table alone"),
        ("show tables", "SHOW is not allowed"),
        ("select '", "not SQL: unterminated"),
        ("selec 1", "not SQL"),
    ],
)
def test_anything_but_one_select_over_named_tables_is_refused(connection, text, words):
    with pytest.raises(ValueError, match=words):
        parse(text, connection)


def test_a_long_text_is_cut_in_the_message(connection):
    with pytest.raises(ValueError) as refusal:
        parse("drop table " + "a" * 5000, connection)
    assert len(str(refusal.value)) < 250
