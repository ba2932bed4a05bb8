"""Tables of change points: the baselines they are judged by, the events, and the account of every candidate.

Here: one model per table. Not here: agreement of events across seeds (schemas.consensus).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column

_PROBE = "frozen probe items: a in distribution, b held out"


class _OfRun(Table):
    arm: str = column("arm of the run")
    seed: int = column("seed of the run")
    run_id: str = column("hash of the run's canonical spec")
    analysis_id: str = column("version of the interpretation: readable prefix and hash over every parameter")


class _OfSeries(_OfRun):
    probe_set: str = column(_PROBE)
    component: str = column("which tensor of the block")
    layer: int = column("index of the block", ge=0)
    metric: str = column("geometry metric")


class Baselines(Table):
    """One row per series (probe set, component, layer, metric) and excluded seed of the baseline arm."""

    arm: str = column("the baseline arm: placebo or shuffled labels")
    probe_set: str = column(_PROBE)
    component: str = column("which tensor of the block")
    layer: int = column("index of the block", ge=0)
    metric: str = column("geometry metric")
    excluded_seed: int = column("seed left out, for scoring that seed itself; null: none left out", nullable=True)
    median: float = column("upper median of the signed increments", unit="metric")
    mad_sigma: float = column("1.4826 * MAD of the signed increments; null if they do not vary", nullable=True, gt=0)
    size_median: float = column("upper median of the absolute increments", unit="metric", ge=0)
    size_mad_sigma: float = column("1.4826 * MAD of the absolute increments; null if 0", nullable=True, gt=0)
    window_median: float = column("upper median of the largest increment of each window of captures", ge=0)
    window_mad_sigma: float = column("1.4826 * MAD of those; null if 0", nullable=True, gt=0)
    volatility: float = column("upper median of the median absolute increment of each window; null if 0", nullable=True)
    interval_steps: float = column("usual interval between captures", unit="steps", gt=0)
    num_increments: int = column("increments pooled", ge=2)
    num_runs: int = column("runs pooled", ge=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "probe_set", "component", "layer", "metric", "excluded_seed"]


class Events(_OfRun):
    """One row per change point of one run, of one series or (composite) of several metrics of one layer."""

    event_id: str = column("e0, e1, ... by score, layer, metric, step; unique within run and analysis")
    series_id: str = column("probe_set.component.layer.metric")
    probe_set: str = column(_PROBE)
    component: str = column("which tensor of the block")
    layer: int = column("index of the block", ge=0)
    metric: str = column("geometry metric; __composite__ for several")
    event_type: str = column("change_point or change_point_composite", isin=["change_point", "change_point_composite"])
    step: int = column("first capture after the change", unit="steps", ge=0)
    start_step: int = column("last capture surely before the change", unit="steps", ge=0)
    end_step: int = column("first capture surely after it", unit="steps", ge=0)
    event_phase: str = column(
        "shaping < .30 of the step range, locking > .70, else transition", isin=["shaping", "transition", "locking"]
    )
    phase_progress: float = column("share of the step range passed", ge=0, le=1)
    is_pre_warmup: bool = column("at or before the end of warm-up")
    increment: float = column("signed change per usual capture interval; null for composites", nullable=True)
    metric_size: float = column("|increment|; null for composites", nullable=True, ge=0)
    delta: float = column("median after minus median before; null for composites", nullable=True)
    polarity: int = column("+1 if delta >= 0, else -1; null for composites", nullable=True, isin=[-1, 1])
    local_baseline_median: float = column("upper median of sizes near the peak, peak included", nullable=True)
    local_baseline_mad: float = column("unscaled MAD of the same", nullable=True)
    local_z: float = column("(size - local median) / local MAD; null where the MAD is 0", nullable=True)
    baseline_scope: str = column(
        "arm: all runs of the baseline arm; leave_one_out: the other seeds of this arm; none: no such baseline",
        isin=["arm", "leave_one_out", "none"],
    )
    robust_z: float = column("(increment - baseline median) / baseline mad_sigma, signed", nullable=True)
    metric_z: float = column("(size - baseline size median) / its mad_sigma, clipped to 0..6", nullable=True)
    volatility_event: float = column("upper median of sizes around the peak", nullable=True)
    volatility_baseline: float = column("the same in the baseline arm", nullable=True)
    volatility_ratio: float = column("event / baseline; median over metrics for composites", nullable=True)
    magnitude: float = column("sigmoid(metric_z), .5 to .9975", nullable=True, ge=0, le=1)
    structure_modifier: float = column("exp(-.7 max(0, volatility_ratio - 1)); 1 without a ratio", gt=0, le=1)
    magnitude_eff: float = column("magnitude * structure_modifier", nullable=True, ge=0, le=1)
    magnitude_centred: float = column("M' = 2 * magnitude_eff - 1", nullable=True, ge=-1, le=1)
    coherence: float = column("agreement across seeds; null until consensus", nullable=True)
    novelty: float = column(
        "1 - largest cosine to accepted earlier signatures; null until there are any", nullable=True
    )
    score: float = column("magnitude_eff with coherence and novelty 1: a ranking, never a threshold", nullable=True)
    event_rank_in_series: int = column("rank of score within series, ties share the smallest", nullable=True, ge=1)
    normalized_score: float = column("(n - rank + 1) / n within the series", nullable=True, gt=0, le=1)
    composite_metrics: str = column("metrics of a composite, comma-separated", nullable=True)
    composite_num_metrics: int = column("how many", nullable=True, ge=2)
    composite_num_groups: int = column("in how many metric groups; 1 means one measurement", nullable=True, ge=1)
    composite_strength: float = column("overlap, coverage, number and occupancy in one figure", nullable=True)
    composite_window_len: int = column("captures in the merged window", nullable=True, ge=1)
    composite_overlap_len: float = column("mean pairwise overlap of the metrics", unit="captures", nullable=True)
    composite_coverage_ratio: float = column("mean share of the union that a metric covers", nullable=True)
    composite_min_occupancy: float = column("smallest such share", nullable=True)
    composite_alignment_sd: float = column("sd of the metrics' peak positions", unit="captures", nullable=True)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["run_id", "analysis_id", "event_id"]


class DetectionCandidates(_OfSeries):
    """One row per point above its series' threshold: selected, or why not."""

    step: int = column("first capture after the change", unit="steps", ge=0)
    size: float = column("absolute increment per usual capture interval", unit="metric", gt=0)
    threshold: float = column("what it exceeds", unit="metric", ge=0)
    is_pre_warmup: bool = column("at or before the end of warm-up")
    selected: bool = column("became an event")
    skip_reason: str = column("null for events", nullable=True, isin=["suppression", "topk", "pre_warmup_cap"])
    suppressed_by_step: int = column("step of the selected point that suppressed it", nullable=True)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["run_id", "analysis_id", "probe_set", "component", "layer", "metric", "step"]


class DetectionSummary(_OfSeries):
    """One row per series of one run, also those without a candidate: how candidates became events."""

    threshold: float = column("a point is a candidate above this", unit="metric", ge=0)
    warmup_end: float = column("last step of warm-up", unit="steps")
    num_increments: int = column("points examined", ge=2)
    num_candidates: int = column("points above the threshold", ge=0)
    num_candidates_pre: int = column("of these up to the end of warm-up", ge=0)
    num_selected: int = column("events", ge=0)
    num_selected_pre: int = column("events up to the end of warm-up", ge=0)
    num_skipped_suppression: int = column("too near to a selected one", ge=0)
    num_skipped_suppression_pre: int = column("of these up to the end of warm-up", ge=0)
    num_skipped_topk: int = column("after warm-up, budget spent", ge=0)
    num_skipped_pre_warmup_cap: int = column("up to the end of warm-up, budget spent", ge=0)
    share_retained: float = column("selected / candidates; null without candidates", nullable=True, ge=0, le=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["run_id", "analysis_id", "probe_set", "component", "layer", "metric"]


TABLES: dict[str, type[Table]] = {
    "baselines": Baselines,
    "events": Events,
    "detection_candidates": DetectionCandidates,
    "detection_summary": DetectionSummary,
}
