"""The curriculum manifest: everything that says what an arm draws, as plain JSON, and the id made from it.

Here: the manifest of a resolved policy. Not here: resolving (policy.py) and storing (the curriculum table).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from squiggle_assets.science.canonical import sha256_json, short_hash
from squiggle_assets.science.sampling_phase import Floats, SamplingPhase
from squiggle_assets.science.template import Filters, Template

if TYPE_CHECKING:
    from squiggle_assets.science.policy import Policy

RNG = "numpy Philox, key from sha256 of (purpose, seed, step); purpose 'sample', or 'plant' for planted slots"


def _num(value: float) -> float:
    # 12 digits: the id must not depend on the order in which a processor adds.
    return float(f"{value:.12g}")


def _family_weights(phase: SamplingPhase, weights: Floats) -> dict[str, float]:
    masses = phase.group_base * weights
    return {name: _num(mass) for name, mass in zip(phase.group_names, masses, strict=True)}


def _item_weights(phase: SamplingPhase, weights: Floats) -> dict[str, float]:
    named = {name: weight for name, weight in zip(phase.cell_names, weights, strict=True) if name is not None}
    return {name: _num(weight) for name, weight in named.items() if name not in phase.group_names}


def _filters(filters: Filters) -> dict[str, Any]:
    allowed = None if filters.difficulties is None else list(filters.difficulties)
    return {
        "token_len": {"min": filters.token_len_min, "max": filters.token_len_max},
        "difficulty_proxy": {"allowed": allowed},
    }


def _resolved(policy: Policy, phase: SamplingPhase) -> dict[str, Any]:
    start = {"families": _family_weights(phase, phase.group_from), "items": _item_weights(phase, phase.cell_from)}
    end = {"families": _family_weights(phase, phase.group_to), "items": _item_weights(phase, phase.cell_to)}
    return {
        "phase_idx": phase.idx,
        "name": phase.name,
        "start_step": phase.start,
        "end_step": phase.end,
        "families": [policy.families[code] for code in np.unique(phase.cell_family)],
        "num_items": sum(len(items) for items in phase.cell_items),
        "sampling_mode": phase.mode,
        "weight_type": phase.weight_type,
        "weights": start["families"],
        "item_weights": start["items"],
        "ramp": None if phase.is_constant else {"from": start, "to": end},
        "filters": _filters(policy.template.phases[phase.idx].filters),
        "dropped_families": list(phase.dropped),
    }


def _plant(policy: Policy) -> dict[str, Any] | None:
    if policy.plant is None:
        return None
    first, stop = policy.plant_steps
    return {
        "start_step": first,
        "end_step": stop,
        "slots": policy.planted_slots(first),
        "item_ids": policy.items.filter("planted")["item_id"].to_list(),
    }


def _draws_per_item(policy: Policy, phases: tuple[SamplingPhase, ...]) -> Floats:
    totals = [phase.item_totals(phase.start, phase.end, policy.num_training_items) for phase in phases]
    return np.asarray(policy.batch_size * np.sum(totals, axis=0), dtype=np.float64)


def match_residuals(policy: Policy) -> tuple[float, float]:
    """Largest difference in expected draws from the reference, of a family and of an item.

    Over the base budget, before a plant is laid over it, by the label the curriculum goes by.
    ValueError if the curriculum has no match.
    """
    if policy.reference is None:
        raise ValueError(f"curriculum {policy.template.name!r} has no match, so no residual")
    by_item = _draws_per_item(policy, policy.phases) - _draws_per_item(policy, policy.reference)
    code = {name: number for number, name in enumerate(policy.families)}
    labels = [code[name] for name in policy.items["policy_family_id"][: policy.num_training_items]]
    return float(np.abs(np.bincount(labels, weights=by_item)).max()), float(np.abs(by_item).max())


def _match(policy: Policy, template: Template) -> dict[str, Any] | None:
    if template.match is None:
        return None
    family, item = match_residuals(policy)
    return {
        "reference": template.match.reference.name,
        "reference_yaml_sha256": template.match.reference.yaml_sha256,
        "reserve": template.match.reserve,
        "share_of_written_steps": {
            phase.name: _num(phase.num_steps / (policy.total_steps * (written.end - written.start)))
            for phase, written in zip(policy.phases, template.phases, strict=True)
        },
        "max_family_residual_draws": _num(family),
        "max_item_residual_draws": _num(item),
    }


def _identity(policy: Policy) -> dict[str, Any]:
    template = policy.template
    keys = ("item_id", "content_sha256", "family_id", "policy_family_id", "planted")
    training = policy.items.filter(~policy.items["planted"])
    return {
        "schema_version": "curriculum_manifest@1",
        "curriculum_name": template.name,
        "curriculum_version": template.version,
        "total_steps": policy.total_steps,
        "batch_size": policy.batch_size,
        "replacement": True,
        "rng": RNG,
        "items_sha256": sha256_json([list(row) for row in policy.items.select(keys).iter_rows()]),
        "num_items": policy.num_training_items,
        "family_counts": dict(sorted(training["family_id"].value_counts().iter_rows())),
        "resolved_phases": [_resolved(policy, phase) for phase in policy.phases],
        "plant": _plant(policy),
        "shuffle_families_seed": policy.shuffle_families_seed,
    }


def curriculum_id(policy: Policy) -> str:
    """16 hex digits that change exactly when what is drawn changes, or its name or version.

    From the manifest without what follows from the rest (expected exposure, match) and without what draws nothing:
    the seed, the layout of the YAML, and extra_steps, so that a run and its extension are of one curriculum.
    """
    return short_hash(_identity(policy))


def manifest(policy: Policy) -> dict[str, Any]:
    """The curriculum manifest: plain JSON, the same for every seed.

    `weights` of a phase are base(mode) x w at its first step, per family or lone item; `item_weights` multiply an
    item's mass within its family; `ramp` holds both ends where they move. Steps are those of the base budget.
    Expected draws are over all steps, extra ones and planted ones included.
    """
    exposure = policy.exposure_by_family()
    draws = policy.expected_draws(0, policy.num_steps)
    return {
        **_identity(policy),
        "curriculum_id": policy.curriculum_id,
        "yaml_sha256": policy.template.yaml_sha256,
        "extra_steps": policy.extra_steps,
        "dropped_families": sorted({name for phase in policy.phases for name in phase.dropped}),
        "match": _match(policy, policy.template),
        "expected_exposure_by_family": {
            name: _num(value) for name, value in exposure.select("family_id", "expected_draws").iter_rows()
        },
        "expected_exposure_by_item": {
            name: _num(value) for name, value in zip(policy.items["item_id"], draws.tolist(), strict=True)
        },
    }
