"""One fine-tuning run: draws, updates, validations, captures, checkpoints.

Here: the loop and what it returns. Not here: what is drawn (policy), rates (schedule), batches and loss (batching),
LoRA (adapters), where anything is stored (ports), arm and run_id (whoever names runs).

Everything is labelled by the state it belongs to: step k means "after k updates". The loss of step k is that of the
batch drawn at step k, on the model after k updates; a capture or validation at step k sees the same model. Nothing
carries a random state, so a run taken up from a checkpoint repeats the uninterrupted one bit for bit, on one machine
with one number of threads (the caller sets it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from squiggle_assets.science import adapters, controller, milestones
from squiggle_assets.science.batching import loss_sum, micro_batches
from squiggle_assets.science.capture import NotFiniteError, Prober, ProbeRows
from squiggle_assets.science.determinism import deterministic
from squiggle_assets.science.evaluation import Evaluator, measure
from squiggle_assets.science.fast_lora import fast_lora
from squiggle_assets.science.llama_block import fast_blocks
from squiggle_assets.science.packed_attention import packed_attention
from squiggle_assets.science.ports import Checkpoint, CheckpointStore, Progress, TensorSink, silent
from squiggle_assets.science.replay import Draws
from squiggle_assets.science.run_log import RunLog
from squiggle_assets.science.run_spec import fingerprint
from squiggle_assets.science.schedule import Schedule, schedule
from squiggle_assets.science.spec import ProbeSpec, TrainingSpec
from squiggle_assets.science.tokens import TokenTable
from squiggle_assets.science.trace import trace_rows

_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, kw_only=True, eq=False)
class RunInputs:
    """All that a run is made of."""

    make_model: Callable[[], Any]
    """A fresh transformers causal language model in float32; called once, the model is changed in place."""
    train: TokenTable
    """Holds every item of the policy."""
    validation: Mapping[str, TokenTable]
    """'val_random', 'val_family' -> rows that are measured (evaluation.eval_items chooses them)."""
    probes: Mapping[str, ProbeRows]
    """'a', 'b' -> probe set."""
    policy: Draws
    training: TrainingSpec
    probe: ProbeSpec
    seed: int
    device: str = "cpu"
    micro_batch: int | None = None
    """Rows per forward pass; None = training.micro_batch. Smaller after an out-of-memory: equal up to float order."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RunResult:
    """What a finished run leaves; frames are without arm, seed and run_id."""

    adapter: Mapping[str, Tensor]
    adapter_config: Mapping[str, Any]
    scalars: pl.DataFrame
    milestones: pl.DataFrame
    controller_decisions: pl.DataFrame
    sample_trace: pl.DataFrame
    probe_losses: pl.DataFrame
    capture_steps: tuple[int, ...]
    """Every step that the run's captures consist of."""
    inherited_step: int | None
    """If not None, captures up to this step, itself included, are those of the shorter run: copy them from there."""
    summary: Mapping[str, Any]
    """Fields of run_manifest that training knows."""


def train(
    run: RunInputs, *, checkpoints: CheckpointStore, captures: TensorSink, progress: Progress = silent
) -> RunResult:
    """Fine-tune, from the newest checkpoint there is, else from one that another run left, else from the start.

    AdamW (decoupled decay on matrices only), gradient clipped by its global norm, rate by `schedule`, loss = mean over
    all completion tokens of the effective batch. Dropout is off, also in models that are configured with it. bfloat16:
    frozen weights in bfloat16, trained ones in float32, products under autocast.

    A controller may stop the run before an update: then the adapter is that of the last update made, the stopping
    batch is in the scalars but not in the trace, and the state is captured and validated unless it is not finite.

    Raises:
        ValueError: the policy does not fit the training spec or names items that the table does not hold, or the
            checkpoint is of another run.
    """
    with ExitStack() as stack:
        return _Run(run, stack, captures).result_from(checkpoints, progress)


