"""Questions in SQL: the current tables of a workspace for `squiggle sql`, `squiggle warehouse` and notebooks.

Here: opening the warehouse of a workspace. Not here: views and refusals (resources.warehouse).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from squiggle_assets.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import Console

    from resources.warehouse import Roster, Warehouse
    from squiggle_assets.assets.node import Graph


def _studies(workspace: Workspace) -> tuple[list[Graph], list[Roster]]:
    from squiggle_assets.assets import sql
    from squiggle_assets.definitions import graph_of
    from squiggle_assets.running.session import open_workspace_instance
    from squiggle_assets.studies import STUDIES

    graphs = [graph_of(name, workspace.profile) for name in STUDIES]
    with open_workspace_instance(workspace) as instance:
        return graphs, sql.rosters(graphs, instance)


def _warehouse(workspace: Workspace, graphs: Sequence[Graph], rosters: Sequence[Roster]) -> Warehouse:
    from resources.warehouse import Warehouse
    from squiggle_assets.assets import sql
    from squiggle_assets.schemas.tables import RAW

    return Warehouse(workspace.store, rosters, RAW, shared=sql.shared_names(graphs), models=sql.models())


@contextmanager
def open_warehouse(workspace: Workspace) -> Iterator[Warehouse]:
    """The warehouse of a workspace, for commands and notebooks; its `query` gives a polars frame."""
    with _warehouse(workspace, *_studies(workspace)) as warehouse:
        yield warehouse


def _warn(
    workspace: Workspace,
    graphs: Sequence[Graph],
    rosters: Sequence[Roster],
    tables: Collection[str],
    errors: Console,
) -> None:
    """One line if a table that was read is not current: its rows are shown all the same, but not without a word."""
    from squiggle_assets.assets.sql import late_table
    from squiggle_assets.running import listing
    from squiggle_assets.running.session import run_command

    late = late_table(graphs, workspace.profile, rosters, workspace.store, tables)
    if late is not None:
        listing.warn(f"{late}; run `{run_command(workspace, late.study)}`", errors)


def ask(
    workspace: Workspace, query: str, console: Console, errors: Console, *, as_json: bool, out: Path | None
) -> None:
    """Print the rows of a query, or write them to a file ending in .csv or .parquet; what is not current is said."""
    from squiggle_assets.running import listing

    graphs, rosters = _studies(workspace)
    with _warehouse(workspace, graphs, rosters) as warehouse:
        if query.strip().rstrip(";").lower() in ("show tables", "tables"):
            rows = pl.DataFrame({"table": warehouse.names})
        else:
            rows = warehouse.query(query)
        _warn(workspace, graphs, rosters, warehouse.tables_read, errors)
    if out is not None:
        _write(rows, out)
        console.print(f"{rows.height} rows in {out}", markup=False, highlight=False)
        return
    listing.show(rows.to_dicts(), console, as_json=as_json, title=f"{rows.height} rows")


def _write(rows: pl.DataFrame, out: Path) -> None:
    from io_managers.commit import commit_file

    if out.suffix not in (".csv", ".parquet"):
        raise ValueError(f"--out {out}: the file must end in .csv or .parquet")
    write = rows.write_csv if out.suffix == ".csv" else rows.write_parquet
    commit_file(out, lambda path: write(path), replace=True)


def export(workspace: Workspace, out: Path, errors: Console) -> None:
    """Write every table and mart to a .duckdb file; what is not current is said."""
    from resources.export import export as write

    if out.suffix != ".duckdb":
        raise ValueError(f"{out}: the warehouse is written to a .duckdb file, so that nothing else is overwritten")
    graphs, rosters = _studies(workspace)
    with _warehouse(workspace, graphs, rosters) as warehouse:
        write(warehouse, out)
        _warn(workspace, graphs, rosters, warehouse.tables_read, errors)
