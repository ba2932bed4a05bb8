"""Tables that SQL models make: one model per file of dbt_like_sql, under the file's stem.

Here: columns of those over runs, exposure and claims, and TABLES of all. Not here: columns of those over evidence
(schemas.evidence), the SELECTs (dbt_like_sql), the tables they read (the other modules beside this one).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas import evidence
from squiggle_assets.schemas.base import Table, column

_STUDY, _SEED = "study", "seed of the run"
_PROBE = "frozen probe items: a in distribution, b held out"
_COMPONENT, _LAYER, _METRIC = "which tensor of the block", "index of the block", "geometry metric"
_GROUP = "metrics of one group are one measurement: spectral, sparsity, angle"
_GROUPS = ["spectral", "sparsity", "angle"]


class _OfArm(Table):
    study: str = column(_STUDY)
    arm: str = column("arm of the study")


class _OfRun(_OfArm):
    seed: int = column(_SEED, ge=0)
    run_id: str = column("hash of the run's canonical spec")


class StgRuns(_OfRun):
    """One row per training run: how long it was, what it saw and how its loss went."""

    total_steps: int = column("updates of the budget", unit="steps", ge=1)
    num_updates: int = column("updates made; below total_steps if the run was stopped", unit="steps", ge=0)
    num_captures: int = column("captured steps, step 0 included", ge=0)
    num_train_items: int = column("items the curriculum may draw", ge=1)
    num_truncated: int = column("of these, items whose end was cut off", ge=0)
    first_loss: float = column("loss of the first batch", unit="nats/token", nullable=True)
    best_loss: float = column("smallest loss of a batch", unit="nats/token", nullable=True)
    final_loss: float = column("loss of the last batch; NaN if it stopped for that", unit="nats/token", nullable=True)
    final_loss_smooth: float = column("its exponential moving average", unit="nats/token", nullable=True)
    stopped_early: bool = column("a controller stopped the run")
    stop_reason: str = column("the controller's words; null if the run went to its end", nullable=True)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "arm", "seed"]


class StgEvents(_OfRun):
    """One row per selected change point of a single series, with the metric group of its consensus cell."""

    event_id: str = column("unique within the run")
    probe_set: str = column(_PROBE)
    component: str = column(_COMPONENT)
    layer: int = column(_LAYER, ge=0)
    metric: str = column(_METRIC)
    metric_group: str = column(_GROUP, isin=_GROUPS)
    step: int = column("first capture after the change", unit="steps", ge=0)
    is_pre_warmup: bool = column("at or before the end of warm-up")
    polarity: int = column("+1 up, -1 down", nullable=True, isin=[-1, 1])
    robust_z: float = column("(increment - baseline median) / baseline sigma", nullable=True)
    score: float = column("a ranking, never a threshold", nullable=True)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "arm", "seed", "event_id"]


class StgDetections(_OfRun):
    """One row per run and probe set: what detection examined, saw and selected, also where that is nothing."""

    probe_set: str = column(_PROBE)
    num_series: int = column("series examined", ge=1)
    num_candidates: int = column("points above their series' threshold", ge=0)
    num_events: int = column("of these selected", ge=0)
    num_events_pre_warmup: int = column("of these at or before the end of warm-up", ge=0)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "arm", "seed", "probe_set"]


class StgTraceCounts(_OfRun):
    """One row per run and item that it drew at least once."""

    item_id: str = column("training item")
    content_sha256: str = column("hash of the item's text")
    family_id: str = column("true family of the item")
    planted: bool = column("a planted trigger item")
    num_draws: int = column("places in batches", ge=1)
    first_step: int = column("first step that drew it, from 0", unit="steps", ge=0)
    last_step: int = column("last step that drew it", unit="steps", ge=0)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "arm", "seed", "item_id"]


class IntExposure(_OfArm):
    """One row per arm and item that the arm's runs drew or its curriculum promises."""

    item_id: str = column("training item")
    family_id: str = column("true family of the item")
    num_runs: int = column("runs of the arm", ge=1)
    num_draws: int = column("draws over all of them", ge=0)
    draws_per_run: float = column("mean draws of a run", ge=0)
    expected_draws: float = column("draws the curriculum promises a run; null: not in it", nullable=True, ge=0)
    ratio: float = column("draws_per_run / expected_draws; null without a promise", nullable=True, ge=0)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "arm", "item_id"]


class IntEventSupport(_OfArm):
    """One row per arm, series and bin of 10 steps in which at least one seed shows an event."""

    probe_set: str = column(_PROBE)
    component: str = column(_COMPONENT)
    layer: int = column(_LAYER, ge=0)
    metric: str = column(_METRIC)
    metric_group: str = column(_GROUP, isin=_GROUPS)
    bin_start: int = column("first step of the bin", unit="steps", ge=0)
    num_events: int = column("events in it, over seeds", ge=1)
    num_seeds: int = column("seeds with at least one", ge=1)
    num_runs: int = column("analysed runs of the arm", ge=1)
    share_seeds: float = column("num_seeds / num_runs", gt=0, le=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "arm", "probe_set", "component", "layer", "metric", "bin_start"]


class IntConsensusMembers(_OfArm):
    """One row per consensus event and seed that has an event in it."""

    probe_set: str = column(_PROBE)
    consensus_event_id: str = column("the consensus event")
    seed: int = column(_SEED, ge=0)
    band: str = column("layer band of the cell")
    metric_group: str = column(_GROUP, isin=_GROUPS)
    polarity: int = column("of the consensus event: +1 up, -1 down, after orientation", isin=[-1, 1])
    median_step: float = column("median over seeds", unit="steps", ge=0)
    q_value: float = column("of the consensus event", gt=0, le=1)
    event_id: str = column("the run's event; null if the detector selected none there", nullable=True)
    step: int = column("its step", unit="steps", nullable=True, ge=0)
    layer: int = column("its layer", nullable=True, ge=0)
    metric: str = column("its metric", nullable=True)
    z: float = column("its size", unit="envelopes", nullable=True)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "consensus_event_id", "seed"]


