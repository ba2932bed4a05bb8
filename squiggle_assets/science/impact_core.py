"""Which items an impact curriculum starts from: the core that discovery ranks first, and cores to compare it with.

Here: events that a ranking may rest on, the ranking of items over them, the core, its control cores. Not here: the
evidence itself (triggers, exposure_locked), losses of items (impact_loss), curricula made of cores (impact_template).

The rule is fixed before any run is made. Events: the significant consensus events of the compared arms; where there is
none, the one event with the smallest q among them, so that there is always something to test, and every row says so.
Items: one row each, that of its best event; first the triggers of significant events, then those that only rank high;
within both, events away from boundaries before events at them, then by the 5 % quantile of the shrunken log lift.
Whatever this rule picks, it is picked on discovery seeds and tested on fresh ones: a poor ranking costs power and makes
no false finding. What it cannot do is confirm triggers that discovery did not find (`status`).

Random cores are other draws from the same families; the loss core is what is hardest for the base model in them.
All take a core item's place one for one, so that all are expected to be shown equally often, by family. No two of the
impact core and the random ones share an item: if ranking picks at random, the impact core is one of them and nothing
tells it apart. Independent draws from what the core leaves share items with each other and none with the core: they
are more alike than it is to them, and their spread says too little (impact_draws has the figures).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from squiggle_assets.science.canonical import sha256_json
from squiggle_assets.science.rng import generator
from squiggle_assets.science.spec import Study

IMPACT, RANDOM, LOSS = "impact", "random", "loss"
CORES = (IMPACT, RANDOM, LOSS)
TRIGGERS, MIXED, RANKED, NO_SELECTION = "triggers", "mixed", "ranked", "no_selection"
STATUSES = (TRIGGERS, MIXED, RANKED, NO_SELECTION)
"""All items are triggers of significant events; some are; none is, they only rank highest; there is no core."""
MIN_ITEMS = 8
"""A core of fewer is none: a third of all draws would go to a handful of items."""

_EVENT_KEY = ("arm", "analysis_id", "consensus_event_id")
_CELL_KEY = ("arm", "analysis_id", "probe_set", "band", "metric_group", "polarity", "item_id")
_OF_EVENT = {
    **{"q_value": "event_q", "near_boundary": "near_boundary", "median_step": "event_step"},
    **{"is_significant": "is_significant"},
}
_RANKED = (
    *("item_id", "content_sha256", "family_id", "arm", "analysis_id", "probe_set", "consensus_event_id"),
    *("event_signature", "band", "metric_group", "polarity", "event_step", "event_q", "near_boundary"),
    *("is_significant", "is_trigger", "lift", "lb05", "p_lags", "q_value", "effect", "effect_q"),
)
_CORE_SCHEMA = {
    **{"core": pl.String, "draw": pl.Int64, "rank": pl.Int64, "replaces": pl.String},
    **dict.fromkeys(("item_id", "content_sha256", "family_id"), pl.String),
    "base_loss": pl.Float64,
    **dict.fromkeys(("arm", "analysis_id", "probe_set", "consensus_event_id", "event_signature", "band"), pl.String),
    **{"metric_group": pl.String, "polarity": pl.Int64},
    **{"event_step": pl.Float64, "event_q": pl.Float64},
    **dict.fromkeys(("near_boundary", "is_significant", "is_trigger"), pl.Boolean),
    **dict.fromkeys(("lift", "lb05", "p_lags", "q_value", "effect", "effect_q"), pl.Float64),
}


class Cores(NamedTuple):
    """The cores and what led to them."""

    items: pl.DataFrame
    """One row per core, draw and rank (the impact_core table); empty without a selection."""
    status: dict[str, Any]
    """The one row of the impact_status table."""


def compared_arms(study: Study) -> tuple[str, ...]:
    """Arms whose events a ranking may rest on.

    Not the placebo arm, whose blocks are no families, and not the planted one, whose events have known causes.
    """
    return tuple(arm.name for arm in study.arms if arm.role in ("baseline", "treatment"))


def ranking_events(consensus: pl.DataFrame, study: Study) -> pl.DataFrame:
    """The consensus events that the ranking rests on, with is_significant, smallest q first; empty if there are none.

    Of the compared arms and the pre-registered probe set: those with q at most alpha; if there are none, the one with
    the smallest q, away from boundaries if any is.
    """
    spec = study.consensus
    own = consensus.filter(pl.col("arm").is_in(compared_arms(study)) & (pl.col("probe_set") == spec.probe_set))
    order = ("q_value", "p_value", "consensus_event_id")
    found = own.with_columns(is_significant=pl.col("q_value") <= spec.alpha)
    significant = found.filter("is_significant").sort(order)
    return significant if significant.height else found.sort("near_boundary", *order).head(1)


def ranked_items(attribution: pl.DataFrame, locked: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Items that precede the events, one row each, best first.

    Args:
        attribution: trigger_attribution rows; those of other events are left out.
        locked: exposure_locked rows, for the effect of an item's own showings on the event's cell (null without one).
        events: as ranking_events gives them.
    """
    about = events.select(*_EVENT_KEY, *(pl.col(name).alias(new) for name, new in _OF_EVENT.items()))
    effects = locked.select(*_CELL_KEY, "effect", pl.col("q_value").alias("effect_q"))
    rows = attribution.join(about, on=_EVENT_KEY, how="inner").join(effects, on=_CELL_KEY, how="left")
    established = pl.col("is_trigger") & pl.col("is_significant")
    best = rows.with_columns(established=established).sort(
        "established", "near_boundary", "lb05", "event_q", "consensus_event_id", "content_sha256",
        descending=[True, False, True, False, False, False],
    )  # fmt: skip
    return best.unique("item_id", keep="first", maintain_order=True).select(*_RANKED)


