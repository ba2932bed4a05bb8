"""The export of a warehouse: one .duckdb file for people.

Here: every table and model of a warehouse, and where its rows come from, in a file. Nothing reads it back: the store
stays the only truth. Not here: which rows those are (warehouse).
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl

from io_managers.commit import commit_file
from resources.warehouse import Warehouse

PROVENANCE = "provenance"
"""Extra table of an export: one row per stored partition that its rows were made from."""
_TYPES = {
    "asset": pl.String,
    "arm": pl.String,
    "seed": pl.Int64,
    "num_rows": pl.Int64,
    "sha256": pl.String,
    "object_id": pl.String,
    "code_version": pl.String,
    "git_commit": pl.String,
}


def export(warehouse: Warehouse, path: Path) -> tuple[str, ...]:
    """Write the file, whole or not at all, in place of an older one; the names of the tables in it.

    Raises:
        QueryError, BlockedError, DamagedError: a table may not be read; what was at the path stays.
        CommitError: the file system failed.
    """
    names = warehouse.names

    def write(temporary: Path) -> None:
        out = duckdb.connect(str(temporary))
        try:
            for name in names:
                out.from_arrow(warehouse.relation(name).to_arrow_reader()).create(name)
            out.from_arrow(provenance(warehouse).to_arrow()).create(PROVENANCE)
        finally:
            out.close()

    commit_file(path, write, replace=True)
    return (*names, PROVENANCE)


def provenance(warehouse: Warehouse) -> pl.DataFrame:
    """One row per stored partition that the warehouse's tables are made from, by asset, arm and seed."""
    rows = [
        {
            "asset": pointer.asset,
            "arm": pointer.arm,
            "seed": pointer.seed,
            "num_rows": pointer.ref.num_rows,
            "sha256": pointer.sha256,
            "object_id": pointer.ref.object_id,
            "code_version": pointer.origin.code_version,
            "git_commit": pointer.origin.git_commit,
        }
        for pointer in warehouse.sources(warehouse.names).values()
    ]
    return pl.DataFrame(rows, schema=_TYPES).sort("asset", "arm", "seed")
