"""Tables that SQL models make of evidence: triggers, replays, items, probe families, checks of the platform.

Here: one model per file of dbt_like_sql that joins the tables of studies after their first runs. Not here: models over
runs, exposure and claims (schemas.warehouse), the tables that are joined (the other modules beside this one).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column

_STUDY, _ITEM = "study", "training item"
_VERDICTS = ["supported", "exploratory", "not supported", "underpowered"]
_CONDITIONS = ["exact", "replace", "remove", "placebo", "late", "early"]
_LABELS = ["kills", "delays", "weakens", "preserves", "inconclusive"]
_NULLS = ["policy_time", "uniform_time"]
_SPREADS = "spreads of random mixtures"
_HI = "its upper end"


class IntItemLifts(Table):
    """One row per study and item that a window of an attributed event holds, over all events of the study."""

    study: str = column(_STUDY)
    item_id: str = column(_ITEM)
    num_events_shown: int = column("events with a window that holds it", ge=1)
    num_events_trigger: int = column("of these, events it is a trigger of", ge=0)
    num_arms_trigger: int = column("arms with such an event", ge=0)
    best_arm: str = column("arm of the event with the smallest q of the item")
    best_event_id: str = column("that event")
    best_lift: float = column("showings before it over those that chance gives", gt=0)
    best_lb05: float = column("5 % quantile of the posterior log lift")
    best_q: float = column("q of the item there, corrected within the arm", ge=0, le=1)
    best_is_trigger: bool = column("whether it is a trigger of it")
    best_null_id: str = column("uniform_time: item and time cannot be told apart without a replay", isin=_NULLS)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "item_id"]


class IntItemEdits(Table):
    """One row per study and item that took part in an edit of any replay of its runs."""

    study: str = column("study whose runs were replayed")
    item_id: str = column(_ITEM)
    num_replays_edited: int = column("replays on the parents' seeds in which its draws gave way", ge=0)
    num_fresh_replays_edited: int = column("the same on fresh seeds", ge=0)
    num_placebo_replays: int = column("placebo replays in which they did, both waves", ge=0)
    num_replays_put_in: int = column("replays in which it stood in for another item, both waves", ge=0)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "item_id"]


class MartTriggers(Table):
    """One row per consensus event: what attribution says of it, 'no triggers' and 'not attributed' included."""

    study: str = column("study, or wave of one")
    arm: str = column("arm of the runs")
    analysis_id: str = column("version of the interpretation")
    probe_set: str = column("frozen probe items: a in distribution, b held out")
    consensus_event_id: str = column("the consensus event")
    band: str = column("layer band of the cell")
    metric_group: str = column("metrics of one group are one measurement")
    polarity: int = column("+1 up, -1 down, after orientation", isin=[-1, 1])
    median_step: float = column("median over seeds", unit="steps", ge=0)
    n_seeds: int = column("seeds of the arm whose runs went to their end", ge=1)
    num_matched: int = column("of these, seeds with an event here", ge=1)
    event_q: float = column("q of the event", gt=0, le=1)
    near_boundary: bool = column("whether it lies near a boundary of the schedule")
    status: str = column("the answer", isin=["triggers", "no triggers", "underpowered", "not attributed"])
    num_tested: int = column("items that its seeds were shown at all; null: not attributed", nullable=True, ge=1)
    num_triggers: int = column("items that are triggers; null: not attributed", nullable=True, ge=0)
    num_families: int = column("families of them; null: not attributed", nullable=True, ge=0)
    families: str = column("JSON list of them, by name; null without triggers", nullable=True)
    num_uniform_time: int = column("triggers whose time the policy fixes; null: not attributed", nullable=True, ge=0)
    best_item_id: str = column("the trigger that ranks first; null without one", nullable=True)
    best_family_id: str = column("its family", nullable=True)
    best_lift: float = column("its showings before the event over those that chance gives", nullable=True, gt=0)
    best_lb05: float = column("5 % quantile of its posterior log lift: what ranks", nullable=True)
    best_q: float = column("its q", nullable=True, ge=0, le=1)
    smallest_q: float = column("smallest q of all items, triggers or not", nullable=True, ge=0, le=1)
    attainable_q: float = column("q that the most telling item could get at best", nullable=True, ge=0, le=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "consensus_event_id"]


class MartCounterfactuals(Table):
    """One row per event, condition, part and wave; one per study and wave where nothing was selected at all."""

    study: str = column(_STUDY)
    wave: str = column("followup: seeds of the choice; confirmation: fresh seeds", isin=["followup", "confirmation"])
    arm: str = column("parent: the arm that was replayed", nullable=True)
    consensus_event_id: str = column("event of the parent whose triggers were edited", nullable=True)
    condition: str = column("what the replays did", nullable=True, isin=_CONDITIONS)
    part: int = column("edited are the best 1/part of the triggers; 1: all of them", nullable=True, ge=1)
    control: str = column("placebo; exact for the placebo itself", nullable=True, isin=_CONDITIONS)
    status: str = column("everything else is null without a selection", isin=["selected", "no_selection"])
    event_signature: str = column("probe_set.band.metric_group.direction of the event", nullable=True)
    event_step: int = column("consensus step", unit="steps", nullable=True, ge=0)
    edit_scope: str = column("whether draws are edited in the window or in the run", nullable=True)
    n_items: int = column("trigger items that were edited", nullable=True, ge=1)
    family_id: str = column("their true family; 'several' if they are of more than one", nullable=True)
    n_seeds: int = column("pairs of runs", nullable=True, ge=0)
    num_unedited: int = column("seeds whose parent drew no trigger in scope: no pairs", nullable=True, ge=0)
    num_control_runs: int = column("runs of the control over those seeds", nullable=True, ge=0)
    share_present: float = column("seeds with the event under the condition", nullable=True, ge=0, le=1)
    share_present_control: float = column("the same under the control", nullable=True, ge=0, le=1)
    effect_rd: float = column("risk difference: the first less the second", nullable=True, ge=-1, le=1)
    ci_lo: float = column("lower end of its 95 % interval", nullable=True)
    ci_hi: float = column(_HI, nullable=True)
    delay_difference: float = column("difference of mean steps to the event", unit="steps", nullable=True)
    delay_ci_lo: float = column("lower end of its 95 % interval", unit="steps", nullable=True)
    delay_ci_hi: float = column(_HI, unit="steps", nullable=True)
    magnitude_difference: float = column("difference of mean strength", unit="envelopes", nullable=True)
    magnitude_ci_lo: float = column("lower end of its 95 % interval", unit="envelopes", nullable=True)
    magnitude_ci_hi: float = column(_HI, unit="envelopes", nullable=True)
    p_value: float = column("of presence, delay and strength together", nullable=True, gt=0, le=1)
    smallest_p: float = column("the smallest that so many seeds can give", nullable=True, gt=0, le=1)
    q_value: float = column("over the pre-registered family; null for the placebo", nullable=True, gt=0, le=1)
    label: str = column("by the stated rules", nullable=True, isin=_LABELS)
    reason: str = column("the rule that fits, with its numbers", nullable=True)
    claim: str = column("CONDITION:PARENT, which rests on both waves", nullable=True)
    verdict: str = column("of that claim", nullable=True, isin=_VERDICTS)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "wave", "consensus_event_id", "condition", "part"]


class MartItemEvidence(Table):
    """One row per study and item that any evidence of the study speaks of."""

    study: str = column(_STUDY)
    item_id: str = column(_ITEM)
    family_id: str = column("true family of the item; null outside the pool", nullable=True)
    family_type: str = column("target, control or other; null outside the pool", nullable=True)
    num_events_shown: int = column("attributed events with a window that holds it", ge=0)
    num_events_trigger: int = column("of these, events it is a trigger of", ge=0)
    num_arms_trigger: int = column("arms with such an event", ge=0)
    best_arm: str = column("arm of the event with the smallest q of the item", nullable=True)
    best_event_id: str = column("that event", nullable=True)
    best_lift: float = column("showings before it over those that chance gives", nullable=True, gt=0)
    best_lb05: float = column("5 % quantile of the posterior log lift", nullable=True)
    best_q: float = column("q of the item there, corrected within the arm", nullable=True, ge=0, le=1)
    best_is_trigger: bool = column("whether it is a trigger of it", nullable=True)
    best_null_id: str = column(
        "uniform_time: item and time cannot be told apart without a replay", nullable=True, isin=_NULLS
    )
    cores: str = column("JSON list of cores that hold it (impact, loss, random); null: none", nullable=True)
    impact_rank: int = column("rank in the impact core; null: not in it", nullable=True, ge=1)
    num_replays_edited: int = column("replays on the parents' seeds in which its draws gave way", ge=0)
    num_fresh_replays_edited: int = column("the same on fresh seeds", ge=0)
    num_placebo_replays: int = column("placebo replays in which they did, both waves", ge=0)
    num_replays_put_in: int = column("replays in which it stood in for another item, both waves", ge=0)
    mode_classes: str = column(
        "JSON list: robust, distribution-sensitive, inconclusive, over kinds of event; null: no trigger in any mode",
        nullable=True,
    )
    order_interaction: float = column(
        "slope of its effect on its introduction over the arms",
        unit="robust sd of movement per whole budget",
        nullable=True,
    )
    order_ci_lo: float = column("lower end of its 95 % interval", nullable=True)
    order_ci_hi: float = column(_HI, nullable=True)
    order_q: float = column("over the items of the comparison", nullable=True)
    order_sensitive: bool = column("order_q at most .05 and 0 outside the interval; null: not tested", nullable=True)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "item_id"]


class MartProbeFamilies(Table):
    """One row per arm of a probe study: families, then the planted arm and the mixtures they are held against."""

    study: str = column(_STUDY)
    arm: str = column("a family, planted, or a mixture (held against the other mixtures)")
    role: str = column("treatment, planted, placebo or baseline; null: not tested", nullable=True)
    distance: float = column("at equal tokens; 0 on average by chance", unit=_SPREADS, nullable=True)
    ci_lo: float = column("lower end of its 95 % interval", unit=_SPREADS, nullable=True)
    ci_hi: float = column(_HI, unit=_SPREADS, nullable=True)
    tokens_p: float = column("p at equal tokens alone", nullable=True, gt=0, le=1)
    control: str = column("the mixture that is hardest to exceed", nullable=True)
    control_difference: float = column("distance - the control's", unit=_SPREADS, nullable=True)
    control_ci_lo: float = column("lower end of its 95 % interval", unit=_SPREADS, nullable=True)
    control_ci_hi: float = column(_HI, unit=_SPREADS, nullable=True)
    n_seeds: int = column("seeds that every arm has; null: not tested", nullable=True, ge=2)
    steps_distance: float = column("distance at equal steps", unit=_SPREADS, nullable=True)
    steps_ci_lo: float = column("lower end of its 95 % interval", unit=_SPREADS, nullable=True)
    steps_ci_hi: float = column(_HI, unit=_SPREADS, nullable=True)
    steps_p: float = column("p at equal steps alone", nullable=True, gt=0, le=1)
    claim: str = column("family:ARM; null for mixtures", nullable=True)
    p_value: float = column("of that claim: the larger of the ways of matching", nullable=True, gt=0, le=1)
    q_value: float = column("of that claim, over the arms that are no mixtures", nullable=True)
    verdict: str = column("of that claim", nullable=True, isin=_VERDICTS)
    reasons: str = column("why, in sentences", nullable=True)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "arm"]


class MartCalibration(Table):
    """One row per check of the platform, those that failed first."""

    study: str = column(_STUDY)
    kind: str = column("kind of check: aa_simulated, aa_resplits, planted_triggers, planted_effect, placebo, lds")
    what: str = column("what was checked")
    outcome: str = column("whether it held", isin=["held", "failed", "not judged"])
    value: float = column("what came out; null if it could not be computed", nullable=True)
    unit: str = column("of value, bound and interval")
    side: str = column("whether value has to stay below the bound or reach it", nullable=True)
    bound: float = column("what had to come out; null where nothing is asked", nullable=True)
    ci_lo: float = column("lower end of the 95 % interval; null where there is none", nullable=True)
    ci_hi: float = column(_HI, nullable=True)
    num: int = column("studies, splits, arms, seeds or runs that value rests on", ge=0)
    dependent: bool = column("these share runs: no interval over them would be honest")
    claim: str = column("claim that the check rests on; null: none", nullable=True)
    verdict: str = column("of that claim", nullable=True, isin=_VERDICTS)
    method: str = column("how, and what it does not say")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "kind", "what"]


TABLES: dict[str, type[Table]] = {
    "int_item_lifts": IntItemLifts,
    "int_item_edits": IntItemEdits,
    "mart_triggers": MartTriggers,
    "mart_counterfactuals": MartCounterfactuals,
    "mart_item_evidence": MartItemEvidence,
    "mart_probe_families": MartProbeFamilies,
    "mart_calibration": MartCalibration,
}