class _Run:
    """The moving parts of one run."""

    def __init__(self, run: RunInputs, stack: ExitStack, captures: TensorSink):
        self.plan = schedule(run.training)
        self.run, self.captures = run, captures
        self.rows = _table_rows(run, self.plan)
        self.micro_batch = run.training.micro_batch if run.micro_batch is None else run.micro_batch
        self.controllers = controller.controllers(run.training)
        stack.enter_context(deterministic(run.device))
        model = run.make_model()
        spec = run.training
        self.adapted = adapters.attach(model, mode=spec.mode, rank=spec.lora_rank, alpha=spec.lora_alpha, seed=run.seed)
        self._place(stack, model)
        self.parameters = list(self.adapted.trainable.values())
        self.optimizer = _optimizer(self.parameters, spec)
        parts = self.adapted.parts
        self.prober = Prober(parts, run.probes, run.probe, run.device)
        self.evaluators = {
            name: Evaluator(parts, table, self.micro_batch, run.device)
            for name, table in sorted(run.validation.items())
        }
        self.log = RunLog()
        probes = [f"{name}:{rows.sha256}" for name, rows in sorted(run.probes.items())]
        self.fingerprint = fingerprint(spec, run.probe, run.seed, *probes, *self.adapted.trainable)

    def _place(self, stack: ExitStack, model: Any) -> None:
        self.adapted.model.eval()
        narrow = self.run.training.dtype == "bfloat16"
        if narrow:
            for parameter in self.adapted.model.parameters():
                if not parameter.requires_grad:
                    parameter.data = parameter.data.to(torch.bfloat16)
        self.adapted.model.to(self.run.device)
        stack.enter_context(packed_attention(model))
        for faster in (fast_lora, fast_blocks):
            stack.enter_context(faster(self.adapted.model))
        kind = torch.device(self.run.device).type
        # the cache of narrow copies would outlive the update of what they are copies of
        stack.enter_context(torch.autocast(kind, dtype=torch.bfloat16, enabled=narrow, cache_enabled=False))

    def result_from(self, checkpoints: CheckpointStore, progress: Progress) -> RunResult:
        total = self.plan.total_steps
        step = self._start(checkpoints)
        if step == 0:
            self._measure(0)
        stopped: controller.Decision | None = None
        while step < total:
            stopped = self._update(step)
            if stopped is not None:
                break
            step += 1
            stopped = self._measure(step)
            if stopped is not None:
                break
            self._checkpoint(step, checkpoints)
            progress(step, total, f"loss {self.log.losses[-1]:.3f}")
        if stopped is not None and stopped.controller != "non_finite":
            self._measure(step, stopping=True)
        return self._result(step, stopped)

    def _start(self, checkpoints: CheckpointStore) -> int:
        found, origin = checkpoints.latest(), "latest"
        if found is None:
            found, origin = checkpoints.inherited(), "inherited"
        if found is None:
            return 0
        if found.state.get("fingerprint") != self.fingerprint:
            raise ValueError(
                f"the {origin} checkpoint at step {found.step} is of another run (training or probe settings, seed or "
                "adapter differ): remove it, or give this run a store of its own"
            )
        shorter = found.state["total_steps"] != self.plan.total_steps
        if shorter and found.step > self.plan.decay_start:
            raise ValueError(
                f"the {origin} checkpoint is at step {found.step}, past the stable phase, of a run of another length"
            )
        self._restore(found)
        if origin == "inherited":
            self.log.inherited_step = found.step
        return found.step

    def _update(self, step: int) -> controller.Decision | None:
        """One update, or the decision that there shall be none."""
        drawn = self.rows[self.run.policy.draw(self.run.seed, step)]
        batches = micro_batches(self.run.train, drawn, self.micro_batch, self.run.device)
        num_supervised = sum(batch.num_supervised for batch in batches)
        self.optimizer.zero_grad(set_to_none=True)
        loss = 0.0
        for batch in batches:
            part = loss_sum(self.adapted.parts, batch) / num_supervised
            part.backward()  # type: ignore[no-untyped-call]
            loss += part.item()
        norm = adapters.clip(self.parameters, self.run.training.clip)
        rate, phase = self.plan.lr(step), self.run.policy.phase_at(step)[0]
        self.log.losses.append(loss)
        self.log.add(step, {"loss": loss, "lr": rate, "grad_norm": norm, "curriculum_phase": phase})
        for each in self.controllers:
            decision = each.decide(step, self.log.losses, norm)
            if decision is not None:
                self.log.decide(decision)
                if decision.decision == "stop":
                    return decision
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.log.num_tokens += sum(batch.num_tokens for batch in batches)
        self.log.num_supervised += num_supervised
        return None

    def _measure(self, step: int, *, stopping: bool = False) -> controller.Decision | None:
        """What the cadence asks for, all at the last step; a run that stops adds what its cadence left out.

        The decision to stop where activations can no longer be stored; before training that is an error.
        """
        last = step == self.plan.total_steps
        if last or stopping != (step % self.run.training.eval_every == 0):
            self.log.add(step, measure(self.evaluators))
        if last or stopping != (step % self.run.probe.capture_every == 0):
            try:
                captured = self.prober.capture()
            except NotFiniteError as error:
                if step == 0:
                    raise
                decision = controller.stopped_by_capture(step, str(error))
                self.log.decide(decision)
                return decision
            self.captures.put(step, captured.tensors)
            self.log.captured.append(step)
            self.log.probed.append((captured.item_losses, captured.item_accuracies))
            self.log.add(step, {f"probe_{name}_loss": loss for name, loss in captured.losses.items()})
        return None

    def _checkpoint(self, step: int, checkpoints: CheckpointStore) -> None:
        keep = step == self.plan.decay_start
        if keep or step % self.run.training.checkpoint_every == 0 or step == self.plan.total_steps:
            checkpoints.save(self._state(step), keep=keep)

    def _state(self, step: int) -> Checkpoint:
        tensors = {}
        for name, parameter in self.adapted.trainable.items():
            tensors[f"parameter/{name}"] = parameter
            for moment in _MOMENTS:
                tensors[f"{moment}/{name}"] = self.optimizer.state[parameter][moment]
        copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
        about = {"fingerprint": self.fingerprint, "total_steps": self.plan.total_steps}
        return Checkpoint(step, copies, {**about, "log": self.log.state()})

    @torch.no_grad()
    def _restore(self, found: Checkpoint) -> None:
        for name, parameter in self.adapted.trainable.items():
            parameter.copy_(found.tensors[f"parameter/{name}"])
            moments = {m: torch.empty_like(parameter).copy_(found.tensors[f"{m}/{name}"]) for m in _MOMENTS}
            updates = torch.tensor(float(found.step), dtype=torch.float32, device=parameter.device)
            self.optimizer.state[parameter] = {"step": updates, **moments}
        self.log = RunLog.restored(found.state["log"])

    def _result(self, step: int, stopped: controller.Decision | None) -> RunResult:
        run, log = self.run, self.log
        num_items = run.policy.num_training_items
        steps_per_epoch = num_items / run.training.batch_size
        return RunResult(
            adapter=adapters.adapter_tensors(self.adapted),
            adapter_config=self.adapted.config,
            scalars=log.scalars_frame(),
            milestones=log.milestones_frame(self.plan, run.training.milestones, steps_per_epoch),
            controller_decisions=log.decisions_frame(),
            probe_losses=log.probe_losses_frame(self.prober.items),
            sample_trace=trace_rows(run.policy, run.seed, range(step), micro_batch=run.training.micro_batch),
            capture_steps=tuple(log.captured),
            inherited_step=log.inherited_step,
            summary={
                "total_steps": self.plan.total_steps,
                "warmup_end": self.plan.warmup_end,
                "decay_start": self.plan.decay_start,
                "schedule_clamped": self.plan.clamped,
                "phase_boundaries": [[first, name] for first, name in run.policy.phase_boundaries()],
                "num_updates": step,
                "num_captures": len(log.captured),
                "num_train_items": num_items,
                "num_truncated": int(run.train.truncated[self.rows].sum()),
                "num_tokens": log.num_tokens,
                "num_supervised_tokens": log.num_supervised,
                "num_trainable": sum(parameter.numel() for parameter in self.parameters),
                "first_loss": log.losses[0],
                "best_loss": float(np.fmin.reduce(log.losses)),
                "final_loss": log.losses[-1],
                "final_loss_smooth": float(milestones.smoothed(log.losses)[-1]),
                "stopped_early": stopped is not None,
                "stop_reason": None if stopped is None else stopped.reason,
            },
        )


def _table_rows(run: RunInputs, plan: Schedule) -> np.ndarray:
    """Row of the token table for each item of the policy."""
    wanted = (run.training.batch_size, run.training.total_steps, plan.total_steps)
    offered = (run.policy.batch_size, run.policy.total_steps, run.policy.num_steps)
    if wanted != offered:
        raise ValueError(
            f"the policy draws (batch, base steps, all steps) {offered}, the training spec asks for {wanted}: resolve "
            "the curriculum with total_steps, batch_size and extra_steps of the training spec"
        )
    index = run.train.index
    absent = [item_id for item_id in run.policy.items["item_id"] if item_id not in index]
    if absent:
        raise ValueError(
            f"{len(absent)} items of the curriculum are not in the token table, for instance {absent[:3]}: leave items "
            "whose prompt fills max_length (TokenTable.dropped) out of the curriculum"
        )
    return np.array([index[item_id] for item_id in run.policy.items["item_id"]], dtype=np.int64)


def _optimizer(parameters: list[torch.nn.Parameter], spec: TrainingSpec) -> torch.optim.AdamW:
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    kept = [group for group in groups if group["params"]]
    return torch.optim.AdamW(kept, lr=spec.lr, betas=(spec.beta1, spec.beta2), fused=True)
