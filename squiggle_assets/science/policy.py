"""A curriculum over known items and a known budget: who is drawn at which step, and how often to expect it.

Here: Policy (probabilities, draws, expectations) and resolve(), which makes one from a template. Not here: templates
(curriculum.py), what a phase may draw (phase_build.py), its manifest (curriculum_manifest.py) and trace (trace.py).

Step s is the s-th draw, from 0: the batch that turns the model after s updates into the model after s + 1 updates.
Phases divide the base budget, total_steps; the extra steps of the step ladder go on with the last phase at its final
weights, so that a longer run extends a shorter one. A plant lays planted items over the first slots of some batches;
it is no phase, and the other slots hold exactly what they would hold without it.

Legend: N = items of the policy (training items, then planted ones), B = draws per step.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from squiggle_assets.science import curriculum_manifest
from squiggle_assets.science.exposure_match import matched_phases
from squiggle_assets.science.families import PLANTED
from squiggle_assets.science.phase_build import Pool, build_phases, checked, with_planted
from squiggle_assets.science.rng import generator
from squiggle_assets.science.sampling_phase import Floats, Ints, SamplingPhase
from squiggle_assets.science.spec import Plant
from squiggle_assets.science.template import Template, step_at


@dataclass(frozen=True, kw_only=True, eq=False)
class Policy:
    """A resolved curriculum; every method is a pure function of it and its arguments."""

    template: Template
    items: pl.DataFrame
    """(N,) item_id, content_sha256, family_id (the true label), policy_family_id (the label the curriculum goes by:
    another one only where labels were shuffled), token_len, difficulty_proxy, planted. Training items by item_id,
    whatever order they came in, then planted ones. Indices below are rows of this frame."""
    families: tuple[str, ...]
    """Training families, sorted."""
    phases: tuple[SamplingPhase, ...]
    reference: tuple[SamplingPhase, ...] | None
    """Phases of the reference that exposure was matched to, over the same items and budget; None without a match."""
    total_steps: int
    """Steps of the base budget."""
    extra_steps: int
    """Steps after it."""
    batch_size: int
    plant: Plant | None
    shuffle_families_seed: int | None

    @property
    def num_steps(self) -> int:
        """Steps that can be drawn: base budget and extra steps."""
        return self.total_steps + self.extra_steps

    @cached_property
    def num_training_items(self) -> int:
        """Items that are not planted."""
        return int((~self.items["planted"]).sum())

    @property
    def num_planted_items(self) -> int:
        """Planted items that can be drawn."""
        return len(self.items) - self.num_training_items

    @cached_property
    def plant_steps(self) -> tuple[int, int]:
        """First step with planted items and the step after the last one; (0, 0) without a plant."""
        if self.plant is None:
            return 0, 0
        first = step_at(self.plant.start, self.total_steps)
        return first, first + self.plant.num_steps

    @cached_property
    def _starts(self) -> list[int]:
        return [phase.start for phase in self.phases]

    def _phase(self, step: int) -> SamplingPhase:
        if not 0 <= step < self.num_steps:
            raise ValueError(f"step {step} is outside the budget: 0 to {self.num_steps - 1}")
        return self.phases[bisect_right(self._starts, step) - 1]

    def phase_at(self, step: int) -> tuple[int, str]:
        """Number and name of the phase that draws this step; ValueError outside the budget."""
        phase = self._phase(step)
        return phase.idx, phase.name

    def phase_boundaries(self) -> list[tuple[int, str]]:
        """(first step, 'phase:<name>') of every phase but the first; a plant makes no boundary."""
        return [(phase.start, f"phase:{phase.name}") for phase in self.phases[1:]]

    def planted_slots(self, step: int) -> int:
        """How many of the first slots of this step's batch hold planted items."""
        first, stop = self.plant_steps
        return _num_slots(self.plant, self.batch_size) if self.plant is not None and first <= step < stop else 0

    def probabilities(self, step: int) -> Floats:
        """(N,) chance that a slot of this step's batch, picked at random, holds each item; sums to 1."""
        self._phase(step)
        return self.expected_draws(step, step + 1) / self.batch_size

    def draw(self, seed: int, step: int) -> Ints:
        """(B,) items of the step's batch: a pure function of the policy, the seed and the step."""
        phase = self._phase(step)
        drawn = phase.draw(generator("sample", seed, step).random((2, self.batch_size)), step)
        slots = self.planted_slots(step)
        if slots:
            # A stream of its own: the slots that are not planted hold what an unplanted run with this seed draws.
            drawn[:slots] = generator("plant", seed, step).integers(self.num_training_items, len(self.items), slots)
        return drawn

    def expected_draws(self, start: int, stop: int) -> Floats:
        """(N,) expected draws of each item over start <= step < stop: exact sums of B p_t(i)."""
        if not 0 <= start <= stop <= self.num_steps:
            raise ValueError(f"steps {start} to {stop} are outside the budget of {self.num_steps} steps")
        total = np.zeros(len(self.items))
        for phase, first, after in self._spans(start, stop):
            edges = [first, *(edge for edge in self.plant_steps if first < edge < after), after]
            for low, high in pairwise(edges):
                slots = self.planted_slots(low)
                total += (self.batch_size - slots) * phase.item_totals(low, high, len(total))
                if slots:
                    total[self.num_training_items :] += slots * (high - low) / self.num_planted_items
        return total

    def _spans(self, start: int, stop: int) -> list[tuple[SamplingPhase, int, int]]:
        """The phases that meet start <= step < stop, each with its part of it; extra steps belong to the last."""
        ends = [*self._starts[1:], self.num_steps]
        spans = [(p, max(p.start, start), min(end, stop)) for p, end in zip(self.phases, ends, strict=True)]
        return [span for span in spans if span[1] < span[2]]

    def expected_exposure(self) -> pl.DataFrame:
        """One row per phase and item: the columns of the expected_exposure table but `arm`, 0 draws included.

        end_step is the step after the phase's last one, extra steps included.
        """
        about = self.items.select("item_id", "content_sha256", "family_id")
        parts = [
            about.with_columns(
                curriculum_id=pl.lit(self.curriculum_id),
                phase_idx=pl.lit(phase.idx, pl.Int64),
                phase=pl.lit(phase.name),
                start_step=pl.lit(first, pl.Int64),
                end_step=pl.lit(after, pl.Int64),
                expected_draws=pl.Series(self.expected_draws(first, after), dtype=pl.Float64),
            )
            for phase, first, after in self._spans(0, self.num_steps)
        ]
        order = ("curriculum_id", "phase_idx", "phase", "start_step", "end_step")
        return pl.concat(parts).select(*order, "item_id", "content_sha256", "family_id", "expected_draws")

    def exposure_by_family(self) -> pl.DataFrame:
        """One row per family: family_id, num_items, expected_draws over all steps, policy_expected_draws.

        expected_draws counts the items that truly are of the family, policy_expected_draws those that the curriculum
        takes for it; they differ only where labels were shuffled.
        """
        draws = self.expected_draws(0, self.num_steps)
        names, true = np.unique(self.items["family_id"].to_numpy(), return_inverse=True)
        taken = np.searchsorted(names, self.items["policy_family_id"].to_numpy())
        return pl.DataFrame(
            {
                "family_id": pl.Series(names, dtype=pl.String),
                "num_items": np.bincount(true),
                "expected_draws": np.bincount(true, weights=draws),
                "policy_expected_draws": np.bincount(taken, weights=draws, minlength=len(names)),
            }
        )

    @cached_property
    def curriculum_id(self) -> str:
        """Names what is drawn when, on which items: see curriculum_manifest. The same for every seed."""
        return curriculum_manifest.curriculum_id(self)

    def manifest(self) -> dict[str, Any]:
        """The curriculum manifest as plain JSON: see curriculum_manifest.manifest."""
        return curriculum_manifest.manifest(self)


