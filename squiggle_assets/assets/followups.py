"""The waves after discovery: the frozen selection and the replays of runs with their triggers edited.

Here: selection and replay nodes of the followup and the confirmation wave. Not here: edits and replays themselves
(science), training's inputs and outputs (assets.runs), what replays show (assets.effects).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets.assets import analysis, runs
from squiggle_assets.assets.node import Input, Node, Out, Partition, Scope, in_wave
from squiggle_assets.assets.policies import policy_of
from squiggle_assets.schemas.followup import NO_SELECTION
from squiggle_assets.science.spec import Study
from squiggle_assets.science.waves import CONFIRMATION, FOLLOWUP

if TYPE_CHECKING:
    from io_managers.checkpoints import Past
    from squiggle_assets.schemas.handles import Handle
    from squiggle_assets.science.edits import Intervention
    from squiggle_assets.science.replay import Recorded


PARENT_STOPPED = "parent_stopped"
"""Why a parent that a controller stopped has no replay."""


def _selection(step: Any, items: pl.DataFrame, locations: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    """All triggers of the event with the smallest q that has any, best first, as many as the study allows.

    Not the minimal bundle: the smallest set whose lift holds may be one of many that act together, and taking one of
    them away shows nothing. What smaller sets do is what an arm with a part is for: its best 1/part of them, and no
    selection where that is no item.
    """
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.followup import Selection, no_selection
    from squiggle_assets.science.counterfactuals import location_of, selection_row
    from squiggle_assets.science.triggers import ranked_triggers

    scope = step.scope
    followup = scope.study.followup(scope.arm)
    event = _first_with_triggers(items, locations)
    if event is None:
        return {"selection": no_selection(Selection, arm=scope.arm)}
    triggers = ranked_triggers(items, event["consensus_event_id"]).head(scope.study.triggers.max_items)
    chosen = triggers.head(triggers.height // followup.part)
    if chosen.is_empty():
        return {"selection": no_selection(Selection, arm=scope.arm)}
    row = selection_row(
        arm=scope.arm,
        parent_arm=followup.parent,
        analysis_id=event["analysis_id"],
        consensus_event_id=event["consensus_event_id"],
        location=location_of({**event, "arm": scope.arm}),
        intervention=_intervention(chosen, triggers, scope),
        part=followup.part,
        family_of=dict(chosen.select("item_id", "family_id").iter_rows()),
    )
    return {"selection": frame(Selection, [row])}


def _first_with_triggers(items: pl.DataFrame, locations: pl.DataFrame) -> dict[str, Any] | None:
    """The event with the smallest q that has triggers."""
    having = items.filter("is_trigger").select("consensus_event_id").unique()
    left = locations.join(having, on="consensus_event_id", how="semi")
    return None if left.is_empty() else left.sort("q_value", "consensus_event_id").row(0, named=True)


def _intervention(chosen: pl.DataFrame, triggers: pl.DataFrame, scope: Scope) -> Intervention:
    """Edits of the chosen triggers in the window of all: parts differ in which items are edited and in nothing else."""
    from squiggle_assets.science.edits import Intervention, Window

    followup = scope.study.followup(scope.arm)
    return Intervention(
        condition=followup.condition,
        triggers=tuple(chosen["item_id"]),
        window=Window(int(triggers["window_lo"].min()), int(triggers["window_hi"].max())),  # type: ignore[arg-type]
        scope=scope.study.triggers.edit_scope,
        draw=followup.draw,
    )


def _parent(scope: Scope) -> Scope:
    """The scope of the run that is replayed."""
    return replace(scope, partition=Partition(scope.study.followup(scope.arm).parent, scope.seed))


def _recorded_parent(
    step: Any, pool: pl.DataFrame, split: pl.DataFrame, base: Handle, trace: pl.DataFrame, manifest: pl.DataFrame
) -> Recorded:
    """What the parent drew, by its trace; ValueError where it cannot be replayed any more."""
    from squiggle_assets.science.replay import recorded, refuse_other_origin

    scope, shas = step.scope, step.identity.inputs
    of_parent = json.loads(manifest["spec_json"][0])
    mine = runs.spec_of(scope, shas["candidate_pool"], shas["split"], shas["base_model"], of_parent["curriculum_id"])
    refuse_other_origin({name: of_parent[name] for name in mine}, mine)
    policy = policy_of(_parent(scope), pool, split, base)
    return recorded(policy, trace, seed=scope.seed, curriculum_id=manifest["curriculum_id"][0])


def _recorded_fresh(scope: Scope, pool: pl.DataFrame, split: pl.DataFrame, base: Handle) -> Recorded:
    """What a run of the parent arm with this seed draws: it follows from policy and seed."""
    from squiggle_assets.science.replay import recorded
    from squiggle_assets.science.trace import trace_rows

    policy = policy_of(_parent(scope), pool, split, base)
    trace = trace_rows(policy, scope.seed, range(policy.num_steps), micro_batch=scope.profile.training.micro_batch)
    return recorded(policy, trace, seed=scope.seed, curriculum_id=policy.curriculum_id)


def _replay(
    step: Any,
    pool: pl.DataFrame,
    split: pl.DataFrame,
    base: Handle,
    selection: pl.DataFrame,
    trace: pl.DataFrame,
    manifest: pl.DataFrame,
) -> Mapping[str, Any]:
    if selection["status"][0] == NO_SELECTION:
        return _not_replayed(NO_SELECTION)
    if manifest["stopped_early"][0]:
        # Its trace ends before the budget does. The stopped parent is on record and named in the claims.
        return _not_replayed(PARENT_STOPPED)
    parent = _recorded_parent(step, pool, split, base, trace, manifest)
    return _replayed(step, pool, split, base, selection, parent, FOLLOWUP, manifest["run_id"][0])


def _replay_fresh(
    step: Any, pool: pl.DataFrame, split: pl.DataFrame, base: Handle, selection: pl.DataFrame
) -> Mapping[str, Any]:
    if selection["status"][0] == NO_SELECTION:
        return _not_replayed(NO_SELECTION)
    parent = _recorded_fresh(step.scope, pool, split, base)
    return _replayed(step, pool, split, base, selection, parent, CONFIRMATION, _fresh_parent(step))


def _replayed(
    step: Any,
    pool: pl.DataFrame,
    split: pl.DataFrame,
    base: Handle,
    selection: pl.DataFrame,
    parent: Recorded,
    wave: str,
    parent_run: str | None,
) -> Mapping[str, Any]:
    from squiggle_assets.science.counterfactuals import intervention_of
    from squiggle_assets.science.edits import edits_of
    from squiggle_assets.science.replay import replay_of

    row, scope = selection.row(0, named=True), step.scope
    edits = edits_of(parent, intervention_of(row))
    policy = replay_of(parent, edits)
    past = _past(step, parent_run, policy.first_edit)
    made = runs.trained(step, pool, split, base, policy, captures=f"{wave}/captures", past=past)
    keys = {name: row[name] for name in ("consensus_event_id", "condition", "edit_scope", "draw")}
    spared = step.facts["steps_inherited"] / scope.profile.training.total_steps
    step.facts.update(num_edits=edits.height, share_of_steps_spared=spared)
    return {**made, "replay_edits": _edit_rows(edits, {**keys, "curriculum_id": policy.curriculum_id}, step)}


def _fresh_parent(step: Any) -> str | None:
    """run_id of the exact replay on this fresh seed, if it is there and was made as this one will be."""
    scope, node = step.scope, step.node
    exact = replace(scope.study.followup(scope.arm), condition="exact", draw=0, part=1).name
    if exact == scope.arm:
        return None
    pointer = step.store.pointer(step.graph.path(f"{CONFIRMATION}/run_manifest"), exact, scope.seed)
    if pointer is None or pointer.origin.code_version != node.code_version:
        return None
    shared = {name: sha for name, sha in step.identity.inputs.items() if "selection" not in name}
    alike = all(pointer.origin.inputs.get(name) == sha for name, sha in shared.items())
    return str(pointer.origin.object_id) if alike else None


def _past(step: Any, parent_run: str | None, first_edit: int | None) -> Past | None:
    """The parent's last checkpoint before the first edit."""
    from io_managers.checkpoints import stored_checkpoints
    from squiggle_assets.science.prefix import reusable_checkpoint

    if parent_run is None:
        return None
    there = stored_checkpoints(step.store, parent_run)
    at = reusable_checkpoint(first_edit, there)
    return None if at is None else there[at]


