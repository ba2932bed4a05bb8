"""One frame as one parquet file, and the two hashes of that file.

Here: encoding (zstd, page checksums, origin in the key-value metadata), reading the origin back, hashing.
Not here: where the file lies and when it becomes visible (store.py, commit.py).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

ORIGIN_KEY = b"squiggle.origin"
_MAGIC = b"PAR1"
_BLOCK = 1 << 20


class Hashes(NamedTuple):
    """What a parquet file says and what it is."""

    content: str
    """Of the column names, types and encoded pages: the rows, whoever wrote them."""
    file: str
    """Of every byte, so of the origin too."""


def write(frame: pl.DataFrame, path: Path, origin: dict[str, Any]) -> None:
    """Write the frame; origin: plain JSON, stored under ORIGIN_KEY so that the file alone names where it comes from."""
    table = frame.rechunk().to_arrow()
    kept = table.schema.metadata or {}
    text = json.dumps(origin, sort_keys=True, ensure_ascii=False)
    table = table.replace_schema_metadata({**kept, ORIGIN_KEY: text.encode("utf-8")})
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def read_origin(path: Path) -> dict[str, Any]:
    """The origin in the file's metadata; ValueError if the file has none."""
    metadata = pq.read_metadata(path).metadata or {}
    if ORIGIN_KEY not in metadata:
        raise ValueError(f"{path} has no origin in its metadata: it was not written by this project")
    origin: dict[str, Any] = json.loads(metadata[ORIGIN_KEY])
    return origin


def hashes(path: Path) -> Hashes:
    """Both hashes in one pass; ValueError if the file is no whole parquet file.

    The pages lie before the footer and hold nothing but encoded values; the footer holds names and types (hashed
    through the schema) beside the origin (left out of the content hash). So equal rows have equal content hashes
    whenever and by whichever commit they were written, with the same pyarrow.
    """
    size = path.stat().st_size
    schema, num_rows = _schema(path)
    content = hashlib.sha256(f"{schema}\x1f{num_rows}\x1f".encode())
    whole = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(size - 8)
        footer = int.from_bytes(file.read(4), "little") + 8
        if file.read(4) != _MAGIC or footer > size:
            raise ValueError(f"{path} is no whole parquet file")
        file.seek(0)
        left = size - footer
        while block := file.read(min(_BLOCK, left) if left else _BLOCK):
            whole.update(block)
            if left:
                content.update(block)
                left -= len(block)
    return Hashes(content.hexdigest(), whole.hexdigest())


def verify_pages(path: Path) -> None:
    """Decode every page against its checksum; raises OSError or ArrowInvalid where one does not match."""
    pq.read_table(path, page_checksum_verification=True)


def _schema(path: Path) -> tuple[str, int]:
    try:
        with pq.ParquetFile(path) as file:
            names = [(field.name, str(field.type)) for field in file.schema_arrow]
            return json.dumps(names), file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is no whole parquet file: {error}") from None
