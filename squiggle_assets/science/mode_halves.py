"""Triggers found on one half of the seeds and counted on the other, in every sampling mode.

Here: what a mode's runs are, which triggers each half finds, what the windows of the other half hold. Not here: what
the counts mean for persistence (mode_heterogeneity), the test of a trigger (triggers).
Legend: M = modes, S = seeds.

A trigger is chosen because its lift is high. Measured on the same seeds it would look weaker in every other mode, and
be called sensitive to the mode for no other reason. So every other seed finds, and the rest measures, in both
directions. Runs of one seed in two modes are no independent draws either: the sampler is keyed by seed and step, so
that modes with like shares show many of the same items at the same steps. Seeds that did not find are independent of
those that did in all modes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.exposures import Exposures, exposures_of
from squiggle_assets.science.policy import Policy
from squiggle_assets.science.trigger_counts import WindowCounts, count_windows
from squiggle_assets.science.trigger_windows import signature_of
from squiggle_assets.science.triggers import attribute
from squiggle_assets.science.waves import TriggerSpec

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MIN_SEEDS = 2
"""Seeds of a half that must take part in an event: with fewer nothing can agree."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ModeRuns:
    """The runs of one sampling mode that went to their end."""

    mode: str
    """Name of the arm."""
    events: pl.DataFrame
    """Its significant consensus events (columns of consensus_events) of one analysis and probe set."""
    traces: pl.DataFrame
    """sample_trace rows of its runs."""
    policy: Policy


class Half(NamedTuple):
    """Seeds that find and seeds that measure."""

    finds: tuple[int, ...]
    measures: tuple[int, ...]


class Found(NamedTuple):
    """One trigger, before anything of the measuring seeds was looked at."""

    signature: str
    item_id: str
    lag: int
    """Of the finding mode with the smallest p."""
    modes: tuple[str, ...]
    """In which it was found, sorted."""
    half: Half


class Counted(NamedTuple):
    """A trigger's showings in the windows of one mode's event; arrays are [S], by measuring seed."""

    seeds: tuple[int, ...]
    num: I64
    total: I64
    """In the whole run."""
    share: F64
    """Chance that a showing falls into the window."""
    family_num: I64
    """Showings in the window of the other items of its family, what the finding seeds called triggers left out."""
    family_expected: F64


def halves_of(modes: Sequence[ModeRuns]) -> tuple[Half, Half]:
    """Every other one of the seeds that all modes have, in ascending order, in both directions.

    ValueError for fewer than two modes, or where two modes showed the same items at all steps: such modes are one.
    """
    names = [runs.mode for runs in modes]
    if len(modes) < 2 or len(set(names)) != len(names):
        raise ValueError(f"at least two modes with different names are needed, got {names}")
    for i, one in enumerate(modes):
        for other in modes[i + 1 :]:
            if common_share(one, other) == 1:
                raise ValueError(
                    f"modes {one.mode!r} and {other.mode!r} showed the same items at all steps: they are one mode. "
                    "uniform_item draws what proportional_family draws; leave one of them out"
                )
    shared = sorted(set.intersection(*(set(runs.traces["seed"]) for runs in modes)))
    first, second = tuple(map(int, shared[::2])), tuple(map(int, shared[1::2]))
    return Half(first, second), Half(second, first)


def common_share(one: ModeRuns, other: ModeRuns) -> float:
    """Share of the draws of the seeds that both have at which both modes showed the same item at the same step."""
    key = ["seed", "step", "item_id"]
    mine, theirs = (runs.traces.group_by(key).len() for runs in (one, other))
    seeds = set(one.traces["seed"]) & set(other.traces["seed"])
    num = mine.filter(pl.col("seed").is_in(list(seeds)))["len"].sum()
    both = mine.join(theirs, on=key).select(pl.min_horizontal("len", "len_right").sum()).item()
    return float(both / num) if num else 0.0


