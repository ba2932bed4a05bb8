from __future__ import annotations

import gzip
import json

import polars as pl
import pytest

from resources.item_source import read_rows

ROWS = [{"question": f"q{i}", "answer": f"#### {i}"} for i in range(50)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def written(folder, kind):
    path = folder / f"rows.{kind}"
    if kind == "jsonl":
        path.write_text(LINES)
    elif kind == "jsonl.gz":
        path.write_bytes(gzip.compress(LINES.encode()))
    elif kind == "json":
        path.write_text(json.dumps(ROWS))
    else:
        pl.DataFrame(ROWS).write_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "json", "parquet"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path, kind):
    path = str(written(tmp_path, kind))
    assert list(read_rows(path)) == ROWS
    assert list(read_rows(path, 7)) == ROWS[:7]


def test_blank_lines_are_no_rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}')
    assert list(read_rows(str(path))) == [{"a": 1}, {"a": 2}]


def test_a_truncated_gzip_file_is_refused_with_file_and_line(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    whole = gzip.compress(LINES.encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"rows\.jsonl\.gz line \d+: damaged or truncated gzip"):
        list(read_rows(str(path)))


def test_a_file_that_is_no_gzip_is_refused(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_text(LINES)
    with pytest.raises(ValueError, match=r"line 1: damaged or truncated gzip"):
        list(read_rows(str(path)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a": 1', "line 2: bad JSON"),
        (b"[1, 2]", "line 2: expected an object, got list"),
        (b'{"a": "\xff"}', "line 2: not UTF-8"),
        (b"[" * 100_000, "line 2: bad JSON"),
    ],
)
def test_a_bad_line_is_refused_with_file_and_line_after_the_good_ones(tmp_path, line, message):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 0}\n' + line + b'\n{"a": 3}\n')
    rows = read_rows(str(path))
    assert next(rows) == {"a": 0}
    with pytest.raises(ValueError, match=message):
        next(rows)


def test_a_json_file_that_is_no_list_is_refused(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('{"a": 1}')
    with pytest.raises(ValueError, match="expected a list of objects, got dict"):
        list(read_rows(str(path)))


def test_a_damaged_parquet_file_is_refused(tmp_path):
    path = written(tmp_path, "parquet")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"rows\.parquet: unreadable parquet"):
        list(read_rows(str(path)))


def test_a_missing_file_is_refused_before_any_row_is_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*nothing\.jsonl"):
        read_rows(str(tmp_path / "nothing.jsonl"))
    with pytest.raises(FileNotFoundError, match="no file"):
        read_rows(str(tmp_path))


def test_an_unknown_kind_of_file_and_an_impossible_name_are_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b")
    with pytest.raises(ValueError, match=r"unknown kind of file; known are \.jsonl"):
        read_rows(str(path))
    with pytest.raises(ValueError, match="neither a file nor a hub id"):
        read_rows("no such thing")
    with pytest.raises(ValueError, match="max_rows must be at least 1, got 0"):
        read_rows(str(path), 0)


def test_a_hub_id_is_loaded_with_its_configuration_and_split(monkeypatch):
    import datasets

    asked = []

    def load(hub_id, config, *, split, streaming):
        asked.append((hub_id, config, split, streaming))
        return iter(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert list(read_rows("openai/gsm8k", 3)) == ROWS[:3]
    assert list(read_rows("some/set#hard@test", 1)) == ROWS[:1]
    assert asked == [("openai/gsm8k", "main", "train", True), ("some/set", "hard", "test", True)]


def test_a_hub_id_without_network_names_the_id_and_the_way_out(monkeypatch):
    import datasets

    def load(*args, **kwargs):
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(ValueError, match=r"'nvidia/OpenMathReasoning' .*split cot.*Couldn't reach.*local file"):
        read_rows("nvidia/OpenMathReasoning")
