"""Claims about edited items: what removing or replacing an event's triggers does to it, beyond placebo edits.

Here: one claim per pre-registered (parent arm, condition), and one per parent about its placebo. Not here: effects and
labels (effects, effect_labels), correction and verdict (claim_rows).

The estimate of a claim is the difference of the event's strength (condition less control, paired by seed): it covers
an event that is gone as well as one that is weaker. Its p is that of the effect, over presence, delay and strength
together; the label and the risk difference stand in the evidence. The triggers were chosen on the parents' seeds, so a
claim is replicated only where the fresh seeds show a weaker event too. The placebo's claims are a family of their own:
they should not be supported.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import polars as pl

from squiggle_assets.science.bundles import smallest_acting_items
from squiggle_assets.science.claim_kinds import NAN, Claim
from squiggle_assets.science.effects import CONTROL_OF
from squiggle_assets.science.planted import Control
from squiggle_assets.science.spec import Study
from squiggle_assets.science.stats import Interval
from squiggle_assets.science.waves import CONTROLS

_UNIT = "envelopes"
_SELECTED = "selected"
_REGRESSION = (
    "; on the seeds of the choice the exact replays repeat the very peak that was chosen, so that any edit looks a "
    "little weaker: only the fresh seeds are free of that"
)


def followup_claims(
    study: Study,
    selection: pl.DataFrame,
    effects: pl.DataFrame,
    confirmed: pl.DataFrame,
    *,
    near: Collection[str] = (),
) -> tuple[list[Claim], list[Claim]]:
    """Both families: (parent, condition) in the study's order, and the parents' placebos.

    Args:
        study: names parents and conditions.
        selection: the frozen choices; an arm without one has a claim all the same, which says so.
        effects: counterfactual_effects, on the seeds of the choice.
        confirmed: the same on fresh seeds.
        near: consensus_event_id of events near a boundary of the schedule: the sources' claim rule asks for an event
            that none explains, so claims about these are exploratory at most.
    """
    edits = dict.fromkeys((each.parent, each.condition) for each in study.followups if each.condition not in CONTROLS)
    placebos = dict.fromkeys((each.parent, "placebo") for each in study.followups if each.condition == "placebo")
    return (
        [_claim(study, parent, condition, selection, effects, confirmed, near) for parent, condition in edits],
        [_claim(study, parent, condition, selection, effects, confirmed, near) for parent, condition in placebos],
    )


def near_boundary(events: pl.DataFrame) -> list[str]:
    """consensus_event_id of the events near a boundary; events: rows of consensus_events."""
    return sorted(events.filter("near_boundary")["consensus_event_id"])


def _claim(
    study: Study,
    parent: str,
    condition: str,
    selection: pl.DataFrame,
    effects: pl.DataFrame,
    confirmed: pl.DataFrame,
    near: Collection[str],
) -> Claim:
    chosen = selection.filter(
        (pl.col("parent_arm") == parent)
        & (pl.col("condition") == condition)
        & (pl.col("part") == 1)
        & (pl.col("status") == _SELECTED)
    )
    what = {"remove": "Removing", "replace": "Replacing", "placebo": "A placebo edit instead of"}
    verb = what.get(condition, f"Moving ({condition})")
    hypothesis = f"{verb} the triggers of arm {parent}'s event weakens or removes the event."
    control = CONTROL_OF.get(condition, "placebo")
    row: dict[str, Any] = {
        **{"claim": f"{condition}:{parent}", "arm": parent, "contrast": control, "hypothesis": hypothesis},
        **{"unit": _UNIT, "estimate": None, "n_seeds": 0, "n_items": None},
    }
    # Runs of the condition, its control and the exact replay (the parent on fresh seeds): those stopped are named.
    concerned = (condition, control, "exact")
    ran = [each.name for each in study.followups if each.parent == parent and each.condition in concerned]
    arms = (parent, *ran)
    found = _effect_of(chosen, condition, effects)
    if found is None:
        method = "not tested: no consensus event of the arm has triggers, so there was nothing to edit"
        return Claim(row={**row, "method": method, "evidence": {"tables": ["followup/selection"]}}, arms=arms)
    fresh = _effect_of(chosen, condition, confirmed)
    interval = Interval(*(_number(found[f"magnitude_ci_{end}"]) for end in ("lo", "hi")))
    evidence = {
        "tables": ["followup/selection", "counterfactual_effects", "confirmed_effects"],
        "consensus_event_id": [found["consensus_event_id"]],
        "label": found["label"],
        "label_reason": found["reason"],
        "risk_difference": [found[name] for name in ("effect_rd", "ci_lo", "ci_hi")],
        "fresh_seeds": None if fresh is None else {name: fresh[name] for name in _FRESH},
        "smallest_acting": {
            where: _acting(selection, table, found) for where, table in (("found", effects), ("fresh", confirmed))
        },
    }
    estimate, seeds = _number(found["magnitude_difference"]), int(found["n_seeds"])
    return Claim(
        row={
            **row,
            "estimate": found["magnitude_difference"],
            "n_seeds": seeds,
            "n_items": chosen["n_items"][0],
            "method": "difference of the event's strength at the frozen location, paired by seed; presence, delay and "
            "strength together, larger p of sign flip over seeds and exchange of runs within seeds; t interval over "
            "seeds" + (_REGRESSION if condition == "placebo" else ""),
            "evidence": evidence,
        },
        arms=arms,
        p_value=_number(found["p_value"]),
        smallest_p=_number(found["smallest_p"]),
        interval=interval,
        control=Control(control, estimate, interval, seeds),
        direction="less",
        selected=True,
        near_boundary=found["consensus_event_id"] in near,
        replicated=fresh is not None and _weaker(fresh, study.consensus.alpha),
    )


_FRESH = ("label", "n_seeds", "magnitude_difference", "magnitude_ci_lo", "magnitude_ci_hi", "p_value", "q_value")


def _effect_of(chosen: pl.DataFrame, condition: str, effects: pl.DataFrame) -> dict[str, Any] | None:
    if chosen.is_empty():
        return None
    found = effects.filter(
        (pl.col("consensus_event_id") == chosen["consensus_event_id"][0])
        & (pl.col("condition") == condition)
        & (pl.col("part") == 1)
    )
    return None if found.is_empty() else found.row(0, named=True)


def _acting(selection: pl.DataFrame, effects: pl.DataFrame, found: dict[str, Any]) -> dict[str, Any] | None:
    own = smallest_acting_items(selection, effects).filter(
        (pl.col("consensus_event_id") == found["consensus_event_id"]) & (pl.col("condition") == found["condition"])
    )
    return None if own.is_empty() else own.select("n_items", "n_acting", "n_tried").row(0, named=True)


def _weaker(effect: dict[str, Any], alpha: float) -> bool:
    level = effect["p_value"] if effect["q_value"] is None else effect["q_value"]
    return _number(level) <= alpha and _number(effect["magnitude_ci_hi"]) < 0


def _number(value: float | None) -> float:
    return NAN if value is None else float(value)
