"""Training runs: one node per arm x seed, with everything a run leaves behind.

Here: from pool, split, curriculum and base model to RunInputs, and from a RunResult to tables and handles.
Not here: training (science.training), identities (science.run_spec), devices (resources.compute).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets import checks
from squiggle_assets.assets.node import Input, Node, Out, Scope
from squiggle_assets.assets.policies import items_of, policy_of, template_digests
from squiggle_assets.science.canonical import canonical_json, sha256_json

if TYPE_CHECKING:
    from io_managers.checkpoints import Past
    from squiggle_assets.schemas.handles import Handle
    from squiggle_assets.science.replay import Draws

RUN_THREADS = 1
"""Threads of one run: a fixed number, because sums of floats depend on it; more runs at once are more workers."""
ATTENTION = "sdpa"
"""What runs compute attention with: row by row on packed rows (science.packed_attention)."""
_VALIDATION = ("val_random", "val_family")
_PROBES = {"a": "probe_a", "b": "probe_b"}


def _spec(scope: Scope, inputs: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, Any]:
    return spec_of(scope, inputs["pool"], inputs["split"], inputs["base"], rows["curriculum"]["curriculum_id"])


def spec_of(scope: Scope, pool: str, split: str, base: str, curriculum_id: str) -> dict[str, Any]:
    """The canonical spec of a run, without its code version; pool, split and base by sha256."""
    from squiggle_assets.science.run_spec import run_spec

    return run_spec(
        data_sha256=sha256_json([pool, split]),
        base_model_sha256=base,
        curriculum_id=curriculum_id,
        training=scope.profile.training,
        probe=scope.profile.probe,
        seed=scope.seed,
    )


def _shorter_run(step: Any) -> Past | None:
    """The checkpoint that the longest run lower on the ladder left to go on from; None if there is none.

    Its curriculum_id is the same: that leaves out the extra steps.
    """
    from io_managers.checkpoints import LADDER, Past
    from squiggle_assets.science.run_spec import run_id

    config = dict(step.identity.config)
    for multiplier in range(config["training"]["step_multiplier"] - 1, 0, -1):
        shorter = run_id({**config, "training": {**config["training"], "step_multiplier": multiplier}})
        if step.store.find(shorter, LADDER) is not None:
            return Past(shorter, LADDER)
    return None


def _run(
    step: Any, pool: pl.DataFrame, split: pl.DataFrame, curriculum: pl.DataFrame, base: Handle
) -> Mapping[str, Any]:
    policy, curriculum_id = policy_of(step.scope, pool, split, base), curriculum["curriculum_id"][0]
    if policy.curriculum_id != curriculum_id:
        raise RuntimeError(f"the policy {policy.curriculum_id} is not the curriculum {curriculum_id} of the arm")
    return trained(step, pool, split, base, policy, captures="captures", past=_shorter_run(step))


def trained(
    step: Any,
    pool: pl.DataFrame,
    split: pl.DataFrame,
    base: Handle,
    policy: Draws,
    *,
    captures: str,
    past: Past | None = None,
) -> Mapping[str, Any]:
    """Train on what a policy draws; every output of a run by its short name.

    Args:
        step: the step of the run's node.
        pool: all items.
        split: who may be trained on.
        base: the base model.
        policy: what is drawn.
        captures: asset that the captures are.
        past: the checkpoint of another run with the same past to go on from.
    """
    import torch

    from io_managers.checkpoints import RunFolder
    from resources.compute import with_oom_fallback
    from squiggle_assets.assets.identity import origin
    from squiggle_assets.science.training import train

    scope, run_id = step.scope, step.identity.object_id
    made_from = origin(step.graph, captures, step.identity, scope, step.dagster_run_id)
    with step.resources.compute.slot() as slot:
        torch.set_num_threads(RUN_THREADS)
        inputs = _inputs(step, pool, split, base, policy, slot.device)

        def attempt(micro_batch: int) -> Any:
            folder = RunFolder(step.store, run_id, made_from, past=past, keep_all=scope.profile.keep_checkpoints)
            run = replace(inputs, micro_batch=micro_batch)
            result = train(run, checkpoints=folder.checkpoints, captures=folder.captures, progress=step.progress)
            return folder, result

        done = with_oom_fallback(attempt, scope.profile.training.micro_batch)
    step.refuse_edited()
    folder, result = done.result
    if result.inherited_step is not None and past is not None:
        folder.take_captures(past.run_id, up_to=result.inherited_step)
    folder.finish(
        {
            "capture_steps": list(result.capture_steps),
            "probe_set_sha256": {name: rows.sha256 for name, rows in inputs.probes.items()},
            "num_tokens": {name: rows.num_tokens for name, rows in inputs.probes.items()},
            "dtype": scope.profile.probe.dtype,
            "stop_reason": result.summary["stop_reason"],
        }
    )
    step.facts.update(slot.figures, micro_batch=done.micro_batch, oom_halvings=done.halvings)
    step.facts.update(
        dtype=scope.profile.training.dtype,
        attention=ATTENTION,
        extends_run="none" if past is None else past.run_id,
        steps_inherited=result.inherited_step or 0,
    )
    probed = [item_id for rows in inputs.probes.values() for item_id in rows.table.index]
    return _outputs(step, result, policy.curriculum_id, probed)


def discard(step: Any) -> None:
    """Remove the work of a run that is stored."""
    from io_managers.checkpoints import RunFolder

    RunFolder.discard(step.store, step.identity.object_id)


def _inputs(step: Any, pool: pl.DataFrame, split: pl.DataFrame, base: Handle, policy: Draws, device: str) -> Any:
    from resources.base_model import load_base, load_tokenizer
    from squiggle_assets.science.capture import probe_rows
    from squiggle_assets.science.evaluation import eval_items
    from squiggle_assets.science.splitting import assert_uncontaminated
    from squiggle_assets.science.tokens import tokenize_items
    from squiggle_assets.science.training import RunInputs

    profile = step.scope.profile
    tokenizer = load_tokenizer(base.path)
    drawn = pool.join(policy.items.select("item_id"), on="item_id", how="semi")
    probed = {name: items_of(pool, split, where) for name, where in _PROBES.items()}
    assert_uncontaminated(split, drawn.lazy(), pl.concat(probed.values()))
    length = profile.training.max_length
    return RunInputs(
        make_model=lambda: load_base(base.path, attn=ATTENTION).model,
        train=tokenize_items(tokenizer, drawn, length),
        validation={
            name: tokenize_items(
                tokenizer, eval_items(items_of(pool, split, name), profile.training.eval_items), length
            )
            for name in _VALIDATION
        },
        probes={name: probe_rows(tokenizer, items, profile.probe) for name, items in probed.items()},
        policy=policy,
        training=profile.training,
        probe=profile.probe,
        seed=step.scope.seed,
        device=device,
    )


def _outputs(step: Any, result: Any, curriculum_id: str, probed: Sequence[str]) -> Mapping[str, Any]:
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.handles import HandleDraft
    from squiggle_assets.schemas.runs import RunManifest

    scope, run_id = step.scope, step.identity.object_id
    keys = [
        pl.lit(scope.arm).alias("arm"),
        pl.lit(scope.seed, dtype=pl.Int64).alias("seed"),
        pl.lit(run_id).alias("run_id"),
    ]
    # Where the base model lay on this machine is no part of the result; which one it was stands in the run's spec.
    adapter_config = {**result.adapter_config, "base_model_name_or_path": None}
    summary = dict(result.summary)
    boundaries = summary.pop("phase_boundaries")
    manifest = {
        "arm": scope.arm,
        "seed": scope.seed,
        "run_id": run_id,
        "spec_json": canonical_json(step.identity.config),
        "curriculum_id": curriculum_id,
        "phase_boundaries_json": canonical_json([first for first, _ in boundaries]),
        "probe_items_json": canonical_json(sorted(probed)),
        **summary,
    }
    return {
        "run_manifest": frame(RunManifest, [manifest]),
        "scalars": result.scalars.select(*keys, pl.all()),
        "sample_trace": result.sample_trace.select(*keys, pl.all()),
        "probe_losses": result.probe_losses.select(*keys, pl.all()),
        "milestones": result.milestones.select(*keys, pl.all()),
        "controller_decisions": result.controller_decisions.select(*keys, pl.all()),
        "adapter": HandleDraft(
            tensors={"adapter_model": result.adapter}, documents={"adapter_config.json": adapter_config}
        ),
        "captures": None,
    }


def _figures(outputs: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    from squiggle_assets.report.figures import loss_curve
    from squiggle_assets.report.images import markdown_image

    manifest = outputs["run_manifest"].row(0, named=True)
    figure = loss_curve(outputs["scalars"], title=f"{scope.arm}, seed {scope.seed}")
    return {
        "final_loss": manifest["final_loss"],
        "final_loss_smooth": manifest["final_loss_smooth"],
        "num_captures": manifest["num_captures"],
        "loss_curve": markdown_image(figure, f"loss of {scope.arm}, seed {scope.seed}"),
    }


def run_params(scope: Scope) -> Any:
    """Everything that a run of the scope's arm depends on beside its inputs, seed included."""
    arm, profile = scope.study.arm(scope.arm), scope.profile
    shuffle = profile.split.seed if arm.shuffle_families else None
    return [profile.training, profile.probe, template_digests(arm), arm.plant, shuffle, scope.seed]


