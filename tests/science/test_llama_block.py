from __future__ import annotations

import pytest
import torch

from squiggle_assets.science.adapters import attach
from squiggle_assets.science.batching import hidden, loss_sum, pack
from squiggle_assets.science.llama_block import fast_blocks
from squiggle_assets.science.packed_attention import packed_attention, rows
from tests.science.test_batching import TABLE, adapted, padded
from tests.science.tiny_models import ARCHITECTURES, random_model


def test_states_and_gradients_are_those_of_peft_and_transformers() -> None:
    # oracle: padded rows through peft's layers, transformers' block and autograd
    found = adapted("llama")
    for block in found.parts.blocks:
        # weights of the norms that are not all alike, or folding them in would not be tested
        for norm in (block.input_layernorm, block.post_attention_layernorm):
            norm.weight.data.uniform_(0.3, 2.0, generator=torch.Generator().manual_seed(5))
    ids, mask = padded(TABLE)
    weights = torch.randn(36, 32, generator=torch.Generator().manual_seed(2))
    expected = found.parts.body(ids, mask)[mask.bool()]
    (expected * weights).sum().backward()
    gradients = {name: parameter.grad.clone() for name, parameter in found.trainable.items()}
    found.model.zero_grad()
    with packed_attention(found.model.base_model.model), fast_blocks(found.model) as num_fast:
        states = hidden(found.parts, pack(TABLE, range(4)))
        (states * weights).sum().backward()
    assert num_fast == 2
    torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-5)
    assert len(gradients) == 28
    for name, parameter in found.trainable.items():
        scale = float(gradients[name].abs().max())
        assert scale > 0, name
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-4 * scale, msg=name)


def test_the_gradient_of_a_block_input_is_that_of_autograd() -> None:
    found = adapted("llama")
    block, rotary = found.parts.blocks[1], found.parts.trunk.rotary_emb
    batch = pack(TABLE, range(4))
    source = torch.Generator().manual_seed(3)
    start, weights = (torch.randn(1, 36, 32, generator=source) for _ in range(2))

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        x = start.clone().requires_grad_()
        with packed_attention(found.model.base_model.model), rows(batch.lengths):
            out = block(x, position_embeddings=rotary(x, batch.position_ids))
        (out * weights).sum().backward()
        return out.detach(), x.grad

    expected = run()
    with fast_blocks(found.model):
        got = run()
    for first, second in zip(expected, got, strict=True):
        torch.testing.assert_close(second, first, rtol=1e-4, atol=1e-4)


def test_a_loss_that_spares_unread_positions_is_the_loss_and_gradient_of_all_positions() -> None:
    found = adapted("llama")
    batch = pack(TABLE, range(4))
    assert 0 < batch.num_supervised < batch.num_tokens
    losses, gradients = [], []
    for fast in (False, True):
        found.model.zero_grad()
        with packed_attention(found.model.base_model.model), fast_blocks(found.model if fast else torch.nn.Module()):
            loss = loss_sum(found.parts, batch)
            loss.backward()
        losses.append(loss.item())
        gradients.append([parameter.grad.clone() for parameter in found.trainable.values()])
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(second, first, rtol=1e-3, atol=1e-4 * float(first.abs().max()))


def test_only_supervised_positions_are_spared_and_only_when_asked_for() -> None:
    found, batch = adapted("llama"), pack(TABLE, range(4))
    with packed_attention(found.model.base_model.model), fast_blocks(found.model), torch.no_grad():
        whole = hidden(found.parts, batch)
        spared = hidden(found.parts, batch, supervised_only=True)
    torch.testing.assert_close(spared[batch.supervised], whole[batch.supervised], rtol=1e-5, atol=1e-5)
    others = torch.ones(batch.num_tokens, dtype=torch.bool)
    others[batch.supervised] = False
    assert not spared[others].any() and bool(whole[others].any(dim=1).all())


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "llama"])
def test_blocks_of_another_architecture_keep_their_own_path(name: str) -> None:
    with fast_blocks(adapted(name).model) as num_fast:
        assert num_fast == 0


def test_blocks_without_adapters_or_in_a_narrow_type_keep_their_own_path() -> None:
    full = attach(random_model("llama"), mode="full", rank=1, alpha=1, seed=0)
    narrow = adapted("llama")
    narrow.model.to(torch.bfloat16)
    for model in (full.model, narrow.model):
        with fast_blocks(model) as num_fast:
            assert num_fast == 0


def test_the_context_leaves_the_model_as_it_was() -> None:
    found = adapted("llama")
    ids, mask = padded(TABLE)
    before = found.parts.body(ids, mask)
    with fast_blocks(found.model):
        pass
    assert torch.equal(found.parts.body(ids, mask), before)
