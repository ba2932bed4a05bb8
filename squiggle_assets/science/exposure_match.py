"""Exposure matching: the same draws per family as a reference, at other times.

Here: phase lengths and tail weights that make it so. Not here: building phases (phase_build.py) and drawing.

Over the base budget a reference gives family f an expected R_f batches. The phases before the last one are kept as
they are but shortened, all by one factor as far as that goes, until none takes more than (1 - reserve) R_f of any
family; a phase that a full family blocks stops growing and the others go on. In whole steps they then take
E_f batches, and the tail gives family f the weight R_f - E_f. Those weights add up to the tail's steps, so the match
is exact, not nearest. Ours; the reason is that "same exposure, different timing" is false for the plain presets.

Legend: K = phases before the tail, F = families.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from squiggle_assets.science.sampling_phase import Floats, SamplingPhase
from squiggle_assets.science.template import Template


def fill(demand_kf: Floats, limit_f: Floats) -> Floats:
    """(K,) shares of each phase's full length that keep every family within its limit, as equal as can be.

    Max-min fair: all shares grow together from 0; when a family reaches its limit the phases that draw it stop, and
    the rest go on, at most to 1. demand_kf: (K, F) what each phase at full length takes. limit_f: (F,).
    """
    share_k = np.zeros(len(demand_kf))
    growing = np.ones(len(demand_kf), dtype=bool)
    while growing.any():
        rate_f = demand_kf[growing].sum(axis=0)
        room_f = limit_f - share_k[~growing] @ demand_kf[~growing]
        reach_f = np.full(len(limit_f), np.inf)
        np.divide(room_f, rate_f, out=reach_f, where=rate_f > 0)
        level = min(1.0, max(0.0, float(reach_f.min())))
        share_k[growing] = level
        if level == 1.0:
            break
        full_f = reach_f <= level * (1 + 1e-12)
        growing &= ~(demand_kf[:, full_f] > 0).any(axis=1)
    return share_k


def _phase_lengths(template: Template, phases: Sequence[SamplingPhase], reference_f: Floats) -> list[int]:
    assert template.match is not None
    demand_kf = np.stack([phase.family_totals(phase.start, phase.end, len(reference_f)) for phase in phases])
    share_k = fill(demand_kf, (1 - template.match.reserve) * reference_f)
    # 1e-9: a share that is a whole number of steps but for rounding keeps that step.
    return [int(share * phase.num_steps + 1e-9) for share, phase in zip(share_k, phases, strict=True)]


def match(
    template: Template,
    phases: Sequence[SamplingPhase],
    families: Sequence[str],
    tail_families: frozenset[str],
    reference_f: Floats,
    batch_size: int,
) -> tuple[list[SamplingPhase], dict[str, float]]:
    """The phases before the tail with their new steps, and the tail's weight of each family.

    Args:
        template: One with a match; named in messages.
        phases: The K phases before the tail at full length, in time order from step 0.
        families: F names, in the order of reference_f.
        tail_families: Families of which the tail has items.
        reference_f: (F,) batches of each family under the reference; sums to the base budget in steps.
        batch_size: Draws per step, for messages.

    Raises:
        ValueError: naming file, phase or family and by how many draws, where the match cannot be attained.
    """
    placed: list[SamplingPhase] = []
    step, taken_f = 0, np.zeros(len(families))
    for phase, length in zip(phases, _phase_lengths(template, phases, reference_f), strict=True):
        if length < 1:
            of = [name for name, need in zip(families, phase.family_totals(phase.start, phase.end, len(families)),
                                             strict=True) if need > 0]
            least = min(of, key=lambda name: float(reference_f[families.index(name)]))
            has = batch_size * float(reference_f[families.index(least)])
            raise ValueError(
                f"{template.file}: phase {phase.name!r}: match: no step is left: of {least} the reference draws only "
                f"{has:.1f} in the whole run, and one step takes {batch_size}; use more steps or another reference"
            )
        placed.append(replace(phase, start=step, end=step + length))
        taken_f += placed[-1].family_totals(step, step + length, len(families))
        step += length
    left_f = reference_f - taken_f
    tiny = 1e-9 * reference_f.sum()
    for name, left in zip(families, left_f, strict=True):
        if left < -tiny or (left > tiny and name not in tail_families):
            what = "too many before the last phase" if left < 0 else "that the last phase cannot draw"
            raise ValueError(f"{template.file}: match: not attainable: {name} has {abs(left) * batch_size:.2f} draws {what}")
    return placed, {name: float(max(left, 0.0)) for name, left in zip(families, left_f, strict=True) if name in tail_families}
