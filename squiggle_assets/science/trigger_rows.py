"""Rows of the attribution and status tables, from the tested items of each event.

Here: columns, lifts, family context, ranks, status. Not here: the test itself and what it means (triggers), the tables'
models (schemas.triggers).
Legend: S = seeds of the event, N = items of the policy, L = lags, K = items shown in a window of the event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.policy import Policy
from squiggle_assets.science.stats import lift_variance, pooled_binomial_tail, shrunken_lifts
from squiggle_assets.science.trigger_counts import EventCounts
from squiggle_assets.science.trigger_windows import signature_of
from squiggle_assets.science.waves import TriggerSpec

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

METHOD = "exposure_conditioned_binomial"
POLICY_TIME, UNIFORM_TIME = "policy_time", "uniform_time"
TRIGGERS, NONE, SILENT = "triggers", "no triggers", "underpowered"


_KEY = ("arm", "analysis_id", "probe_set", "consensus_event_id", "event_signature", "band", "metric_group", "polarity")
_KEY_SCHEMA: dict[str, type[pl.DataType]] = {name: pl.Int64 if name == "polarity" else pl.String for name in _KEY}
ITEM_SCHEMA: dict[str, type[pl.DataType]] = {
    **_KEY_SCHEMA,
    **dict.fromkeys(("item_id", "content_sha256", "family_id"), pl.String),
    **dict.fromkeys(("lag", "window_lo", "window_hi", "n_seeds"), pl.Int64),
    "seeds_present": pl.String,
    **dict.fromkeys(("count_window", "count_total"), pl.Int64),
    **dict.fromkeys(("expected_window", "expected_policy", "lift", "log_lift_shrunk", "lb05"), pl.Float64),
    **dict.fromkeys(("p_value", "p_lags", "q_value"), pl.Float64),
    **{"family_count": pl.Int64, "family_expected": pl.Float64, "family_lift": pl.Float64},
    **dict.fromkeys(("family_p", "p_in_family", "score_freq"), pl.Float64),
    **{"is_trigger": pl.Boolean, "rank": pl.Int64, "method": pl.String, "null_id": pl.String},
}
"""Columns of the attribution table."""
STATUS_SCHEMA: dict[str, type[pl.DataType]] = {
    **_KEY_SCHEMA,
    **dict.fromkeys(("num_seeds", "num_tested", "num_shown", "num_triggers"), pl.Int64),
    **dict.fromkeys(("smallest_p", "smallest_q", "attainable_q"), pl.Float64),
    **{"status": pl.String, "windows_json": pl.String},
}
"""Columns of the status table."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tested:
    """One event at all lags, for the K items that its windows hold."""

    counts: EventCounts
    shown: I64
    """[K] item indices, ascending."""
    p: F64
    """[L, K]."""

    @property
    def best(self) -> I64:
        """[K] lag of the smallest p, of equals the first."""
        return np.asarray(self.p.argmin(axis=0))

    @property
    def num_tested(self) -> int:
        """Items that some seed of the event was shown at all."""
        return int(self.counts.total.any(axis=0).sum())


