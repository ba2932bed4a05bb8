"""Which shorter run a run goes on from."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from io_managers.checkpoints import LADDER, Past
from squiggle_assets.assets.runs import _shorter_run
from squiggle_assets.science.run_spec import run_id

SPEC: dict[str, Any] = {"training": {"step_multiplier": 3, "lr": 1.0}, "seed": 7, "curriculum_id": "c"}


def of_length(multiplier: int) -> str:
    return run_id({**SPEC, "training": {**SPEC["training"], "step_multiplier": multiplier}})


class Left:
    """A store in which some runs left a ladder checkpoint."""

    def __init__(self, *runs: str) -> None:
        self.runs = runs

    def find(self, object_id: str, name: str) -> str | None:
        return object_id if name == LADDER and object_id in self.runs else None


def step(multiplier: int, *left: str) -> Any:
    config = {**SPEC, "training": {**SPEC["training"], "step_multiplier": multiplier}}
    return SimpleNamespace(identity=SimpleNamespace(config=config), store=Left(*left))


@pytest.mark.parametrize(
    ("multiplier", "left", "expected"),
    [
        (3, (), None),
        (3, (1,), 1),
        (3, (2,), 2),
        (3, (1, 2), 2),
        (2, (1, 3), 1),
        (1, (1, 2), None),
    ],
)
def test_a_run_goes_on_from_the_longest_shorter_one_that_left_a_checkpoint(
    multiplier: int, left: tuple[int, ...], expected: int | None
) -> None:
    found = _shorter_run(step(multiplier, *map(of_length, left)))
    assert found == (None if expected is None else Past(of_length(expected), LADDER))
