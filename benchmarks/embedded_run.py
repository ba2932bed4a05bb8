"""A run at the embedded size for the benchmarks: real items and tokens, a random model of the default shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import polars as pl
from torch import Tensor

from squiggle_assets.science.capture import probe_rows
from squiggle_assets.science.curriculum import load_preset
from squiggle_assets.science.mixture import MIXTURE, documents
from squiggle_assets.science.policy import resolve
from squiggle_assets.science.pool import generate_pool
from squiggle_assets.science.ports import Checkpoint
from squiggle_assets.science.pretraining import build_model
from squiggle_assets.science.spec import BaseModelSpec, PoolSpec, ProbeSpec, TrainingSpec
from squiggle_assets.science.tokenizer_training import train_tokenizer
from squiggle_assets.science.tokens import TokenTable, tokenize_items
from squiggle_assets.science.training import RunInputs

NUM_ITEMS = 800


class Nowhere:
    """Stores that keep nothing: what is measured is training, not disks."""

    def save(self, checkpoint: Checkpoint, *, keep: bool = False) -> None:
        """Drop it."""

    def latest(self) -> Checkpoint | None:
        """None: every run starts at 0."""
        return None

    def inherited(self) -> Checkpoint | None:
        """None."""
        return None

    def put(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Drop them."""


@cache
def corpus() -> tuple[pl.DataFrame, Any]:
    """Generated items and a tokenizer of the default vocabulary, trained on a tenth of the base model's mixture."""
    items = generate_pool(PoolSpec(num_items=NUM_ITEMS))
    texts = documents(items, seed=0, spec=replace(MIXTURE, num_chars=MIXTURE.num_chars // 10))
    spec = BaseModelSpec()
    return items, train_tokenizer(texts, spec.vocab_size, spec.context)


def model_maker(tokenizer: Any, spec: BaseModelSpec) -> Callable[[], Any]:
    """Makes the same random model every time."""
    return lambda: build_model(spec, bos=tokenizer.bos_token_id, eos=tokenizer.eos_token_id, pad=tokenizer.pad_token_id)


def fitting(tokenizer: Any, items: pl.DataFrame, max_length: int) -> tuple[pl.DataFrame, TokenTable]:
    """Items that keep a completion, and their rows."""
    dropped = tokenize_items(tokenizer, items, max_length).dropped
    kept = items.filter(~pl.col("item_id").is_in(dropped))
    return kept, tokenize_items(tokenizer, kept, max_length)


def inputs(training: TrainingSpec, probe: ProbeSpec, shape: BaseModelSpec | None = None) -> RunInputs:
    """An iid run on the generated items, with 8 items in each probe set and 64 in each validation set."""
    items, tokenizer = corpus()
    kept, _ = fitting(tokenizer, items.filter(pl.col("family_id") != "misc_other").sort("content_sha256"), 56)
    first, second, val, train = kept[:8], kept[8:16], kept[16:80], kept[80:]
    columns = ("item_id", "content_sha256", "family_id", "token_len", "difficulty_proxy")
    policy = resolve(
        load_preset("iid_baseline"),
        train.select(columns),
        total_steps=training.total_steps,
        batch_size=training.batch_size,
    )
    rows = tokenize_items(tokenizer, val, training.max_length)
    return RunInputs(
        make_model=model_maker(tokenizer, shape or BaseModelSpec()),
        train=tokenize_items(tokenizer, train, training.max_length),
        validation={"val_random": rows, "val_family": rows},
        probes={"a": probe_rows(tokenizer, first, probe), "b": probe_rows(tokenizer, second, probe)},
        policy=policy,
        training=training,
        probe=probe,
        seed=0,
    )
