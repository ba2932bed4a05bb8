"""Llama's block with LoRA on its seven linear maps, forward and backward written out.

Here: two autograd functions around the packed attention, and the context that lets a model's blocks use them. Not
here: attention itself (packed_attention), single adapted layers of other architectures (fast_lora).

Why: at the embedded size a block is a hundred small operations, and calling them costs as much as half of the
arithmetic. Here maps of the same input are one product, the norm's weight is folded into the maps behind it, residuals
are added by the product they meet, and behind the last attention only positions that are read are computed: an update
takes about a tenth less CPU time (benchmarks/bench_training.py).
Legend: n = tokens, d = width, h = heads, e = head width, f = feed-forward width, o = outputs of a map, r = rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm

from squiggle_assets.science.fast_lora import eligible
from squiggle_assets.science.packed_attention import attend, wanted


class _Maps:
    """Frozen linear maps of one input, one above the other; adapters are given beside them as (A, B, A, B, ...)."""

    def __init__(self, layers: Sequence[Any], norm: LlamaRMSNorm | None = None):
        weight_od = torch.cat([layer.base_layer.weight for layer in layers])
        self.scale_d = None if norm is None else norm.weight.detach()
        self.weight_od = weight_od if self.scale_d is None else weight_od * self.scale_d
        self.sizes = [layer.base_layer.out_features for layer in layers]
        self.scaling = [float(layer.scaling["default"]) for layer in layers]
        self.adapters = [m["default"].weight for layer in layers for m in (layer.lora_A, layer.lora_B)]

    def merged(self, adapters: Sequence[Tensor]) -> Tensor:
        """W + s B A of every map, (o, d), times the weight of the norm."""
        out = torch.empty_like(self.weight_od)
        parts = zip(
            torch.split(self.weight_od, self.sizes), torch.split(out, self.sizes), *self._each(adapters), strict=True
        )
        for weight, place, A_rd, B_or, scaling in parts:
            torch.addmm(weight, B_or, A_rd, alpha=scaling, out=place)
        return out

    def gradients(self, x_nd: Tensor, grad_no: Tensor, adapters: Sequence[Tensor]) -> list[Tensor]:
        """Of A, B, A, B, ...; products are (r, n), which a CPU multiplies 2 to 4 times faster than (n, r)."""
        found = []
        for grad, A_rd, B_or, scaling in zip(
            torch.split(grad_no, self.sizes, dim=1), *self._each(adapters), strict=True
        ):
            grad_A = (B_or.t() * scaling @ grad.t()) @ x_nd
            grad_B = ((A_rd @ x_nd.t()).mul_(scaling) @ grad).t()
            found += [grad_A if self.scale_d is None else grad_A * self.scale_d, grad_B]
        return found

    def _each(self, adapters: Sequence[Tensor]) -> tuple[list[Tensor], Sequence[Tensor], list[float]]:
        A = adapters[::2] if self.scale_d is None else [A_rd * self.scale_d for A_rd in adapters[::2]]
        return list(A), adapters[1::2], self.scaling


class _Weights:
    """What a block computes with, by step."""

    def __init__(self, block: Any):
        attention, mlp = block.self_attn, block.mlp
        self.qkv = _Maps([attention.q_proj, attention.k_proj, attention.v_proj], block.input_layernorm)
        self.o = _Maps([attention.o_proj])
        self.gate_up = _Maps([mlp.gate_proj, mlp.up_proj], block.post_attention_layernorm)
        self.down = _Maps([mlp.down_proj])
        self.head_width = int(attention.head_dim)
        self.eps = block.input_layernorm.variance_epsilon, block.post_attention_layernorm.variance_epsilon


class _Project(torch.autograd.Function):
    """Norm, the three maps, positions: (1, n, d) -> queries, keys, values (1, h, n, e)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, w: _Weights, *adapters: Tensor) -> tuple[Tensor, ...]:
        unit_nd, inverse_n1 = _normed(x[0], w.eps[0])
        merged = w.qkv.merged(adapters)
        heads_nhe = (unit_nd @ merged.t()).view(len(unit_nd), -1, w.head_width)
        num_v = w.qkv.sizes[2] // w.head_width
        turned = _turned(heads_nhe[:, :-num_v], cos[0], sin[0])
        ctx.save_for_backward(unit_nd, inverse_n1, cos, sin, merged, *adapters)
        ctx.w = w
        q, k = torch.split(turned.transpose(0, 1)[None], [turned.shape[1] - num_v, num_v], dim=1)
        return q, k, heads_nhe[:, -num_v:].transpose(0, 1)[None]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        unit_nd, inverse_n1, cos, sin, merged, *adapters = ctx.saved_tensors
        q, k, v = (grad[0].transpose(0, 1) for grad in grads)
        turned = _turned(torch.cat([q, k], dim=1), cos[0], -sin[0])
        grad_no = torch.cat([turned.flatten(1), v.flatten(1)], dim=1)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = _through_norm(grad_no @ merged, unit_nd, inverse_n1)[None]
        return grad_x, None, None, None, *ctx.w.qkv.gradients(unit_nd, grad_no, adapters)


