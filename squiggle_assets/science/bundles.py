"""The smallest set of items that still does it: first by lift on seeds that did not choose it, then by replay.

Here: minimal trigger bundles of consensus events, and the smallest replayed bundle that acts. Not here: single items
(triggers), replays themselves.

Ranking and testing on the same counts would find a bundle in noise. So the matched seeds of an event are parted into
two halves (every other one, in ascending order). The top k of either half's ranking are counted in the windows of the
other half, at the lag that the ranking half chose; the bundle of size k holds if in both directions the exact lower
bound of its pooled lift is above 1. The level is shared over the sizes that are tried (Bonferroni), so that "some size
holds" errs with at most 5 % in either direction. That level is unconditional: rows are made only for events with
triggers over all seeds, and of those more may hold by chance. What is then handed on are the top k of the ranking over
all seeds.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.exposures import exposures_of
from squiggle_assets.science.policy import Policy
from squiggle_assets.science.stats import poisson_lower
from squiggle_assets.science.trigger_counts import EventCounts, count_windows
from squiggle_assets.science.triggers import attribute
from squiggle_assets.science.waves import CONTROLS, TriggerSpec

SIZES = (1, 2, 5, 10, 25, 50)
"""Bundle sizes that are tried."""
LEVEL = 0.05
"""One-sided, over all sizes of one event."""
ACTING = ("kills", "delays")
"""Labels of a replay without the bundle that say it acts."""
MIN_SEEDS = 4
"""With fewer, no half has two seeds that could agree."""
_KEY = ("arm", "analysis_id", "probe_set", "consensus_event_id")
SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(_KEY, pl.String),
    **{"size": pl.Int64, "ranked_on": pl.String, "tested_on": pl.String},
    **{"count_window": pl.Int64, "expected_window": pl.Float64, "lift": pl.Float64, "lift_lower": pl.Float64},
    **{"holds": pl.Boolean, "is_minimal": pl.Boolean, "item_ids": pl.String},
}
"""Columns of the trigger_bundles table."""


class _Half(NamedTuple):
    """Some of the seeds of an event."""

    seeds: tuple[int, ...]
    ranking: pl.DataFrame
    """Rows of the attribution table made from them alone, best first."""
    counts: EventCounts
    """Of them alone."""


def bundles_of(
    items: pl.DataFrame,
    consensus: pl.DataFrame,
    traces: pl.DataFrame,
    policy: Policy,
    spec: TriggerSpec | None = None,
    *,
    sizes: Sequence[int] = SIZES,
) -> pl.DataFrame:
    """Two rows (one a direction) per event with triggers and size: columns SCHEMA.

    Args:
        items: Attribution of these events (Attribution.items); events without triggers have no bundle and no row.
        consensus: As for `attribute`.
        traces: As for `attribute`.
        policy: As for `attribute`.
        spec: As for `attribute`.
        sizes: Bundle sizes to try.

    item_ids are the top k of the ranking over all seeds, triggers only; sizes above their number are left out.
    is_minimal: the smallest size that holds in both directions. An event with fewer than MIN_SEEDS matched seeds has
    no row.

    Raises:
        ValueError: sizes that are not positive, and as `attribute`.
    """
    if not sizes or min(sizes) < 1:
        raise ValueError(f"sizes of bundles must be positive, at least one, got {sizes}")
    spec = spec or TriggerSpec()
    found = dict(items.filter("is_trigger").sort("rank").group_by("consensus_event_id").agg("item_id").iter_rows())
    rows: list[dict[str, Any]] = []
    for event in consensus.sort("consensus_event_id").iter_rows(named=True):
        chosen = found.get(event["consensus_event_id"], [])
        seeds = sorted(int(seed) for seed in json.loads(event["constituents"]))
        tried = [size for size in sorted(set(sizes)) if size <= len(chosen)]
        if len(seeds) < MIN_SEEDS or not tried:
            continue
        halves = [_half(event, tuple(own), traces, policy, spec) for own in (seeds[::2], seeds[1::2])]
        tested = [
            [_tested(ranked, other, policy, spec, size, LEVEL / len(tried)) for ranked, other in (halves, halves[::-1])]
            for size in tried
        ]
        minimal = next((k for k, pair in zip(tried, tested, strict=True) if all(row["holds"] for row in pair)), None)
        for size, pair in zip(tried, tested, strict=True):
            about = {"size": size, "is_minimal": size == minimal, "item_ids": canonical_json(chosen[:size])}
            rows += [{**{name: event[name] for name in _KEY}, **row, **about} for row in pair]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _half(
    event: Mapping[str, Any], seeds: tuple[int, ...], traces: pl.DataFrame, policy: Policy, spec: TriggerSpec
) -> _Half:
    own = {seed: found for seed, found in json.loads(event["constituents"]).items() if int(seed) in seeds}
    alone = pl.DataFrame([{**event, "constituents": canonical_json(own)}])
    traces = traces.filter(pl.col("seed").is_in(list(seeds)))
    ranking = attribute(alone, traces, policy, spec).items.sort("rank")
    return _Half(seeds, ranking, count_windows(alone, exposures_of(traces, policy), policy, spec.lags)[0])


def _tested(ranked: _Half, other: _Half, policy: Policy, spec: TriggerSpec, size: int, level: float) -> dict[str, Any]:
    """The top of one half's ranking, counted in the windows of the other half."""
    place = dict(zip(policy.items["item_id"], range(len(policy.items)), strict=True))
    top = [
        (place[item], spec.lags.index(lag)) for item, lag in ranked.ranking.head(size).select("item_id", "lag").rows()
    ]
    count = sum(int(other.counts.at[lag].count[:, item].sum()) for item, lag in top)
    expected = sum(float(other.counts.at[lag].expected[:, item].sum()) for item, lag in top)
    lower = float(poisson_lower(count, level)) / expected if expected > 0 else None
    return {
        "ranked_on": canonical_json(ranked.seeds),
        "tested_on": canonical_json(other.seeds),
        "count_window": count,
        "expected_window": expected,
        "lift": (count + 0.5) / (expected + 0.5),
        "lift_lower": lower,
        "holds": lower is not None and lower > 1,
    }