def _edit_rows(edits: pl.DataFrame, keys: Mapping[str, Any], step: Any) -> pl.DataFrame:
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.followup import SELECTED, ReplayEdits

    at = {"arm": step.scope.arm, "seed": step.scope.seed, "status": SELECTED}
    return frame(ReplayEdits, [{**at, **keys, **row} for row in edits.iter_rows(named=True)])


def _not_replayed(why: str) -> Mapping[str, Any]:
    """Typed empty rows and empty handles: there was nothing to edit, or no whole run to replay."""
    from squiggle_assets.schemas.base import empty
    from squiggle_assets.schemas.handles import HandleDraft
    from squiggle_assets.schemas.tables import TABLES

    nothing = HandleDraft(meta={"stop_reason": why})
    tables = ("run_manifest", "scalars", "sample_trace", "replay_edits")
    return {**{name: empty(TABLES[name]) for name in tables}, "adapter": nothing, "captures": nothing}


def _replay_params(scope: Scope) -> Any:
    return [runs.run_params(_parent(scope)), scope.study.followup(scope.arm)]


def _selection_node() -> Node:
    return Node(
        name="followup/selection",
        grain="arm",
        wave=FOLLOWUP,
        inputs={
            "items": Input(asset="trigger_attribution", load="frame"),
            "locations": Input(asset="event_locations", load="frame"),
        },
        outs=(Out(name="followup/selection", description="The frozen choice that an arm's replays go by."),),
        params=lambda scope: [scope.study.followup(scope.arm), scope.study.triggers],
        compute=_selection,
    )


