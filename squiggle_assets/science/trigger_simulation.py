"""Simulated studies of attribution: traces with known triggers, put through the same test as real ones.

Here: traces and consensus events of a made-up arm, what is found of its triggers.
Not here: the test (triggers), the curve over effect sizes (trigger_curve), simulated geometry (simulation), formulas
(trigger_power).

Events lie so far apart that their longest windows are disjoint. Where windows overlap, an item that was shown too often
before one event truly was before the other too, and attribution cannot say which of them it is for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.canonical import canonical_json, sha256_text
from squiggle_assets.science.curriculum import load_preset
from squiggle_assets.science.families import scaled_counts
from squiggle_assets.science.policy import Policy, resolve
from squiggle_assets.science.rng import generator
from squiggle_assets.science.trigger_windows import events_in, windows_of
from squiggle_assets.science.triggers import attribute
from squiggle_assets.science.waves import TriggerSpec

I64 = NDArray[np.int64]
CAPTURE_EVERY = 2
"""Steps between captures."""
EVENT_CAPTURES = 2
"""Captures from the onset of an event to its peak."""


@dataclass(frozen=True, kw_only=True)
class TriggerStudy:
    """A simulated arm; the defaults are the demo's scale: 16 draws a step, 5,000 items, 8 seeds."""

    preset: str = "iid_baseline"
    num_seeds: int = 8
    num_steps: int = 200
    batch_size: int = 16
    num_items: int = 5000
    num_events: int = 4
    num_triggers: int = 10
    """Per event."""
    extra: float = 0.0
    """Extra showings of each trigger per event window and seed, on average; 0 = there are no triggers."""
    lag: int = 5
    """Steps before the onset in which the extra showings lie, uniformly up to the peak."""
    jitter: int = 1
    """Captures by which an event may come earlier or later in each seed."""

    def __post_init__(self) -> None:
        """Refuse runs too short for their events and windows too small for their triggers."""
        if self.num_seeds < 2 or self.num_events < 1 or self.extra < 0:
            raise ValueError(f"2 seeds, 1 event and an effect that is not negative are needed, got {self}")
        if self.num_triggers * self.extra > self.batch_size:
            raise ValueError(f"the triggers of an event would fill its window, got {self}")


class TriggersFound(NamedTuple):
    """What attribution said about one simulated arm."""

    num_true: int
    """Pairs of event and trigger that there are; 0 without effect."""
    num_found: int
    """Of these, found."""
    num_false: int
    """Other pairs called triggers."""

    @property
    def false_share(self) -> float:
        """Share of what was called that is false; 0 where nothing was called (its mean is the FDR)."""
        return self.num_false / max(1, self.num_found + self.num_false)


def study_policy(study: TriggerStudy) -> Policy:
    """The policy of a preset over items in the sources' proportions of families."""
    rows = [
        (f"{family}-{k}", sha256_text(f"{family}-{k}"), family, 50, "easy")
        for family, count in scaled_counts(study.num_items).items()
        for k in range(count)
    ]
    names = ["item_id", "content_sha256", "family_id", "token_len", "difficulty_proxy"]
    items = pl.DataFrame(rows, schema=names, orient="row")
    return resolve(load_preset(study.preset), items, total_steps=study.num_steps, batch_size=study.batch_size)


def drawn_runs(policy: Policy, seeds: Iterable[int]) -> I64:
    """[seeds, steps, B] what the policy draws."""
    return np.stack([[policy.draw(seed, step) for step in range(policy.num_steps)] for seed in seeds])


def trace_of(policy: Policy, drawn: I64) -> pl.DataFrame:
    """Drawn items as trace rows: seed (0, 1, ...), step, item_id."""
    seed, step, _ = np.indices(drawn.shape)
    item = policy.items["item_id"].gather(drawn.ravel())
    return pl.DataFrame({"seed": seed.ravel(), "step": step.ravel(), "item_id": item})


def made_events(study: TriggerStudy, longest_lag: int, draws: np.random.Generator) -> pl.DataFrame:
    """Consensus events at random captures, those columns that attribution reads; seeds differ by the jitter.

    ValueError where the run is too short to keep the windows of the longest lag apart.
    """
    gap = EVENT_CAPTURES + 2 * study.jitter + -(-longest_lag // CAPTURE_EVERY)
    slack = study.num_steps // CAPTURE_EVERY - study.jitter - study.num_events * gap
    if slack < 1:
        raise ValueError(f"{study.num_events} windows of lag {longest_lag} do not fit {study.num_steps} steps apart")
    centres = gap * np.arange(1, study.num_events + 1) + np.sort(draws.integers(0, slack, size=study.num_events))
    rows = []
    for number, centre in enumerate(centres):
        at = CAPTURE_EVERY * (centre + draws.integers(-study.jitter, study.jitter + 1, size=study.num_seeds))
        rows.append(
            {
                **{"arm": "simulated", "analysis_id": "simulated", "probe_set": "a"},
                **{"consensus_event_id": f"event-{number:03d}", "band": "layers_0_0", "metric_group": "angle"},
                **{"polarity": 1, "median_step": float(np.median(at))},
                "onset_step": float(np.median(at)) - EVENT_CAPTURES * CAPTURE_EVERY,
                "constituents": canonical_json({str(s): {"step": int(step)} for s, step in enumerate(at)}),
            }
        )
    return pl.DataFrame(rows)


def _with_triggers(
    study: TriggerStudy, policy: Policy, events: pl.DataFrame, drawn: I64, draws: np.random.Generator
) -> set[tuple[str, str]]:
    """Put the extra showings into slots of the windows, in place; (event, item) of every trigger."""
    true = set()
    for event in events_in(events):
        items = draws.choice(policy.num_training_items, size=study.num_triggers, replace=False)
        true |= {(event["consensus_event_id"], policy.items["item_id"][int(item)]) for item in items}
        for seed, start, stop in windows_of(event, policy, study.lag):
            more = np.repeat(items, draws.poisson(study.extra, size=len(items)))
            slots = draws.choice((stop - start) * study.batch_size, size=len(more), replace=False)
            drawn[seed, start + slots // study.batch_size, slots % study.batch_size] = more
    return true


def simulated_triggers(study: TriggerStudy, number: int, spec: TriggerSpec | None = None) -> TriggersFound:
    """One simulated arm through `attribute`; the number of the study keys all its randomness."""
    spec = spec or TriggerSpec()
    policy = study_policy(study)
    draws = generator("trigger_study", str(study), number)
    drawn = drawn_runs(policy, draws.integers(2**40, 2**62, size=study.num_seeds).tolist())
    events = made_events(study, max(spec.lags), draws)
    true = _with_triggers(study, policy, events, drawn, draws) if study.extra > 0 else set()
    items = attribute(events, trace_of(policy, drawn), policy, spec).items
    called = set(items.filter("is_trigger").select("consensus_event_id", "item_id").iter_rows())
    return TriggersFound(len(true), len(called & true), len(called - true))
