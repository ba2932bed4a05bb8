"""Questions in SQL: the current tables of a workspace for `squiggle sql`, `squiggle warehouse` and notebooks.

Here: opening the warehouse of a workspace. Not here: views and refusals (resources.warehouse).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from squiggle_assets.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import Console

    from resources.warehouse import Warehouse


@contextmanager
def open_warehouse(workspace: Workspace) -> Iterator[Warehouse]:
    """The warehouse of a workspace, for commands and notebooks; its `query` gives a polars frame."""
    from resources.warehouse import Warehouse
    from squiggle_assets.assets import sql
    from squiggle_assets.definitions import graph_of
    from squiggle_assets.running.session import open_workspace_instance
    from squiggle_assets.schemas.tables import RAW
    from squiggle_assets.studies import STUDIES

    graphs = [graph_of(name) for name in STUDIES]
    with open_workspace_instance(workspace) as instance:
        rosters = sql.rosters(graphs, instance)
    with Warehouse(workspace.store, rosters, RAW, shared=sql.shared_names(graphs), models=sql.models()) as warehouse:
        yield warehouse


def ask(workspace: Workspace, query: str, console: Console, *, as_json: bool, out: Path | None) -> None:
    """Print the rows of a query, or write them to a file ending in .csv or .parquet."""
    from squiggle_assets.running import listing

    with open_warehouse(workspace) as warehouse:
        if query.strip().rstrip(";").lower() in ("show tables", "tables"):
            rows = pl.DataFrame({"table": warehouse.names})
        else:
            rows = warehouse.query(query)
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


def export(workspace: Workspace, out: Path) -> None:
    """Write every current table and mart to a .duckdb file."""
    from resources.export import export as write

    with open_warehouse(workspace) as warehouse:
        write(warehouse, out)
