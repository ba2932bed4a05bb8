"""One SQL statement, read by DuckDB's own parser and never bound: which tables it reads, and whether it may run.

Here: the refusal of everything that is not one SELECT over named tables, and the tables themselves (minus CTE names,
scope by scope). Not here: models and their order (sql_models), running anything (warehouse).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series"})
"""The only table functions a statement may call: every other one reads files, settings or catalogues, or runs text."""

_QUERY_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"})
"""Kinds of query that only read. DuckDB 2 also takes INSERT, UPDATE, DELETE and COPY as the body of a CTE."""


@dataclass(frozen=True)
class Statement:
    """What the parser saw of one SELECT."""

    tables: tuple[str, ...]
    """Tables read, lower case, each once, by name; CTE names left out."""
    is_ordered: bool
    """Whether the outermost SELECT has an ORDER BY."""


def parse(text: str, connection: duckdb.DuckDBPyConnection) -> Statement:
    """The statement in the text, parsed on the given connection, of which nothing else is used.

    Raises:
        ValueError: a syntax error, no statement, several, one that is not a SELECT (PIVOT without its list of values
            counts as none), a CTE that writes, a table function outside TABLE_FUNCTIONS, or a table named with a
            schema or catalogue.
    """
    [(serialised,)] = connection.execute("select json_serialize_sql(?::varchar)", [text]).fetchall()
    parsed = json.loads(serialised)
    if parsed["error"]:
        if parsed["error_type"] == "not implemented":
            raise ValueError(f"only a SELECT is allowed here, got {_shown(text)}")
        raise ValueError(f"not SQL: {parsed['error_message']} in {_shown(text)}")
    statements = parsed["statements"]
    if len(statements) != 1:
        raise ValueError(f"exactly one SELECT is allowed here, got {len(statements)} statements in {_shown(text)}")
    node = statements[0]["node"]
    tables = tuple(sorted(set(_tables(node, frozenset()))))
    return Statement(tables, any(modifier["type"] == "ORDER_MODIFIER" for modifier in node["modifiers"]))


def _tables(node: Any, hidden: frozenset[str]) -> Iterator[str]:
    """Tables below a node of the parse tree; hidden: names of the CTEs that are in scope there."""
    if isinstance(node, list):
        for child in node:
            yield from _tables(child, hidden)
    if not isinstance(node, dict):
        return
    _check(node)
    for entry in node.get("cte_map", {}).get("map", []):
        # A CTE sees those before it; itself only if it is recursive (else its own name is a table of that name).
        name, query = entry["key"].lower(), entry["value"]["query_node"]
        own = {name} if query["type"] == "RECURSIVE_CTE_NODE" else set()
        yield from _tables(query, hidden | own)
        hidden = hidden | {name}
    if node.get("type") == "BASE_TABLE" and node["table_name"].lower() not in hidden:
        yield node["table_name"].lower()
    for key, child in node.items():
        if key != "cte_map":
            yield from _tables(child, hidden)


def _check(node: dict[str, Any]) -> None:
    """ValueError for a node that does more than read named tables."""
    kind = node.get("type", "")
    if kind.endswith("_NODE") and kind not in _QUERY_NODES:
        raise ValueError(f"only a SELECT is allowed here, also inside WITH: got {kind.split('_')[0]}")
    if kind == "BASE_TABLE" and (node["catalog_name"] or node["schema_name"]):
        name = ".".join(part for part in (node["catalog_name"], node["schema_name"], node["table_name"]) if part)
        raise ValueError(f"table {name!r}: name the table alone, without schema or catalogue")
    if kind == "TABLE_FUNCTION" and node["function"]["function_name"].lower() not in TABLE_FUNCTIONS:
        name = node["function"]["function_name"]
        raise ValueError(f"table function {name!r} is not allowed here; there are {sorted(TABLE_FUNCTIONS)}")
    if kind == "SHOW_REF" and node["query"] is None:
        raise ValueError("SHOW is not allowed here; DESCRIBE and SUMMARIZE of a table or SELECT are")


def _shown(text: str) -> str:
    """The text on one line, cut where it is long."""
    line = " ".join(text.split())
    return repr(line if len(line) <= 120 else f"{line[:120]}…")
