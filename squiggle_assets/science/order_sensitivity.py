"""Does what a family or an item does depend on when it was introduced?

Here: the order_sensitivity table (effect of each unit in each arm, its slope on introduction) and order_slopes (one
number per pair of arms, for the claims). Not here: effects and windows (order_design), the claims (order_claims).
Legend: A = arms, S = seeds, R = redrawn runs, D = draws of the null, U = units.

interaction of a unit: in every seed the slope of its effect on the step at which it was introduced, over the arms (in
units of the effect per whole budget), then the mean over seeds. A family is always compared with itself, in runs of one
seed: what it is cannot count as when it came. slope of a pair of arms: the same over units, of differences between the
arms, slope_s = sum_u w_u (e_us,arm - e_us,against), w_u the centred difference of introduction over its sum of squares;
so it asks whether the families that came later here than there have another effect here than there.

Nulls. (1) Redrawn sampler: runs of other seeds are put in the place of the real ones, over the same movement; what
comes out of chance in who was shown when. (2) Sign flips over seeds: what differs between seeds. Of a pair the p is the
larger one. Of single units it is the first one alone, because with 8 seeds the second one ends at .008 before it is
corrected for their number; p_seeds stands beside it, and the interval is over seeds.

Placebo: the same blocks over shuffled labels, against the arm without order, its groups of random items as units. Any
group is introduced there when a family is in the blocks: what is found is what time alone does, and the control of
every pair.

What it cannot tell: arms have equal exposure, so that what an arm shows more of before the window it shows less of in
it. Where the mixtures of the window differ (mixture_gap), "came later" is also "was shown less until then, and is shown
more now", and the placebo's random groups, which do not differ in what they do, cannot show what the mixture makes of
families that do. Such a slope is history, not introduction alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.exposure_locked import NUM_REDRAWN, REACH, handed_out
from squiggle_assets.science.order_design import (
    ArmRuns,
    Measured,
    Units,
    Window,
    common_window,
    drawable,
    measured,
    mixture_gap,
    movement,
    of_seeds,
    often_shown,
    redrawn_runs,
    shared_scale,
    varying_cells,
)
from squiggle_assets.science.rng import generator
from squiggle_assets.science.stats import benjamini_hochberg, permutation_p, sign_flip, t_interval

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MIN_SPREAD = 0.02
"""Share of the budget by which a unit's introduction must differ between arms to have a slope."""
MAX_Q = 0.05
ORDER, PLACEBO = "order", "placebo"
FAMILY, ITEM, GROUP = "family", "item", "group"

ROWS_SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("comparison", "grain", "family_id", "item_id", "arm"), pl.String),
    **dict.fromkeys(("window_lo", "window_hi", "n_seeds", "num_showings"), pl.Int64),
    **{"first_step": pl.Float64, "quartile": pl.Int64},
    **dict.fromkeys(("effect", "effect_lo", "effect_hi", "interaction", "ci_lo", "ci_hi"), pl.Float64),
    **dict.fromkeys(("null_sd", "p_seeds", "p_value", "q_value"), pl.Float64),
    **{"num_null": pl.Int64, "order_sensitive": pl.Boolean},
}
"""Columns of the order_sensitivity table but study, analysis_id and probe_set."""
SLOPES_SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("comparison", "arm", "against"), pl.String),
    **dict.fromkeys(("window_lo", "window_hi", "num_cells", "num_units", "n_seeds", "num_null"), pl.Int64),
    **dict.fromkeys(("slope", "null_mean", "null_sd", "p_redrawn", "p_seeds", "p_value", "smallest_p"), pl.Float64),
    **{"mixture_gap": pl.Float64, "by_seed_json": pl.String},
}
"""Columns of the order_slopes table but study, analysis_id and probe_set."""


