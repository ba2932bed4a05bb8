"""Reports as handles: Markdown, a self-contained page and plots, for a study and for a single run.

Here: the report nodes. Not here: what they say or look like (squiggle_assets.report).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from squiggle_assets.assets.node import Input, Node, Out, Scope

_STUDY = (
    "claims",
    "arm_outcomes",
    "consensus_events",
    "null_draws",
    "invariance",
    "events",
    "geometry",
    "scalars",
    "run_manifest",
    "curriculum",
    "minimum_detectable",
)
_TRIGGERS = (
    "claims",
    "followup_design",
    "minimum_lift",
    "trigger_status",
    "trigger_attribution",
    "followup/selection",
    "counterfactual_runs",
    "counterfactual_effects",
    "confirmed_effects",
)
_RUN = (
    "run_manifest",
    "scalars",
    "milestones",
    "controller_decisions",
    "geometry",
    "events",
    "detection_summary",
    "curriculum",
)


def _made(step: Any) -> dict[str, Any]:
    from squiggle_assets.assets.identity import git_state

    commit, dirty = git_state()
    return {
        "profile": step.scope.profile.name,
        "object": step.identity.object_id,
        "code version of the report": step.identity.code_version,
        "git commit": f"{commit or 'unknown'}{' with uncommitted changes' if dirty else ''}",
        "inputs": dict(step.identity.inputs),
    }


def _params(scope: Scope) -> Any:
    from squiggle_assets.report.document import template_digest

    return [scope.study, scope.profile, template_digest()]


def _figures(outputs: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    from squiggle_assets.report.document import plots_markdown

    (draft,) = outputs.values()
    return plots_markdown(draft)


def _study_report(step: Any, **frames: Any) -> Mapping[str, Any]:
    from squiggle_assets.report.study_report import study_report

    return {"report": study_report(step.scope.study, step.scope.profile, made=_made(step), **frames)}


def _run_report(step: Any, **frames: Any) -> Mapping[str, Any]:
    from squiggle_assets.report.run_report import run_report

    return {"run_report": run_report(step.scope.study, step.scope.profile, made=_made(step), **frames)}


def _trigger_report(step: Any, **frames: Any) -> Mapping[str, Any]:
    from squiggle_assets.report.trigger_report import trigger_report

    return {"report": trigger_report(step.scope.study, step.scope.profile, made=_made(step), **frames)}


def trigger_report_node() -> Node:
    """The report of a study that follows its triggers up."""
    return Node(
        name="report",
        grain="study",
        inputs={name.rpartition("/")[2]: Input(asset=name) for name in _TRIGGERS},
        outs=(Out(name="report", kind="handle", description="The study as Markdown, page and plots.", tags=("html",)),),
        params=_params,
        compute=_trigger_report,
        figures=_figures,
    )


def nodes() -> tuple[Node, ...]:
    """The study's report, and on demand the report of a run."""
    return (
        Node(
            name="report",
            grain="study",
            inputs={name: Input(asset=name) for name in _STUDY},
            outs=(
                Out(name="report", kind="handle", description="The study as Markdown, page and plots.", tags=("html",)),
            ),
            params=_params,
            compute=_study_report,
            figures=_figures,
        ),
        Node(
            name="run_report",
            grain="run",
            exclude_by_default=True,
            inputs={name: Input(asset=name) for name in _RUN},
            outs=(Out(name="run_report", kind="handle", description="One run: losses, geometry, events, account."),),
            params=_params,
            compute=_run_report,
            figures=_figures,
        ),
    )
