"""Edits that look for other draws of the same run: the places of a placebo, and draws that change places.

Here: choosing like draws, without using one twice, and recording how alike they are. Not here: conditions (edits),
like items (substitutes).

A cell is a place of the run, step * B + slot. Legend: T = steps, B = draws per step, M = draws of triggers in scope.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science.rng import generator
from squiggle_assets.science.substitutes import Candidates

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Edit(NamedTuple):
    """One cell and what it shall hold."""

    cell: int
    item: int
    reason: str


def placebo_cells(
    candidates: Candidates, cells: Ints, window: tuple[int, int] | None, draw: int
) -> tuple[Ints, list[str]]:
    """As many cells as the triggers have, of items that are no triggers, and how alike each is, in words.

    For each draw of a trigger, at random among the cells that come first by: inside the window (None: everywhere is
    inside; else the nearest step before it, and only then after it: what is drawn after the peak cannot bring the event
    about, and such a placebo would be no control), the same family, the nearest decile of exposure. Draws of planted
    items are not taken. Numbers of draws are independent (the draw is in the key of the stream).

    Raises:
        ValueError: fewer such cells than draws of triggers.
    """
    recorded = candidates.recorded
    size = recorded.drawn.shape[1]
    item_of = recorded.drawn.ravel()
    free = _free(candidates)
    _refuse_few(free, len(cells), "placebo")
    step = np.arange(recorded.drawn.size) // size
    outside, after = _steps_outside(step, window)
    rng = generator("placebo", recorded.seed, draw)
    chosen, levels = [], []
    for cell in cells.tolist():
        other = candidates.family[item_of] != candidates.family[item_of[cell]]
        exposure = np.abs(candidates.exposure_bin[item_of] - candidates.exposure_bin[item_of[cell]])
        at = _first(free, (after, outside, other, exposure), rng)
        free[at] = False
        chosen.append(at)
        family = "other family" if other[at] else "same family"
        place = "inside" if outside[at] == 0 else f"{outside[at]} steps {'after' if after[at] else 'before'} the window"
        levels.append(f"{family}, {place}, exposure_decile+{exposure[at]} of the draw")
    return np.array(chosen, dtype=np.int64), levels


def moves(candidates: Candidates, cells: Ints, window: tuple[int, int], *, late: bool) -> list[Edit]:
    """Swaps of the triggers' cells with cells after the window (late) or before it (early): two edits a swap.

    The aim of a draw is as many steps away as the window is long, so that the dose moves as a whole. Of the cells
    beyond the window that hold neither a trigger nor a planted item: the same family first, then the same phase, then
    the step nearest to the aim; at random among equals, each cell once.

    Raises:
        ValueError: fewer cells there than draws to move.
    """
    recorded = candidates.recorded
    size = recorded.drawn.shape[1]
    item_of = recorded.drawn.ravel()
    step = np.arange(recorded.drawn.size) // size
    first, stop = window
    word = "late" if late else "early"
    free = _free(candidates) & (step >= stop if late else step < first)
    _refuse_few(free, len(cells), word)
    phase = np.array([recorded.policy.phase_at(number)[0] for number in range(len(recorded.drawn))])[step]
    rng = generator(word, recorded.seed)
    rows = []
    for cell in cells.tolist():
        aim = step[cell] + (stop - first if late else first - stop)
        other = candidates.family[item_of] != candidates.family[item_of[cell]]
        at = _first(free, (other, phase != phase[cell], np.abs(step - aim)), rng)
        free[at] = False
        alike = ", ".join(
            f"{'other' if differs else 'same'} {name}"
            for name, differs in (("family", other[at]), ("phase", phase[at] != phase[cell]))
        )
        rows += [
            Edit(cell, int(item_of[at]), f"{word}: from step {step[at]}, {alike}"),
            Edit(at, int(item_of[cell]), f"{word}: from step {step[cell]}, {alike}"),
        ]
    return rows


def _free(candidates: Candidates) -> Bools:
    """(T * B,) cells that hold neither a trigger nor a planted item."""
    held = candidates.recorded.drawn.ravel()
    return ~(candidates.is_trigger | candidates.is_planted)[held]


def _refuse_few(free: Bools, num: int, what: str) -> None:
    if free.sum() < num:
        raise ValueError(
            f"{what} needs {num} draws of other items and the run has {int(free.sum())} there; take fewer triggers or "
            "an earlier window"
        )


def _steps_outside(step: Ints, window: tuple[int, int] | None) -> tuple[Ints, Bools]:
    """(T * B,) steps from the window, 0 inside, and whether it is after the window."""
    if window is None:
        return np.zeros_like(step), np.zeros(len(step), dtype=bool)
    first, stop = window
    return np.asarray(np.maximum(0, np.maximum(first - step, step - (stop - 1)))), np.asarray(step >= stop)


def _first(free: Bools, keys: tuple[NDArray[np.generic], ...], rng: np.random.Generator) -> int:
    """One of the free cells whose keys come first, at random."""
    at = np.flatnonzero(free)
    for key in keys:
        own = key[at]
        at = at[own == own.min()]
    return int(at[rng.integers(len(at))])
