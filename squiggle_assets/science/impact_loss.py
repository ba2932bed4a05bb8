"""How hard each item is for a model: mean loss of its completion, item by item.

Here: per-item losses. Not here: means over a split (evaluation), what they are used for (impact_core).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from squiggle_assets.science.anatomy import anatomy
from squiggle_assets.science.batching import hidden, micro_batches, supervised_logits
from squiggle_assets.science.packed_attention import packed_attention
from squiggle_assets.science.tokens import TokenTable

ROWS = 32
"""Rows of one forward pass: a fixed number, because sums of floats depend on it."""


@torch.no_grad()
def item_losses(model: Any, table: TokenTable, device: torch.device | str = "cpu") -> NDArray[np.float64]:
    """[rows] mean -log p of each row's completion tokens, teacher-forced, in nats a token; nan without any.

    The model is put into eval mode.
    """
    model.eval()
    parts, num_rows = anatomy(model), len(table.item_ids)
    losses = [np.empty(0)]
    with packed_attention(model):
        for batch in micro_batches(table, range(num_rows), ROWS, device):
            logits_mv = supervised_logits(parts, batch, hidden(parts, batch, supervised_only=True)).float()
            losses.append(cross_entropy(logits_mv, batch.targets, reduction="none").double().cpu().numpy())
    lengths = np.diff(table.offsets) - np.maximum(table.num_prompt, 1)
    row_of = np.repeat(np.arange(num_rows), lengths)
    sums = np.bincount(row_of, weights=np.concatenate(losses), minlength=num_rows)
    return np.asarray(np.divide(sums, lengths, out=np.full(num_rows, np.nan), where=lengths > 0), dtype=np.float64)