def rows_of(one: Tested, p_lags: F64, q: F64, score: F64, policy: Policy, spec: TriggerSpec) -> pl.DataFrame:
    """Attribution rows of one event, best rank first.

    p_lags, q: [K] p over the lags and its q; score: [L, N] frequency scores. Columns: ITEM_SCHEMA.
    """
    at, shown, lag = one.counts.at, one.shown, one.best

    def pick(by_lag: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.stack(by_lag)[lag, shown]

    count, expected = pick([a.count.sum(axis=0) for a in at]), pick([a.expected.sum(axis=0) for a in at])
    variance = np.array([lift_variance(a.count.sum(axis=0), a.expected.sum(axis=0)) for a in at])
    lifts = shrunken_lifts(count, expected, variance[lag])
    above = pick([(a.count > a.expected).sum(axis=0) for a in at])
    frame = policy.items[shown].select("item_id", "content_sha256", "family_id").with_columns(
        lag=pl.Series(np.array(spec.lags)[lag]),
        window_lo=pl.Series(np.array([min(w.start for w in a.windows) for a in at])[lag]),
        window_hi=pl.Series(np.array([max(w.stop for w in a.windows) for a in at])[lag]),
        n_seeds=pl.Series(above),
        seeds_present=pl.Series(_present(one), dtype=pl.String),
        count_window=pl.Series(count),
        count_total=pl.Series(one.counts.total[:, shown].sum(axis=0)),
        expected_window=pl.Series(expected),
        expected_policy=pl.Series(pick([a.by_policy for a in at])),
        lift=pl.Series((count + 0.5) / (expected + 0.5)),
        log_lift_shrunk=pl.Series(lifts.log_lift),
        lb05=pl.Series(lifts.lower),
        p_value=pl.Series(one.p.min(axis=0)),
        p_lags=pl.Series(p_lags),
        q_value=pl.Series(q),
        **_family_context(one, count, expected, policy),
        score_freq=pl.Series(score[lag, shown]),
        is_trigger=pl.Series((q <= spec.max_q) & (above >= spec.min_seeds)),
        method=pl.lit(METHOD),
        null_id=pl.Series(np.where(one.counts.untimed[shown], UNIFORM_TIME, POLICY_TIME), dtype=pl.String),
    ).with_columns(**_literals(one.counts.event))  # fmt: skip
    frame = frame.sort(["lb05", "p_value", "item_id"], descending=[True, False, False])
    return (
        frame.with_columns(rank=pl.int_range(1, len(frame) + 1, dtype=pl.Int64))
        .select(*ITEM_SCHEMA)
        .cast(pl.Schema(ITEM_SCHEMA))
    )


def _present(one: Tested) -> list[str]:
    """[K] JSON lists of the seeds whose window at the best lag holds the item."""
    seeds = np.array([window.seed for window in one.counts.at[0].windows])
    held = np.stack([at.count > 0 for at in one.counts.at])[one.best, :, one.shown]
    patterns, which = np.unique(held, axis=0, return_inverse=True)
    names = [canonical_json(seeds[pattern].tolist()) for pattern in patterns]
    return [names[k] for k in which.ravel()]


def _family_context(one: Tested, count: I64, expected: F64, policy: Policy) -> dict[str, pl.Series]:
    names, family = np.unique(policy.items["family_id"].to_numpy(), return_inverse=True)

    def by_family(values_SN: NDArray[Any]) -> F64:
        sums = np.bincount(family, weights=values_SN.sum(axis=0), minlength=len(names))
        return np.asarray(sums, dtype=np.float64)

    own = family[one.shown]
    counts = np.stack([by_family(at.count) for at in one.counts.at])[one.best, own].astype(np.int64)
    means = np.stack([by_family(at.expected) for at in one.counts.at])[one.best, own]
    totals = by_family(one.counts.total)[own].astype(np.int64)
    part = np.divide(expected, means, out=np.ones_like(expected), where=means > 0)
    return {
        "family_count": pl.Series(counts),
        "family_expected": pl.Series(means),
        "family_lift": pl.Series((counts + 0.5) / (means + 0.5)),
        "family_p": pl.Series(pooled_binomial_tail(counts, totals, means)),
        "p_in_family": pl.Series(pooled_binomial_tail(count, counts, np.asarray(counts * part, dtype=np.float64))),
    }


def _key(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: signature_of(event) if name == "event_signature" else event[name] for name in _KEY}


def _literals(event: Mapping[str, Any]) -> dict[str, pl.Expr]:
    return {name: pl.lit(value, _KEY_SCHEMA[name]) for name, value in _key(event).items()}


def status_of(one: Tested, rows: pl.DataFrame, num_tests: int, spec: TriggerSpec) -> dict[str, Any]:
    """The status row of one event, from its attribution rows and the number of tests over all events."""
    num_triggers = int(rows["is_trigger"].sum())
    attainable = min(1.0, _smallest_attainable_p(one.counts) * len(spec.lags) * num_tests)
    silent = SILENT if attainable > spec.max_q else NONE
    return {
        **_key(one.counts.event),
        "num_seeds": len(one.counts.total),
        "num_tested": one.num_tested,
        "num_shown": len(rows),
        "num_triggers": num_triggers,
        "smallest_p": rows["p_lags"].min(),
        "smallest_q": rows["q_value"].min(),
        "attainable_q": attainable,
        "status": TRIGGERS if num_triggers else silent,
        "windows_json": canonical_json(
            {
                str(lag): {str(w.seed): [w.start, w.stop] for w in at.windows}
                for lag, at in zip(spec.lags, one.counts.at, strict=True)
            }
        ),
    }


def _smallest_attainable_p(counts: EventCounts) -> float:
    """The p that the most telling item would get if all its showings lay in the windows, at its best lag."""
    logs = [(counts.total * np.log(np.where(at.share > 0, at.share, 1.0))).sum(axis=0).min() for at in counts.at]
    return float(np.exp(min(logs)))
