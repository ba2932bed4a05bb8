"""Probe runs (one family each, from a fresh base) and what they show; probe losses around consensus events.

Here: the nodes of a probe study that differ from a curriculum study's, and the correlation node of any study that has
events. Not here: training (assets.runs), any statistic (science).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets import checks
from squiggle_assets.assets import curricula, runs
from squiggle_assets.assets.analysis import analysis_of
from squiggle_assets.assets.attribution import significant
from squiggle_assets.assets.evidence import claims_figures, scale_of
from squiggle_assets.assets.node import Input, Node, Out, Scope
from squiggle_assets.assets.policies import COLUMNS, assert_unseen, items_of, template_digests, template_of, trainable

if TYPE_CHECKING:
    from squiggle_assets.schemas.handles import Handle
    from squiggle_assets.science.policy import Policy
    from squiggle_assets.science.spec import Study


def micro_scope(scope: Scope) -> Scope:
    """The scope with the sizes of a micro-fine-tune."""
    from squiggle_assets.science.probe_families import micro

    return replace(scope, profile=micro(scope.profile))


def policy_of(scope: Scope, pool: pl.DataFrame, split: pl.DataFrame, base: Handle) -> Policy:
    """The policy of a probe arm: its curriculum over the items of its family or of its mixture."""
    from squiggle_assets.science.policy import resolve
    from squiggle_assets.science.probe_families import families_of, probe_items

    arm, training = scope.study.arm(scope.arm), micro_scope(scope).profile.training
    usable = trainable(items_of(pool, split, "train"), base, training.max_length)
    chosen = probe_items(usable, arm.name, families_of(scope.study), seed=scope.profile.split.seed)
    return resolve(
        template_of(arm),
        chosen.select(COLUMNS),
        total_steps=training.total_steps,
        batch_size=training.batch_size,
        plant=arm.plant,
        planted=items_of(pool, split, "planted").select(COLUMNS) if arm.plant else None,
    )


def _curriculum(step: Any, pool: pl.DataFrame, split: pl.DataFrame, base: Handle) -> Mapping[str, pl.DataFrame]:
    assert_unseen(pool, base)
    return curricula.tables_of(step, policy_of(step.scope, pool, split, base))


def _curriculum_params(scope: Scope) -> Any:
    from squiggle_assets.science.probe_families import families_of

    arm, training = scope.study.arm(scope.arm), micro_scope(scope).profile.training
    sizes = [training.total_steps, training.batch_size, training.max_length]
    choice = [arm.name, families_of(scope.study), scope.profile.split.seed]
    return [template_digests(arm), arm.plant, sizes, choice]


def _spec(scope: Scope, inputs: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, Any]:
    curriculum_id = rows["curriculum"]["curriculum_id"]
    return runs.spec_of(micro_scope(scope), inputs["pool"], inputs["split"], inputs["base"], curriculum_id)


def _run(
    step: Any, pool: pl.DataFrame, split: pl.DataFrame, curriculum: pl.DataFrame, base: Handle
) -> Mapping[str, Any]:
    policy, curriculum_id = policy_of(step.scope, pool, split, base), curriculum["curriculum_id"][0]
    if policy.curriculum_id != curriculum_id:
        raise RuntimeError(f"the policy {policy.curriculum_id} is not the curriculum {curriculum_id} of the arm")
    small = replace(step, scope=micro_scope(step.scope))
    return runs.trained(small, pool, split, base, policy, captures="captures")


def _probes(
    step: Any,
    pool: pl.DataFrame,
    base: Handle,
    geometry: pl.DataFrame,
    dynamics: pl.DataFrame,
    manifest: pl.DataFrame,
    trace: pl.DataFrame,
    ledger: pl.LazyFrame,
) -> Mapping[str, pl.DataFrame]:
    # The ledger is not read: it is an input so that a leak, which fails its blocking check, stops every claim.
    from resources.base_model import load_tokenizer
    from squiggle_assets.science.claims import is_preregistered
    from squiggle_assets.science.probe_claims import STEPS, TOKENS, probe_result
    from squiggle_assets.science.probe_tables import item_lengths

    scope = step.scope
    study = scope.study
    drawn = pool.join(trace.select("item_id").unique(), on="item_id", how="semi")
    lengths = item_lengths(load_tokenizer(base.path), drawn, scope.profile.training.max_length)
    layers, summaries = _tables(study, geometry, dynamics, manifest, trace, lengths)
    result = probe_result(
        study,
        {matched: summaries.filter(pl.col("matched") == matched) for matched in (TOKENS, STEPS)},
        manifest,
        scale=scale_of(micro_scope(scope)),
        preregistered=is_preregistered(study, manifest, scope.study.num_seeds(scope.profile)),
        analysis_id=analysis_of(scope),
    )
    return {
        "probe_layers": layers,
        "probe_summaries": summaries,
        "probe_tests": result.tests,
        "probe_draws": result.draws,
        "claims": result.claims,
    }


def _tables(
    study: Study,
    geometry: pl.DataFrame,
    dynamics: pl.DataFrame,
    manifest: pl.DataFrame,
    trace: pl.DataFrame,
    lengths: Mapping[str, int],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    from squiggle_assets.schemas.base import dtypes, empty
    from squiggle_assets.schemas.probes import ProbeLayers, ProbeSummaries
    from squiggle_assets.science.probe_tables import probe_tables

    if manifest["stopped_early"].all():
        return empty(ProbeLayers), empty(ProbeSummaries)
    found = probe_tables(study, geometry=geometry, dynamics=dynamics, manifest=manifest, trace=trace, lengths=lengths)
    return found.layers.select(*dtypes(ProbeLayers)), found.summaries.select(*dtypes(ProbeSummaries))


def _probe_params(scope: Scope) -> Any:
    sizes = [scope.study.num_seeds(scope.profile), scope.profile.training.max_length]
    return [scope.study, sizes, scale_of(micro_scope(scope)), analysis_of(scope)]


def _correlation(
    step: Any, events: pl.DataFrame, singles: pl.DataFrame, losses: pl.DataFrame, scalars: pl.DataFrame,
    manifest: pl.DataFrame,
) -> Mapping[str, pl.DataFrame]:  # fmt: skip
    from squiggle_assets.science.cells import schedule_from
    from squiggle_assets.science.exclusions import without_stopped
    from squiggle_assets.science.probe_correlation import correlate

    scope = step.scope
    found = correlate(
        significant(events, scope),
        without_stopped(singles, manifest),
        without_stopped(losses, manifest),
        without_stopped(scalars, manifest),
        arm=scope.arm,
        analysis_id=analysis_of(scope),
        schedule=schedule_from(manifest),
        spec=scope.study.consensus,
    )
    step.facts.update(found.status.select("status", "num_events", "num_probes", "num_significant").row(0, named=True))
    return {"probe_event_correlation": found.correlation, "probe_event_status": found.status}


def correlation_node() -> Node:
    """Held-out losses of an arm's runs around its consensus events; for any study with events."""
    return Node(
        name="probe_event_correlation",
        grain="arm",
        inputs={
            "events": Input(asset="consensus_events", load="frame"),
            "singles": Input(asset="events", load="frame"),
            "losses": Input(asset="probe_losses", load="frame"),
            "scalars": Input(asset="scalars", load="frame"),
            "manifest": Input(asset="run_manifest", load="frame"),
        },
        outs=(
            Out(name="probe_event_correlation", description="How held-out losses turn at events, beside their nulls."),
            Out(name="probe_event_status", description="What was tested of an arm's events and probes, if anything."),
        ),
        params=lambda scope: [scope.study.consensus, analysis_of(scope)],
        compute=_correlation,
    )


