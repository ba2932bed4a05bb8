from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from squiggle_assets.science.adapters import CONFIG, WEIGHTS, Adapted, adapter_tensors, attach, clip, load_adapter
from tests.science.tiny_models import ARCHITECTURES, VOCAB, random_model

IDS = torch.randint(3, VOCAB, (4, 9), generator=torch.Generator().manual_seed(1))


def lora(name: str = "llama", seed: int = 3, rank: int = 4) -> Adapted:
    return attach(random_model(name), mode="lora", rank=rank, alpha=8, seed=seed)


def loss_of(adapted: Adapted) -> torch.Tensor:
    logits = adapted.parts.head(adapted.parts.body(IDS)[:, :-1])
    return cross_entropy(logits.flatten(0, 1), IDS[:, 1:].flatten())


def trained(adapted: Adapted, steps: int = 8) -> list[float]:
    optimizer = torch.optim.AdamW(adapted.trainable.values(), lr=1e-2)
    losses = []
    for _ in range(steps):
        loss = loss_of(adapted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_a_linear_map_with_adapter_is_w_plus_alpha_over_r_times_b_a() -> None:
    adapted = lora()
    trained(adapted, 2)
    layer = adapted.parts.blocks[0].self_attn.q_proj
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layer(x), x @ (layer.base_layer.weight + 8 / 4 * b @ a).T)


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_a_fresh_adapter_changes_nothing(name: str) -> None:
    expected = random_model(name)(input_ids=IDS).logits
    adapted = lora(name)
    assert torch.equal(adapted.parts.head(adapted.parts.body(IDS)), expected)
    assert torch.equal(adapted.model(input_ids=IDS).logits, expected)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_training_an_adapter_lowers_the_loss_and_leaves_the_base_alone(name: str) -> None:
    before = {n: p.clone() for n, p in random_model(name).named_parameters()}
    adapted = lora(name)
    losses = trained(adapted)
    assert losses[-1] < losses[0] - 0.05
    assert all("lora_" in n for n in adapted.trainable)
    frozen = {n: p for n, p in adapted.model.named_parameters() if "lora_" not in n}
    assert len(frozen) == len(before)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), frozen.values(), strict=True))
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in adapted.trainable.values())


def test_the_start_depends_on_the_seed_and_on_nothing_else() -> None:
    first = adapter_tensors(lora(seed=3))
    torch.manual_seed(99)
    state = torch.get_rng_state()
    again = adapter_tensors(lora(seed=3))
    assert torch.equal(torch.get_rng_state(), state)
    assert list(first) == list(again)
    assert all(torch.equal(first[n], again[n]) for n in first)
    other = adapter_tensors(lora(seed=4))
    a_names = [n for n in first if "lora_A" in n]
    assert len(a_names) == 14
    assert not any(torch.equal(first[n], other[n]) for n in a_names)
    assert not torch.equal(first[a_names[0]], first[a_names[1]])


def test_the_start_has_the_spread_of_kaiming_uniform() -> None:
    # uniform on +-1/sqrt(32): sd 1/sqrt(96) = 0.10206
    tensors = adapter_tensors(lora(rank=32))
    draws = torch.cat([t.flatten() for n, t in tensors.items() if "lora_A" in n and "down_proj" not in n])
    assert draws.std().item() == pytest.approx(0.10206, rel=0.02)
    assert draws.abs().max() <= 1 / 32**0.5


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3"])
def test_peft_reads_the_folder_we_write(name: str, tmp_path: Path) -> None:
    adapted = lora(name)
    trained(adapted)
    save_file(adapter_tensors(adapted), tmp_path / f"{WEIGHTS}.safetensors")
    (tmp_path / CONFIG).write_text(json.dumps(adapted.config))
    loaded = PeftModel.from_pretrained(random_model(name), tmp_path)
    with torch.no_grad():
        expected = adapted.model.eval()(input_ids=IDS).logits
        torch.testing.assert_close(loaded(input_ids=IDS).logits, expected, rtol=0, atol=0)
        assert not torch.equal(expected, random_model(name)(input_ids=IDS).logits)


