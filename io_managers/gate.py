"""The schema gate: no table becomes a file unless it is what its model promises.

Here: eager validation with an error that shows the failing rows, and a model's promise as plain values.
Not here: the models (squiggle_assets.schemas), scientific expectations (squiggle_assets.checks), writing (store.py).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import polars as pl
from pandera.errors import SchemaError, SchemaErrors

from squiggle_assets.schemas.base import Table
from squiggle_assets.science.canonical import sha256_json

_SHOWN = 20


class GateError(ValueError):
    """A frame is not what its model promises; nothing was written. num_failing counts the failing cases."""

    def __init__(self, message: str, num_failing: int) -> None:
        super().__init__(message)
        self.num_failing = num_failing


def check_frame(frame: pl.DataFrame, model: type[Table], what: str) -> None:
    """GateError unless the frame fits the model: columns, order, types, every value, the key.

    frame must be eager: on a lazy frame pandera looks at types only and would let any value pass.
    """
    if not isinstance(frame, pl.DataFrame):
        raise TypeError(f"{what}: a table is a polars DataFrame, got {type(frame).__name__}; collect a LazyFrame first")
    try:
        model.validate(frame, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        raise GateError(_message(frame, model, what, cases), len(cases)) from None
    except SchemaError as error:
        raise GateError(f"{what} does not fit {model.__name__}: {error}", 1) from None


def describe(model: type[Table]) -> dict[str, Any]:
    """Columns in order with type, nullability, unit, checks and description, and the unique key; plain JSON values."""
    schema = model.to_schema()
    unique = schema.unique or []
    columns = [
        {
            "name": name,
            "type": str(column.dtype),
            "nullable": bool(column.nullable),
            "unique": bool(column.unique),
            "unit": (column.metadata or {}).get("unit"),
            "checks": [str(check.error or check.name) for check in column.checks],
            "description": column.description or "",
        }
        for name, column in schema.columns.items()
    ]
    return {"key": [unique] if isinstance(unique, str) else list(unique), "columns": columns}


@cache
def schema_sha256(model: type[Table]) -> str:
    """Changes exactly when the model's promise changes (descriptions count: they state units and meaning)."""
    return sha256_json(describe(model))


def _message(frame: pl.DataFrame, model: type[Table], what: str, cases: pl.DataFrame) -> str:
    counts = cases.group_by("column", "check", maintain_order=True).len()
    lines = [f"{what} does not fit {model.__name__}; nothing was written. {len(cases)} failing cases:"]
    lines += [f"  {column}: {check} ({count} times)" for column, check, count in counts.iter_rows()]
    rows = cases.get_column("index").drop_nulls().unique(maintain_order=True).head(_SHOWN)
    if len(rows):
        with pl.Config(tbl_rows=_SHOWN, tbl_cols=-1, tbl_width_chars=160, fmt_str_lengths=40):
            shown = frame.with_row_index("row")[rows.to_list()]
            lines.append(f"first failing rows:\n{shown}")
    return "\n".join(lines)
