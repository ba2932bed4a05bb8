"""Settings of runs and of replays under the same names."""

from __future__ import annotations

import json
from typing import Any

from squiggle_assets import profiles
from squiggle_assets.science.canonical import canonical_json, plain, sha256_json
from squiggle_assets.science.run_settings import settings_of
from squiggle_assets.science.run_spec import run_spec

PROFILE = profiles.load("test")
POOL, SPLIT, BASE, CURRICULUM = ("a" * 64, "b" * 64, "c" * 64, "d" * 16)


def of_parent() -> dict[str, Any]:
    spec = run_spec(
        data_sha256=sha256_json([POOL, SPLIT]), base_model_sha256=BASE, curriculum_id=CURRICULUM,
        training=PROFILE.training, probe=PROFILE.probe, seed=7,
    )  # fmt: skip
    return {"spec_json": canonical_json({**spec, "code_version": "e"}), "curriculum_id": CURRICULUM, "seed": 7}


def of_replay(**changes: Any) -> dict[str, Any]:
    inputs = {"pool": [POOL], "split": [SPLIT], "base": [BASE], "selection": ["f" * 64], "trace": ["1", "2"]}
    params = [[{**plain(PROFILE.training), **changes}, plain(PROFILE.probe)], {"condition": "remove", "draw": 0}]  # type: ignore[dict-item]
    config = {"node": "followup/replay", "params": params, "inputs": inputs, "code_version": "e", "partition": ["x", 7]}
    return {"spec_json": json.dumps(config), "curriculum_id": "replayed", "seed": 7}


def test_a_replay_differs_from_its_parent_in_what_it_draws_alone() -> None:
    parent, replay = settings_of(of_parent()), settings_of(of_replay())
    assert {name for name in parent.keys() | replay.keys() if parent.get(name) != replay.get(name)} == {"curriculum_id"}
    assert parent["training.lr"] == PROFILE.training.lr and parent["data_sha256"] == sha256_json([POOL, SPLIT])


def test_another_learning_rate_is_seen() -> None:
    parent, replay = settings_of(of_parent()), settings_of(of_replay(lr=0.5))
    assert {name for name in parent if parent[name] != replay[name]} == {"curriculum_id", "training.lr"}
