"""Claims of the sampling-mode study: do the triggers found under one mode persist under the others?

Here: trigger_persistence rows as claims. Not here: persistence (mode_persistence), correction and verdict (claim_rows).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from squiggle_assets.science.claim_kinds import Claim
from squiggle_assets.science.mode_persistence import NO_OTHER, NO_TRIGGERS
from squiggle_assets.science.planted import beyond_control
from squiggle_assets.science.spec import Study
from squiggle_assets.science.stats import t_interval

FAMILIES = "other items of the triggers' families"
METHOD = (
    "pooled lift of the triggers on seeds that did not find them, in the other mode where p is largest; p: larger of "
    "exact binomial tail and sign flips over seeds; t interval over seeds"
)
_WHY = {
    NO_TRIGGERS: "not tested: no half of the seeds found a trigger under this mode",
    NO_OTHER: "not tested: no other mode has such an event in which its triggers could be shown",
}
_MISSING = "not tested: too few runs went to their end"
_NOT_THERE = "no like event, or no run, under {modes}: whether the triggers persist there is not known"


def modes_of(study: Study) -> list[str]:
    """The arms that are sampling modes: baselines and treatments, in the study's order."""
    return [arm.name for arm in study.arms if arm.role in ("baseline", "treatment")]


def mode_claims(study: Study, persistence: pl.DataFrame) -> list[Claim]:
    """One claim per mode, without numbers where nothing was found; persistence: rows of trigger_persistence."""
    rows = {row["mode"]: row for row in persistence.iter_rows(named=True)}
    return [_claim(mode, rows.get(mode, {}), modes_of(study)) for mode in modes_of(study)]


class _Lifts(NamedTuple):
    by_seed: Mapping[int, float]


def _lifts(row: Mapping[str, Any], name: str) -> _Lifts:
    text = row.get(name)
    return _Lifts({} if text is None else {int(seed): value for seed, value in json.loads(text).items()})


def _claim(mode: str, row: Mapping[str, Any], modes: list[str]) -> Claim:
    lifts = _lifts(row, "by_seed_json")
    measured_in = json.loads(row.get("measured_in") or "[]")
    unknown = [other for other in modes if other not in (mode, *measured_in)]
    control = beyond_control(FAMILIES, lifts, _lifts(row, "family_by_seed_json"))
    about = {
        "claim": f"modes:{mode}",
        "arm": mode,
        "contrast": row.get("against"),
        "hypothesis": f"Triggers found under {mode} come before like events under every other sampling mode too.",
        "estimate": row.get("lift"),
        "unit": "lift",
        "n_seeds": row.get("n_seeds") or 0,
        "n_items": row.get("num_measured"),
        "method": METHOD if lifts.by_seed else _WHY.get(row.get("status", ""), _MISSING),
        "evidence": {
            "tables": ["trigger_persistence", "trigger_modes"],
            "arms": modes,
            "num_triggers": row.get("num_triggers"),
            "measured_in": measured_in,
            "family_lift": row.get("family_lift"),
            "share_common_draws": row.get("share_common_draws"),
            "p": {"binomial": row.get("p_binomial"), "seeds": row.get("p_seeds")},
        },
    }
    if not lifts.by_seed:
        return Claim(row=about, arms=tuple(modes), null_value=1.0, control=control)
    return Claim(
        row=about,
        arms=tuple(modes),
        p_value=row["p_value"],
        smallest_p=row["smallest_p"],
        interval=t_interval(np.array(list(lifts.by_seed.values()))),
        control=control,
        null_value=1.0,
        caveat=_NOT_THERE.format(modes=" and ".join(unknown)) if unknown else "",
    )
