"""Tables of attribution: items that precede events, sets of them, how alike their lists are, what can be seen at all.

Here: one model per table. Not here: the events (schemas.consensus), what replays of the items show.
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column

_ANALYSIS = "version of the interpretation: hash over every parameter"
_ITEM = "item of the arm's policy"
_FAMILY = "its family (the true label)"
_LIFT_P = "exact upper tail of the count given how often each run showed the item, at this lag"


class _OfArm(Table):
    arm: str = column("arm of the runs")
    analysis_id: str = column(_ANALYSIS)
    probe_set: str = column("frozen probe items: a in distribution, b held out")


class _OfEvent(_OfArm):
    consensus_event_id: str = column("the consensus event")
    event_signature: str = column("kind of event: band.metric_group and its direction")
    band: str = column("layer band of the cell: layers_LO_HI")
    metric_group: str = column("metrics of one group are one measurement")
    polarity: int = column("+1 up, -1 down, after orientation of the metrics of a group", isin=[-1, 1])


class EventLocations(_OfArm):
    """One row per significant consensus event: where it is looked for in other runs, frozen before they are made."""

    consensus_event_id: str = column("the consensus event")
    q_value: float = column("of the event", gt=0, le=1)
    layer_lo: int = column("lowest layer of the band", ge=0)
    layer_hi: int = column("highest layer of the band", ge=0)
    metric_group: str = column("metrics of one group are one measurement")
    polarity: int = column("+1 up, -1 down, after orientation", isin=[-1, 1])
    event_step: int = column("consensus step", unit="steps", ge=0)
    onset_step: float = column("from here on the event is waited for", unit="steps", ge=0)
    tolerance_steps: float = column("steps around the consensus step in which it counts", unit="steps", gt=0)
    floor: float = column("least strength that counts as the event", unit="envelopes")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "analysis_id", "consensus_event_id"]


class TriggerAttribution(_OfEvent):
    """One row per consensus event and item that a window of it holds, at the item's best lag; no row: not shown."""

    item_id: str = column(_ITEM)
    content_sha256: str = column("content of the item")
    family_id: str = column(_FAMILY)
    lag: int = column("steps before the onset at which the window begins; of the lags, that with the smallest p", ge=0)
    window_lo: int = column("first draw of the earliest window over the seeds", unit="steps", ge=0)
    window_hi: int = column("step after the last draw of the latest window: the peak's capture", unit="steps", ge=1)
    n_seeds: int = column("seeds that showed it more often than expected", ge=0)
    seeds_present: str = column("JSON list of seeds whose window holds it")
    count_window: int = column("showings in the windows", ge=0)
    count_total: int = column("showings in the whole runs of the event's seeds", ge=1)
    expected_window: float = column("showings in the windows that chance gives, given count_total by seed", ge=0)
    expected_policy: float = column("expected by the policy alone, planted slots included", ge=0)
    lift: float = column("(count_window + .5) / (expected_window + .5)", gt=0)
    log_lift_shrunk: float = column("posterior mean of the natural log of the lift (Gamma prior of mean 1)")
    lb05: float = column("5 % quantile of its posterior; above 0: more often than expected")
    p_value: float = column(_LIFT_P, ge=0, le=1)
    p_lags: float = column("p_value times the number of lags, at most 1", ge=0, le=1)
    q_value: float = column(
        "Benjamini-Hochberg of p_lags over all items and events of the arm with this null_id", ge=0, le=1
    )
    family_count: int = column("showings of its family in the windows", ge=0)
    family_expected: float = column("sum of expected_window over the family", ge=0)
    family_lift: float = column("(family_count + .5) / (family_expected + .5)", gt=0)
    family_p: float = column("upper tail of family_count; errs to the safe side", ge=0, le=1)
    p_in_family: float = column("upper tail of count_window given family_count: does it stand out in it?", ge=0, le=1)
    score_freq: float = column("the sources' score: seeds * windows * (1 + .05 * showings) over all events", ge=0)
    is_trigger: bool = column("q_value and n_seeds as pre-registered")
    rank: int = column("1 = highest lb05 of the event", ge=1)
    method: str = column("which test", isin=["exposure_conditioned_binomial"])
    null_id: str = column(
        "when a showing falls by chance: policy_time (the policy's expected draws) or uniform_time (planted items and "
        "others whose timing the policy does not randomise: item and time cannot be told apart without a replay)",
        isin=["policy_time", "uniform_time"],
    )

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "analysis_id", "consensus_event_id", "item_id"]


class TriggerStatus(_OfEvent):
    """One row per consensus event: what attribution says about it, 'no triggers' included."""

    num_seeds: int = column("seeds that take part in the event", ge=1)
    num_tested: int = column("items that these seeds were shown at all", ge=1)
    num_shown: int = column("of these, items that a window holds", ge=0)
    num_triggers: int = column("items that are triggers", ge=0)
    smallest_p: float = column("smallest p_lags", nullable=True, ge=0, le=1)
    smallest_q: float = column("smallest q_value", nullable=True, ge=0, le=1)
    attainable_q: float = column(
        "q that the most telling item would get if all its showings lay in the windows; above the threshold no item "
        "can be a trigger",
        ge=0,
        le=1,
    )
    status: str = column("the answer", isin=["triggers", "no triggers", "underpowered"])
    windows_json: str = column("JSON object lag -> seed -> [first draw, step after the last draw]")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "analysis_id", "consensus_event_id"]


