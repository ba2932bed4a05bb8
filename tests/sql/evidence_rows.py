"""Literal rows of evidence tables for the marts: what a test does not say of a row is null."""

from __future__ import annotations

from typing import Any

import polars as pl

from squiggle_assets.schemas import warehouse as outputs
from squiggle_assets.schemas.base import dtypes
from squiggle_assets.schemas.tables import RAW

SHARED = ("candidate_pool",)


def table(name: str, *rows: dict[str, Any]) -> pl.DataFrame:
    """A table as SQL sees it: typed also where it has no rows, with a study column unless it is shared."""
    leading = {} if name in SHARED else {"study": pl.String}
    columns = {**leading, **dtypes(RAW[name])}
    assert all(set(row) <= set(columns) for row in rows), f"{name} has no such columns"
    return pl.DataFrame([{**dict.fromkeys(columns), **row} for row in rows], schema=columns, orient="row")


def assert_grain(found: list[dict[str, Any]], name: str) -> None:
    """No two rows of a model's result share the key of its table model."""
    key = outputs.TABLES[name].to_schema().unique
    keys = [tuple(row[column] for column in key) for row in found]
    assert len(keys) == len(set(keys)), f"{name}: repeated {key}"


def shown(found: list[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of all rows."""
    return [tuple(row[column] for column in columns) for row in found]
