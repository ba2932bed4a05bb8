"""A tiny run for tests: model, items, policy, and stores in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import polars as pl
import torch
from torch import Tensor

from squiggle_assets.science.capture import probe_rows
from squiggle_assets.science.policy import Policy, resolve
from squiggle_assets.science.ports import Checkpoint
from squiggle_assets.science.spec import ProbeSpec, TrainingSpec
from squiggle_assets.science.template import Phase, Safeguards, Template
from squiggle_assets.science.tokens import tokenize_items
from squiggle_assets.science.training import RunInputs
from tests.science.tiny_models import random_model, tokenizer

TRAINING = TrainingSpec(
    lora_rank=4,
    lora_alpha=8,
    total_steps=20,
    batch_size=4,
    micro_batch=4,
    max_length=48,
    lr=5e-3,
    min_warmup_steps=3,
    eval_every=7,
    eval_items=6,
    checkpoint_every=6,
)
PROBE = ProbeSpec(num_tokens=40, capture_every=2)


class Killed(BaseException):
    """What a kill looks like from inside."""


class Memory:
    """Checkpoints and captures in memory; kill_after counts events (saves and puts) until Killed is raised."""

    def __init__(self, kill_after: int | None = None, parent: Checkpoint | None = None):
        self.saved: dict[int, Checkpoint] = {}
        self.kept: Checkpoint | None = None
        self.steps: dict[int, dict[str, Tensor]] = {}
        self.kill_after, self.parent, self.events = kill_after, parent, 0

    def _event(self) -> None:
        self.events += 1
        if self.kill_after is not None and self.events >= self.kill_after:
            raise Killed

    def save(self, checkpoint: Checkpoint, *, keep: bool = False) -> None:
        self._event()
        self.saved[checkpoint.step] = checkpoint
        if keep:
            self.kept = checkpoint

    def latest(self) -> Checkpoint | None:
        return self.saved[max(self.saved)] if self.saved else None

    def inherited(self) -> Checkpoint | None:
        return self.parent

    def put(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        self._event()
        self.steps[step] = {name: tensor.clone() for name, tensor in tensors.items()}


def corpus(num: int = 24) -> pl.DataFrame:
    """Items with all columns a policy needs; two families."""
    rows = []
    for n in range(num):
        total = n + n * 7 % 13
        long = " Please repeat the sentence." if n % 3 else ""
        rows.append(
            {
                "item_id": f"item-{n:03d}",
                "content_sha256": f"{n * 2654435761 % 2**32:08x}" * 8,
                "family_id": "geometry_euclidean" if n % 2 else "optimization",
                "token_len": 30 + n,
                "difficulty_proxy": "easy",
                "problem": f"What is {n} + {n * 7 % 13}?",
                "solution": f"{n} + {n * 7 % 13} = {total}.{long} Answer: {total}",
                "final_answer": str(total),
            }
        )
    return pl.DataFrame(rows)


def template(*cuts: float) -> Template:
    """Phases between the cuts, all families in each."""
    edges = [0.0, *cuts, 1.0]
    phases = tuple(
        Phase(name=f"p{i}", start=a, end=b, include=None if i % 2 == 0 else ("optimization",))
        for i, (a, b) in enumerate(pairwise(edges))
    )
    return Template(
        file="test.yaml", name="test", version=1, description="", phases=phases,
        safeguards=Safeguards(), match=None, text="", yaml_sha256="0" * 64,
    )  # fmt: skip


def policy(spec: TrainingSpec, items: pl.DataFrame) -> Policy:
    extra = spec.total_steps * (spec.step_multiplier - 1)
    columns = ("item_id", "content_sha256", "family_id", "token_len", "difficulty_proxy")
    return resolve(
        template(0.4),
        items.select(columns),
        total_steps=spec.total_steps,
        batch_size=spec.batch_size,
        extra_steps=extra,
    )


def inputs(
    training: TrainingSpec = TRAINING,
    probe: ProbeSpec = PROBE,
    seed: int = 3,
    make_model: Callable[[], Any] = lambda: random_model("llama"),
    **changes: Any,
) -> RunInputs:
    items = corpus()
    train, val, probes = items[:16], items[16:20], items[20:]
    run = RunInputs(
        make_model=make_model,
        train=tokenize_items(tokenizer(), train, training.max_length),
        validation={"val_random": tokenize_items(tokenizer(), val, training.max_length)},
        probes={"a": probe_rows(tokenizer(), probes[:2], probe), "b": probe_rows(tokenizer(), probes[2:], probe)},
        policy=policy(training, train),
        training=training,
        probe=probe,
        seed=seed,
    )
    return replace(run, **changes)


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Bit for bit."""
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)
