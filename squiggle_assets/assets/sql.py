"""SQL models as Dagster assets: one file, one asset, through the same gate as every table.

Here: dependencies, identity and execution of the models. Not here: their text (dbt_like_sql), discovery
(resources.sql_models) or views (resources.warehouse).
"""

from collections.abc import Collection, Sequence
from functools import cache
from importlib import metadata
from typing import Any

import dagster as dg

import dbt_like_sql
from io_managers.gate import schema_sha256
from io_managers.store import Store
from partitions.rosters import registered_seeds
from resources.sql_lineage import column_lineage
from resources.sql_models import SqlModel, discover
from resources.warehouse import Roster, Warehouse, view_columns
from squiggle_assets.assets.identity import Identity, git_state, pointer_of
from squiggle_assets.assets.late import Late, first_late
from squiggle_assets.assets.node import NOWHERE, Graph
from squiggle_assets.schemas.base import dtypes
from squiggle_assets.schemas.handles import Origin, Product
from squiggle_assets.schemas.tables import RAW, TABLES
from squiggle_assets.science import waves
from squiggle_assets.science.canonical import sha256_json
from squiggle_assets.science.spec import Profile


@cache
def models() -> tuple[SqlModel, ...]:
    """Every SQL model, makers before users."""
    return discover(dbt_like_sql.read(), RAW)


def shared_names(graphs: Sequence[Graph]) -> frozenset[str]:
    """Tables without a study: the shared ones."""
    return frozenset(name for graph in graphs for name, node in graph.makers.items() if node.grain == "shared") & set(
        RAW
    )


def rosters(graphs: Sequence[Graph], instance: dg.DagsterInstance) -> list[Roster]:
    """What counts in each study on this instance."""
    found = []
    for graph in graphs:
        registered = registered_seeds(graph.study, instance)
        for wave in dict.fromkeys(node.wave for node in graph.ordered):
            name = "/".join(part for part in (graph.study.name, wave) if part)
            found.append(Roster(study=name, arms=frozenset(graph.arms(wave)), seeds=frozenset(registered.of(wave))))
    return found


def _assets_of(name: str, graph: Graph) -> list[str]:
    """The study's assets that a table's name means in SQL: that of the first wave and those of later ones."""
    return [asset for asset, node in graph.makers.items() if node.out(asset).short == name]


def _upstream_keys(name: str, graphs: Sequence[Graph]) -> list[dg.AssetKey]:
    if name not in RAW:
        return [dg.AssetKey([name])]
    keys = [dg.AssetKey(list(graph.key(asset))) for graph in graphs for asset in _assets_of(name, graph)]
    return list(dict.fromkeys(keys))


def _deps(model: SqlModel, graphs: Sequence[Graph]) -> list[dg.AssetDep]:
    deps = []
    for name in model.upstreams:
        grains = {graph.makers[asset].grain for graph in graphs for asset in _assets_of(name, graph)}
        partitioned = bool(grains & {"run", "arm"})
        mapping = dg.AllPartitionMapping() if partitioned else None
        deps += [dg.AssetDep(key, partition_mapping=mapping) for key in _upstream_keys(name, graphs)]
    return deps


def _lineage(model: SqlModel, graphs: Sequence[Graph]) -> dg.TableColumnLineage:
    own = {name for name in RAW if name not in shared_names(graphs)}
    columns = view_columns(TABLES, shared_names(graphs) | {m.name for m in models()})
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(asset_key=key, column_name=source)
                for table, source in sources
                if not (source == "study" and table in own and "study" not in dtypes(TABLES[table]))
                for key in _upstream_keys(table, graphs)
            ]
            for column, sources in column_lineage(model, columns).items()
        }
    )


def identity_of(model: SqlModel, warehouse: Warehouse) -> Identity:
    """What the model's result is, given the partitions that count now."""
    sources = {name: pointer.sha256 for name, pointer in warehouse.sources(model.upstreams).items()}
    libraries = {"duckdb": metadata.version("duckdb")}
    config = {"model": model.name, "code_version": model.code_version, "libraries": libraries, "inputs": sources}
    return Identity(object_id=sha256_json(config)[:32], config=config, code_version=model.code_version, inputs=sources)


def late_table(
    graphs: Sequence[Graph], profile: Profile, counting: Sequence[Roster], store: Store, names: Collection[str]
) -> Late | None:
    """The first partition of these tables that is not current, over all studies of which anything was made.

    Names that are SQL models stand for the tables that those read, near or far; every name for its table in each wave.
    """
    tables = _tables(names)
    seeds = {roster.study: tuple(sorted(roster.seeds)) for roster in counting}
    for graph in graphs:
        name = graph.study.name
        registered = waves.Roster(seeds[name], seeds.get(f"{name}/{waves.CONFIRMATION}", ()))
        assets = [asset for table in tables for asset in _assets_of(table, graph)]
        found = first_late(graph, profile, registered, store, assets)
        if found is not None:
            return found
    return None


