"""What every table model shares: strict pandera-polars models whose columns say what they mean.

Here: the Table base class and the column helper. Not here: any table (one module per noun beside this one).
"""

from __future__ import annotations

from typing import Any

import pandera.polars as pa
import polars as pl


class Table(pa.DataFrameModel):
    """Base of all tables: no unknown columns, no coercion, declared order."""

    class Config:
        """Strict: a column nobody declared is an error; so is a missing one."""

        strict = True
        coerce = False
        ordered = True


def column(description: str, *, unit: str | None = None, **checks: Any) -> Any:
    """A pandera field with a description and, where it has one, a unit (both shown in the UI and docs)."""
    metadata = {"unit": unit} if unit else {}
    return pa.Field(description=description, metadata=metadata, **checks)


def dtypes(model: type[Table]) -> dict[str, pl.DataType]:
    """Column name -> polars type, in declared order."""
    return {name: col.dtype.type for name, col in model.to_schema().columns.items()}


def empty(model: type[Table]) -> pl.DataFrame:
    """A frame of the model with no rows: what 'nothing was found' looks like."""
    return pl.DataFrame(schema=dtypes(model))


def frame(model: type[Table], rows: Any) -> pl.DataFrame:
    """Rows (list of dicts) as a frame with the model's columns and types; an empty list is typed too."""
    schema = dtypes(model)
    return pl.DataFrame(rows, schema=schema, orient="row") if rows else empty(model)