def smallest_acting(replays: pl.DataFrame, acting: Collection[str] = ACTING) -> int | None:
    """The smallest replayed bundle that still acts: size, of rows (size, label); None where no replay acts.

    A size acts if every replay of that size has a label in `acting`: one label of several that says so is not enough.
    """
    acts = replays.group_by("size").agg(pl.col("label").is_in(list(acting)).all()).filter("label")["size"]
    return None if acts.is_empty() else int(acts.min())  # type: ignore[arg-type]


def smallest_acting_items(selection: pl.DataFrame, effects: pl.DataFrame) -> pl.DataFrame:
    """Of every event and condition the number of items in the smallest replayed set whose edit still acts.

    selection: the frozen choices; effects: counterfactual_effects of one wave. Columns consensus_event_id, condition,
    n_items (of all triggers), n_acting (null where no edit acts), n_tried (sizes of the sets, descending). Placebos and
    exact replays are left out.
    """
    keys = ["consensus_event_id", "condition", "part"]
    edited = selection.filter((pl.col("status") == "selected") & ~pl.col("condition").is_in(CONTROLS))
    sizes = edited.select(*keys, size="n_items").unique()
    rows = []
    replayed = effects.join(sizes, on=keys).sort(keys)
    for (event, condition), own in replayed.group_by("consensus_event_id", "condition", maintain_order=True):
        rows.append((event, condition, own["size"].max(), smallest_acting(own), own["size"].to_list()))
    schema: dict[str, Any] = {
        **{"consensus_event_id": pl.String, "condition": pl.String},
        **{"n_items": pl.Int64, "n_acting": pl.Int64, "n_tried": pl.List(pl.Int64)},
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
