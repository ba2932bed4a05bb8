"""What arms that differ in order can be compared on: the same steps, the same items, the same redrawn samplers.

Here: the runs of an arm, the window that all arms share, effects of units (families, items) in it, when units were
introduced. Not here: what effects say about order (order_sensitivity).
Legend: S = seeds, R = redrawn runs, W = steps of the window, U = units, T = increments, N = items of the policy.

Where a family is introduced, a phase begins, and every seed moves there for that reason alone: an effect measured at
the introduction cannot be told from the boundary. In a block of one family nothing varies, so that its showings say
nothing about it. Effects are therefore measured where all arms draw all families with shares that stand still: from
the first step at which every arm is in its last phase. There the arms have the same learning rate, the same step count
and the same families, and differ in what was shown before. Arms must have equal total exposure (matched presets), or
"later" would also mean "less often".

Movement is measured about the median of the window, in one unit for all arms (shared_scale). In robust sd of an arm's
own whole series, a showing that does the same in two arms would have the larger effect in the arm whose blocks moved
the state less.

Within the window the effect of a unit is mean over its expected showings of (d - its mean), d the movement just after a
showing less that just before (exposure_locked.step_responses), weighted with how many showings there were more than
expected: sum_t (n_t - B p) d_t / (W B p). If a showing of unit u adds b_u to d, this is b_u - sum_v p_v b_v in
expectation. The last term belongs to the mixture, which differs between arms; families are therefore centred by their
plain mean, which leaves b_u - mean_v b_v in every arm, and items by the same number. That b_u is one number holds for
movements that add up. Movement has no direction, so that several showings of a family in one step may do more than
their number, or less: arms are comparable so far as their mixtures in the window are (mixture_gap).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.cells import ArmSeries
from squiggle_assets.science.exposure_locked import step_responses
from squiggle_assets.science.exposures import exposures_of
from squiggle_assets.science.policy import Policy
from squiggle_assets.science.stats import robust_scale

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MIN_STEPS = 10
"""Steps that the common window must have."""
MIN_SHOWINGS = 8
"""Showings in the window that an item is expected to have in every arm, all seeds together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmRuns:
    """The runs of one arm that went to their end."""

    arm: str
    series: ArmSeries
    traces: pl.DataFrame
    """sample_trace rows of its runs."""
    policy: Policy


class Window(NamedTuple):
    """Draws start <= step < stop."""

    start: int
    stop: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """What is compared: families, groups of items, or items."""

    names: tuple[str, ...]
    of_item: Mapping[str, str]
    """item_id -> name; items that belong to no unit are absent."""

    def codes(self, policy: Policy) -> I64:
        """[N] index into names of every item of the policy, -1 for none."""
        place = {name: number for number, name in enumerate(self.names)}
        return np.array([place.get(self.of_item.get(item, ""), -1) for item in policy.items["item_id"]])


class Measured(NamedTuple):
    """Units of one arm."""

    effect: F64
    """[S, U], not centred."""
    null: F64
    """[R, S, U] the same for every redrawn run in the place of each seed's run."""
    num: I64
    """[U] showings in the window, all seeds."""
    first: F64
    """[S, U] step of the first showing in each run; nan for none."""
    share: F64
    """[U] chance of a slot of the window to hold the unit."""


def varying_cells(arms: Sequence[ArmRuns], window: Window) -> tuple[str, ...]:
    """Names of the cells whose series vary in the window of every run: one that stands still has no scale.

    ValueError where there is none, or the arms have different cells.
    """
    names = [cell.name for cell in arms[0].series.cells]
    if any([cell.name for cell in runs.series.cells] != names for runs in arms):
        raise ValueError(f"arms {[runs.arm for runs in arms]} have different layers or metrics")
    moving = np.all([_scales(runs.series, window) for runs in arms], axis=0)
    found = tuple(name for name, moves in zip(names, moving, strict=True) if moves)
    if not found:
        raise ValueError(f"no cell varies in every run of the arms {[runs.arm for runs in arms]}")
    return found


def _increments(series: ArmSeries, window: Window) -> I64:
    """[W] index of the increment that holds each step of the window."""
    return np.searchsorted(series.steps, np.arange(*window), side="right")


