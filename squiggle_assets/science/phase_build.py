"""From a template's phase and the training items to a phase that can be sampled.

Here: which items a phase may draw, what its weights mean for them, and refusal where nothing is left. Not here: the
arithmetic of the probabilities (sampling_phase.py) and what spans phases (policy.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

import numpy as np
import polars as pl

from squiggle_assets.science.families import PLANTED
from squiggle_assets.science.sampling_phase import Floats, Ints, SamplingPhase
from squiggle_assets.science.template import ITEM, Phase, Template, step_at

COLUMNS = ("item_id", "content_sha256", "family_id", "token_len", "difficulty_proxy")


def checked(frame: pl.DataFrame, what: str) -> pl.DataFrame:
    """The columns a policy reads; ValueError on a missing one, on no rows, and on missing or repeated ids."""
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise ValueError(f"{what} need the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}")
    if frame.is_empty():
        raise ValueError(f"no {what}: nothing could be drawn")
    for name in ("item_id", "content_sha256", "family_id"):
        if frame[name].null_count():
            raise ValueError(f"{what}: {frame[name].null_count()} rows have no {name}")
    twice = frame.filter(pl.col("item_id").is_duplicated())
    if not twice.is_empty():
        raise ValueError(
            f"{what}: item_id {twice['item_id'][0]!r} is there {len(twice)} times or more; ids must differ"
        )
    return frame.select(COLUMNS)


@dataclass(frozen=True, eq=False)
class Pool:
    """The training items as a curriculum sees them."""

    items: pl.DataFrame
    """The columns of COLUMNS, and policy_family_id: the label the curriculum goes by."""

    @cached_property
    def families(self) -> tuple[str, ...]:
        """Families of the data by policy label, sorted."""
        return tuple(sorted(self.items["policy_family_id"].unique()))

    @cached_property
    def family_of(self) -> Ints:
        """(N,) index into families."""
        code = {name: number for number, name in enumerate(self.families)}
        return np.array([code[name] for name in self.items["policy_family_id"]], dtype=np.int64)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row number by item_id."""
        return {name: row for row, name in enumerate(self.items["item_id"])}

    def counts(self, rows: Ints) -> dict[str, int]:
        """Items per family among some rows; families with none are left out."""
        numbers = np.bincount(self.family_of[rows], minlength=len(self.families))
        return {name: int(number) for name, number in zip(self.families, numbers, strict=True) if number}


def _refuse(template: Template, phase: Phase, field: str, message: str) -> NoReturn:
    raise ValueError(f"{template.file}: phase {phase.name!r}: {field}: {message}")


def _passes(template: Template, phase: Phase, pool: Pool) -> pl.Expr:
    filters, known = phase.filters, pl.lit(True)
    limits = {
        "token_len": filters.token_len_min is not None or filters.token_len_max is not None,
        "difficulty_proxy": filters.difficulties is not None,
    }
    for column, used in limits.items():
        if used and pool.items[column].null_count():
            num = pool.items[column].null_count()
            _refuse(template, phase, f"filters.{column}", f"{num} training items have no {column}")
    if filters.token_len_min is not None:
        known &= pl.col("token_len") >= filters.token_len_min
    if filters.token_len_max is not None:
        known &= pl.col("token_len") <= filters.token_len_max
    if filters.difficulties is not None:
        known &= pl.col("difficulty_proxy").is_in(list(filters.difficulties))
    return known


def _eligible(template: Template, phase: Phase, pool: Pool) -> Ints:
    wanted = set(pool.families if phase.include is None else phase.include) - set(phase.exclude)
    rule = pl.col("policy_family_id").is_in(sorted(wanted)) & _passes(template, phase, pool)
    rows = pool.items.select(rule.arg_true()).to_series().to_numpy().astype(np.int64)
    if len(rows) == 0:
        there = sorted(wanted & set(pool.families))
        why = f"of {there} the filters leave no item" if there else f"the data hold no item of {sorted(wanted)}"
        _refuse(template, phase, "families", f"empty phase: {why}")
    return rows


