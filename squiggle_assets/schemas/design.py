"""Tables about a study before it has run.

Here: what its design can show. Not here: what it did show (schemas.claims).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column


class MinimumDetectable(Table):
    """One row per study: the smallest effects that a design of this size can show, before anything is spent."""

    study: str = column("study")
    n_seeds: int = column("registered seeds", ge=1)
    num_captures: int = column("captures a run", ge=3)
    num_contrasts: int = column("pre-registered contrasts", ge=0)
    power: float = column("share of studies that would see the effect", gt=0, lt=1)
    event_size: float = column(
        "common event in every seed, by simulation on white noise; null: none of the sizes tried (1 to 6)",
        unit="robust sd of the increments",
        nullable=True,
    )
    paired_difference: float = column(
        "difference of an outcome between two arms, t approximation", unit="sd of the paired differences", nullable=True
    )
    smallest_q: float = column("smallest q that a contrast can reach at this number of seeds", gt=0, le=1)
    num_studies: int = column("simulated studies a size", ge=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study"]


TABLES: dict[str, type[Table]] = {"minimum_detectable": MinimumDetectable}
