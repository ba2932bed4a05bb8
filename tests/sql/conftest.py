"""Two tiny tables, a store for them, and a way to put partitions in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

import dbt_like_sql
from io_managers.pointers import Pointer
from io_managers.store import Store
from resources.sql_models import discover
from resources.warehouse import Roster, Warehouse
from squiggle_assets.schemas.base import Table, column, frame
from squiggle_assets.schemas.handles import CheckOutcome, Origin
from squiggle_assets.schemas.tables import RAW
from squiggle_assets.science.canonical import sha256_json


class Scores(Table):
    """One row per item of a run."""

    arm: str = column("arm")
    seed: int = column("seed")
    item_id: str = column("item")
    value: float = column("score", nullable=True)


class Items(Table):
    """One row per item."""

    item_id: str = column("item")
    text: str = column("text")


class Verdicts(Table):
    """One row per claim of a study; it names its study itself."""

    study: str = column("study")
    verdict: str = column("verdict")


TABLES: dict[str, type[Table]] = {"scores": Scores, "items": Items, "verdicts": Verdicts}
ROSTERS = (
    Roster(study="first", arms=frozenset({"ramp", "iid"}), seeds=frozenset({1, 2})),
    Roster(study="second", arms=frozenset({"ramp"}), seeds=frozenset({1})),
)
Put = Callable[..., Pointer]


@pytest.fixture
def tables() -> dict[str, type[Table]]:
    return TABLES


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


@pytest.fixture
def put(store: Store) -> Put:
    """put('first/scores', [rows], arm, seed, checks=()) -> the pointer that is current from now on."""

    def put_rows(
        key: str,
        rows: list[dict[str, object]],
        arm: str | None = None,
        seed: int | None = None,
        *,
        model: type[Table] | None = None,
        checks: tuple[CheckOutcome, ...] = (),
    ) -> Pointer:
        name = key.rpartition("/")[2]
        model = model or TABLES[name]
        origin = Origin(
            asset=key,
            arm=arm,
            seed=seed,
            object_id=sha256_json([key, arm, seed, rows])[:32],
            code_version="code",
            config_hash="config",
            inputs={},
            profile="test",
        )
        ref = store.put_table(origin.object_id, name, frame(model, rows), model, origin)
        return store.point(key, arm, seed, ref, origin, checks)

    return put_rows


@pytest.fixture
def score() -> Callable[..., dict[str, object]]:
    """One row of scores."""
    return lambda arm, seed, value, item="i1": {"arm": arm, "seed": seed, "item_id": item, "value": value}


@pytest.fixture
def open_warehouse(store: Store) -> Callable[..., Warehouse]:
    """A warehouse over the two studies; keyword arguments as Warehouse."""
    return lambda **options: Warehouse(store, ROSTERS, TABLES, shared={"items"}, **options)


@pytest.fixture
def run() -> Iterator[Callable[..., list[dict[str, object]]]]:
    """run('stem', table=[rows], ...) -> rows of a shipped model; upstream models run too unless given."""
    models = {model.name: model for model in discover(dbt_like_sql.read(), RAW)}
    connection = duckdb.connect()

    def run_model(stem: str, **tables: list[dict[str, object]]) -> list[dict[str, object]]:
        for name, rows in tables.items():
            connection.register(name, pl.DataFrame(rows, infer_schema_length=None).to_arrow())

        def make(name: str) -> None:
            if name in tables:
                return
            for up in models[name].upstreams:
                make(up)
            connection.execute(f"create or replace view {name} as {models[name].text}")

        make(stem)
        return pl.DataFrame(connection.table(stem).to_arrow_table()).to_dicts()

    yield run_model
    connection.close()
