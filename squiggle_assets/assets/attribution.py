"""From consensus events to the items that were shown before them: triggers, bundles, where events are looked for again.

Here: the attribution node of an arm. Not here: any statistic (science), what is done about triggers (assets.followups).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import polars as pl

from squiggle_assets.assets.analysis import analysis_of
from squiggle_assets.assets.node import Input, Node, Out, Scope
from squiggle_assets.assets.policies import policy_of, template_digests
from squiggle_assets.science.waves import CONTROLS

if TYPE_CHECKING:
    from squiggle_assets.schemas.handles import Handle
    from squiggle_assets.science.cells import ArmSeries
    from squiggle_assets.science.spec import Profile


def significant(events: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    """The consensus events that are looked into: of the pre-registered probe set, q at most alpha; smallest q first."""
    spec = scope.study.consensus
    chosen = (pl.col("probe_set") == spec.probe_set) & (pl.col("q_value") <= spec.alpha)
    return events.filter(chosen).sort("q_value", "p_value", "consensus_event_id")


def series_of_arm(geometry: pl.DataFrame, manifest: pl.DataFrame, scope: Scope) -> ArmSeries:
    """The pre-registered probe set's series of one arm's whole runs."""
    from squiggle_assets.science.cells import arm_series, schedule_from
    from squiggle_assets.science.exclusions import without_stopped

    study = scope.study
    return arm_series(
        without_stopped(geometry, manifest),
        probe_set=study.consensus.probe_set,
        schedule=schedule_from(manifest),
        detection=study.detection,
        num_bands=study.consensus.num_bands,
    )


def _attribution(
    step: Any,
    pool: pl.DataFrame,
    split: pl.DataFrame,
    base: Handle,
    events: pl.DataFrame,
    geometry: pl.DataFrame,
    trace: pl.DataFrame,
    manifest: pl.DataFrame,
) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.science.bundles import bundles_of
    from squiggle_assets.science.exclusions import without_stopped
    from squiggle_assets.science.exposure_locked import exposure_locked
    from squiggle_assets.science.triggers import attribute

    scope, spec = step.scope, step.scope.study.triggers
    chosen = significant(events, scope)
    policy, whole = policy_of(scope, pool, split, base), without_stopped(trace, manifest)
    found = attribute(chosen, whole, policy, spec)
    series = series_of_arm(geometry, manifest, scope)
    step.facts["num_events"] = chosen.height
    step.facts["num_triggers"] = int(found.items["is_trigger"].sum())
    return {
        "event_locations": _locations(chosen, series, scope),
        "trigger_attribution": found.items,
        "trigger_status": found.status,
        "trigger_bundles": bundles_of(found.items, chosen, whole, policy, spec),
        "exposure_locked": exposure_locked(chosen, series, whole, policy),
    }


def _locations(events: pl.DataFrame, series: ArmSeries, scope: Scope) -> pl.DataFrame:
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.triggers import EventLocations
    from squiggle_assets.science.frozen_location import freeze

    renamed = {"step": "event_step", "onset": "onset_step", "tolerance": "tolerance_steps"}
    rows = []
    for event in events.iter_rows(named=True):
        place = asdict(freeze(series, event, scope.study.consensus))
        keys = {name: event[name] for name in ("arm", "analysis_id", "consensus_event_id", "q_value")}
        rows.append({**keys, **{renamed.get(name, name): value for name, value in place.items()}})
    return frame(EventLocations, rows)


def num_drawable(profile: Profile) -> int | None:
    """Items that a run may draw, about, before there is a pool: without what the split holds out and caps.

    Near-duplicates and rows without room for a completion are not known yet (the demo's planted arm has 2,223 training
    items, 2,224 by this). Of a file the families are not known either: its number is the most that its limit and the
    cap leave, None without both.
    """
    from squiggle_assets.science.families import NAMES, scaled_counts
    from squiggle_assets.science.splitting import held_out_families

    pool, split = profile.pool, profile.split
    if pool.items is not None:
        capped = None if split.family_cap is None else (len(NAMES) - split.num_held_out_families) * split.family_cap
        return min((num for num in (pool.max_items, capped) if num is not None), default=None)
    counts = {name: num for name, num in scaled_counts(pool.num_items).items() if num}
    held = held_out_families(counts, split)
    free = [round((1 - split.val_random_share) * num) for name, num in counts.items() if name not in held]
    return sum(num if split.family_cap is None else min(num, split.family_cap) for num in free)


def _design(step: Any) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.followup import FollowupDesign
    from squiggle_assets.schemas.triggers import MinimumLift
    from squiggle_assets.science.followup_design import attainable
    from squiggle_assets.science.trigger_power import TriggerDesign, minimum_lift

    scope = step.scope
    study, profile = scope.study, scope.profile
    num_items = num_drawable(profile)
    parents = sorted({each.parent for each in study.followups})
    lifts = []
    if num_items is not None:
        design = TriggerDesign(
            num_seeds=scope.num_seeds,
            num_steps=profile.training.total_steps * profile.training.step_multiplier,
            batch_size=profile.training.batch_size,
            num_items=num_items,
            event_steps=2 * profile.probe.capture_every,
        )
        lifts = minimum_lift(design, study.triggers).to_dicts()
    tested = {(each.parent, each.condition) for each in study.followups} - {
        (parent, condition) for parent in parents for condition in CONTROLS
    }
    row = {
        **{"study": study.name, "n_seeds": scope.num_seeds, "num_tests": len(tested), "alpha": study.consensus.alpha},
        "num_placebo_draws": max((each.draw + 1 for each in study.followups if each.condition == "placebo"), default=0),
        **attainable(scope.num_seeds, len(tested), study.consensus.alpha)._asdict(),
    }
    return {
        "minimum_lift": frame(
            MinimumLift, [{"study": study.name, "arm": parent, **lift} for parent in parents for lift in lifts]
        ),
        "followup_design": frame(FollowupDesign, [row]),
    }


def _design_params(scope: Scope) -> Any:
    training, pool = scope.profile.training, scope.profile.pool
    sizes = [scope.num_seeds, training.total_steps, training.step_multiplier, training.batch_size]
    items = [pool.num_items if pool.items is None else pool.max_items, scope.profile.split]
    return [scope.study.followups, scope.study.triggers, scope.study.consensus.alpha, sizes, items, scope.profile.probe]


def design_node() -> Node:
    """What attribution and follow-ups of this size can show."""
    return Node(
        name="followup_design",
        grain="study",
        before_spending=True,
        outs=(
            Out(name="minimum_lift", description="The smallest lift of an item that attribution would find."),
            Out(name="followup_design", description="The smallest p and q that the follow-ups can reach."),
        ),
        params=_design_params,
        compute=_design,
    )


def _params(scope: Scope) -> Any:
    arm, training = scope.study.arm(scope.arm), scope.profile.training
    sizes = [training.total_steps, training.step_multiplier, training.batch_size, training.max_length]
    shuffle = scope.profile.split.seed if arm.shuffle_families else None
    return [scope.study.triggers, analysis_of(scope), template_digests(arm), arm.plant, shuffle, sizes]


def nodes() -> tuple[Node, ...]:
    """The attribution node."""
    return (
        Node(
            name="attribution",
            grain="arm",
            inputs={
                "pool": Input(asset="candidate_pool", load="frame"),
                "split": Input(asset="split", load="frame"),
                "base": Input(asset="base_model", load="handle"),
                "events": Input(asset="consensus_events", load="frame"),
                "geometry": Input(asset="geometry", load="frame"),
                "trace": Input(asset="sample_trace", load="frame"),
                "manifest": Input(asset="run_manifest", load="frame"),
            },
            outs=(
                Out(name="event_locations", description="Where significant events are looked for in other runs."),
                Out(name="trigger_attribution", description="Items shown before an event more often than by chance."),
                Out(name="trigger_status", description="What attribution says of every event, 'no triggers' included."),
                Out(name="trigger_bundles", description="The smallest sets of triggers whose lift holds on new seeds."),
                Out(name="exposure_locked", description="How a cell moves just after an item's own showings."),
            ),
            params=_params,
            compute=_attribution,
        ),
    )
