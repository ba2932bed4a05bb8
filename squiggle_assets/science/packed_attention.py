"""Attention over rows that lie one after the other without padding, for any architecture transformers has.

Here: the attention function, and the two contexts that switch it on for a model and say where rows end. Not here: how
rows become one (batching), positions and masks of ordinary padded batches (anatomy.body).

Linear maps, norms and activations do not care where a row ends, so they run once over all real tokens; attention runs
row by row, causally, and needs neither a mask nor a padded copy. Measured against padding at the embedded size in
benchmarks/bench_training.py. Legend: h = heads, n = tokens of all rows, s = tokens of one row, d = head width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "squiggle_packed"
_LENGTHS: ContextVar[tuple[int, ...] | None] = ContextVar("lengths of the packed rows", default=None)
_WANTED: ContextVar[Tensor | None] = ContextVar("positions whose last state is read", default=None)


@contextmanager
def packed_attention(model: Any) -> Iterator[None]:
    """Within: the transformers model attends by packed rows only; a forward outside `rows` is refused."""
    AttentionInterface.register(NAME, attend)
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def rows(lengths: Sequence[int], wanted: Tensor | None = None) -> Iterator[None]:
    """Within: forwards are over one packed row (1, n), whose parts have these lengths; they sum to n.

    wanted: the positions whose state after the last block is read, None = all; at the others it may be anything.
    """
    tokens = _LENGTHS.set(tuple(lengths)), _WANTED.set(wanted)
    try:
        yield
    finally:
        _LENGTHS.reset(tokens[0])
        _WANTED.reset(tokens[1])


def wanted() -> Tensor | None:
    """The positions named to `rows`."""
    return _WANTED.get()


def attend(
    module: Any,
    query_hnd: Tensor,
    key_hnd: Tensor,
    value_hnd: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention within every row: queries, keys, values (1, h, n, d) -> (1, n, h, d), and no weights.

    RuntimeError outside `rows`, with a mask, or if n is not the sum of the lengths.
    """
    # signature and the leading dimension of 1 are those of transformers' attention interface
    lengths = _LENGTHS.get()
    if lengths is None or attention_mask is not None or query_hnd.shape[0] != 1 or sum(lengths) != query_hnd.shape[2]:
        raise RuntimeError(
            f"queries of shape {tuple(query_hnd.shape)} are not one packed row of lengths {lengths} without a mask: "
            "inside packed_attention a model is run through batching.hidden"
        )
    grouped = query_hnd.shape[1] != key_hnd.shape[1]
    out = []
    for query, key, value in _parts(lengths, query_hnd, key_hnd, value_hnd):
        length = query.shape[2]
        band = _band(length, sliding_window, query.device) if sliding_window and length > sliding_window else None
        found = scaled_dot_product_attention(
            query, key, value, attn_mask=band, is_causal=band is None, scale=scaling, enable_gqa=grouped
        )
        out.append(found.transpose(1, 2).flatten(0, 1))
    return torch.cat(out)[None], None


def _parts(lengths: tuple[int, ...], *tensors: Any) -> Iterator[tuple[Tensor, ...]]:
    # neighbours of one length share a call: (1, h, rows * s, d) -> (rows, h, s, d)
    runs = [(length, len(list(group))) for length, group in groupby(lengths)]
    sizes = [length * num for length, num in runs]
    cut = zip(*(tensor.split(sizes, dim=2) for tensor in tensors), strict=True)
    for (length, num), parts in zip(runs, cut, strict=True):
        yield parts if num == 1 else tuple(t[0].unflatten(1, (num, length)).transpose(0, 1) for t in parts)


def _band(length: int, window: int, device: torch.device) -> Tensor:
    behind = torch.arange(length, device=device)[:, None] - torch.arange(length, device=device)[None, :]
    return (behind >= 0) & (behind < window)
