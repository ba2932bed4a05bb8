"""Runs on random subsets of the planted arm's items, and what attribution would have said of them.

Here: the nodes of the subset runs and of their scores. Not here: subsets, outcomes and scores themselves (science),
training's inputs and outputs (assets.runs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets.assets import analysis, evidence, runs
from squiggle_assets.assets.analysis import analysis_of
from squiggle_assets.assets.attribution import series_of_arm
from squiggle_assets.assets.node import Input, Node, Out, Partition, Scope, in_wave
from squiggle_assets.assets.policies import items_of, policy_of, trainable
from squiggle_assets.science.waves import FOLLOWUP

if TYPE_CHECKING:
    import numpy as np

    from squiggle_assets.schemas.handles import Handle
    from squiggle_assets.science.cells import ArmSeries
    from squiggle_assets.science.subset_lds import SubsetRun
    from squiggle_assets.science.subset_scores import PlantedEvent

MIN_PARENTS = 2
"""Whole runs of the parent arm that an event can be sought in."""
_KEPT = ("run_manifest", "scalars", "sample_trace", "adapter", "captures")


def _study(scope: Scope) -> Any:
    """A CalibrationStudy. The class is not named here: its sizes are no part of what a subset run stands on."""
    return scope.study


def _of_parent(scope: Scope, seed: int | None = None) -> Scope:
    """The scope of the arm whose items are left out."""
    return replace(scope, partition=Partition(scope.study.only("planted").name, seed))


def _subset_run(step: Any, pool: pl.DataFrame, split: pl.DataFrame, base: Handle) -> Mapping[str, Any]:
    from squiggle_assets.science.subsets import inside_subset

    scope = step.scope
    parent = policy_of(_of_parent(scope), pool, split, base)
    policy = inside_subset(parent, _mask(scope, len(parent.items), scope.arm, scope.seed))
    step.facts.update(num_items=policy.items.height, num_planted=int(policy.items["planted"].sum()))
    return runs.trained(step, pool, split, base, policy, captures=f"{FOLLOWUP}/captures")


def _mask(scope: Scope, num_items: int, arm: str, seed: int) -> np.ndarray:
    from squiggle_assets.science.subsets import mask_of

    study = _study(scope)
    return mask_of(num_items, study.calibration.subset_share, study.followup(arm), study.seeds, seed)


def _subset_params(scope: Scope) -> Any:
    from squiggle_assets.science.subsets import REPEAT, other_of_pair

    followup, study = scope.study.followup(scope.arm), _study(scope)
    other = other_of_pair(study.seeds, scope.seed) if followup.condition == REPEAT else None
    return [runs.run_params(_of_parent(scope, scope.seed)), followup, other, study.calibration.subset_share]


def _item_losses(step: Any, pool: pl.DataFrame, split: pl.DataFrame, base: Handle) -> Mapping[str, pl.DataFrame]:
    import numpy as np
    import torch

    from resources.base_model import load_base, load_tokenizer
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.calibration import ItemLosses
    from squiggle_assets.science.impact_loss import item_losses
    from squiggle_assets.science.tokens import tokenize_items

    length = step.scope.profile.training.max_length
    items = pl.concat([items_of(pool, split, name) for name in ("train", "planted")])
    items = trainable(items, base, length).sort("item_id")
    table = tokenize_items(load_tokenizer(base.path), items, length)
    with step.resources.compute.slot() as slot:
        torch.set_num_threads(runs.RUN_THREADS)
        model = load_base(base.path, attn=runs.ATTENTION).model.to(slot.device)
        losses = item_losses(model, table, slot.device)
    step.facts.update(slot.figures)
    tokens = np.diff(table.offsets) - np.maximum(table.num_prompt, 1)
    rows = zip(items["content_sha256"], table.item_ids, tokens.tolist(), losses.tolist(), strict=True)
    names = ("content_sha256", "item_id", "num_tokens", "loss")
    return {"item_losses": frame(ItemLosses, [dict(zip(names, row, strict=True)) for row in rows])}


def _subset_scores(
    step: Any,
    pool: pl.DataFrame,
    split: pl.DataFrame,
    base: Handle,
    geometry: pl.DataFrame,
    manifest: pl.DataFrame,
    trace: pl.LazyFrame,
    losses: pl.DataFrame,
    subset_geometry: pl.DataFrame,
    subset_manifest: pl.DataFrame,
    subset_trace: pl.LazyFrame,
) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.science.events import parameters_id
    from squiggle_assets.science.exclusions import without_stopped
    from squiggle_assets.science.rng import generator
    from squiggle_assets.science.subset_lds import outcome_rows, scored
    from squiggle_assets.science.subset_scores import NO_EVENT, item_scores, no_scores, planted_event

    scope, study = step.scope, _study(step.scope)
    arm = study.only("planted")
    own = manifest.filter(pl.col("arm") == arm.name)
    policy = policy_of(_of_parent(scope), pool, split, base)
    keys = (study.consensus.seed, parameters_id(study.detection, study.consensus))
    event, scores = None, no_scores(policy)
    made = _subset_runs(scope, policy.items["item_id"].to_list(), subset_manifest, subset_trace)
    if int((~own["stopped_early"]).sum()) >= MIN_PARENTS:
        parents = series_of_arm(geometry.filter(pl.col("arm") == arm.name), own, scope)
        event = planted_event(
            parents, evidence.planted_steps(scope), arm.plant, study.consensus,
            arm=arm.name, analysis_id=analysis_of(scope), draws=generator("planted_event", *keys),
        )  # fmt: skip
        traces = without_stopped(trace.filter(pl.col("arm") == arm.name).collect(), own)
        loss_of = dict(losses.select("item_id", "loss").iter_rows())
        scores = item_scores(event, traces, policy, study.triggers, loss_of)
        made = _with_outcomes(made, scope, event, parents, subset_geometry, subset_manifest)
    table = scored(made, scores, study.seeds, generator("lds", *keys))
    told = {"study": study.name, "arm": arm.name, "place": NO_EVENT if event is None else event.name}
    share = pl.lit(study.calibration.subset_share).alias("share")
    step.facts["num_subsets"] = len(made)
    return {
        "subset_outcomes": outcome_rows(made, policy.num_planted_items),
        "lds": table.select(*(pl.lit(text).alias(name) for name, text in told.items()), share, pl.all()),
    }


def _subset_runs(scope: Scope, items: list[str], manifest: pl.DataFrame, trace: pl.LazyFrame) -> list[SubsetRun]:
    """Every run of every subset arm, without outcomes; ValueError where a trace leaves its subset."""
    from squiggle_assets.science.subset_lds import SubsetRun
    from squiggle_assets.science.subsets import refuse_strangers

    found = []
    for followup in scope.study.followups:
        of_arm = pl.col("arm") == followup.name
        drawn = trace.filter(of_arm).select("seed", "item_id").unique().collect()
        for seed, run_id, stopped in (
            manifest.filter(of_arm).sort("seed").select("seed", "run_id", "stopped_early").iter_rows()
        ):
            mask = _mask(scope, len(items), followup.name, seed)
            refuse_strangers(mask, items, drawn.filter(pl.col("seed") == seed))
            found.append(SubsetRun(followup, seed, run_id, mask, stopped, None))
    return found


def _with_outcomes(
    made: list[SubsetRun],
    scope: Scope,
    event: PlantedEvent,
    parents: ArmSeries,
    geometry: pl.DataFrame,
    manifest: pl.DataFrame,
) -> list[SubsetRun]:
    """The same runs with what they did at the event; those that were stopped, or whose parent was, have no outcome."""
    from squiggle_assets.science.subsets import signed_change

    outcomes: dict[tuple[str, int], float] = {}
    place: dict[str, Any] = {"members": event.cell.members, "window": event.window, "polarity": event.polarity}
    whole = manifest.filter(~pl.col("stopped_early") & pl.col("seed").is_in(list(parents.seeds)))
    for (name,), own in whole.group_by("arm", maintain_order=True):
        rows = geometry.join(own.select("arm", "seed"), on=["arm", "seed"], how="semi")
        found = signed_change(series_of_arm(rows, own, scope), parents, **place)
        outcomes |= {(str(name), seed): value for seed, value in found.items()}
    return [run._replace(outcome=outcomes.get((run.followup.name, run.seed))) for run in made]


def _scores_params(scope: Scope) -> Any:
    study = _study(scope)
    parent = runs.run_params(_of_parent(scope, 0))
    rest = [study.calibration.subset_share, study.seeds, study.followups, evidence.planted_steps(scope)]
    return [analysis_of(scope), study.detection, study.consensus, study.triggers, parent, *rest]


def _run_node() -> Node:
    inputs = {
        "pool": Input(asset="candidate_pool", load="frame"),
        "split": Input(asset="split", load="frame"),
        "base": Input(asset="base_model", load="handle"),
    }
    return Node(
        name=f"{FOLLOWUP}/subset_run",
        grain="run",
        wave=FOLLOWUP,
        pool="gpu",
        inputs=inputs,
        outs=tuple(replace(out, name=f"{FOLLOWUP}/{out.name}") for out in runs.outs() if out.name in _KEPT),
        params=_subset_params,
        compute=_subset_run,
        cleanup=runs.discard,
    )


def _scores_node() -> Node:
    of_wave = {"subset_geometry": "geometry", "subset_manifest": "run_manifest", "subset_trace": "sample_trace"}
    lazy = ("trace", "subset_trace")
    assets = {
        **{"geometry": "geometry", "manifest": "run_manifest", "trace": "sample_trace", "losses": "item_losses"},
        **{argument: f"{FOLLOWUP}/{name}" for argument, name in of_wave.items()},
        **{"pool": "candidate_pool", "split": "split"},
    }
    inputs = {name: Input(asset=asset, load="scan" if name in lazy else "frame") for name, asset in assets.items()}
    return Node(
        name="subset_scores",
        grain="study",
        inputs={**inputs, "base": Input(asset="base_model", load="handle")},
        outs=(
            Out(name="subset_outcomes", description="What every run on a subset did at the planted steps."),
            Out(name="lds", description="Do sums of attribution scores say what runs on subsets did?"),
        ),
        params=_scores_params,
        compute=_subset_scores,
    )


def nodes() -> tuple[Node, ...]:
    """Runs on subsets, their geometry, losses of items, scores."""
    captures = {"captures": Input(asset=f"{FOLLOWUP}/captures", load="handle")}
    geometry = replace(in_wave((analysis.geometry_node(),), FOLLOWUP)[0], inputs=captures)
    losses = Node(
        name="item_losses",
        grain="study",
        pool="gpu",
        inputs={
            "pool": Input(asset="candidate_pool", load="frame"),
            "split": Input(asset="split", load="frame"),
            "base": Input(asset="base_model", load="handle"),
        },
        outs=(Out(name="item_losses", description="How hard each training item is for the base model."),),
        params=lambda scope: scope.profile.training.max_length,
        compute=_item_losses,
    )
    return (_run_node(), geometry, losses, _scores_node())