def cores_of(
    ranked: pl.DataFrame,
    items: pl.DataFrame,
    *,
    num_items: int,
    num_events: int,
    num_draws: int,
    seed: int,
    min_items: int = MIN_ITEMS,
) -> Cores:
    """The impact core, its random cores and the loss core.

    Args:
        ranked: as ranked_items gives them.
        items: training items with item_id, content_sha256, family_id, base_loss (nats a token; nan counts as least).
        num_items: size of the core; fewer where the ranking or the families have no more.
        num_events: significant events that the ranking rests on.
        num_draws: random cores. Of no family more than its 1 / (1 + num_draws) lies in a core: as many others are left
            for each of them.
        seed: of the random cores; each is keyed by it and its draw.
        min_items: below this many there is no selection.

    The k-th item of a family in one core replaces the k-th of that family in the impact core. Random cores share
    no item with the impact core or with each other; the loss core may (`num_shared_with_loss`: with the impact core).
    ValueError unless 1 <= min_items <= num_items and num_draws >= 1, on repeated items, and on an item without a loss.
    """
    _check(items, num_items, min_items, num_draws)
    room = items.group_by("family_id").agg(room=(pl.len() // (1 + num_draws)).cast(pl.Int64))
    core = (
        ranked.join(items.select("item_id", "base_loss"), on="item_id", how="inner", maintain_order="left")
        .join(room, on="family_id", how="left", maintain_order="left")
        .filter(pl.int_range(pl.len()).over("family_id") < pl.col("room"))
        .head(num_items)
        .drop("room")
    )
    if core.height < min_items:
        return Cores(pl.DataFrame(schema=_CORE_SCHEMA), _status(core.clear(), num_events, core.height))
    hardest = _instead(core, items.sort(pl.col("base_loss").fill_nan(-1.0), "content_sha256", descending=[True, False]))
    drawn = [_rows(RANDOM, own, core, draw) for draw, own in enumerate(_random_cores(core, items, num_draws, seed))]
    rows = pl.concat([_rows(IMPACT, core, core), *drawn, _rows(LOSS, hardest, core)])
    return Cores(rows, _status(core, num_events, core.height, hardest))


def core_of(cores: pl.DataFrame, name: str, draw: int = 0) -> list[str]:
    """item_id of one core in order of rank; draw: which of the random ones."""
    return cores.filter((pl.col("core") == name) & (pl.col("draw") == draw)).sort("rank")["item_id"].to_list()


def _check(items: pl.DataFrame, num_items: int, min_items: int, num_draws: int) -> None:
    if not 1 <= min_items <= num_items or num_draws < 1:
        raise ValueError(
            f"a core has 1 <= min_items <= num_items, got {min_items} and {num_items}, and at least one random core, "
            f"got {num_draws}"
        )
    if items["item_id"].is_duplicated().any():
        raise ValueError(
            f"training items are given twice: {items.filter(pl.col('item_id').is_duplicated())['item_id']}"
        )
    if items["base_loss"].null_count():
        raise ValueError(f"{items['base_loss'].null_count()} training items have no base_loss")


def _random_cores(core: pl.DataFrame, items: pl.DataFrame, num_draws: int, seed: int) -> list[pl.DataFrame]:
    """Cores from what neither the impact core nor an earlier draw holds."""
    found, taken = [], core["item_id"].to_list()
    for draw in range(num_draws):
        left = items.filter(~pl.col("item_id").is_in(taken))
        found.append(_instead(core, _shuffled(left, seed, draw)))
        taken += found[-1]["item_id"].to_list()
    return found


def _shuffled(items: pl.DataFrame, seed: int, draw: int) -> pl.DataFrame:
    """In random order, whatever order they came in."""
    ordered = items.sort("content_sha256", "item_id")
    return ordered.select(pl.all().gather(generator("impact_random_core", seed, draw).permutation(ordered.height)))


def _instead(core: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """For each core item the next candidate of its family, in the core's order."""
    place = pl.int_range(pl.len()).over("family_id").alias("place")
    wanted = core.select("family_id", place)
    chosen = candidates.with_columns(place)
    return wanted.join(chosen, on=["family_id", "place"], how="left", maintain_order="left").drop("place")


def _rows(name: str, chosen: pl.DataFrame, core: pl.DataFrame, draw: int = 0) -> pl.DataFrame:
    keys = {
        "core": pl.lit(name),
        "draw": pl.lit(draw),
        "rank": pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
        "replaces": pl.lit(None, dtype=pl.String) if name == IMPACT else pl.Series(core["item_id"]),
    }
    rows = chosen.with_columns(**keys)
    absent = [pl.lit(None, dtype=kind).alias(column) for column, kind in _CORE_SCHEMA.items() if column not in rows]
    return rows.with_columns(absent).select(pl.col(column).cast(kind) for column, kind in _CORE_SCHEMA.items())


def _status(
    core: pl.DataFrame, num_events: int, num_ranked: int, hardest: pl.DataFrame | None = None
) -> dict[str, Any]:
    num_triggers = int((core["is_trigger"] & core["is_significant"]).sum())
    word = {0: RANKED, core.height: TRIGGERS}.get(num_triggers, MIXED) if core.height else NO_SELECTION
    first: Mapping[str, Any] = core.row(0, named=True) if core.height else {}
    shared = set() if hardest is None else set(core["item_id"]) & set(hardest["item_id"])
    about = ("arm", "analysis_id", "probe_set", "consensus_event_id", "band", "metric_group", "polarity", "event_step")
    return {
        "status": word,
        "reason": _reason(word, num_events, num_triggers, num_ranked),
        "num_significant_events": num_events,
        "num_items": core.height,
        "num_triggers": num_triggers,
        "num_families": core["family_id"].n_unique(),
        "num_shared_with_loss": len(shared) if core.height else None,
        "core_sha256": sha256_json(sorted(core["content_sha256"])) if core.height else None,
        **{name: first.get(name) for name in (*about, "event_q", "near_boundary")},
    }


def _reason(word: str, num_events: int, num_triggers: int, num_ranked: int) -> str:
    found = f"{num_events} significant events of the compared arms"
    return {
        TRIGGERS: f"{found}; every item is a trigger",
        MIXED: f"{found}; {num_triggers} items are triggers, the others rank next",
        RANKED: f"{found}; no item is a trigger of one, the core is what ranks highest",
        NO_SELECTION: f"{found}; {num_ranked} items could be ranked, too few for a core",
    }[word]


def family_counts(cores: pl.DataFrame) -> dict[tuple[str, int], dict[str, int]]:
    """(core, draw) -> family -> items; equal for all cores by construction."""
    found: dict[tuple[str, int], dict[str, int]] = {}
    for core, draw, family, num in cores.group_by("core", "draw", "family_id").len().sort(pl.all()).iter_rows():
        found.setdefault((core, draw), {})[family] = num
    return found
