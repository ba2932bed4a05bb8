"""Which items were shown before a consensus event more often than chance explains.

Here: the attribution table of one arm, its status rows, the ranked list of one event. Not here: windows
(trigger_windows), bundles (bundles), agreement of lists (trigger_overlap), what replays show.
Legend: S = seeds, N = items of the policy, L = lags, K = items shown in a window of the event.

The test conditions on exposure. Given that a run showed an item n times, each showing falls into a window with the
share q of the item's expected draws that the policy has there, q = mu(window) / mu(run); the count over seeds is a sum
of Binomial(n, q), and p its exact upper tail. What varies between items that chance showed more or less often says
nothing about events, so it is conditioned away, and phases and ramps enter through q. Real draws are without
replacement in this sense (a slot holds one item), which makes their count less variable than the binomial: p errs to
the safe side, visibly only where an item fills a good part of a batch.
Where a policy fixes when an item is shown (planted items) or never draws it (items that a replay put in), its own
expectation would explain every count: a planted item's lift under the policy that planted it is 1. For these q is
uniform in time, the steps of the window over those of the run. Such a p says that the item came before the event, and
not that another item, or nothing, at that time would not have done: they are shown at the same steps in every seed,
and only a replay tells the two apart (null_id uniform_time; the others are policy_time).

An item and event are tested at every pre-registered lag; p_lags is the smallest p times the number of lags, and q is
Benjamini-Hochberg over all items × events, the two nulls apart: planted items are found in every event that follows
them, and in one family with the others each would make these easier (40 such rows in the demo let an ordinary item with
a p of .0004 pass at q .099; in simulations a study without any effect of ordinary items found some in 17 of 40 instead
of 4 of 40). Items that no matched seed drew cannot be tested and do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.exposures import exposures_of
from squiggle_assets.science.policy import Policy
from squiggle_assets.science.stats import benjamini_hochberg, binomial_sum_tail
from squiggle_assets.science.trigger_counts import EventCounts, count_windows
from squiggle_assets.science.trigger_rows import ITEM_SCHEMA, STATUS_SCHEMA, Tested, rows_of, status_of
from squiggle_assets.science.waves import TriggerSpec

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Attribution(NamedTuple):
    """What attribution says about the consensus events of one arm."""

    items: pl.DataFrame
    """One row per event and item shown in one of its windows: the trigger_attribution table."""
    status: pl.DataFrame
    """One row per event: the trigger_status table."""


def attribute(
    consensus: pl.DataFrame, traces: pl.DataFrame, policy: Policy, spec: TriggerSpec | None = None
) -> Attribution:
    """Triggers of the consensus events of one arm, analysis and probe set.

    Args:
        consensus: Rows of consensus_events; each is one event, each of its constituents one seed.
        traces: sample_trace rows of the arm's runs; seed, step and item_id are read.
        policy: What the runs were drawn from.
        spec: Lags and thresholds.

    An item is a trigger where q <= max_q and at least min_seeds seeds showed it more often than expected. Statistics of
    an item are those at its best lag. Lifts are (c + .5) / (mu + .5); lb05 is the 5 % quantile of the posterior log
    lift (stats.shrunken_lifts, prior variance from all tested items of the event and lag); rank goes by lb05.
    family_p is the same test on the family's counts (pooled over seeds, stats.pooled_binomial_tail), p_in_family that
    of the item given its family's count in the windows. score_freq is the sources' score over all events at that lag:
    seeds × windows × (1 + .05 × draws), windows and draws counted over events and seeds.

    Raises:
        ValueError: as `exposures_of` and `count_windows`.
    """
    spec = spec or TriggerSpec()
    counted = count_windows(consensus, exposures_of(traces, policy), policy, spec.lags)
    if not counted:
        return Attribution(pl.DataFrame(schema=ITEM_SCHEMA), pl.DataFrame(schema=STATUS_SCHEMA))
    tested = _tested(counted)
    num_tested = sum(one.num_tested for one in tested)
    p_lags = [np.minimum(1.0, len(spec.lags) * one.p.min(axis=0)) for one in tested]
    q = _levels(tested, p_lags)
    score = _frequency_scores(counted)
    frames = [rows_of(one, p, own_q, score, policy, spec) for one, p, own_q in zip(tested, p_lags, q, strict=True)]
    status = [status_of(one, frame, num_tested, spec) for one, frame in zip(tested, frames, strict=True)]
    return Attribution(pl.concat(frames), pl.DataFrame(status, schema=STATUS_SCHEMA, orient="row"))


def ranked_triggers(items: pl.DataFrame, consensus_event_id: str) -> pl.DataFrame:
    """The triggers of one event, best first: rows of Attribution.items; empty where there are none."""
    own = (pl.col("consensus_event_id") == consensus_event_id) & pl.col("is_trigger")
    return items.filter(own).sort("rank")


def _tested(counted: Sequence[EventCounts]) -> list[Tested]:
    """Exact p of every item shown in a window; all events in one call, seeds that an event lacks as 0 trials."""
    shown = [np.flatnonzero(np.any([at.count.any(axis=0) for at in one.at], axis=0)) for one in counted]
    seeds = max(len(one.total) for one in counted)

    def stacked(values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([np.pad(rows.T, ((0, 0), (0, seeds - len(rows)))) for rows in values])

    cells = [(one, at, k) for one, k in zip(counted, shown, strict=True) for at in one.at]
    p = binomial_sum_tail(
        np.concatenate([at.count[:, k].sum(axis=0) for _, at, k in cells]),
        stacked([one.total[:, k] for one, _, k in cells]),
        stacked([at.share[:, k] for _, at, k in cells]),
    )
    parts = np.split(p, np.cumsum([len(one.at) * len(k) for one, k in zip(counted, shown, strict=True)]))[:-1]
    return [
        Tested(counts=one, shown=k, p=own.reshape(len(one.at), len(k)))
        for one, k, own in zip(counted, shown, parts, strict=True)
    ]


def _levels(tested: Sequence[Tested], p_lags: Sequence[F64]) -> list[F64]:
    """The q of every event's shown items, corrected over all events within each null."""
    untimed = [one.counts.untimed[one.shown] for one in tested]
    q = np.ones(sum(map(len, p_lags)))
    for null in (False, True):
        mine = np.concatenate(untimed) == null
        num = sum(int((one.counts.total.any(axis=0) & (one.counts.untimed == null)).sum()) for one in tested)
        # Items that no window holds have p = 1: they count as tests and need no row.
        together = np.concatenate([np.concatenate(p_lags)[mine], np.ones(num - int(mine.sum()))])
        q[mine] = benjamini_hochberg(together)[: int(mine.sum())]
    return np.split(q, np.cumsum([len(p) for p in p_lags]))[:-1]


def _frequency_scores(counted: Sequence[EventCounts]) -> F64:
    """[L, N] the sources' frequency score over all events."""
    scores = []
    for lag in range(len(counted[0].at)):
        here = [one.at[lag] for one in counted]
        windows = sum((at.count > 0).sum(axis=0) for at in here)
        draws = sum(at.count.sum(axis=0) for at in here)
        seen: dict[int, NDArray[np.bool_]] = {}
        for at in here:
            for window, count in zip(at.windows, at.count, strict=True):
                seen[window.seed] = seen.get(window.seed, np.zeros(len(count), dtype=bool)) | (count > 0)
        scores.append(np.sum(list(seen.values()), axis=0) * windows * (1 + 0.05 * draws))
    return np.stack(scores).astype(np.float64)
