"""Whether held-out loss or accuracy of a family turns where the representation has an event.

Here: from the tables of an arm to the rows of probe_event_correlation and probe_event_status. Not here: the series
(probe_series), the statistic and its nulls (probe_turns), events (consensus), any claim: a turn is no cause.
Legend: S = seeds, T = increments.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors

from squiggle_assets.science import rng
from squiggle_assets.science.cells import Schedule
from squiggle_assets.science.matching import tolerance
from squiggle_assets.science.metrics import METRIC_GROUPS
from squiggle_assets.science.nulls import segments_of
from squiggle_assets.science.probe_series import ProbeSeries, probe_series
from squiggle_assets.science.probe_turns import WINDOW, Tested, eligible, event_test
from squiggle_assets.science.spec import ConsensusSpec
from squiggle_assets.science.stats import benjamini_hochberg, correlation

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MIN_TIMES = 5
"""Different times of events that the other seeds must have for the second null."""
_COLUMNS: dict[str, Any] = {
    **dict.fromkeys(("arm", "test_id", "consensus_event_id", "event_class", "probe_id", "probe_set"), pl.String),
    **{"family_id": pl.String, "measure": pl.String, "lag": pl.Int64},
    **dict.fromkeys(("change_pre_post", "xcorr", "statistic"), pl.Float64),
    "n_seeds": pl.Int64,
    **dict.fromkeys(("p_shift", "p_other_seeds", "p_null", "q"), pl.Float64),
    "null_id": pl.String,
}
_STATUS: dict[str, Any] = {
    **dict.fromkeys(("arm", "test_id", "status"), pl.String),
    **dict.fromkeys(("n_seeds", "num_events", "num_probes", "num_draws"), pl.Int64),
    **{"smallest_p": pl.Float64, "num_significant": pl.Int64},
}


class Correlation(NamedTuple):
    """The two tables of one arm."""

    correlation: pl.DataFrame
    status: pl.DataFrame


def correlate(
    events: pl.DataFrame,
    singles: pl.DataFrame,
    losses: pl.DataFrame,
    scalars: pl.DataFrame,
    *,
    arm: str,
    analysis_id: str,
    schedule: Schedule,
    spec: ConsensusSpec,
) -> Correlation:
    """The probe series of an arm at each of its consensus events.

    A seed without a part in an event is looked at the event's median step. Draws: draws_per_cell times the number of
    tests. q: Benjamini-Hochberg over all probes and events. With no event, fewer than 2 seeds or no probe with a loss
    there are no rows, and the status says so.

    Args:
        events: rows of consensus_events, all of one arm: those that are looked into.
        singles: events of its runs (seed, probe_set, layer, metric, event_type, step), for the second null.
        losses: probe_losses of the same runs; runs that were stopped are left out of all frames.
        scalars: of the same runs.
        arm: whose runs they are; analysis_id: of the events, which becomes test_id.
        analysis_id: version of the interpretation.
        schedule: of the runs.
        spec: draws and alpha.

    Raises:
        ValueError: as probe_series.
    """
    keys = {"arm": arm, "test_id": analysis_id}
    num_seeds = losses["seed"].n_unique()
    if losses.is_empty() or num_seeds < 2:
        status = "no probes" if losses.is_empty() and scalars["seed"].n_unique() > 1 else "too few seeds"
        return _nothing(keys, status, max(num_seeds, scalars["seed"].n_unique()), 0)
    series = probe_series(losses, scalars)
    placed = [(event, _times(event, series)) for event in events.iter_rows(named=True)]
    where = eligible(len(series.steps))
    placed = [(event, times) for event, times in placed if all(int(time) in where for time in times)]
    if not placed:
        return _nothing(keys, "no events", num_seeds, len(series.probes))
    num_draws = spec.draws_per_cell * len(placed) * len(series.probes)
    segments = segments_of(series.steps, schedule, tolerance(series.steps, spec.tolerance_steps))
    rows: list[dict[str, Any]] = []
    for event, times in placed:
        middle = int(np.median(times))
        segment = next((lo, hi) for lo, hi in segments if lo <= middle < hi)
        draws = rng.generator("probe_correlation", spec.seed, arm, event["consensus_event_id"])
        pools = _pools(event, singles, series)
        found = event_test(series, times, segment, pools, num_draws=num_draws, draws=draws)
        rows += _rows(event, series, times, found)
    table = _table(rows, keys)
    told: dict[str, Any] = {
        **keys,
        **{"status": "tested", "n_seeds": num_seeds, "num_events": len(placed), "num_probes": len(series.probes)},
        **{"num_draws": num_draws, "smallest_p": 1 / (1 + num_draws)},
        "num_significant": int((table["q"] <= spec.alpha).sum()),
    }
    return Correlation(table, pl.DataFrame([told], schema=_STATUS))


def _nothing(keys: dict[str, str], status: str, num_seeds: int, num_probes: int) -> Correlation:
    counts = {"n_seeds": num_seeds, "num_events": 0, "num_probes": num_probes, "num_draws": 0, "num_significant": 0}
    row = {**keys, "status": status, **counts, "smallest_p": None}
    return Correlation(pl.DataFrame(schema=_COLUMNS), pl.DataFrame([row], schema=_STATUS))


def _index(steps: F64, series: ProbeSeries) -> I64:
    """The increment whose later capture is nearest to each step."""
    distance = np.abs(series.steps[None] - np.asarray(steps, dtype=np.float64)[:, None])
    return np.asarray(distance.argmin(axis=1), dtype=np.int64)


def _times(event: dict[str, Any], series: ProbeSeries) -> I64:
    own = {int(seed): found["step"] for seed, found in json.loads(event["constituents"]).items()}
    return _index(np.array([own.get(seed, event["median_step"]) for seed in series.seeds], dtype=np.float64), series)


def _pools(event: dict[str, Any], singles: pl.DataFrame, series: ProbeSeries) -> list[I64] | None:
    rows = singles.filter(
        (pl.col("probe_set") == event["probe_set"])
        & pl.col("layer").is_between(event["layer_lo"], event["layer_hi"])
        & pl.col("metric").is_in(METRIC_GROUPS[event["metric_group"]])
    )
    where = eligible(len(series.steps))
    pools = []
    for seed in series.seeds:
        others = rows.filter(pl.col("seed") != seed)["step"].to_numpy().astype(np.float64)
        times = np.array([t for t in _index(others, series) if int(t) in where], dtype=np.int64)
        pools.append(times)
    return pools if min(len(np.unique(pool)) for pool in pools) >= MIN_TIMES else None


def _rows(event: dict[str, Any], series: ProbeSeries, times: I64, found: Tested) -> list[dict[str, Any]]:
    rows = []
    for q, probe in enumerate(series.probes):
        p = {"shift": float(found.p_shift[q]), "other_seeds": float(found.p_other_seeds[q])}
        worst = "other_seeds" if p["other_seeds"] > p["shift"] else "shift"
        rows.append(
            {
                "consensus_event_id": event["consensus_event_id"],
                "event_class": f"{event['band']}.{event['metric_group']}",
                "probe_id": probe.name,
                **probe._asdict(),
                "lag": int(found.lag[q]),
                "change_pre_post": float(found.change[q]),
                "xcorr": _xcorr(series.z[:, q], times + found.lag[q]),
                "statistic": float(found.statistic[q]),
                "n_seeds": len(series.seeds),
                "p_shift": p["shift"],
                "p_other_seeds": p["other_seeds"],
                "p_null": p[worst],
                "null_id": worst,
            }
        )
    return rows


def _xcorr(z_ST: F64, at_S: I64) -> float:
    """Correlation of the mean series around the event with a step there, over what all seeds have of the window."""
    num = z_ST.shape[1]
    before, after = min(WINDOW, int(at_S.min())), min(WINDOW, num - int(at_S.max()))
    offsets = np.arange(-before, after)
    mean = z_ST[np.arange(len(z_ST))[:, None], at_S[:, None] + offsets].mean(axis=0)
    return float(correlation(mean, np.where(offsets >= 0, 1.0, 0.0)))


def _table(rows: list[dict[str, Any]], keys: dict[str, str]) -> pl.DataFrame:
    q = benjamini_hochberg(np.array([row["p_null"] for row in rows]))
    full = [{**keys, **row, "q": float(level)} for row, level in zip(rows, q, strict=True)]
    return pl.DataFrame(full, schema=_COLUMNS).with_columns(selectors.float().fill_nan(None))