def test_loading_gives_back_the_same_bits_and_training_goes_on_as_if_nothing_happened() -> None:
    adapted = lora()
    trained(adapted)
    kept = adapter_tensors(adapted)
    fresh = lora(seed=8)
    load_adapter(fresh, kept)
    assert all(torch.equal(kept[n], t) for n, t in adapter_tensors(fresh).items())
    assert trained(fresh, 3) == trained(adapted, 3)
    assert not torch.equal(kept[next(iter(kept))], adapter_tensors(adapted)[next(iter(kept))])


def test_full_mode_trains_every_parameter_and_round_trips() -> None:
    adapted = attach(random_model("llama"), mode="full", rank=0, alpha=0, seed=0)
    assert {id(p) for p in adapted.trainable.values()} == {id(p) for p in adapted.model.parameters()}
    losses = trained(adapted)
    assert losses[-1] < losses[0]
    other = attach(random_model("llama", seed=5), mode="full", rank=0, alpha=0, seed=0)
    load_adapter(other, adapter_tensors(adapted))
    with torch.no_grad():
        assert torch.equal(loss_of(other), loss_of(adapted))


def test_adapters_of_a_narrow_model_are_float32_and_the_model_stays_narrow() -> None:
    adapted = attach(random_model("llama").to(torch.bfloat16), mode="lora", rank=4, alpha=8, seed=3)
    assert {p.dtype for p in adapted.trainable.values()} == {torch.float32}
    assert {p.dtype for n, p in adapted.model.named_parameters() if "lora_" not in n} == {torch.bfloat16}
    assert all(torch.equal(a, b) for a, b in zip(adapter_tensors(lora()).values(), adapter_tensors(adapted).values(),
                                                strict=True))  # fmt: skip
    losses = trained(adapted)
    assert losses[-1] < losses[0] - 0.05


def test_foreign_tensors_are_refused_and_nothing_is_changed() -> None:
    adapted = lora()
    kept = adapter_tensors(adapted)
    name = next(iter(kept))
    changed = {n: t + 1 for n, t in kept.items()}
    with pytest.raises(ValueError, match="missing"):
        load_adapter(adapted, {n: t for n, t in changed.items() if n != name})
    with pytest.raises(ValueError, match="shape"):
        load_adapter(adapted, {**changed, name: torch.zeros(2, 2)})
    assert all(torch.equal(kept[n], t) for n, t in adapter_tensors(adapted).items())


def test_bad_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="rank must be at least 1, got 0"):
        lora(rank=0)
    with pytest.raises(ValueError, match="'dora'"):
        attach(random_model("llama"), mode="dora", rank=1, alpha=1, seed=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="fresh base"):
        attach(lora().model, mode="lora", rank=1, alpha=1, seed=0)


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping_is_that_of_torch(limit: float) -> None:
    gradients = [torch.randn(shape, generator=torch.Generator().manual_seed(7)) for shape in ((3, 4), (5,), (2, 2))]
    ours, theirs = ([torch.nn.Parameter(torch.zeros_like(g)) for g in gradients] for _ in range(2))
    for side in (ours, theirs):
        for parameter, gradient in zip(side, gradients, strict=True):
            parameter.grad = gradient.clone()
    expected = float(torch.nn.utils.clip_grad_norm_(theirs, limit))
    assert clip([*ours, torch.nn.Parameter(torch.zeros(2))], limit) == pytest.approx(expected, rel=1e-6)
    # torch divides by norm + 1e-6
    for first, second in zip(ours, theirs, strict=True):
        torch.testing.assert_close(first.grad, second.grad, rtol=1e-5, atol=0)
    assert all(torch.equal(p.grad, g) for p, g in zip(ours, gradients, strict=True)) == (limit == 100.0)


def test_a_gradient_that_is_no_number_has_no_norm() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([1.0, float("nan")])
    assert math.isnan(clip([parameter], 1.0))
