"""From captures to events: geometry, dynamics, baselines, detection; one run at a time.

Here: the nodes of one run's analysis. Not here: agreement across seeds (assets.evidence), any formula (science).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets import checks
from squiggle_assets.assets.node import Input, Node, Out, Scope
from squiggle_assets.science.spec import Study

if TYPE_CHECKING:
    from squiggle_assets.schemas.handles import Handle


MIN_CAPTURES = 3
"""Fewer have no increment with a neighbour, so no change to detect."""


def analysis_of(scope: Scope) -> str:
    """The id of the study's interpretation of its runs: parameters and code of detection and consensus."""
    from squiggle_assets.science.events import analysis_id

    return analysis_id(scope.study.detection, scope.study.consensus)


def _geometry(step: Any, captures: Handle) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.science.geometry import geometry_of

    scope = step.scope
    if "probe_set_sha256" not in captures.meta:
        return _nothing("geometry")
    frame = geometry_of(
        captures.steps(),
        arm=scope.arm,
        seed=scope.seed,
        run_id=captures.path.parent.name,
        probe_set_sha256=captures.meta["probe_set_sha256"],
    )
    return {"geometry": frame}


def _nothing(*names: str) -> Mapping[str, pl.DataFrame]:
    """Empty tables: of a run that was stopped before anything could change between its captures, or not made at all."""
    from squiggle_assets.schemas.base import empty
    from squiggle_assets.schemas.tables import TABLES

    return {name: empty(TABLES[name]) for name in names}


def _too_short(geometry: pl.DataFrame, manifest: pl.DataFrame) -> bool:
    """Whether a run was stopped before anything could change between its captures, or was not made at all."""
    return manifest.is_empty() or (bool(manifest["stopped_early"][0]) and geometry["step"].n_unique() < MIN_CAPTURES)


def _dynamics(step: Any, geometry: pl.DataFrame, manifest: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.science.dynamics import dynamics_of

    return _nothing("dynamics") if _too_short(geometry, manifest) else {"dynamics": dynamics_of(geometry)}


def _baselines(step: Any, geometry: pl.DataFrame, manifest: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.science.baselines import baselines_of
    from squiggle_assets.science.exclusions import without_stopped

    whole = without_stopped(geometry, manifest)
    if whole.is_empty():
        return _nothing("baselines")
    return {"baselines": baselines_of(whole.partition_by("run_id"), step.scope.study.detection)}


def _events(
    step: Any, geometry: pl.DataFrame, manifest: pl.DataFrame, baselines: pl.DataFrame
) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.science.accounts import candidates_of, detection_of, summary_of
    from squiggle_assets.science.events import events_of

    if _too_short(geometry, manifest):
        return _nothing("events", "detection_candidates", "detection_summary")
    study, version = step.scope.study, analysis_of(step.scope)
    found = detection_of(geometry, study.detection, manifest["warmup_end"][0])
    return {
        "events": events_of(found, baselines, study.detection, version),
        "detection_candidates": candidates_of(found, version),
        "detection_summary": summary_of(found, version),
    }


def geometry_node() -> Node:
    """State descriptors of one run's captures."""
    return Node(
        name="geometry",
        grain="run",
        inputs={"captures": Input(asset="captures", load="handle")},
        outs=(Out(name="geometry", description="State descriptors (layer A) of every capture, layer and probe set."),),
        compute=_geometry,
    )


def events_node(study: Study) -> Node:
    """Change points of one run; the placebo arm's baselines judge all arms."""
    return Node(
        name="events",
        grain="run",
        inputs={
            "geometry": Input(asset="geometry", load="frame"),
            "manifest": Input(asset="run_manifest", load="frame"),
            "baselines": Input(asset="baselines", load="frame", arm=study.only("placebo").name),
        },
        outs=(
            Out(name="events", description="Change points of one run and their scores, parts kept apart."),
            Out(name="detection_candidates", description="Every point above its threshold and what became of it."),
            Out(
                name="detection_summary",
                description="The account of every series: selected + skipped = candidates.",
                checks=(("accounted", True, checks.accounted),),
            ),
        ),
        params=lambda scope: [scope.study.detection, analysis_of(scope)],
        compute=_events,
    )


def nodes(study: Study) -> tuple[Node, ...]:
    """Geometry, dynamics, baselines and events; the placebo arm's baselines judge all arms."""
    return (
        geometry_node(),
        Node(
            name="dynamics",
            grain="run",
            inputs={
                "geometry": Input(asset="geometry", load="frame"),
                "manifest": Input(asset="run_manifest", load="frame"),
            },
            outs=(Out(name="dynamics", description="How the descriptors change (layer B): velocity, volatility, ..."),),
            compute=_dynamics,
        ),
        Node(
            name="baselines",
            grain="arm",
            inputs={
                "geometry": Input(asset="geometry", load="frame"),
                "manifest": Input(asset="run_manifest", load="frame"),
            },
            outs=(
                Out(name="baselines", description="Usual increments of an arm, over all seeds and without each one."),
            ),
            params=lambda scope: scope.study.detection,
            compute=_baselines,
        ),
        events_node(study),
    )
