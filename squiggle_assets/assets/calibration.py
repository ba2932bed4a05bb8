"""The nodes of a calibration study above its runs: A/A, known triggers, what all of it says.

Here: inputs to science and back. Not here: any statistic (science), sizes and bounds (the study's calibration), runs on
subsets of the items (assets.subset_runs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets.assets import evidence
from squiggle_assets.assets.analysis import analysis_of
from squiggle_assets.assets.attribution import series_of_arm
from squiggle_assets.assets.node import Input, Node, Out, Scope

if TYPE_CHECKING:
    from squiggle_assets.science.spec import ConsensusSpec


def _study(scope: Scope) -> Any:
    """A CalibrationStudy. The class is not named here: sizes enter an identity by what reads them."""
    return scope.study


def _consensus(scope: Scope) -> ConsensusSpec:
    """The study's test with the null draws of halves."""
    return replace(scope.study.consensus, draws_per_cell=_study(scope).calibration.draws_per_cell)


# ---- A/A


def _aa_simulated(step: Any) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.calibration import AASimulated
    from squiggle_assets.science.aa_test import simulated_rows

    spec, consensus, rows = step.scope.study.calibration, _consensus(step.scope), []
    total = len(spec.scenarios) * spec.num_studies
    for scenario in spec.scenarios:
        for row in simulated_rows(scenario, consensus, range(spec.num_studies), step.scope.study.detection):
            rows.append(row)
            step.progress(len(rows), total, scenario.name)
    return {"aa_simulated": frame(AASimulated, rows)}


def _aa_params(scope: Scope) -> Any:
    spec = _study(scope).calibration
    return [spec.scenarios, spec.num_studies, _consensus(scope), scope.study.detection]


