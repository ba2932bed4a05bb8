"""Real (non-pad) tokens per second of the training loop against Hugging Face's Trainer. Prints JSON rows.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_training.py. Same model, adapter start, rows in the same order, same
optimiser, rates and clipping, float32; Trainer with its defaults, no evaluation, saving or logging, rows padded to the
longest of their batch by a collator that does nothing else. Whole runs alternate; every step is timed in CPU time on
one thread from the end of the step before (collating included, start-up not), the median over the repeats stands for
it. The loss curves must agree, else the script fails. Goal: at least 2.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from embedded_run import Nowhere, inputs
from numpy.typing import NDArray
from transformers import Trainer, TrainerCallback, TrainingArguments

from squiggle_assets.science.adapters import attach
from squiggle_assets.science.schedule import schedule
from squiggle_assets.science.spec import BaseModelSpec, ProbeSpec, TrainingSpec
from squiggle_assets.science.training import RunInputs, train

REPEATS = 5
NEVER = 10**6
SHAPES = {
    "embedded": (BaseModelSpec(), 60),
    "wide vocabulary": (BaseModelSpec(vocab_size=8192, width=256, ff_width=704), 16),
}
"""Name -> shape, steps; the first one is not counted."""


def rows_of(run: RunInputs) -> list[dict[str, list[int]]]:
    """The rows of all steps in order, as Trainer wants them."""
    items = run.policy.items["item_id"]
    drawn = [i for step in range(run.training.total_steps) for i in run.policy.draw(run.seed, step)]
    rows = [run.train.row(run.train.index[items[int(i)]]) for i in drawn]
    return [
        {"input_ids": list(row.input_ids), "labels": [-100] * row.num_prompt + list(row.input_ids[row.num_prompt :])}
        for row in rows
    ]


def padded(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """Dynamic padding to the longest row of the batch."""
    longest = max(len(row["input_ids"]) for row in rows)

    def filled(name: str, value: int) -> torch.Tensor:
        return torch.tensor([row[name] + [value] * (longest - len(row[name])) for row in rows])

    mask = torch.tensor([[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows])
    return {"input_ids": filled("input_ids", 0), "labels": filled("labels", -100), "attention_mask": mask}


class InOrder(Trainer):
    """Trainer that takes the rows as they come and can keep its losses."""

    kept: list[float] | None = None

    def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """The usual loss, kept if asked for."""
        loss = super().compute_loss(*args, **kwargs)
        if self.kept is not None:
            self.kept.append(loss.item())
        return loss


class Clock(TrainerCallback):
    """Notes the CPU time at the end of every step."""

    def __init__(self) -> None:
        """Nothing noted yet."""
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """One step is over."""
        self.ends.append(time.process_time())


def theirs(run: RunInputs, *, keep: bool = False) -> tuple[NDArray[np.float64], list[float]]:
    """CPU seconds of each of Trainer's steps but the first and, if asked for, the losses."""
    spec, plan = run.training, schedule(run.training)
    adapted = attach(run.make_model(), mode="lora", rank=spec.lora_rank, alpha=spec.lora_alpha, seed=run.seed)
    parameters = list(adapted.trainable.values())
    optimizer = torch.optim.AdamW(
        parameters, lr=1.0, betas=(spec.beta1, spec.beta2), weight_decay=spec.weight_decay, fused=True
    )
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: plan.lr(min(step, plan.total_steps - 1)))
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=spec.batch_size,
            max_steps=spec.total_steps,
            max_grad_norm=spec.clip,
            logging_steps=NEVER,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        trainer = InOrder(
            model=adapted.model,
            args=arguments,
            train_dataset=rows_of(run),
            data_collator=padded,
            optimizers=(optimizer, rate),
            callbacks=[clock],
        )
        trainer.kept = [] if keep else None
        trainer.train()
    return np.diff(clock.ends), trainer.kept or []


def ours(run: RunInputs) -> tuple[NDArray[np.float64], list[float], int]:
    """CPU seconds of each of train's steps but the first, the losses, and the real tokens of all steps."""
    ends: list[float] = []
    result = train(run, checkpoints=Nowhere(), captures=Nowhere(), progress=lambda *_: ends.append(time.process_time()))
    losses = result.scalars.filter(metric="loss")["value"].to_list()
    return np.diff(ends), losses, int(result.summary["num_tokens"])


def compare(name: str, shape: BaseModelSpec, steps: int) -> dict[str, Any]:
    """The row of one model shape."""
    training = TrainingSpec(total_steps=steps, eval_every=NEVER, checkpoint_every=NEVER)
    run = inputs(training, ProbeSpec(capture_every=NEVER), shape)
    run = replace(run, validation={})
    _, expected = theirs(run, keep=True)
    _, losses, tokens = ours(run)
    repeats = [(theirs(run)[0], ours(run)[0]) for _ in range(REPEATS)]
    trainer, own = (np.median(side, axis=0) for side in zip(*repeats, strict=True))
    # the last step of ours is followed by the last capture
    ratio = trainer[:-1].sum() / own[:-1].sum()
    return {
        "benchmark": "training",
        "shape": name,
        "ratio": round(float(ratio), 2),
        "ratios": [round(float(a[:-1].sum() / b[:-1].sum()), 2) for a, b in repeats],
        "ms_per_step": {"trainer": round(1e3 * trainer[:-1].mean(), 1), "ours": round(1e3 * own[:-1].mean(), 1)},
        "tokens_per_second": {
            "trainer": round(tokens / steps / trainer[:-1].mean()),
            "ours": round(tokens / steps / own[:-1].mean()),
        },
        "max_loss_difference": float(np.abs(np.subtract(expected, losses)).max()),
    }


def main() -> None:
    """Measure, compare and print."""
    torch.set_num_threads(1)
    for name, (shape, steps) in SHAPES.items():
        row = compare(name, shape, steps)
        print(json.dumps(row))
        if row["max_loss_difference"] > 1e-4:
            raise SystemExit(f"{name}: the loss curves differ by {row['max_loss_difference']}: not the same training")


if __name__ == "__main__":
    main()
