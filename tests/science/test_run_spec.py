from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from squiggle_assets.science.run_spec import fingerprint, run_id, run_spec
from squiggle_assets.science.spec import ProbeSpec, TrainingSpec

GIVEN: dict[str, Any] = {
    "data_sha256": "a" * 64,
    "base_model_sha256": "b" * 64,
    "curriculum_id": "c" * 16,
    "training": TrainingSpec(),
    "probe": ProbeSpec(),
    "seed": 42,
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data_sha256", "0" * 64),
        ("base_model_sha256", "0" * 64),
        ("curriculum_id", "0" * 16),
        ("training", TrainingSpec(lr=7e-4)),
        ("probe", ProbeSpec(capture_every=4)),
        ("seed", 43),
    ],
)
def test_every_part_of_the_spec_makes_another_run(name: str, value: Any) -> None:
    first = run_id(run_spec(**GIVEN))
    assert run_id(run_spec(**GIVEN)) == first and len(first) == 32
    assert run_id(run_spec(**{**GIVEN, name: value})) != first


@pytest.mark.parametrize(("name", "value"), [("data_sha256", "no hash"), ("curriculum_id", ""), ("seed", 2**63)])
def test_a_hash_or_seed_that_is_none_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        run_spec(**{**GIVEN, name: value})


def test_runs_of_one_ladder_share_a_fingerprint_and_others_do_not() -> None:
    training, probe = TrainingSpec(), ProbeSpec()
    first = fingerprint(training, probe, 1, "x")
    assert fingerprint(replace(training, step_multiplier=3), probe, 1, "x") == first
    assert fingerprint(replace(training, total_steps=10), probe, 1, "x") != first
    assert fingerprint(training, probe, 2, "x") != first
    assert fingerprint(training, probe, 1, "y") != first
