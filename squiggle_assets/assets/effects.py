"""What the replays show: outcomes at frozen locations, effects over seeds, claims about triggers.

Here: the nodes above the later waves. Not here: measurements, effects, labels, claims, verdicts (science).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from squiggle_assets import checks
from squiggle_assets.assets.analysis import analysis_of
from squiggle_assets.assets.attribution import series_of_arm
from squiggle_assets.assets.evidence import claims_figures, scale_of
from squiggle_assets.assets.node import Input, Node, Out, Scope
from squiggle_assets.science.waves import CONFIRMATION, CONTROLS, FOLLOWUP

_OF_WAVE = ("geometry", "run_manifest", "scalars", "replay_edits", "sample_trace", "events")


def _measured(
    scope: Scope,
    selection: pl.DataFrame,
    parents: Mapping[str, pl.DataFrame],
    wave: Mapping[str, pl.DataFrame],
) -> pl.DataFrame:
    """counterfactual_runs of one wave; parents: geometry, manifest, traces, scalars of the runs that were replayed.

    A run that a controller stopped, and one whose parent was stopped, is left out. The yardstick rests on all whole
    parents whichever replays are left: it is one for every condition.
    """
    from squiggle_assets.schemas.base import empty, frame
    from squiggle_assets.schemas.followup import CounterfactualRuns
    from squiggle_assets.science.counterfactuals import location_of, runs_of
    from squiggle_assets.science.frozen_location import dis_at, measure

    found = []
    for row in selection.filter(pl.col("status") == "selected").iter_rows(named=True):
        of_parent = {name: table.filter(pl.col("arm") == _parent_of(row, parents)) for name, table in parents.items()}
        all_own = {name: table.filter(pl.col("arm") == row["arm"]) for name, table in wave.items()}
        seeds = sorted(_whole(all_own["run_manifest"]) & _whole(of_parent["run_manifest"]))
        if not seeds:
            continue
        own, kept = (
            {name: table.filter(pl.col("seed").is_in(seeds)) for name, table in tables.items()}
            for tables in (all_own, of_parent)
        )
        runs = series_of_arm(own["geometry"], own["run_manifest"], scope)
        beside = series_of_arm(of_parent["geometry"], of_parent["run_manifest"], scope)
        location = location_of(row)
        measured = measure(runs, beside, location)
        found.append(runs_of(measured, _about(scope, own, kept, seeds, dis_at(own["events"], location)), row))
    if not found:
        return empty(CounterfactualRuns)
    return frame(CounterfactualRuns, pl.concat(found).to_dicts())


def _whole(manifest: pl.DataFrame) -> set[int]:
    """Seeds of the runs that went to their end."""
    return set(manifest.filter(~pl.col("stopped_early"))["seed"])


def _parent_of(row: Mapping[str, Any], parents: Mapping[str, pl.DataFrame]) -> str:
    """The arm whose runs were replayed: on fresh seeds the exact replay is the parent's run itself."""
    exact = f"{row['parent_arm']}.exact"
    arms = set(parents["run_manifest"]["arm"])
    return exact if exact in arms else str(row["parent_arm"])


def _about(
    scope: Scope,
    own: Mapping[str, pl.DataFrame],
    parent: Mapping[str, pl.DataFrame],
    seeds: list[int],
    dis: Mapping[int, float],
) -> pl.DataFrame:
    from squiggle_assets.science.outcomes import final_scores
    from squiggle_assets.science.prefix import same_past, spared_steps

    rows, training = [], scope.profile.training
    arm = own["run_manifest"]["arm"][0]
    losses = final_scores(own["scalars"], arm, "val_random_loss")
    for seed in seeds:
        of_seed = {name: table.filter(pl.col("seed") == seed) for name, table in own.items()}
        before = {name: table.filter(pl.col("seed") == seed) for name, table in parent.items()}
        edits = of_seed["replay_edits"]
        first = edits["step"].min() if edits.height else None
        rows.append(
            {
                "seed": seed,
                "base_run_id": before["run_manifest"]["run_id"][0],
                "cf_run_id": of_seed["run_manifest"]["run_id"][0],
                "num_edits": edits.height,
                "first_edit_step": first,
                "prefix_identical": same_past(before, of_seed, first),  # type: ignore[arg-type]
                "steps_reused": spared_steps(
                    first,  # type: ignore[arg-type]
                    total_steps=training.total_steps * training.step_multiplier,
                    checkpoint_every=training.checkpoint_every,
                ),
                "final_loss": losses[seed][1] if seed in losses else None,
                "dis": dis.get(seed),
            }
        )
    schema = {
        **{"seed": pl.Int64, "base_run_id": pl.String, "cf_run_id": pl.String, "num_edits": pl.Int64},
        **{"first_edit_step": pl.Int64, "prefix_identical": pl.Boolean, "steps_reused": pl.Int64},
        **{"final_loss": pl.Float64, "dis": pl.Float64},
    }
    return pl.DataFrame(rows, schema=schema)


