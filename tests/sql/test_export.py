"""The .duckdb file for people: everything that is in the warehouse, and where it comes from."""

from __future__ import annotations

import duckdb
import pytest

from io_managers.store import BlockedError
from resources.export import PROVENANCE, export
from resources.sql_models import discover
from squiggle_assets.schemas.handles import CheckOutcome


@pytest.fixture
def models(tables):
    return discover(
        [("marts", "counts", "-- x\nselect study, count(*) as num from scores group by all order by all")], tables
    )


def test_the_file_holds_every_table_and_model_and_the_partitions_they_come_from(
    open_warehouse, put, score, models, tmp_path
):
    put("items", [{"item_id": "i1", "text": "x"}])
    pointer = put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1)
    path = tmp_path / "out" / "squiggle.duckdb"
    with open_warehouse(models=models) as warehouse:
        names = export(warehouse, path)
    assert names == ("counts", "items", "scores", "verdicts", PROVENANCE)
    with duckdb.connect(str(path), read_only=True) as found:
        assert sorted(name for (name,) in found.execute("show tables").fetchall()) == sorted(names)
        assert found.execute("select * from counts").fetchall() == [("first", 1)]
        assert found.execute("select * from scores").fetchall() == [("first", "ramp", 1, "i1", 0.5)]
        assert found.execute("select * from verdicts").fetchall() == []
        made_from = found.execute("select asset, arm, seed, num_rows, sha256 from provenance").fetchall()
    assert ("first/scores", "ramp", 1, 1, pointer.sha256) in made_from
    assert [row[0] for row in made_from] == ["first/scores", "items"]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_second_export_replaces_the_first(open_warehouse, put, score, tmp_path):
    path = tmp_path / "squiggle.duckdb"
    for value in (0.5, 0.75):
        put("first/scores", [score("ramp", 1, value)], "ramp", 1)
        with open_warehouse() as warehouse:
            export(warehouse, path)
    with duckdb.connect(str(path), read_only=True) as found:
        assert found.execute("select value from scores").fetchall() == [(0.75,)]


def test_a_refused_table_leaves_the_old_file_as_it_was(open_warehouse, put, score, tmp_path):
    path = tmp_path / "squiggle.duckdb"
    path.write_bytes(b"old")
    failed = CheckOutcome(name="bad", passed=False, blocking=True, description="bad")
    put("first/scores", [score("ramp", 1, 0.5)], "ramp", 1, checks=(failed,))
    with open_warehouse() as warehouse, pytest.raises(BlockedError, match="bad"):
        export(warehouse, path)
    assert path.read_bytes() == b"old"
    assert not [entry for entry in tmp_path.iterdir() if entry.name.endswith((".tmp", ".wal"))]
