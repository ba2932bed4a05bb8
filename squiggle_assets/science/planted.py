"""The response at a place that was fixed before the runs: a planted effect, or the same place in a control arm.

Here: the functional, its nulls, its comparison with a control arm. Not here: verdicts (claims), search (consensus).
Legend: D = draws, S = seeds, M = series of the cell, P = polarity, W = increments of the window, T = increments.

The functional takes the largest increment within a window over several series and the better of two polarities, so
it is above 0 when there is nothing. The same functional is therefore taken in every null draw and in the control.

Responses are taken in asinh of the robust sd (asinh x is x where x is small and log 2x where it is large): they differ
by factors between seeds, and an untransformed mean says the less, the larger the response of one seed. A cap would put
strong responses on a ceiling, where they cannot be told apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science.cells import ArmSeries, Boundary, Cell
from squiggle_assets.science.envelope import standardise
from squiggle_assets.science.matching import tolerance
from squiggle_assets.science.nulls import segment_signs, segments_of, turned_index
from squiggle_assets.science.spec import ConsensusSpec
from squiggle_assets.science.stats import NO_INTERVAL, Interval, permutation_p, t_interval

F64 = NDArray[np.float64]


class Response(NamedTuple):
    """Mean over seeds of the largest oriented increment in the window, in asinh of robust sd of the increments."""

    estimate: float
    interval: Interval
    """95 % t interval over seeds."""
    by_seed: Mapping[int, float]
    polarity: int
    p_values: Mapping[str, float]
    """Per null family: shift, surrogate."""
    null_mean: float
    """In the family with the larger p."""
    num_draws: int

    @property
    def p_value(self) -> float:
        """The larger over the families: the response has to beat both."""
        return max(self.p_values.values())


def place_of(series: ArmSeries, band: int = -1, group: str = "spectral") -> Cell:
    """The pre-registered cell: a layer band (0 the lowest, -1 the last) and a metric group; ValueError without it."""
    found = sorted((cell for cell in series.cells if cell.group == group), key=lambda cell: cell.band)
    if not -len(found) <= band < len(found):
        raise ValueError(f"no band {band} of group {group!r} among the cells {[cell.name for cell in series.cells]}")
    return found[band]


def window_of(series: ArmSeries, steps: tuple[int, int], spec: ConsensusSpec) -> NDArray[np.int64]:
    """[W] increments that end after the first of the steps and at most tau after the last of them.

    steps = (first, stop), half-open. ValueError when no capture lies there.
    """
    first, stop = steps
    found = np.flatnonzero((series.steps > first) & (series.steps <= _reach(series, stop, spec)))
    if not first < stop or not len(found):
        raise ValueError(f"no captures after steps {first} to {stop}: captured up to step {series.steps[-1]}")
    return found


def _reach(series: ArmSeries, stop: int, spec: ConsensusSpec) -> float:
    """Last step that the window looks at."""
    return stop + tolerance(series.steps, spec.tolerance_steps)


def boundaries_near(arms: Iterable[ArmSeries], steps: tuple[int, int], spec: ConsensusSpec) -> tuple[Boundary, ...]:
    """Schedule boundaries of any of the arms that may have a part in the response, in order of step.

    From tau + one capture before the first planted step (a boundary there is still being answered) to one capture
    after the last step that the window looks at. All arms of a comparison count: a boundary in a control arm alone
    makes the control move, or hides what it would have done.
    """
    found = set()
    for series in arms:
        interval = float(np.median(np.diff(series.steps)))
        lowest = steps[0] - tolerance(series.steps, spec.tolerance_steps) - interval
        highest = _reach(series, steps[1], spec) + interval
        found |= {boundary for boundary in series.schedule.boundaries if lowest <= boundary.step <= highest}
    return tuple(sorted(found, key=lambda boundary: (boundary.step, boundary.kind)))


def response_of(
    series: ArmSeries,
    steps: tuple[int, int],
    spec: ConsensusSpec,
    rng: np.random.Generator,
    *,
    band: int = -1,
    group: str = "spectral",
) -> Response:
    """The response of one arm around given steps in one cell (place_of), with its draws: draws_per_cell × cells a null.

    shift: each seed's increments turned within its segments; surrogate: turned and signed standardised increments
    under the arm's own drift and envelope.
    """
    members, window = list(place_of(series, band, group).members), window_of(series, steps, spec)
    own = standardise(series)
    scale = np.where(own.scale > 0, own.scale, np.inf)
    unit_SMT = (series.increments / scale[:, :, None])[:, members]
    observed_PS = _largest(unit_SMT[None, :, :, window])[0]
    side = int(observed_PS.mean(axis=1).argmax())
    segments = segments_of(series.steps, series.schedule, tolerance(series.steps, spec.tolerance_steps))
    shape = spec.draws_per_cell * len(series.cells), len(series.seeds)
    index_DSW = turned_index(shape, segments, rng)[:, :, window]
    sign_DSW = segment_signs(shape, segments, rng)[:, :, window]
    z_DSMW = _gathered(own.z[:, members], turned_index(shape, segments, rng)[:, :, window]) * sign_DSW[:, :, None]
    surrogate = own.drift[members][:, window] + own.envelope[members][:, window] * z_DSMW
    draws = {"shift": _statistic(_gathered(unit_SMT, index_DSW)), "surrogate": _statistic(surrogate)}
    p = {name: float(permutation_p(float(observed_PS[side].mean()), drawn)) for name, drawn in draws.items()}
    return Response(
        estimate=float(observed_PS[side].mean()),
        interval=t_interval(observed_PS[side]),
        by_seed=dict(zip(series.seeds, map(float, observed_PS[side]), strict=True)),
        polarity=1 - 2 * side,
        p_values=p,
        null_mean=float(draws[max(p, key=lambda name: p[name])].mean()),
        num_draws=shape[0],
    )


def _gathered(values_SMT: F64, index_DSW: NDArray[np.int64]) -> F64:
    by_time = values_SMT.transpose(0, 2, 1)
    return by_time[np.arange(len(by_time))[None, :, None], index_DSW].transpose(0, 1, 3, 2)


def _largest(unit_DSMW: F64) -> F64:
    """[D, P, S] asinh of the largest increment up and down of each seed."""
    return np.asarray(np.arcsinh(np.stack([unit_DSMW.max(axis=(2, 3)), -unit_DSMW.min(axis=(2, 3))], axis=1)))


def _statistic(unit_DSMW: F64) -> F64:
    """[D] mean over seeds for the better polarity."""
    return np.asarray(_largest(unit_DSMW).mean(axis=2).max(axis=1))


class BySeed(Protocol):
    """A response of one arm, known for each of its seeds."""

    @property
    def by_seed(self) -> Mapping[int, float]:
        """Value by seed."""


class Control(NamedTuple):
    """How far a response goes beyond that of a control arm."""

    name: str
    difference: float
    """Mean over the seeds that both arms have."""
    interval: Interval
    """95 % t interval of it."""
    num_pairs: int


def beyond_control(name: str, response: BySeed, control: BySeed) -> Control:
    """The response less that of the control arm of that name, seed by seed."""
    seeds = sorted(set(response.by_seed) & set(control.by_seed))
    differences = np.array([response.by_seed[seed] - control.by_seed[seed] for seed in seeds])
    mean = float(differences.mean()) if len(seeds) else math.nan
    return Control(name, mean, t_interval(differences), len(seeds))


def untested_control(name: str) -> Control:
    """A control arm that cannot be compared with: too few of its runs went to their end."""
    return Control(name, math.nan, NO_INTERVAL, 0)


def weakest_control(controls: Iterable[Control]) -> Control | None:
    """The control whose difference has the lowest lower end: who beats it beats all; None without controls.

    One without an interval comes before all others: nothing is known to beat it. num_pairs: the fewest of any control.
    """
    known = list(controls)
    if not known:
        return None
    weakest = min(known, key=lambda found: -math.inf if math.isnan(found.interval.lo) else found.interval.lo)
    return weakest._replace(num_pairs=min(found.num_pairs for found in known))
