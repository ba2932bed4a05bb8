"""Tables of an impact curriculum: what its design can show, the cores, how they came about, what starting there does.

Here: one model per table. Not here: the evidence that ranks items (schemas.triggers), claims (schemas.claims).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column

_SHA256 = r"^[0-9a-f]{64}$"
_STUDY, _ANALYSIS = "study", "version of the interpretation"
_ARM = "arm whose event ranked the item; null in control cores"
_SIGNATURE = "kind of event: band.metric_group and its direction"
_STATUSES = ["triggers", "mixed", "ranked", "no_selection"]


class ImpactDesign(Table):
    """One row per family of claims: what it could show at best, before anything is spent."""

    study: str = column(_STUDY)
    family: str = column("claims that are corrected together: events, cell, learning")
    num_claims: int = column("claims of the family", ge=1)
    n_seeds: int = column("fresh seeds, each a pair of runs in a contrast", ge=0)
    alpha: float = column("level of the study", gt=0, lt=1)
    smallest_p: float = column("of one exact one-sided sign flip; null without seeds", nullable=True, gt=0, le=1)
    smallest_q: float = column("of a lone effect among the family's claims", nullable=True, gt=0, le=1)
    reaches_alpha: bool = column(
        "smallest_q is at most alpha and there are two random cores or more; if not, a lone effect cannot be supported"
    )
    seeds_for_alpha: int = column("fresh seeds from which on smallest_q is at most alpha", ge=1)
    num_draws: int = column("random cores per weight", ge=1)
    spreads_for_alpha: float = column(
        "how far the impact core has to lie from the mean of the random cores for a lone effect to reach alpha over "
        "cores too: this p has no lower bound; null with one random core, when no distance is enough",
        unit="sd over the random cores",
        nullable=True,
        gt=0,
    )

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "family"]


class ImpactCore(Table):
    """One row per core, draw and rank: an item, for the impact core with what chose it; no row: no selection."""

    core: str = column(
        "impact: what discovery ranks first; random: others of the same families; loss: the hardest of them",
        isin=["impact", "random", "loss"],
    )
    draw: int = column("which of the random cores, from 0; 0 for the others", ge=0)
    rank: int = column("1 = best of the impact core; a control item has the rank of the item it replaces", ge=1)
    replaces: str = column("item_id of the impact core in whose place it stands; null in that core", nullable=True)
    item_id: str = column("training item")
    content_sha256: str = column("content of the item", str_matches=_SHA256)
    family_id: str = column("its family (the true label)")
    base_loss: float = column(
        "mean loss of its completion under the base model; NaN: no completion token", unit="nats/token", nullable=True
    )
    arm: str = column(_ARM, nullable=True)
    analysis_id: str = column(_ANALYSIS + " that the event is of; null in control cores", nullable=True)
    probe_set: str = column("frozen probe items of the event", nullable=True)
    consensus_event_id: str = column("the event; null in control cores", nullable=True)
    event_signature: str = column(_SIGNATURE, nullable=True)
    band: str = column("layer band of the event's cell", nullable=True)
    metric_group: str = column("metric group of the event's cell", nullable=True)
    polarity: int = column("+1 up, -1 down, after orientation", nullable=True, isin=[-1, 1])
    event_step: float = column("median step of the event over seeds", unit="steps", nullable=True, ge=0)
    event_q: float = column("q of the event", nullable=True, gt=0, le=1)
    near_boundary: bool = column("whether the event lies near a boundary of the schedule", nullable=True)
    is_significant: bool = column("whether event_q is at most alpha", nullable=True)
    is_trigger: bool = column("whether the item is a trigger of the event, as pre-registered", nullable=True)
    lift: float = column("showings before the event over those that chance gives", nullable=True, gt=0)
    lb05: float = column("5 % quantile of the posterior log lift: what ranks", nullable=True)
    p_lags: float = column("p of the lift, corrected for the lags", nullable=True, ge=0, le=1)
    q_value: float = column("of the lift, over items and events of the arm", nullable=True, ge=0, le=1)
    effect: float = column(
        "how the event's cell moves just after the item's own showings, all of them; null if that was not measured",
        unit="robust sd of the increments",
        nullable=True,
    )
    effect_q: float = column("q of that effect", nullable=True, gt=0, le=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["core", "draw", "rank"]


class ImpactStatus(Table):
    """One row per study: how its core came about, 'no_selection' included."""

    study: str = column(_STUDY)
    status: str = column(
        "triggers: every item is a trigger of a significant event; mixed: some; ranked: none, they only rank highest; "
        "no_selection: too few items could be ranked",
        isin=_STATUSES,
    )
    reason: str = column("the same in words")
    num_significant_events: int = column("significant consensus events of the compared arms", ge=0)
    num_items: int = column("size of the core", ge=0)
    num_triggers: int = column("items of it that are triggers of a significant event", ge=0)
    num_families: int = column("families of its items", ge=0)
    num_shared_with_loss: int = column("items that the loss core holds too; null without a core", nullable=True, ge=0)
    core_sha256: str = column("hash of the sorted contents of the core", nullable=True)
    arm: str = column("arm of the event of the first item", nullable=True)
    analysis_id: str = column(_ANALYSIS, nullable=True)
    probe_set: str = column("probe set of that event", nullable=True)
    consensus_event_id: str = column("that event", nullable=True)
    band: str = column("its layer band", nullable=True)
    metric_group: str = column("its metric group", nullable=True)
    polarity: int = column("its direction", nullable=True, isin=[-1, 1])
    event_step: float = column("its median step over seeds", unit="steps", nullable=True, ge=0)
    event_q: float = column("its q", nullable=True, gt=0, le=1)
    near_boundary: bool = column("whether it lies near a boundary of the schedule", nullable=True)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study"]


class ImpactEffects(Table):
    """One row per pair of arms of the confirmation wave and outcome, over the fresh seeds that both have."""

    study: str = column(_STUDY)
    analysis_id: str = column(_ANALYSIS)
    arm: str = column("follow-up arm")
    against: str = column("follow-up arm it is compared with, or 'ARM-mean': the mean of the random cores of a weight")
    weight: int = column("of a core item while the rest is ramped in", ge=1)
    outcome: str = column("consensus_event_excess, cell_strength, cell_step, or final_SCALAR")
    unit: str = column("of estimate and interval")
    value: float = column("of the arm: consensus events, or mean over the shared seeds")
    value_against: float = column("of the other arm, or mean over the random cores")
    estimate: float = column("difference of the two; of events that of their excesses over the null")
    ci_lo: float = column(
        "lower end of its 95 % interval over seeds; against random cores of the wider one over seeds and over cores; "
        "null if it cannot be computed",
        nullable=True,
    )
    ci_hi: float = column("its upper end", nullable=True)
    ratio: float = column(
        "event rate ratio, (value + .5) / (value_against + .5); null for other outcomes", nullable=True, gt=0
    )
    ratio_lo: float = column("lower end of its 95 % interval", nullable=True)
    ratio_hi: float = column("its upper end", nullable=True)
    p_value: float = column(
        "one-sided, in the direction expected of the impact core; the larger of the next two", nullable=True, gt=0, le=1
    )
    p_seeds: float = column("over pairs of seeds", nullable=True, gt=0, le=1)
    p_cores: float = column(
        "the arm's core as one more draw of the random ones; null against one arm, and without spread over cores",
        nullable=True,
        gt=0,
        le=1,
    )
    smallest_p: float = column("the p that the most extreme data would get over seeds", nullable=True, gt=0, le=1)
    num_draws: int = column("random cores that 'against' is the mean of; null against one arm", nullable=True, ge=1)
    num_pairs: int = column("fresh seeds with a whole run in all arms concerned", ge=2)
    claimed: bool = column("whether a claim rests on it; the others compare the controls with each other")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "analysis_id", "arm", "against", "weight", "outcome"]


TABLES: dict[str, type[Table]] = {
    "impact_design": ImpactDesign,
    "impact_core": ImpactCore,
    "impact_status": ImpactStatus,
    "impact_effects": ImpactEffects,
}
