"""Which item may stand in for another one in a replayed batch: same family, like length, like exposure.

Here: length bins, exposure deciles, the choice of a substitute and how far it is from a match. Not here: which slots
are edited (edits).

Legend: N = items of the policy, T = steps, B = draws per step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science.replay import Recorded
from squiggle_assets.science.rng import generator
from squiggle_assets.science.sampling_phase import SamplingPhase

F64 = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NUM_LENGTH_BINS = 5
"""Bins of equal numbers of items by token_len."""
NUM_EXPOSURE_BINS = 10
"""Deciles of items by how often the parent drew them over its whole run; items never drawn count too."""


class Substitute(NamedTuple):
    """An item for a slot and how far it is from a match."""

    item: int
    length_distance: int
    """Bins of token_len; the first thing that is widened."""
    exposure_distance: int
    """Deciles of exposure; widened only where no length bin of the decile has an item left."""

    @property
    def match(self) -> str:
        """In words, for the reason of an edit."""
        return f"length_bin+{self.length_distance} exposure_decile+{self.exposure_distance}"


def quantile_bins(values: NDArray[np.generic], num_bins: int) -> Ints:
    """(N,) bin 0 to num_bins - 1 of each value by its mid-rank, so that equal values share a bin."""
    _, code, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    return np.asarray((num_bins * middle / len(values)).astype(np.int64)[code])


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """The items of one recorded run, with the triggers of one event marked."""

    recorded: Recorded
    triggers: Ints
    """Rows of the policy's items."""

    @cached_property
    def is_trigger(self) -> Bools:
        """(N,)."""
        found = np.zeros(len(self.recorded.policy.items), dtype=bool)
        found[self.triggers] = True
        return found

    @cached_property
    def is_planted(self) -> Bools:
        """(N,)."""
        return np.asarray(self.recorded.policy.items["planted"].to_numpy())

    @cached_property
    def family(self) -> Ints:
        """(N,) number of the true family."""
        return np.asarray(np.unique(self.recorded.policy.items["family_id"].to_numpy(), return_inverse=True)[1])

    @cached_property
    def length_bin(self) -> Ints:
        """(N,) bin of token_len; ValueError where an item has none."""
        lengths = self.recorded.policy.items["token_len"]
        if lengths.null_count():
            raise ValueError(f"{lengths.null_count()} items have no token_len and cannot be matched by length")
        return quantile_bins(lengths.to_numpy(), NUM_LENGTH_BINS)

    @cached_property
    def exposure_bin(self) -> Ints:
        """(N,) decile of the number of draws in the parent's run."""
        return quantile_bins(
            np.bincount(self.recorded.drawn.ravel(), minlength=len(self.is_trigger)), NUM_EXPOSURE_BINS
        )

    def phase(self, step: int) -> SamplingPhase:
        """The phase that draws a step."""
        policy = self.recorded.policy
        idx = policy.phase_at(step)[0]
        return next(phase for phase in policy.phases if phase.idx == idx)

    def allowed(self, step: int) -> F64:
        """(N,) probabilities of the step's phase without the triggers; not normalised. No phase draws planted items."""
        shares = self.phase(step).item_totals(step, step + 1, len(self.is_trigger))
        return np.asarray(np.where(self.is_trigger, 0.0, shares))

    def substitute(self, item: int, step: int, key: tuple[str, ...]) -> Substitute:
        """An item for `item` at a step, at random (stream of `key` and step) among the best matches.

        It is no trigger, not planted, another item, of the same family, and one that the step's phase can draw. First
        the length bin is widened, then the decile of exposure; a planted item has no training family, so any will do.

        Raises:
            ValueError: the family has no such item.
        """
        found = self.allowed(step) > 0
        found[item] = False
        if not self.is_planted[item]:
            found &= self.family == self.family[item]
        at = np.flatnonzero(found)
        if not len(at):
            row = self.recorded.policy.items.row(item, named=True)
            raise ValueError(
                f"no substitute for {row['item_id']!r} at step {step}: family {row['family_id']!r} has no other item "
                "that this phase can draw and that is no trigger; take fewer triggers or the condition 'remove'"
            )
        length = np.abs(self.length_bin[at] - self.length_bin[item])
        exposure = np.abs(self.exposure_bin[at] - self.exposure_bin[item])
        distance = exposure * NUM_LENGTH_BINS + length
        best = np.flatnonzero(distance == distance.min())
        chosen = int(best[generator("substitute", *key, step).integers(len(best))])
        return Substitute(int(at[chosen]), int(length[chosen]), int(exposure[chosen]))
