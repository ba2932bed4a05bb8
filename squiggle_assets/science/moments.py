"""One consensus event: who takes part, how alike they are, how surprising it is.

Here: members, description and p-values of the consensus events of one arm and probe set. Not here: where they lie
(matching), the draws (nulls), tables (consensus).
Legend: C = cells, S = seeds, K = series, T = increments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from squiggle_assets.science import matching
from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.cells import ArmSeries
from squiggle_assets.science.metrics import ORIENTATION
from squiggle_assets.science.nulls import Agreement
from squiggle_assets.science.shape import impact, window_at
from squiggle_assets.science.stats import benjamini_hochberg, max_statistic_p, permutation_p, robust_scale

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
OwnEvents = Mapping[tuple[int, int, str, int], Mapping[str, Any]]
"""Rows of the events table by (seed, layer, metric, step)."""


class Moment(NamedTuple):
    """Where a consensus event lies and which increment of each seed belongs to it."""

    cell: int
    side: int
    """0 up, 1 down."""
    members: I64
    """[S] position in T, -1 where the seed has none."""
    statistic: float


def moments_of(series: ArmSeries, seen: Agreement) -> Iterator[Moment]:
    """Every consensus event: cell, polarity, members and statistic; cells in order, then up before down, then time."""
    chosen = matching.centres(seen.found, series.steps, seen.tau, seen.min_support)
    for cell, side, centre in zip(*np.nonzero(chosen), strict=True):
        own = matching.members(seen.strength[cell, :, side], series.steps, seen.tau, int(centre))
        yield Moment(int(cell), int(side), own, float(seen.found.total[cell, side, centre]))


def levels_of(found: Sequence[Moment], seen: Agreement) -> list[dict[str, float]]:
    """One row of p-values an event: per null family, the larger, the familywise one, and q.

    q is Benjamini-Hochberg over the tests made: the best total of every cell (also of cells without an event) and
    each further event of a cell, which is judged by the same draws of the cell's best total (conservative).
    """
    p = {null.name: [float(permutation_p(m.statistic, null.best[:, m.cell])) for m in found] for null in seen.nulls}
    largest = np.max(list(p.values()), axis=0) if found else np.empty(0)
    best_p = np.max(list(seen.cell_p().values()), axis=0)
    leading = {m.cell: i for i, m in reversed(list(enumerate(found))) if m.statistic >= seen.best[m.cell] - 1e-6}
    further = [i for i, m in enumerate(found) if leading.get(m.cell) != i]
    q = benjamini_hochberg(np.array([*best_p, *(largest[i] for i in further)]))
    rows = []
    for i, moment in enumerate(found):
        worst = max(seen.nulls, key=lambda null, i=i: p[null.name][i])  # type: ignore[misc]
        rows.append(
            {
                **{f"p_{name}": values[i] for name, values in p.items()},
                "null_mean": float(worst.best[:, moment.cell].mean()),
                "p_value": float(largest[i]),
                "p_familywise": _familywise(moment, seen),
                "q_value": float(q[len(best_p) + further.index(i)] if i in further else q[moment.cell]),
            }
        )
    return rows


def _familywise(moment: Moment, seen: Agreement) -> float:
    observed = seen.best.copy()
    observed[moment.cell] = moment.statistic
    return float(max(max_statistic_p(observed, null.best)[moment.cell] for null in seen.nulls))


def described(
    series: ArmSeries,
    seen: Agreement,
    moment: Moment,
    own: OwnEvents,
    draws: np.random.Generator,
) -> dict[str, Any]:
    """The row of one consensus event but for its key and its p-values; medians and intervals are over seeds."""
    cell = series.cells[moment.cell]
    chosen = {s: _constituent(series, seen, moment, s, int(t), own) for s, t in enumerate(moment.members) if t >= 0}
    column = {
        name: _by_seed(chosen, name, len(series.seeds)) for name in ("step", "start", "end", "sign", "size", "weight")
    }
    windows = np.array(
        [
            window_at(series.levels[s, chosen[s]["k"]], int(t)) if t >= 0 else np.full_like(_EMPTY, np.nan)
            for s, t in enumerate(moment.members)
        ]
    )
    found = impact(
        steps=column["step"],
        polarity=column["sign"],
        magnitude=column["size"],
        weight=column["weight"],
        windows_SW=windows,
        tau=seen.tau,
        rng=draws,
    )
    median = float(np.nanmedian(column["step"]))
    boundary, distance = series.schedule.nearest(median)
    interval = float(np.median(np.diff(series.steps)))
    sizes = column["size"][np.isfinite(column["size"])]
    return {
        "band": f"layers_{cell.layer_lo}_{cell.layer_hi}",
        "metric_group": cell.group,
        "layer_lo": cell.layer_lo,
        "layer_hi": cell.layer_hi,
        "polarity": 1 - 2 * moment.side,
        "peak_step": int(series.steps[np.argmin(np.abs(series.steps - median))]),
        "onset_step": float(np.nanmedian(column["start"])),
        "end_step": float(np.nanmedian(column["end"])),
        "median_step": median,
        "step_sd": float(np.nanstd(column["step"])),
        "step_ci_lo": found.step_interval.lo,
        "step_ci_hi": found.step_interval.hi,
        "n_seeds": len(series.seeds),
        "num_matched": len(chosen),
        "support": found.support,
        "timing": found.timing,
        "polarity_agreement": found.polarity_agreement,
        "shape_similarity": found.shape_similarity,
        "coherence": found.coherence,
        "novelty": None,
        "magnitude_mean": float(sizes.mean()) if len(sizes) else None,
        "dis_weighted": found.weighted,
        "dis_ci_lo": found.interval.lo,
        "dis_ci_hi": found.interval.hi,
        "dis_intention": found.intention,
        "statistic": moment.statistic,
        "near_boundary": abs(distance) <= seen.tau + interval,
        "boundary_kind": boundary.kind,
        "boundary_distance": distance,
        "outlier_seeds": canonical_json([series.seeds[s] for s in _outliers(column["step"], seen.tau)]),
        "constituents": canonical_json({str(series.seeds[s]): row["shown"] for s, row in chosen.items()}),
    }


_EMPTY = window_at(np.zeros(1), 0)


def _constituent(
    series: ArmSeries,
    seen: Agreement,
    moment: Moment,
    s: int,
    t: int,
    own: OwnEvents,
) -> dict[str, Any]:
    """The event of the cell's series that gave the seed its strength at this capture."""
    sign = 1 - 2 * moment.side
    z = seen.standardised.z[s, :, t] * sign
    there = [
        k
        for k in series.cells[moment.cell].members
        if (series.seeds[s], series.layers[k], series.metrics[k], int(series.steps[t])) in own
        and (1 if series.increments[s, k, t] >= 0 else -1) == sign
    ]
    k = max(there, key=lambda k: z[k])
    event = own[series.seeds[s], series.layers[k], series.metrics[k], int(series.steps[t])]
    return {
        "k": k,
        "step": event["step"],
        "start": event["start_step"],
        "end": event["end_step"],
        "sign": event["polarity"] * ORIENTATION[series.metrics[k]],
        "size": event["magnitude_centred"],
        "weight": event["structure_modifier"],
        "shown": {
            "event_id": event["event_id"],
            "step": event["step"],
            "layer": series.layers[k],
            "metric": series.metrics[k],
            "z": round(float(z[k] * sign * ORIENTATION[series.metrics[k]]), 4),
        },
    }


def _by_seed(chosen: dict[int, dict[str, Any]], name: str, num_seeds: int) -> F64:
    values = [chosen[s][name] if s in chosen else None for s in range(num_seeds)]
    return np.array([np.nan if value is None else float(value) for value in values])


def _outliers(steps_S: F64, tau: float) -> list[int]:
    """Seeds without an event, or further from the median than 3 robust sd (than tau, where most steps are equal)."""
    there = steps_S[np.isfinite(steps_S)]
    reach = 3 * float(robust_scale(there)) or tau
    return [s for s, step in enumerate(steps_S) if np.isnan(step) or abs(step - np.median(there)) > reach]
