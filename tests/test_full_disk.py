"""A full disk is said in one line, before anything is begun and whatever else was raised for it."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from resources.settings import Settings
from squiggle_assets import cli
from squiggle_assets.running import mistakes
from squiggle_assets.workspace import FULL, Workspace

Usage = namedtuple("Usage", "total used free")


def left(monkeypatch: pytest.MonkeyPatch, num_bytes: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(FULL * 10, 0, num_bytes))


def test_too_little_space_is_refused_with_the_folder_and_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    workspace = Workspace(Settings(data_root=tmp_path / "not" / "there", profile="test"))
    left(monkeypatch, FULL)
    workspace.refuse_full_disk()
    left(monkeypatch, FULL - 1)
    with pytest.raises(OSError, match=f"disk of {tmp_path}.*SQUIGGLE_DATA_ROOT"):
        workspace.refuse_full_disk()


@pytest.mark.parametrize("full", [True, False])
def test_a_database_that_fails_on_a_full_disk_is_one_line_and_otherwise_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], full: bool
) -> None:
    def failing() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(cli, "app", failing)
    monkeypatch.setattr(sys, "argv", ["squiggle", "run"])
    left(monkeypatch, 0 if full else 10 * FULL)
    with pytest.raises(SystemExit if full else sqlite3.OperationalError):
        cli.main()
    assert ("is full (0 MiB left)" in capsys.readouterr().err) == full


def test_with_debug_a_mistake_is_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        assert "--debug" not in sys.argv
        raise ValueError("a mistake")

    monkeypatch.setattr(cli, "app", failing)
    monkeypatch.setattr(sys, "argv", ["squiggle", "--debug", "run"])
    with pytest.raises(ValueError, match="a mistake"):
        cli.main()


def test_a_wrong_word_is_a_wrong_word_on_a_full_disk_too(monkeypatch: pytest.MonkeyPatch) -> None:
    left(monkeypatch, 0)
    assert mistakes.told(ValueError("no study 'x'")) == "no study 'x'"
    assert "is full" in str(mistakes.told(OSError(28, "No space left on device")))
