"""Ranked lists of triggers that can be held against each other: of arms, and of halves of their seeds.

Here: an arm's list over all its events, lists of halves, which pairs make sense, the trigger_overlap rows. Not here:
overlap and its null (trigger_overlap), triggers (triggers).

Runs of one seed in two arms are no independent draws: the sampler is keyed by seed and step, so that arms with like
shares show many of the same items at the same steps, and events that the schedule puts at the same time come after the
same items in both. The null of an overlap takes independent lists. Every pair of arms is therefore compared three
times: all seeds (as the sources do), and one arm's first half of the seeds against the other's second half, both ways,
which share no draw. The two halves of one arm say how well its own list holds. A seed lies in the same half in every
arm, also where runs of an arm were stopped.

The null of an overlap treats all items alike, though items that are shown more often have more chances to be called a
trigger: where exposures differ much, its p is too small. No claim rests on it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import polars as pl

from squiggle_assets.science.mode_halves import restricted
from squiggle_assets.science.policy import Policy
from squiggle_assets.science.trigger_overlap import SCHEMA, TOPS, overlap_of
from squiggle_assets.science.triggers import attribute
from squiggle_assets.science.waves import TriggerSpec

HALVES = ("first half", "second half")


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmTriggers:
    """What is known of one arm."""

    arm: str
    items: pl.DataFrame
    """Its rows of trigger_attribution, all seeds."""
    events: pl.DataFrame
    """Its significant consensus events, of one analysis and probe set."""
    traces: pl.DataFrame
    """sample_trace rows of its runs that went to their end."""
    policy: Policy


def ranked_list(items: pl.DataFrame) -> tuple[str, ...]:
    """The triggers of all events, best first: by an item's best lower bound, then its smallest p, then its id."""
    best = items.filter("is_trigger").group_by("item_id").agg(pl.col("lb05").max(), pl.col("p_lags").min())
    return tuple(best.sort(["lb05", "p_lags", "item_id"], descending=[True, False, False])["item_id"])


def half_lists(arm: ArmTriggers, seeds: Sequence[int], spec: TriggerSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The lists that every other seed gives, and the rest; empty where fewer than two seeds take part in any event.

    seeds: of all arms that are compared, sorted, also those of which this arm has no whole run.
    """
    first, second = (_list_of(arm, half, spec) for half in (seeds[::2], seeds[1::2]))
    return first, second


def _list_of(arm: ArmTriggers, seeds: Sequence[int], spec: TriggerSpec) -> tuple[str, ...]:
    events = [own for row in arm.events.iter_rows(named=True) if (own := restricted(row, seeds)) is not None]
    if not events:
        return ()
    traces = arm.traces.filter(pl.col("seed").is_in(list(seeds)))
    return ranked_list(attribute(pl.DataFrame(events, schema=arm.events.schema), traces, arm.policy, spec).items)


def trigger_overlaps(
    arms: Sequence[ArmTriggers], spec: TriggerSpec | None = None, *, tops: Sequence[int] = TOPS
) -> pl.DataFrame:
    """The trigger_overlap table but study and analysis_id; list names are 'arm' and 'arm: first half'.

    Items that an arm's policy never draws are left out of its pairs. Lists of which one is empty ("no triggers") have a
    row without Jaccard.

    Raises:
        ValueError: no arms, two of one name, and as `attribute`.
    """
    names = [arm.arm for arm in arms]
    if not arms or len(set(names)) != len(names):
        raise ValueError(f"arms with different names are needed, got {names}")
    spec, rankings, drawable = spec or TriggerSpec(), dict[str, Sequence[str]](), dict[str, Collection[str]]()
    seeds = sorted({int(seed) for arm in arms for seed in arm.traces["seed"].unique()})
    for arm in arms:
        known = arm.policy.items.filter(pl.Series(arm.policy.expected_draws(0, arm.policy.num_steps)) > 0)["item_id"]
        lists = (ranked_list(arm.items), *half_lists(arm, seeds, spec))
        for name, own in zip((arm.arm, *_halves(arm.arm)), lists, strict=True):
            rankings[name], drawable[name] = own, set(known)
    return pl.concat([_pair(rankings, drawable, pair, tops) for pair in _pairs(names)]).select(*SCHEMA)


def _halves(arm: str) -> tuple[str, str]:
    return f"{arm}: {HALVES[0]}", f"{arm}: {HALVES[1]}"


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [_halves(name) for name in names]
    for a, b in combinations(names, 2):
        first, second = _halves(a), _halves(b)
        pairs += [(a, b), (first[0], second[1]), (first[1], second[0])]
    return pairs


def _pair(
    rankings: Mapping[str, Sequence[str]],
    drawable: Mapping[str, Collection[str]],
    pair: tuple[str, str],
    tops: Sequence[int],
) -> pl.DataFrame:
    return overlap_of({name: rankings[name] for name in pair}, {name: drawable[name] for name in pair}, tops=tops)