def chosen_events(runs: ModeRuns) -> dict[str, dict[str, Any]]:
    """By signature the event with the smallest q (of equals the smaller p, then id)."""
    found: dict[str, dict[str, Any]] = {}
    for event in runs.events.sort("q_value", "p_value", "consensus_event_id").iter_rows(named=True):
        found.setdefault(signature_of(event), event)
    return dict(sorted(found.items()))


def restricted(event: Mapping[str, Any], seeds: Sequence[int]) -> dict[str, Any] | None:
    """The event with those of its seeds only; None where fewer than MIN_SEEDS of them take part."""
    own = {seed: at for seed, at in json.loads(event["constituents"]).items() if int(seed) in seeds}
    return None if len(own) < MIN_SEEDS else {**event, "constituents": canonical_json(own)}


def found_triggers(modes: Sequence[ModeRuns], halves: Sequence[Half], spec: TriggerSpec) -> list[Found]:
    """Every trigger that a half finds in some mode, by signature, item and half; `spec` as in `attribute`.

    One that both halves find is there twice, each time to be measured on the other half.
    """
    found = []
    for half in halves:
        rows = pl.concat([_triggers(runs, half.finds, spec) for runs in modes])
        for (signature, item), own in rows.group_by("event_signature", "item_id"):
            best = own.sort("p_lags", "mode").row(0, named=True)
            found.append(Found(str(signature), str(item), best["lag"], tuple(sorted(own["mode"])), half))
    return sorted(found)


_TRIGGERS = {
    **dict.fromkeys(("mode", "event_signature", "item_id"), pl.String),
    **{"lag": pl.Int64, "p_lags": pl.Float64},
}


def _triggers(runs: ModeRuns, seeds: Sequence[int], spec: TriggerSpec) -> pl.DataFrame:
    events = [restricted(event, seeds) for event in chosen_events(runs).values()]
    whole = [event for event in events if event is not None]
    if not whole:
        return pl.DataFrame(schema=_TRIGGERS)
    own = runs.traces.filter(pl.col("seed").is_in(list(seeds)))
    items = attribute(pl.DataFrame(whole), own, runs.policy, spec).items.filter("is_trigger")
    return items.select(pl.lit(runs.mode).alias("mode"), "event_signature", "item_id", "lag", "p_lags")


class Windows:
    """The windows of one mode's events in the measuring seeds."""

    def __init__(self, runs: ModeRuns, half: Half, spec: TriggerSpec) -> None:
        """Counts at every lag; found triggers are left out of their families' counts by `counted`."""
        self.policy, self.lags = runs.policy, spec.lags
        self.place = dict(zip(runs.policy.items["item_id"], range(len(runs.policy.items)), strict=True))
        self.family = runs.policy.items["family_id"].to_numpy()
        events = {name: restricted(event, half.measures) for name, event in chosen_events(runs).items()}
        own = runs.traces.filter(pl.col("seed").is_in(list(half.measures)))
        shown = None if own.is_empty() else exposures_of(own, runs.policy)
        self.at = {
            name: self._counts(event, shown)
            for name, event in events.items()
            if event is not None and shown is not None
        }

    def _counts(self, event: Mapping[str, Any], shown: Exposures) -> tuple[I64, tuple[WindowCounts, ...]]:
        counted = count_windows(pl.DataFrame([event]), shown, self.policy, self.lags)[0]
        return counted.total, counted.at

    def counted(self, one: Found, left_out: Sequence[str]) -> Counted | None:
        """A trigger's counts; None where the mode has no such event or could not have shown it in its windows."""
        if one.signature not in self.at or one.item_id not in self.place:
            return None
        item, (total, by_lag) = self.place[one.item_id], self.at[one.signature]
        at = by_lag[self.lags.index(one.lag)]
        if not at.expected[:, item].sum() > 0:
            return None
        others = self.family == self.family[item]
        others[[self.place[name] for name in {*left_out, one.item_id} if name in self.place]] = False
        return Counted(
            tuple(window.seed for window in at.windows),
            at.count[:, item],
            total[:, item],
            at.share[:, item],
            at.count[:, others].sum(axis=1),
            at.expected[:, others].sum(axis=1),
        )
