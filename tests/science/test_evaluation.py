from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from squiggle_assets.science.anatomy import anatomy
from squiggle_assets.science.evaluation import Evaluator, eval_items, measure
from squiggle_assets.science.packed_attention import packed_attention
from squiggle_assets.science.tokens import TokenTable, tokenize_items
from tests.science.run_stand import corpus
from tests.science.tiny_models import VOCAB, random_model, tokenizer


def counting_model() -> Any:
    """Says 'the next id is this one plus 1', whatever stands before: blocks add nothing, embeddings are one-hot."""
    model = random_model("llama")
    eye = torch.zeros(VOCAB, 32)
    eye[torch.arange(32), torch.arange(32)] = 1.0
    for block in model.model.layers:
        block.self_attn.o_proj.weight.data.zero_()
        block.mlp.down_proj.weight.data.zero_()
    model.model.norm.weight.data.fill_(1.0)
    model.model.embed_tokens.weight.data = eye
    model.lm_head.weight = torch.nn.Parameter(eye.roll(1, dims=0))
    return model


def table(rows: list[list[int]], num_prompt: list[int], answers: list[tuple[int, int]]) -> TokenTable:
    return TokenTable(
        item_ids=tuple(str(i) for i in range(len(rows))),
        input_ids=np.array([i for row in rows for i in row]),
        offsets=np.cumsum([0, *(len(row) for row in rows)]),
        num_prompt=np.array(num_prompt),
        answer_start=np.array([start for start, _ in answers]),
        answer_end=np.array([end for _, end in answers]),
        truncated=np.zeros(len(rows), dtype=bool),
        dropped=(),
    )


# A model that counts is right where the next id is one more.
# row 0: prompt 5, completion 6 7 9: right right wrong; answer 6 7 right
# row 1: prompt 5 7, completion 8 3: right wrong; answer 8 3 wrong
# row 2: prompt 1, completion 2: right; no whole answer
# row 3: prompt 1 2, completion 4 5: wrong right; answer 5 right
COUNTED = table([[5, 6, 7, 9], [5, 7, 8, 3], [1, 2], [1, 2, 4, 5]], [1, 2, 1, 2], [(1, 3), (2, 4), (-1, -1), (3, 4)])


@pytest.mark.parametrize("rows_per_batch", [1, 3, 4])
def test_accuracies_of_a_model_that_counts(rows_per_batch: int) -> None:
    model = counting_model()
    with packed_attention(model):
        scores = Evaluator(anatomy(model), COUNTED, rows_per_batch, "cpu").scores()
    # tokens right: 2 of 3, 1 of 2, 1 of 1, 1 of 2 = 5 of 8; answers right: rows 0 and 3 of three
    assert scores.token_acc == 5 / 8
    assert scores.answer_acc == pytest.approx(2 / 3)


def test_the_loss_is_a_mean_over_tokens_and_not_over_rows() -> None:
    model = random_model("llama")
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    with packed_attention(model):
        assert Evaluator(anatomy(model), COUNTED, 4, "cpu").scores().loss == pytest.approx(math.log(VOCAB))
    counting = counting_model()
    with packed_attention(counting):
        whole = Evaluator(anatomy(counting), COUNTED, 4, "cpu").scores().loss
        each = [
            Evaluator(anatomy(counting), part, 1, "cpu").scores().loss
            for part in (
                table([[5, 6, 7, 9]], [1], [(-1, -1)]),
                table([[5, 7, 8, 3]], [2], [(-1, -1)]),
                table([[1, 2]], [1], [(-1, -1)]),
                table([[1, 2, 4, 5]], [2], [(-1, -1)]),
            )
        ]
    assert whole == pytest.approx((3 * each[0] + 2 * each[1] + each[2] + 2 * each[3]) / 8)


def test_without_whole_answers_there_is_no_answer_accuracy() -> None:
    model = counting_model()
    nothing = replace(COUNTED, answer_start=np.full(4, -1), answer_end=np.full(4, -1))
    with packed_attention(model):
        evaluators = {
            "val_random": Evaluator(anatomy(model), nothing, 4, "cpu"),
            "val_family": Evaluator(anatomy(model), COUNTED, 4, "cpu"),
        }
        found = measure(evaluators)
    assert set(found) == {
        "val_random_loss",
        "val_random_token_acc",
        "val_family_loss",
        "val_family_token_acc",
        "val_family_answer_acc",
    }


def test_the_answer_tokens_of_real_items_are_the_ones_that_count() -> None:
    # only the answer's own tokens are made right: the model sees a table whose other targets do not matter
    items = corpus()[:4]
    rows = tokenize_items(tokenizer(), items, 64)
    for i in range(4):
        span = rows.input_ids[rows.offsets[i] + rows.answer_start[i] : rows.offsets[i] + rows.answer_end[i]]
        assert tokenizer().decode(span).strip() == items["final_answer"][i]


def test_the_same_items_are_measured_whatever_the_order_of_the_frame() -> None:
    items = corpus()
    chosen = eval_items(items, 5)
    assert chosen["item_id"].to_list() == eval_items(items.reverse(), 5)["item_id"].to_list()
    assert len(chosen) == 5 and chosen["content_sha256"].is_sorted()
    assert chosen["item_id"].to_list() != items["item_id"].to_list()[:5]
    assert len(eval_items(items, 500)) == len(items)
    with pytest.raises(ValueError, match="got 0"):
        eval_items(items, 0)
