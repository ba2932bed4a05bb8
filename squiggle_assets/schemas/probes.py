"""Tables of probe runs (what one family does to the model) and of probe losses around consensus events.

Here: one model per table. Not here: losses of probe items as they were measured (schemas.runs).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column

_SET = "frozen probe items: a in distribution, b held out"
_PER_STEP = "metric per step"
_SPREADS = "spreads of random mixtures"
_NO_INTERVAL = "null if it cannot be computed"


class _OfProbe(Table):
    arm: str = column("arm of the run: a family, a random mixture, or planted")
    seed: int = column("seed of the run")
    run_id: str = column("hash of the run's canonical spec")
    matched: str = column("runs are compared at equal training tokens, or at equal steps", isin=["tokens", "steps"])
    probe_set: str = column(_SET)


class ProbeLayers(_OfProbe):
    """One row per probe run, way of matching and layer: state before and after, movement in between."""

    layer: int = column("index of the block", ge=0)
    effective_rank_pre: float = column("(sum s)^2 / sum s^2 of the residual stream before training", ge=1)
    effective_rank_post: float = column("the same after", ge=1)
    effective_rank_delta: float = column("after - before")
    sv_entropy_pre: float = column("-sum p ln p of the singular values before training", unit="nats", ge=0)
    sv_entropy_post: float = column("the same after", unit="nats", ge=0)
    sv_entropy_delta: float = column("after - before", unit="nats")
    sparsity_proxy_pre: float = column("share of |x| < 1e-3 before training", ge=0, le=1)
    sparsity_proxy_post: float = column("the same after", ge=0, le=1)
    sparsity_proxy_delta: float = column("after - before")
    principal_angle_post_vs_pre: float = column("mean over the 8 leading directions", unit="radians", ge=0)
    num_rows: int = column("token positions the numbers rest on; pads do not exist", unit="rows", ge=2)
    drift_velocity: float = column(
        "way travelled in effective rank over the steps it took; null with fewer than 3 captures",
        unit=_PER_STEP,
        nullable=True,
        ge=0,
    )
    drift_acceleration: float = column(
        "mean absolute acceleration of effective rank; null with fewer than 3 captures",
        unit="metric per step^2",
        nullable=True,
        ge=0,
    )
    volatility: float = column(
        "mean of 1.4826 * MAD of 5 velocities of effective rank; null with fewer than 6 captures",
        unit=_PER_STEP,
        nullable=True,
        ge=0,
    )
    alignment_velocity: float = column(
        "sum of angles between captures over steps; null with fewer than 3", unit="radians/step", nullable=True, ge=0
    )
    affected: bool = column("among the 6 layers that drift fastest")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["run_id", "arm", "matched", "probe_set", "layer"]


class ProbeSummaries(_OfProbe):
    """One row per probe run and way of matching: its signature and what it was trained on."""

    family_id: str = column("family that the run was trained on; null for a mixture", nullable=True)
    step: int = column("capture that counts as after", unit="steps", ge=1)
    num_tokens: int = column("tokens trained on until then, prompts included", unit="tokens", ge=1)
    num_tokens_run: int = column("tokens the whole run was trained on", unit="tokens", ge=1)
    num_tokens_target: int = column("the fewest that any run was trained on", unit="tokens", ge=1)
    num_items: int = column("distinct items drawn until then", ge=1)
    share_own_family: float = column("share of the run's draws that are of family_id; null for a mixture",
                                     nullable=True, ge=0, le=1)  # fmt: skip
    base_deviation: float = column(
        "largest relative difference of the first capture's geometry to the median of all runs: 0 from a fresh base",
        ge=0,
    )
    num_layers: int = column("layers that the means below are over", ge=1)
    effective_rank_change: float = column("mean |delta| over layers", ge=0)
    sv_entropy_change: float = column("mean |delta| over layers", unit="nats", ge=0)
    sparsity_proxy_change: float = column("mean |delta| over layers", ge=0)
    principal_angle: float = column("mean over layers, after against before", unit="radians", ge=0)
    drift_path: float = column(
        "way in effective rank; at equal steps over the tokens of an average run",
        unit="per 1000 tokens",
        nullable=True,
        ge=0,
    )
    alignment_path: float = column("the same in radians", unit="radians per 1000 tokens", nullable=True, ge=0)
    drift_velocity_global: float = column("mean over layers", unit=_PER_STEP, nullable=True, ge=0)
    drift_acceleration_global: float = column("mean over layers", unit="metric per step^2", nullable=True, ge=0)
    volatility_global: float = column("mean over layers", unit=_PER_STEP, nullable=True, ge=0)
    alignment_velocity_global: float = column("mean over layers", unit="radians/step", nullable=True, ge=0)
    affected_layers: str = column("JSON list of the 6 layers that drift fastest")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["run_id", "arm", "matched", "probe_set"]


class ProbeTests(Table):
    """One row per arm of a probe study and way of matching: how far it is from the random mixtures."""

    arm: str = column("a family, planted, or a mixture (held against the other mixtures)")
    role: str = column("treatment, planted, placebo or baseline")
    matched: str = column("runs are compared at equal training tokens, or at equal steps", isin=["tokens", "steps"])
    distance: float = column("mean over seeds along the direction of the other seeds; 0 on average by chance",
                             unit=_SPREADS)  # fmt: skip
    ci_lo: float = column("95 % t interval over seeds; " + _NO_INTERVAL, unit=_SPREADS, nullable=True)
    ci_hi: float = column("its upper end", unit=_SPREADS, nullable=True)
    p_seeds: float = column("arm and mixtures exchanged within seeds", nullable=True, gt=0, le=1)
    p_items: float = column(
        "the arm's items as one more set among the mixtures; null where those do not differ", nullable=True, gt=0, le=1
    )
    p_value: float = column("the larger of the two", nullable=True, gt=0, le=1)
    p_familywise: float = column(
        "as p_seeds, against the largest arm of each draw; null for mixtures", nullable=True, gt=0, le=1
    )
    q_value: float = column("Benjamini-Hochberg over the arms that are no mixtures", nullable=True, gt=0, le=1)
    control: str = column("the mixture that is hardest to exceed", nullable=True)
    control_difference: float = column("distance - the control's", unit=_SPREADS, nullable=True)
    control_ci_lo: float = column("95 % t interval of it over seeds", unit=_SPREADS, nullable=True)
    control_ci_hi: float = column("its upper end", unit=_SPREADS, nullable=True)
    n_seeds: int = column("seeds that every arm has", ge=2)
    components: str = column("JSON: component of the signature -> mean difference in spreads")
    by_seed: str = column("JSON: seed -> distance")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "matched"]


class ProbeDraws(Table):
    """One row per arm, way of matching and draw: distances under exchanged labels."""

    arm: str = column("arm that was exchanged with the mixtures")
    matched: str = column("equal training tokens, or equal steps", isin=["tokens", "steps"])
    draw: int = column("number of the draw; the same exchange for all arms that are no mixtures", ge=0)
    statistic: float = column("distance under exchanged labels", unit=_SPREADS)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "matched", "draw"]


class ProbeEventCorrelation(Table):
    """One row per consensus event and probe series: how held-out loss or accuracy turns there, beside its nulls."""

    arm: str = column("arm of the runs")
    test_id: str = column("analysis_id of the events")
    consensus_event_id: str = column("event in the geometry")
    event_class: str = column("its cell: band.metric_group")
    probe_id: str = column("probe_set.family_id.measure")
    probe_set: str = column(_SET, isin=["a", "b"])
    family_id: str = column("family of the probe items")
    measure: str = column("loss or accuracy", isin=["loss", "accuracy"])
    lag: int = column("captures after the event at which the change is largest", unit="captures", ge=0)
    change_pre_post: float = column(
        "mean change per capture interval after less before, within 10 captures, without what learning rate, training "
        "loss and gradient norm explain",
        unit="nats/token or share, per capture interval",
    )
    xcorr: float = column("correlation of the mean series over seeds with a step at event + lag", nullable=True)
    statistic: float = column("|mean over seeds| of the standardised change, largest over lags", ge=0)
    n_seeds: int = column("seeds that the means are over", ge=2)
    p_shift: float = column("event times moved round their segment of the run", gt=0, le=1)
    p_other_seeds: float = column("times of events of other seeds; null if they have none", nullable=True, gt=0, le=1)
    p_null: float = column("the larger of the two", gt=0, le=1)
    q: float = column("Benjamini-Hochberg over all probes and events of the arm", gt=0, le=1)
    null_id: str = column("the null family with the larger p", isin=["shift", "other_seeds"])

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "test_id", "consensus_event_id", "probe_id"]


class ProbeEventStatus(Table):
    """One row per arm: what was tested of its events and probes, also where nothing was."""

    arm: str = column("arm of the runs")
    test_id: str = column("analysis_id of the events")
    status: str = column("what came of it", isin=["tested", "no events", "too few seeds", "no probes"])
    n_seeds: int = column("seeds whose runs went to their end", ge=0)
    num_events: int = column("significant consensus events that lie far enough from both ends", ge=0)
    num_probes: int = column("probe series", ge=0)
    num_draws: int = column("draws of each null", ge=0)
    smallest_p: float = column("the p that the most extreme data would get", nullable=True, gt=0, le=1)
    num_significant: int = column("tests with q at most alpha", ge=0)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "test_id"]


TABLES: dict[str, type[Table]] = {
    "probe_layers": ProbeLayers,
    "probe_summaries": ProbeSummaries,
    "probe_tests": ProbeTests,
    "probe_draws": ProbeDraws,
    "probe_event_correlation": ProbeEventCorrelation,
    "probe_event_status": ProbeEventStatus,
}
