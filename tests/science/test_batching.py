from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from squiggle_assets.science.adapters import Adapted, attach
from squiggle_assets.science.anatomy import anatomy
from squiggle_assets.science.batching import hidden, loss_sum, micro_batches, pack, supervised_logits
from squiggle_assets.science.fast_lora import fast_lora
from squiggle_assets.science.packed_attention import packed_attention
from squiggle_assets.science.packed_attention import rows as rows_of
from squiggle_assets.science.tokens import TokenTable
from tests.science.tiny_models import ARCHITECTURES, VOCAB, random_model


def table(lengths: list[int], num_prompt: list[int], seed: int = 0) -> TokenTable:
    """Random ids; 12 is longer than the sliding window of the tiny Gemma."""
    n = len(lengths)
    return TokenTable(
        item_ids=tuple(f"i{k}" for k in range(n)),
        input_ids=np.random.default_rng(seed).integers(3, VOCAB, size=sum(lengths)),
        offsets=np.cumsum([0, *lengths]),
        num_prompt=np.array(num_prompt),
        answer_start=np.full(n, -1),
        answer_end=np.full(n, -1),
        truncated=np.zeros(n, dtype=bool),
        dropped=(),
    )


TABLE = table([5, 12, 7, 12], [2, 6, 6, 1])


def adapted(name: str, spread: float = 0.1) -> Adapted:
    """With an adapter that does something: B is not 0."""
    found = attach(random_model(name), mode="lora", rank=4, alpha=8, seed=0)
    source = torch.Generator().manual_seed(1)
    for parameter in found.trainable.values():
        parameter.data.normal_(0, spread, generator=source)
    return found


def padded(rows: TokenTable) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = np.diff(rows.offsets)
    ids = torch.zeros(len(lengths), int(lengths.max()), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, length in enumerate(lengths):
        ids[i, :length] = torch.tensor(rows.row(i).input_ids)
        mask[i, :length] = 1
    return ids, mask


def test_targets_are_the_completion_and_sit_one_position_later() -> None:
    # rows 1, 2, 0 of lengths 3, 2, 4 with prompts 1, 1, 3: packed ids are those of row 1, then 2, then 0
    small = table([4, 3, 2], [3, 1, 1])
    small.input_ids[:] = [10, 11, 12, 13, 20, 21, 22, 30, 31]
    batch = pack(small, [1, 2, 0])
    assert batch.input_ids.tolist() == [[20, 21, 22, 30, 31, 10, 11, 12, 13]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 1, 0, 1, 2, 3]]
    assert batch.targets.tolist() == [21, 22, 31, 13]
    assert batch.supervised.tolist() == [0, 1, 3, 7]
    assert (batch.num_tokens, batch.num_supervised, batch.lengths) == (9, 4, (3, 2, 4))


def test_a_uniform_model_has_a_loss_of_log_vocabulary_for_each_completion_token() -> None:
    # weights 0 -> every logit 0 -> -log(1 / VOCAB); completion tokens of TABLE: 3 + 6 + 1 + 11 = 21
    model = random_model("llama")
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    with packed_attention(model):
        total = loss_sum(anatomy(model), pack(TABLE, range(4)))
    assert total.item() == pytest.approx(21 * math.log(VOCAB), rel=1e-6)


