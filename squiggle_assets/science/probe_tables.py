"""The rows of all probe runs together: at equal training tokens, and at equal steps.

Here: joining what runs were trained on with what they show. Not here: either of them (probe_families, probe_signature).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from squiggle_assets.science.exclusions import without_stopped
from squiggle_assets.science.probe_families import families_of, match_tokens
from squiggle_assets.science.probe_signature import ProbeTables, base_deviation, probe_rows_of
from squiggle_assets.science.spec import Study
from squiggle_assets.science.tokens import tokenize_items

_RUN = ["arm", "seed", "run_id"]


def item_lengths(tokenizer: Any, items: pl.DataFrame, max_length: int) -> dict[str, int]:
    """item_id -> tokens that one draw trains on: prompt and completion, cut at max_length.

    items: item_id, problem, solution.
    """
    table = tokenize_items(tokenizer, items.sort("item_id"), max_length)
    return dict(zip(table.item_ids, np.diff(table.offsets).tolist(), strict=True))


def probe_tables(
    study: Study,
    *,
    geometry: pl.DataFrame,
    dynamics: pl.DataFrame,
    manifest: pl.DataFrame,
    trace: pl.DataFrame,
    lengths: Mapping[str, int],
) -> ProbeTables:
    """Layers and summaries of all runs that went to their end, with a column `matched`: tokens, then steps.

    Frames hold the rows of all arms and seeds; lengths: item_id -> tokens (item_lengths). "steps" compares every run at
    its last capture, its ways over the tokens of an average run.

    Raises:
        ValueError: no run went to its end; and as match_tokens and probe_rows_of.
    """
    geometry, dynamics, trace = (without_stopped(frame, manifest) for frame in (geometry, dynamics, trace))
    if trace.is_empty():
        raise ValueError("no probe run went to its end: there is nothing to compare")
    captured = geometry.select(*_RUN, "step").unique()
    by_tokens = match_tokens(trace, captured, lengths)
    last = captured.group_by(_RUN).agg(pl.col("step").max()).join(by_tokens.steps.drop("step"), on=_RUN)
    by_steps = last.with_columns(pl.col("num_tokens_run").alias("num_tokens"))
    base = base_deviation(geometry)
    found = []
    average = float(by_steps.select((pl.col("num_tokens") / pl.col("step")).mean()).item())
    for matched, at, tokens_a_step in (("tokens", by_tokens.steps, None), ("steps", by_steps, average)):
        rows = probe_rows_of(geometry, dynamics, at, probe_set=study.consensus.probe_set, tokens_a_step=tokens_a_step)
        about = _drawn(study, trace, at).join(base, on=_RUN).join(at.select(*_RUN, "num_tokens_run"), on=_RUN)
        summaries = rows.summaries.join(about, on=_RUN, how="left", maintain_order="left")
        marks = [pl.lit(matched).alias("matched"), pl.lit(by_tokens.target, dtype=pl.Int64).alias("num_tokens_target")]
        found.append((rows.layers.with_columns(marks[:1]), summaries.with_columns(marks)))
    return ProbeTables(*(pl.concat(frames) for frames in zip(*found, strict=True)))


def _drawn(study: Study, trace: pl.DataFrame, at: pl.DataFrame) -> pl.DataFrame:
    families = {name: name for name in families_of(study)}
    own = pl.col("arm").replace_strict(families, default=None, return_dtype=pl.String).alias("own")
    until = at.select(*_RUN, pl.col("step").alias("after"))
    seen = trace.with_columns(own).join(until, on=_RUN, how="inner")
    return seen.group_by(_RUN).agg(
        pl.col("own").first().alias("family_id"),
        pl.col("item_id").filter(pl.col("step") < pl.col("after")).n_unique().cast(pl.Int64).alias("num_items"),
        (pl.col("family_id") == pl.col("own")).mean().alias("share_own_family"),
    )
