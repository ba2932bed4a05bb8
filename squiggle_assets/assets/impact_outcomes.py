"""What the confirmation wave of an impact curriculum shows: its analysis, claims, and the package that is handed on.

Here: the nodes above those runs. Not here: comparisons and claims (science), the runs (assets.impact).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from squiggle_assets.assets import analysis, evidence
from squiggle_assets.assets.node import Input, Node, Out, Scope, in_wave
from squiggle_assets.science.spec import Study
from squiggle_assets.science.waves import CONFIRMATION

MAX_RESIDUAL = 1e-6
"""Draws by which the expected exposures of cores of one weight may differ: rounding."""


def _conclusions(
    step: Any,
    status: pl.DataFrame,
    exposure: pl.DataFrame,
    geometry: pl.DataFrame,
    manifest: pl.DataFrame,
    scalars: pl.DataFrame,
    consensus_events: pl.DataFrame,
    null_draws: pl.DataFrame,
    ledger: pl.LazyFrame,
    fresh_ledger: pl.LazyFrame,
) -> Mapping[str, pl.DataFrame]:
    # The ledgers are not read: they are inputs so that a leak, which fails their blocking checks, stops every claim.
    from squiggle_assets.science.impact_claims import impact_result

    scope, version = step.scope, analysis.analysis_of(step.scope)
    step.facts["max_exposure_residual"] = _residual(scope.study, exposure)
    found = impact_result(
        scope.study,
        status.row(0, named=True),
        geometry=geometry,
        manifest=manifest,
        scalars=scalars,
        consensus_events=consensus_events,
        null_draws=null_draws,
        num_seeds=scope.study.num_seeds(scope.profile),
        analysis_id=version,
        scale=evidence.scale_of(scope),
    )
    keys = (pl.lit(scope.study.name).alias("study"), pl.lit(version).alias("analysis_id"))
    return {"impact_effects": found.effects.select(*keys, pl.all()), "claims": found.claims}


def _residual(study: Study, exposure: pl.DataFrame) -> float:
    """Largest difference in expected draws between the cores of one weight; RuntimeError where it is no rounding."""
    from squiggle_assets.science.impact_arms import trios_of
    from squiggle_assets.science.impact_template import exposure_residual

    there = set(exposure["arm"])
    trios = [trio.cores for trio in trios_of(study) if trio.impact in there]
    largest = max((exposure_residual(exposure, arms) for arms in trios), default=0.0)
    if largest > MAX_RESIDUAL:
        raise RuntimeError(f"cores of one weight expect draws that differ by {largest:.3g}: they are no equal exposure")
    return largest


def _params(scope: Scope) -> Any:
    study = scope.study
    sizes = [study.fresh_seeds, scope.study.num_seeds(scope.profile), evidence.scale_of(scope)]
    return [study.name, study.followups, study.detection, study.consensus, analysis.analysis_of(scope), sizes]


def _package(
    step: Any,
    pool: pl.DataFrame,
    core: pl.DataFrame,
    status: pl.DataFrame,
    curriculum: pl.DataFrame,
    exposure: pl.DataFrame,
    effects: pl.DataFrame,
    claims: pl.DataFrame,
) -> Mapping[str, Any]:
    from squiggle_assets.schemas.handles import HandleDraft
    from squiggle_assets.science.impact_package import package_files, package_manifest

    study, num = step.scope.study, step.scope.study.num_seeds(step.scope.profile)
    files = package_files(
        cores=core,
        pool=pool,
        followups=study.followups,
        curricula=curriculum,
        exposure=exposure,
        claims=claims,
        effects=effects,
    )
    about = status.row(0, named=True)
    manifest = package_manifest(
        files,
        status=about,
        cores=core,
        pool=pool,
        claims=claims,
        curricula=curriculum,
        seeds={"discovery": study.seeds[:num], "confirmation": study.fresh_seeds[:num]},
        inputs=step.identity.inputs,
    )
    draft = HandleDraft(files=files, documents={"package.json": manifest}, meta={"status": about["status"]})
    return {"impact_package": draft}


def _analysed(study: Study) -> tuple[Node, ...]:
    """Geometry, events, consensus and the ledger of the wave; the discovery's placebo arm judges its events too.

    Its runs have other seeds, so that no run is its own baseline.
    """
    of_evidence = {node.name: node for node in evidence.nodes()}
    consensus = replace(of_evidence["consensus"], figures=None)
    own = in_wave(
        (analysis.geometry_node(), analysis.events_node(study), consensus, of_evidence["usage_ledger"]), CONFIRMATION
    )
    return tuple(replace(node, inputs={arg: _of_wave(entry) for arg, entry in node.inputs.items()}) for node in own)


_MADE_BY_RUNS = ("captures", "run_manifest", "sample_trace")


def _of_wave(entry: Input) -> Input:
    return replace(entry, asset=f"{CONFIRMATION}/{entry.asset}") if entry.asset in _MADE_BY_RUNS else entry


def _in(name: str) -> Input:
    return Input(asset=f"{CONFIRMATION}/{name}", load="frame")


def nodes(study: Study) -> tuple[Node, ...]:
    """Analysis of the confirmation wave, conclusions and the package."""
    return (
        *_analysed(study),
        Node(
            name="impact_conclusions",
            grain="study",
            inputs={
                "status": Input(asset="impact_status", load="frame"),
                "exposure": _in("expected_exposure"),
                "geometry": _in("geometry"),
                "manifest": _in("run_manifest"),
                "scalars": _in("scalars"),
                "consensus_events": _in("consensus_events"),
                "null_draws": _in("null_draws"),
                "ledger": Input(asset="usage_ledger"),
                "fresh_ledger": Input(asset=f"{CONFIRMATION}/usage_ledger"),
            },
            outs=(
                Out(name="impact_effects", description="Every pair of confirmation arms on every outcome."),
                Out(
                    name="claims",
                    description="Does starting from the core bring more events, or better learning, than other cores?",
                ),
            ),
            params=_params,
            compute=_conclusions,
            figures=evidence.claims_figures,
        ),
        Node(
            name="impact_package",
            grain="study",
            inputs={
                "pool": Input(asset="candidate_pool", load="frame"),
                "core": Input(asset="impact_core", load="frame"),
                "status": Input(asset="impact_status", load="frame"),
                "curriculum": _in("curriculum"),
                "exposure": _in("expected_exposure"),
                "effects": Input(asset="impact_effects", load="frame"),
                "claims": Input(asset="claims", load="frame"),
            },
            outs=(
                Out(
                    name="impact_package",
                    kind="handle",
                    description="impact_core.jsonl, impact_ramp.yaml, exposure, controls, claims, package.json.",
                ),
            ),
            params=lambda scope: [
                scope.study.followups,
                scope.study.seeds,
                scope.study.fresh_seeds,
                scope.study.num_seeds(scope.profile),
            ],
            compute=_package,
        ),
    )
