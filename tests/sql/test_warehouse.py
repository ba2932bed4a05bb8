"""What a table name means in SQL: the current, counting, whole partitions of every study, and no others."""

from __future__ import annotations

import duckdb
import polars as pl
import pytest

from io_managers.pointers import DamagedError
from io_managers.store import BlockedError, Store
from resources.sql_models import discover
from resources.warehouse import QueryError, Roster, Warehouse, view_columns
from squiggle_assets.schemas.base import Table, column
from squiggle_assets.schemas.handles import CheckOutcome

ALL_SCORES = "select study, arm, seed, value from scores order by all"
FAILED = CheckOutcome(name="scores_move", passed=False, blocking=True, description="no score moved", num_failing=3)


def test_a_table_is_the_union_over_studies_arms_and_seeds_with_the_study_first(open_warehouse, put, score):
    put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1)
    put("first/scores", [score("ramp", 2, 0.25)], "ramp", 2)
    put("first/scores", [score("iid", 1, None)], "iid", 1)
    put("second/scores", [score("ramp", 1, 1.0)], "ramp", 1)
    with open_warehouse() as warehouse:
        assert warehouse.query("select * from scores").columns == ["study", "arm", "seed", "item_id", "value"]
        assert warehouse.query(ALL_SCORES).rows() == [
            ("first", "iid", 1, None),
            ("first", "ramp", 1, 0.5),
            ("first", "ramp", 2, 0.25),
            ("second", "ramp", 1, 1.0),
        ]


def test_a_replaced_partition_is_gone_although_its_file_is_still_there(open_warehouse, put, score, store):
    old = put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1)
    put("first/scores", [score("ramp", 1, 0.75)], "ramp", 1)
    assert store.path(old.ref).exists()
    with open_warehouse() as warehouse:
        assert warehouse.query("select value from scores").rows() == [(0.75,)]


@pytest.mark.parametrize(("arm", "seed"), [("retired", 1), ("ramp", 99)])
def test_a_retired_arm_or_seed_is_gone_although_its_pointer_is_still_there(
    open_warehouse, put, score, store, arm, seed
):
    put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1)
    put("first/scores", [score(arm, seed, 9.0)], arm, seed)
    assert len(store.pointers("first/scores")) == 2
    with open_warehouse() as warehouse:
        assert warehouse.query("select value from scores").rows() == [(0.5,)]


def test_a_study_outside_the_rosters_is_not_read(open_warehouse, put, score):
    put("third/scores", [score("ramp", 1, 9.0)], "ramp", 1)
    with open_warehouse() as warehouse:
        assert warehouse.query("select * from scores").is_empty()


def test_a_shared_table_has_no_study_and_joins_by_its_own_key(open_warehouse, put, score):
    put("items", [{"item_id": "i1", "text": "1 + 1"}])
    put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1)
    with open_warehouse() as warehouse:
        assert warehouse.query("select * from items").columns == ["item_id", "text"]
        found = warehouse.query("select study, text, value from scores join items using (item_id)")
    assert found.rows() == [("first", "1 + 1", 0.5)]


def test_a_table_that_names_its_study_itself_keeps_its_own_column(open_warehouse, put):
    put("first/verdicts", [{"study": "first", "verdict": "supported"}])
    with open_warehouse() as warehouse:
        assert warehouse.query("select * from verdicts").rows() == [("first", "supported")]


def test_a_table_that_nobody_made_is_empty_and_typed(open_warehouse):
    with open_warehouse() as warehouse:
        found = warehouse.query("select * from scores")
        assert warehouse.query("select count(*) as num, sum(seed) as total from scores").rows() == [(0, None)]
    assert dict(found.schema) == {
        "study": pl.String,
        "arm": pl.String,
        "seed": pl.Int64,
        "item_id": pl.String,
        "value": pl.Float64,
    }


def test_view_columns_are_the_columns_of_the_views(open_warehouse, put, score, tables):
    put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1)
    said = view_columns(tables, {"items"})
    with open_warehouse() as warehouse:
        for name in tables:
            assert said[name] == tuple(warehouse.query(f'select * from "{name}"').columns)


