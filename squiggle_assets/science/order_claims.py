"""Claims of the order study: does the effect of a family depend on when it was introduced?

Here: order_slopes rows as claims. Not here: slopes (order_sensitivity), correction and verdict (claim_rows).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from squiggle_assets.science.claim_kinds import Claim
from squiggle_assets.science.order_sensitivity import ORDER, PLACEBO
from squiggle_assets.science.planted import beyond_control
from squiggle_assets.science.spec import Study
from squiggle_assets.science.stats import t_interval

MAX_MIXTURE_GAP = 0.05
"""Share of the window's slots that two arms may give to other families (judgement). blocked_early and ramp: .0007 over
200 steps; either of them and controls_first: .57."""
CONFOUNDED = (
    "the arms also differ in what they show in the window (by {gap:.2f} of its slots) and so in how often before it: "
    "when a family came cannot be told from how often it was shown"
)
UNIT = "robust sd of movement per showing and whole budget"
METHOD = (
    "slope of a family's effect on its introduction, difference of the arms, mean over seeds; p: larger of sign flips "
    "over seeds and redrawn samplers; t interval over seeds"
)


def order_pairs(study: Study) -> list[tuple[str, str]]:
    """The pre-registered pairs, in the study's order: every two treatment arms, then placebo against its reference."""
    arms = [arm.name for arm in study.arms if arm.role == "treatment"]
    pairs = [(arm, against) for i, arm in enumerate(arms) for against in arms[i + 1 :]]
    return [*pairs, (study.only("placebo").name, reference_of(study))]


def reference_of(study: Study) -> str:
    """The arm without order that has the exposure of the others: the last baseline."""
    return [arm.name for arm in study.arms if arm.role == "baseline"][-1]


def order_claims(study: Study, slopes: pl.DataFrame) -> list[Claim]:
    """One claim per pre-registered pair; the placebo's slope is the control of the others and has none itself.

    slopes: rows of order_slopes. A pair without a row or slope is a claim all the same, without numbers.
    """
    rows = {(row["arm"], row["against"]): row for row in slopes.iter_rows(named=True)}
    pairs = order_pairs(study)
    placebo = rows.get(pairs[-1], {})
    return [_claim(pair, rows.get(pair, {}), None if pair == pairs[-1] else placebo, pairs[-1]) for pair in pairs]


class _Slopes(NamedTuple):
    by_seed: Mapping[int, float]


def _slopes(row: Mapping[str, Any]) -> _Slopes:
    text = row.get("by_seed_json")
    return _Slopes({} if text is None else {int(seed): value for seed, value in json.loads(text).items()})


def _claim(
    pair: tuple[str, str], row: Mapping[str, Any], placebo: Mapping[str, Any] | None, against: tuple[str, str]
) -> Claim:
    arm, other = pair
    comparison = ORDER if placebo is not None else PLACEBO
    units = "families" if comparison == ORDER else "groups of shuffled items"
    about = {
        "claim": f"order:{arm}-{other}",
        "arm": arm,
        "contrast": other,
        "hypothesis": f"What {units} do depends on when they are introduced: arm {arm} against {other}.",
        "estimate": row.get("slope"),
        "unit": UNIT,
        "n_seeds": row.get("n_seeds") or 0,
        "n_items": None,
        "method": METHOD if row.get("slope") is not None else "not tested: no runs, or no introductions that differ",
        "evidence": {
            "tables": ["order_slopes", "order_sensitivity"],
            "arms": list(pair),
            "num_units": row.get("num_units"),
            "window": [row.get("window_lo"), row.get("window_hi")],
            "mixture_gap": row.get("mixture_gap"),
            "p": {"redrawn": row.get("p_redrawn"), "seeds": row.get("p_seeds")},
        },
    }
    arms = (*pair, *(against if placebo is not None else ()))
    slopes = _slopes(row)
    control = None if placebo is None else beyond_control(against[0], slopes, _slopes(placebo))
    if not slopes.by_seed:
        return Claim(row=about, arms=arms, direction="two-sided", control=control)
    return Claim(
        row=about,
        arms=arms,
        p_value=row["p_value"],
        smallest_p=row["smallest_p"],
        interval=t_interval(np.array(list(slopes.by_seed.values()))),
        control=control,
        direction="two-sided",
        caveat=CONFOUNDED.format(gap=row["mixture_gap"]) if row["mixture_gap"] > MAX_MIXTURE_GAP else "",
    )