class _Finish(torch.autograd.Function):
    """The output map of attention, its residual, norm, feed-forward, residual: (1, n, d) -> (1, n, d)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, attended: Tensor, w: _Weights, *adapters: Tensor) -> Tensor:
        o, gate_up, down = (maps.merged(own) for maps, own in _shared_out(w, adapters))
        middle_nd = torch.addmm(x[0], attended[0], o.t())
        unit_nd, inverse_n1 = _normed(middle_nd, w.eps[1])
        gate_nf, up_nf = (both_nf := unit_nd @ gate_up.t()).chunk(2, dim=1)
        open_nf = silu(gate_nf)
        inner_nf = open_nf * up_nf
        ctx.save_for_backward(attended, unit_nd, inverse_n1, both_nf, open_nf, inner_nf, o, gate_up, down, *adapters)
        ctx.w = w
        return torch.addmm(middle_nd, inner_nf, down.t())[None]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        attended, unit_nd, inverse_n1, both_nf, open_nf, inner_nf, o, gate_up, down, *adapters = ctx.saved_tensors
        (_, of_o), (_, of_gate_up), (_, of_down) = _shared_out(ctx.w, adapters)
        grad_nd = grads[0][0]
        gate_nf, up_nf = both_nf.chunk(2, dim=1)
        grad_inner = grad_nd @ down
        grad_both = torch.empty_like(both_nf)
        grad_gate, grad_up = grad_both.chunk(2, dim=1)
        torch.mul(grad_inner, open_nf, out=grad_up)
        torch.ops.aten.silu_backward.grad_input(grad_inner.mul_(up_nf), gate_nf, grad_input=grad_gate)
        grad_middle = _through_norm(grad_both @ gate_up, unit_nd, inverse_n1).add_(grad_nd)
        return (
            grad_middle[None],
            (grad_middle @ o)[None],
            None,
            *ctx.w.o.gradients(attended[0], grad_middle, of_o),
            *ctx.w.gate_up.gradients(unit_nd, grad_both, of_gate_up),
            *ctx.w.down.gradients(inner_nf, grad_nd, of_down),
        )


@contextmanager
def fast_blocks(model: nn.Module) -> Iterator[int]:
    """Within: the model's plain float32 Llama blocks with LoRA on all seven maps use the faster path; yields how many.

    The model must be inside packed_attention. Blocks of another kind keep their own path.
    """
    blocks: list[Any] = [module for module in model.modules() if _eligible(module)]
    for block in blocks:
        block.forward = _forward(block, last=block is blocks[-1])
    try:
        yield len(blocks)
    finally:
        for block in blocks:
            del block.forward


def _eligible(block: Any) -> bool:
    if type(block) is not LlamaDecoderLayer:
        return False
    maps = [getattr(block.self_attn, f"{name}_proj") for name in "qkvo"]
    maps += [getattr(block.mlp, f"{name}_proj") for name in ("gate", "up", "down")]
    plain = all(eligible(layer) and layer.base_layer.bias is None for layer in maps)
    return plain and type(block.mlp.act_fn).__name__ in ("SiLU", "SiLUActivation")


def _forward(block: Any, *, last: bool) -> Callable[..., Tensor]:
    w, attention = _Weights(block), block.self_attn

    def forward(
        x: Tensor, attention_mask: Tensor | None = None, *, position_embeddings: tuple[Tensor, Tensor], **_: Any
    ) -> Tensor:
        q, k, v = _Project.apply(x, *position_embeddings, w, *w.qkv.adapters)  # type: ignore[no-untyped-call]
        attended, _weights = attend(attention, q, k, v, attention_mask, scaling=attention.scaling)
        rest = (*w.o.adapters, *w.gate_up.adapters, *w.down.adapters)
        attended, positions = attended.flatten(2), wanted() if last else None
        if positions is None:
            found: Tensor = _Finish.apply(x, attended, w, *rest)  # type: ignore[no-untyped-call]
            return found
        read = _Finish.apply(x.index_select(1, positions), attended.index_select(1, positions), w, *rest)  # type: ignore[no-untyped-call]
        return torch.zeros_like(x).index_copy(1, positions, read)

    return forward


def _shared_out(w: _Weights, adapters: Sequence[Tensor]) -> list[tuple[_Maps, Sequence[Tensor]]]:
    return [(w.o, adapters[:2]), (w.gate_up, adapters[2:6]), (w.down, adapters[6:])]


def _normed(x_nd: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Rows of root mean square 1, and what they were multiplied by."""
    inverse_n1 = torch.linalg.vecdot(x_nd, x_nd).div_(x_nd.shape[1]).add_(eps).rsqrt_()[:, None]
    return x_nd * inverse_n1, inverse_n1


def _through_norm(grad_nd: Tensor, unit_nd: Tensor, inverse_n1: Tensor) -> Tensor:
    """Gradient before the norm from the one behind it, which is overwritten."""
    along_n1 = torch.linalg.vecdot(grad_nd, unit_nd).div_(unit_nd.shape[1])[:, None]
    return grad_nd.addcmul_(unit_nd, along_n1, value=-1).mul_(inverse_n1)


def _turned(x_nhe: Tensor, cos_ne: Tensor, sin_ne: Tensor) -> Tensor:
    """Rotary positions; with -sin the way back."""
    half = x_nhe.shape[2] // 2
    sin = sin_ne[:, None, :half]
    out = x_nhe * cos_ne[:, None]
    out[..., :half].addcmul_(x_nhe[..., half:], sin, value=-1)
    out[..., half:].addcmul_(x_nhe[..., :half], sin)
    return out
