"""The embedded base model: a small Llama architecture, pretrained once on packed rows of the mixture.

Here: building it, packing, the pretraining loop, held-out loss. Not here: the text (mixture), the tokenizer
(tokenizer_training), fine-tuning (training), storing (resources.base_model, io_managers).
Legend: b = rows, s = positions (context), d = width, v = vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from squiggle_assets.science.anatomy import Anatomy, anatomy
from squiggle_assets.science.ports import Progress, silent
from squiggle_assets.science.rng import generator, torch_seed
from squiggle_assets.science.spec import BaseModelSpec

INIT_STD, INIT_WIDTH = 0.02, 1024
"""The sources' start N(0, 0.02) at their width; unscaled, a narrow model learns to attend late."""
WARMUP_SHARE = 0.05
MIN_LR_RATIO = 0.05
WEIGHT_DECAY = 0.1
BETAS = (0.9, 0.95)
CLIP = 1.0
HELD_OUT_SHARE = 0.02
MAX_HELD_OUT_ROWS = 128


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """The model and what is known of how it came about."""

    model: Any
    """LlamaForCausalLM in eval mode."""
    losses: npt.NDArray[np.float64]
    """Shape (steps,): training loss of each step, nats per token, before its update."""
    held_out_before: float
    """Nats per token on rows that were never trained on, at initialisation."""
    held_out_after: float
    num_train_rows: int
    num_held_out_rows: int
    num_tokens: int
    """Tokens seen in training, repetitions counted."""


def build_model(spec: BaseModelSpec, *, bos: int, eos: int, pad: int) -> Any:
    """A LlamaForCausalLM of the spec's sizes with seeded random weights; the global generator is left alone.

    Grouped-query attention, RoPE (base 10 000), RMSNorm, SwiGLU, tied embeddings, no bias, no dropout, SDPA
    attention. Init N(0, 0.02^2 * 1024 / width): the sources' start, carried over from their width of 1024 (ours).
    ValueError on sizes that do not divide.
    """
    if spec.width % spec.num_heads or (spec.width // spec.num_heads) % 2 or spec.num_heads % spec.num_kv_heads:
        raise ValueError(
            f"width {spec.width} must be an even multiple of num_heads {spec.num_heads}, and that one of "
            f"num_kv_heads {spec.num_kv_heads}"
        )
    config = LlamaConfig(
        vocab_size=spec.vocab_size,
        hidden_size=spec.width,
        intermediate_size=spec.ff_width,
        num_hidden_layers=spec.num_layers,
        num_attention_heads=spec.num_heads,
        num_key_value_heads=spec.num_kv_heads,
        max_position_embeddings=spec.context,
        tie_word_embeddings=True,
        attention_dropout=0.0,
        initializer_range=INIT_STD * math.sqrt(INIT_WIDTH / spec.width),
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=pad,
    )
    config._attn_implementation = "sdpa"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed("base model", spec.seed))
        return LlamaForCausalLM(config)


