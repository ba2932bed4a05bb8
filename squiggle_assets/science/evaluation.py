"""How well a model completes held-out items: loss, token accuracy, whole answers right.

Here: which items are measured, and the three numbers. Not here: when (training), generation, activations (capture).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch.nn.functional import cross_entropy

from squiggle_assets.science.anatomy import Anatomy
from squiggle_assets.science.batching import PackedBatch, hidden, micro_batches, supervised_logits
from squiggle_assets.science.tokens import TokenTable


def eval_items(items: pl.DataFrame, num: int) -> pl.DataFrame:
    """The items of a split that are measured: the first `num` by content hash, so that they are always the same.

    A content hash is as good as random with regard to the content. ValueError if num is below 1.
    """
    if num < 1:
        raise ValueError(f"eval_items must be at least 1, got {num}")
    return items.sort("content_sha256", "item_id").head(num)


class Scores(NamedTuple):
    """Means over one set of rows; nan where there is nothing to average."""

    loss: float
    """Nats per completion token."""
    token_acc: float
    """Share of completion tokens that are the model's first choice, given all tokens before them."""
    answer_acc: float
    """Share of rows with a whole answer of which every answer token is the first choice (teacher-forced)."""


class Evaluator:
    """A set of rows, packed once."""

    def __init__(self, parts: Anatomy, table: TokenTable, rows_per_batch: int, device: torch.device | str):
        self._parts, self._table = parts, table
        rows = range(len(table.item_ids))
        self._batches: list[PackedBatch] = micro_batches(table, rows, rows_per_batch, device)

    @torch.no_grad()
    def scores(self) -> Scores:
        """Teacher-forced scores now; the model must be in eval mode and inside packed_attention."""
        losses, rights = [np.empty(0)], [np.empty(0, dtype=bool)]
        for batch in self._batches:
            logits_mv = supervised_logits(self._parts, batch, hidden(self._parts, batch, supervised_only=True)).float()
            losses.append(cross_entropy(logits_mv, batch.targets, reduction="none").double().cpu().numpy())
            rights.append((logits_mv.argmax(dim=-1) == batch.targets).cpu().numpy())
        loss, right = np.concatenate(losses), np.concatenate(rights)
        if not len(loss):
            return Scores(np.nan, np.nan, np.nan)
        return Scores(float(loss.mean()), float(right.mean()), self._answers(right))

    def _answers(self, right: np.ndarray) -> float:
        table = self._table
        first = np.maximum(table.num_prompt, 1)
        starts = np.cumsum(np.diff(table.offsets) - first) - (np.diff(table.offsets) - first)
        whole = [
            bool(right[starts[i] + table.answer_start[i] - first[i] : starts[i] + table.answer_end[i] - first[i]].all())
            for i in np.flatnonzero(table.answer_start >= 0)
        ]
        return float(np.mean(whole)) if whole else float("nan")


def measure(evaluators: Mapping[str, Evaluator]) -> dict[str, float]:
    """'<split>_loss', '<split>_token_acc', '<split>_answer_acc' of every split; what has no value is left out."""
    found = {}
    for split, evaluator in evaluators.items():
        for metric, value in evaluator.scores()._asdict().items():
            if not np.isnan(value):
                found[f"{split}_{metric}"] = value
    return found