def _replay_node(wave: str) -> Node:
    inputs = {
        "pool": Input(asset="candidate_pool", load="frame"),
        "split": Input(asset="split", load="frame"),
        "base": Input(asset="base_model", load="handle"),
        "selection": Input(asset="followup/selection", load="frame"),
    }
    if wave == FOLLOWUP:
        inputs["trace"] = Input(asset="sample_trace", load="frame")
        inputs["manifest"] = Input(asset="run_manifest", load="frame")
    outs = [replace(out, name=f"{wave}/{out.name}") for out in runs.outs() if out.name in _KEPT]
    edits = Out(name=f"{wave}/replay_edits", description="What the replay draws instead of what its parent drew.")
    return Node(
        name=f"{wave}/replay",
        grain="run",
        wave=wave,
        pool="gpu",
        inputs=inputs,
        outs=(*outs, edits),
        params=_replay_params,
        compute=_replay if wave == FOLLOWUP else _replay_fresh,
        cleanup=runs.discard,
    )


_KEPT = ("run_manifest", "scalars", "sample_trace", "adapter", "captures")


def nodes(study: Study) -> tuple[Node, ...]:
    """Selection, replays on the parents' seeds and on fresh ones, and their geometry."""
    made = [_selection_node()]
    for wave in (FOLLOWUP, CONFIRMATION):
        made += [_replay_node(wave), *_observed(study, wave)]
    return tuple(made)


def _observed(study: Study, wave: str) -> tuple[Node, ...]:
    """Geometry and events of the replays, judged by the same placebo arm as their parents."""
    geometry, events = in_wave((analysis.geometry_node(), analysis.events_node(study)), wave)
    manifest = Input(asset=f"{wave}/run_manifest", load="frame")
    captures = {"captures": Input(asset=f"{wave}/captures", load="handle")}
    return replace(geometry, inputs=captures), replace(events, inputs={**events.inputs, "manifest": manifest})