def nodes() -> tuple[Node, ...]:
    """Curricula and runs of a probe study, and what its families do."""
    (of_curriculum,), (of_run,) = curricula.nodes(), runs.nodes()
    # a probe run is compared by two of its captures and the way between them; no event is sought in it
    outs = tuple(replace(out, checks=()) if out.name == "captures" else out for out in of_run.outs)
    return (
        replace(of_curriculum, compute=_curriculum, params=_curriculum_params),
        replace(of_run, compute=_run, spec=_spec, outs=outs),
        Node(
            name="probes",
            grain="study",
            inputs={
                "pool": Input(asset="candidate_pool", load="frame"),
                "base": Input(asset="base_model", load="handle"),
                "geometry": Input(asset="geometry", load="frame"),
                "dynamics": Input(asset="dynamics", load="frame"),
                "manifest": Input(asset="run_manifest", load="frame"),
                "trace": Input(asset="sample_trace", load="frame"),
                "ledger": Input(asset="usage_ledger"),
            },
            outs=(
                Out(name="probe_layers", description="Every layer of every probe run: before, after, in between."),
                Out(
                    name="probe_summaries",
                    description="Every probe run's signature, and what it was trained on.",
                    checks=(("fresh_base", True, checks.fresh_base), ("own_family", True, checks.own_family)),
                ),
                Out(name="probe_tests", description="How far every family is from random mixtures, with interval."),
                Out(name="probe_draws", description="Distances under exchanged labels: every draw."),
                Out(
                    name="claims",
                    description="What each family does to the model: estimate, null, control, interval, q, verdict.",
                    checks=(("controls_tested", True, checks.controls_tested),),
                ),
            ),
            params=_probe_params,
            compute=_probes,
            figures=claims_figures,
        ),
    )
