"""The settings of any run under the names of a canonical run spec, whichever node made the run.

Here: reading spec_json. Not here: what a spec is made of (run_spec).

Runs of the first wave are keyed by a run spec. Replays and other runs of later waves are keyed like any asset, by the
inputs and parameters of their node, in which the same training and probe settings stand without a name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from squiggle_assets.science.canonical import sha256_json
from squiggle_assets.science.spec import ProbeSpec, TrainingSpec

_NAMED = {
    name: frozenset(field.name for field in fields(kind))
    for name, kind in (("training", TrainingSpec), ("probe", ProbeSpec))
}


def settings_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Setting (training.lr and so on) -> value, from a row of run_manifest; lists stay lists."""
    spec = json.loads(manifest["spec_json"])
    return dict(_flat("", spec if "params" not in spec else _as_run_spec(spec, manifest)))


def _as_run_spec(config: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    inputs = {name: hashes[0] for name, hashes in config["inputs"].items() if len(hashes) == 1}
    known = {name: value for name, value in config.items() if name in ("code_version", "libraries")}
    if {"pool", "split", "base"} <= set(inputs):
        known["data_sha256"] = sha256_json([inputs["pool"], inputs["split"]])
        known["base_model_sha256"] = inputs["base"]
    found = {name: given for given in _objects(config["params"]) for name, keys in _NAMED.items() if keys == set(given)}
    return {**known, **found, "curriculum_id": manifest["curriculum_id"], "seed": manifest["seed"]}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else name, inner)
    else:
        yield prefix, value
