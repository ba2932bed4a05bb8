"""How a cell moves just after an item was shown: an average locked to each item's own exposures.

Here: event-triggered averages and their redrawn null. Not here: windows of consensus events (triggers), which items to
replay (bundles).
Legend: S = seeds, T = increments between captures, N = items, D = redrawn runs, B = draws per step.

Trigger windows need seeds that move at one time. An item that acts whenever it is shown moves every seed at another
time; here each seed is lined up by its own showings. d[s, t] is the mean robust z of the `reach` increments from t on
(t is the one whose batches hold the showing) less that of the `reach` before; an item's effect is the mean of d over
its showings in all seeds, in robust sd of the series. It is standardised by the mean and variance that its policy gives
it at its own number of showings, so that neither phases nor the number count as effect. The null redraws the sampler
over the same series: runs that never were (other seeds) are put in the place of the real ones, and an item is compared
with all items that the policy treats alike at every step, which are exchangeable under it. Planted items are left out:
they are shown at the same steps in every seed, and no redraw says anything about them (triggers handles them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from squiggle_assets.science.cells import ArmSeries, Cell
from squiggle_assets.science.exposures import Exposures, expected_up_to, exposures_of, untimed
from squiggle_assets.science.policy import Policy
from squiggle_assets.science.rng import generator
from squiggle_assets.science.stats import benjamini_hochberg, robust_z

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

NUM_REDRAWN = 200
"""Redrawn runs."""
NUM_STRIDES = 10
"""Ways to hand the redrawn runs out to the seeds: each gives as many draws as there are runs."""
REACH = 2
"""Increments on each side."""

_KEY = ("arm", "analysis_id", "probe_set", "band", "metric_group", "polarity")
SCHEMA: dict[str, type[pl.DataType]] = {
    **{name: pl.Int64 if name == "polarity" else pl.String for name in _KEY},
    **dict.fromkeys(("item_id", "content_sha256", "family_id"), pl.String),
    **dict.fromkeys(("num_exposures", "n_seeds"), pl.Int64),
    **dict.fromkeys(("effect", "expected_effect", "z", "p_value", "q_value"), pl.Float64),
    **{"rank": pl.Int64, "num_null": pl.Int64},
}
"""Columns of the exposure_locked table."""


class _Locked(NamedTuple):
    """Sums over exposures that have `reach` increments on both sides."""

    num: I64
    """[..., S, N] exposures."""
    total: F64
    """[..., S, N] sum of d over them."""


def step_responses(z_ST: F64, reach: int) -> F64:
    """[S, T] mean of z over t .. t + reach - 1 less that over t - reach .. t - 1; nan within reach of the ends.

    ValueError where reach is below 1 or the series is shorter than 2 * reach.
    """
    num = z_ST.shape[1]
    if reach < 1 or num < 2 * reach:
        raise ValueError(f"reach must be from 1 to half of the {num} increments, got {reach}")
    means_SW = sliding_window_view(z_ST, reach, axis=1).mean(axis=2)
    d_ST = np.full(z_ST.shape, np.nan)
    d_ST[:, reach : num - reach + 1] = means_SW[:, reach:] - means_SW[:, :-reach]
    return d_ST


def handed_out(num_runs: int, num_seeds: int) -> list[I64]:
    """Which redrawn run stands for which seed: one [num_runs, num_seeds] a stride, NUM_STRIDES at most.

    In draw r of a stride, run r + s * stride stands for seed s: each run once a seed, no run for two seeds of a draw.
    """
    seeds = np.arange(num_seeds)
    strides = range(1, min(NUM_STRIDES, num_runs // num_seeds) + 1)
    return [(np.arange(num_runs)[:, None] + seeds * stride) % num_runs for stride in strides]


def cell_z(series: ArmSeries, cell: Cell) -> F64:
    """[S, T] robust z of each seed's oriented increments, mean over the series of the cell.

    A series that does not vary in a seed has no scale; it counts as standing still there (0), as in the consensus test.
    """
    z = np.array([[robust_z(series.increments[s, k]) for k in cell.members] for s in range(len(series.seeds))])
    return np.asarray(np.nan_to_num(z, nan=0.0).mean(axis=1))


def exposure_locked(
    consensus: pl.DataFrame,
    series: ArmSeries,
    traces: pl.DataFrame,
    policy: Policy,
    *,
    reach: int = REACH,
    num_redrawn: int = NUM_REDRAWN,
) -> pl.DataFrame:
    """One row per cell and direction with a consensus event, and item that was shown: columns SCHEMA.

    Args:
        consensus: consensus_events of one arm, analysis and probe set; only their cells and polarities are used.
        series: The arm's series; its seeds are the ones used.
        traces: sample_trace rows of these seeds.
        policy: What they were drawn from.
        reach: Increments on each side of a showing.
        num_redrawn: Redrawn runs.

    p is one-sided, towards the polarity of the event. q is Benjamini-Hochberg over all rows.

    Raises:
        ValueError: no such cell, seeds of the series without a trace, captures beyond the trace, reach that does not
            fit, fewer redrawn runs than seeds, and as `exposures_of`.
    """
    wanted = consensus.select(_KEY).unique().sort(_KEY)
    shown = exposures_of(traces.filter(pl.col("seed").is_in(list(series.seeds))), policy)
    _refuse(shown, series, num_redrawn)
    if wanted.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    steps = series.steps
    shape = int(steps[-1]), policy.batch_size
    real = np.stack([drawn[: shape[0]] for drawn in shown.drawn])
    redrawn = _redrawn_runs(policy, shape[0], num_redrawn)
    weight_TN = np.diff(expected_up_to(policy, np.array([0, *steps])), axis=0)
    weight_TN[:, untimed(policy, shape[0])] = 0.0
    null = _Null(real, redrawn, weight_TN, np.searchsorted(steps, np.arange(shape[0]), side="right"))
    frames = []
    for event in wanted.iter_rows(named=True):
        cell = _cell_of(series, event)
        frames.append(null.rows(step_responses(event["polarity"] * cell_z(series, cell), reach), event, policy))
    rows = pl.concat(frames)
    q = benjamini_hochberg(rows["p_value"].to_numpy())
    return rows.with_columns(q_value=pl.Series(q, dtype=pl.Float64)).select(*SCHEMA).cast(pl.Schema(SCHEMA))


def _refuse(shown: Exposures, series: ArmSeries, num_redrawn: int) -> None:
    if shown.seeds != series.seeds:
        raise ValueError(f"traces of the seeds {series.seeds} are needed, got {shown.seeds}")
    if min(shown.num_steps) < series.steps[-1]:
        raise ValueError(f"captures go up to step {series.steps[-1]}, traces up to {min(shown.num_steps)}")
    if num_redrawn < len(series.seeds):
        raise ValueError(f"at least as many redrawn runs as seeds ({len(series.seeds)}) are needed, got {num_redrawn}")


def _cell_of(series: ArmSeries, event: Mapping[str, Any]) -> Cell:
    for cell in series.cells:
        if (f"layers_{cell.layer_lo}_{cell.layer_hi}", cell.group) == (event["band"], event["metric_group"]):
            return cell
    raise ValueError(
        f"the series have no cell {event['band']}.{event['metric_group']}: {[c.name for c in series.cells]}"
    )


def _redrawn_runs(policy: Policy, num_steps: int, num: int) -> I64:
    """[D, steps, B] runs of seeds that no roster holds (2^40 and above)."""
    seeds = generator("exposure_locked", policy.curriculum_id).integers(2**40, 2**62, size=num)
    return np.stack([[policy.draw(int(seed), step) for step in range(num_steps)] for seed in seeds])


class _Null:
    """The exposures of real and redrawn runs, laid on the increments of the series."""

    def __init__(self, real: I64, redrawn: I64, weight_TN: F64, increment_of_step: I64) -> None:
        """real: [S, steps, B]; redrawn: [D, steps, B]; weight_TN: expected draws; increment_of_step: [steps]."""
        self.real, self.redrawn, self.weight = real, redrawn, weight_TN
        self.increment = increment_of_step
        timed = np.flatnonzero(weight_TN.any(axis=0))
        _, alike = np.unique(weight_TN[:, timed], axis=1, return_inverse=True)
        self.kind = np.full(weight_TN.shape[1], -1)
        self.kind[timed] = alike.ravel()

    def rows(self, d_ST: F64, event: Mapping[str, Any], policy: Policy) -> pl.DataFrame:
        """Rows of one cell and direction, best rank first, without q."""
        seeds = np.arange(len(d_ST))
        own = self._locked(self.real[:, None], d_ST[:, None])
        own = _Locked(own.num[:, 0], own.total[:, 0])
        mean, variance = self._moments(d_ST)
        z = _standardised(own, mean, variance)
        every = self._locked(self.redrawn[:, None], d_ST[None])
        null = []
        for place in handed_out(len(self.redrawn), len(seeds)):
            drawn = _Locked(every.num[place, seeds], every.total[place, seeds])
            null.append(_standardised(drawn, mean, variance))
        item = np.flatnonzero((self.kind >= 0) & np.isfinite(z))
        p, num_null = self._levels(z, np.concatenate(null), item)
        num = own.num.sum(axis=0)[item]
        frame = (
            policy.items[item]
            .select("item_id", "content_sha256", "family_id")
            .with_columns(
                *(pl.lit(event[name]).alias(name) for name in _KEY),
                num_exposures=pl.Series(num),
                n_seeds=pl.Series((own.num > 0).sum(axis=0)[item]),
                effect=pl.Series(own.total.sum(axis=0)[item] / num),
                expected_effect=pl.Series((own.num * mean).sum(axis=0)[item] / num),
                z=pl.Series(z[item]),
                p_value=pl.Series(p),
                num_null=pl.Series(num_null),
            )
        )
        frame = frame.sort(["z", "item_id"], descending=[True, False])
        return frame.with_columns(rank=pl.int_range(1, len(frame) + 1, dtype=pl.Int64))

    def _locked(self, drawn: I64, d: F64) -> _Locked:
        """Sums of [X, 1, steps, B] runs against [X or 1, Y, T] responses: [X, Y, N]."""
        size = self.weight.shape[1]
        num, total = [], []
        for x, run in enumerate(drawn[:, 0]):
            responses = d[x if len(d) > 1 else 0][:, self.increment]
            inside = np.isfinite(responses[0])
            items = run[inside]
            num.append(np.tile(np.bincount(items.ravel(), minlength=size), (len(responses), 1)))
            weights = np.repeat(responses[:, inside], items.shape[1], axis=1)
            total.append([np.bincount(items.ravel(), weights=own, minlength=size) for own in weights])
        return _Locked(np.stack(num), np.array(total))

    def _moments(self, d_ST: F64) -> tuple[F64, F64]:
        """[S, N] mean and variance of d at a showing of each item, by the policy."""
        inside = np.isfinite(d_ST[0])
        weight = self.weight[inside]
        share = weight / np.maximum(weight.sum(axis=0), np.finfo(np.float64).tiny)
        mean = d_ST[:, inside] @ share
        return mean, np.maximum(d_ST[:, inside] ** 2 @ share - mean**2, 0.0)

    def _levels(self, z_N: F64, null_DN: F64, item_K: I64) -> tuple[F64, I64]:
        """[K] p against all redrawn z of the items treated alike, and how many they are."""
        p, num = np.empty(len(item_K)), np.empty(len(item_K), dtype=np.int64)
        for kind in np.unique(self.kind[item_K]):
            pooled = null_DN[:, self.kind == kind]
            pooled = np.sort(pooled[np.isfinite(pooled)])
            here = self.kind[item_K] == kind
            above = len(pooled) - np.searchsorted(pooled, z_N[item_K[here]], side="left")
            p[here], num[here] = (1 + above) / (1 + len(pooled)), len(pooled)
        return p, num


def _standardised(locked: _Locked, mean_SN: F64, variance_SN: F64) -> F64:
    """[..., N] (sum - its mean) / its sd over all seeds; nan where there is no exposure or no spread."""
    sd = np.sqrt((locked.num * variance_SN).sum(axis=-2))
    gap = (locked.total - locked.num * mean_SN).sum(axis=-2)
    return np.where(sd > 0, gap / np.where(sd > 0, sd, 1.0), np.nan)
