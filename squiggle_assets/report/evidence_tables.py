"""The tables of a study report that hold evidence: counts beside nulls, consensus events, invariance, sizes.

Here: frames to document tables. Not here: what was run and claimed (study_tables), validation (held_out), order
and prose (study_report).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from squiggle_assets.report.document import Table
from squiggle_assets.report.text import MISSING, interval, mean, number, plural, share
from squiggle_assets.science.spec import Study

TOP_EVENTS = 25
"""Consensus events shown, strongest first; the table consensus_events holds all of them."""
SMALL_P = 0.05
"""Pairs of seeds are counted below this p; without anything shared, one in twenty."""
NEEDED = {"seeds": 8, "captures": 100}
"""Sizes from which on a study can say something."""


def counts(null_draws: pl.DataFrame, arm_outcomes: pl.DataFrame, names: Sequence[str], probe_set: str) -> Table:
    """Consensus events of every arm and probe set beside what the nulls give; never a count alone."""
    draws = null_draws.filter((pl.col("band") == "all") & (pl.col("metric_group") == "all"))
    means = {(arm, probe, null): value for arm, probe, null, value in _means(draws)}
    tested = arm_outcomes.filter(pl.col("outcome") == "consensus_event_count")
    q = dict(tested.select("arm", "q_value").iter_rows())
    rows = []
    for arm in names:
        for other in draws["probe_set"].unique().sort():
            observed = means.get((arm, other, "observed"))
            null = [means.get((arm, other, name)) for name in ("shift", "surrogate")]
            known = [value for value in null if value is not None]
            beyond = None if observed is None or not known else observed - max(known)
            shown = (mean(value) for value in (*null, beyond))
            rows.append((arm, other, number(observed), *shown, share(q.get(arm)) if other == probe_set else MISSING))
    columns = ("arm", "probe set", "observed", "mean of shift", "mean of surrogate", "excess", "q")
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns[2:]),
        caption="Consensus events: observed, mean over null draws of each family, excess over the larger, and q over "
        "the arms for the pre-registered probe set (no q for the other one: it is shown, not tested).",
    )


def _means(draws: pl.DataFrame) -> list[tuple[Any, ...]]:
    return draws.group_by("arm", "probe_set", "null").agg(pl.col("statistic").mean()).rows()


def consensus(frame: pl.DataFrame) -> Table:
    """The strongest consensus events by dis_weighted, with support, interval, null mean, q and boundary."""
    top = frame.sort("dis_weighted", "statistic", "consensus_event_id", descending=[True, True, False], nulls_last=True)
    rows = [_consensus_row(row) for row in top.head(TOP_EVENTS).iter_rows(named=True)]
    columns = ("arm", "step", "cell", "seeds", "weighted DIS", "statistic", "null mean", "q", "boundary")
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset({"step", "seeds", "weighted DIS", "statistic", "null mean", "q"}),
        caption=f"{plural(len(rows), 'event')} of {number(len(frame))}, strongest first by weighted DIS. step: median "
        "over seeds; brackets: 95 % bootstrap intervals over seeds. seeds: with an event here, of all. statistic and "
        "null mean: summed strength of the seeds and its mean for the cell under the nulls. boundary: the nearest one "
        "and the steps from it, marked where it is near enough to explain the event.",
    )


def _consensus_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    lo, hi = row["layer_lo"], row["layer_hi"]
    layers = f"layer {lo}" if lo == hi else f"layers {lo}–{hi}"
    nearest = f"{row['boundary_kind']} {row['boundary_distance']:+g}".replace("-", "−")
    return (
        row["arm"],
        f"{number(row['median_step'])} {interval(row['step_ci_lo'], row['step_ci_hi'], number)}",
        f"{layers}, {row['metric_group']}, {'up' if row['polarity'] > 0 else 'down'}",
        f"{row['num_matched']}/{row['n_seeds']}",
        f"{mean(row['dis_weighted'])} {interval(row['dis_ci_lo'], row['dis_ci_hi'])}",
        mean(row["statistic"]),
        mean(row["null_mean"]),
        share(row["q_value"]),
        f"NEAR {nearest}" if row["near_boundary"] else nearest,
    )


def invariance(frame: pl.DataFrame) -> Table:
    """Pairwise similarity of seeds by arm and measure: mean over pairs, its null mean, and how often p is small."""
    grouped = frame.group_by("arm", "measure", maintain_order=True).agg(
        pl.col("value").drop_nans().mean(),
        pl.col("null_mean").drop_nans().mean(),
        (pl.col("p_value").drop_nulls() <= SMALL_P).mean().alias("small"),
        pl.struct("seed_a", "seed_b").n_unique().alias("pairs"),
    )
    columns = ("arm", "measure", "mean", "null mean", "excess", f"share p ≤ {SMALL_P:g}", "pairs of seeds")
    rows = []
    for arm, measure, value, null, small, pairs in grouped.rows():
        beyond = None if value is None or null is None else value - null
        rows.append((arm, measure, mean(value), mean(null), mean(beyond), share(small), number(pairs)))
    return Table(
        columns=columns,
        rows=rows,
        numeric=frozenset(columns[2:]),
        folded="How alike are pairs of seeds?",
        caption="Means over pairs of seeds (and series of a trajectory). null mean: the second seed turned round a "
        "circle in time; p: share of such turns that are as alike. A schedule that both seeds share lowers p as well "
        "as data do, and pairs share seeds, so no test is made of them.",
    )


def sizes(study: Study, run_manifest: pl.DataFrame, null_draws: pl.DataFrame) -> tuple[Table, bool]:
    """Sizes beside what a study needs to say something, and whether all are met; stopped runs do not count."""
    whole = run_manifest.filter(~pl.col("stopped_early"))
    seeds = run_manifest.group_by("arm").agg((~pl.col("stopped_early")).sum().cast(pl.Int64).alias("len"))["len"]
    cells = null_draws.filter(pl.col("band") != "all").select("band", "metric_group").n_unique()
    draws = (
        null_draws.filter(pl.col("null") != "observed")
        .group_by("arm", "probe_set", "null")
        .agg(pl.col("draw").n_unique())["draw"]
    )
    have: dict[str, tuple[Any, int]] = {
        "seeds an arm": (seeds.min(), NEEDED["seeds"]),
        "captures a run": (whole["num_captures"].min(), NEEDED["captures"]),
        "draws a null family": (draws.min(), study.consensus.draws_per_cell * cells),
    }
    rows, met = [], True
    for name, (found, needed) in have.items():
        enough = isinstance(found, int) and found >= needed
        met = met and enough
        rows.append((name, number(found), number(needed), "yes" if enough else "NO"))
    table = Table(
        columns=("size", "here (smallest)", "needed", "enough"),
        rows=rows,
        numeric=frozenset({"here (smallest)", "needed"}),
        caption=f"Draws are needed per tested cell ({number(cells)} cells: layer bands × metric groups), "
        f"{study.consensus.draws_per_cell} each.",
    )
    return table, met