def _num_slots(plant: Plant, batch_size: int) -> int:
    return round(plant.share * batch_size)


def _check_shares(policy: Policy) -> None:
    most = policy.template.safeguards.max_sampling_fraction_per_family
    for phase, first, stop in policy._spans(0, policy.num_steps):
        # A phase past its end stands still, so one step of the extra ones is enough.
        last = first + 1 if phase.is_constant else min(stop, phase.end + 1)
        for step in range(first, last):
            shares = phase.family_totals(step, step + 1, len(policy.families))
            if shares.max() > most + 1e-12:
                family = policy.families[int(shares.argmax())]
                raise ValueError(
                    f"{policy.template.file}: phase {phase.name!r}: safeguards.max_sampling_fraction_per_family: "
                    f"{family} has probability {shares.max():.4f} at step {step}, above {most:g}"
                )


def _check_budget(sizes: Mapping[str, int], least: Mapping[str, int]) -> None:
    for name, value in sizes.items():
        if value < least[name]:
            raise ValueError(f"{name} must be at least {least[name]}, got {value}")


def _planted_items(
    plant: Plant | None, planted: pl.DataFrame | None, total_steps: int, batch: int
) -> pl.DataFrame | None:
    if plant is None:
        return None
    if planted is None or len(planted) < max(plant.num_items, 1) or plant.num_items < 1:
        have = 0 if planted is None else len(planted)
        raise ValueError(f"plant wants {plant.num_items} planted items (at least 1), and {have} are there")
    slots = _num_slots(plant, batch)
    if not 0 <= plant.share <= 1 or slots < 1:
        raise ValueError(f"plant.share must be in (0, 1] and fill at least one of {batch} slots, got {plant.share}")
    first = step_at(plant.start, total_steps) if 0 <= plant.start < 1 else -1
    if first < 0 or plant.num_steps < 1 or first + plant.num_steps > total_steps:
        raise ValueError(
            f"plant.start {plant.start} and plant.num_steps {plant.num_steps} must lie within the base budget of "
            f"{total_steps} steps"
        )
    return checked(planted, "planted items").head(plant.num_items)


