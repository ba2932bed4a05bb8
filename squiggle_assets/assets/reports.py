"""Reports as handles: Markdown, a self-contained page and plots, for a study and for a single run.

Here: the report nodes. Not here: what they say or look like (squiggle_assets.report).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
_ORDER = ("order_sensitivity", "order_slopes")
_MODES = ("trigger_modes", "trigger_persistence")
_CALIBRATION = ("calibration", "aa_simulated", "aa_resplits", "trigger_recall", "lds", "subset_outcomes")
_IMPACT = (
    "claims",
    "impact_design",
    "impact_status",
    "impact_core",
    "impact_effects",
    "confirmation/expected_exposure",
    "confirmation/run_manifest",
)
_PROBES = ("claims", "probe_tests", "probe_draws", "probe_summaries", "run_manifest")
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


def _order_report(step: Any, order_sensitivity: Any, order_slopes: Any, **frames: Any) -> Mapping[str, Any]:
    from squiggle_assets.report.chapters_order import order_chapters

    return _study_report(step, chapters=order_chapters(order_sensitivity, order_slopes), **frames)


def _modes_report(step: Any, trigger_modes: Any, trigger_persistence: Any, **frames: Any) -> Mapping[str, Any]:
    from squiggle_assets.report.chapters_modes import modes_chapters

    return _study_report(step, chapters=modes_chapters(trigger_modes, trigger_persistence), **frames)


def _calibration_report(step: Any, **frames: Any) -> Mapping[str, Any]:
    from squiggle_assets.report.chapters_calibration import calibration_chapters

    own = {name: frames.pop(name) for name in _CALIBRATION}
    return _study_report(step, chapters=calibration_chapters(step.scope.study, **own), **frames)


def _trigger_report(step: Any, **frames: Any) -> Mapping[str, Any]:
    from squiggle_assets.report.trigger_report import trigger_report

    return {"report": trigger_report(step.scope.study, step.scope.profile, made=_made(step), **frames)}


def _impact_report(step: Any, **frames: Any) -> Mapping[str, Any]:
    from squiggle_assets.report.impact_report import impact_report

    return {"report": impact_report(step.scope.study, step.scope.profile, made=_made(step), **frames)}


def _probe_report(step: Any, **frames: Any) -> Mapping[str, Any]:
    from squiggle_assets.report.probe_report import probe_report

    return {"report": probe_report(step.scope.study, step.scope.profile, made=_made(step), **frames)}


def _report_node(compute: Callable[..., Mapping[str, Any]], *tables: str) -> Node:
    """The report of a study from these tables; each is handed over by what stands behind its wave."""
    return Node(
        name="report",
        grain="study",
        inputs={name.rpartition("/")[2]: Input(asset=name) for name in tables},
        outs=(Out(name="report", kind="handle", description="The study as Markdown, page and plots.", tags=("html",)),),
        params=_params,
        compute=compute,
        figures=_figures,
    )


def trigger_report_node() -> Node:
    """The report of a study that follows its triggers up."""
    return _report_node(_trigger_report, *_TRIGGERS)


def impact_report_node() -> Node:
    """The report of a study that builds a curriculum from what it found."""
    return _report_node(_impact_report, *_IMPACT)


def probe_report_node() -> Node:
    """The report of a probe study."""
    return _report_node(_probe_report, *_PROBES)


def order_nodes() -> tuple[Node, ...]:
    """As nodes(), with a chapter about order."""
    return _report_node(_order_report, *_STUDY, *_ORDER), _run_report_node()


def modes_nodes() -> tuple[Node, ...]:
    """As nodes(), with a chapter about sampling modes."""
    return _report_node(_modes_report, *_STUDY, *_MODES), _run_report_node()


def calibration_nodes() -> tuple[Node, ...]:
    """As nodes(), with chapters about the platform's checks."""
    return _report_node(_calibration_report, *_STUDY, *_CALIBRATION), _run_report_node()


def nodes() -> tuple[Node, ...]:
    """The study's report, and on demand the report of a run."""
    return _report_node(_study_report, *_STUDY), _run_report_node()


def _run_report_node() -> Node:
    return Node(
        name="run_report",
        grain="run",
        exclude_by_default=True,
        inputs={name: Input(asset=name) for name in _RUN},
        outs=(Out(name="run_report", kind="handle", description="One run: losses, geometry, events, account."),),
        params=_params,
        compute=_run_report,
        figures=_figures,
    )
