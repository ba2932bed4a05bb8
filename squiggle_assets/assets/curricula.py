"""Curricula of a study: the resolved instance of every arm and what it expects every item to be drawn.

Here: the curriculum node. Not here: parsing, policies, sampling (science).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets.assets.node import Input, Node, Out, Scope
from squiggle_assets.assets.policies import assert_unseen, policy_of, template_digests
from squiggle_assets.science.canonical import canonical_json

if TYPE_CHECKING:
    from squiggle_assets.schemas.handles import Handle
    from squiggle_assets.science.policy import Policy


def _params(scope: Scope) -> Any:
    arm, training = scope.study.arm(scope.arm), scope.profile.training
    return {
        "yaml": template_digests(arm),
        "plant": arm.plant,
        "shuffle": scope.profile.split.seed if arm.shuffle_families else None,
        "steps": [training.total_steps, training.step_multiplier],
        "batch_size": training.batch_size,
        "max_length": training.max_length,
    }


def _compute(step: Any, pool: pl.DataFrame, split: pl.DataFrame, base: Handle) -> Mapping[str, pl.DataFrame]:
    assert_unseen(pool, base)
    policy = policy_of(step.scope, pool, split, base)
    step.facts["num_items_too_long"] = int((split["split"] == "train").sum()) - policy.num_training_items
    return tables_of(step, policy)


def tables_of(step: Any, policy: Policy) -> Mapping[str, pl.DataFrame]:
    """The tables of an arm's policy: its resolved curriculum and its promises."""
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.curriculum import Curriculum

    step.facts["num_items"] = policy.num_training_items
    row = {
        "arm": step.scope.arm,
        "curriculum_id": policy.curriculum_id,
        "curriculum_name": policy.template.name,
        "curriculum_version": policy.template.version,
        "yaml_sha256": policy.template.yaml_sha256,
        "yaml_text": policy.template.text,
        "total_steps": policy.num_steps,
        "batch_size": policy.batch_size,
        "manifest_json": canonical_json(policy.manifest()),
    }
    exposure = policy.expected_exposure()
    return {
        "curriculum": frame(Curriculum, [row]),
        "expected_exposure": exposure.select(pl.lit(step.scope.arm).alias("arm"), pl.all()),
    }


def nodes() -> tuple[Node, ...]:
    """The curriculum node."""
    return (
        Node(
            name="curriculum",
            grain="arm",
            inputs={
                "pool": Input(asset="candidate_pool", load="frame"),
                "split": Input(asset="split", load="frame"),
                "base": Input(asset="base_model", load="handle"),
            },
            outs=(
                Out(name="curriculum", description="The arm's resolved curriculum: phases, steps, weights, its id."),
                Out(
                    name="expected_exposure", description="Draws every item may expect in each phase, from the policy."
                ),
            ),
            params=_params,
            compute=_compute,
        ),
    )