def _inside(series: ArmSeries, window: Window) -> F64:
    """[S, K, increments that hold steps of the window]."""
    return series.increments[..., np.unique(_increments(series, window))]


def _scales(series: ArmSeries, window: Window) -> NDArray[np.bool_]:
    """[C] whether every series of the cell has a robust scale in every seed."""
    scale_SK = robust_scale(_inside(series, window))
    return np.array([(scale_SK[:, list(cell.members)] > 0).all() for cell in series.cells])


def shared_scale(arms: Sequence[ArmRuns], window: Window) -> F64:
    """[S, K] unit of each series, the same in all arms: mean over arms of its robust sd in the window, by seed."""
    return np.asarray(np.mean([robust_scale(_inside(runs.series, window)) for runs in arms], axis=0))


def movement(series: ArmSeries, cells: Collection[str], window: Window, scale_SK: F64) -> F64:
    """[S, T] how far the state moved: mean over these cells of |mean over the cell's series of (x - median) / scale|.

    The median is that of the window. Without direction and over all cells that have a scale, so that nothing about it
    was chosen by looking at effects.
    """
    centred = series.increments - np.median(_inside(series, window), axis=-1, keepdims=True)
    members = [list(cell.members) for cell in series.cells if cell.name in cells]
    moved = [np.abs((centred[:, own] / scale_SK[:, own, None]).mean(axis=1)) for own in members]
    return np.asarray(np.mean(moved, axis=0))


def of_seeds(runs: ArmRuns, seeds: Sequence[int]) -> ArmRuns:
    """The runs of these seeds only, in this order; ValueError names a seed that is missing."""
    missing = sorted(set(seeds) - set(runs.series.seeds))
    if missing:
        raise ValueError(f"arm {runs.arm!r} has no whole run of the seeds {missing}")
    at = [runs.series.seeds.index(seed) for seed in seeds]
    series = replace(
        runs.series, seeds=tuple(seeds), increments=runs.series.increments[at], levels=runs.series.levels[at]
    )
    return replace(runs, series=series, traces=runs.traces.filter(pl.col("seed").is_in(list(seeds))))


def common_window(arms: Sequence[ArmRuns], reach: int) -> Window:
    """The steps in which every arm is in its last phase and d can be measured.

    Raises:
        ValueError: captures at different steps, a last phase whose shares move, fewer than MIN_STEPS steps.
    """
    steps = arms[0].series.steps
    for runs in arms:
        if not np.array_equal(runs.series.steps, steps):
            raise ValueError(f"arms {arms[0].arm!r} and {runs.arm!r} were captured at different steps")
        if not runs.policy.phases[-1].is_constant:
            raise ValueError(f"arm {runs.arm!r}: the shares of its last phase move, so no window can be compared")
    # The first reach increments and the last reach - 1 have no d; an increment holds the draws since the last capture.
    start = max(int(steps[reach - 1]), *(runs.policy.phases[-1].start for runs in arms))
    # Beyond the base budget the last phase goes on, and arms no longer have equal exposure.
    window = Window(start, min(int(steps[len(steps) - reach]), *(runs.policy.total_steps for runs in arms)))
    if window.stop - window.start < MIN_STEPS:
        raise ValueError(
            f"the arms {[runs.arm for runs in arms]} share only steps {window.start} to {window.stop} of their last "
            f"phases; at least {MIN_STEPS} are needed"
        )
    return window


def drawable(arms: Sequence[ArmRuns], of_item: Mapping[str, str], window: Window) -> tuple[str, ...]:
    """Names of the units that every arm can draw in the window and has shown, sorted; planted items belong to none."""
    found = []
    for runs in arms:
        there = runs.policy.items["item_id"].to_numpy()[runs.policy.probabilities(window.start) > 0]
        shown = {of_item[item] for item in runs.traces["item_id"].unique() if item in of_item}
        found.append({of_item[item] for item in there if item in of_item} & shown)
    return tuple(sorted(set.intersection(*found)))