def _effects(scope: Scope, runs: pl.DataFrame, selection: pl.DataFrame) -> pl.DataFrame:
    """counterfactual_effects of the pre-registered family and of parts, or a typed row: nothing was selected.

    A pre-registered condition whose parent had no triggers stays in the family: finding none must not make the others
    easier.
    """
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.followup import SELECTED, CounterfactualEffects, no_selection
    from squiggle_assets.science.effect_labels import Margins
    from squiggle_assets.science.effects import effects_of

    if runs.is_empty():
        return no_selection(CounterfactualEffects, exp_id=scope.study.name)
    family = [
        (row["consensus_event_id"], row["condition"])
        for row in selection.filter((pl.col("status") == SELECTED) & (pl.col("part") == 1)).iter_rows(named=True)
        if row["condition"] not in CONTROLS
    ]
    study = scope.study
    registered = {(each.parent, each.condition) for each in study.followups if each.condition not in CONTROLS}
    margins = Margins(delay_steps=study.triggers.delay_margin_steps)
    found = effects_of(
        runs,
        family=family,
        margins=margins,
        parts=sorted({each.part for each in study.followups} - {1}),
        num_untested=len(registered) - len(family),
        seed=study.consensus.seed,
    )
    keys = {"exp_id": scope.study.name, "status": SELECTED}
    return frame(CounterfactualEffects, [{**keys, **row} for row in found.to_dicts()])


def _outcomes(
    step: Any,
    selection: pl.DataFrame,
    geometry: pl.DataFrame,
    manifest: pl.DataFrame,
    trace: pl.DataFrame,
    scalars: pl.DataFrame,
    **waves: pl.DataFrame,
) -> Mapping[str, pl.DataFrame]:
    from squiggle_assets.schemas.base import frame
    from squiggle_assets.schemas.followup import CounterfactualResults, no_selection
    from squiggle_assets.science.counterfactuals import results_of

    scope = step.scope
    tables = {wave: {name: waves[f"{wave}_{name}"] for name in _OF_WAVE} for wave in (FOLLOWUP, CONFIRMATION)}
    parents = {"geometry": geometry, "run_manifest": manifest, "sample_trace": trace, "scalars": scalars}
    fresh = {name: tables[CONFIRMATION][name] for name in parents}
    replayed = _measured(scope, selection, parents, tables[FOLLOWUP])
    confirmed = _measured(scope, selection, fresh, tables[CONFIRMATION])
    runs = pl.concat([replayed, confirmed])
    effects, fresh_effects = (_effects(scope, each, selection) for each in (replayed, confirmed))
    # Every run stands beside the effect of its own wave: what the fresh seeds show is no part of the other's label.
    beside = [
        results_of(each, found, exp_id=scope.study.name)
        for each, found in ((replayed, effects), (confirmed, fresh_effects))
        if not each.is_empty()
    ]
    results = (
        frame(CounterfactualResults, pl.concat(beside).to_dicts())
        if beside
        else no_selection(CounterfactualResults, exp_id=scope.study.name)
    )
    step.facts["num_replays"] = runs.height
    return {
        "counterfactual_runs": runs,
        "counterfactual_results": results,
        "counterfactual_effects": effects,
        "confirmed_effects": fresh_effects,
    }


