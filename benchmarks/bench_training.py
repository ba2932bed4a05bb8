"""Real (non-pad) tokens per second of the training loop against Hugging Face's Trainer. Prints one JSON object.

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
from squiggle_assets.science.spec import ProbeSpec, TrainingSpec
from squiggle_assets.science.training import RunInputs, train

FEW, MANY, REPEATS = 20, 80, 3
NEVER = 10**6


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


def main() -> None:
    """Measure, compare and print."""
    torch.set_num_threads(1)
    probe = ProbeSpec(capture_every=NEVER)
    runs = [
        inputs(TrainingSpec(total_steps=steps, eval_every=NEVER, checkpoint_every=NEVER), probe)
        for steps in (FEW, MANY)
    ]
    apart = float(np.abs(np.subtract(theirs(runs[0], keep=True)[1], ours(runs[0])[1])).max())
    marginal: dict[str, list[float]] = {"trainer": [], "ours": []}
    tokens = [ours(run)[2] for run in runs]
    for _ in range(REPEATS):
        marginal["trainer"].append(-theirs(runs[0])[0] + theirs(runs[1])[0])
        marginal["ours"].append(-ours(runs[0])[0] + ours(runs[1])[0])
    seconds = {name: statistics.median(values) for name, values in marginal.items()}
    num_tokens = tokens[1] - tokens[0]
    ratios = [a / b for a, b in zip(marginal["trainer"], marginal["ours"], strict=True)]
    print(
        json.dumps(
            {
                "benchmark": "training",
                "ratio": round(seconds["trainer"] / seconds["ours"], 2),
                "ratios": [round(ratio, 2) for ratio in ratios],
                "tokens_per_second": {name: round(num_tokens / value) for name, value in seconds.items()},
                "ms_per_step": {name: round(1e3 * value / (MANY - FEW), 1) for name, value in seconds.items()},
                "tokens_per_step": round(num_tokens / (MANY - FEW)),
                "max_loss_difference": apart,
            }
        )
    )
    if apart > 1e-4:
        raise SystemExit(f"loss curves differ by {apart}: the two are not training the same thing")


if __name__ == "__main__":
    main()