def _aa_resplits(step: Any, geometry: pl.DataFrame, manifest: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.schemas.base import empty
    from squiggle_assets.schemas.calibration import AAResplits
    from squiggle_assets.science.aa_test import MIN_SIDE, resplits
    from squiggle_assets.science.calibration import side_of

    scope, whole = step.scope, int((~manifest["stopped_early"]).sum())
    side = side_of(whole, _study(scope).calibration)
    if side < MIN_SIDE:
        return {"aa_resplits": empty(AAResplits)}
    found = resplits(
        series_of_arm(geometry, manifest, scope),
        scope.study.detection,
        _consensus(scope),
        per_side=side,
        num_splits=_study(scope).calibration.num_splits,
        key=scope.arm,
    )
    return {"aa_resplits": found.select(pl.lit(scope.arm).alias("arm"), pl.all())}


def _resplit_params(scope: Scope) -> Any:
    spec = _study(scope).calibration
    return [spec.per_side, spec.num_splits, _consensus(scope), scope.study.detection]


# ---- known triggers in simulated arms


def _trigger_recall(step: Any) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.science.trigger_curve import curve_row, curve_table

    study, rows = step.scope.study, []
    for extra in study.calibration.extras:
        rows.append(curve_row(study.calibration, extra, study.triggers))
        step.progress(len(rows), len(study.calibration.extras), f"effect {extra:g}")
    return {"trigger_recall": curve_table(rows)}


def _recall_params(scope: Scope) -> Any:
    from squiggle_assets.science.curriculum import load_preset

    spec = _study(scope).calibration
    preset = load_preset(spec.triggers.preset).yaml_sha256
    return [spec.triggers, preset, spec.extras, spec.trigger_studies, scope.study.triggers]


# ---- what all of it says


def _conclusions(
    step: Any,
    geometry: pl.DataFrame,
    manifest: pl.DataFrame,
    scalars: pl.DataFrame,
    consensus_events: pl.DataFrame,
    null_draws: pl.DataFrame,
    ledger: pl.LazyFrame,
    simulated: pl.DataFrame,
    resplits: pl.DataFrame,
    recall: pl.DataFrame,
    lds: pl.DataFrame,
    outcomes: pl.DataFrame,
) -> Mapping[str, pl.DataFrame]:
    # The ledger is not read: it is an input so that a leak, which fails its blocking check, stops every claim.
    from squiggle_assets.science import calibration
    from squiggle_assets.science.claim_rows import claim_rows
    from squiggle_assets.science.claims import is_preregistered, study_result
    from squiggle_assets.science.exclusions import stopped_seeds
    from squiggle_assets.science.subset_lds import distinct_seeds

    scope, study = step.scope, step.scope.study
    about: dict[str, Any] = {
        "preregistered": is_preregistered(study, manifest, scope.study.num_seeds(scope.profile)),
        "scale": evidence.scale_of(scope),
        "analysis_id": analysis_of(scope),
    }
    found = study_result(
        study, geometry=geometry, manifest=manifest, scalars=scalars, consensus_events=consensus_events,
        null_draws=null_draws, planted_steps=evidence.planted_steps(scope), **about,
    )  # fmt: skip
    arms = outcomes["arm"].unique().sort().to_list()
    claim = calibration.lds_claim(lds, study.only("planted").name, distinct_seeds(outcomes), arms)
    enough = about["preregistered"] and calibration.enough_subsets(lds, study.calibration)
    stopped = {**stopped_seeds(manifest), **stopped_seeds(outcomes)}
    more = claim_rows(study, [[claim]], stopped=stopped, **{**about, "preregistered": enough})
    claims = pl.concat([found.claims, more])
    whole = manifest.filter(~pl.col("stopped_early"))
    num_runs = {arm.name: whole.filter(pl.col("arm") == arm.name).height for arm in study.arms}
    rows = [
        *calibration.aa_rows(simulated, study.calibration),
        *calibration.resplit_rows(resplits, num_runs, study.calibration),
        *calibration.trigger_rows(recall, study.calibration),
        *calibration.planted_rows(study, claims),
        *calibration.lds_check_rows(lds, claims, study.calibration),
    ]
    table = calibration.calibration_table(rows, study.name)
    return {**found._asdict(), "claims": claims, "calibration": table}


def _conclusion_figures(outputs: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    held = outputs["calibration"]["passed"]
    return {"num_checks_passed": int((held.fill_null(False)).sum()), "num_checks_failed": int((~held).sum() or 0)}


def _conclusions_node() -> Node:
    """The study's conclusions, its claims about attribution and the table of all checks."""
    usual = next(node for node in evidence.nodes() if node.name == "conclusions")
    more = {
        "simulated": Input(asset="aa_simulated", load="frame"),
        "resplits": Input(asset="aa_resplits", load="frame"),
        "recall": Input(asset="trigger_recall", load="frame"),
        "lds": Input(asset="lds", load="frame"),
        "outcomes": Input(asset="subset_outcomes", load="frame"),
    }
    table = Out(name="calibration", description="Every check of the platform: what came out and what had to.")
    return replace(
        usual,
        inputs={**usual.inputs, **more},
        outs=(*usual.outs, table),
        compute=_conclusions,
        figures=_conclusion_figures,
    )


def nodes() -> tuple[Node, ...]:
    """A/A simulated and over real runs, the trigger curve, conclusions."""
    return (
        Node(
            name="aa_simulated",
            grain="study",
            outs=(Out(name="aa_simulated", description="Halves of simulated arms, called different or not."),),
            params=_aa_params,
            compute=_aa_simulated,
        ),
        Node(
            name="trigger_recall",
            grain="study",
            outs=(Out(name="trigger_recall", description="What attribution finds of known triggers, by their size."),),
            params=_recall_params,
            compute=_trigger_recall,
        ),
        Node(
            name="aa_resplits",
            grain="arm",
            inputs={
                "geometry": Input(asset="geometry", load="frame"),
                "manifest": Input(asset="run_manifest", load="frame"),
            },
            outs=(Out(name="aa_resplits", description="Halves of an arm's real runs, called different or not."),),
            params=_resplit_params,
            compute=_aa_resplits,
        ),
        _conclusions_node(),
    )
