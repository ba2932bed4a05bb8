"""A statement reads the current tables and can do nothing else: each attack is refused twice over.

First by the parser (Warehouse.query), then, where that is got around, by the locked connection itself.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest

from resources.warehouse import QueryError


def _attacks(folder: Path) -> dict[str, str]:
    return {
        "read a file": "select * from read_csv('/etc/passwd')",
        "read text": "select content from read_text('/etc/passwd')",
        "read by name": "select * from '/etc/passwd.csv'",
        "read upwards": f"select * from read_text('{folder}/data/objects/../../secret.txt')",
        "list files": "select * from glob('/etc/*')",
        "write a file": f"copy (select 1) to '{folder}/stolen.csv'",
        "write in a cte": f"with q as (copy (select 1) to '{folder}/stolen.csv') select 1",
        "export": f"export database '{folder}/stolen'",
        "attach a file": f"attach '{folder}/other.duckdb' as other",
        "install": "install httpfs",
        "load": "load httpfs",
        "read the web": "select * from 'https://example.org/x.parquet'",
        "open up": "set enable_external_access = true",
        "unlock": "set lock_configuration = false",
        "widen": "set allowed_directories = ['/']",
        "reset": "reset allowed_directories",
        "pragma": "pragma threads = 64",
        "spill": f"set temp_directory = '{folder}'",
        "persist a secret": "create persistent secret s (type s3)",
        "python variable": "select * from secret_frame",
    }


ONLY_PARSER = {
    "attach memory": "attach ':memory:' as other",
    "make a table": "create table scores as select 1",
    "drop a view": "drop view scores",
    "two statements": "select 1; copy (select 1) to 'stolen.csv'",
    "settings": "select * from duckdb_settings()",
    "catalogue": "select * from information_schema.tables",
    "text as sql": "select * from query('select 1')",
}


@pytest.mark.parametrize("attack", [*_attacks(Path()), *ONLY_PARSER])
def test_an_attack_through_a_query_is_refused_and_leaves_nothing(open_warehouse, put, score, tmp_path, attack):
    put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1)
    (tmp_path / "secret.txt").write_text("secret")
    before = sorted(tmp_path.rglob("*"))
    with open_warehouse() as warehouse:
        warehouse.query("select * from scores")
        with pytest.raises(QueryError):
            warehouse.query({**_attacks(tmp_path), **ONLY_PARSER}[attack])
        assert warehouse.query("select value from scores").rows() == [(0.5,)]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("attack", list(_attacks(Path())))
def test_the_locked_connection_alone_refuses_it_too(open_warehouse, tmp_path, attack):
    secret_frame = pl.DataFrame({"secret": [1]})  # what a replacement scan would find, if it were on
    (tmp_path / "secret.txt").write_text("secret")
    connection = duckdb.connect()
    with open_warehouse(connection=connection), pytest.raises(duckdb.Error):
        connection.execute(_attacks(tmp_path)[attack]).fetchall()
    assert secret_frame.height == 1
    assert not list(tmp_path.glob("stolen*"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("enable_external_access", False),
        ("lock_configuration", True),
        ("python_enable_replacements", False),
        ("autoinstall_known_extensions", False),
        ("autoload_known_extensions", False),
        ("allow_community_extensions", False),
        ("threads", 1),
        ("temp_directory", ""),
    ],
)
def test_each_door_has_its_own_lock_whatever_the_other_locks_cover(open_warehouse, setting, value):
    connection = duckdb.connect()
    with open_warehouse(connection=connection):
        assert connection.execute("select current_setting(?)", [setting]).fetchall() == [(value,)]


@pytest.mark.parametrize(
    "value",
    [
        "' or '1' = '1",
        "'; drop view scores; --",
        "i1' union select * from read_text('/etc/passwd') --",
        "\\' or 1=1",
        "%",
    ],
)
def test_a_parameter_is_a_value_and_never_sql(open_warehouse, put, score, value):
    put("first/scores", [score("ramp", 1, 0.5), score("ramp", 1, 0.25, value)], "ramp", 1)
    with open_warehouse() as warehouse:
        assert warehouse.query("select value from scores where item_id = ?", [value]).rows() == [(0.25,)]
        assert warehouse.query("select count(*) as n from scores where item_id = ?", [value + "x"]).rows() == [(0,)]
