"""Residual streams of a model on frozen probe items.

Here: probe rows and their hash, and one forward pass that records what the blocks put out and how well every item is
completed. Not here: what is computed from it (geometry), when it is done (training), files (a TensorSink).
Legend: n = real tokens of a probe set, d = width, m = completion tokens of all sets, i = items that have any, v =
vocabulary.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from squiggle_assets.science.anatomy import Anatomy
from squiggle_assets.science.batching import PackedBatch, hidden, pack, supervised_logits
from squiggle_assets.science.spec import ProbeSpec
from squiggle_assets.science.tokens import TokenTable, tokenize_items

COMPONENTS = ("embed", "x_out")
"""embed: after the embedding, one tensor under layer 0. x_out: residual stream after each block."""
PROBED: dict[str, pl.DataType] = {
    **dict.fromkeys(("probe_set", "item_id", "family_id"), pl.String()),
    "num_tokens": pl.Int64(),
}
"""What is known of a measured probe item before any measurement; num_tokens counts completion tokens."""
_DTYPES = {"float32": torch.float32, "float16": torch.float16}


@dataclass(frozen=True, kw_only=True, eq=False)
class ProbeRows:
    """One probe set as ids."""

    table: TokenTable
    family_ids: tuple[str, ...]
    """Family of each row."""
    sha256: str
    """probe_set_sha256: of the ids of every row, in order. Any other token or order is another probe set."""

    @property
    def num_tokens(self) -> int:
        """Rows of each captured tensor."""
        return int(self.table.offsets[-1])


def probe_rows(tokenizer: Any, items: pl.DataFrame, spec: ProbeSpec) -> ProbeRows:
    """Probe items (columns item_id, family_id, problem, solution) as ids, cut to num_tokens, in order of item_id.

    Items shorter than num_tokens stay as long as they are: no pad position exists, so none can enter a number.
    Of one whose prompt alone fills num_tokens the start of the prompt is probed, and it has no part in the loss.

    Raises:
        ValueError: no items.
    """
    if items.is_empty():
        raise ValueError("a probe set needs at least one item")
    ordered = items.sort("item_id")
    table = tokenize_items(tokenizer, ordered, spec.num_tokens, cut_prompts=True)
    digest = hashlib.sha256()
    digest.update(table.offsets.astype("<i8").tobytes())
    digest.update(table.input_ids.astype("<i8").tobytes())
    return ProbeRows(table=table, family_ids=tuple(ordered["family_id"]), sha256=digest.hexdigest())


class NotFiniteError(ValueError):
    """An activation is nan, or too large for the type it is stored in; the message says where."""


class Capture(NamedTuple):
    """What one forward pass over the probe sets gave."""

    tensors: dict[str, Tensor]
    """'<set>.<component>.<layer:02d>' -> (n, d) in the stored type, on the CPU."""
    losses: dict[str, float]
    """Probe set -> mean loss over its completion tokens, nats; a set without any has none."""
    item_losses: list[float]
    """Of each item of Prober.items: mean loss over its completion tokens, nats."""
    item_accuracies: list[float]
    """Share of these tokens that are the model's first choice, given all tokens before them."""


