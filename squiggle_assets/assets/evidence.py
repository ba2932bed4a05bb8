"""From events of many seeds to claims: consensus with its nulls, outcomes, claims, the usage ledger.

Here: the nodes above single runs. Not here: any statistic (science), what a report looks like (assets.reports).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from squiggle_assets import checks
from squiggle_assets.assets.analysis import analysis_of
from squiggle_assets.assets.node import Input, Node, Out, Scope

POWER = 0.8
"""The power at which effects count as detectable."""


def scale_of(scope: Scope) -> str:
    """At which scale a claim holds, so that nobody reads a demo as a finding."""
    base, pool = scope.profile.base_model, scope.profile.pool
    model = (
        f"embedded Llama, width {base.width}, {base.num_layers} layers" if base.source == "embedded" else base.source
    )
    items = f"{pool.num_items} generated items" if pool.items is None else pool.items.rsplit("/", maxsplit=1)[-1]
    return f"{model}; {items}; {scope.profile.training.total_steps} steps (profile {scope.profile.name})"


def planted_steps(scope: Scope) -> tuple[int, int]:
    """First step whose batch holds planted items, and the step after the last one."""
    from squiggle_assets.science.template import step_at

    plant = scope.study.only("planted").plant
    if plant is None:
        raise ValueError(f"study {scope.study.name}: its planted arm has no plant")
    first = step_at(plant.start, scope.profile.training.total_steps)
    return first, first + plant.num_steps


def _num_captures(scope: Scope) -> int:
    training = scope.profile.training
    return training.total_steps * training.step_multiplier // scope.profile.probe.capture_every + 1


def _design_params(scope: Scope) -> Any:
    study, every = scope.study, scope.profile.probe.capture_every
    sizes = [scope.num_seeds, _num_captures(scope), every, len(study.contrasts), POWER]
    return [study.detection, study.consensus, sizes]


def _design(step: Any) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.design import MinimumDetectable
    from squiggle_assets.science.power import minimum_detectable

    scope = step.scope
    study, captures, contrasts = scope.study, _num_captures(scope), len(scope.study.contrasts)
    found = minimum_detectable(
        scope.num_seeds,
        captures,
        contrasts,
        study.consensus,
        detection=study.detection,
        capture_every=scope.profile.probe.capture_every,
        power=POWER,
    )
    row = {
        "study": study.name,
        "n_seeds": scope.num_seeds,
        "num_captures": captures,
        "num_contrasts": contrasts,
        "power": POWER,
        **{name: None if math.isnan(value) else value for name, value in found._asdict().items()},
    }
    return {"minimum_detectable": frame(MinimumDetectable, [row])}


def consensus(
    step: Any, geometry: pl.DataFrame, events: pl.DataFrame, manifest: pl.DataFrame
) -> Mapping[str, pl.DataFrame]:
    """Consensus events, null draws and invariance of one arm; typed empty tables for an arm that has no runs."""
    from squiggle_assets.schemas.base import empty
    from squiggle_assets.schemas.tables import TABLES
    from squiggle_assets.science.cells import schedule_from
    from squiggle_assets.science.consensus import consensus_of
    from squiggle_assets.science.exclusions import stopped_seeds

    if manifest.is_empty():
        return {name: empty(TABLES[name]) for name in ("consensus_events", "null_draws", "invariance")}
    study = step.scope.study
    found = consensus_of(
        geometry,
        events,
        arm=step.scope.arm,
        analysis_id=analysis_of(step.scope),
        excluded=stopped_seeds(manifest).get(step.scope.arm, ()),
        schedule=schedule_from(manifest),
        detection=study.detection,
        spec=study.consensus,
    )
    return found._asdict()


def _consensus_figures(outputs: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    from squiggle_assets.report.study_figures import consensus_figure_markdown

    rows = outputs["consensus_events"].filter(pl.col("probe_set") == scope.study.consensus.probe_set)
    counts = outputs["null_draws"].filter(
        (pl.col("probe_set") == scope.study.consensus.probe_set) & (pl.col("band") == "all")
    )
    means = counts.filter(pl.col("null") != "observed").group_by("null").agg(pl.col("statistic").mean())
    return {
        "num_consensus_events": rows.height,
        "num_at_q_05": rows.filter(pl.col("q_value") <= scope.study.consensus.alpha).height,
        **{f"null_mean_{name}": float(mean) for name, mean in means.iter_rows()},
        "null_histogram": consensus_figure_markdown(
            outputs["null_draws"], arm=scope.arm, probe_set=scope.study.consensus.probe_set
        ),
    }


def _conclusions(
    step: Any,
    geometry: pl.DataFrame,
    manifest: pl.DataFrame,
    scalars: pl.DataFrame,
    consensus_events: pl.DataFrame,
    null_draws: pl.DataFrame,
    ledger: pl.LazyFrame,
) -> Mapping[str, pl.DataFrame]:
    # The ledger is not read: it is an input so that a leak, which fails its blocking check, stops every claim.
    from squiggle_assets.science.claims import is_preregistered, study_result

    study = step.scope.study
    found = study_result(
        study,
        geometry=geometry,
        manifest=manifest,
        scalars=scalars,
        consensus_events=consensus_events,
        null_draws=null_draws,
        analysis_id=analysis_of(step.scope),
        planted_steps=planted_steps(step.scope),
        scale=scale_of(step.scope),
        preregistered=is_preregistered(study, manifest, step.scope.study.num_seeds(step.scope.profile)),
    )
    return found._asdict()


def claims_figures(outputs: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    """How many claims have which verdict, and their plot; for every step that makes claims."""
    from squiggle_assets.report.study_figures import claims_figure_markdown

    counts = outputs["claims"]["verdict"].value_counts().rows()
    figures: dict[str, Any] = {f"num_{verdict.replace(' ', '_')}": num for verdict, num in sorted(counts)}
    return {**figures, "claims_plot": claims_figure_markdown(outputs["claims"])}


def _ledger(step: Any, split: pl.DataFrame, trace: pl.LazyFrame, manifest: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.science.splitting import usage_ledger

    probes = manifest.select(
        "arm", "seed", "run_id", pl.col("probe_items_json").str.json_decode(pl.List(pl.String)).alias("item_id")
    )
    return {"usage_ledger": usage_ledger(split, trace, probes.explode("item_id"))}


def nodes() -> tuple[Node, ...]:
    """Consensus, conclusions and the usage ledger."""
    return (
        Node(
            name="design",
            grain="study",
            before_spending=True,
            outs=(Out(name="minimum_detectable", description="What this design can show, before anything is spent."),),
            params=_design_params,
            compute=_design,
        ),
        Node(
            name="consensus",
            grain="arm",
            inputs={
                "geometry": Input(asset="geometry", load="frame"),
                "events": Input(asset="events", load="frame"),
                "manifest": Input(asset="run_manifest", load="frame"),
            },
            outs=(
                Out(name="consensus_events", description="Moments that the seeds of an arm share, each with p and q."),
                Out(name="null_draws", description="What agreement looks like by chance: every draw of every null."),
                Out(name="invariance", description="How alike pairs of seeds are, beside what chance gives."),
            ),
            params=lambda scope: [scope.study.detection, scope.study.consensus, analysis_of(scope)],
            compute=consensus,
            figures=_consensus_figures,
        ),
        Node(
            name="conclusions",
            grain="study",
            inputs={
                "geometry": Input(asset="geometry", load="frame"),
                "manifest": Input(asset="run_manifest", load="frame"),
                "scalars": Input(asset="scalars", load="frame"),
                "consensus_events": Input(asset="consensus_events", load="frame"),
                "null_draws": Input(asset="null_draws", load="frame"),
                "ledger": Input(asset="usage_ledger"),
            },
            outs=(
                Out(
                    name="pairing_draws",
                    description="Groups of runs from different arms: how much they agree, every draw.",
                ),
                Out(name="arm_outcomes", description="Every outcome of every arm beside its null, with an interval."),
                Out(
                    name="claims",
                    description="What the study set out to show: estimate, null, control, interval, q, verdict.",
                    checks=(("controls_tested", True, checks.controls_tested),),
                ),
            ),
            params=lambda scope: [
                scope.study,
                scope.study.num_seeds(scope.profile),
                planted_steps(scope),
                scale_of(scope),
            ],
            compute=_conclusions,
            figures=claims_figures,
        ),
        Node(
            name="usage_ledger",
            grain="study",
            inputs={
                "split": Input(asset="split", load="frame"),
                "trace": Input(asset="sample_trace", load="scan"),
                "manifest": Input(asset="run_manifest", load="frame"),
            },
            outs=(
                Out(
                    name="usage_ledger",
                    description="Which run used which item, when first and last, how often; held-out ones never.",
                    checks=(("no_leak", True, checks.no_leak),),
                ),
            ),
            compute=_ledger,
        ),
    )
