"""What a materialisation tells the UI about what was stored: metadata, tags, column schema.

Here: origins, references and table models as Dagster values. Not here: storing (store.py) and loading (tables.py,
handles.py).
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from io_managers.gate import describe
from io_managers.pointers import Pointer
from squiggle_assets.schemas.base import Table
from squiggle_assets.schemas.handles import Origin


def origin_tags(origin: Origin) -> dict[str, str]:
    """Tags for the materialisation event: pass them as MaterializeResult(tags=...), an IO manager cannot set tags."""
    tags = {
        "squiggle/object": origin.object_id,
        "squiggle/config_hash": origin.config_hash[:32],
        "squiggle/code_version": origin.code_version,
        "squiggle/profile": origin.profile,
    }
    if origin.git_commit is not None:
        tags["squiggle/git_commit"] = origin.git_commit
        tags["squiggle/git_dirty"] = str(bool(origin.git_dirty)).lower()
    return tags


def stored_metadata(pointer: Pointer, path: str, model: type[Table] | None) -> dict[str, Any]:
    """Where the bytes are, what they hash to, and where they come from, complete however many inputs there were."""
    ref, origin = pointer.ref, pointer.origin
    metadata: dict[str, Any] = {
        "path": dg.MetadataValue.path(path),
        "sha256": ref.sha256,
        "file_sha256": ref.file_sha256,
        "object_id": ref.object_id,
        "bytes": ref.num_bytes,
        "code_version": origin.code_version,
        "config_hash": origin.config_hash,
        "profile": origin.profile,
        "num_inputs": len(origin.inputs),
        "inputs": dg.MetadataValue.json(dict(origin.inputs)),
    }
    if origin.git_commit is not None:
        metadata |= {"git_commit": origin.git_commit, "git_dirty": bool(origin.git_dirty)}
    if ref.num_rows is not None:
        metadata["dagster/row_count"] = ref.num_rows
    if model is not None:
        metadata["dagster/column_schema"] = column_schema(model)
    return metadata


def column_schema(model: type[Table]) -> dg.TableSchema:
    """The model as the Columns tab shows it: types, descriptions with units, constraints; the key as a constraint."""
    described = describe(model)
    key = described["key"]
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column["name"],
                type=column["type"],
                description=_with_unit(column["description"], column["unit"]),
                constraints=dg.TableColumnConstraints(
                    nullable=column["nullable"], unique=column["unique"], other=column["checks"]
                ),
                tags={"key": ""} if column["name"] in key else {},
            )
            for column in described["columns"]
        ],
        constraints=dg.TableConstraints(other=[f"unique: {', '.join(key)}"] if key else []),
    )


def _with_unit(description: str, unit: str | None) -> str:
    return f"{description} [{unit}]" if unit else description
