"""Rows of one optimiser step as packed micro-batches, and the loss over their supervised positions only.

Here: packing, hidden states of a packed batch, sums of the completion loss. Not here: tokenising (tokens), what is
drawn (policy), the update (training), accuracy (evaluation).
Legend: n = tokens of a batch, m = supervised ones among them, d = width, v = vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from squiggle_assets.science import packed_attention
from squiggle_assets.science.anatomy import Anatomy
from squiggle_assets.science.tokens import Ints, TokenTable


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedBatch:
    """Rows one after the other, without padding."""

    input_ids: Tensor
    """(1, n) int64."""
    position_ids: Tensor
    """(1, n) int64, from 0 in every row."""
    lengths: tuple[int, ...]
    """Tokens of each row."""
    supervised: Tensor
    """(m,) int64: positions in 0..n-1 whose hidden state predicts a completion token, i.e. the one before it."""
    targets: Tensor
    """(m,) int64: the tokens predicted there."""

    @property
    def num_tokens(self) -> int:
        """All tokens, prompts included."""
        return sum(self.lengths)

    @property
    def num_supervised(self) -> int:
        """Tokens with a loss."""
        return len(self.targets)


def pack(table: TokenTable, rows: Sequence[int] | Ints, device: torch.device | str = "cpu") -> PackedBatch:
    """The given rows of a table as one packed batch, in that order; a row may occur more than once.

    Completion tokens are targets, prompt tokens never are. (The token after a row's last one does not exist, so the
    last position of a row predicts nothing.) ValueError without rows.
    """
    if len(rows) == 0:
        raise ValueError("a batch needs at least one row")
    index = np.asarray(rows, dtype=np.int64)
    starts, lengths = table.offsets[index], np.diff(table.offsets)[index]
    ends = np.cumsum(lengths)
    shift = ends - lengths
    row_of = np.repeat(np.arange(len(index)), lengths)
    positions = np.arange(ends[-1]) - shift[row_of]
    ids = table.input_ids[starts[row_of] + positions]
    is_target = positions >= np.maximum(table.num_prompt[index], 1)[row_of]
    targets = np.flatnonzero(is_target)
    return PackedBatch(
        input_ids=torch.from_numpy(ids)[None].to(device),
        position_ids=torch.from_numpy(positions)[None].to(device),
        lengths=tuple(lengths.tolist()),
        supervised=torch.from_numpy(targets - 1).to(device),
        targets=torch.from_numpy(ids[targets]).to(device),
    )


def micro_batches(
    table: TokenTable, rows: Sequence[int] | Ints, micro_batch: int, device: torch.device | str = "cpu"
) -> list[PackedBatch]:
    """The rows of one step in packed batches of at most micro_batch rows, in order. ValueError below 1."""
    if micro_batch < 1:
        raise ValueError(f"micro_batch must be at least 1, got {micro_batch}")
    return [pack(table, rows[start : start + micro_batch], device) for start in range(0, len(rows), micro_batch)]


def hidden(parts: Anatomy, batch: PackedBatch, *, supervised_only: bool = False) -> Tensor:
    """Final hidden states (n, d) of a packed batch; the model must be inside packed_attention.

    supervised_only: the states of positions that predict nothing may be anything (they are spared where possible).
    """
    with packed_attention.rows(batch.lengths, batch.supervised if supervised_only else None):
        return parts.body(batch.input_ids, position_ids=batch.position_ids)[0]


def supervised_logits(parts: Anatomy, batch: PackedBatch, hidden_nd: Tensor) -> Tensor:
    """Logits (m, v) at the supervised positions only: the others never meet the vocabulary."""
    return parts.head(hidden_nd.index_select(0, batch.supervised))


def loss_sum(parts: Anatomy, batch: PackedBatch) -> Tensor:
    """Sum of -log p over the completion tokens, in nats, float32.

    Divide by the supervised tokens of the whole optimiser step: then the gradient is that of the mean over the
    effective batch, however it is cut into micro-batches.
    """
    logits_mv = supervised_logits(parts, batch, hidden(parts, batch, supervised_only=True))
    return cross_entropy(logits_mv.float(), batch.targets, reduction="sum")