def _claims(
    step: Any,
    selection: pl.DataFrame,
    effects: pl.DataFrame,
    confirmed: pl.DataFrame,
    events: pl.DataFrame,
    manifest: pl.DataFrame,
    replays: pl.DataFrame,
    fresh: pl.DataFrame,
    ledger: pl.LazyFrame,
) -> Mapping[str, pl.DataFrame]:
    """Claims; replays, fresh: run_manifest of the followup and the confirmation wave."""
    # The ledger is not read: it is an input so that a leak, which fails its blocking check, stops every claim.
    from squiggle_assets.science.claim_followups import followup_claims, near_boundary
    from squiggle_assets.science.claim_rows import claim_rows
    from squiggle_assets.science.claims import is_preregistered
    from squiggle_assets.science.exclusions import stopped_seeds

    study, num_seeds = step.scope.study, step.scope.study.num_seeds(step.scope.profile)
    on_fresh_seeds = replace(study, seeds=study.fresh_seeds, fresh_seeds=(), followups=())
    looked_at = ((study, manifest), (on_fresh_seeds, fresh))
    every = pl.concat([rows.select("arm", "seed", "stopped_early") for rows in (manifest, replays, fresh)])
    claims = claim_rows(
        study,
        followup_claims(study, selection, effects, confirmed, near=near_boundary(events)),
        stopped=stopped_seeds(every),
        preregistered=all(is_preregistered(each, rows, num_seeds) for each, rows in looked_at),
        scale=scale_of(step.scope),
        analysis_id=analysis_of(step.scope),
    )
    return {"claims": claims}


def _params(scope: Scope) -> Any:
    study = scope.study
    training = scope.profile.training
    sizes = [training.total_steps, training.step_multiplier, training.checkpoint_every]
    return [study.detection, study.consensus, study.triggers, study.followups, sizes]


def nodes() -> tuple[Node, ...]:
    """Effects of the edits, and the claims about them."""
    inputs = {
        "selection": Input(asset="followup/selection", load="frame"),
        "geometry": Input(asset="geometry", load="frame"),
        "manifest": Input(asset="run_manifest", load="frame"),
        "trace": Input(asset="sample_trace", load="frame"),
        "scalars": Input(asset="scalars", load="frame"),
    }
    for wave in (FOLLOWUP, CONFIRMATION):
        inputs |= {f"{wave}_{name}": Input(asset=f"{wave}/{name}", load="frame") for name in _OF_WAVE}
    return (
        Node(
            name="effects",
            grain="study",
            inputs=inputs,
            outs=(
                Out(
                    name="counterfactual_runs",
                    description="What every replay did at the frozen location.",
                    checks=(("same_past", True, checks.same_past),),
                ),
                Out(
                    name="counterfactual_results",
                    description="Every replay beside the effect of its condition.",
                ),
                Out(
                    name="counterfactual_effects",
                    description="What the edits do to the event, on the parents' seeds.",
                ),
                Out(name="confirmed_effects", description="The same on seeds that took no part in the choice."),
            ),
            params=_params,
            compute=_outcomes,
        ),
        Node(
            name="trigger_claims",
            grain="study",
            inputs={
                "selection": Input(asset="followup/selection", load="frame"),
                "effects": Input(asset="counterfactual_effects", load="frame"),
                "confirmed": Input(asset="confirmed_effects", load="frame"),
                "events": Input(asset="consensus_events", load="frame"),
                "manifest": Input(asset="run_manifest", load="frame"),
                "replays": Input(asset=f"{FOLLOWUP}/run_manifest", load="frame"),
                "fresh": Input(asset=f"{CONFIRMATION}/run_manifest", load="frame"),
                "ledger": Input(asset="usage_ledger"),
            },
            outs=(
                Out(name="claims", description="What the edits were to show: estimate, control, interval, verdict."),
            ),
            params=lambda scope: [
                scope.study,
                scope.study.num_seeds(scope.profile),
                scale_of(scope),
                analysis_of(scope),
            ],
            compute=_claims,
            figures=claims_figures,
        ),
    )
