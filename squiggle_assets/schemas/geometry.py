"""Tables of where the representation is (geometry) and how it moves (dynamics), capture by capture.

Here: one model per table. Not here: events found in these series (schemas.events).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column

_COMPONENT = "which tensor of the block: x_out is the residual stream after it, embed the embedding"
_STATE = ["effective_rank", "sv_entropy", "topk_mass_k8", "sparsity_proxy", "principal_angle", "principal_angle_step"]


class Geometry(Table):
    """One row per capture, probe set, component, layer and metric of one run."""

    arm: str = column("arm of the run")
    seed: int = column("seed of the run")
    run_id: str = column("hash of the run's canonical spec")
    step: int = column("optimiser steps since the start; 0 is before training", unit="steps", ge=0)
    probe_set: str = column("frozen probe items: a in distribution, b held out")
    component: str = column(_COMPONENT)
    layer: int = column("index of the block", ge=0)
    metric: str = column(
        "effective_rank (sum s)^2/sum s^2; sv_entropy in nats; topk_mass_k8 share of sum s; sparsity_proxy share of "
        "|x| < 1e-3; principal_angle to step 0 and principal_angle_step to the capture before, in radians",
        isin=_STATE,
    )
    value: float = column("the metric, in its own unit")
    num_rows: int = column("token positions the number rests on, pads dropped", unit="rows", ge=2)
    probe_set_sha256: str = column("hash of the probe items")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["run_id", "step", "probe_set", "component", "layer", "metric"]


class Dynamics(Table):
    """One row per capture after the first, probe set, component, layer and metric of one run."""

    arm: str = column("arm of the run")
    seed: int = column("seed of the run")
    run_id: str = column("hash of the run's canonical spec")
    step: int = column("optimiser steps since the start", unit="steps", gt=0)
    step_prev: int = column("step of the capture before", unit="steps", ge=0)
    dt_steps: int = column("step - step_prev", unit="steps", gt=0)
    probe_set: str = column("frozen probe items: a in distribution, b held out")
    component: str = column(_COMPONENT)
    layer: int = column("index of the block", ge=0)
    metric: str = column("as in geometry; principal_angle_step carries alignment velocity", isin=_STATE)
    delta: float = column("change since the capture before; for principal_angle_step the angle itself")
    velocity: float = column("delta / dt_steps", unit="metric per step")
    acceleration: float = column(
        "change of velocity over the mean of the last two intervals; null at the first velocity",
        unit="metric per step^2",
        nullable=True,
    )
    volatility: float = column(
        "1.4826 * MAD of the last 5 velocities; null while there are fewer", unit="metric per step", nullable=True
    )

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["run_id", "step", "probe_set", "component", "layer", "metric"]


TABLES: dict[str, type[Table]] = {"geometry": Geometry, "dynamics": Dynamics}
