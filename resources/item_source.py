"""Raw rows of problems from a local file or a hub data set.

Here: opening and reading, with errors that say where. Not here: what the rows mean (science.importing).
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

Row = dict[str, Any]

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".parquet")
HUB_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(?:#(?P<config>[\w.-]+))?(?:@(?P<split>[\w.-]+))?")
HUB_DEFAULTS: dict[str, tuple[str | None, str]] = {
    "nvidia/OpenMathReasoning": (None, "cot"),
    "openai/gsm8k": ("main", "train"),
    "HuggingFaceH4/MATH-500": (None, "test"),
}
"""Hub id -> configuration and split, where 'owner/name' alone does not say; others: no configuration, 'train'."""


def read_rows(source: str, max_rows: int | None = None) -> Iterator[Row]:
    """Rows of a source, one by one, at most max_rows of them.

    source: a file ending in .jsonl, .jsonl.gz, .json (a list of objects) or .parquet; or a hub id 'owner/name', with
    '#configuration' and '@split' where needed. What can be known is checked before the first row is asked for.
    FileNotFoundError for a path without a file; ValueError naming file and line for a truncated or damaged file, bad
    JSON or a row that is no object; ValueError naming the hub id where it cannot be reached.
    """
    if max_rows is not None and max_rows < 1:
        raise ValueError(f"max_rows must be at least 1, got {max_rows}")
    path = Path(source).expanduser()
    if path.is_file():
        rows = _file_rows(path)
    elif source.endswith(SUFFIXES) or source.startswith(("/", ".", "~")) or path.is_dir():
        raise FileNotFoundError(f"no file {source}: give a {', '.join(SUFFIXES)} file or a hub id 'owner/name'")
    elif match := HUB_ID.fullmatch(source):
        rows = _hub_rows(match["id"], match["config"], match["split"])
    else:
        raise ValueError(f"{source!r} is neither a file nor a hub id 'owner/name[#configuration][@split]'")
    return itertools.islice(rows, max_rows)


def _file_rows(path: Path) -> Iterator[Row]:
    name = path.name
    if name.endswith(".parquet"):
        return _parquet_rows(path)
    if name.endswith(".jsonl"):
        return _line_rows(path, path.open("rb"))
    if name.endswith(".jsonl.gz"):
        return _line_rows(path, gzip.open(path, "rb"))
    if name.endswith(".json"):
        return _list_rows(path)
    raise ValueError(f"{path}: unknown kind of file; known are {', '.join(SUFFIXES)}")


def _parsed(text: bytes, where: str) -> Any:
    try:
        return json.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: bad JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise ValueError(f"{where}: bad JSON: nested too deeply") from None


def _object(value: Any, where: str) -> Row:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected an object, got {type(value).__name__}")
    return value


def _line_rows(path: Path, file: IO[bytes] | gzip.GzipFile) -> Iterator[Row]:
    number = 0
    with file:
        lines = iter(file)
        while True:
            number += 1
            try:
                line = next(lines)
            except StopIteration:
                return
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise ValueError(f"{path} line {number}: damaged or truncated gzip file ({error})") from None
            if line.strip():
                where = f"{path} line {number}"
                yield _object(_parsed(line, where), where)


def _list_rows(path: Path) -> Iterator[Row]:
    value = _parsed(path.read_bytes(), str(path))
    if not isinstance(value, list):
        raise ValueError(f"{path}: expected a list of objects, got {type(value).__name__}; for one a line use .jsonl")
    return (_object(item, f"{path} item {number}") for number, item in enumerate(value, start=1))


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        batches = file.iter_batches(batch_size=1024)
        for batch in batches:
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: unreadable parquet file ({str(error).splitlines()[0]})") from None


def _hub_rows(hub_id: str, config: str | None, split: str | None) -> Iterator[Row]:
    import datasets

    default_config, default_split = HUB_DEFAULTS.get(hub_id, (None, "train"))
    config, split = config or default_config, split or default_split
    try:
        stream = iter(datasets.load_dataset(hub_id, config, split=split, streaming=True))
        first = next(stream, None)
    except Exception as error:  # the library raises many kinds: offline, no such data set, no such split
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"hub data set {hub_id!r} (configuration {config}, split {split}) could not be read: {reason}. "
            f"Without network give a local file instead: --items rows.jsonl (or {', '.join(SUFFIXES[1:])})"
        ) from None
    if first is None:
        return iter(())
    return (dict(row) for row in itertools.chain([first], stream))
