"""An impact curriculum up to its runs: what its design can show, the core, curricula and runs of the confirmation wave.

Here: those nodes. Not here: how items are ranked or curricula made (science), training (assets.runs), what the runs
show (assets.impact_outcomes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets.assets import runs
from squiggle_assets.assets.analysis import analysis_of
from squiggle_assets.assets.node import Input, Node, Out, Partition, Scope
from squiggle_assets.assets.policies import COLUMNS, items_of, policy_of, template_digests, template_of, trainable
from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.impact_arms import num_random_cores
from squiggle_assets.science.impact_core import NO_SELECTION, compared_arms
from squiggle_assets.science.waves import CONFIRMATION

if TYPE_CHECKING:
    from squiggle_assets.schemas.handles import Handle
    from squiggle_assets.science.policy import Policy
    from squiggle_assets.science.template import Template

_KEPT = ("run_manifest", "scalars", "sample_trace", "adapter", "captures")
_CORPUS = {
    "pool": Input(asset="candidate_pool", load="frame"),
    "split": Input(asset="split", load="frame"),
    "base": Input(asset="base_model", load="handle"),
}


def _design(step: Any) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.impact import ImpactDesign
    from squiggle_assets.science.impact_arms import attainable_by_family

    scope = step.scope
    num_seeds, alpha = scope.study.num_seeds(scope.profile), scope.study.consensus.alpha
    rows = [
        {
            "study": scope.study.name,
            "n_seeds": num_seeds,
            "alpha": alpha,
            "reaches_alpha": found.smallest_q <= alpha and found.num_draws > 1,
            **{name: None if value != value else value for name, value in found._asdict().items()},
        }
        for found in attainable_by_family(scope.study, num_seeds)
    ]
    return {"impact_design": frame(ImpactDesign, rows)}


def _core(
    step: Any,
    pool: pl.DataFrame,
    split: pl.DataFrame,
    base: Handle,
    events: pl.DataFrame,
    attribution: pl.DataFrame,
    locked: pl.DataFrame,
    trace: pl.LazyFrame,
    manifest: pl.DataFrame,
) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.impact import ImpactStatus
    from squiggle_assets.science.impact_core import MIN_ITEMS, cores_of, ranked_items, ranking_events

    scope, study = step.scope, step.scope.study
    chosen = ranking_events(events, study)
    significant = chosen.filter("is_significant")
    if chosen.height and significant.is_empty():
        attribution = _attributed(scope, chosen, pool, split, base, trace, manifest)
    items = _with_losses(step, trainable(items_of(pool, split, "train"), base, scope.profile.training.max_length), base)
    made = cores_of(
        ranked_items(attribution, locked, chosen),
        items,
        num_items=max(study.triggers.max_items, MIN_ITEMS),
        num_events=significant.height,
        num_draws=num_random_cores(study),
        seed=study.consensus.seed,
    )
    step.facts.update({name: made.status[name] for name in ("status", "num_items", "num_triggers")})
    return {
        "impact_core": made.items,
        "impact_status": frame(ImpactStatus, [{"study": study.name, **made.status}]),
    }


def _attributed(
    scope: Scope,
    event: pl.DataFrame,
    pool: pl.DataFrame,
    split: pl.DataFrame,
    base: Handle,
    trace: pl.LazyFrame,
    manifest: pl.DataFrame,
) -> pl.DataFrame:
    """trigger_attribution rows of an event that is not significant, which attribution leaves out."""
    from squiggle_assets.science.exclusions import without_stopped
    from squiggle_assets.science.triggers import attribute

    arm = event["arm"][0]
    own = trace.filter(pl.col("arm") == arm).select("arm", "seed", "step", "item_id").collect()
    policy = policy_of(replace(scope, partition=Partition(arm)), pool, split, base)
    return attribute(event, without_stopped(own, manifest), policy, scope.study.triggers).items


def _with_losses(step: Any, items: pl.DataFrame, base: Handle) -> pl.DataFrame:
    import torch

    from resources.base_model import load_base, load_tokenizer
    from squiggle_assets.science.impact_loss import item_losses
    from squiggle_assets.science.tokens import tokenize_items

    table = tokenize_items(load_tokenizer(base.path), items, step.scope.profile.training.max_length)
    with step.resources.compute.slot() as slot:
        torch.set_num_threads(runs.RUN_THREADS)
        model = load_base(base.path, attn=runs.ATTENTION).model.to(slot.device)
        losses = item_losses(model, table, slot.device)
    step.facts.update(slot.figures)
    by_item = pl.DataFrame({"item_id": table.item_ids, "base_loss": losses})
    return items.select("item_id", "content_sha256", "family_id").join(by_item, on="item_id", how="inner")


def _core_params(scope: Scope) -> Any:
    study, training = scope.study, scope.profile.training
    sizes = [training.total_steps, training.step_multiplier, training.batch_size, training.max_length]
    compared = [(name, template_digests(study.arm(name))) for name in compared_arms(study)]
    return [study.triggers, study.consensus, analysis_of(scope), compared, sizes, num_random_cores(study)]


def template_for(scope: Scope, core: pl.DataFrame, items: pl.DataFrame) -> Template | None:
    """The curriculum of the scope's follow-up arm: the parent's, or one from its core; None without a selection.

    core: impact_core; items: training items.
    """
    from squiggle_assets.science.impact_core import core_of
    from squiggle_assets.science.impact_template import NAMES, core_ramp

    followup = scope.study.followup(scope.arm)
    if followup.core is None:
        return template_of(scope.study.arm(followup.parent))
    if core.is_empty():
        return None
    name = f"{NAMES[followup.core]}_w{followup.weight}" + (f"_{followup.draw + 1}" if followup.draw else "")
    return core_ramp(core_of(core, followup.core, followup.draw), items, weight=followup.weight, name=name)


def _policy(scope: Scope, template: Template, items: pl.DataFrame) -> Policy:
    from squiggle_assets.science.policy import resolve

    training = scope.profile.training
    return resolve(
        template,
        items.select(COLUMNS),
        total_steps=training.total_steps,
        batch_size=training.batch_size,
        extra_steps=training.total_steps * (training.step_multiplier - 1),
    )


def _curriculum(
    step: Any, pool: pl.DataFrame, split: pl.DataFrame, base: Handle, core: pl.DataFrame
) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.schemas.base import empty, frame
    from squiggle_assets.schemas.curriculum import Curriculum, ExpectedExposure

    scope = step.scope
    items = trainable(items_of(pool, split, "train"), base, scope.profile.training.max_length)
    template = template_for(scope, core, items)
    if template is None:
        return {"curriculum": empty(Curriculum), "expected_exposure": empty(ExpectedExposure)}
    policy = _policy(scope, template, items)
    row = {
        "arm": scope.arm,
        "curriculum_id": policy.curriculum_id,
        "curriculum_name": template.name,
        "curriculum_version": template.version,
        "yaml_sha256": template.yaml_sha256,
        "yaml_text": template.text,
        "total_steps": policy.num_steps,
        "batch_size": policy.batch_size,
        "manifest_json": canonical_json(policy.manifest()),
    }
    exposure = policy.expected_exposure().select(pl.lit(scope.arm).alias("arm"), pl.all())
    return {"curriculum": frame(Curriculum, [row]), "expected_exposure": exposure}


def _curriculum_params(scope: Scope) -> Any:
    followup, training = scope.study.followup(scope.arm), scope.profile.training
    sizes = [training.total_steps, training.step_multiplier, training.batch_size, training.max_length]
    digests = template_digests(scope.study.arm(followup.parent)) if followup.core is None else None
    return [followup, digests, sizes]


def _run(
    step: Any, pool: pl.DataFrame, split: pl.DataFrame, base: Handle, curriculum: pl.DataFrame
) -> Mapping[str, Any]:
    from squiggle_assets.science.curriculum import parse_template

    scope = step.scope
    if curriculum.is_empty():
        return _not_run()
    row = curriculum.row(0, named=True)
    items = trainable(items_of(pool, split, "train"), base, scope.profile.training.max_length)
    policy = _policy(scope, parse_template(row["yaml_text"], f"{row['curriculum_name']}.yaml"), items)
    if policy.curriculum_id != row["curriculum_id"]:
        raise RuntimeError(f"the policy {policy.curriculum_id} is not the curriculum {row['curriculum_id']} of the arm")
    return runs.trained(step, pool, split, base, policy, captures=f"{CONFIRMATION}/captures")


def _not_run() -> Mapping[str, Any]:
    """Typed empty rows and empty handles: there is no core to start from."""
    from squiggle_assets.schemas.base import empty
    from squiggle_assets.schemas.handles import HandleDraft
    from squiggle_assets.schemas.tables import TABLES

    nothing = HandleDraft(meta={"stop_reason": NO_SELECTION})
    tables = {name: empty(TABLES[name]) for name in ("run_manifest", "scalars", "sample_trace")}
    return {**tables, "adapter": nothing, "captures": nothing}


def _core_node() -> Node:
    return Node(
        name="impact_core",
        grain="study",
        pool="gpu",
        inputs={
            **_CORPUS,
            "events": Input(asset="consensus_events", load="frame"),
            "attribution": Input(asset="trigger_attribution", load="frame"),
            "locked": Input(asset="exposure_locked", load="frame"),
            "trace": Input(asset="sample_trace"),
            "manifest": Input(asset="run_manifest", load="frame"),
        },
        outs=(
            Out(name="impact_core", description="The items that discovery ranks first, and other cores of equal size."),
            Out(name="impact_status", description="How the core came about: triggers, ranks only, or no selection."),
        ),
        params=_core_params,
        compute=_core,
    )


def _wave_nodes() -> tuple[Node, ...]:
    outs = tuple(replace(out, name=f"{CONFIRMATION}/{out.name}") for out in runs.outs() if out.name in _KEPT)
    return (
        Node(
            name=f"{CONFIRMATION}/curriculum",
            grain="arm",
            wave=CONFIRMATION,
            inputs={**_CORPUS, "core": Input(asset="impact_core", load="frame")},
            outs=(
                Out(name=f"{CONFIRMATION}/curriculum", description="The curriculum that starts from an arm's core."),
                Out(name=f"{CONFIRMATION}/expected_exposure", description="How often it expects every item."),
            ),
            params=_curriculum_params,
            compute=_curriculum,
        ),
        Node(
            name=f"{CONFIRMATION}/run",
            grain="run",
            wave=CONFIRMATION,
            pool="gpu",
            inputs={**_CORPUS, "curriculum": Input(asset=f"{CONFIRMATION}/curriculum", load="frame")},
            outs=outs,
            params=lambda scope: [scope.profile.training, scope.profile.probe],
            compute=_run,
            cleanup=runs.discard,
        ),
    )


def design_node() -> Node:
    """What the families of claims could show at best, before anything is spent."""
    return Node(
        name="impact_design",
        grain="study",
        before_spending=True,
        outs=(Out(name="impact_design", description="The smallest q that each family of claims can reach."),),
        params=lambda scope: [scope.study.followups, scope.study.consensus.alpha, scope.study.num_seeds(scope.profile)],
        compute=_design,
    )


def nodes() -> tuple[Node, ...]:
    """Design, core, and the confirmation wave up to its runs."""
    return (design_node(), _core_node(), *_wave_nodes())
