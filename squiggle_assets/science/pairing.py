"""Seeds re-paired across arms (N3): how often do runs of different arms agree as the runs of one arm do?

Here: the draws, their rows, a p for each arm. Not here: the other nulls (nulls), which ask whether there is any
consensus at all. This one is no part of that p: what all arms share is consensus too.
Legend: D = draws, A = arms, C = cells, S = seeds, P = polarity, T = increments.

A draw takes one run of every seed, its arm at random. If the arm made no difference, the runs of a seed could change
places between arms without anything being lost, and the observed group of an arm would be one such draw: so the p of
an arm, (1 + draws with at least as many consensus events) / (1 + draws), is exact. It is small where the runs of an
arm agree on something that runs of the other arms do not share. A base model, a learning rate, a probe or an item that
all arms have in common agrees in mixed groups as well; the phase boundaries of an arm's own curriculum do not, so a
placebo arm in blocks stands out too: a small p says that the arm matters, not that its items do. It does not tell
which of the arms differ (contrasts do), all arms are judged by the same draws, and an effect in half of the arms
dilutes itself. Arms are drawn independently and not as evenly as possible: the even groups are no set that the
observed one could belong to, so their p would be no p.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science import matching, rng
from squiggle_assets.science.comparison import ArmData
from squiggle_assets.science.consensus import draw_rows
from squiggle_assets.science.events import parameters_id
from squiggle_assets.science.nulls import DRAW_COLUMNS, Null, least_support
from squiggle_assets.science.spec import ConsensusSpec, DetectionSpec
from squiggle_assets.science.stats import permutation_p

NAME = "pairing"
_CHUNK = 50


class Pairing(NamedTuple):
    """What groups of runs from different arms have in common."""

    draws: pl.DataFrame
    """One row a draw and cell, and one a draw for the number of consensus events over all cells (band 'all')."""
    mean: float | None
    """Mean number of consensus events of a draw; None without draws."""
    p_values: Mapping[str, float]
    """By arm; empty without draws."""


def pairing_of(arms: Mapping[str, ArmData], detection: DetectionSpec, spec: ConsensusSpec) -> Pairing:
    """draws_per_cell × cells draws over the seeds that all arms have, and a p for each arm over the same seeds.

    Draws are keyed by spec.seed and the parameters. None with fewer than 2 arms or 2 such seeds, or where arms differ
    in captures or cells.
    """
    seeds = sorted(set.intersection(*(set(arm.series.seeds) for arm in arms.values()))) if arms else []
    if len(arms) < 2 or len(seeds) < 2 or not _alike(list(arms.values())):
        return Pairing(pl.DataFrame(schema=DRAW_COLUMNS), None, {})
    first = next(iter(arms.values()))
    steps, tau, support = first.series.steps, first.seen.tau, least_support(len(seeds), spec)
    strengths = {name: _of_seeds(arm, seeds) for name, arm in arms.items()}
    null = paired_across_arms(
        strengths,
        steps_T=steps,
        tau=tau,
        min_support=support,
        num_draws=spec.draws_per_cell * len(first.series.cells),
        rng=rng.generator(NAME, spec.seed, parameters_id(detection, spec)),
    )
    counts = {name: int(_counts(strength[None], steps, tau, support)[1][0]) for name, strength in strengths.items()}
    p_values = {name: float(permutation_p(count, null.count)) for name, count in counts.items()}
    return Pairing(draw_rows([null], first.series.cells), float(null.count.mean()), p_values)


def _alike(arms: list[ArmData]) -> bool:
    first = arms[0].series
    return all(np.array_equal(arm.series.steps, first.steps) and arm.series.cells == first.cells for arm in arms[1:])


def _of_seeds(arm: ArmData, seeds: list[int]) -> matching.F32:
    return arm.seen.strength[:, [arm.series.seeds.index(seed) for seed in seeds]]


def _counts(
    strength_DCSPT: matching.F32, steps_T: matching.I64, tau: float, min_support: int
) -> tuple[matching.F32, NDArray[np.int64]]:
    """[D, C] best totals and [D] numbers of consensus events."""
    found = matching.scan(strength_DCSPT, steps_T, tau)
    return matching.best_total(found), matching.count(found, steps_T, tau, min_support).sum(axis=-1)


def paired_across_arms(
    strengths: Mapping[str, matching.F32],
    *,
    steps_T: matching.I64,
    tau: float,
    min_support: int,
    num_draws: int,
    rng: np.random.Generator,
) -> Null:
    """The draws: every seed once, each from an arm of its own lot.

    strengths holds [C, S, P, T] by arm, all on the same captures and seeds in the same order. ValueError with fewer
    than 2 arms or on shapes that disagree.
    """
    shapes = {arm: strength.shape for arm, strength in strengths.items()}
    if len(shapes) < 2 or len(set(shapes.values())) != 1:
        raise ValueError(f"seeds are re-paired over at least 2 arms of the same shape, got {shapes}")
    stacked_ACSPT = np.stack([strengths[arm] for arm in sorted(strengths)])
    num_arms, _, num_seeds = stacked_ACSPT.shape[:3]
    arms_DS = rng.integers(0, num_arms, size=(num_draws, num_seeds))
    seeds, best, counts = np.arange(num_seeds), [], []
    for start in range(0, num_draws, _CHUNK):
        group = stacked_ACSPT[arms_DS[start : start + _CHUNK], :, seeds].transpose(0, 2, 1, 3, 4)
        totals, num = _counts(np.ascontiguousarray(group), steps_T, tau, min_support)
        best.append(totals)
        counts.append(num)
    return Null(name=NAME, best=np.concatenate(best), count=np.concatenate(counts))
