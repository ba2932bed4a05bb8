"""Held-out loss and accuracy of each family as series of one arm, without what the schedule of training explains.

Here: from probe losses and scalars to increments, what learning rate, loss and gradient norm explain of them, and their
size over time. Not here: events, tests (probe_correlation).
Legend: S = seeds, Q = probe series (probe set, family, measure), N = captures, T = N - 1 increments, C = covariates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.detection import increments_of
from squiggle_assets.science.envelope import SIZE_WINDOW, series_scale
from squiggle_assets.science.stats import clipped_scale

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

COVARIATES = ("lr", "loss", "grad_norm")
"""Scalars that are partialled out, each as its mean over the updates between two captures; a line in time too."""
MEASURES = ("loss", "accuracy")


class Probe(NamedTuple):
    """One series."""

    probe_set: str
    family_id: str
    measure: str

    @property
    def name(self) -> str:
        """probe_id."""
        return f"{self.probe_set}.{self.family_id}.{self.measure}"


@dataclass(frozen=True, kw_only=True)
class ProbeSeries:
    """The probe series of all seeds of one arm."""

    seeds: tuple[int, ...]
    probes: tuple[Probe, ...]
    steps: I64
    """[T] step of the later capture of each increment."""
    rest: F64
    """[S, Q, T] change per usual capture interval that the covariates do not explain, in the measure's unit."""
    z: F64
    """[S, Q, T] the same over its usual size at that time: scale of the series times an envelope over time."""


def probe_series(losses: pl.DataFrame, scalars: pl.DataFrame) -> ProbeSeries:
    """The series of one arm; families by their completion tokens, so that a long item counts for more than a short one.

    Args:
        losses: probe_losses of its runs (seed, step, probe_set, family_id, num_tokens, loss, accuracy).
        scalars: of the same runs (seed, step, metric, value).

    Raises:
        ValueError: seeds measured at other captures or probes than the rest, a loss that is no number, or a covariate
            that was not measured at every update between the captures.
    """
    each = _by_family(losses)
    seeds, steps = sorted(each["seed"].unique()), sorted(each["step"].unique())
    keys = [Probe(*row) for row in each.select("probe_set", "family_id").unique().sort(pl.all()).iter_rows()
            for row in [(*row, measure) for measure in MEASURES]]  # fmt: skip
    families = each.select("probe_set", "family_id").n_unique()
    if each.height != len(seeds) * len(steps) * families:
        raise ValueError(
            f"{each.height} means of probe losses where {len(seeds)} seeds x {len(steps)} captures x {families} "
            "families are needed: seeds were measured at different captures"
        )
    if not each.select(pl.all_horizontal(pl.col(MEASURES).is_finite().all())).item():
        raise ValueError("a probe loss is no number: leave the run out")
    ordered = each.sort("seed", "probe_set", "family_id", "step")
    values = [ordered[name].to_numpy().reshape(len(seeds), families, len(steps)) for name in MEASURES]
    levels = np.stack(values, axis=2).reshape(len(seeds), 2 * families, len(steps))
    at = np.array(steps, dtype=np.int64)
    increments = increments_of(levels.reshape(-1, len(steps)), at).reshape(len(seeds), len(keys), -1)
    rest = without(increments, covariates_of(scalars, seeds, at))
    return ProbeSeries(seeds=tuple(seeds), probes=tuple(keys), steps=at[1:], rest=rest, z=standardised(rest))


def _by_family(losses: pl.DataFrame) -> pl.DataFrame:
    weight = pl.col("num_tokens")
    means = [((pl.col(name) * weight).sum() / weight.sum()).alias(name) for name in MEASURES]
    return losses.group_by("seed", "step", "probe_set", "family_id").agg(means)


def covariates_of(scalars: pl.DataFrame, seeds: list[int], captures_N: I64) -> F64:
    """[S, C, T] mean of each covariate over the updates between two captures: at steps k to l - 1 between k and l."""
    found = np.empty((len(seeds), len(COVARIATES), len(captures_N) - 1))
    for s, seed in enumerate(seeds):
        for c, metric in enumerate(COVARIATES):
            rows = scalars.filter((pl.col("seed") == seed) & (pl.col("metric") == metric)).sort("step")
            values = dict(rows.select("step", "value").iter_rows())
            wanted = range(int(captures_N[0]), int(captures_N[-1]))
            absent = [step for step in wanted if step not in values]
            if absent:
                raise ValueError(f"seed {seed}: no {metric} at steps {absent[:3]} between the captures")
            sums = np.concatenate([[0.0], np.cumsum([values[step] for step in wanted])])[captures_N - captures_N[0]]
            found[s, c] = np.diff(sums) / np.diff(captures_N)
    return found


def without(increments_SQT: F64, covariates_SCT: F64) -> F64:
    """[S, Q, T] what a least squares fit of covariates, constant and line in time leaves of each seed's increments."""
    num_seeds, _, num = increments_SQT.shape
    line = np.linspace(-1.0, 1.0, num)
    rest = np.empty_like(increments_SQT)
    for s in range(num_seeds):
        columns = np.stack([np.ones(num), line, *covariates_SCT[s]], axis=1)
        # one scale for all columns: a learning rate of 1e-4 must not be taken for rounding
        columns = columns / np.maximum(np.abs(columns).max(axis=0), 1e-300)
        weights = np.linalg.lstsq(columns, increments_SQT[s].T, rcond=None)[0]
        rest[s] = increments_SQT[s] - (columns @ weights).T
    return rest


def standardised(rest_SQT: F64) -> F64:
    """[S, Q, T] rest over the scale of its series and over the envelope that all seeds share; 0 where nothing moves.

    The envelope of a probe at a capture is the usual size over seeds and SIZE_WINDOW captures on each side: what the
    schedule makes larger at some times must not look like a response to an event at these times.
    """
    scale_SQ = series_scale(rest_SQT)[..., None]
    unit = np.where(scale_SQ > 0, rest_SQT / np.where(scale_SQ > 0, scale_SQ, 1.0), 0.0)
    size = np.abs(unit)
    envelope = np.ones(unit.shape[1:])
    num = unit.shape[-1]
    for t in range(num):
        # as wide at the ends as in the middle
        lo = min(max(0, t - SIZE_WINDOW), max(0, num - 2 * SIZE_WINDOW - 1))
        window = size[:, :, lo : lo + 2 * SIZE_WINDOW + 1]
        envelope[:, t] = [clipped_scale(window[:, q].ravel()) or 1.0 for q in range(unit.shape[1])]
    return np.asarray(unit / envelope)
