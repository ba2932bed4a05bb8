from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertLMHeadModel, MistralConfig, MistralForCausalLM

from squiggle_assets.science.anatomy import SUPPORTED, Anatomy, anatomy, target_modules
from tests.science.tiny_models import ARCHITECTURES, VOCAB, random_model

IDS = torch.randint(3, VOCAB, (3, 9), generator=torch.Generator().manual_seed(0))
MASK = torch.tensor([[1] * 9, [1] * 6 + [0] * 3, [1] * 4 + [0] * 5])
"""Padding on the right, as every architecture reads it without position ids."""


@pytest.fixture(params=ARCHITECTURES)
def named(request: pytest.FixtureRequest) -> tuple[str, nn.Module, Anatomy]:
    model = random_model(request.param)
    return request.param, model, anatomy(model)


def test_every_supported_model_type_is_tested() -> None:
    assert set(SUPPORTED) == set(ARCHITECTURES)


@torch.no_grad()
def test_head_of_body_equals_the_model_at_the_chosen_positions(named: tuple[str, nn.Module, Anatomy]) -> None:
    _, model, parts = named
    chosen = MASK.bool() & (torch.arange(9) >= 2)
    expected = model(input_ids=IDS, attention_mask=MASK).logits[chosen]
    torch.testing.assert_close(parts.head(parts.body(IDS, MASK)[chosen]), expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.1


@torch.no_grad()
def test_blocks_give_the_residual_stream_that_the_model_reports(named: tuple[str, nn.Module, Anatomy]) -> None:
    _, model, parts = named
    seen: list[torch.Tensor] = []
    embedded: list[torch.Tensor] = []
    hooks = [block.register_forward_hook(lambda _m, _i, out: seen.append(out)) for block in parts.blocks]
    hooks.append(parts.embed.register_forward_hook(lambda _m, _i, out: embedded.append(out)))
    last = parts.body(IDS, MASK)
    for hook in hooks:
        hook.remove()
    # HF order: embedding, every block but the last, final norm of the last block
    states = model(input_ids=IDS, attention_mask=MASK, output_hidden_states=True).hidden_states
    real = MASK.bool()
    assert len(seen) == parts.num_layers == len(states) - 1 == 2
    assert seen[0].shape == (3, 9, parts.width)
    torch.testing.assert_close(seen[0][real], states[1][real], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(parts.norm(seen[-1])[real], states[-1][real], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(last[real], states[-1][real], rtol=1e-5, atol=1e-5)
    if parts.model_type != "gpt2":  # GPT-2 adds positions between embedding and first block
        torch.testing.assert_close(embedded[0], states[0], rtol=1e-6, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_row_has_the_states_it_has_alone(named: tuple[str, nn.Module, Anatomy], side: str) -> None:
    _, _, parts = named
    alone = parts.body(IDS[1:2, :5])
    ids = torch.full((2, 9), 2)
    mask = torch.zeros(2, 9, dtype=torch.long)
    place = slice(4, 9) if side == "left" else slice(0, 5)
    ids[0], mask[0] = IDS[0], 1
    ids[1, place], mask[1, place] = IDS[1, :5], 1
    padded = parts.body(ids, mask)
    torch.testing.assert_close(padded[1, place], alone[0], rtol=1e-4, atol=1e-5)
    ids[1, mask[1] == 0] = 77  # what stands under the padding must not matter
    torch.testing.assert_close(parts.body(ids, mask)[1, place], alone[0], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_packed_rows_are_independent_where_positions_restart(named: tuple[str, nn.Module, Anatomy]) -> None:
    _, _, parts = named
    packed = torch.cat([IDS[0, :5], IDS[1, :4]])[None]
    positions = torch.tensor([[0, 1, 2, 3, 4, 0, 1, 2, 3]])
    states = parts.body(packed, position_ids=positions)[0]
    torch.testing.assert_close(states[:5], parts.body(IDS[:1, :5])[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(states[5:], parts.body(IDS[1:2, :4])[0], rtol=1e-4, atol=1e-5)


def test_lora_targets_are_all_linear_maps_of_the_text_blocks_and_nothing_else(
    named: tuple[str, nn.Module, Anatomy],
) -> None:
    name, model, parts = named
    found = target_modules(model, parts)
    inside = [
        m for block in parts.blocks for m in block.modules() if isinstance(m, nn.Linear) or "Conv1D" in str(type(m))
    ]
    assert {id(m) for m in found.values()} == {id(m) for m in inside}
    assert len(found) == 2 * (4 if name.startswith("gpt") else 7)
    assert not any(re.search("vision|lm_head", n) for n in found)


@torch.no_grad()
def test_the_softcap_bounds_the_logits_of_gemma() -> None:
    parts = anatomy(random_model("gemma3_text"))
    logits = parts.head(parts.body(IDS))
    assert logits.abs().max() <= 3.0 < parts.unembed(parts.body(IDS)).abs().max()


@pytest.mark.parametrize(
    "model",
    [
        MistralForCausalLM(
            MistralConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
                          num_key_value_heads=1)
        ),
        BertLMHeadModel(
            BertConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
                       is_decoder=True)
        ),
    ],
    ids=["mistral", "bert"],
)  # fmt: skip
def test_an_unknown_architecture_is_refused_with_its_name_and_the_known_ones(model: nn.Module) -> None:
    with pytest.raises(ValueError, match=rf"'{model.config.model_type}'.*llama.*gpt_neox"):
        anatomy(model)


def test_a_trunk_without_head_is_refused() -> None:
    with pytest.raises(ValueError, match="LlamaModel"):
        anatomy(random_model("llama").model)
