"""What a study does after its first runs: what counts as a trigger, its follow-up arms, whose seeds they use.

Here: TriggerSpec, FollowUp, Roster, names of the waves. Not here: Study (spec), edits (edits), graphs (assets.node).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True, kw_only=True)
class TriggerSpec:
    """What counts as a trigger, and what is done about it; pre-registered."""

    lags: tuple[int, ...] = (0, 5, 20)
    """Steps before the onset that a window begins at; every one is tested."""
    min_seeds: int = 2
    """Seeds in which the item must be shown more often than expected."""
    max_q: float = 0.1
    max_items: int = 50
    """At most this many triggers, best first, are edited in a follow-up."""
    edit_scope: Literal["window", "run"] = "window"
    """Where follow-ups edit the triggers' draws."""
    delay_margin_steps: float = 10.0
    """A mean delay below this is no delay (equivalence)."""

    def __post_init__(self) -> None:
        """Refuse lags that are no windows and a q that is no share."""
        if not self.lags or min(self.lags) < 0 or len(set(self.lags)) != len(self.lags):
            raise ValueError(f"lags must be different and not negative, at least one, got {self.lags}")
        if min(self.min_seeds, self.max_items) < 1 or not 0 < self.max_q < 1:
            raise ValueError(
                f"min_seeds and max_items must be positive and max_q a share, got {self.min_seeds}, {self.max_items} "
                f"and {self.max_q}"
            )


FOLLOWUP, CONFIRMATION = "followup", "confirmation"
"""Waves after the first: replays of a study's own runs, and of runs with seeds that took no part in the selection."""

Condition = Literal["exact", "replace", "remove", "placebo", "late", "early"]
Core = Literal["impact", "random", "loss"]
"""Items that a curriculum may start from: what discovery ranks first, random ones, those with the highest loss."""
CONTROLS = ("exact", "placebo")
"""Conditions that others are compared with."""


class Roster(NamedTuple):
    """Registered seeds of a study, sorted as numbers."""

    seeds: tuple[int, ...]
    fresh: tuple[int, ...] = ()
    """Seeds of the confirmation wave."""

    def of(self, wave: str) -> tuple[int, ...]:
        """The seeds of a wave ('' is the first)."""
        return self.fresh if wave == CONFIRMATION else self.seeds


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """A follow-up arm: every run of the parent once more with one edit, or new runs that start from a core of items."""

    parent: str
    condition: Condition
    draw: int = 0
    """Which of several random edits (placebo) or random cores."""
    core: Core | None = None
    """Confirmation only: the curriculum starts from this core instead of being the parent's; condition is 'exact'."""
    weight: int = 0
    """Of a core item while the others are ramped in from 0 to 1; 0 without a core."""
    part: int = 1
    """Only the best 1/part of the triggers are edited: which smaller sets still act."""

    def __post_init__(self) -> None:
        """Refuse a core without a weight, a weight without a core, and edits of what starts from a core."""
        if (self.core is None) != (self.weight == 0) or self.weight < 0:
            raise ValueError(f"a core comes with a weight from 1 on, got core {self.core!r} and weight {self.weight}")
        if self.core is not None and (self.condition != "exact" or (self.draw and self.core != "random")):
            raise ValueError(
                "runs that start from a core are no replays, and only random cores have draws, got "
                f"{self.condition!r}, draw {self.draw} of core {self.core!r}"
            )
        if self.part < 1 or (self.part > 1 and (self.condition in CONTROLS or self.core is not None)):
            raise ValueError(f"a part of the triggers is for edits that are no control, got {self!r}")

    @property
    def name(self) -> str:
        """<parent>.<condition>-1of<part> or <parent>.<core>-w<weight>, with -<draw> from the second draw on."""
        draw, part = (f"-{self.draw + 1}" if self.draw else ""), (f"-1of{self.part}" if self.part > 1 else "")
        if self.core is not None:
            return f"{self.parent}.{self.core}-w{self.weight}{draw}"
        return f"{self.parent}.{self.condition}{draw}{part}"
