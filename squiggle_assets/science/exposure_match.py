"""Exposure matching: the same draws per family as a reference, at other times.

Here: phase lengths and tail weights that make it so. Not here: what a phase may draw (phase_build.py), and drawing.

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

from squiggle_assets.science.phase_build import Pool, build_phase, build_phases
from squiggle_assets.science.sampling_phase import Floats, SamplingPhase
from squiggle_assets.science.template import Match, Template, Weights


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


def _batches(phases: Sequence[SamplingPhase], num_families: int) -> Floats:
    """(F,) expected batches of each family over the phases."""
    totals = [phase.family_totals(phase.start, phase.end, num_families) for phase in phases]
    return np.asarray(np.sum(totals, axis=0), dtype=np.float64)


def _phase_lengths(match: Match, phases: Sequence[SamplingPhase], reference_f: Floats) -> list[int]:
    demand_kf = np.stack([phase.family_totals(phase.start, phase.end, len(reference_f)) for phase in phases])
    share_k = fill(demand_kf, (1 - match.reserve) * reference_f)
    # 1e-9: a share that is a whole number of steps but for rounding keeps that step.
    return [int(share * phase.num_steps + 1e-9) for share, phase in zip(share_k, phases, strict=True)]


def _placed(
    template: Template,
    match: Match,
    written: Sequence[SamplingPhase],
    families: Sequence[str],
    reference_f: Floats,
    batch_size: int,
) -> list[SamplingPhase]:
    placed: list[SamplingPhase] = []
    step = 0
    for phase, length in zip(written, _phase_lengths(match, written, reference_f), strict=True):
        if length < 1:
            drawn = phase.family_totals(phase.start, phase.end, len(families)) > 0
            least = int(np.where(drawn, reference_f, np.inf).argmin())
            raise ValueError(
                f"{template.file}: phase {phase.name!r}: match: no step is left: the reference draws {families[least]} "
                f"{batch_size * reference_f[least]:.1f} times in the whole run, one step has {batch_size} draws; "
                "use more steps or another reference"
            )
        placed.append(replace(phase, start=step, end=step + length))
        step += length
    return placed


def _tail_weights(
    template: Template,
    left_f: Floats,
    families: Sequence[str],
    reachable: frozenset[str],
    batch_size: int,
) -> dict[str, float]:
    tiny = 1e-9 * float(np.abs(left_f).sum())
    for name, left in zip(families, left_f, strict=True):
        if left < -tiny or (left > tiny and name not in reachable):
            what = "too many before the last phase" if left < 0 else "to come that the last phase cannot draw"
            raise ValueError(
                f"{template.file}: phase {template.phases[-1].name!r}: match: not attainable: "
                f"{name} has {abs(left) * batch_size:.2f} draws {what}"
            )
    return {name: max(float(left), 0.0) for name, left in zip(families, left_f, strict=True) if name in reachable}


def matched_phases(
    template: Template, match: Match, pool: Pool, total_steps: int, batch_size: int
) -> tuple[tuple[SamplingPhase, ...], tuple[SamplingPhase, ...]]:
    """The phases of a template with a match, and those of its reference, over the same items and budget.

    Args:
        template: Its last phase is the tail; the others keep weights and order and are shortened where needed.
        match: Of the template.
        pool: Training items.
        total_steps: Steps of the base budget.
        batch_size: Draws per step, for messages only.

    Raises:
        ValueError: naming file, phase, family and by how many draws, where the match cannot be attained.
    """
    tail = template.phases[-1]
    open_tail = replace(tail, weights=Weights())
    written = build_phases(replace(template, phases=(*template.phases[:-1], open_tail)), pool, total_steps)
    reference = build_phases(match.reference, pool, total_steps)
    reference_f = _batches(reference, len(pool.families))
    placed = _placed(template, match, written[:-1], pool.families, reference_f, batch_size)
    left_f = reference_f - _batches(placed, len(pool.families))
    weights = _tail_weights(template, left_f, pool.families, frozenset(written[-1].group_names), batch_size)
    solved = replace(tail, weights=Weights(type="matched", start=weights, end=weights))
    last = build_phase(template, len(placed), placed[-1].end, total_steps, pool, solved)
    return (*placed, last), reference
