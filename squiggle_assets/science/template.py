"""What a curriculum says before it meets any data: frozen values, nothing else.

Here: Template and its parts. Not here: reading them from YAML (curriculum.py), and what they mean for a given set
of items and a given number of steps (policy.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

Mode = Literal["balanced_family", "proportional_family", "uniform_item", "weighted_family"]
WeightType = Literal["uniform", "proportional", "explicit", "ramp", "matched"]

MODES: tuple[Mode, ...] = ("balanced_family", "proportional_family", "uniform_item", "weighted_family")
WEIGHT_TYPES: tuple[WeightType, ...] = ("uniform", "proportional", "explicit", "ramp", "matched")
DIFFICULTIES = ("easy", "medium", "hard")
ITEM = "item:"
"""A weight named 'item:<item_id>' is the weight of one item."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """w(t) of one phase, by name; names are families or 'item:<item_id>'."""

    type: WeightType = "uniform"
    """matched: solved when the items are known, so that exposure equals that of the template's reference."""
    start: Mapping[str, float] = field(default_factory=dict)
    """explicit: the weights. ramp: those at the phase's first step. Empty otherwise."""
    end: Mapping[str, float] = field(default_factory=dict)
    """ramp: those just past the phase's last step, every name of start. Otherwise equal to start."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which items a phase may draw."""

    token_len_min: int | None = None
    token_len_max: int | None = None
    """Both ends included."""
    difficulties: tuple[str, ...] | None = None
    """Allowed values of difficulty_proxy; None = any."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of the base budget with one policy."""

    name: str
    start: float
    end: float
    """Fractions of the base budget; the end is excluded."""
    include: tuple[str, ...] | None
    """Families by name; None = '*', all families of the training data."""
    exclude: tuple[str, ...] = ()
    weights: Weights = Weights()
    mode: Mode = "balanced_family"
    filters: Filters = Filters()


@dataclass(frozen=True, kw_only=True)
class Safeguards:
    """Limits that a curriculum sets itself; resolve() refuses what breaks them."""

    min_items_per_family: int = 1
    """Of each family that a phase can draw, after its filters."""
    max_sampling_fraction_per_family: float = 1.0
    """Of any family's probability at any step."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """Equal cumulative expected exposure per family over the base budget (exposure_match.py)."""

    reference: Template
    """Whose exposure is to be reached."""
    reserve: float
    """Share of each family's exposure that the phases before the last one must leave for it."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """A reusable sampling policy: t -> distribution over families and items."""

    file: str
    """Where the text came from, for messages."""
    name: str
    version: int
    description: str
    phases: tuple[Phase, ...]
    """In time order, without gap or overlap, from 0 to 1."""
    safeguards: Safeguards
    match: Match | None
    text: str
    """The YAML as it was."""
    yaml_sha256: str


def step_at(fraction: float, total_steps: int) -> int:
    """int(fraction * total_steps), in decimal arithmetic: 0.29 of 100 is 29, where floats say 28."""
    return int(Fraction(repr(fraction)) * total_steps)
