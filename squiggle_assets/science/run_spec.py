"""The canonical spec of a training run and the run_id that is its hash.

Here: what makes one run another run, as plain values. Not here: the training itself (training), where runs are kept
(io_managers), anything that needs torch.
"""

from __future__ import annotations

import re
from dataclasses import replace

from squiggle_assets.science.canonical import JSON, plain, sha256_json
from squiggle_assets.science.spec import ProbeSpec, TrainingSpec

RUN_ID_LENGTH = 32
_HASH = re.compile(r"[0-9a-f]{16,64}")


def run_spec(
    *,
    data_sha256: str,
    base_model_sha256: str,
    curriculum_id: str,
    training: TrainingSpec,
    probe: ProbeSpec,
    seed: int,
) -> dict[str, JSON]:
    """Everything that a run is a function of beside the code, as plain JSON.

    Neither the study nor the arm is in it, so that two arms that ask for the same run share it. The plant and the
    shuffling of labels are in curriculum_id. Where a run of a shorter ladder step is wanted, build its spec with its
    own step_multiplier and curriculum_id.

    Args:
        data_sha256: Of the items with their split: training, validation and probe items.
        base_model_sha256: Of the weights and the tokenizer.
        curriculum_id: Of the resolved policy; the same for all runs of a step ladder.
        training: All of it counts, the micro-batch too: it sets the order of sums.
        probe: All of it counts.
        seed: Of the draws and of the adapter's start.

    Raises:
        ValueError: a hash that is none, or a seed outside int64.
    """
    hashes = {
        "data_sha256": data_sha256,
        "base_model_sha256": base_model_sha256,
        "curriculum_id": curriculum_id,
    }
    for name, value in hashes.items():
        if not _HASH.fullmatch(value):
            raise ValueError(f"{name} must be 16 to 64 lower-case hex digits, got {value!r}")
    if not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed must fit into int64, got {seed}")
    return {**hashes, "training": plain(training), "probe": plain(probe), "seed": seed}


def run_id(spec: dict[str, JSON]) -> str:
    """32 hex digits of the sha256 of the canonical JSON of a spec."""
    return sha256_json(spec)[:RUN_ID_LENGTH]


def fingerprint(training: TrainingSpec, probe: ProbeSpec, seed: int, *parts: str) -> str:
    """What runs of one step ladder have in common: a checkpoint with another one is of another run."""
    of_base = replace(training, step_multiplier=1)
    return sha256_json([plain(of_base), plain(probe), seed, *parts])