def resolve(
    template: Template,
    items: pl.DataFrame,
    *,
    total_steps: int,
    batch_size: int,
    extra_steps: int = 0,
    plant: Plant | None = None,
    planted: pl.DataFrame | None = None,
    shuffle_families_seed: int | None = None,
) -> Policy:
    """The policy of a template over these items and this budget.

    Args:
        template: The curriculum.
        items: Training items: item_id, content_sha256, family_id, token_len, difficulty_proxy. Their order is
            of no consequence.
        total_steps: Steps of the base budget, which the phases divide.
        batch_size: Draws per step.
        extra_steps: Steps after the base budget.
        plant: Planted items to lay over some batches.
        planted: Planted items, same columns; the first plant.num_items of them are used, none without a plant.
        shuffle_families_seed: Placebo: permute the family labels over the training items before the curriculum sees
            them; each label keeps its number of items.

    Raises:
        ValueError: naming file, phase and field where the template does not fit the items or the budget; naming the
            argument where one makes no sense.
    """
    sizes = {"total_steps": total_steps, "batch_size": batch_size, "extra_steps": extra_steps}
    _check_budget(sizes, {"total_steps": 1, "batch_size": 1, "extra_steps": 0})
    training = checked(items, "training items").sort("item_id")
    if PLANTED in training["family_id"]:
        raise ValueError(f"training items hold the family {PLANTED!r}; hand them over as planted items")
    labels = training["family_id"].to_numpy()
    if shuffle_families_seed is not None:
        labels = generator("shuffle_families", shuffle_families_seed).permutation(labels)
    pool = Pool(training.with_columns(policy_family_id=pl.Series(labels, dtype=pl.String)))
    overlay = _planted_items(plant, planted, total_steps, batch_size)
    reference = None
    if template.match is None:
        phases = build_phases(template, pool, total_steps)
    else:
        phases, reference = matched_phases(template, template.match, pool, total_steps, batch_size)
    policy = Policy(
        template=template,
        items=with_planted(pool.items, overlay),
        families=pool.families,
        phases=phases,
        reference=reference,
        total_steps=total_steps,
        extra_steps=extra_steps,
        batch_size=batch_size,
        plant=plant,
        shuffle_families_seed=shuffle_families_seed,
    )
    if policy.items["item_id"].is_duplicated().any():
        raise ValueError("a planted item has the item_id of a training item; ids must differ")
    _check_shares(policy)
    return policy
