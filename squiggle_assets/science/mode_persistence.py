"""How the triggers found under one sampling mode do under the others, seed by seed.

Here: one row per mode, with what a claim about it needs. Not here: single triggers (mode_heterogeneity), the claim.
Legend: S = seeds.

Of a mode's triggers the showings in the windows of another mode's like events are pooled, per seed, over seeds that
did not find them (a trigger that both halves found counts in both directions). An item that a half found before several
kinds of event counts once, under the first of them by name that the other mode has: kinds of event are often one moment
seen in several places, and the same showings counted twice are no independent ones. Then
lift_s = 1 + (count_s - expected_s) / (mean expected of a seed). Their mean over seeds is the pooled lift. Of several
other modes the one with the largest p stands for all: triggers persist if they do in every one. The control is the
same lift of the other items of the triggers' families, in the same windows: what a family does as a whole is no
trigger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.mode_halves import Counted, Found, Half
from squiggle_assets.science.rng import generator
from squiggle_assets.science.stats import binomial_sum_tail, sign_flip

F64 = NDArray[np.float64]

MEASURED, NO_TRIGGERS, NO_OTHER = "measured", "no triggers", "no other mode"
PERSISTENCE_SCHEMA: dict[str, type[pl.DataType]] = {
    **{"mode": pl.String, "status": pl.String, "against": pl.String},
    "measured_in": pl.String,
    **dict.fromkeys(("num_triggers", "num_measured", "n_seeds"), pl.Int64),
    **dict.fromkeys(("lift", "family_lift", "p_binomial", "p_seeds", "p_value", "smallest_p"), pl.Float64),
    **{"by_seed_json": pl.String, "family_by_seed_json": pl.String, "share_common_draws": pl.Float64},
}
"""Columns of the trigger_persistence table but study and analysis_id."""


class _Pooled(NamedTuple):
    """A mode's triggers in one other mode."""

    against: str
    num_items: int
    by_seed: dict[int, float]
    family_by_seed: dict[int, float]
    p_binomial: float
    p_seeds: float
    smallest_p: float

    @property
    def p_value(self) -> float:
        return max(self.p_binomial, self.p_seeds)


def persistence_rows(
    found: Sequence[Found], counted: Sequence[Mapping[str, Counted]], shares: Mapping[str, float]
) -> list[dict[str, Any]]:
    """One row per mode (keys of shares), its triggers counted in the others.

    Args:
        found: Every trigger.
        counted: Of each, its counts by mode, modes that could show it only.
        shares: Largest share of draws that a mode has in common with another one.
    """
    return [_row(mode, found, counted, share) for mode, share in sorted(shares.items())]


def _row(mode: str, found: Sequence[Found], counted: Sequence[Mapping[str, Counted]], share: float) -> dict[str, Any]:
    own = [(one, by_mode) for one, by_mode in zip(found, counted, strict=True) if mode in one.modes]
    others = sorted({name for _, by_mode in own for name in by_mode} - {mode})
    pooled = [_pooled(mode, name, _once(name, own)) for name in others]
    num = len({(one.signature, one.item_id) for one, _ in own})
    row: dict[str, Any] = {"mode": mode, "num_triggers": num, "share_common_draws": share}
    row["measured_in"] = canonical_json(others)
    if not pooled:
        return {**dict.fromkeys(PERSISTENCE_SCHEMA), **row, "status": NO_OTHER if own else NO_TRIGGERS, "n_seeds": 0}
    weakest = max(pooled, key=lambda one: (one.p_value, -np.mean(list(one.by_seed.values()))))
    return {
        **row,
        "status": MEASURED,
        "against": weakest.against,
        "num_measured": weakest.num_items,
        "n_seeds": len(weakest.by_seed),
        "lift": float(np.mean(list(weakest.by_seed.values()))),
        "family_lift": float(np.mean(list(weakest.family_by_seed.values()))) if weakest.family_by_seed else None,
        "p_binomial": weakest.p_binomial,
        "p_seeds": weakest.p_seeds,
        "p_value": weakest.p_value,
        "smallest_p": weakest.smallest_p,
        "by_seed_json": canonical_json({str(seed): value for seed, value in weakest.by_seed.items()}),
        "family_by_seed_json": canonical_json({str(seed): value for seed, value in weakest.family_by_seed.items()}),
    }


def _once(against: str, own: Sequence[tuple[Found, Mapping[str, Counted]]]) -> dict[tuple[Half, str], Counted]:
    """The counts in one mode of every item that a half found, once each."""
    kept: dict[tuple[Half, str], Counted] = {}
    for one, by_mode in sorted(own, key=lambda pair: pair[0].signature):
        if against in by_mode:
            kept.setdefault((one.half, one.item_id), by_mode[against])
    return kept


def _pooled(mode: str, against: str, once: Mapping[tuple[Half, str], Counted]) -> _Pooled:
    triggers = list(once.values())
    count, expected, family_count, family_expected = (dict[int, float]() for _ in range(4))
    for one in triggers:
        values = zip(one.seeds, one.num, one.total * one.share, one.family_num, one.family_expected, strict=True)
        for seed, *sums in values:
            for total, value in zip((count, expected, family_count, family_expected), sums, strict=True):
                total[seed] = total.get(seed, 0.0) + float(value)
    trials = np.concatenate([one.total for one in triggers])
    share = np.concatenate([one.share for one in triggers])
    tail = binomial_sum_tail(np.array([int(sum(count.values()))]), trials[None], share[None])
    by_seed = _lifts(count, expected)
    draws = generator("mode_persistence", mode, against)
    test = sign_flip(np.array(list(by_seed.values())) - 1, "greater", rng=draws)
    return _Pooled(
        against=against,
        num_items=len({item for _, item in once}),
        by_seed=by_seed,
        family_by_seed=_lifts(family_count, family_expected),
        p_binomial=float(tail[0]),
        p_seeds=test.p_value,
        smallest_p=test.smallest_p,
    )


def _lifts(count: Mapping[int, float], expected: Mapping[int, float]) -> dict[int, float]:
    """By seed, ascending; their mean is the pooled lift. Empty where nothing was to be expected."""
    usual = float(np.mean(list(expected.values())))
    return {seed: 1 + (count[seed] - expected[seed]) / usual for seed in sorted(count)} if usual > 0 else {}
