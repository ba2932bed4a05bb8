"""Runs that a controller stopped: they stay on record and are left out of whatever compares runs.

Here: which runs those are, and frames without them. Not here: who stops a run (controller), what is said (claims).

A stopped run has fewer captures than the others, and its last score is no final score. That it was stopped depends
on how it went, so what is left is a selection: every claim names the runs that are missing from it.
"""

from __future__ import annotations

from typing import TypeVar

import polars as pl

AnyFrame = TypeVar("AnyFrame", pl.DataFrame, pl.LazyFrame)


def stopped_seeds(manifest: pl.DataFrame) -> dict[str, tuple[int, ...]]:
    """Seeds of the stopped runs by arm, sorted; arms without any are absent. manifest: arm, seed, stopped_early."""
    stopped = manifest.filter(pl.col("stopped_early")).sort("arm", "seed")
    return {str(arm): tuple(own["seed"]) for (arm,), own in stopped.group_by("arm", maintain_order=True)}


def without_stopped(frame: AnyFrame, manifest: pl.DataFrame) -> AnyFrame:
    """The rows of runs that went to their end, in their order; frame has the columns arm and seed."""
    stopped = manifest.filter(pl.col("stopped_early")).select("arm", "seed")
    if isinstance(frame, pl.LazyFrame):
        return frame.join(stopped.lazy(), on=["arm", "seed"], how="anti", maintain_order="left")
    return frame.join(stopped, on=["arm", "seed"], how="anti", maintain_order="left")
