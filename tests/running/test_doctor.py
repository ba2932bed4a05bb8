"""What the doctor advises works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from squiggle_assets import definitions
from squiggle_assets.assets.node import Partition
from squiggle_assets.assets.states import States
from squiggle_assets.running.doctor import _stored


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_after_the_doctor_a_damaged_partition_is_due_so_that_the_advised_command_makes_it_again(
    small_study: Any, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(definitions, "graph_of", lambda name, profile: small_study.graph)
    small_study.put_everything()
    assert _stored(small_study.workspace)["ok"]
    at = Partition("iid", 10)
    pointer = small_study.store.pointer("curriculum_ab/trained", *at)
    path: Path = small_study.store.path(pointer.ref).with_suffix(suffix)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-2] + b"x\n")  # of the same length: only reading finds out
    row = _stored(small_study.workspace)
    assert not row["ok"]
    assert "`squiggle run curriculum_ab --profile test`" in row["advice"]
    states = States(small_study.graph, small_study.workspace.profile, small_study.roster, small_study.store)
    assert states.own(small_study.graph.makers["trained"], at) == "missing"


def test_a_damaged_pointer_is_a_finding_and_not_a_crash(small_study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "graph_of", lambda name, profile: small_study.graph)
    small_study.put_everything()
    path = small_study.store.pointers_root / "assets" / "curriculum_ab" / "claims" / "_.json"
    path.chmod(0o644)
    path.write_text("{}")
    row = _stored(small_study.workspace)
    assert not row["ok"]
    assert str(path) in row["found"]