def outs() -> tuple[Out, ...]:
    """What a run leaves."""
    return (
        Out(name="run_manifest", description="What the run was and how it ended."),
        Out(
            name="scalars",
            description="Loss, rate, gradient norm at every step; validation and probe losses.",
            checks=(("losses_finite", True, checks.losses_finite),),
        ),
        Out(
            name="sample_trace",
            description="Every draw of the run in order, with content hashes. There is no way to turn it off.",
            checks=(("trace_complete", True, checks.trace_complete),),
        ),
        Out(name="probe_losses", description="Loss and accuracy of every probe item at every capture."),
        Out(name="milestones", description="When the smoothed loss fell by a fifth, two fifths, ..."),
        Out(name="controller_decisions", description="What the controllers decided and why."),
        Out(
            name="adapter",
            kind="handle",
            description="The trained adapter in PEFT's layout.",
            tags=("pytorch",),
        ),
        Out(
            name="captures",
            kind="handle",
            description="Residual streams on the frozen probe items, one file a captured step.",
            tags=("pytorch",),
            checks=(("enough_captures", True, checks.enough_captures),),
        ),
    )


def nodes() -> tuple[Node, ...]:
    """The run node."""
    return (
        Node(
            name="run",
            grain="run",
            pool="gpu",
            inputs={
                "pool": Input(asset="candidate_pool", load="frame"),
                "split": Input(asset="split", load="frame"),
                "curriculum": Input(asset="curriculum", load="frame"),
                "base": Input(asset="base_model", load="handle"),
            },
            outs=outs(),
            spec=_spec,
            spec_rows=("curriculum",),
            compute=_run,
            cleanup=discard,
            figures=_figures,
        ),
    )
