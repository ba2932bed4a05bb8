"""The linear datamodeling score: do an item's attribution scores, summed over a subset, say what its runs did?

Here: predictions, score, interval, permutation p, baselines, ceiling. Not here: which items a subset holds and what a
run of it did (subsets), where the scores come from (triggers), rows of a study (calibration).
Legend: M = subset runs, N = items, Q = queries (events), D = draws, R = repeated subsets.

LDS is the mean over queries of Spearman's correlation, over runs trained on random subsets of the items, between the
sum of the scores of the subset's items and the outcome (Park et al. 2023, arXiv 2303.14186; Ilyas et al. 2022, arXiv
2202.00622). A score that knew the expected outcome of every subset would not reach 1, since a run is one noisy outcome
of it: the correlation of such a score with single runs is the square root of the correlation between two runs of the
same subset, which is the ceiling.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.stats import NO_INTERVAL, Interval, percentile_interval, permutation_p
from squiggle_assets.science.stats.ranks import spearman

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]

MIN_SUBSETS = 10
"""With fewer runs no score is given."""
NUM_DRAWS = 1000
"""Of bootstrap and permutation."""
NUM_RANDOM = 200
"""Vectors of random scores that the random baseline is the mean of."""
RANDOM = "random"
TESTED, TOO_FEW, CONSTANT = "tested", "too few subsets", "no variation"
SCHEMA: dict[str, type[pl.DataType]] = {
    "method": pl.String,
    **dict.fromkeys(("num_subsets", "num_items", "num_queries"), pl.Int64),
    **dict.fromkeys(("lds", "ci_lo", "ci_hi", "p_value", "smallest_p"), pl.Float64),
    **dict.fromkeys(("difference", "difference_lo", "difference_hi"), pl.Float64),
    "status": pl.String,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class SubsetRuns:
    """Runs on random subsets of the items and what they did."""

    masks: Bools
    """[M, N] which items the run could draw."""
    outcomes: F64
    """[Q, M]."""
    units: I64
    """[M] which runs are resampled together: those that share something else than items, such as a seed."""

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit and outcomes that are unknown."""
        (num, _), queries = self.masks.shape, self.outcomes.shape
        if queries[1:] != (num,) or self.units.shape != (num,):
            raise ValueError(
                f"{num} subsets need as many outcomes and units, got shapes {queries} and {self.units.shape}"
            )
        if np.isnan(self.outcomes).any():
            raise ValueError(f"{int(np.isnan(self.outcomes).sum())} outcomes are nan: leave those runs out")


def predicted(masks_MN: Bools, scores_QN: F64) -> F64:
    """[Q, M] sum of the scores of each subset's items; ValueError where the numbers of items differ or one is nan."""
    if scores_QN.shape[-1] != masks_MN.shape[-1]:
        raise ValueError(f"scores of {scores_QN.shape[-1]} items for subsets of {masks_MN.shape[-1]}")
    if np.isnan(scores_QN).any():
        raise ValueError(f"{int(np.isnan(scores_QN).sum())} scores are nan: every item needs one")
    return np.asarray(scores_QN @ masks_MN.T.astype(np.float64))


def lds(predicted_QM: F64, outcomes_QM: F64) -> F64:
    """[...] mean over queries of Spearman's correlation; predictions may have axes before theirs.

    nan where predictions or outcomes of a query do not vary.
    """
    return np.asarray(spearman(predicted_QM, outcomes_QM).mean(axis=-1))


def _resampled(units: I64, draws: np.random.Generator) -> Iterator[I64]:
    """NUM_DRAWS times the positions of as many units as there are, drawn with replacement."""
    labels = np.unique(units)
    members = [np.flatnonzero(units == label) for label in labels]
    for _ in range(NUM_DRAWS):
        yield np.concatenate([members[unit] for unit in draws.integers(0, len(labels), size=len(labels))])


def lds_draws(predicted_KQM: F64, runs: SubsetRuns, draws: np.random.Generator) -> F64:
    """[D, K] bootstrap values of the LDS of K scores, units drawn with replacement; all nan with fewer than 3 units.

    The same draws for all scores, so that their differences can be taken draw by draw.
    """
    if len(np.unique(runs.units)) < 3:
        return np.full((1, len(predicted_KQM)), np.nan)
    found = [lds(predicted_KQM[:, :, rows], runs.outcomes[:, rows]) for rows in _resampled(runs.units, draws)]
    return np.stack(found)