def often_shown(arms: Sequence[ArmRuns], units: Units, window: Window) -> tuple[str, ...]:
    """Items of the units that are expected at least MIN_SHOWINGS times in every arm's window and were shown, sorted.

    By expectation: items that were in fact shown often vary more than redrawn runs have them.
    """
    found = []
    for runs in arms:
        expected = len(runs.series.seeds) * runs.policy.expected_draws(*window)
        often = runs.policy.items["item_id"].to_numpy()[expected >= MIN_SHOWINGS]
        found.append({item for item in often if units.of_item.get(item) in units.names})
        found.append(set(runs.traces["item_id"].unique()))
    return tuple(sorted(set.intersection(*found)))


def redrawn_runs(arms: Sequence[ArmRuns], window: Window, seeds: Sequence[int]) -> dict[str, I64]:
    """By arm [R, W, B] draws of seeds that no roster holds.

    The same seeds in every arm: as in real runs of one seed, arms then share many of their draws.
    """
    steps = range(*window)
    return {runs.arm: np.array([[runs.policy.draw(seed, step) for step in steps] for seed in seeds]) for runs in arms}


def measured(runs: ArmRuns, units: Units, window: Window, redrawn_RWB: I64, moved_ST: F64, reach: int) -> Measured:
    """Effects, their redrawn null and introductions of the units in one arm; moved_ST: its movement.

    ValueError as `exposures_of`, or where captures go beyond the traces.
    """
    shown = exposures_of(runs.traces, runs.policy)
    if shown.seeds != runs.series.seeds or min(shown.num_steps) < window.stop:
        raise ValueError(
            f"arm {runs.arm!r}: traces of {shown.seeds} do not cover steps {window} of {runs.series.seeds}"
        )
    codes, size = units.codes(runs.policy), runs.policy.batch_size
    probability_N = runs.policy.probabilities(window.start)
    share_U = np.bincount(codes + 1, weights=probability_N, minlength=len(units.names) + 1)[1:].astype(np.float64)
    own_SWB = np.stack([drawn[window.start : window.stop] for drawn in shown.drawn])
    d_SW = step_responses(moved_ST, reach)[:, _increments(runs.series, window)]
    d_SW = d_SW - d_SW.mean(axis=1, keepdims=True)
    expected_U = size * share_U
    own = _counts(own_SWB, codes, len(units.names))
    # The sum of d over the window is 0, so the constant expectation drops out of sum (n - E n) d.
    effect_SU = np.einsum("swu,sw->su", own, d_SW) / (d_SW.shape[1] * expected_U)
    null_RSU = np.stack([d_SW @ _counts(run[None], codes, len(units.names))[0] for run in redrawn_RWB])
    return Measured(
        effect_SU,
        null_RSU / (d_SW.shape[1] * expected_U),
        own.sum(axis=(0, 1)).astype(np.int64),
        np.stack([_first(drawn, codes, len(units.names)) for drawn in shown.drawn]),
        share_U,
    )


def mixture_gap(first_U: F64, second_U: F64) -> float:
    """Half the sum of |difference of shares|: the part of the window's slots that two arms give to other units."""
    return float(np.abs(first_U - second_U).sum() / 2)


def _counts(drawn_XWB: I64, codes_N: I64, num_units: int) -> F64:
    """[X, W, U] showings of each unit at each step."""
    x, w, _ = drawn_XWB.shape
    unit = codes_N[drawn_XWB] + 1
    flat = (np.arange(x * w)[:, None] * (num_units + 1) + unit.reshape(x * w, -1)).ravel()
    counts = np.bincount(flat, minlength=x * w * (num_units + 1)).reshape(x, w, num_units + 1)
    return counts[..., 1:].astype(np.float64)


def _first(drawn_TB: I64, codes_N: I64, num_units: int) -> F64:
    """[U] first step at which a unit is shown; nan for never."""
    first = np.full(num_units + 1, np.inf)
    step = np.repeat(np.arange(len(drawn_TB)), drawn_TB.shape[1])
    np.minimum.at(first, codes_N[drawn_TB].ravel() + 1, step)
    return np.where(np.isfinite(first[1:]), first[1:], np.nan)
