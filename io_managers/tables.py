"""Tables across asset borders: parquet in the store, polars in the asset.

Here: loading zero, one or many partitions as one frame. Not here: storing (base.py, store.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import dagster as dg
import polars as pl

from io_managers.base import StoreIOManager
from squiggle_assets.schemas.base import Table, empty


class TableIOManager(StoreIOManager):
    """Loads an input as one frame: scanned if annotated pl.LazyFrame, in memory if annotated pl.DataFrame."""

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame | pl.DataFrame:
        """Every partition the input maps to, one below the other, by arm, then by seed as a number.

        No partition gives a typed frame without rows. dg.Failure names every missing, damaged or blocked partition.
        """
        wanted = context.dagster_type.typing_type
        if wanted not in (pl.LazyFrame, pl.DataFrame):
            raise TypeError(
                f"input {context.name}: annotate a table pl.LazyFrame (scanned) or pl.DataFrame (loaded), not {wanted}"
            )
        frames = self.open_all(context, self.store.scan)
        if frames:
            frame = pl.concat(frames.values(), how="vertical")
        else:
            frame = empty(self.model(context.asset_key.path[-1])).lazy()
        return frame if wanted is pl.LazyFrame else frame.collect()


def table_io_manager(
    root: Path | str, tables: Mapping[str, type[Table]], *, pointers: Path | str | None = None
) -> TableIOManager:
    """The IO manager of these tables under a data root; tables: asset name -> model; pointers: as Store."""

    class BoundTableIOManager(TableIOManager):
        """Bound in a class and not an instance: Dagster copies instances, and keeps only what is configuration."""

        models: ClassVar[Mapping[str, type[Table]]] = dict(tables)

    return BoundTableIOManager(root=str(root), pointers=None if pointers is None else str(pointers))