def lds_p(predicted_QM: F64, outcomes_QM: F64, draws: np.random.Generator) -> tuple[float, float]:
    """(p, smallest p) of an LDS at least as large when subsets and runs are paired at random; nan where it is nan.

    Subsets are drawn independently of each other and of everything else about a run, so every pairing is as likely as
    the observed one if items do nothing.
    """
    num, observed = predicted_QM.shape[-1], float(lds(predicted_QM, outcomes_QM))
    order = np.argsort(draws.random((NUM_DRAWS, num)), axis=1)
    by_query = [spearman(own_M[order], outcome_M) for own_M, outcome_M in zip(predicted_QM, outcomes_QM, strict=True)]
    return float(permutation_p(observed, np.mean(by_query, axis=0))), 1 / (1 + NUM_DRAWS)


def ceiling(first_QR: F64, second_QR: F64, units_R: I64, draws: np.random.Generator) -> tuple[float, Interval]:
    """The LDS that a perfect score would have, and its 95 % bootstrap interval over units.

    Square root of the mean rank correlation between two runs of the same subset with other seeds; 0 where that is
    negative, nan with fewer than MIN_SUBSETS repeated subsets.
    """
    if first_QR.shape[-1] < MIN_SUBSETS:
        return float("nan"), NO_INTERVAL
    drawn = [_root(lds(first_QR[:, rows], second_QR[:, rows])) for rows in _resampled(units_R, draws)]
    return _root(lds(first_QR, second_QR)), percentile_interval(np.array(drawn))


def _root(value: F64) -> float:
    return float(np.sqrt(np.maximum(value, 0.0)))


def lds_rows(runs: SubsetRuns, scores: Mapping[str, F64], draws: np.random.Generator, *, baseline: str) -> pl.DataFrame:
    """One row per score and one for random scores: SCHEMA, in the order given, random last.

    Args:
        runs: Subset runs and their outcomes.
        scores: Name -> [Q, N] scores of every item for every query.
        draws: Of bootstrap, permutation and random scores.
        baseline: The score that the others are compared with; difference is the LDS less that of it, with a paired
            bootstrap interval. The random row is the mean LDS of NUM_RANDOM vectors of normal scores, its interval
            their 95 % percentiles: what scores that know nothing give with these subsets.

    Raises:
        ValueError: no score of the baseline's name, or a score that does not fit the items.
    """
    if baseline not in scores:
        raise ValueError(f"no score {baseline!r} to compare with among {sorted(scores)}")
    (num, num_items), queries = runs.masks.shape, len(runs.outcomes)
    shared = {"num_subsets": num, "num_items": num_items, "num_queries": queries}
    status = _status(runs)
    if status != TESTED:
        rows = [{"method": name, **shared, "status": status} for name in (*scores, RANDOM)]
        return pl.DataFrame(rows, schema=SCHEMA)
    names = list(scores)
    predicted_KQM = np.stack([predicted(runs.masks, scores[name]) for name in names])
    value_K, drawn_DK = lds(predicted_KQM, runs.outcomes), lds_draws(predicted_KQM, runs, draws)
    base = names.index(baseline)
    found = []
    for at, name in enumerate(names):
        p, smallest = lds_p(predicted_KQM[at], runs.outcomes, draws)
        interval = percentile_interval(drawn_DK[:, at])
        row = {"lds": value_K[at], "ci_lo": interval.lo, "ci_hi": interval.hi, "p_value": p, "smallest_p": smallest}
        if at != base:
            apart = percentile_interval(drawn_DK[:, at] - drawn_DK[:, base])
            row |= {"difference": value_K[at] - value_K[base], "difference_lo": apart.lo, "difference_hi": apart.hi}
        found.append({"method": name, **shared, **row, "status": CONSTANT if np.isnan(value_K[at]) else TESTED})
    found.append({"method": RANDOM, **shared, **_random(runs, draws), "status": TESTED})
    return pl.DataFrame(found, schema=SCHEMA).with_columns(pl.col(pl.Float64).fill_nan(None))


def _status(runs: SubsetRuns) -> str:
    if len(runs.masks) < MIN_SUBSETS:
        return TOO_FEW
    return CONSTANT if np.ptp(runs.outcomes, axis=1).min() == 0 else TESTED


def _random(runs: SubsetRuns, draws: np.random.Generator) -> dict[str, float]:
    queries, num_items = len(runs.outcomes), runs.masks.shape[1]
    scores_KQN = draws.normal(size=(NUM_RANDOM, queries, num_items))
    values = lds(np.stack([predicted(runs.masks, own) for own in scores_KQN]), runs.outcomes)
    lo, hi = percentile_interval(values)
    return {"lds": float(values.mean()), "ci_lo": lo, "ci_hi": hi}
