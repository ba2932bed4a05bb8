"""Tables of agreement across seeds: consensus events, the draws of the nulls, pairwise invariance.

Here: one model per table. Not here: events of single runs (schemas.events), what is concluded (schemas.claims).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column

_ARM = "arm of the runs"
_ANALYSIS = "version of the interpretation: hash over every parameter"
_PROBE = "frozen probe items: a in distribution, b held out"
_GROUP = "metrics of one group are one measurement: spectral, sparsity, angle"
_KINDS = ["start", "warmup_end", "phase_start", "decay_start"]


class _OfArm(Table):
    arm: str = column(_ARM)
    analysis_id: str = column(_ANALYSIS)
    probe_set: str = column(_PROBE)


class ConsensusEvents(_OfArm):
    """One row per consensus event of one arm: a moment at which enough seeds moved the same way in one cell."""

    consensus_event_id: str = column("hash of arm, analysis, probe set, cell, polarity and median step")
    band: str = column("layer band of the cell: layers_LO_HI")
    metric_group: str = column(_GROUP)
    layer_lo: int = column("lowest layer of the band", ge=0)
    layer_hi: int = column("highest layer of the band", ge=0)
    polarity: int = column("+1 up, -1 down, after orientation of the metrics of a group", isin=[-1, 1])
    peak_step: int = column("centre on the capture grid with the largest total", unit="steps", ge=0)
    onset_step: float = column("median over seeds of the last capture surely before", unit="steps", ge=0)
    end_step: float = column("median over seeds of the first capture surely after", unit="steps", ge=0)
    median_step: float = column("median over seeds of the first capture after the change", unit="steps", ge=0)
    step_sd: float = column("population standard deviation over seeds", unit="steps", ge=0)
    step_ci_lo: float = column("95 % bootstrap interval of the median over seeds", unit="steps", nullable=True)
    step_ci_hi: float = column("its upper end", unit="steps", nullable=True)
    n_seeds: int = column("seeds of the arm whose runs went to their end", ge=1)
    num_matched: int = column("seeds with an event here", ge=1)
    support: float = column("num_matched / n_seeds", ge=0, le=1)
    timing: float = column("exp(-(step_sd / tau)^2 / 2)", ge=0, le=1)
    polarity_agreement: float = column("|sum of the events' own polarities| / matched", ge=0, le=1)
    shape_similarity: float = column("mean correlation of detrended windows, clipped to 0..1", nullable=True)
    coherence: float = column("support * timing * polarity_agreement * shape_similarity", nullable=True)
    novelty: float = column("null until there are accepted signatures; taken as 1", nullable=True)
    magnitude_mean: float = column("mean M' of the matched events; null without a baseline", nullable=True)
    dis_weighted: float = column("weighted mean M' of the matched events * coherence", nullable=True)
    dis_ci_lo: float = column("95 % bootstrap interval over seeds", nullable=True)
    dis_ci_hi: float = column("its upper end", nullable=True)
    dis_intention: float = column("the same with M' = 0 for seeds without an event", nullable=True)
    statistic: float = column("sum over seeds of min(|z|, 6), z in envelopes", ge=0)
    null_mean: float = column("mean of the cell's best statistic, in the null family with the larger p")
    p_shift: float = column("share of shifted draws whose best statistic in this cell is as large", gt=0, le=1)
    p_surrogate: float = column("the same over envelope-preserving surrogates", gt=0, le=1)
    p_value: float = column("the larger of the two", gt=0, le=1)
    p_familywise: float = column("max-statistic p over all cells, the larger of the two families", gt=0, le=1)
    q_value: float = column("Benjamini-Hochberg over the tested cells and further events", gt=0, le=1)
    near_boundary: bool = column("nearest schedule boundary within tau + one capture interval")
    boundary_kind: str = column("which boundary is nearest", isin=_KINDS)
    boundary_distance: float = column("median_step - boundary; negative: before it", unit="steps")
    outlier_seeds: str = column("JSON list of seeds without an event or > 3 robust sd from the median step")
    constituents: str = column("JSON object seed -> {event_id, step, layer, metric, z}")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["consensus_event_id"]


class NullDraws(_OfArm):
    """One row per null family, draw and cell; band and metric_group 'all' hold the count of consensus events."""

    band: str = column("layer band of the cell; all: every cell together")
    metric_group: str = column(_GROUP + "; all: every cell together")
    null: str = column(
        "shift or surrogate; observed: the data themselves, draw 0", isin=["observed", "shift", "surrogate"]
    )
    draw: int = column("number of the draw", ge=0)
    statistic: float = column("largest total of the cell; for 'all' the number of consensus events", ge=0)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "analysis_id", "probe_set", "band", "metric_group", "null", "draw"]


class PairingDraws(Table):
    """One row per draw and cell of groups of runs from different arms, each seed once; band 'all' as in null_draws."""

    study: str = column("study")
    analysis_id: str = column(_ANALYSIS)
    probe_set: str = column(_PROBE)
    band: str = column("layer band of the cell; all: every cell together")
    metric_group: str = column(_GROUP + "; all: every cell together")
    null: str = column("pairing: no family that an event has to beat", isin=["pairing"])
    draw: int = column("number of the draw", ge=0)
    statistic: float = column("largest total of the cell; for 'all' the number of consensus events", ge=0)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "analysis_id", "probe_set", "band", "metric_group", "draw"]


class Invariance(_OfArm):
    """One row per pair of seeds and measure of similarity, beside what chance gives."""

    seed_a: int = column("the smaller seed")
    seed_b: int = column("the larger seed")
    measure: str = column(
        "trajectory_correlation (detrended differences), neighbour_coverage, region_jaccard, window_iou_jaccard",
        isin=["trajectory_correlation", "neighbour_coverage", "region_jaccard", "window_iou_jaccard"],
    )
    layer: int = column("of a trajectory; null: over all series", nullable=True, ge=0)
    metric: str = column("of a trajectory; null: over all series", nullable=True)
    value: float = column("the measure; null where it is not defined", nullable=True)
    null_mean: float = column("mean with the second seed turned round a circle in time", nullable=True)
    p_value: float = column(
        "(1 + turns at least as alike) / (1 + turns), different turns; the schedule that both share lowers it too",
        nullable=True,
        gt=0,
        le=1,
    )

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = [
            "arm",
            "analysis_id",
            "probe_set",
            "seed_a",
            "seed_b",
            "measure",
            "layer",
            "metric",
        ]


TABLES: dict[str, type[Table]] = {
    "consensus_events": ConsensusEvents,
    "null_draws": NullDraws,
    "invariance": Invariance,
    "pairing_draws": PairingDraws,
}