def _check_items(template: Template, phase: Phase, pool: Pool, rows: Ints) -> None:
    eligible = set(rows.tolist())
    for name in phase.weights.start:
        if name.startswith(ITEM):
            row = pool.row_of.get(name.removeprefix(ITEM))
            if row is None:
                _refuse(template, phase, f"weights.{phase.weights.type}.{name}", "no such training item")
            if row not in eligible:
                why = "is kept out of this phase by its families or filters, but has a weight"
                _refuse(template, phase, f"weights.{phase.weights.type}.{name}", why)


def _family_weights(phase: Phase, counts: dict[str, int]) -> tuple[dict[str, float], dict[str, float]]:
    """Weights at u = 0 and u = 1 of families with items; 'proportional' is the count taken once, whatever the base."""
    if phase.weights.type in ("explicit", "ramp", "matched"):
        start, end = phase.weights.start, phase.weights.end
        there = [name for name in counts if name in start]
        return {name: start[name] for name in there}, {name: end[name] for name in there}
    once = phase.weights.type == "proportional" and phase.mode in ("balanced_family", "weighted_family")
    weights = {name: float(count) if once else 1.0 for name, count in counts.items()}
    return weights, weights


@dataclass
class _Cells:
    """Groups and their cells while they are being collected."""

    group_names: list[str]
    group_base: list[float]
    group_from: list[float]
    group_to: list[float]
    group_first: list[int]
    names: list[str | None]
    family: list[int]
    v_from: list[float]
    v_to: list[float]
    items: list[Ints]

    def add_group(self, name: str, base: float, w: tuple[float, float]) -> None:
        self.group_names.append(name)
        self.group_base.append(base)
        self.group_from.append(w[0])
        self.group_to.append(w[1])
        self.group_first.append(len(self.items))

    def add(self, name: str | None, family: int, v: tuple[float, float], items: Ints) -> None:
        self.names.append(name)
        self.family.append(family)
        self.v_from.append(v[0])
        self.v_to.append(v[1])
        self.items.append(items)


def _collect(phase: Phase, pool: Pool, rows: Ints) -> _Cells:
    counts = pool.counts(rows)
    w_from, w_to = _family_weights(phase, counts)
    named = {
        pool.row_of[name.removeprefix(ITEM)]: (name, (phase.weights.start[name], phase.weights.end[name]))
        for name in phase.weights.start
        if name.startswith(ITEM)
    }
    cells = _Cells([], [], [], [], [], [], [], [], [], [])
    for family, count in counts.items():
        code = pool.families.index(family)
        members = rows[pool.family_of[rows] == code]
        alone = [row for row in members.tolist() if row in named]
        if family in w_from:
            base = float(count) if phase.mode in ("proportional_family", "uniform_item") else 1.0
            cells.add_group(family, base, (w_from[family], w_to[family]))
            rest = np.setdiff1d(members, np.array(alone, dtype=np.int64), assume_unique=True)
            if len(rest):
                cells.add(None, code, (1.0, 1.0), rest)
        for row in alone:
            name, weight = named[row]
            if family not in w_from:
                cells.add_group(name, 1.0, weight)
                weight = (1.0, 1.0)
            cells.add(name, code, weight, np.array([row], dtype=np.int64))
    return cells


def _dropped(phase: Phase, pool: Pool, rows: Ints) -> tuple[str, ...]:
    named = {name for name in phase.weights.start if not name.startswith(ITEM)}
    wanted = set(pool.families if phase.include is None else phase.include) | named
    return tuple(sorted(wanted - set(phase.exclude) - set(pool.counts(rows))))


