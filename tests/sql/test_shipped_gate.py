"""The shipped SQL models against the real table models: what they read exists and what they make fits."""

from __future__ import annotations

import polars as pl
import pytest

import dbt_like_sql
from io_managers.gate import check_frame
from io_managers.store import Store
from resources.sql_lineage import column_lineage
from resources.sql_models import discover
from resources.warehouse import Roster, Warehouse, view_columns
from squiggle_assets.schemas import warehouse as outputs
from squiggle_assets.schemas.base import Table, dtypes, frame
from squiggle_assets.schemas.handles import Origin
from squiggle_assets.schemas.tables import RAW, TABLES
from squiggle_assets.science.canonical import sha256_json

MODELS = discover(dbt_like_sql.read(), RAW)
SHARED = frozenset({"candidate_pool", "classification", "split"}) & set(RAW)
STUDY_GRAIN = frozenset(
    {"arm_outcomes", "claims", "counterfactual_effects", "confirmed_effects", "impact_core", "trigger_modes"}
    | {"order_sensitivity", "probe_tests", "calibration"}
)
ARM, SEEDS = "iid", (1, 2)
VALUES = {pl.String: "x", pl.Int64: 3, pl.Float64: 0.5, pl.Boolean: False}


def _row(name: str, **known: object) -> dict[str, object]:
    """One row that fits the table's model: known values, else the first allowed one, else one of its type."""
    row: dict[str, object] = {}
    for column, spec in RAW[name].to_schema().columns.items():
        checks = {check.name: check.statistics for check in spec.checks}
        if column in known:
            row[column] = known[column]
        elif "isin" in checks:
            row[column] = next(iter(checks["isin"]["allowed_values"]))
        elif "str_matches" in checks:
            row[column] = "0" * 64
        else:
            row[column] = VALUES[dtypes(RAW[name])[column]]
    return row


def _put(
    store: Store, key: str, model: type[Table], rows: pl.DataFrame, arm: str | None = None, seed: int | None = None
) -> None:
    origin = Origin(
        asset=key,
        arm=arm,
        seed=seed,
        object_id=sha256_json([key, arm, seed])[:32],
        code_version="code",
        config_hash="config",
        inputs={},
        profile="test",
    )
    ref = store.put_table(origin.object_id, key.rpartition("/")[2], rows, model, origin)
    store.point(key, arm, seed, ref, origin)


def _put_row(store: Store, name: str, arm: str | None, seed: int | None) -> None:
    known = {
        "study": "s",
        "arm": ARM,
        "seed": seed,
        "run_id": f"r{seed}",
        "item_id": "i",
        "metric": "effective_rank",
        "metric_group": "spectral",
        "constituents": '{"1": {"event_id": "e0", "step": 3, "layer": 0, "metric": "effective_rank", "z": 4.5}}',
    }
    key = name if name in SHARED else f"s/{name}"
    _put(store, key, RAW[name], frame(RAW[name], [_row(name, **known)]), arm, seed)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store with one valid row in every partition of every table that a shipped model reads."""
    store = Store(tmp_path_factory.mktemp("filled"))
    for name in sorted({up for model in MODELS for up in model.upstreams if up in RAW}):
        columns = set(dtypes(RAW[name]))
        if name in SHARED or name in STUDY_GRAIN:
            _put_row(store, name, None, None)
        elif "seed" in columns:
            for seed in SEEDS:
                _put_row(store, name, ARM, seed)
        else:
            _put_row(store, name, ARM, None)
    return store


def _open(store: Store) -> Warehouse:
    roster = Roster(study="s", arms=frozenset({ARM}), seeds=frozenset(SEEDS))
    return Warehouse(store, [roster], RAW, shared=SHARED, models=MODELS)


def test_every_file_has_a_table_model_and_every_table_model_a_file():
    assert {model.name for model in MODELS} == set(outputs.TABLES)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_its_result_fits_its_table_model_when_nothing_was_made(model, tmp_path):
    with _open(Store(tmp_path)) as warehouse:
        found = warehouse.run_model(model)
    assert found.is_empty()
    check_frame(found, outputs.TABLES[model.name], model.name)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_its_result_fits_its_table_model_when_every_table_has_rows(model, filled):
    with _open(filled) as warehouse:
        found = warehouse.run_model(model)
    assert not found.is_empty()
    check_frame(found, outputs.TABLES[model.name], model.name)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_its_description_names_the_grain_that_its_table_model_is_keyed_by(model):
    grain = model.description.partition("grain:")[2].partition(".")[0].partition(";")[0]
    assert [name.strip() for name in grain.split(",")] == outputs.TABLES[model.name].to_schema().unique


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_its_columns_have_a_lineage_of_columns_that_exist(model):
    columns = view_columns(TABLES, SHARED | {made.name for made in MODELS})
    lineage = column_lineage(model, columns)
    assert list(lineage) == list(dtypes(outputs.TABLES[model.name]))
    sources = {source for found in lineage.values() for source in found}
    assert sources
    assert all(table in model.upstreams and column in columns[table] for table, column in sources)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_it_reads_the_same_rows_from_stored_results_as_from_live_models(model, filled):
    with _open(filled) as warehouse:
        live = warehouse.run_model(model)
        stored = {up: warehouse.run_model(made) for made in MODELS if (up := made.name) in model.upstreams}
    for name, rows in stored.items():
        _put(filled, name, outputs.TABLES[name], rows)
    roster = Roster(study="s", arms=frozenset({ARM}), seeds=frozenset(SEEDS))
    with Warehouse(filled, [roster], TABLES, shared=SHARED | set(outputs.TABLES)) as warehouse:
        assert warehouse.run_model(model).equals(live)
