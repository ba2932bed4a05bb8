"""From runs on subsets to the tables about them: outcomes of every run, scores of every attribution.

Here: rows. Not here: subsets and what is measured (subsets), scores of items (subset_scores), the score itself (lds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.calibration import EXPOSURE
from squiggle_assets.science.lds import SubsetRuns, ceiling, lds_rows
from squiggle_assets.science.subsets import REPEAT, SUBSET, repeats
from squiggle_assets.science.waves import FollowUp

F64 = NDArray[np.float64]

OUTCOMES_SCHEMA: dict[str, type[pl.DataType]] = {
    **{"arm": pl.String, "seed": pl.Int64, "parent_arm": pl.String, "run_id": pl.String, "condition": pl.String},
    **{"draw": pl.Int64, "num_items": pl.Int64, "num_planted": pl.Int64, "stopped_early": pl.Boolean},
    "outcome": pl.Float64,
}
"""Columns of subset_outcomes."""


class SubsetRun(NamedTuple):
    """One run on a subset of its parent's items."""

    followup: FollowUp
    seed: int
    run_id: str
    mask: NDArray[np.bool_]
    """[N] items of the parent's policy that it could draw."""
    stopped_early: bool
    outcome: float | None
    """None: a controller stopped it or its parent, or the parents show nothing to compare it with."""


def outcome_rows(runs: Sequence[SubsetRun], num_planted: int) -> pl.DataFrame:
    """One row a run (OUTCOMES_SCHEMA), by arm and seed; the last num_planted items of every mask are planted."""
    rows = [
        {
            **{"arm": run.followup.name, "seed": run.seed, "parent_arm": run.followup.parent, "run_id": run.run_id},
            **{"condition": run.followup.condition, "draw": run.followup.draw, "num_items": int(run.mask.sum())},
            "num_planted": int(run.mask[len(run.mask) - num_planted :].sum()),
            **{"stopped_early": run.stopped_early, "outcome": run.outcome},
        }
        for run in runs
    ]
    return pl.DataFrame(rows, schema=OUTCOMES_SCHEMA).sort("arm", "seed")


def scored(
    runs: Sequence[SubsetRun], scores: Mapping[str, F64], roster: Sequence[int], draws: np.random.Generator
) -> pl.DataFrame:
    """Columns of the lds table but study, arm, place and share.

    Scores rest on runs of condition `subset`; those of one seed share its draws and start, and are resampled together.
    Runs of condition `repeat` serve the ceiling alone, beside the first subset of each seed.

    Args:
        runs: Of one parent arm; those without an outcome are left out.
        scores: As `lds_rows` wants them, for one event.
        roster: Seeds whose neighbours are pairs.
        draws: Of intervals, p and random scores.
    """
    num_items = next(iter(scores.values())).shape[-1]
    whole = [run for run in runs if run.outcome is not None]
    used = [run for run in whole if run.followup.condition == SUBSET]
    of_runs = SubsetRuns(
        masks=np.array([run.mask for run in used], dtype=bool).reshape(len(used), num_items),
        outcomes=np.array([[run.outcome for run in used]], dtype=np.float64),
        units=np.array([run.seed for run in used], dtype=np.int64),
    )
    table = lds_rows(of_runs, scores, draws, baseline=EXPOSURE)
    first, second = (_by_seed(whole, condition) for condition in (SUBSET, REPEAT))
    pairs = repeats(first, second, roster)
    first_R, second_R = (pairs[side].to_numpy()[None] for side in ("first", "second"))
    top, interval = ceiling(first_R, second_R, pairs["unit"].to_numpy(), draws)
    known = {"ceiling": top, "ceiling_lo": interval.lo, "ceiling_hi": interval.hi}
    columns = [pl.lit(value, pl.Float64).fill_nan(None).alias(name) for name, value in known.items()]
    return table.with_columns(*columns, pl.lit(pairs.height, pl.Int64).alias("num_repeats"))


def _by_seed(runs: Sequence[SubsetRun], condition: str) -> dict[int, float]:
    """Outcome by seed of the runs on a seed's first subset."""
    chosen = (run for run in runs if run.followup.condition == condition and run.followup.draw == 0)
    return {run.seed: run.outcome for run in chosen if run.outcome is not None}


def distinct_seeds(outcomes: pl.DataFrame) -> int:
    """Seeds that the score rests on: the replicates of its claim."""
    there = (pl.col("condition") == SUBSET) & pl.col("outcome").is_not_null()
    return outcomes.filter(there)["seed"].n_unique()
