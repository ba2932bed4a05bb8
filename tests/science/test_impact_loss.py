"""Loss of each item under a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from squiggle_assets.science import impact_loss
from squiggle_assets.science.anatomy import anatomy
from squiggle_assets.science.evaluation import Evaluator
from squiggle_assets.science.packed_attention import packed_attention
from squiggle_assets.science.tokens import tokenize_items
from tests.science.run_stand import corpus
from tests.science.tiny_models import VOCAB, random_model, tokenizer

ITEMS = corpus(12)
TABLE = tokenize_items(tokenizer(), ITEMS, 48)


def test_a_model_that_knows_nothing_loses_the_log_of_the_vocabulary_on_every_item():
    model = random_model("llama")
    for parameter in model.parameters():
        parameter.data.zero_()
    assert impact_loss.item_losses(model, TABLE) == pytest.approx(np.full(12, np.log(VOCAB)))


def test_losses_are_those_that_the_evaluator_gives_one_item_alone():
    model = random_model("llama")
    found = impact_loss.item_losses(model, TABLE)
    with packed_attention(model):
        alone = [
            Evaluator(anatomy(model), tokenize_items(tokenizer(), ITEMS[i : i + 1], 48), 1, "cpu").scores().loss
            for i in range(12)
        ]
    assert found == pytest.approx(alone, rel=1e-4)
    assert np.ptp(found) > 0.01


def test_how_many_rows_go_together_changes_nothing(monkeypatch):
    model = random_model("llama")
    whole = impact_loss.item_losses(model, TABLE)
    monkeypatch.setattr(impact_loss, "ROWS", 5)
    assert impact_loss.item_losses(model, TABLE) == pytest.approx(whole, rel=1e-4)


def test_a_row_without_a_completion_has_no_loss():
    lengths = np.diff(TABLE.offsets)
    cut = replace(TABLE, num_prompt=np.where(np.arange(12) == 3, lengths, TABLE.num_prompt))
    found = impact_loss.item_losses(random_model("llama"), cut)
    assert np.isnan(found[3]) and np.isfinite(np.delete(found, 3)).all()