def test_whole_numbers_come_out_as_int64_and_decimals_as_float64(open_warehouse):
    with open_warehouse() as warehouse:
        found = warehouse.query(
            "select sum(i) as s, count(*) as n, 1 as one, 1.5 as d, sum(1.5) as sd from range(3) r(i)"
        )
    assert dict(found.schema) == {"s": pl.Int64, "n": pl.Int64, "one": pl.Int64, "d": pl.Float64, "sd": pl.Float64}
    assert found.rows() == [(3, 3, 1, 1.5, 4.5)]


def test_a_whole_number_beyond_64_bits_is_refused_not_wrapped(open_warehouse):
    with open_warehouse() as warehouse, pytest.raises(QueryError, match="9223372036854775808"):
        warehouse.query("select 9223372036854775807::hugeint + 1 as n")


@pytest.mark.parametrize("parameters", [["i1"], {"item": "i1"}])
def test_parameters_fill_question_marks_and_names(open_warehouse, put, score, parameters):
    put("first/scores", [score("ramp", 1, 0.5), score("ramp", 1, 0.25, "i2")], "ramp", 1)
    where = "item_id = ?" if isinstance(parameters, list) else "item_id = $item"
    with open_warehouse() as warehouse:
        assert warehouse.query(f"select value from scores where {where}", parameters).rows() == [(0.5,)]


def test_a_failed_blocking_check_stops_statements_on_its_table_and_on_no_other(open_warehouse, put, score):
    put("items", [{"item_id": "i1", "text": "x"}])
    put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1)
    put("first/scores", [score("iid", 2, 0.5)], "iid", 2, checks=(FAILED,))
    with open_warehouse() as warehouse:
        with pytest.raises(BlockedError, match=r"first/scores iid\|2 failed .*blocking check.*scores_move"):
            warehouse.query("select count(*) from scores")
        assert warehouse.query("select count(*) as n from items").rows() == [(1,)]


def test_a_failed_check_that_blocks_nothing_blocks_nothing(open_warehouse, put, score):
    check = CheckOutcome(name="look", passed=False, blocking=False, description="odd")
    put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1, checks=(check,))
    with open_warehouse() as warehouse:
        assert warehouse.query(ALL_SCORES).height == 1


def test_a_damaged_file_is_refused_by_name(open_warehouse, put, score, store):
    pointer = put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1)
    path = store.path(pointer.ref)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with open_warehouse() as warehouse, pytest.raises(DamagedError, match=path.name):
        warehouse.query(ALL_SCORES)


def test_a_file_of_an_older_model_is_refused_by_partition_and_column(open_warehouse, put):
    class Scores(Table):
        """One row per item of a run, as it was once."""

        arm: str = column("arm")
        seed: int = column("seed")
        item_id: str = column("item")
        value: int = column("score, then whole")

    row = {"arm": "ramp", "seed": 1, "item_id": "i1", "value": 1}
    put("first/scores", [row], "ramp", 1, model=Scores)
    with open_warehouse() as warehouse, pytest.raises(QueryError, match=r"first/scores/ramp/1 .*differing: value"):
        warehouse.query(ALL_SCORES)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("select * from nowhere", "no table 'nowhere'; there are items, scores, verdicts"),
        ("select nope from scores", "nope"),
        ("select 'a'::int as n", "(?i)could not convert"),
        ("select 1 as a, 2 as a", "(?i)duplicate|more than once"),
        ("select * from scores where item_id = ?", "(?i)parameter|expected"),
    ],
)
def test_a_statement_that_cannot_run_says_why(open_warehouse, sql, words):
    with open_warehouse() as warehouse, pytest.raises(QueryError, match=words):
        warehouse.query(sql)


