"""SQL models: what a file of SQL is as an asset, and the order in which several of them can run.

Here: SqlModel, discovery with the refusal of files that cannot be models. Not here: parsing (statements), lineage of
columns (sql_lineage), running (warehouse), the files themselves (dbt_like_sql).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import duckdb

from dbt_like_sql import LAYERS
from resources.statements import parse
from squiggle_assets.science.canonical import sha256_text

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, kw_only=True)
class SqlModel:
    """One file: one SELECT, one table, one asset."""

    name: str
    """File stem; also the asset's name."""
    layer: str
    """Folder; also the asset's group."""
    text: str
    description: str
    """The leading comment, line breaks kept."""
    code_version: str
    """sha256 of the text: any edit, a comment's too, makes another version."""
    upstreams: tuple[str, ...]
    """Tables and models it reads, by name."""


def discover(files: Iterable[tuple[str, str, str]], tables: Collection[str]) -> tuple[SqlModel, ...]:
    """The models in (layer, stem, text) triples, makers before users, otherwise in the order given.

    Args:
        files: see dbt_like_sql.read.
        tables: names of the tables that are not SQL models.

    Raises:
        ValueError: naming the file: an unusable or taken name, no leading comment, a text that `statements.parse`
            refuses, no outermost ORDER BY (the rows' order is part of a table's content hash), an unknown table, a
            model of a later layer, or a cycle.
    """
    connection = duckdb.connect()
    try:
        models: dict[str, SqlModel] = {}
        for layer, stem, text in files:
            if stem in models or stem in tables:
                taken = _file(models[stem]) if stem in models else "a table"
                raise ValueError(f"{layer}/{stem}.sql: the name {stem!r} is taken by {taken}")
            models[stem] = _model(layer, stem, text, connection)
    finally:
        connection.close()
    for model in models.values():
        _check_upstreams(model, models, tables)
    graph = {name: [up for up in model.upstreams if up in models] for name, model in models.items()}
    try:
        return tuple(models[name] for name in TopologicalSorter(graph).static_order())
    except CycleError as error:
        around = " -> ".join(_file(models[name]) for name in error.args[1])
        raise ValueError(f"SQL models read each other in a cycle: {around}") from error


def description(text: str) -> str:
    """The comment lines that a text begins with, without their dashes; '' if it begins with something else."""
    lines: list[str] = []
    for line in text.lstrip().splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return "\n".join(lines).strip()


def _model(layer: str, stem: str, text: str, connection: duckdb.DuckDBPyConnection) -> SqlModel:
    file = f"{layer}/{stem}.sql"
    if layer not in LAYERS:
        raise ValueError(f"{file}: no layer {layer!r}; there are {list(LAYERS)}")
    if not _NAME.fullmatch(stem):
        raise ValueError(f"{file}: {stem!r} is not a usable name: lower-case letters, digits and '_', a letter first")
    said = description(text)
    if not said:
        raise ValueError(f"{file}: begins with no comment; say in '-- ' lines what a row is, and the units")
    try:
        statement = parse(text, connection)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    if not statement.is_ordered:
        raise ValueError(f"{file}: has no outermost ORDER BY; the order of its rows is part of its hash")
    return SqlModel(
        name=stem,
        layer=layer,
        text=text,
        description=said,
        code_version=sha256_text(text),
        upstreams=statement.tables,
    )


def _check_upstreams(model: SqlModel, models: Mapping[str, SqlModel], tables: Collection[str]) -> None:
    for up in model.upstreams:
        if up not in models and up not in tables:
            raise ValueError(f"{_file(model)}: unknown table {up!r}; there are {sorted([*models, *tables])}")
        if up in models and LAYERS.index(models[up].layer) > LAYERS.index(model.layer):
            raise ValueError(f"{_file(model)}: reads {_file(models[up])}, a later layer; the order is {list(LAYERS)}")


def _file(model: SqlModel) -> str:
    return f"{model.layer}/{model.name}.sql"
