"""Rows of the sample trace: every draw of a run, in the order in which it was seen.

Here: the trace that a policy and a seed imply. Not here: drawing (policy.py) and writing (the sample_trace table).

Step s counts draws from 0: its batch turns the model after s updates into the model after s + 1 updates. A capture
or checkpoint "at step k" stands after k updates, so it has seen the draws of steps 0 to k - 1 and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from squiggle_assets.science.replay import Draws

SCHEMA = pl.Schema(
    {
        "step": pl.Int64(),
        "micro": pl.Int64(),
        "pos": pl.Int64(),
        "phase": pl.String(),
        "phase_idx": pl.Int64(),
        "family_id": pl.String(),
        "item_id": pl.String(),
        "content_sha256": pl.String(),
        "epoch": pl.Float64(),
        "planted": pl.Boolean(),
    }
)
"""The sample_trace columns but arm, seed and run_id, which a policy does not know."""


def trace_rows(policy: Draws, seed: int, steps: Sequence[int], *, micro_batch: int) -> pl.DataFrame:
    """One row per draw of these steps, ordered by (step, micro, pos): the columns of SCHEMA.

    Args:
        policy: What is drawn.
        seed: Of the run.
        steps: 0-based steps in ascending order, such as range(total); the rows of a step are the same whichever
            other steps are asked for.
        micro_batch: Items per forward pass: slot k of a batch has micro = k // micro_batch and pos = k % micro_batch.

    The epoch of a row is the number of draws before it since step 0, planted ones included, over the number of
    training items. family_id is the true label, also where the curriculum goes by shuffled ones.

    Raises:
        ValueError: micro_batch below 1, steps not ascending, or a step outside the policy's budget.
    """
    if micro_batch < 1:
        raise ValueError(f"micro_batch must be at least 1, got {micro_batch}")
    if any(later <= earlier for earlier, later in pairwise(steps)):
        raise ValueError(f"steps must ascend, got {list(steps)[:10]}")
    if len(steps) == 0:
        return pl.DataFrame(schema=SCHEMA)
    size = policy.batch_size
    step, slot = np.repeat(np.array(steps, dtype=np.int64), size), np.tile(np.arange(size), len(steps))
    phases = [policy.phase_at(number) for number in steps]
    drawn = policy.items[np.concatenate([policy.draw(seed, number) for number in steps])]
    rows = drawn.select("family_id", "item_id", "content_sha256", "planted").with_columns(
        step=pl.Series(step),
        micro=pl.Series(slot // micro_batch),
        pos=pl.Series(slot % micro_batch),
        phase=pl.Series(np.repeat([name for _, name in phases], size), dtype=pl.String),
        phase_idx=pl.Series(np.repeat([idx for idx, _ in phases], size)),
        epoch=pl.Series((step * size + slot) / policy.num_training_items),
    )
    return rows.select(*SCHEMA).cast(SCHEMA)
