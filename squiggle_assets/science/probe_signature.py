"""What a micro-fine-tune did to the representation: its layers before and after, how they moved, its signature.

Here: rows of probe_layers and probe_summaries up to a given capture. Not here: the metrics (geometry, dynamics), which
capture runs are compared at (probe_families), whether families differ (probe_distance).

Layer A is the state before and after, layer B the movement in between; both at frozen probe text without pads. A
velocity here is the way travelled between captures over the steps it took, from at least two intervals, never an
assumed 0: what cannot be computed from the captures there are is null.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from squiggle_assets.science.metrics import STEP_ANGLE

STATES = ("effective_rank", "sv_entropy", "sparsity_proxy")
SIGNATURE = (
    "effective_rank_change",
    "sv_entropy_change",
    "sparsity_proxy_change",
    "principal_angle",
    "drift_path",
    "alignment_path",
)
"""Means over layers. *_change: |after - before|; principal_angle: after against before, radians; drift_path and
alignment_path: way travelled in effective rank and in radians, per 1000 tokens of training (`tokens_a_step`)."""
MOVEMENT = ("drift_velocity", "drift_acceleration", "volatility", "alignment_velocity")
"""Layer B of a layer: of effective rank the first three, of the leading directions the last."""
MAX_AFFECTED = 6
"""Layers that are called affected: those that drift fastest."""
_RUN = ("arm", "seed", "run_id")
_KEY = (*_RUN, "layer")


class ProbeTables(NamedTuple):
    """Layers of probe runs, and one summary a run."""

    layers: pl.DataFrame
    summaries: pl.DataFrame


def probe_rows_of(
    geometry: pl.DataFrame,
    dynamics: pl.DataFrame,
    at: pl.DataFrame,
    *,
    probe_set: str,
    tokens_a_step: float | None = None,
) -> ProbeTables:
    """Rows of probe_layers (by run and layer) and probe_summaries (by run), each at the capture given for its run.

    Args:
        geometry: of all runs; component x_out of the probe set is used.
        dynamics: of the same runs.
        at: one row a run: arm, seed, run_id, step (the capture that counts as "after"), num_tokens.
        probe_set: frozen probe items.
        tokens_a_step: by which ways per 1000 tokens are taken; None: each run's own. Runs that are compared at equal
            steps need one for all: the way over a run's own tokens says how long its items are, however it moved.

    Raises:
        ValueError: a run has no geometry at its first capture or at the given one.
    """
    chosen = (pl.col("probe_set") == probe_set) & (pl.col("component") == "x_out")
    when = at.select(*_RUN, pl.col("step").alias("after"), "num_tokens")
    state = geometry.filter(chosen).join(when, on=_RUN, how="inner")
    moved = dynamics.filter(chosen).join(when, on=_RUN, how="inner").filter(pl.col("step") <= pl.col("after"))
    layers = _states(state).join(_movement(moved), on=_KEY, how="left", maintain_order="left")
    missing = when.join(layers, on=_RUN, how="anti")
    if missing.height or layers.select(pl.any_horizontal(*(f"{name}_delta" for name in STATES)).is_null().any()).item():
        raise ValueError(f"runs without geometry before or after: {missing.select(*_RUN).rows()[:3] or 'some layers'}")
    rank = pl.col("drift_velocity").rank("ordinal", descending=True).over(_RUN)
    layers = layers.with_columns((rank <= MAX_AFFECTED).alias("affected"))
    layers = layers.select(*_RUN, pl.lit(probe_set).alias("probe_set"), pl.exclude(*_RUN))
    return ProbeTables(layers, _summaries(layers, when, tokens_a_step))


def _states(state: pl.DataFrame) -> pl.DataFrame:
    first = pl.col("step") == pl.col("step").min().over(_RUN)
    last = pl.col("step") == pl.col("after")

    def value(metric: str, when: pl.Expr) -> pl.Expr:
        return pl.col("value").filter((pl.col("metric") == metric) & when).first()

    found = state.with_columns(first.alias("is_first"), last.alias("is_last"))
    columns = []
    for metric in STATES:
        before, after = value(metric, pl.col("is_first")), value(metric, pl.col("is_last"))
        columns += [before.alias(f"{metric}_pre"), after.alias(f"{metric}_post")]
        columns.append((after - before).alias(f"{metric}_delta"))
    angle = value("principal_angle", pl.col("is_last")).alias("principal_angle_post_vs_pre")
    num_rows = pl.col("num_rows").first()
    return found.group_by(_KEY).agg(*columns, angle, num_rows).sort("arm", "seed", "layer")


def _movement(moved: pl.DataFrame) -> pl.DataFrame:
    """Way over time: uneven intervals count by their length. One interval alone is no movement in between."""
    drift, turning = pl.col("metric") == "effective_rank", pl.col("metric") == STEP_ANGLE

    def speed(metric: pl.Expr) -> pl.Expr:
        way, steps = pl.col("delta").filter(metric).abs().sum(), pl.col("dt_steps").filter(metric)
        return pl.when(steps.len() >= 2).then(way / steps.sum())

    return moved.group_by(_KEY).agg(
        speed(drift).alias("drift_velocity"),
        pl.col("acceleration").filter(drift).abs().mean().alias("drift_acceleration"),
        pl.col("volatility").filter(drift).mean().alias("volatility"),
        speed(turning).alias("alignment_velocity"),
    )


def _summaries(layers: pl.DataFrame, when: pl.DataFrame, tokens_a_step: float | None) -> pl.DataFrame:
    means = layers.group_by("arm", "seed", "run_id", "probe_set", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("num_layers"),
        *(pl.col(f"{name}_delta").abs().mean().alias(f"{name}_change") for name in STATES),
        pl.col("principal_angle_post_vs_pre").mean().alias("principal_angle"),
        *(pl.col(name).mean().alias(f"{name}_global") for name in MOVEMENT),
        pl.col("layer").filter(pl.col("affected")).sort().cast(pl.String).str.join(",").alias("_affected"),
    )
    own = pl.col("num_tokens") / pl.col("after")
    kilotokens_a_step = (own if tokens_a_step is None else pl.lit(tokens_a_step)) / 1000
    return (
        means.join(when, on=_RUN, how="left", maintain_order="left")
        .with_columns(
            (pl.col("drift_velocity_global") / kilotokens_a_step).alias("drift_path"),
            (pl.col("alignment_velocity_global") / kilotokens_a_step).alias("alignment_path"),
            ("[" + pl.col("_affected") + "]").alias("affected_layers"),
        )
        .select(
            *(*_RUN, "probe_set", pl.col("after").alias("step"), "num_tokens", "num_layers"),
            *(*SIGNATURE, *(f"{name}_global" for name in MOVEMENT), "affected_layers"),
        )
    )


def base_deviation(geometry: pl.DataFrame) -> pl.DataFrame:
    """How far each run's first capture is from that of the others: arm, seed, run_id, base_deviation.

    The largest relative difference of a metric to its median over runs, over all probe sets, components and layers. A
    fresh base gives 0 (rounding of another device apart); a model that carries what another run taught it does not.
    """
    first = geometry.filter(pl.col("step") == pl.col("step").min().over(_RUN))
    middle = pl.col("value").median().over("probe_set", "component", "layer", "metric")
    size = pl.max_horizontal(middle.abs(), pl.lit(1e-12))
    apart = pl.when(pl.col("value") == middle).then(0.0).otherwise((pl.col("value") - middle).abs() / size)
    # the median is over all runs, so it must be there before the rows are grouped by run
    known = first.with_columns(apart.alias("base_deviation"))
    return known.group_by(_RUN).agg(pl.col("base_deviation").max()).sort("arm", "seed")
