"""Outcomes of the arms of a curriculum study: event counts beside their nulls, held-out scores, floors.

Here: rows of arm_outcomes, final scores by seed, the floor check. Not here: comparisons and verdicts (claims).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors

from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.comparison import ArmData, count_interval
from squiggle_assets.science.pairing import Pairing
from squiggle_assets.science.spec import Study
from squiggle_assets.science.stats import Interval, benjamini_hochberg, t_interval

F64 = NDArray[np.float64]

FINALS = tuple(f"val_{split}_{what}" for split in ("random", "family") for what in ("loss", "token_acc", "answer_acc"))
"""Scalars whose last value is an outcome."""
FLOOR_LOSS, FLOOR_ACCURACIES = "val_random_loss", ("val_random_token_acc", "val_random_answer_acc")
MIN_LOSS_DROP = 0.02
"""Nats/token that the held-out loss must fall by: 2 % of perplexity. Judgement, not measured."""
MIN_ACCURACY_GAIN = 0.01
"""Share that an accuracy must rise by: one token (or answer) in a hundred, under one of the 64 validated items."""
_COUNT_METHOD = (
    "p: share of null draws with at least as many events, larger of shift and surrogate; interval: t with the "
    "larger of jackknife over seeds and sd of the null counts, null mean held fixed"
)
_SCHEMA = {
    **dict.fromkeys(("arm", "outcome", "unit"), pl.String),
    **dict.fromkeys(("value", "null_mean", "excess", "pairing_mean", "pairing_p"), pl.Float64),
    **dict.fromkeys(("ci_lo", "ci_hi", "p_value", "q_value"), pl.Float64),
    **{"n_seeds": pl.Int64, "seeds": pl.String, "method": pl.String},
}


class Floor(NamedTuple):
    """Whether training moved an arm's held-out loss and accuracy at all."""

    left: bool
    loss_drop: Interval
    """95 % t interval over seeds of first - last held-out loss."""
    accuracy_gains: Mapping[str, Interval]
    """Of last - first, per accuracy that was measured."""


def final_scores(scalars: pl.DataFrame, arm: str, metric: str) -> dict[int, tuple[float, float]]:
    """First and last value of a scalar by seed of one arm; seeds without it are absent.

    First is the one before training (step 0) where it was measured.
    """
    rows = scalars.filter((pl.col("arm") == arm) & (pl.col("metric") == metric)).sort("seed", "step")
    ends = rows.group_by("seed", maintain_order=True).agg(first=pl.col("value").first(), last=pl.col("value").last())
    return {seed: (first, last) for seed, first, last in ends.iter_rows()}


def floor_check(scalars: pl.DataFrame, arm: str) -> Floor:
    """Left the floor: loss fell and an accuracy (token or whole answer) rose by more than the module's minima.

    It is the lower ends of the intervals that must exceed MIN_LOSS_DROP and MIN_ACCURACY_GAIN.
    """

    def gain(metric: str, sign: float) -> Interval:
        ends = final_scores(scalars, arm, metric).values()
        return t_interval(np.array([sign * (last - first) for first, last in ends]))

    drop = gain(FLOOR_LOSS, -1.0)
    gains = {metric: gain(metric, 1.0) for metric in FLOOR_ACCURACIES}
    rose = any(found.lo > MIN_ACCURACY_GAIN for found in gains.values())
    return Floor(bool(drop.lo > MIN_LOSS_DROP and rose), drop, gains)


def arm_outcomes(
    arms: Mapping[str, ArmData], scalars: pl.DataFrame, pairing: Pairing, *, study: Study, analysis_id: str
) -> pl.DataFrame:
    """The arm_outcomes table: counts and yield with nulls and excess, final held-out scores with t intervals.

    q: Benjamini-Hochberg over the study's arms, for the count; an arm that is not among those given (fewer than 2 of
    its runs went to their end) stays one of them with a p of 1, so that what went wrong in one arm does not make the
    others easier. pairing_p is no part of p or q: it asks another question.
    """
    counts = {name: _count_row(arm) for name, arm in arms.items()}
    p = {arm.name: counts[arm.name]["p_value"] if arm.name in counts else 1.0 for arm in study.arms}
    q = dict(zip(p, benjamini_hochberg(np.array(list(p.values()))), strict=True))
    rows: list[dict[str, Any]] = []
    for name, arm in arms.items():
        shared = {"arm": name, "n_seeds": len(arm.series.seeds), "seeds": canonical_json(list(arm.series.seeds))}
        own = {"pairing_mean": pairing.mean, "pairing_p": pairing.p_values.get(name)}
        count = {**counts[name], "q_value": float(q[name]), **own}
        rows += [{**shared, **count}, {**shared, **_yield_row(count, arm.total_steps)}]
        for metric in FINALS:
            ends = final_scores(scalars, name, metric)
            if ends:
                rows.append({**shared, **_final_row(metric, ends)})
    keys = (pl.lit(study.name).alias("study"), pl.lit(analysis_id).alias("analysis_id"))
    found = pl.DataFrame([{name: row.get(name) for name in _SCHEMA} for row in rows], schema=_SCHEMA)
    return found.select(*keys, pl.all()).with_columns(selectors.float().fill_nan(None))


def _count_row(arm: ArmData) -> dict[str, Any]:
    null_mean = arm.null_mean()
    interval = count_interval(arm).shifted(-null_mean)
    return {
        "outcome": "consensus_event_count",
        "unit": "events",
        "value": float(arm.count),
        "null_mean": null_mean,
        "excess": arm.count - null_mean,
        "ci_lo": interval.lo,
        "ci_hi": interval.hi,
        "p_value": arm.count_p(),
        "method": _COUNT_METHOD,
    }


def _yield_row(count: Mapping[str, Any], total_steps: int) -> dict[str, Any]:
    """The count over the steps of the budget: the same test on another scale."""
    scaled = ("value", "null_mean", "excess", "ci_lo", "ci_hi", "pairing_mean")
    per_step = {name: None if count[name] is None else count[name] / total_steps for name in scaled}
    return {**count, **per_step, "outcome": "event_yield_per_step", "unit": "events/step"}


def _final_row(metric: str, ends: Mapping[int, tuple[float, float]]) -> dict[str, Any]:
    last = np.array([pair[1] for pair in ends.values()])
    interval = t_interval(last)
    return {
        "outcome": f"final_{metric}",
        "unit": "nats/token" if metric.endswith("loss") else "share",
        "value": float(last.mean()),
        "ci_lo": interval.lo,
        "ci_hi": interval.hi,
        "n_seeds": len(last),
        "method": "mean over seeds of the last value; t interval",
    }


def paired_final(scalars: pl.DataFrame, metric: str, arm: str, against: str, seeds: Sequence[int]) -> F64:
    """Last value of a scalar in one arm less that in another, for the seeds that both have; ValueError if none has."""
    mine, theirs = final_scores(scalars, arm, metric), final_scores(scalars, against, metric)
    shared = [seed for seed in seeds if seed in mine and seed in theirs]
    if not shared:
        raise ValueError(f"arms {arm!r} and {against!r} share no seed with scalar {metric!r}")
    return np.array([mine[seed][1] - theirs[seed][1] for seed in shared])
