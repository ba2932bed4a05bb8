"""How alike the trigger lists of a study's arms are, beside what chance gives; for any study with attribution.

Here: the trigger_overlap node. Not here: lists and their null (science).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets.assets.analysis import analysis_of
from squiggle_assets.assets.attribution import significant
from squiggle_assets.assets.node import Input, Node, Out, Partition, Scope
from squiggle_assets.assets.policies import policy_of, template_digests

if TYPE_CHECKING:
    from squiggle_assets.schemas.handles import Handle
    from squiggle_assets.science.policy import Policy


def scope_of_arm(scope: Scope, arm: str) -> Scope:
    """The scope of one of the study's arms, for steps over all of them."""
    return replace(scope, partition=Partition(arm))


def policies_of(scope: Scope, pool: pl.DataFrame, split: pl.DataFrame, base: Handle) -> dict[str, Policy]:
    """The policy of every arm, in the study's order."""
    return {arm.name: policy_of(scope_of_arm(scope, arm.name), pool, split, base) for arm in scope.study.arms}


def policy_params(scope: Scope) -> Any:
    """What the policies of all arms depend on beside pool, split and base model."""
    training, arms = scope.profile.training, scope.study.arms
    sizes = [training.total_steps, training.step_multiplier, training.batch_size, training.max_length]
    shuffled = scope.profile.split.seed if any(arm.shuffle_families for arm in arms) else None
    return [sizes, shuffled, [[arm.name, template_digests(arm), arm.plant, arm.shuffle_families] for arm in arms]]


def policy_inputs() -> dict[str, Input]:
    """What the policies of all arms are made from."""
    return {
        "pool": Input(asset="candidate_pool", load="frame"),
        "split": Input(asset="split", load="frame"),
        "base": Input(asset="base_model", load="handle"),
    }


def _overlap(
    step: Any,
    pool: pl.DataFrame,
    split: pl.DataFrame,
    base: Handle,
    items: pl.DataFrame,
    events: pl.DataFrame,
    trace: pl.DataFrame,
    manifest: pl.DataFrame,
) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.triggers import TriggerOverlap
    from squiggle_assets.science.exclusions import without_stopped
    from squiggle_assets.science.trigger_lists import ArmTriggers, trigger_overlaps

    scope, whole = step.scope, without_stopped(trace, manifest)
    chosen = significant(events, scope)
    arms = [
        ArmTriggers(
            arm=name,
            items=items.filter(pl.col("arm") == name),
            events=chosen.filter(pl.col("arm") == name),
            traces=whole.filter(pl.col("arm") == name),
            policy=policy,
        )
        for name, policy in policies_of(scope, pool, split, base).items()
    ]
    found = trigger_overlaps(arms, scope.study.triggers)
    step.facts.update(num_pairs=len(found), num_pairs_with_triggers=len(found) - found["jaccard"].null_count())
    keys = {"study": scope.study.name, "analysis_id": analysis_of(scope)}
    return {"trigger_overlap": frame(TriggerOverlap, [{**keys, **row} for row in found.to_dicts()])}


def _params(scope: Scope) -> Any:
    study = scope.study
    return [study.name, study.consensus, study.triggers, analysis_of(scope), policy_params(scope)]


def nodes() -> tuple[Node, ...]:
    """The overlap node; the graph needs the attribution node too."""
    return (
        Node(
            name="trigger_overlap",
            grain="study",
            inputs={
                **policy_inputs(),
                "items": Input(asset="trigger_attribution", load="frame"),
                "events": Input(asset="consensus_events", load="frame"),
                "trace": Input(asset="sample_trace", load="frame"),
                "manifest": Input(asset="run_manifest", load="frame"),
            },
            outs=(Out(name="trigger_overlap", description="How alike trigger lists are: arms, halves of the seeds."),),
            params=_params,
            compute=_overlap,
        ),
    )
