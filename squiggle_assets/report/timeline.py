"""What happens when in an arm, for the marks in figures and tables: phases, warm-up, decay, plant.

Here: Timeline and its reading from run_manifest and curriculum. Not here: drawing (style).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The schedule of one arm, in optimiser steps since the start."""

    phases: tuple[tuple[int, str], ...]
    """(first step, name) of every curriculum phase, the first one included."""
    warmup_end: int
    decay_start: int
    last: int
    """Last step of the budget."""
    plant: tuple[int, int] | None = None
    """First planted step and the step after the last one."""

    @property
    def boundaries(self) -> dict[str, tuple[int, ...]]:
        """Steps at which the schedule alone may make a run move, by kind."""
        return {
            "start": (0,),
            "warm-up end": (self.warmup_end,),
            "phase start": tuple(step for step, _ in self.phases if step > 0),
            "decay start": (self.decay_start,),
        }


def timelines(run_manifest: pl.DataFrame, curriculum: pl.DataFrame) -> dict[str, Timeline]:
    """Arm -> timeline, for the arms that have both a curriculum and runs; ValueError if runs of an arm disagree."""
    found = {}
    for row in curriculum.iter_rows(named=True):
        runs = run_manifest.filter(pl.col("arm") == row["arm"])
        if runs.is_empty():
            continue
        budget = runs.select("warmup_end", "decay_start", "total_steps").unique()
        if len(budget) > 1:
            raise ValueError(f"runs of arm {row['arm']!r} have different schedules: {budget.to_dicts()}")
        warmup_end, decay_start, last = budget.row(0)
        manifest = json.loads(row["manifest_json"])
        plant = manifest["plant"]
        found[row["arm"]] = Timeline(
            phases=tuple((phase["start_step"], phase["name"]) for phase in manifest["resolved_phases"]),
            warmup_end=warmup_end,
            decay_start=decay_start,
            last=last,
            plant=None if plant is None else (plant["start_step"], plant["end_step"]),
        )
    return found