def _tables(names: Collection[str]) -> tuple[str, ...]:
    upstreams = {model.name: model.upstreams for model in models()}
    found: dict[str, None] = {}
    for name in names:
        found |= dict.fromkeys(_tables(upstreams[name]) if name in upstreams else (name,))
    return tuple(found)


def is_current(model: SqlModel, warehouse: Warehouse, store: Store) -> bool:
    """Whether the model's stored result is what its text makes of its upstreams as they are stored now."""
    pointer = pointer_of(store, model.name, NOWHERE)
    return (
        pointer is not None
        and pointer.origin.object_id == identity_of(model, warehouse).object_id
        and pointer.ref.schema_sha256 == schema_sha256(TABLES[model.name])
        and store.looks_whole(pointer.ref)
    )


def are_current(graphs: Sequence[Graph], profile: Profile, store: Store, instance: dg.DagsterInstance) -> bool:
    """Whether every SQL model's result is what its text and the tables of now make; nothing is computed.

    Never while a table that they read is itself not current.
    """
    counting = rosters(graphs, instance)
    shared = shared_names(graphs) | {model.name for model in models()}
    with Warehouse(store, counting, TABLES, shared=shared) as warehouse:
        if not all(is_current(model, warehouse, store) for model in models()):
            return False
    return late_table(graphs, profile, counting, store, [model.name for model in models()]) is None


def _assert_current(
    model: SqlModel, graphs: Sequence[Graph], profile: Profile, counting: Sequence[Roster], warehouse: Warehouse
) -> None:
    """Refuse to make a model from what is out of date; dg.Failure names it."""
    store = warehouse.store
    late = late_table(graphs, profile, counting, store, [model.name])
    if late is not None:
        raise dg.Failure(
            f"{model.name} is not made: {late}. Make that first (`squiggle run {late.study}` does)",
            allow_retries=False,
        )
    for upstream in models():
        if upstream.name in model.upstreams and not is_current(upstream, warehouse, store):
            raise dg.Failure(
                f"{model.name} is not made: {upstream.name} is stale or missing. Materialise that first",
                allow_retries=False,
            )


def _product(context: dg.AssetExecutionContext, model: SqlModel, graphs: Sequence[Graph]) -> Product:
    workspace = context.resources.workspace
    store = workspace.store
    counting = rosters(graphs, context.instance)
    with context.resources.duckdb.get_connection() as connection:
        warehouse = Warehouse(
            store,
            counting,
            TABLES,
            shared=shared_names(graphs) | {m.name for m in models()},
            connection=connection,
        )
        with warehouse:
            _assert_current(model, graphs, workspace.profile, counting, warehouse)
            identity = identity_of(model, warehouse)
            found = store.find(identity.object_id, model.name)
            frame = warehouse.run_model(model) if found is None else None
    commit, dirty = git_state()
    origin = Origin(
        asset=model.name,
        arm=None,
        seed=None,
        object_id=identity.object_id,
        code_version=identity.code_version,
        config_hash=sha256_json(identity.config),
        inputs=identity.inputs,
        profile=workspace.profile.name,
        git_commit=commit,
        git_dirty=dirty,
        dagster_run_id=context.run.run_id,
    )
    metadata = {
        "sql": dg.MetadataValue.md(f"```sql\n{model.text}\n```"),
        "dagster/column_lineage": _lineage(model, graphs),
    }
    return Product(value=frame, origin=origin, metadata=metadata)


def _asset(model: SqlModel, graphs: Sequence[Graph]) -> dg.AssetsDefinition:
    @dg.asset(
        name=model.name,
        group_name=model.layer,
        deps=_deps(model, graphs),
        io_manager_key="tables",
        description=model.description,
        code_version=model.code_version[:16],
        kinds={"sql", "duckdb"},
        owners=["team:squiggle"],
        required_resource_keys={"workspace", "duckdb"},
        automation_condition=dg.AutomationCondition.eager(),
    )
    def body(context: dg.AssetExecutionContext) -> Any:
        return _product(context, model, graphs)

    return body


def assets(graphs: Sequence[Graph]) -> list[dg.AssetsDefinition]:
    """Every SQL model as an asset."""
    return [_asset(model, graphs) for model in models()]