class Prober:
    """The probe sets of one run, packed once and read at every capture."""

    def __init__(self, parts: Anatomy, sets: Mapping[str, ProbeRows], spec: ProbeSpec, device: torch.device | str):
        """Prepare the sets.

        Raises:
            ValueError: no sets, an unknown component or a layer that the model does not have.
        """
        unknown = [name for name in spec.components if name not in COMPONENTS]
        if unknown or not spec.components:
            raise ValueError(f"probe components must be among {COMPONENTS}, got {spec.components}")
        layers = tuple(range(parts.num_layers)) if spec.layers is None else spec.layers
        absent = [layer for layer in layers if not 0 <= layer < parts.num_layers]
        if absent:
            raise ValueError(f"probe layers {absent} do not exist: the model has blocks 0 to {parts.num_layers - 1}")
        if not sets:
            raise ValueError("a run needs at least one probe set")
        self._parts, self._dtype = parts, _DTYPES[spec.dtype]
        self._names = sorted(sets)
        self._sizes = [sets[name].num_tokens for name in self._names]
        self._batch = _joined(
            [pack(sets[name].table, range(len(sets[name].table.item_ids)), device) for name in self._names]
        )
        places = {f"x_out.{layer:02d}": parts.blocks[layer] for layer in layers if "x_out" in spec.components}
        if "embed" in spec.components:
            places["embed.00"] = parts.embed
        self._places = places
        self.items = _measured_items({name: sets[name] for name in self._names})
        """Columns of PROBED: items with a completion token, in the order in which a Capture has them."""
        sizes = self.items["num_tokens"].to_numpy()
        self._item_starts: NDArray[np.int64] = np.cumsum(sizes) - sizes
        of_set = [int(self.items.filter(pl.col("probe_set") == name)["num_tokens"].sum()) for name in self._names]
        self._set_ends = np.cumsum(of_set)

    @torch.no_grad()
    def capture(self) -> Capture:
        """One forward pass over all sets at once; the model must be in eval mode and inside packed_attention.

        Raises:
            NotFiniteError: an activation is not finite in the stored type.
        """
        with _recorded(self._places) as seen:
            final_nd = hidden(self._parts, self._batch)
        tensors = {}
        for place, whole_nd in seen.items():
            stored: Any = whole_nd.to(self._dtype).to("cpu")
            # nan goes through to both ends; asking every half for itself costs 15 times as much
            if not all(math.isfinite(end) for end in torch.aminmax(stored)):
                raise NotFiniteError(f"activations of {place} are not finite in {self._dtype}: use probe dtype float32")
            for name, part in zip(self._names, stored.split(self._sizes), strict=True):
                tensors[f"{name}.{place}"] = part.clone()
        return Capture(dict(sorted(tensors.items())), *self._scores(final_nd))

    def _scores(self, final_nd: Tensor) -> tuple[dict[str, float], list[float], list[float]]:
        logits_mv = supervised_logits(self._parts, self._batch, final_nd).float()
        targets_m = self._batch.targets
        each_m = cross_entropy(logits_mv, targets_m, reduction="none").double().cpu().numpy()
        right_m = (logits_mv.argmax(dim=-1) == targets_m).cpu().numpy()
        parts = zip(self._names, np.split(each_m, self._set_ends[:-1]), strict=True)
        losses = {name: float(each.mean()) for name, each in parts if len(each)}
        return losses, self._by_item(each_m), self._by_item(right_m.astype(np.float64))

    def _by_item(self, each_m: np.ndarray) -> list[float]:
        sums_i = np.add.reduceat(each_m, self._item_starts) if len(each_m) else np.empty(0)
        return list((sums_i / self.items["num_tokens"].to_numpy()).tolist())


def _measured_items(sets: Mapping[str, ProbeRows]) -> pl.DataFrame:
    rows: list[tuple[str, str, str, int]] = []
    for name, probed in sets.items():
        num_targets = np.diff(probed.table.offsets) - np.maximum(probed.table.num_prompt, 1)
        of_item = zip(probed.table.item_ids, probed.family_ids, num_targets.tolist(), strict=True)
        rows += [(name, item_id, family_id, num) for item_id, family_id, num in of_item if num > 0]
    return pl.DataFrame(rows, schema=PROBED, orient="row")


def _joined(batches: list[PackedBatch]) -> PackedBatch:
    shifts = np.cumsum([0, *(batch.num_tokens for batch in batches)])
    return PackedBatch(
        input_ids=torch.cat([batch.input_ids for batch in batches], dim=1),
        position_ids=torch.cat([batch.position_ids for batch in batches], dim=1),
        lengths=tuple(length for batch in batches for length in batch.lengths),
        supervised=torch.cat([b.supervised + int(s) for b, s in zip(batches, shifts, strict=False)]),
        targets=torch.cat([batch.targets for batch in batches]),
    )


@contextmanager
def _recorded(places: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            # blocks put out the stream alone or first in a tuple, by architecture
            seen[name] = (output[0] if isinstance(output, tuple) else output)[0]

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in places.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
