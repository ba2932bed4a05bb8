"""Which runs a comparison is of, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.settings import Settings
from squiggle_assets.running.comparing import RunName, compare, run_name
from squiggle_assets.workspace import Workspace


def test_a_run_is_named_by_study_wave_arm_and_seed() -> None:
    assert run_name("curriculum_ab/iid:42") == RunName("curriculum_ab", "iid", 42)
    followed = run_name("trigger_mining/followup/planted.remove:7")
    assert followed == RunName("trigger_mining/followup", "planted.remove", 7)
    assert str(followed) == "trigger_mining/followup/planted.remove:7"


@pytest.mark.parametrize("text", ["iid:42", "curriculum_ab/iid", "curriculum_ab/iid:", "curriculum_ab/:4", "a/b:x", ""])
def test_what_names_no_run_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"a run is STUDY/ARM:SEED, for instance curriculum_ab/iid:42"):
        run_name(text)


def test_a_comparison_needs_two_different_runs_that_are_there(tmp_path: Path) -> None:
    workspace = Workspace(Settings(data_root=tmp_path, profile="test"))
    for names in (["s/a:1"], ["s/a:1", "s/a:1"]):
        with pytest.raises(ValueError, match="two or more different runs"):
            compare(workspace, names)
    with pytest.raises(LookupError, match=r"s/a:1 has no run_manifest at profile test: `squiggle status s`"):
        compare(workspace, ["s/a:1", "s/a:2"])
