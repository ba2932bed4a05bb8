"""Which triggers persist when the sampling mode changes, and which depend on it.

Here: the trigger_modes table (lift of each trigger in every mode, heterogeneity, class) and, per mode, how the triggers
found under it do in the others. Not here: which triggers there are and who counts them (mode_halves), the claims.
Legend: K = triggers, M = modes, S = seeds.

Everything is measured on seeds that did not find the trigger (mode_halves), at its event with the smallest q in each
mode, at the lag at which it was found. The rules, stated beforehand:

robust: tested in at least two modes; in every one of them the lower bound of the lift is above 1, and q_every at most
MAX_Q (p_every: the largest of the modes' exact p, an intersection-union test, valid however the modes depend on one
another; q over all triggers); heterogeneity is not significant (q_heterogeneity above MAX_Q).
distribution-sensitive: q_heterogeneity at most MAX_Q, and in some mode the lift is there: its p times the number of
modes is at most LEVEL. A lift that is there in no mode is sensitive to nothing.
inconclusive: everything else, a trigger that only one mode could show included. It is no third kind of trigger.

A lift is relative to what its mode would have shown. An item that comes before every event in every mode has the larger
lift where it is shown less, and may be called sensitive for that; lifts_json has counts and expectations beside it.
That heterogeneity is not significant does not say that lifts are equal; robust says that the lift is there in every
mode. Q takes the modes as independent; draws that they share make it too small, so sensitivity errs to the safe side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.mode_halves import (
    Counted,
    Found,
    ModeRuns,
    Windows,
    common_share,
    found_triggers,
    halves_of,
)
from squiggle_assets.science.mode_persistence import PERSISTENCE_SCHEMA, persistence_rows
from squiggle_assets.science.stats import benjamini_hochberg, binomial_sum_tail, poisson_lower
from squiggle_assets.science.stats.heterogeneity import i_squared, lift_q, split_p
from squiggle_assets.science.waves import TriggerSpec

F64 = NDArray[np.float64]

LEVEL = 0.05
"""Of one-sided bounds and of the lift that must be there in some mode."""
MAX_Q = 0.05
"""Share of false discoveries over all triggers of the study."""
ROBUST, SENSITIVE, OPEN = "robust", "distribution-sensitive", "inconclusive"

SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("event_signature", "item_id", "content_sha256", "family_id"), pl.String),
    **dict.fromkeys(("found_in", "found_on", "measured_on"), pl.String),
    **{"lag": pl.Int64, "num_modes": pl.Int64, "modes_present": pl.String, "lifts_json": pl.String},
    **dict.fromkeys(("cochran_q", "i_squared", "p_heterogeneity", "q_heterogeneity"), pl.Float64),
    **dict.fromkeys(("p_every", "q_every"), pl.Float64),
    "mode_class": pl.String,
}
"""Columns of the trigger_modes table but study, analysis_id and probe_set."""


class ModeTables(NamedTuple):
    """What the study says about persistence."""

    items: pl.DataFrame
    """One row per event signature and trigger: the trigger_modes table."""
    persistence: pl.DataFrame
    """One row per mode: the trigger_persistence table."""


class Lift(NamedTuple):
    """One trigger in one mode."""

    num: int
    """Showings in the windows."""
    expected: float
    lower: float
    """Exact one-sided lower bound of the lift."""
    p_value: float
    """Exact upper tail of the count given how often each run showed the item."""


def trigger_modes(modes: Sequence[ModeRuns], spec: TriggerSpec | None = None) -> ModeTables:
    """Triggers of all modes and how they do in each; an empty table of triggers where none was found.

    Args:
        modes: The runs of every mode; same items, same seeds.
        spec: Lags and thresholds by which a half of the seeds finds triggers.

    Raises:
        ValueError: as `halves_of`, `attribute` and `count_windows`.
    """
    spec = spec or TriggerSpec()
    return judged(found_triggers(modes, halves_of(modes), spec), modes, spec)


def judged(found: Sequence[Found], modes: Sequence[ModeRuns], spec: TriggerSpec) -> ModeTables:
    """The same for triggers that are given, each measured on the half that did not find it.

    One that both halves found has one row, by what the second half's seeds say (they took no part in the first one's
    choice, and measuring on both would choose again); in the pooled persistence it counts in both directions.
    """
    halves = halves_of(modes)
    windows = {(runs.mode, half): Windows(runs, half, spec) for runs in modes for half in halves}
    # By half: a family's count must not be cleared of items that the measuring seeds themselves happened to show often.
    names = {half: sorted({one.item_id for one in found if one.half == half}) for half in halves}
    counted = [
        {
            runs.mode: own
            for runs in modes
            if (own := windows[runs.mode, one.half].counted(one, names[one.half])) is not None
        }
        for one in found
    ]
    shares = {runs.mode: max(common_share(runs, other) for other in modes if other.mode != runs.mode) for runs in modes}
    once: dict[tuple[str, str], tuple[Found, dict[str, Counted]]] = {}
    for one, by_mode in sorted(zip(found, counted, strict=True), key=lambda pair: halves.index(pair[0].half)):
        once.setdefault((one.signature, one.item_id), (one, by_mode))
    return ModeTables(
        _item_rows([one for one, _ in once.values()], [by_mode for _, by_mode in once.values()], modes),
        pl.DataFrame(persistence_rows(found, counted, shares), schema=PERSISTENCE_SCHEMA, orient="row"),
    )


def lift_of(counted: Counted) -> Lift:
    """The lift over all measuring seeds, with its exact bound and p."""
    count, expected = int(counted.num.sum()), float((counted.total * counted.share).sum())
    p = binomial_sum_tail(counted.num.sum()[None], counted.total[None], counted.share[None])
    return Lift(count, expected, float(poisson_lower(count, LEVEL)) / expected, float(p[0]))


def _item_rows(
    found: Sequence[Found], counted: Sequence[dict[str, Counted]], modes: Sequence[ModeRuns]
) -> pl.DataFrame:
    if not found:
        return pl.DataFrame(schema=SCHEMA)
    about = pl.concat([runs.policy.items.select("item_id", "content_sha256", "family_id") for runs in modes])
    known = {row["item_id"]: row for row in about.unique("item_id").iter_rows(named=True)}
    lifts = [{mode: lift_of(own) for mode, own in sorted(by_mode.items())} for by_mode in counted]
    rows = [{**known[one.item_id], **_row(one, own)} for one, own in zip(found, lifts, strict=True)]
    for name in ("every", "heterogeneity"):
        p = np.array([row[f"p_{name}"] for row in rows], dtype=np.float64)
        for row, q in zip(rows, _q(p), strict=True):
            row[f"q_{name}"] = q
    for row, own in zip(rows, lifts, strict=True):
        row["mode_class"] = class_of(tuple(own.values()), row["q_every"], row["q_heterogeneity"])
    table = pl.DataFrame([{name: row[name] for name in SCHEMA} for row in rows], schema=SCHEMA, orient="row")
    return table.with_columns(pl.col(pl.Float64).fill_nan(None)).sort("event_signature", "item_id")


def _q(p: F64) -> F64:
    """A trigger that could not be tested stays a member of its family, with a p of 1 and no q."""
    return np.where(np.isnan(p), np.nan, benjamini_hochberg(np.nan_to_num(p, nan=1.0)))


def _row(one: Found, lifts: dict[str, Lift]) -> dict[str, Any]:
    tested = len(lifts) > 1
    count = np.array([lift.num for lift in lifts.values()], dtype=np.int64)
    expected = np.array([lift.expected for lift in lifts.values()])
    q = float(lift_q(count[None], expected[None])[0]) if tested else float("nan")
    return {
        "event_signature": one.signature,
        "found_in": canonical_json(list(one.modes)),
        "found_on": canonical_json(list(one.half.finds)),
        "measured_on": canonical_json(list(one.half.measures)),
        "lag": one.lag,
        "num_modes": len(lifts),
        "modes_present": canonical_json([mode for mode, lift in lifts.items() if lift.lower > 1]),
        "lifts_json": canonical_json({mode: _told(lift) for mode, lift in lifts.items()}),
        "cochran_q": q,
        "i_squared": i_squared(q, len(lifts)),
        "p_heterogeneity": split_p(count, expected),
        "p_every": max(lift.p_value for lift in lifts.values()) if tested else float("nan"),
    }


def _told(lift: Lift) -> dict[str, float]:
    value = (lift.num + 0.5) / (lift.expected + 0.5)
    told = {"count": lift.num, "expected": lift.expected, "lift": value, "lower": lift.lower, "p": lift.p_value}
    return {name: float(f"{number:.6g}") for name, number in told.items()}


def class_of(lifts: Sequence[Lift], q_every: float, q_heterogeneity: float) -> str:
    """robust, distribution-sensitive or inconclusive, by the rules at the head of this module."""
    if len(lifts) < 2:
        return OPEN
    if q_heterogeneity <= MAX_Q:
        there = min(lift.p_value for lift in lifts) * len(lifts) <= LEVEL
        return SENSITIVE if there else OPEN
    everywhere = all(lift.lower > 1 for lift in lifts)
    return ROBUST if everywhere and q_every <= MAX_Q else OPEN