class MartArmSummary(_OfArm):
    """One row per arm: its runs, their loss, their events, and its consensus events beside what chance gives."""

    num_runs: int = column("runs of the arm", ge=1)
    num_stopped_early: int = column("of these stopped by a controller", ge=0)
    mean_first_loss: float = column("loss of the first batch, mean over runs", unit="nats/token", nullable=True)
    mean_final_loss: float = column("loss of the last batch, mean over runs", unit="nats/token", nullable=True)
    mean_final_loss_smooth: float = column("smoothed loss at the end, mean over runs", unit="nats/token", nullable=True)
    mean_num_events_a: float = column("events a run in probe set a; null: not analysed", nullable=True, ge=0)
    mean_num_events_b: float = column("events a run in probe set b; null: not analysed", nullable=True, ge=0)
    num_seeds: int = column("seeds the consensus rests on; null: not tested yet", nullable=True, ge=1)
    num_consensus_events: int = column("observed; null: not tested yet", nullable=True, ge=0)
    null_mean: float = column("consensus events that chance gives", nullable=True, ge=0)
    excess: float = column("num_consensus_events - null_mean", nullable=True)
    ci_lo: float = column("lower end of the 95 % interval of the excess", nullable=True)
    ci_hi: float = column("its upper end", nullable=True)
    p_value: float = column("against the nulls", nullable=True, gt=0, le=1)
    q_value: float = column("Benjamini-Hochberg over the arms", nullable=True, gt=0, le=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "arm"]


class MartClaims(Table):
    """One row per claim, the best supported ones of a study first."""

    study: str = column(_STUDY)
    claim: str = column("consensus:ARM, planted:ARM or contrast:ARM-AGAINST:OUTCOME")
    verdict: str = column(
        "by the one verdict function", isin=["supported", "exploratory", "not supported", "underpowered"]
    )
    arm: str = column("arm that the claim is about")
    contrast: str = column("arm it is compared with; null if none", nullable=True)
    hypothesis: str = column("what the claim says, in words")
    estimate: float = column("size of the effect", nullable=True)
    ci_lo: float = column("lower end of the 95 % interval", nullable=True)
    ci_hi: float = column("its upper end", nullable=True)
    unit: str = column("of estimate, interval and null_mean")
    null_mean: float = column("what the estimate is on average when there is nothing", nullable=True)
    p_value: float = column("the largest over the null families", nullable=True, gt=0, le=1)
    q_value: float = column("over the claims of the same pre-registered family", nullable=True)
    n_seeds: int = column("seeds of the arm (pairs of seeds in a contrast)", ge=0)
    n_items: int = column("distinct training items of the arm's curriculum", nullable=True, ge=0)
    control: str = column("arm or null the effect must exceed; null if none", nullable=True)
    control_difference: float = column("estimate - the control's", nullable=True)
    control_ci_lo: float = column("95 % interval of the difference", nullable=True)
    control_ci_hi: float = column("its upper end", nullable=True)
    preregistered: bool = column("stated in the study value before the runs")
    scale: str = column("embedded model, or which real model and data")
    method: str = column("test and interval")
    reasons: str = column("why the verdict, in sentences")
    evidence: str = column("JSON: tables and row keys the claim rests on")
    analysis_id: str = column("version of the interpretation")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "analysis_id", "claim"]


class MartEventAgreement(_OfArm):
    """One row per arm, probe set and metric: how often its runs show events in the same places. No null, no test."""

    probe_set: str = column(_PROBE)
    metric: str = column(_METRIC)
    metric_group: str = column(_GROUP, isin=_GROUPS)
    num_runs: int = column("analysed runs of the arm", ge=1)
    num_events: int = column("events over all of them", ge=1)
    num_places: int = column("series and 10-step bins with any event", ge=1)
    num_in_every_run: int = column("of these with an event in every run", ge=0)
    share_in_every_run: float = column("num_in_every_run / num_places", ge=0, le=1)
    mean_share_seeds: float = column("mean over places of the share of runs with an event", gt=0, le=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "arm", "probe_set", "metric"]


class MartItemExposure(Table):
    """One row per study and item that any of its arms drew or promised."""

    study: str = column(_STUDY)
    item_id: str = column("training item")
    family_id: str = column("true family of the item")
    family_type: str = column("target, control or other; null outside the pool", nullable=True)
    difficulty_proxy: str = column("easy, medium or hard; null outside the pool", nullable=True)
    num_arms: int = column("arms that drew it", ge=0)
    num_runs: int = column("runs of the arms that drew or promised it", ge=1)
    num_draws: int = column("draws over all runs", ge=0)
    expected_draws: float = column("draws promised over all runs; null: no promise", nullable=True, ge=0)
    min_ratio: float = column("smallest observed / promised of an arm", nullable=True, ge=0)
    max_ratio: float = column("largest observed / promised of an arm", nullable=True, ge=0)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "item_id"]


TABLES: dict[str, type[Table]] = {
    "stg_runs": StgRuns,
    "stg_events": StgEvents,
    "stg_detections": StgDetections,
    "stg_trace_counts": StgTraceCounts,
    "int_exposure": IntExposure,
    "int_event_support": IntEventSupport,
    "int_consensus_members": IntConsensusMembers,
    "mart_arm_summary": MartArmSummary,
    "mart_claims": MartClaims,
    "mart_event_agreement": MartEventAgreement,
    "mart_item_exposure": MartItemExposure,
    **evidence.TABLES,
}
