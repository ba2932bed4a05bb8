"""The warehouse: SQL over the current partitions of every table, in memory, locked down.

Here: which partitions a table name means, its view, and the statements of people and of models. Not here: parsing and
refusals (statements), what a model is (sql_models), the .duckdb file (export), writing results (io_managers).

A table of a study is the union over studies with a leading `study` column; a shared table has none. A view is made from
pointers of the studies' arms and registered seeds, never from a glob: what was retired stays on disk but not in here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import polars as pl

from io_managers.pointers import Pointer
from io_managers.store import Store
from resources.sql_models import SqlModel
from resources.statements import parse
from squiggle_assets.schemas.base import Table, dtypes

_SMALL_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32)


class QueryError(ValueError):
    """The statement cannot be run; the message says why, and nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class Roster:
    """The partitions of a study that count."""

    study: str
    arms: frozenset[str]
    seeds: frozenset[int]
    """Registered seeds."""

    def counts(self, pointer: Pointer) -> bool:
        """Whether the partition's arm and seed, where it has them, are in the roster."""
        return (pointer.arm is None or pointer.arm in self.arms) and (
            pointer.seed is None or pointer.seed in self.seeds
        )


def view_columns(tables: Mapping[str, type[Table]], shared: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Columns of every table as SQL sees it: the model's own, after `study` where a union over studies needs it."""
    return {
        name: tuple(dtypes(model)) if name in shared or "study" in dtypes(model) else ("study", *dtypes(model))
        for name, model in tables.items()
    }


class Warehouse:
    """Views over the store on one DuckDB connection, which it takes over: locks down now, closes at the end.

    A view is made when a statement first reads its table, and then every file of it is verified; so a refused partition
    (damaged, or with a failed blocking check) stops the statements that read its table and no others. A table keeps the
    partitions it had when it was first asked for, by a statement or by `sources`, so that the two agree.
    """

    def __init__(
        self,
        store: Store,
        rosters: Iterable[Roster],
        tables: Mapping[str, type[Table]],
        *,
        shared: Collection[str],
        models: Iterable[SqlModel] = (),
        connection: duckdb.DuckDBPyConnection | None = None,
    ) -> None:
        """Lock the connection down; nothing of the store is read yet.

        Args:
            store: where the partitions are.
            rosters: the studies, in the order of the unions.
            tables: table name -> model.
            shared: names among tables that stand alone in the store and get no study column. Stored results of SQL
                models are such.
            models: SQL models that are computed afresh whenever they are read, as views, whatever is stored of them.
            connection: a fresh one in memory, as dagster_duckdb.DuckDBResource gives; None: an own one.

        Raises:
            ValueError: shared names no table, or the root's path would be read as a glob.
        """
        self.store = store
        self._rosters = tuple(rosters)
        self._models = {model.name: model for model in models}
        self._tables = {name: model for name, model in tables.items() if name not in self._models}
        self._shared = frozenset(shared)
        self._columns = view_columns(tables, self._shared)
        unknown = sorted(self._shared - set(tables))
        if unknown:
            raise ValueError(f"shared tables {unknown} are not among the tables {sorted(tables)}")
        if set("*?[") & set(str(store.root)):
            raise ValueError(f"data root {str(store.root)!r}: SQL takes '*', '?' and '[' in it for a glob; rename it")
        self._found: dict[str, list[tuple[str | None, list[Pointer]]]] = {}
        self._views: set[str] = set()
        self._connection = connection if connection is not None else duckdb.connect()
        _lock_down(self._connection, store.root / "objects")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, also one that was given (DuckDBResource leaves it open after an exception)."""
        self._connection.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Every table and model that a statement may read, by name."""
        return tuple(sorted([*self._tables, *self._models]))

    @property
    def tables_read(self) -> tuple[str, ...]:
        """Tables whose partitions a statement, or `sources`, has asked for so far, by name; behind models too."""
        return tuple(sorted(self._found))

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The rows of one SELECT; values come in as parameters (`?` or `$name`), never by pasting them into the text.

        Whole numbers of any width come out as Int64, other decimals as Float64.

        Raises:
            QueryError: the statement is refused (statements.parse), reads an unknown table, or fails.
            BlockedError, DamagedError: a partition of a table that it reads may not be read.
        """
        try:
            self._make_views(parse(sql, self._connection).tables)
        except ValueError as error:
            raise QueryError(str(error)) from error
        try:
            relation = self._connection.sql(sql, params=parameters)
            return _plain_numbers(pl.DataFrame(relation.to_arrow_table()))
        except (duckdb.Error, pl.exceptions.PolarsError) as error:
            raise QueryError(str(error)) from error

    def run_model(self, model: SqlModel) -> pl.DataFrame:
        """The rows of a SQL model in its own order; errors as query, naming the model."""
        try:
            return self.query(model.text)
        except QueryError as error:
            raise QueryError(f"{model.layer}/{model.name}.sql: {error}") from error

    def sources(self, names: Iterable[str]) -> dict[str, Pointer]:
        """'asset/arm/seed' -> pointer of every stored partition that these tables and models are made from.

        QueryError for a name that is neither.
        """
        found: dict[str, Pointer] = {}
        for name in names:
            if name in self._models:
                found |= self.sources(self._models[name].upstreams)
            else:
                for _, pointers in self._partitions(name):
                    found |= {_partition_key(pointer): pointer for pointer in pointers}
        return found

    def relation(self, name: str) -> duckdb.DuckDBPyRelation:
        """One table or model, to be read in batches; errors as query."""
        self._make_views([name])
        return self._connection.view(name)

    def _partitions(self, name: str) -> list[tuple[str | None, list[Pointer]]]:
        """(study, its current partitions of the table) for every study, or one (None, ...) for a shared table."""
        if name not in self._tables:
            raise QueryError(f"no table {name!r}; there are {', '.join(self.names)}")
        if name not in self._found:
            self._found[name] = (
                [(None, self.store.pointers(name))]
                if name in self._shared
                else [
                    (roster.study, [p for p in self.store.pointers(f"{roster.study}/{name}") if roster.counts(p)])
                    for roster in self._rosters
                ]
            )
        return self._found[name]

    def _make_views(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._views:
                continue
            try:
                if name in self._models:
                    self._make_views(self._models[name].upstreams)
                    self._connection.execute(f"create view {_identifier(name)} as {self._models[name].text}")
                else:
                    self._make_table_view(name)
            except duckdb.Error as error:
                raise QueryError(f"{name}: {error}") from error
            self._views.add(name)

    def _make_table_view(self, name: str) -> None:
        partitions, model, columns = self._partitions(name), self._tables[name], self._columns[name]
        own = [duckdb.ColumnExpression(column) for column in dtypes(model)]
        union: duckdb.DuckDBPyRelation | None = None
        for study, pointers in partitions:
            files = [_checked(self.store.table_path(pointer), pointer, model) for pointer in pointers]
            if files:
                rows = self._connection.read_parquet([str(file) for file in files], hive_partitioning=False)
                leading = [duckdb.ConstantExpression(study).alias("study")] if len(columns) > len(own) else []
                rows = rows.select(*leading, *own)
                union = rows if union is None else union.union(rows)
        if union is not None:
            union.create_view(name, replace=False)
        else:
            nothing = pl.DataFrame(schema={"study": pl.String, **dtypes(model)}).select(columns)
            self._connection.register(name, nothing.to_arrow())


def _lock_down(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Let the connection read below the folder and nothing else, for good.

    One thread: sums of floats then do not depend on how many cores there are. No spilling: nothing is written.
    """
    for setting in (
        "threads = 1",
        "temp_directory = ''",
        "python_enable_replacements = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "allow_community_extensions = false",
        f"allowed_directories = [{_literal(folder)}]",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"set {setting}")


def _checked(path: Path, pointer: Pointer, model: type[Table]) -> Path:
    """The path, if the file's columns are the model's; QueryError for a file that an older model wrote."""
    found, wanted = dict(pl.read_parquet_schema(path)), dtypes(model)
    if found != wanted:
        differing = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
        raise QueryError(
            f"{_partition_key(pointer)} was written with other columns than {model.__name__} has now "
            f"(differing: {', '.join(differing)}); run its study again"
        )
    return path


def _partition_key(pointer: Pointer) -> str:
    parts = (pointer.asset, pointer.arm, pointer.seed)
    return "/".join(str(part) for part in parts if part is not None)


def _plain_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Whole numbers as Int64 (DuckDB's sums of integers are 128 bits wide), decimals with a fraction as Float64."""
    casts: list[pl.Expr] = []
    for name, dtype in frame.schema.items():
        if isinstance(dtype, _SMALL_INTEGERS) or (isinstance(dtype, pl.Decimal) and dtype.scale == 0):
            casts.append(pl.col(name).cast(pl.Int64))
        elif isinstance(dtype, pl.Decimal):
            casts.append(pl.col(name).cast(pl.Float64))
    return frame.with_columns(casts)


def _identifier(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _literal(value: str | Path | None) -> str:
    doubled = str(value).replace("'", "''")
    return f"'{doubled}'"
