"""Tables of the order and sampling-mode studies: effects by introduction, triggers across sampling modes.

Here: one model per table. Not here: triggers of one arm (schemas.triggers), claims (schemas.claims).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column

_ANALYSIS = "version of the interpretation: hash over every parameter"
_P_REDRAWN = "two-sided, against runs of other seeds laid over the same movement"
_P_SEEDS = "exact sign flips over seeds, two-sided"


class _OfStudy(Table):
    study: str = column("study")
    analysis_id: str = column(_ANALYSIS)
    probe_set: str = column("frozen probe items: a in distribution, b held out")


class _Compared(_OfStudy):
    comparison: str = column(
        "order: arms that differ in order; placebo: the same blocks over shuffled labels against the arm without order",
        isin=["order", "placebo"],
    )


class OrderSensitivity(_Compared):
    """One row per family, group of shuffled items or item, and arm: what it does after this introduction."""

    grain: str = column("what the unit is", isin=["family", "item", "group"])
    family_id: str = column("family; of an item its family, of a group the shuffled label")
    item_id: str = column("item; null for families and groups", nullable=True)
    arm: str = column("arm of the runs")
    window_lo: int = column("first step at which all arms are in their last phase", unit="steps", ge=0)
    window_hi: int = column("step after the last one compared", unit="steps", ge=1)
    n_seeds: int = column("seeds that all arms have", ge=2)
    num_showings: int = column("showings in the window, all seeds", ge=0)
    first_step: float = column("step of the first showing, mean over seeds", unit="steps", ge=0)
    quartile: int = column("quarter of the introductions of all units and arms of the comparison", ge=1, le=4)
    effect: float = column("movement per showing, less the mean of families", unit="robust sd of movement")
    effect_lo: float = column("95 % t interval over seeds", nullable=True)
    effect_hi: float = column("its upper end", nullable=True)
    interaction: float = column(
        "slope of the effect on the introduction over the arms, paired by seed; the same in all rows of a unit; null "
        "where its introductions do not differ",
        unit="robust sd of movement per whole budget",
        nullable=True,
    )
    ci_lo: float = column("95 % t interval of the interaction over seeds", nullable=True)
    ci_hi: float = column("its upper end", nullable=True)
    null_sd: float = column("sd of the interaction over the redrawn runs", nullable=True, ge=0)
    p_seeds: float = column(_P_SEEDS, nullable=True, gt=0, le=1)
    p_value: float = column(_P_REDRAWN, nullable=True, gt=0, le=1)
    q_value: float = column("Benjamini-Hochberg of p_value over the units of comparison and grain", nullable=True)
    num_null: int = column("redrawn values that p rests on", ge=1)
    order_sensitive: bool = column("q_value at most .05 and 0 outside the interval of the interaction")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = [
            "study",
            "analysis_id",
            "probe_set",
            "comparison",
            "grain",
            "family_id",
            "item_id",
            "arm",
        ]


class OrderSlopes(_Compared):
    """One row per pair of arms: do families that came later in one than in the other act otherwise there?"""

    arm: str = column("first arm")
    against: str = column("arm it is compared with")
    window_lo: int = column("first step at which all arms are in their last phase", unit="steps", ge=0)
    window_hi: int = column("step after the last one compared", unit="steps", ge=1)
    num_cells: int = column("cells over which movement is the mean: those that vary in every run", ge=1)
    num_units: int = column("families, or groups of the placebo", ge=0)
    n_seeds: int = column("seeds that all arms have", ge=2)
    num_null: int = column("redrawn values that p_redrawn rests on", nullable=True, ge=1)
    slope: float = column(
        "difference of effects per difference of introduction, mean over seeds; null where introductions do not differ",
        unit="robust sd of movement per whole budget",
        nullable=True,
    )
    null_mean: float = column("its mean over the redrawn runs", nullable=True)
    null_sd: float = column("its sd over the redrawn runs", nullable=True, ge=0)
    p_redrawn: float = column(_P_REDRAWN, nullable=True, gt=0, le=1)
    p_seeds: float = column(_P_SEEDS, nullable=True, gt=0, le=1)
    p_value: float = column("the larger of the two", nullable=True, gt=0, le=1)
    smallest_p: float = column("p_value that the most extreme data would get", nullable=True, gt=0, le=1)
    mixture_gap: float = column(
        "share of the window's slots that the two arms give to other units; above 0, families that came later are also "
        "shown less before the window and more in it",
        ge=0,
        le=1,
    )
    by_seed_json: str = column("JSON object seed -> slope", nullable=True)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "analysis_id", "probe_set", "arm", "against"]


class TriggerModes(_OfStudy):
    """One row per kind of event and trigger that half of the seeds found in some mode: its lift in every mode."""

    event_signature: str = column("kind of event: band.metric_group and its direction")
    item_id: str = column("the trigger")
    content_sha256: str = column("content of the item")
    family_id: str = column("its family (the true label)")
    found_in: str = column("JSON list of modes in which the finding seeds called it a trigger")
    found_on: str = column("JSON list of the finding seeds")
    measured_on: str = column("JSON list of the other seeds, on which everything below rests")
    lag: int = column("steps before the onset at which the window begins, as found", unit="steps", ge=0)
    num_modes: int = column("modes that have such an event and could show the item in its windows", ge=0)
    modes_present: str = column("JSON list of modes in which the lower bound of the lift is above 1")
    lifts_json: str = column("JSON object mode -> count, expected, lift, lower (exact one-sided 95 % bound), p")
    cochran_q: float = column("Cochran's Q of the log lifts", nullable=True, ge=0)
    i_squared: float = column("share of their variation that is more than chance", nullable=True, ge=0, le=1)
    p_heterogeneity: float = column("exact, of Q, given the total count", nullable=True, ge=0, le=1)
    q_heterogeneity: float = column("Benjamini-Hochberg over all triggers", nullable=True, ge=0, le=1)
    p_every: float = column(
        "largest p of the lift over the modes: is it there in every one?", nullable=True, ge=0, le=1
    )
    q_every: float = column("Benjamini-Hochberg over all triggers", nullable=True, ge=0, le=1)
    mode_class: str = column(
        "robust: there in every mode, at least two; distribution-sensitive: lifts differ, and it is there in some mode",
        isin=["robust", "distribution-sensitive", "inconclusive"],
    )

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "analysis_id", "probe_set", "event_signature", "item_id"]


class TriggerPersistence(_OfStudy):
    """One row per sampling mode: how the triggers found under it do under the mode in which they do least."""

    mode: str = column("arm under which the triggers were found")
    status: str = column("what could be measured", isin=["measured", "no triggers", "no other mode"])
    against: str = column("of the other modes the one with the largest p; null if there is none", nullable=True)
    measured_in: str = column("JSON list of the other modes that have such an event and could show the triggers")
    num_triggers: int = column("triggers found under the mode, by kind of event and item", ge=0)
    num_measured: int = column("items among them that could be counted in `against`", nullable=True, ge=1)
    n_seeds: int = column("seeds that take part in the other mode's events", ge=0)
    lift: float = column("pooled over triggers on seeds that did not find them, mean over seeds", nullable=True)
    family_lift: float = column("the same of the other items of their families", nullable=True)
    p_binomial: float = column("exact upper tail of the pooled count", nullable=True, ge=0, le=1)
    p_seeds: float = column("exact sign flips over seeds, one-sided", nullable=True, gt=0, le=1)
    p_value: float = column("the larger of the two", nullable=True, gt=0, le=1)
    smallest_p: float = column("p_value that the most extreme data would get", nullable=True, gt=0, le=1)
    by_seed_json: str = column("JSON object seed -> lift", nullable=True)
    family_by_seed_json: str = column("JSON object seed -> lift of the families", nullable=True)
    share_common_draws: float = column(
        "share of the draws at which another mode showed the same item at the same step, the largest over modes; null "
        "where no modes could be compared",
        nullable=True,
        ge=0,
        le=1,
    )

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "analysis_id", "probe_set", "mode"]


TABLES: dict[str, type[Table]] = {
    "order_sensitivity": OrderSensitivity,
    "order_slopes": OrderSlopes,
    "trigger_modes": TriggerModes,
    "trigger_persistence": TriggerPersistence,
}
