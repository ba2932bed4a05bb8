"""What a run writes down while it trains: scalars, decisions, captured steps, losses of the probe items.

Here: collecting them, their passage through a checkpoint, the frames in the end. Not here: measuring (training), arm,
seed and run_id columns (whoever knows them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from squiggle_assets.science import milestones
from squiggle_assets.science.capture import PROBED
from squiggle_assets.science.controller import Decision
from squiggle_assets.science.schedule import Schedule

SCALARS: dict[str, pl.DataType] = {"step": pl.Int64(), "metric": pl.String(), "value": pl.Float64()}
DECISIONS: dict[str, pl.DataType] = {
    "step": pl.Int64(),
    "controller": pl.String(),
    "feature": pl.String(),
    "value": pl.Float64(),
    "decision": pl.String(),
    "reason": pl.String(),
}
MILESTONES: dict[str, pl.DataType] = {
    "step": pl.Int64(),
    "epoch": pl.Float64(),
    "milestone": pl.Float64(),
    "milestone_type": pl.String(),
    "loss_raw": pl.Float64(),
    "loss_smooth": pl.Float64(),
    "target_loss": pl.Float64(),
    "baseline_loss": pl.Float64(),
    "lr": pl.Float64(),
}


PROBE_LOSSES: dict[str, pl.DataType] = {
    "step": pl.Int64(),
    **PROBED,
    "loss": pl.Float64(),
    "accuracy": pl.Float64(),
}


@dataclass
class RunLog:
    """Grows with the run; what is in it at a checkpoint is all that later steps and tables need of the past."""

    scalars: list[tuple[int, str, float]] = field(default_factory=list)
    """(step, metric, value) as measured; floats survive JSON bit for bit."""
    losses: list[float] = field(default_factory=list)
    """Loss of the batch of each step, from step 0."""
    decisions: list[dict[str, Any]] = field(default_factory=list)
    captured: list[int] = field(default_factory=list)
    probed: list[tuple[list[float], list[float]]] = field(default_factory=list)
    """Losses and accuracies of the probe items (Prober.items) at each captured step."""
    num_tokens: int = 0
    num_supervised: int = 0
    inherited_step: int | None = None
    """Step at which this run was taken over from another one with the same past; None if it began at 0."""

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars of a step."""
        self.scalars += [(step, metric, float(value)) for metric, value in values.items()]

    def decide(self, decision: Decision) -> None:
        """An entry of the decision stream."""
        self.decisions.append(decision.row())

    def state(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "scalars": [list(row) for row in self.scalars],
            "losses": list(self.losses),
            "decisions": list(self.decisions),
            "captured": list(self.captured),
            "probed": [[list(losses), list(accuracies)] for losses, accuracies in self.probed],
            "num_tokens": self.num_tokens,
            "num_supervised": self.num_supervised,
            "inherited_step": self.inherited_step,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> RunLog:
        """The log that `state` came from."""
        return cls(
            scalars=[(int(step), str(metric), float(value)) for step, metric, value in state["scalars"]],
            losses=[float(loss) for loss in state["losses"]],
            decisions=[dict(row) for row in state["decisions"]],
            captured=[int(step) for step in state["captured"]],
            probed=[([*map(float, losses)], [*map(float, accuracies)]) for losses, accuracies in state["probed"]],
            num_tokens=int(state["num_tokens"]),
            num_supervised=int(state["num_supervised"]),
            inherited_step=state["inherited_step"],
        )

    def scalars_frame(self) -> pl.DataFrame:
        """Columns of SCALARS, by step and then in the order of measuring."""
        return pl.DataFrame(self.scalars, schema=SCALARS, orient="row").sort("step", maintain_order=True)

    def probe_losses_frame(self, items: pl.DataFrame) -> pl.DataFrame:
        """Columns of PROBE_LOSSES, by captured step and then in the order of items (Prober.items)."""
        measured = [
            items.with_columns(
                pl.lit(step, dtype=pl.Int64).alias("step"),
                pl.Series("loss", losses, dtype=pl.Float64),
                pl.Series("accuracy", accuracies, dtype=pl.Float64),
            )
            for step, (losses, accuracies) in zip(self.captured, self.probed, strict=True)
        ]
        return pl.concat([pl.DataFrame(schema=PROBE_LOSSES), *(each.select(*PROBE_LOSSES) for each in measured)])

    def decisions_frame(self) -> pl.DataFrame:
        """Columns of DECISIONS, in order."""
        return pl.DataFrame(self.decisions, schema=DECISIONS, orient="row")

    def milestones_frame(self, plan: Schedule, drops: Sequence[float], steps_per_epoch: float) -> pl.DataFrame:
        """Columns of MILESTONES, by step."""
        rows = [
            {
                **vars(each),
                "epoch": each.step / steps_per_epoch,
                "milestone_type": "relative",
                "lr": plan.lr(each.step),
            }
            for each in milestones.reached(self.losses, plan.warmup_end, drops)
        ]
        return pl.DataFrame(rows, schema=MILESTONES, orient="row")
