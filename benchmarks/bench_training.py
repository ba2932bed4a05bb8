"""Real (non-pad) tokens per second of the training loop against Hugging Face's Trainer. Prints JSON rows.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_training.py. Same model, adapter start, rows in the same order, same
optimiser, rates and clipping, dynamic padding for Trainer; two step counts each, interleaved, and their difference
(start-up removed), in CPU time on one thread. The loss curves must agree, else the script fails. Goal: at least 2.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from typing import Any

import numpy as np
import torch
from embedded_run import Nowhere, inputs
from transformers import Trainer, TrainingArguments

from squiggle_assets.science.adapters import attach
from squiggle_assets.science.schedule import schedule
from squiggle_assets.science.spec import BaseModelSpec, ProbeSpec, TrainingSpec
from squiggle_assets.science.training import RunInputs, train

REPEATS = 3
NEVER = 10**6
SHAPES = {
    "embedded": (BaseModelSpec(), 20, 80),
    "wide vocabulary": (BaseModelSpec(vocab_size=8192, width=256, ff_width=704), 4, 14),
}
"""Name -> shape, fewer and more steps."""


def rows_of(run: RunInputs) -> list[list[dict[str, list[int]]]]:
    """The rows of every step, as Trainer wants them."""
    items = run.policy.items["item_id"]
    steps = []
    for step in range(run.training.total_steps):
        rows = [run.train.row(run.train.index[items[int(i)]]) for i in run.policy.draw(run.seed, step)]
        steps.append(
            [
                {"input_ids": list(r.input_ids), "labels": [-100] * r.num_prompt + list(r.input_ids[r.num_prompt :])}
                for r in rows
            ]
        )
    return steps


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
            self.kept.append(float(loss))
        return loss


def theirs(run: RunInputs, *, keep: bool = False) -> tuple[float, list[float]]:
    """CPU seconds of Trainer.train and, if asked for, the losses."""
    spec, plan = run.training, schedule(run.training)
    adapted = attach(run.make_model(), mode="lora", rank=spec.lora_rank, alpha=spec.lora_alpha, seed=run.seed)
    parameters = list(adapted.trainable.values())
    optimizer = torch.optim.AdamW(
        parameters, lr=1.0, betas=(spec.beta1, spec.beta2), weight_decay=spec.weight_decay, fused=True
    )
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: plan.lr(min(step, plan.total_steps - 1)))
    data = [row for step in rows_of(run) for row in step]
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
            train_dataset=data,
            data_collator=padded,
            optimizers=(optimizer, rate),
        )
        trainer.kept = [] if keep else None
        begin = time.process_time()
        trainer.train()
        return time.process_time() - begin, trainer.kept or []


def ours(run: RunInputs) -> tuple[float, list[float], int]:
    """CPU seconds of train, the losses, and real tokens."""
    begin = time.process_time()
    result = train(run, checkpoints=Nowhere(), captures=Nowhere())
    seconds = time.process_time() - begin
    losses = result.scalars.filter(metric="loss")["value"].to_list()
    return seconds, losses, int(result.summary["num_tokens"])


def compare(name: str, shape: BaseModelSpec, few: int, many: int) -> dict[str, Any]:
    """The row of one model shape."""
    probe = ProbeSpec(capture_every=NEVER)
    runs = [
        inputs(TrainingSpec(total_steps=steps, eval_every=NEVER, checkpoint_every=NEVER), probe, shape)
        for steps in (few, many)
    ]
    apart = float(np.abs(np.subtract(theirs(runs[0], keep=True)[1], ours(runs[0])[1])).max())
    tokens = [ours(run)[2] for run in runs]
    marginal: dict[str, list[float]] = {"trainer": [], "ours": []}
    for _ in range(REPEATS):
        marginal["trainer"].append(-theirs(runs[0])[0] + theirs(runs[1])[0])
        marginal["ours"].append(-ours(runs[0])[0] + ours(runs[1])[0])
    ratios = [a / b for a, b in zip(marginal["trainer"], marginal["ours"], strict=True)]
    seconds = {side: statistics.median(values) for side, values in marginal.items()}
    num_tokens, num_steps = tokens[1] - tokens[0], many - few
    return {
        "benchmark": "training",
        "shape": name,
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "tokens_per_second": {side: round(num_tokens / value) for side, value in seconds.items()},
        "ms_per_step": {side: round(1e3 * value / num_steps, 1) for side, value in seconds.items()},
        "tokens_per_step": round(num_tokens / num_steps),
        "max_loss_difference": apart,
    }


def main() -> None:
    """Measure, compare and print."""
    torch.set_num_threads(1)
    for name, (shape, few, many) in SHAPES.items():
        row = compare(name, shape, few, many)
        print(json.dumps(row))
        if row["max_loss_difference"] > 1e-4:
            raise SystemExit(f"{name}: the loss curves differ by {row['max_loss_difference']}: not the same training")


if __name__ == "__main__":
    main()
