"""Tables of one training run besides trace and geometry: manifest, scalars, probe losses, milestones, decisions.

Here: one model per table. Not here: sample_trace (schemas.curricula), captures and adapters (handles).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column

_ARM = "arm of the run"
_SEED = "seed of the run"
_RUN = "hash of the run's canonical spec"
_STEP = "updates done when the number was taken; 0 is before training"


class RunManifest(Table):
    """One row per run: what it was and how it ended."""

    arm: str = column(_ARM)
    seed: int = column(_SEED)
    run_id: str = column(_RUN)
    spec_json: str = column("canonical JSON that run_id is the hash of")
    curriculum_id: str = column("hash of the resolved curriculum")
    total_steps: int = column("updates of the budget, step multiplier included", unit="steps", ge=1)
    warmup_end: int = column("first step at the peak learning rate", unit="steps", ge=0)
    decay_start: int = column("first step of the decay; a longer run of the ladder starts here", unit="steps", ge=0)
    schedule_clamped: bool = column("the warm-up asked for left no stable step and was shortened")
    phase_boundaries_json: str = column("first steps of the curriculum phases after the first, a JSON list")
    probe_items_json: str = column("item_id of what the captures were made on, a JSON list")
    num_updates: int = column("updates made; below total_steps if the run was stopped", unit="steps", ge=0)
    num_captures: int = column("captured steps, step 0 included", ge=0)
    num_train_items: int = column("items the curriculum may draw", ge=1)
    num_truncated: int = column("of these, items whose end was cut off by max_length", ge=0)
    num_tokens: int = column("tokens trained on, pads not counted, repetitions counted", unit="tokens", ge=0)
    num_supervised_tokens: int = column("of these, tokens with a loss", unit="tokens", ge=0)
    num_trainable: int = column("trained parameters", ge=1)
    first_loss: float = column("loss of the first batch", unit="nats/token", nullable=True)
    best_loss: float = column("smallest loss of a batch", unit="nats/token", nullable=True)
    final_loss: float = column("loss of the last batch; NaN if that is why the run stopped", nullable=True)
    final_loss_smooth: float = column("its exponential moving average, alpha 0.1", nullable=True)
    stopped_early: bool = column("a controller stopped the run")
    stop_reason: str = column("the controller's words; null if the run went to its end", nullable=True)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["run_id"]


class Scalars(Table):
    """One row per run, step and metric that was measured there; what was not measured has no row."""

    arm: str = column(_ARM)
    seed: int = column(_SEED)
    run_id: str = column(_RUN)
    step: int = column(_STEP, unit="steps", ge=0)
    metric: str = column(
        "loss (of the step's batch, nats per supervised token), lr, grad_norm (before clipping), curriculum_phase "
        "(index), val_SPLIT_loss, val_SPLIT_token_acc, val_SPLIT_answer_acc (teacher-forced, whole answer right; "
        "both 0 to 1), probe_a_loss, probe_b_loss"
    )
    value: float = column("the metric, in its own unit; NaN only where the number itself was not a number")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["run_id", "step", "metric"]


class ProbeLosses(Table):
    """One row per captured step and probe item that has a completion token within the probe's length."""

    arm: str = column(_ARM)
    seed: int = column(_SEED)
    run_id: str = column(_RUN)
    step: int = column(_STEP, unit="steps", ge=0)
    probe_set: str = column("frozen probe items: a in distribution, b held out", isin=["a", "b"])
    item_id: str = column("probe item")
    family_id: str = column("its family")
    num_tokens: int = column("completion tokens of it that are measured", unit="tokens", ge=1)
    loss: float = column(
        "mean over them; NaN where the number itself was not a number", unit="nats/token", nullable=True
    )
    accuracy: float = column("share of them that are the model's first choice, given all tokens before", ge=0, le=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["run_id", "step", "probe_set", "item_id"]


class Milestones(Table):
    """One row per relative drop of the smoothed loss that a run reached; a drop not reached has no row."""

    arm: str = column(_ARM)
    seed: int = column(_SEED)
    run_id: str = column(_RUN)
    step: int = column("first step at which the smoothed loss was at or below the target", unit="steps", ge=0)
    epoch: float = column("step * batch size / items the curriculum may draw", unit="epochs", ge=0)
    milestone: float = column("share by which the loss fell below its baseline", gt=0, lt=1)
    milestone_type: str = column("relative: to the mean of the first ten losses after the warm-up", isin=["relative"])
    loss_raw: float = column("loss of the step's batch", unit="nats/token")
    loss_smooth: float = column("exponential moving average, alpha 0.1", unit="nats/token")
    target_loss: float = column("baseline_loss * (1 - milestone)", unit="nats/token")
    baseline_loss: float = column("mean of the first ten losses after the warm-up", unit="nats/token")
    lr: float = column("learning rate of the step", gt=0)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["run_id", "milestone_type", "milestone"]


class ControllerDecisions(Table):
    """One row per decision of a controller; a controller with nothing to say about a step leaves no row."""

    arm: str = column(_ARM)
    seed: int = column(_SEED)
    run_id: str = column(_RUN)
    step: int = column("step whose batch the decision is about", unit="steps", ge=0)
    controller: str = column("non_finite or divergence", isin=["non_finite", "divergence"])
    feature: str = column("what it looked at", isin=["loss", "grad_norm", "loss_z", "activation"])
    value: float = column("the feature; NaN where the number itself was not a number", nullable=True)
    decision: str = column("what it decided", isin=["continue", "stop"])
    reason: str = column("why, in words with the numbers")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["run_id", "step", "controller"]


TABLES: dict[str, type[Table]] = {
    "run_manifest": RunManifest,
    "scalars": Scalars,
    "probe_losses": ProbeLosses,
    "milestones": Milestones,
    "controller_decisions": ControllerDecisions,
}
