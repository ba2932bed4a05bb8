"""Where the parts of a causal language model are: trunk, blocks, head, embedding, LoRA targets.

Here: one value per model that hides the architecture's names from training, capture and attribution.
Not here: loading (resources.base_model), adapters (adapters), what is done with activations (captures, geometry).
Legend: b = rows, s = positions, d = width, v = vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn


class _Layout(NamedTuple):
    """Names inside one architecture."""

    trunk: str
    """Path from the model to the module whose output is the last hidden state after the final norm."""
    blocks: str
    norm: str
    targets: tuple[str, ...]
    """Linear maps of one block that LoRA adapts, relative to the block."""


_LLAMA = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)
_LAYOUTS: Mapping[str, _Layout] = MappingProxyType(
    {
        "llama": _Layout("model", "layers", "norm", _LLAMA),
        "qwen2": _Layout("model", "layers", "norm", _LLAMA),
        "qwen3": _Layout("model", "layers", "norm", _LLAMA),
        "gemma3_text": _Layout("model", "layers", "norm", _LLAMA),
        "gemma3": _Layout("model.language_model", "layers", "norm", _LLAMA),
        "gpt2": _Layout("transformer", "h", "ln_f", ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")),
        "gpt_neox": _Layout(
            "gpt_neox",
            "layers",
            "final_layer_norm",
            ("attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"),
        ),
    }
)
SUPPORTED = tuple(_LAYOUTS)
"""model_type values that `anatomy` knows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Anatomy:
    """The parts of one model, as the modules themselves (LoRA put into them later is seen here too)."""

    model_type: str
    trunk: nn.Module
    blocks: tuple[nn.Module, ...]
    """Output of block i = residual stream after layer i, shape (b, s, d), before the final norm."""
    norm: nn.Module
    embed: nn.Module
    """Token ids -> (b, s, d); for Gemma the scaled embedding, for GPT-2 without positions."""
    unembed: nn.Module
    lora_targets: str
    """Regular expression that fully matches the names of the linear maps of the text blocks, and nothing else."""
    conv1d: bool
    """Weights of the targets are stored (in, out) and not (out, in): GPT-2."""
    num_layers: int
    width: int
    vocab_size: int
    max_positions: int
    """Longest sequence the model was configured for, in tokens."""
    logit_softcap: float | None
    """Logits are c * tanh(x / c); None = as they are."""

    def body(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, position_ids: Tensor | None = None
    ) -> Tensor:
        """Last hidden state after the final norm, shape (b, s, d), without computing any logits.

        attention_mask (b, s) is 1 on real tokens. Positions are counted over real tokens only, so padding on
        either side gives a row the states it has alone; what stands at pad positions means nothing.
        position_ids (b, s) may be given instead, with the mask left out: a restart at 0 inside a row then
        begins an independent sequence (packing).
        """
        if position_ids is None and attention_mask is not None:
            position_ids = (attention_mask.long().cumsum(dim=-1) - 1).clamp(min=0)
        out = self.trunk(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=False)
        return cast(Tensor, out.last_hidden_state)

    def head(self, hidden: Tensor) -> Tensor:
        """Logits (..., v) of final hidden states (..., d): pass only the positions that are supervised."""
        logits = cast(Tensor, self.unembed(hidden))
        if self.logit_softcap is not None:
            logits = torch.tanh(logits / self.logit_softcap) * self.logit_softcap
        return logits


def anatomy(model: Any) -> Anatomy:
    """The anatomy of a transformers causal language model (not of a peft wrapper: take it before wrapping).

    Raises:
        ValueError: an architecture without a layout here; names its model_type and the supported ones.
    """
    config = getattr(model, "config", None)
    model_type = str(getattr(config, "model_type", type(model).__name__))
    layout = _LAYOUTS.get(model_type)
    if layout is None or not hasattr(model, "lm_head"):
        raise ValueError(
            f"{type(model).__name__} (model_type {model_type!r}) is no causal language model with a known layout; "
            f"supported: {', '.join(SUPPORTED)}"
        )
    text = config.get_text_config()  # type: ignore[union-attr]
    trunk = model.get_submodule(layout.trunk)
    blocks = tuple(trunk.get_submodule(layout.blocks))
    targets = "|".join(re.escape(name) for name in layout.targets)
    return Anatomy(
        model_type=model_type,
        trunk=trunk,
        blocks=blocks,
        norm=trunk.get_submodule(layout.norm),
        embed=trunk.get_input_embeddings(),
        unembed=model.lm_head,
        lora_targets=rf"{re.escape(f'{layout.trunk}.{layout.blocks}')}\.\d+\.({targets})",
        conv1d=model_type == "gpt2",
        num_layers=len(blocks),
        width=int(text.hidden_size),
        vocab_size=int(model.lm_head.weight.shape[0]),
        max_positions=int(text.max_position_embeddings),
        # Gemma3ForConditionalGeneration ignores the cap of its text config, so only the text class has one
        logit_softcap=getattr(text, "final_logit_softcapping", None) if model_type == "gemma3_text" else None,
    )


def target_modules(model: nn.Module, parts: Anatomy) -> dict[str, nn.Module]:
    """Name -> module of every LoRA target, in the model's order."""
    pattern = re.compile(parts.lora_targets)
    return {name: module for name, module in model.named_modules() if pattern.fullmatch(name)}
