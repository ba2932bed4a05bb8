"""Column lineage of SQL models: which columns of which tables a column is made from.

Here: sqlglot's answer, reduced to the tables the model reads. Not here: which tables those are (sql_models).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resources.sql_models import SqlModel


def column_lineage(model: SqlModel, columns: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[str, str]]]:
    """Column of the model -> the (table, column) pairs that its values come from, sorted, seen through CTEs.

    Only values count: a column that a row was joined, filtered or grouped by is no source, and `count(*)` has none.

    Args:
        model: whose text is analysed, not run.
        columns: the columns of every table in model.upstreams, a study column included where there is one.

    Raises:
        ValueError: an upstream whose columns are not given, a text that sqlglot cannot resolve, with its words, or
            UNION BY NAME (sqlglot pairs its columns by place, so its answer would be wrong).
    """
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage

    absent = [table for table in model.upstreams if table not in columns]
    if absent:
        raise ValueError(f"{model.name}: the columns of {absent} are not given")
    schema = {table: dict.fromkeys(columns[table], "unknown") for table in model.upstreams}
    try:
        tree = parse_one(model.text, dialect="duckdb")
        if any(union.args.get("by_name") for union in tree.find_all(exp.SetOperation)):
            raise ValueError(
                f"{model.name}: no lineage through UNION BY NAME; name the columns in one order and drop BY NAME"
            )
        found = lineage(None, tree, schema=schema, dialect="duckdb", validate_qualify_columns=True)
    except SqlglotError as error:
        raise ValueError(f"{model.name}: no lineage: {error}") from error
    assert isinstance(found, dict)
    return {
        column: sorted(
            {
                (leaf.source.name, leaf.name.rpartition(".")[2].strip('"'))
                for leaf in root.walk()
                if isinstance(leaf.source, exp.Table) and not leaf.downstream
            }
        )
        for column, root in found.items()
    }