def test_prompt_tokens_have_no_loss_but_are_context() -> None:
    model = random_model("llama")
    losses = []
    for last in (7, 8):
        # the last prompt token of row 1 changes: its own prediction has no loss, but what follows it sees it
        changed = table([5, 12, 7, 12], [2, 6, 6, 1])
        changed.input_ids[5 + 5] = last
        with packed_attention(model), torch.no_grad():
            batch = pack(changed, [1])
            assert batch.targets.tolist() == changed.input_ids[5 + 6 : 5 + 12].tolist()
            losses.append(loss_sum(anatomy(model), batch).item())
    assert losses[0] != losses[1]
    assert pack(TABLE, [1]).num_supervised == 6


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_packed_rows_have_the_states_and_gradients_of_padded_rows(name: str) -> None:
    found = adapted(name)
    ids, mask = padded(TABLE)
    weights = torch.randn(36, 32, generator=torch.Generator().manual_seed(2))
    expected = found.parts.body(ids, mask)[mask.bool()]
    (expected * weights).sum().backward()
    gradients = [parameter.grad.clone() for parameter in found.trainable.values()]
    found.model.zero_grad()
    with packed_attention(found.model.base_model.model), fast_lora(found.model):
        states = hidden(found.parts, pack(TABLE, range(4)))
        (states * weights).sum().backward()
    torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-5)
    for parameter, gradient in zip(found.trainable.values(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()))
    assert any(float(gradient.abs().max()) > 0 for gradient in gradients)


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_the_gradient_is_that_of_full_logits_with_ignored_labels(mode: str) -> None:
    # oracle: transformers' own forward over all positions, labels -100 on prompt and padding
    found = adapted("llama") if mode == "lora" else attach(random_model("llama"), mode="full", rank=1, alpha=1, seed=0)
    ids, mask = padded(TABLE)
    labels = ids.masked_fill(mask == 0, -100)
    for i, num_prompt in enumerate(TABLE.num_prompt):
        labels[i, :num_prompt] = -100
    expected = found.model(input_ids=ids, attention_mask=mask, labels=labels).loss
    expected.backward()
    gradients = {name: parameter.grad.clone() for name, parameter in found.trainable.items()}
    found.model.zero_grad()
    inner = found.model.base_model.model if mode == "lora" else found.model
    batch = pack(TABLE, range(4))
    with packed_attention(inner), fast_lora(found.model):
        loss = loss_sum(found.parts, batch) / batch.num_supervised
        loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for name, parameter in found.trainable.items():
        scale = float(gradients[name].abs().max())
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-5 * scale, msg=name)


@pytest.mark.parametrize("micro_batch", [1, 2, 3])
def test_the_gradient_does_not_depend_on_the_micro_batch(micro_batch: int) -> None:
    gradients = []
    for size in (4, micro_batch):
        found = adapted("llama")
        batches = micro_batches(TABLE, [0, 1, 2, 3], size)
        total = sum(batch.num_supervised for batch in batches)
        with packed_attention(found.model.base_model.model), fast_lora(found.model):
            for batch in batches:
                (loss_sum(found.parts, batch) / total).backward()
        gradients.append([parameter.grad for parameter in found.trainable.values()])
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5 * float(first.abs().max()))


def test_logits_exist_only_where_there_is_a_target() -> None:
    model = random_model("gemma3_text")
    batch = pack(TABLE, range(4))
    with packed_attention(model), torch.no_grad():
        states = hidden(anatomy(model), batch)
        logits = supervised_logits(anatomy(model), batch, states)
    assert logits.shape == (21, VOCAB)
    # the soft cap of this model is applied there too
    assert float(logits.abs().max()) < 3.0
    assert cross_entropy(logits, batch.targets).isfinite()


def test_the_contexts_leave_the_model_as_it_was() -> None:
    found = adapted("llama")
    inner = found.model.base_model.model
    ids, mask = padded(TABLE)
    before = found.parts.body(ids, mask)
    with packed_attention(inner), fast_lora(found.model) as num_fast:
        assert num_fast == 14
    assert torch.equal(found.parts.body(ids, mask), before)
    assert inner.config._attn_implementation == "sdpa"


def test_an_unpacked_forward_is_refused_while_rows_are_expected_to_be_packed() -> None:
    model = random_model("llama")
    ids, mask = padded(TABLE)
    with packed_attention(model), pytest.raises(RuntimeError, match="packed"):
        anatomy(model).body(ids, mask)
    with packed_attention(model), rows_of([3, 3]), pytest.raises(RuntimeError, match="lengths"):
        anatomy(model).body(ids[:1, :5])


def test_layers_whose_sums_would_lose_small_updates_keep_their_own_path() -> None:
    found = adapted("llama")
    found.model.to(torch.bfloat16)
    with fast_lora(found.model) as num_fast:
        assert num_fast == 0


def test_a_batch_without_rows_and_a_micro_batch_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        pack(TABLE, [])
    with pytest.raises(ValueError, match="got 0"):
        micro_batches(TABLE, [0], 0)
