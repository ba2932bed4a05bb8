"""What a fine-tuning run trains: LoRA adapters through peft, or every parameter.

Here: attaching with a seeded start, tensors and config out and in, in the layout that peft itself reads.
Not here: the training loop (training), files (io_managers), where the targets are (anatomy).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from torch import Tensor, nn

from squiggle_assets.science.anatomy import Anatomy, anatomy
from squiggle_assets.science.rng import torch_seed

WEIGHTS = "adapter_model"
"""File stem of the tensors in a peft folder."""
CONFIG = "adapter_config.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Adapted:
    """A model that is ready to be trained."""

    model: nn.Module
    """The peft wrapper (lora) or the model itself (full)."""
    parts: Anatomy
    """Of the wrapped model: its body and head run through the adapter."""
    mode: Literal["lora", "full"]
    trainable: Mapping[str, nn.Parameter]
    """By name in the model, in the model's order; everything else is frozen."""
    config: Mapping[str, Any]
    """adapter_config.json (lora) or {} (full)."""


def attach(model: Any, *, mode: Literal["lora", "full"], rank: int, alpha: int, seed: int) -> Adapted:
    """Make a model trainable, in place: adapters on every linear map of every block, or all parameters.

    LoRA: W + (alpha / rank) B A, dropout 0, no bias (arXiv:2106.09685). A is Kaiming-uniform with a = sqrt(5) as in
    peft, drawn from a generator keyed by (seed, name), so that the start does not depend on the global generator,
    on the order of modules or on the other layers; B is 0, so that step 0 is the base model exactly. Adapters of a
    bfloat16 model are float32: small updates would be rounded away. The seed plays no part in full mode.

    Raises:
        ValueError: unknown mode, rank below 1, an unknown architecture, or a model that is adapted already.
    """
    if hasattr(model, "peft_config"):
        raise ValueError("the model has an adapter already: load a fresh base for every run")
    parts = anatomy(model)
    if mode == "full":
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        return Adapted(model=model, parts=parts, mode=mode, trainable=_trainable(model), config={})
    if mode != "lora":
        raise ValueError(f"mode must be 'lora' or 'full', got {mode!r}")
    if rank < 1:
        raise ValueError(f"LoRA rank must be at least 1, got {rank}")
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules=parts.lora_targets,
        fan_in_fan_out=parts.conv1d,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        wrapped = get_peft_model(model, config)
    _start(wrapped, seed)
    return Adapted(
        model=wrapped, parts=parts, mode=mode, trainable=_trainable(wrapped), config=_plain(config.to_dict())
    )


def adapter_tensors(adapted: Adapted) -> dict[str, Tensor]:
    """What training changed, as detached CPU copies: peft's names (lora) or parameter names (full), sorted.

    Tied parameters appear once, under the name that comes first in the model.
    """
    if adapted.mode == "full":
        found: Mapping[str, Tensor] = adapted.trainable
    else:
        found = get_peft_model_state_dict(adapted.model, save_embedding_layers=False)
    return {name: found[name].detach().to("cpu", copy=True).contiguous() for name in sorted(found)}


@torch.no_grad()
def load_adapter(adapted: Adapted, tensors: Mapping[str, Tensor]) -> None:
    """Put tensors of `adapter_tensors` back, bit for bit.

    Raises:
        ValueError: names or shapes are not those of this adapter; nothing is changed then.
    """
    places = _places(adapted)
    if set(places) != set(tensors):
        missing, unknown = sorted(set(places) - set(tensors)), sorted(set(tensors) - set(places))
        raise ValueError(f"not the tensors of this adapter: missing {missing[:3]}, unknown {unknown[:3]}")
    for name, place in places.items():
        if place.shape != tensors[name].shape:
            raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}, this model needs {tuple(place.shape)}")
    for name, place in places.items():
        place.copy_(tensors[name])


@torch.no_grad()
def clip(parameters: Sequence[nn.Parameter], limit: float) -> float:
    """Scale the gradients down to this global norm where theirs is larger; returns the norm before."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    # one norm over everything, no products by 1: torch's own costs as much as the optimiser on many small matrices
    norm = float(torch.linalg.vector_norm(torch.cat([gradient.flatten() for gradient in gradients])))
    if norm > limit:
        torch._foreach_mul_(gradients, limit / norm)
    return norm


def _places(adapted: Adapted) -> dict[str, nn.Parameter]:
    if adapted.mode == "full":
        return dict(adapted.trainable)
    return {name.replace(".default.", "."): parameter for name, parameter in adapted.trainable.items()}


def _trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


@torch.no_grad()
def _start(model: nn.Module, seed: int) -> None:
    for name, parameter in _trainable(model).items():
        if "lora_B" in name:
            parameter.zero_()
            continue
        source = torch.Generator().manual_seed(torch_seed("lora", seed, name))
        # Kaiming-uniform with a = sqrt(5) has the bound 1 / sqrt(fan in), and A is (rank, fan in)
        bound = 1 / math.sqrt(parameter.shape[1])
        parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=source))


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(_plain(entry) for entry in value)
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
