"""The edits of each counterfactual condition: what a replay holds instead of what its parent drew.

Here: Intervention and the edits that replace or remove. Not here: edits that need other places of the run, placebo
and moves (relocation), the choice of a like item (substitutes), the replay (replay).

exact: none. replace: another item of the family, like in length and exposure. remove: what the phase's policy draws
without the triggers. placebo: as many draws of items that are no triggers, replaced in the same way. late, early:
the draws change places with draws after or before the window, so that every item is seen as often as before.

Every choice is keyed by seed and step (and the number of the draw for placebo): nothing depends on other edits.
Legend: T = steps, B = draws per step, N = items, M = draws that are edited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science import relocation
from squiggle_assets.science.replay import EDIT_SCHEMA, Recorded
from squiggle_assets.science.rng import generator
from squiggle_assets.science.substitutes import Candidates

Ints = NDArray[np.int64]
Condition = Literal["exact", "replace", "remove", "placebo", "late", "early"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
Scope = Literal["window", "run"]


class Window(NamedTuple):
    """Steps whose draws may have brought the event about; a capture at step k has seen the draws below k."""

    first: int
    stop: int
    """Step after the last one: the peak, where the peak is a capture."""


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """One condition of one event, the same for every seed."""

    condition: Condition
    triggers: tuple[str, ...]
    """item_id of the items in question."""
    window: Window
    scope: Scope = "window"
    """window: only draws inside it are edited; run: all draws of the triggers (late and early: all on the wrong side
    of the window's edge)."""
    draw: int = 0
    """Number of the draw of a placebo; draws are independent."""

    def __post_init__(self) -> None:
        """Refuse what names no condition, no trigger or no window."""
        if self.condition not in CONDITIONS or self.scope not in get_args(Scope):
            raise ValueError(
                f"condition must be one of {CONDITIONS} and scope of {get_args(Scope)}, got {self.condition!r}, "
                f"{self.scope!r}"
            )
        if not self.triggers or len(set(self.triggers)) != len(self.triggers):
            raise ValueError(f"an intervention needs triggers, each once, got {self.triggers}")
        if not 0 <= self.window.first < self.window.stop:
            raise ValueError(f"a window is first < stop from step 0 on, got {self.window}")
        if self.draw < 0 or (self.draw > 0 and self.condition != "placebo"):
            raise ValueError(f"only a placebo has draws, numbered from 0, got {self.draw} of {self.condition!r}")


def edits_of(recorded: Recorded, intervention: Intervention) -> pl.DataFrame:
    """The edits (EDIT_SCHEMA, by step and slot) that the intervention makes in one recorded run.

    No rows where the run drew no trigger in scope: that run is its own counterfactual.

    Raises:
        ValueError: a trigger that the policy does not hold, a window outside the run, a trigger without substitute
            (replace, placebo), a phase that could draw triggers only (remove), too few other draws (placebo, moves).
    """
    candidates = _candidates(recorded, intervention)
    if intervention.condition == "exact":
        return pl.DataFrame(schema=EDIT_SCHEMA)
    cells = _cells(candidates, intervention)
    if intervention.condition in ("late", "early"):
        rows = relocation.moves(candidates, cells, intervention.window, late=intervention.condition == "late")
    elif intervention.condition == "remove":
        rows = _removed(candidates, cells)
    elif intervention.condition == "replace":
        rows = _replaced(candidates, cells, ("replace",))
    else:
        within = intervention.window if intervention.scope == "window" else None
        others, levels = relocation.placebo_cells(candidates, cells, within, intervention.draw)
        rows = _replaced(candidates, others, ("placebo", str(intervention.draw)), levels)
    return _frame(recorded, rows)


def _frame(recorded: Recorded, rows: Sequence[relocation.Edit]) -> pl.DataFrame:
    items, drawn = recorded.policy.items["item_id"], recorded.drawn
    table = []
    for row in sorted(rows):
        step, slot = divmod(row.cell, drawn.shape[1])
        table.append((step, slot, items[int(drawn[step, slot])], items[row.item], row.reason))
    return pl.DataFrame(table, schema=EDIT_SCHEMA, orient="row")


def _candidates(recorded: Recorded, intervention: Intervention) -> Candidates:
    row_of = {name: row for row, name in enumerate(recorded.policy.items["item_id"])}
    absent = [name for name in intervention.triggers if name not in row_of]
    if absent:
        raise ValueError(f"{len(absent)} triggers are no items of the parent's policy, for instance {absent[:3]}")
    if intervention.window.stop > len(recorded.drawn):
        raise ValueError(f"{intervention.window} reaches beyond the run of {len(recorded.drawn)} steps")
    return Candidates(recorded=recorded, triggers=np.array([row_of[name] for name in intervention.triggers]))


def _cells(candidates: Candidates, intervention: Intervention) -> Ints:
    """(M,) places step * B + slot of the triggers' draws in scope, ascending."""
    drawn = candidates.recorded.drawn
    step = np.arange(drawn.size) // drawn.shape[1]
    first, stop = intervention.window
    if intervention.scope == "run":
        first = first if intervention.condition == "early" else 0
        stop = stop if intervention.condition == "late" else len(drawn)
    inside = (step >= first) & (step < stop)
    return np.flatnonzero(candidates.is_trigger[drawn.ravel()] & inside)


def _replaced(
    candidates: Candidates, cells: Ints, key: tuple[str, ...], levels: Sequence[str] = ()
) -> list[relocation.Edit]:
    recorded, rows = candidates.recorded, []
    for number, cell in enumerate(cells.tolist()):
        step, slot = divmod(cell, recorded.drawn.shape[1])
        own = (*key, str(recorded.seed), str(slot))
        found = candidates.substitute(int(recorded.drawn[step, slot]), step, own)
        why = ": ".join([key[0], *levels[number : number + 1], found.match])
        rows.append(relocation.Edit(cell, found.item, why))
    return rows


def _removed(candidates: Candidates, cells: Ints) -> list[relocation.Edit]:
    """Every slot of a step has a uniform of its own, so a refill does not depend on what else is removed."""
    recorded, size = candidates.recorded, candidates.recorded.drawn.shape[1]
    rows = []
    for step in np.unique(cells // size).tolist():
        cumulative = np.cumsum(candidates.allowed(step))
        if not cumulative[-1] > 0:
            raise ValueError(f"without the triggers nothing is left to draw at step {step}; take fewer triggers")
        uniform = generator("refill", recorded.seed, step).random(size) * cumulative[-1]
        for slot in (cells[cells // size == step] % size).tolist():
            item = int(np.searchsorted(cumulative, uniform[slot], side="right"))
            rows.append(relocation.Edit(step * size + slot, item, "remove: drawn again without the triggers"))
    return rows