def _check_mass(template: Template, phase: Phase, built: SamplingPhase) -> None:
    kind = phase.weights.type
    for u, w, end in ((0.0, built.group_from, "from"), (1.0, built.group_to, "to")):
        field = f"weights.ramp.{end}" if kind == "ramp" else f"weights.{kind}"
        if not np.any(w * built.group_base > 0):
            message = f"empty phase: every weight above 0 is of a family without items (dropped: {list(built.dropped)})"
            _refuse(template, phase, field, message)
        for name, mass in zip(built.group_names, built.group_sums(u), strict=True):
            if mass == 0:
                _refuse(template, phase, field, f"every item of {name} is weighted 0; weight the family 0 instead")


def _check_counts(template: Template, phase: Phase, pool: Pool, rows: Ints, built: SamplingPhase) -> None:
    counts, least = pool.counts(rows), template.safeguards.min_items_per_family
    drawable: Floats = np.maximum(built.group_from, built.group_to)[built.group_of]
    for code in np.unique(built.cell_family[drawable > 0]):
        family = pool.families[code]
        if counts[family] < least:
            message = f"{family} has {counts[family]} items in this phase, fewer than {least}; exclude it or lower this"
            _refuse(template, phase, "safeguards.min_items_per_family", message)


def build_phase(template: Template, idx: int, start: int, end: int, pool: Pool, phase: Phase) -> SamplingPhase:
    """The phase over the pool, drawn on start <= step < end.

    Args:
        template: Whose phase it is; named in messages, and the source of the safeguards.
        idx: Its number in the template.
        start: First step.
        end: Step after the last one.
        pool: Training items.
        phase: What the template says.

    Raises:
        ValueError: naming file, phase and field, if no item or no weight is left, an item is weighted that is not
            there, an item lacks a value that is filtered on, or a family has fewer items than the safeguard wants.
    """
    rows = _eligible(template, phase, pool)
    _check_items(template, phase, pool, rows)
    cells = _collect(phase, pool, rows)
    dropped = _dropped(phase, pool, rows)
    if not cells.items:
        named = f"weights.{phase.weights.type}"
        _refuse(template, phase, named, f"empty phase: no weighted family has items (dropped: {list(dropped)})")
    built = SamplingPhase(
        idx=idx,
        name=phase.name,
        start=start,
        end=end,
        mode=phase.mode,
        weight_type=phase.weights.type,
        dropped=dropped,
        group_names=tuple(cells.group_names),
        group_base=np.array(cells.group_base),
        group_from=np.array(cells.group_from),
        group_to=np.array(cells.group_to),
        group_first=np.array(cells.group_first, dtype=np.int64),
        cell_names=tuple(cells.names),
        cell_family=np.array(cells.family, dtype=np.int64),
        cell_from=np.array(cells.v_from),
        cell_to=np.array(cells.v_to),
        cell_items=tuple(cells.items),
    )
    _check_mass(template, phase, built)
    _check_counts(template, phase, pool, rows, built)
    return built


def build_phases(template: Template, pool: Pool, total_steps: int) -> tuple[SamplingPhase, ...]:
    """All phases of a template over the pool, at the steps that its fractions of total_steps give.

    Raises:
        ValueError: as build_phase, and where a phase would have no step.
    """
    built = []
    for idx, phase in enumerate(template.phases):
        start, end = step_at(phase.start, total_steps), step_at(phase.end, total_steps)
        if start >= end:
            share = f"{phase.start:g} to {phase.end:g} of {total_steps} steps"
            _refuse(template, phase, "end", f"{share} is no step: empty phase")
        built.append(build_phase(template, idx, start, end, pool, phase))
    return tuple(built)


def with_planted(items: pl.DataFrame, planted: pl.DataFrame | None) -> pl.DataFrame:
    """Training items, then planted ones, with a column that tells which is which."""
    training = items.with_columns(planted=pl.lit(False))
    if planted is None:
        return training
    marked = planted.with_columns(policy_family_id=pl.lit(PLANTED), planted=pl.lit(True))
    return pl.concat([training, marked.select(training.columns)])