def test_models_are_computed_afresh_through_each_other(open_warehouse, put, score, tables):
    files = [
        ("marts", "means", "-- x\nselect study, avg(num) as mean from counts group by study order by study"),
        ("staging", "counts", "-- x\nselect study, arm, count(*) as num from scores group by all order by all"),
    ]
    put("first/scores", [score("ramp", 1, 0.5), score("ramp", 1, 0.5, "i2")], "ramp", 1)
    put("first/scores", [score("iid", 1, 0.5)], "iid", 1)
    models = discover(files, tables)
    with open_warehouse(models=models) as warehouse:
        # Two rows in ramp, one in iid: a mean of 1.5 rows an arm.
        assert warehouse.run_model(models[1]).rows() == [("first", 1.5)]
        assert warehouse.names == ("counts", "items", "means", "scores", "verdicts")
        assert list(warehouse.sources(["means"])) == ["first/scores/iid/1", "first/scores/ramp/1"]


def test_a_model_that_fails_is_named(open_warehouse, tables):
    (model,) = discover([("marts", "wrong", "-- x\nselect nope from scores order by all")], tables)
    with open_warehouse() as warehouse, pytest.raises(QueryError, match=r"marts/wrong\.sql: .*nope"):
        warehouse.run_model(model)
    with open_warehouse(models=[model]) as warehouse, pytest.raises(QueryError, match=r"wrong: .*nope"):
        warehouse.query("select * from wrong")


def test_sources_name_exactly_the_partitions_a_table_is_made_from(open_warehouse, put, score):
    put("items", [{"item_id": "i1", "text": "x"}])
    current = put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1)
    put("first/scores", [score("retired", 1, 0.5)], "retired", 1)
    with open_warehouse() as warehouse:
        assert warehouse.sources(["scores"]) == {"first/scores/ramp/1": current}
        assert list(warehouse.sources(["items", "scores"])) == ["items", "first/scores/ramp/1"]


def test_a_statement_reads_the_partitions_that_sources_named_whatever_came_in_between(open_warehouse, put, score):
    before = put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1)
    with open_warehouse() as warehouse:
        assert warehouse.sources(["scores"]) == {"first/scores/ramp/1": before}
        put("first/scores", [score("ramp", 1, 0.75)], "ramp", 1)
        assert warehouse.query("select value from scores").rows() == [(0.5,)]
        assert warehouse.sources(["scores"]) == {"first/scores/ramp/1": before}


def test_sources_of_a_name_that_does_not_exist_are_refused(open_warehouse):
    with open_warehouse() as warehouse, pytest.raises(QueryError, match="no table 'nowhere'"):
        warehouse.sources(["nowhere"])


def test_a_given_connection_is_used_and_closed_even_after_an_error(open_warehouse):
    connection = duckdb.connect()
    with pytest.raises(RuntimeError, match="mine"), open_warehouse(connection=connection):
        assert connection.execute("select current_setting('lock_configuration')").fetchall() == [(True,)]
        raise RuntimeError("mine")
    with pytest.raises(duckdb.ConnectionException):
        connection.execute("select 1")


def test_dagsters_resource_gives_a_connection_that_works(open_warehouse, put, score):
    from dagster_duckdb import DuckDBResource

    put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1)
    with (
        DuckDBResource(database=":memory:").get_connection() as connection,
        open_warehouse(connection=connection) as warehouse,
    ):
        assert warehouse.query(ALL_SCORES).rows() == [("first", "ramp", 1, 0.5)]


def test_an_unknown_shared_table_and_a_root_that_is_a_glob_are_refused(store, tables, tmp_path):
    with pytest.raises(ValueError, match=r"shared tables \['nowhere'\]"):
        Warehouse(store, [], tables, shared={"nowhere"})
    with pytest.raises(ValueError, match="glob; rename it"):
        Warehouse(Store(tmp_path / "data[1]"), [], tables, shared=set())


@pytest.mark.parametrize("name", ["o'brien; drop table", 'a "quoted" root', "ünï côde"])
def test_a_root_of_odd_characters_reached_through_a_link_is_read(put, score, store, tables, tmp_path, name):
    put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1)
    odd = store.root.rename(tmp_path / name)
    (tmp_path / "link").symlink_to(odd)
    roster = Roster(study="first", arms=frozenset({"ramp"}), seeds=frozenset({1}))
    for root in (odd, tmp_path / "link"):
        with Warehouse(Store(root), [roster], tables, shared={"items"}) as warehouse:
            assert warehouse.query("select value from scores").rows() == [(0.5,)]
