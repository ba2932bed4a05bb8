"""One phase of a sampling policy over known items: probabilities at a step, and draws from them.

Here: the arithmetic of modes and weights. Not here: reading curricula (curriculum.py), choosing which items a phase
may draw (policy.py) and anything that spans phases.

The items of a phase fall into cells (equal probability inside a cell: a family's items without a weight of their own,
or one item with one) and cells into groups (a family, or a lone item). With base b and weight w of a group, weight v
and size n of a cell, and w, v linear in u = (step - start) / (end - start) where the phase ramps:

    mass of a group = b w        balanced_family, weighted_family: b = 1; proportional_family: b = its items
    mass of a cell  = b w * n v / sum of n v over the group
    uniform_item:     w * n v    (items pooled, so b = its items is in the sum already)

Legend: S = steps, A = cells, G = groups, N = items of the policy, B = draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science.template import Mode, WeightType

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CHUNK = 1024


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplingPhase:
    """A phase with steps, items and weights; start <= step < end."""

    idx: int
    name: str
    start: int
    end: int
    mode: Mode
    weight_type: WeightType
    dropped: tuple[str, ...]
    """Families the curriculum names here that have no item left."""
    group_names: tuple[str, ...]
    """(G,) a family, or 'item:<item_id>' for an item weighted without its family."""
    group_base: Floats
    """(G,) b."""
    group_from: Floats
    group_to: Floats
    """(G,) w at u = 0 and u = 1."""
    group_first: Ints
    """(G,) first cell of each group; cells of a group are adjacent."""
    cell_names: tuple[str | None, ...]
    """(A,) 'item:<item_id>' for a cell of one weighted item, else None."""
    cell_family: Ints
    """(A,) index into the policy's families."""
    cell_from: Floats
    cell_to: Floats
    """(A,) v at u = 0 and u = 1."""
    cell_items: tuple[Ints, ...]
    """A arrays of item indices."""

    @property
    def num_steps(self) -> int:
        """Optimiser steps of the base budget in this phase."""
        return self.end - self.start

    @cached_property
    def is_constant(self) -> bool:
        """Whether every step of the phase has the same probabilities."""
        same_groups = np.array_equal(self.group_from, self.group_to)
        return same_groups and np.array_equal(self.cell_from, self.cell_to)

    @cached_property
    def _sizes(self) -> Floats:
        return np.array([len(items) for items in self.cell_items], dtype=np.float64)

    @cached_property
    def _order(self) -> Ints:
        return np.concatenate(self.cell_items)

    @cached_property
    def _offsets(self) -> Ints:
        return np.concatenate([[0], np.cumsum(self._sizes[:-1])]).astype(np.int64)

    @cached_property
    def group_of(self) -> Ints:
        """(A,) the group each cell belongs to."""
        ends = np.append(self.group_first[1:], len(self.cell_items))
        return np.repeat(np.arange(len(self.group_names)), ends - self.group_first)

    @cached_property
    def _cumulative(self) -> Floats:
        """Cumulative cell probabilities: one row for a constant phase, else one a step and one for u = 1."""
        steps = np.arange(self.start, self.start + 1 if self.is_constant else self.end + 1)
        return np.cumsum(self.cell_shares(steps), axis=1)

    def group_sums(self, u: float) -> Floats:
        """(G,) sum of n v over each group at u; 0 where a group's items are all weighted 0."""
        weights = self.cell_from + u * (self.cell_to - self.cell_from)
        return np.asarray(np.add.reduceat(weights * self._sizes, self.group_first), dtype=np.float64)

    def cell_shares(self, steps: NDArray[np.integer]) -> Floats:
        """(S, A) probability of each cell at each step; rows sum to 1.

        u is held at 1 after the phase, where the step ladder draws on.
        """
        u = np.clip((np.asarray(steps, dtype=np.float64) - self.start) / self.num_steps, 0, 1)[:, None]
        groups = self.group_from + u * (self.group_to - self.group_from)
        cells = (self.cell_from + u * (self.cell_to - self.cell_from)) * self._sizes
        if self.mode != "uniform_item":
            cells = cells / np.add.reduceat(cells, self.group_first, axis=1)[:, self.group_of]
            groups = groups * self.group_base
        mass = cells * groups[:, self.group_of]
        return np.asarray(mass / mass.sum(axis=1, keepdims=True), dtype=np.float64)

    def cell_totals(self, start: int, stop: int) -> Floats:
        """(A,) sum of the cells' probabilities over start <= step < stop."""
        if stop <= start:
            return np.zeros(len(self.cell_items))
        if self.is_constant:
            return np.asarray(self.cell_shares(np.array([start]))[0] * (stop - start), dtype=np.float64)
        chunks = [np.arange(first, min(first + _CHUNK, stop)) for first in range(start, stop, _CHUNK)]
        return np.asarray(sum(self.cell_shares(chunk).sum(axis=0) for chunk in chunks), dtype=np.float64)

    def item_totals(self, start: int, stop: int, num_items: int) -> Floats:
        """(N,) sum of the items' probabilities over start <= step < stop; 0 for items the phase cannot draw."""
        total = np.zeros(num_items)
        total[self._order] = np.repeat(self.cell_totals(start, stop) / self._sizes, self._sizes.astype(np.int64))
        return total

    def family_totals(self, start: int, stop: int, num_families: int) -> Floats:
        """(families,) sum of the families' probabilities over start <= step < stop."""
        sums = np.bincount(self.cell_family, weights=self.cell_totals(start, stop), minlength=num_families)
        return np.asarray(sums, dtype=np.float64)

    def draw(self, uniforms: Floats, step: int) -> Ints:
        """(B,) item indices from (2, B) uniforms on [0, 1): the first row picks the cell, the second the item."""
        cumulative = self._cumulative[min(step - self.start, len(self._cumulative) - 1)]
        # u < 1 makes u * total < total, and side="right" skips cells of probability 0.
        cells = np.searchsorted(cumulative, uniforms[0] * cumulative[-1], side="right")
        within = (uniforms[1] * self._sizes[cells]).astype(np.int64)
        return np.asarray(self._order[self._offsets[cells] + within], dtype=np.int64)