def pack(tokenizer: Any, texts: Sequence[str], context: int) -> npt.NDArray[np.int64]:
    """Documents as [bos] ids [eos], one after the other, cut into rows: shape (rows, context). The rest is dropped."""
    encoded = tokenizer.backend_tokenizer.encode_batch_fast(list(texts), add_special_tokens=True)
    stream = np.fromiter((i for text in encoded for i in (*text.ids, tokenizer.eos_token_id)), dtype=np.int64)
    return stream[: len(stream) // context * context].reshape(-1, context)


def pretrain(spec: BaseModelSpec, tokenizer: Any, texts: Sequence[str], progress: Progress = silent) -> Pretrained:
    """Build and pretrain the embedded base model.

    AdamW (betas 0.9, 0.95; decay 0.1 on matrices), 5 % linear warm-up, then cosine to 5 % of the rate, gradients
    clipped at norm 1. Rows are drawn without replacement, epoch by epoch. The last 2 % of the documents are held
    out, and texts equal to one of them too; at most 128 rows of them are measured. The same inputs on the same
    machine with the same number of threads give the same bits.

    Raises:
        ValueError: fewer rows than one batch, a tokenizer of another vocabulary, or a loss that is not finite.
    """
    if len(tokenizer) != spec.vocab_size:
        raise ValueError(f"the tokenizer has {len(tokenizer)} ids, the spec asks for vocab_size {spec.vocab_size}")
    apart = list(texts[-max(1, round(len(texts) * HELD_OUT_SHARE)) :])
    barred = frozenset(apart)
    rows = torch.from_numpy(pack(tokenizer, [text for text in texts if text not in barred], spec.context))
    held_out = torch.from_numpy(pack(tokenizer, apart, spec.context))[:MAX_HELD_OUT_ROWS]
    if len(rows) < spec.pretrain_batch or not len(held_out):
        raise ValueError(
            f"{len(texts)} documents give {len(rows)} rows of {spec.context} tokens and {len(held_out)} held out: "
            f"a batch of {spec.pretrain_batch} needs more text"
        )
    model = build_model(spec, bos=tokenizer.bos_token_id, eos=tokenizer.eos_token_id, pad=tokenizer.pad_token_id)
    parts = anatomy(model)
    before = packed_loss(parts, held_out)
    losses = _loop(spec, model, parts, rows, progress)
    model.eval()
    return Pretrained(
        model=model,
        losses=losses,
        held_out_before=before,
        held_out_after=packed_loss(parts, held_out),
        num_train_rows=len(rows),
        num_held_out_rows=len(held_out),
        num_tokens=spec.pretrain_steps * spec.pretrain_batch * spec.context,
    )


@torch.no_grad()
def packed_loss(parts: Anatomy, rows: Tensor, batch: int = 32) -> float:
    """Mean next-token loss over packed rows (b, s), nats per token."""
    sums = [_loss(parts, chunk).item() * len(chunk) for chunk in torch.split(rows, batch)]
    return math.fsum(sums) / len(rows)


def lr_at(spec: BaseModelSpec, step: int) -> float:
    """The learning rate of a step (from 0): linear warm-up, then cosine down to MIN_LR_RATIO of the peak."""
    warmup = max(1, round(WARMUP_SHARE * spec.pretrain_steps))
    if step < warmup:
        return spec.pretrain_lr * (step + 1) / warmup
    share = (step - warmup) / max(1, spec.pretrain_steps - warmup)
    return spec.pretrain_lr * (MIN_LR_RATIO + (1 - MIN_LR_RATIO) * 0.5 * (1 + math.cos(math.pi * share)))


def _loss(parts: Anatomy, rows: Tensor) -> Tensor:
    logits = parts.head(parts.body(rows[:, :-1]))
    return cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def _loop(spec: BaseModelSpec, model: Any, parts: Anatomy, rows: Tensor, progress: Progress) -> npt.NDArray[np.float64]:
    model.train()
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=spec.pretrain_lr, betas=BETAS, fused=True)
    losses = np.full(spec.pretrain_steps, np.nan)
    order = _order(spec, len(rows))
    for step in range(spec.pretrain_steps):
        for group in optimizer.param_groups:
            group["lr"] = lr_at(spec, step)
        batch = rows[order[step * spec.pretrain_batch : (step + 1) * spec.pretrain_batch]]
        loss = _loss(parts, batch)
        losses[step] = loss.item()
        if not math.isfinite(losses[step]):
            raise ValueError(f"pretraining diverged at step {step} (loss {losses[step]}): lower pretrain_lr")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        progress(step + 1, spec.pretrain_steps, f"loss {losses[step]:.3f}")
    return losses


def _order(spec: BaseModelSpec, num_rows: int) -> Tensor:
    needed = spec.pretrain_steps * spec.pretrain_batch
    epochs = [
        generator("pretraining order", spec.seed, epoch).permutation(num_rows)
        for epoch in range(math.ceil(needed / num_rows))
    ]
    return torch.from_numpy(np.concatenate(epochs))
