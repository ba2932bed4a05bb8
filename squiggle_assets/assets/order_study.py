"""The graph of a study of order: discovery and triggers as in a curriculum study, effects by introduction, claims.

Here: its nodes that no other study has. Not here: effects, slopes, claims (science).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets.assets import analysis, attribution, curricula, evidence, overlap, reports, runs
from squiggle_assets.assets.analysis import analysis_of
from squiggle_assets.assets.attribution import series_of_arm
from squiggle_assets.assets.node import Input, Node, Out, Scope
from squiggle_assets.assets.study_claims import concluded, conclusions_node, of_study
from squiggle_assets.science.spec import Study

if TYPE_CHECKING:
    from squiggle_assets.schemas.handles import Handle
    from squiggle_assets.science.order_design import ArmRuns


def _runs(
    scope: Scope,
    policies: Mapping[str, Any],
    geometry: pl.DataFrame,
    trace: pl.DataFrame,
    manifest: pl.DataFrame,
) -> dict[str, ArmRuns]:
    """By arm, those with at least two whole runs."""
    from squiggle_assets.science.exclusions import without_stopped
    from squiggle_assets.science.order_design import ArmRuns

    found, whole = {}, without_stopped(trace, manifest)
    for name, policy in policies.items():
        own = [table.filter(pl.col("arm") == name) for table in (geometry, manifest, whole)]
        if own[2]["seed"].n_unique() > 1:
            series = series_of_arm(own[0], own[1], scope)
            found[name] = ArmRuns(arm=name, series=series, traces=own[2], policy=policy)
    return found


def _order(
    step: Any,
    pool: pl.DataFrame,
    split: pl.DataFrame,
    base: Handle,
    geometry: pl.DataFrame,
    trace: pl.DataFrame,
    manifest: pl.DataFrame,
) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.schemas.base import empty
    from squiggle_assets.schemas.experiments import OrderSensitivity, OrderSlopes
    from squiggle_assets.science.order_claims import reference_of
    from squiggle_assets.science.order_sensitivity import order_tables

    scope = step.scope
    study = scope.study
    runs_of = _runs(scope, overlap.policies_of(scope, pool, split, base), geometry, trace, manifest)
    arms = [runs_of[arm.name] for arm in study.arms if arm.role == "treatment" and arm.name in runs_of]
    pair = (study.only("placebo").name, reference_of(study))
    control = (runs_of[pair[0]], runs_of[pair[1]]) if set(pair) <= set(runs_of) else None
    seeds = [set(runs.series.seeds) for runs in (*arms, *(control or ()))]
    step.facts.update(num_arms=len(arms), has_placebo=control is not None)
    if len(arms) < 2 or len(set.intersection(*seeds)) < 2:
        return {"order_sensitivity": empty(OrderSensitivity), "order_slopes": empty(OrderSlopes)}
    found = order_tables(arms, control)
    sensitive = found.units.filter("order_sensitive").unique(("grain", "family_id", "item_id"))
    for grain in ("family", "item", "group"):
        step.facts[f"num_order_sensitive_{grain}"] = sensitive.filter(pl.col("grain") == grain).height
    return {
        "order_sensitivity": of_study(found.units, OrderSensitivity, scope),
        "order_slopes": of_study(found.slopes, OrderSlopes, scope),
    }


def _conclusions(step: Any, slopes: pl.DataFrame, ledger: pl.LazyFrame, **tables: pl.DataFrame) -> Mapping[str, Any]:
    # The ledger is not read: it is an input so that a leak, which fails its blocking check, stops every claim.
    from squiggle_assets.science.order_claims import order_claims

    return concluded(step, order_claims(step.scope.study, slopes), **tables)


def _params(scope: Scope) -> Any:
    study = scope.study
    roles = [[arm.name, arm.role] for arm in study.arms]
    return [study.name, roles, study.detection, study.consensus, analysis_of(scope), overlap.policy_params(scope)]


def _order_node() -> Node:
    return Node(
        name="order",
        grain="study",
        inputs={
            **overlap.policy_inputs(),
            "geometry": Input(asset="geometry", load="frame"),
            "trace": Input(asset="sample_trace", load="frame"),
            "manifest": Input(asset="run_manifest", load="frame"),
        },
        outs=(
            Out(name="order_sensitivity", description="What families and items do, by when they were introduced."),
            Out(name="order_slopes", description="Pairs of arms: do families that came later act otherwise?"),
        ),
        params=_params,
        compute=_order,
    )


def nodes(study: Study) -> tuple[Node, ...]:
    """All nodes of a study's own."""
    discovery = [node for node in evidence.nodes() if node.name != "conclusions"]
    return (
        *curricula.nodes(),
        *runs.nodes(),
        *analysis.nodes(study),
        *discovery,
        *attribution.nodes(),
        *overlap.nodes(),
        _order_node(),
        conclusions_node(_conclusions, slopes=Input(asset="order_slopes", load="frame")),
        *reports.order_nodes(),
    )
