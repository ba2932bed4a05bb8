"""What studies of a kind of their own share: their claims are one table with the others, their tables name the study.

Here: outcomes, pairing draws and claims together with one more family, key columns. Not here: any claim (science).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets import checks
from squiggle_assets.assets.analysis import analysis_of
from squiggle_assets.assets.evidence import planted_steps, scale_of
from squiggle_assets.assets.node import Input, Node, Out, Scope
from squiggle_assets.schemas.base import Table, dtypes

if TYPE_CHECKING:
    from squiggle_assets.science.claim_kinds import Claim

_EVIDENCE = ("geometry", "scalars", "consensus_events", "null_draws")


def of_study(table: pl.DataFrame, model: type[Table], scope: Scope) -> pl.DataFrame:
    """The table with the columns study, analysis_id and probe_set, in the model's order."""
    keys = {
        "study": scope.study.name,
        "analysis_id": analysis_of(scope),
        "probe_set": scope.study.consensus.probe_set,
    }
    return table.with_columns(pl.lit(value).alias(name) for name, value in keys.items()).select(*dtypes(model))


def concluded(step: Any, family: Sequence[Claim], **tables: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    """The study's outcomes, pairing draws and claims, those of the family after the others.

    Args:
        step: the step of the node.
        family: claims that are corrected together.
        tables: geometry, scalars, consensus_events, null_draws and manifest of all arms.
    """
    from squiggle_assets.science.claim_rows import claim_rows
    from squiggle_assets.science.claims import is_preregistered, study_result
    from squiggle_assets.science.exclusions import stopped_seeds

    study, manifest = step.scope.study, tables["manifest"]
    shared: dict[str, Any] = {
        "analysis_id": analysis_of(step.scope),
        "scale": scale_of(step.scope),
        "preregistered": is_preregistered(study, manifest, step.scope.study.num_seeds(step.scope.profile)),
    }
    found = study_result(study, **{**tables, **shared}, planted_steps=planted_steps(step.scope))
    own = claim_rows(study, [family], stopped=stopped_seeds(manifest), **shared)
    return {**found._asdict(), "claims": pl.concat([found.claims, own])}


def _params(scope: Scope) -> Any:
    return [scope.study, scope.study.num_seeds(scope.profile), planted_steps(scope), scale_of(scope)]


def _figures(outputs: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    from squiggle_assets.report.study_figures import claims_figure_markdown

    counts = outputs["claims"]["verdict"].value_counts().rows()
    figures: dict[str, Any] = {f"num_{verdict.replace(' ', '_')}": num for verdict, num in sorted(counts)}
    return {**figures, "claims_plot": claims_figure_markdown(outputs["claims"])}


def conclusions_node(compute: Callable[..., Mapping[str, Any]], **inputs: Input) -> Node:
    """The conclusions of a study; compute: (step, ledger, evidence tables, manifest, and what `inputs` names)."""
    evidence = {name: Input(asset=name, load="frame") for name in _EVIDENCE}
    return Node(
        name="conclusions",
        grain="study",
        inputs={
            **evidence,
            "manifest": Input(asset="run_manifest", load="frame"),
            "ledger": Input(asset="usage_ledger"),
            **inputs,
        },
        outs=(
            Out(
                name="pairing_draws", description="Groups of runs from different arms: how much they agree, every draw."
            ),
            Out(name="arm_outcomes", description="Every outcome of every arm beside its null, with an interval."),
            Out(
                name="claims",
                description="What the study set out to show: estimate, null, control, interval, q, verdict.",
                checks=(("controls_tested", True, checks.controls_tested),),
            ),
        ),
        params=_params,
        compute=compute,
        figures=_figures,
    )
