"""Tables of curricula: what an arm means to draw, how often to expect it, and what a run drew.

Here: one model per table. Not here: the runs themselves (schemas.runs) and the items (schemas.corpus).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column

_SHA256 = r"^[0-9a-f]{64}$"
_CURRICULUM = "names what is drawn when, on which items; the same for every seed"
_CONTENT = "sha256 of the canonical JSON of the item's content"


class Curriculum(Table):
    """One row per arm: its curriculum, resolved for the arm's items and budget."""

    arm: str = column("arm of the study")
    curriculum_id: str = column(_CURRICULUM)
    curriculum_name: str = column("name in the YAML")
    curriculum_version: int = column("version in the YAML", ge=1)
    yaml_sha256: str = column("sha256 of yaml_text", str_matches=_SHA256)
    yaml_text: str = column("the curriculum as it was written")
    total_steps: int = column("steps that can be drawn, extra steps of the ladder included", unit="steps", ge=1)
    batch_size: int = column("draws per step", ge=1)
    manifest_json: str = column("resolved phases, weights, plant, match, expected draws per family and item")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm"]


class ExpectedExposure(Table):
    """One row per arm, phase and item, items that the phase cannot draw included (0 draws)."""

    arm: str = column("arm of the study")
    curriculum_id: str = column(_CURRICULUM)
    phase_idx: int = column("number of the phase, from 0", ge=0)
    phase: str = column("name of the phase")
    start_step: int = column("first step of the phase, from 0", unit="steps", ge=0)
    end_step: int = column("step after its last one, extra steps of the ladder included", unit="steps", ge=1)
    item_id: str = column("training or planted item")
    content_sha256: str = column(_CONTENT, str_matches=_SHA256)
    family_id: str = column("true family of the item, also where the curriculum goes by shuffled labels")
    expected_draws: float = column("exact expectation over the phase", unit="draws", ge=0)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "phase_idx", "item_id"]


class SampleTrace(Table):
    """One row per draw of a run, in the order in which they were seen."""

    arm: str = column("arm of the run")
    seed: int = column("seed of the run", ge=0)
    run_id: str = column("hash of the run's canonical spec")
    step: int = column("draw number from 0: its batch turns state step into state step + 1", unit="steps", ge=0)
    micro: int = column("forward pass within the step, by the configured micro-batch", ge=0)
    pos: int = column("place within the forward pass", ge=0)
    phase: str = column("name of the curriculum phase")
    phase_idx: int = column("number of the curriculum phase, from 0", ge=0)
    family_id: str = column("true family of the item, also where the curriculum goes by shuffled labels")
    item_id: str = column("item drawn")
    content_sha256: str = column(_CONTENT, str_matches=_SHA256)
    epoch: float = column("draws before this one over the number of training items", unit="epochs", ge=0)
    planted: bool = column("whether it is a planted item")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "seed", "step", "micro", "pos"]


TABLES: dict[str, type[Table]] = {
    "curriculum": Curriculum,
    "expected_exposure": ExpectedExposure,
    "sample_trace": SampleTrace,
}