class ExposureLocked(_OfArm):
    """One row per cell and direction with a consensus event, and item: how the cell moves just after its showings."""

    band: str = column("layer band of the cell: layers_LO_HI")
    metric_group: str = column("metrics of one group are one measurement")
    polarity: int = column("direction that counts as effect", isin=[-1, 1])
    item_id: str = column(_ITEM)
    content_sha256: str = column("content of the item")
    family_id: str = column(_FAMILY)
    num_exposures: int = column("showings with enough captures on both sides, all seeds", ge=1)
    n_seeds: int = column("seeds with such a showing", ge=1)
    effect: float = column("mean increment after less before, over showings", unit="robust sd of the increments")
    expected_effect: float = column("its mean by the policy: phases move the cell too", unit="robust sd")
    z: float = column("(effect - expected) in sd of it, by the policy")
    p_value: float = column("one-sided, against redrawn runs of all items that the policy treats alike", gt=0, le=1)
    q_value: float = column("Benjamini-Hochberg over all rows of the arm", gt=0, le=1)
    rank: int = column("1 = largest z of the cell and direction", ge=1)
    num_null: int = column("redrawn values that p rests on", ge=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = [
            "arm",
            "analysis_id",
            "probe_set",
            "band",
            "metric_group",
            "polarity",
            "item_id",
        ]


class TriggerBundles(_OfArm):
    """One row per consensus event with triggers, bundle size and half of the seeds that ranked."""

    consensus_event_id: str = column("the consensus event")
    size: int = column("items of the bundle", ge=1)
    ranked_on: str = column("JSON list of the seeds whose ranking gave the tested items")
    tested_on: str = column("JSON list of the other seeds, in whose windows they were counted")
    count_window: int = column("showings of the items in the windows", ge=0)
    expected_window: float = column("showings that chance gives", ge=0)
    lift: float = column("(count_window + .5) / (expected_window + .5)", gt=0)
    lift_lower: float = column("exact lower bound, 5 % shared over the sizes tried", nullable=True, ge=0)
    holds: bool = column("lift_lower > 1")
    is_minimal: bool = column("smallest size that holds in both directions")
    item_ids: str = column("JSON list: the top of the ranking over all seeds, which is what is handed on")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "analysis_id", "consensus_event_id", "size", "ranked_on"]


class TriggerOverlap(Table):
    """One row per pair of trigger lists (arms, seeds or sampling modes) and size of their tops."""

    study: str = column("study")
    analysis_id: str = column(_ANALYSIS)
    list_a: str = column("name of the first list")
    list_b: str = column("name of the second list")
    k: int = column("size of the tops", ge=1)
    num_a: int = column("items of the first top, drawable by both", ge=0)
    num_b: int = column("items of the second top, drawable by both", ge=0)
    num_drawable: int = column("items that both sides could draw", ge=0)
    overlap: int = column("items in both tops", ge=0)
    expected_overlap: float = column("num_a * num_b / num_drawable", ge=0)
    jaccard: float = column("overlap / union; null if one list is empty", nullable=True, ge=0, le=1)
    expected_jaccard: float = column("that of the expected overlap: K / (2 N - K)", nullable=True, ge=0, le=1)
    p_value: float = column("hypergeometric, of an overlap at least as large", nullable=True, ge=0, le=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "analysis_id", "list_a", "list_b", "k"]


class MinimumLift(Table):
    """One row per arm and lag: the smallest lift of an item that attribution would find in a design of this size."""

    study: str = column("study")
    arm: str = column("arm of the study")
    lag: int = column("steps before the onset at which the window begins", ge=0)
    window_steps: int = column("length of a window", unit="steps", ge=1)
    num_seeds: int = column("seeds that take part in an event", ge=1)
    num_steps: int = column("steps of a run", unit="steps", ge=1)
    batch_size: int = column("draws per step", ge=1)
    num_items: int = column("items that can be drawn", ge=1)
    num_events: int = column("consensus events assumed to be tested together", ge=1)
    num_tests: int = column("items × events", ge=1)
    expected_window: float = column("showings of an item in the windows of all seeds by chance", gt=0)
    expected_total: float = column("showings of an item in all runs", gt=0)
    threshold_p: float = column("p that one lone trigger must reach", gt=0, lt=1)
    minimum_lift: float = column("smallest lift found with that power; null if none is", nullable=True, ge=1)
    minimum_extra: float = column("the same as showings above chance, per window of a seed", nullable=True, ge=0)
    power: float = column("wanted chance to find it", gt=0, lt=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "arm", "lag"]


TABLES: dict[str, type[Table]] = {
    "event_locations": EventLocations,
    "trigger_attribution": TriggerAttribution,
    "trigger_status": TriggerStatus,
    "exposure_locked": ExposureLocked,
    "trigger_bundles": TriggerBundles,
    "trigger_overlap": TriggerOverlap,
    "minimum_lift": MinimumLift,
}