class OrderTables(NamedTuple):
    """What the study says about order."""

    units: pl.DataFrame
    """One row per unit and arm: the order_sensitivity table."""
    slopes: pl.DataFrame
    """One row per pair of arms: the order_slopes table."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ground:
    """What every comparison of the study stands on."""

    window: Window
    seeds: tuple[int, ...]
    redrawn: Mapping[str, I64]
    cells: tuple[str, ...]
    """Over which movement is the mean."""
    scale: F64
    """[S, K] unit of movement, the same in all arms."""
    reach: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Compared:
    """Arms on one set of units, effects centred."""

    comparison: str
    arms: tuple[str, ...]
    units: Units
    total_steps: int
    effect: F64
    """[A, S, U]."""
    null: F64
    """[A, D, U] mean over seeds of each draw."""
    first: F64
    """[A, U] mean over seeds of the first step."""
    num: I64
    """[A, U] showings in the window."""
    share: F64
    """[A, U] chance of a slot of the window to hold the unit."""


def order_tables(
    arms: Sequence[ArmRuns],
    placebo: tuple[ArmRuns, ArmRuns] | None = None,
    *,
    num_redrawn: int = NUM_REDRAWN,
    reach: int = REACH,
) -> OrderTables:
    """Effects by introduction, over the seeds that all these arms have.

    Args:
        arms: The arms that differ in order, in the study's order; every pair of them is compared.
        placebo: Blocks over shuffled labels, and an arm without order that it is compared with; None = no control.
        num_redrawn: Redrawn runs an arm.
        reach: Increments on each side of a showing.

    Raises:
        ValueError: fewer than two arms, fewer than 2 shared seeds, fewer redrawn runs than seeds, and as
            `common_window`, `varying_cells` and `measured`.
    """
    every = [*arms, *(placebo or ())]
    seeds = sorted(set.intersection(*(set(runs.series.seeds) for runs in every))) if every else []
    if len(arms) < 2 or len(seeds) < 2 or num_redrawn < len(seeds):
        raise ValueError(
            f"at least 2 arms, 2 shared seeds and as many redrawn runs are needed, got {[runs.arm for runs in arms]}, "
            f"seeds {seeds} and {num_redrawn} redrawn runs"
        )
    every = [of_seeds(runs, seeds) for runs in every]
    window = common_window(every, reach)
    fresh = generator("order_sensitivity", num_redrawn).integers(2**40, 2**62, size=num_redrawn).tolist()
    ground = _Ground(
        window=window,
        seeds=tuple(seeds),
        redrawn=redrawn_runs(every, window, fresh),
        cells=varying_cells(every, window),
        scale=shared_scale(every, window),
        reach=reach,
    )
    ordered = every[: len(arms)]
    family_of = _labels(ordered[0], "family_id")
    families = Units(names=drawable(ordered, family_of, window), of_item=family_of)
    main = _compare(ORDER, ordered, families, ground)
    frames = [_rows(main, FAMILY, family_of, ground), _item_rows(ordered, families, ground)]
    pairs = [_slope(main, arm, against, ground) for arm, against in combinations(main.arms, 2)]
    if placebo is not None:
        blocks, unordered = every[-2:]
        labels = _labels(blocks, "policy_family_id")
        groups = Units(names=drawable([blocks, unordered], labels, window), of_item=labels)
        control = _compare(PLACEBO, [blocks, unordered], groups, ground)
        frames.append(_rows(control, GROUP, labels, ground))
        pairs.append(_slope(control, blocks.arm, unordered.arm, ground))
    return OrderTables(pl.concat(frames), pl.DataFrame(pairs, schema=SLOPES_SCHEMA, orient="row"))


def _labels(runs: ArmRuns, column: str) -> dict[str, str]:
    return dict(runs.policy.items.filter(~pl.col("planted")).select("item_id", column).iter_rows())


def _compare(
    comparison: str, arms: Sequence[ArmRuns], units: Units, ground: _Ground, centre: Units | None = None
) -> _Compared:
    """centre: families by whose mean the units are centred; None = the units themselves."""
    moved = [movement(runs.series, ground.cells, ground.window, ground.scale) for runs in arms]

    def of(chosen: Units) -> list[Measured]:
        return [
            measured(runs, chosen, ground.window, ground.redrawn[runs.arm], own, ground.reach)
            for runs, own in zip(arms, moved, strict=True)
        ]

    found = of(units)
    both = list(zip(found, found if centre is None else of(centre), strict=True))
    return _Compared(
        comparison=comparison,
        arms=tuple(runs.arm for runs in arms),
        units=units,
        total_steps=arms[0].policy.total_steps,
        effect=np.stack([own.effect - mean.effect.mean(axis=1, keepdims=True) for own, mean in both]),
        null=np.stack([_drawn(own, mean) for own, mean in both]),
        first=np.stack([np.nanmean(own.first, axis=0) for own in found]),
        num=np.stack([own.num for own in found]),
        share=np.stack([own.share for own in found]),
    )


def _drawn(own: Measured, centre: Measured) -> F64:
    """[D, U] means over seeds of the redrawn runs that stand for them."""
    null_RSU = own.null - centre.null.mean(axis=2, keepdims=True)
    num_runs, num_seeds, _ = null_RSU.shape
    places = handed_out(num_runs, num_seeds)
    return np.concatenate([null_RSU[place, np.arange(num_seeds)].mean(axis=1) for place in places])


def _item_rows(arms: Sequence[ArmRuns], families: Units, ground: _Ground) -> pl.DataFrame:
    """Rows of the items that every arm is expected to show often enough in the window."""
    chosen = often_shown(arms, families, ground.window)
    if not chosen:
        return pl.DataFrame(schema=ROWS_SCHEMA)
    items = Units(names=chosen, of_item={item: item for item in chosen})
    return _rows(_compare(ORDER, arms, items, ground, families), ITEM, families.of_item, ground)


def _interaction(first_AU: F64, total_steps: int) -> F64:
    """[A, U] weights of the effects whose sum is the slope on introduction, per whole budget; nan without a spread."""
    share_AU = first_AU / total_steps
    centred_AU = share_AU - share_AU.mean(axis=0)
    size_U = (centred_AU**2).sum(axis=0)
    spread_U = share_AU.max(axis=0) - share_AU.min(axis=0)
    return np.where(spread_U >= MIN_SPREAD, centred_AU / np.where(size_U > 0, size_U, 1.0), np.nan)


def _quartiles(first_AU: F64) -> I64:
    """[A, U] 1 to 4: quarter of the introductions of all units and arms; equal steps have one quartile."""
    from scipy.stats import rankdata

    rank = rankdata(first_AU.ravel(), method="average").reshape(first_AU.shape)
    return np.asarray(np.minimum(4, 1 + np.floor(4 * (rank - 0.5) / first_AU.size)), dtype=np.int64)


def _rows(one: _Compared, grain: str, family_of: Mapping[str, str], ground: _Ground) -> pl.DataFrame:
    weight_AU = _interaction(one.first, one.total_steps)
    slope_SU = np.einsum("au,asu->su", weight_AU, one.effect)
    null_DU = np.einsum("au,adu->du", weight_AU, one.null)
    p_U = permutation_p(slope_SU.mean(axis=0), null_DU, "two-sided")
    q_U, quartile_AU = benjamini_hochberg(p_U), _quartiles(one.first)
    rows = []
    for u, name in enumerate(one.units.names):
        known = not np.isnan(p_U[u])
        interval = t_interval(slope_SU[:, u])
        flips = sign_flip(slope_SU[:, u], rng=generator("order_units", one.comparison, name)) if known else None
        shared = {
            "comparison": one.comparison, "grain": grain,
            "family_id": family_of[name] if grain == ITEM else name, "item_id": name if grain == ITEM else None,
            "window_lo": ground.window.start, "window_hi": ground.window.stop, "n_seeds": len(ground.seeds),
            "interaction": slope_SU[:, u].mean(), "ci_lo": interval.lo, "ci_hi": interval.hi,
            "null_sd": null_DU[:, u].std(), "p_seeds": flips.p_value if flips else None,
            "p_value": p_U[u], "q_value": q_U[u], "num_null": len(null_DU),
            "order_sensitive": bool(known and q_U[u] <= MAX_Q and not interval.lo <= 0 <= interval.hi),
        }  # fmt: skip
        for a, arm in enumerate(one.arms):
            own = t_interval(one.effect[a, :, u])
            rows.append(
                {
                    **shared, "arm": arm, "num_showings": one.num[a, u], "first_step": one.first[a, u],
                    "quartile": quartile_AU[a, u], "effect": one.effect[a, :, u].mean(),
                    "effect_lo": own.lo, "effect_hi": own.hi,
                }
            )  # fmt: skip
    table = pl.DataFrame([{name: row[name] for name in ROWS_SCHEMA} for row in rows], schema=ROWS_SCHEMA, orient="row")
    return table.with_columns(pl.col(pl.Float64).fill_nan(None))


def _slope(one: _Compared, arm: str, against: str, ground: _Ground) -> dict[str, Any]:
    a, b = one.arms.index(arm), one.arms.index(against)
    later_U = (one.first[a] - one.first[b]) / one.total_steps
    row = {
        **dict.fromkeys(SLOPES_SCHEMA), "comparison": one.comparison, "arm": arm, "against": against,
        "window_lo": ground.window.start, "window_hi": ground.window.stop,
        "num_cells": len(ground.cells), "num_units": len(later_U), "n_seeds": len(ground.seeds),
        "mixture_gap": mixture_gap(one.share[a], one.share[b]),
    }  # fmt: skip
    if len(later_U) < 2 or np.ptp(later_U) < MIN_SPREAD:
        return row
    centred_U = later_U - later_U.mean()
    weight_U = centred_U / (centred_U**2).sum()
    by_seed = (one.effect[a] - one.effect[b]) @ weight_U
    null = (one.null[a] - one.null[b]) @ weight_U
    p_redrawn = float(permutation_p(float(by_seed.mean()), null, "two-sided"))
    flips = sign_flip(by_seed, rng=generator("order_slopes", arm, against))
    return {
        **row,
        "slope": float(by_seed.mean()),
        "null_mean": float(null.mean()),
        "null_sd": float(null.std()),
        "num_null": len(null),
        "p_redrawn": p_redrawn,
        "p_seeds": flips.p_value,
        "p_value": max(p_redrawn, flips.p_value),
        "smallest_p": max(2 / (1 + len(null)), flips.smallest_p),
        "by_seed_json": canonical_json(dict(zip(map(str, ground.seeds), by_seed.tolist(), strict=True))),
    }
