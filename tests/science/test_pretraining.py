from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from squiggle_assets.science.anatomy import anatomy
from squiggle_assets.science.pretraining import build_model, lr_at, pack, packed_loss, pretrain
from squiggle_assets.science.spec import BaseModelSpec
from tests.science.tiny_models import VOCAB, items, tokenizer

SPEC = BaseModelSpec(
    vocab_size=VOCAB,
    width=32,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    ff_width=64,
    context=16,
    pretrain_steps=20,
    pretrain_batch=4,
    pretrain_lr=1e-2,
)
TEXTS = [f"{p} {s}" for p, s in items(150).select("problem", "solution").rows()]
SPECIALS = {"bos": 0, "eos": 1, "pad": 2}


def test_packing_puts_bos_and_eos_around_every_document_and_loses_only_the_end() -> None:
    rows = pack(tokenizer(), ["1", "22", "333"], 4)
    one, two, three = (tokenizer().convert_tokens_to_ids(t) for t in "123")
    # bos 1 eos bos | 2 2 eos bos | 3 3 3 eos
    assert rows.tolist() == [[0, one, 1, 0], [two, two, 1, 0], [three, three, three, 1]]
    assert pack(tokenizer(), ["1", "22"], 4).shape == (1, 4)


def test_the_rate_warms_up_peaks_and_decays() -> None:
    spec = dataclasses.replace(SPEC, pretrain_steps=100)
    # warm-up 5 steps: 1/5 .. 5/5 of the peak; halfway through the cosine 0.05 + 0.95 / 2 = 0.525
    assert [lr_at(spec, s) / 1e-2 for s in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert lr_at(dataclasses.replace(spec, pretrain_steps=105), 55) / 1e-2 == pytest.approx(0.525, abs=0.02)
    assert lr_at(spec, 99) / 1e-2 == pytest.approx(0.05, abs=0.001)
    rates = [lr_at(spec, s) for s in range(5, 100)]
    assert rates == sorted(rates, reverse=True)


def test_the_packed_loss_is_the_mean_cross_entropy_of_the_next_token() -> None:
    model = build_model(SPEC, **SPECIALS).eval()
    rows = torch.from_numpy(pack(tokenizer(), TEXTS, 16))[:7]
    with torch.no_grad():
        logits = model(input_ids=rows).logits
    expected = cross_entropy(logits[:, :-1].reshape(-1, VOCAB), rows[:, 1:].reshape(-1)).item()
    assert packed_loss(anatomy(model), rows, batch=3) == pytest.approx(expected, rel=1e-5)


def test_the_start_is_seeded_and_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    first, again = build_model(SPEC, **SPECIALS), build_model(SPEC, **SPECIALS)
    other = build_model(dataclasses.replace(SPEC, seed=1), **SPECIALS)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.lm_head.weight, again.lm_head.weight)
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)


def test_the_model_has_the_shape_the_spec_says() -> None:
    model = build_model(SPEC, **SPECIALS)
    layer = model.model.layers[1].self_attn
    assert layer.q_proj.weight.shape == (32, 32) and layer.k_proj.weight.shape == (16, 32)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.config._attn_implementation == "sdpa"
    # embedding 320*32; a block: q 32*32, k and v 16*32 each, o 32*32, mlp 3*32*64, two norms; final norm
    assert sum(p.numel() for p in model.parameters()) == 320 * 32 + 2 * (2 * 1024 + 2 * 512 + 6144 + 64) + 32


def test_pretraining_lowers_the_held_out_loss_and_is_the_same_twice() -> None:
    heard: list[tuple[int, int, str]] = []
    first = pretrain(SPEC, tokenizer(), TEXTS, lambda done, total, note="": heard.append((done, total, note)))
    # at the start the guess is nearly uniform: ln 320 = 5.77
    assert first.held_out_before == pytest.approx(math.log(VOCAB), abs=0.5)
    assert first.held_out_after < first.held_out_before - 1
    assert first.losses.shape == (20,) and first.losses[-1] < first.losses[0] - 1
    assert [h[:2] for h in heard] == [(i, 20) for i in range(1, 21)] and "loss" in heard[0][2]
    assert first.num_tokens == 20 * 4 * 16 and not first.model.training
    second = pretrain(SPEC, tokenizer(), TEXTS)
    np.testing.assert_array_equal(first.losses, second.losses)
    pairs = zip(first.model.parameters(), second.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    third = pretrain(dataclasses.replace(SPEC, seed=1), tokenizer(), TEXTS)
    assert not np.array_equal(first.losses, third.losses)


def test_texts_equal_to_a_held_out_one_are_not_trained_on() -> None:
    # all texts are the same, so holding one out leaves nothing
    with pytest.raises(ValueError, match="0 rows"):
        pretrain(SPEC, tokenizer(), [TEXTS[0] * 3] * 100)


def test_bad_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="vocab_size 999"):
        pretrain(dataclasses.replace(SPEC, vocab_size=999), tokenizer(), TEXTS)
    with pytest.raises(ValueError, match="a batch of 4 needs more text"):
        pretrain(SPEC, tokenizer(), TEXTS[:2])
    with pytest.raises(ValueError, match="width 30"):
        build_model(dataclasses.replace(SPEC, width=30), **SPECIALS)
