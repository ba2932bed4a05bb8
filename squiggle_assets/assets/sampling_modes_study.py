"""The graph of a study of sampling modes: discovery and triggers as in a curriculum study, persistence, claims.

Here: its nodes that no other study has. Not here: persistence, claims (science).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets.assets import analysis, attribution, curricula, evidence, overlap, reports, runs
from squiggle_assets.assets.analysis import analysis_of
from squiggle_assets.assets.attribution import significant
from squiggle_assets.assets.node import Input, Node, Out, Scope
from squiggle_assets.assets.study_claims import concluded, conclusions_node, of_study
from squiggle_assets.science.spec import Study

if TYPE_CHECKING:
    from squiggle_assets.schemas.handles import Handle


def _modes(
    step: Any,
    pool: pl.DataFrame,
    split: pl.DataFrame,
    base: Handle,
    events: pl.DataFrame,
    trace: pl.DataFrame,
    manifest: pl.DataFrame,
) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.schemas.base import empty
    from squiggle_assets.schemas.experiments import TriggerModes, TriggerPersistence
    from squiggle_assets.science.exclusions import without_stopped
    from squiggle_assets.science.mode_claims import modes_of
    from squiggle_assets.science.mode_halves import ModeRuns
    from squiggle_assets.science.mode_heterogeneity import trigger_modes

    scope = step.scope
    study, whole, chosen = scope.study, without_stopped(trace, manifest), significant(events, scope)
    policies = overlap.policies_of(scope, pool, split, base)
    modes = [
        ModeRuns(
            mode=name,
            events=chosen.filter(pl.col("arm") == name),
            traces=whole.filter(pl.col("arm") == name),
            policy=policies[name],
        )
        for name in modes_of(study)
        if name in set(whole["arm"])
    ]
    step.facts["num_modes"] = len(modes)
    if len(modes) < 2:
        return {"trigger_modes": empty(TriggerModes), "trigger_persistence": empty(TriggerPersistence)}
    found = trigger_modes(modes, study.triggers)
    step.facts.update({f"num_{name}": num for name, num in found.items["mode_class"].value_counts().iter_rows()})
    return {
        "trigger_modes": of_study(found.items, TriggerModes, scope),
        "trigger_persistence": of_study(found.persistence, TriggerPersistence, scope),
    }


def _conclusions(
    step: Any, persistence: pl.DataFrame, ledger: pl.LazyFrame, **tables: pl.DataFrame
) -> Mapping[str, Any]:
    # The ledger is not read: it is an input so that a leak, which fails its blocking check, stops every claim.
    from squiggle_assets.science.mode_claims import mode_claims

    return concluded(step, mode_claims(step.scope.study, persistence), **tables)


def _params(scope: Scope) -> Any:
    study = scope.study
    roles = [[arm.name, arm.role] for arm in study.arms]
    return [study.name, roles, study.consensus, study.triggers, analysis_of(scope), overlap.policy_params(scope)]


def _modes_node() -> Node:
    return Node(
        name="modes",
        grain="study",
        inputs={
            **overlap.policy_inputs(),
            "events": Input(asset="consensus_events", load="frame"),
            "trace": Input(asset="sample_trace", load="frame"),
            "manifest": Input(asset="run_manifest", load="frame"),
        },
        outs=(
            Out(name="trigger_modes", description="Every trigger's lift under every sampling mode, and its class."),
            Out(name="trigger_persistence", description="How the triggers found under a mode do under the others."),
        ),
        params=_params,
        compute=_modes,
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
        _modes_node(),
        conclusions_node(_conclusions, persistence=Input(asset="trigger_persistence", load="frame")),
        *reports.modes_nodes(),
    )
