"""Tables of the second wave: the frozen choice, the edits, what every replay did, what that says about the items.

Here: one model per table. Not here: consensus events (schemas.consensus), claims about them (schemas.claims).

Where the evidence led to no choice ("no triggers"), a partition still has its one row: status no_selection, its keys,
and nothing else. In all other rows only the columns that say so may be null.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pandera.polars as pa
import polars as pl

from squiggle_assets.schemas.base import Table, column, frame

SELECTED, NO_SELECTION = "selected", "no_selection"
_CONDITIONS = ["exact", "replace", "remove", "placebo", "late", "early"]
_SCOPES = ["window", "run"]
_LABELS = ["kills", "delays", "weakens", "preserves", "inconclusive"]
_PARENT = "run_id of the parent: the run of the same seed that is replayed"
_EVENT = "consensus event of the parent arm"
_SIGNATURE = "probe_set.band.metric_group.direction of the event"
_TRIGGERS = "hash of the sorted item_ids"
_SCOPE = "window: only draws inside the window are edited; run: in the whole run"
_DRAW = "number of the placebo draw; 0 for other conditions"
_PART = "edited are the best 1/part of the triggers; 1: all of them"
_RD = "difference of the shares of seeds with the event, condition less control"
_P = "presence, delay and magnitude together: larger of sign flip over seeds and exchange of runs within seeds"
_STATUS = "selected, or no_selection: the evidence named no event or no triggers"
_KEYS = {"arm", "seed", "exp_id", "status"}


def _text(description: str, **checks: Any) -> Any:
    return column(description, nullable=True, **checks)


class _OfChoice(Table):
    """A table whose rows are all null but for their keys where nothing was chosen."""

    @pa.dataframe_check
    @classmethod
    def only_no_selection_leaves_out(cls, data: pa.PolarsData) -> pl.LazyFrame:
        """Columns that may not be unknown are there exactly in rows with a selection."""
        chosen = pl.col("status") == SELECTED
        columns = data.lazyframe.collect_schema().names()
        due = [name for name in columns if name not in _KEYS | set(cls.may_be_unknown())]
        free = [name for name in columns if name not in _KEYS and name not in due]
        there = [pl.col(name).is_not_null() == chosen for name in due]
        return data.lazyframe.select(pl.all_horizontal(*there, *(pl.col(name).is_null() | chosen for name in free)))

    @classmethod
    def may_be_unknown(cls) -> tuple[str, ...]:
        """Columns that may be null although there is a selection."""
        return ()


class Selection(_OfChoice):
    """One row per follow-up arm and consensus event: the frozen choice that its replays go by."""

    arm: str = column("follow-up arm")
    status: str = column(_STATUS, isin=[SELECTED, NO_SELECTION])
    parent_arm: str = _text("arm that is replayed")
    analysis_id: str = _text("version of the interpretation that led to the choice")
    condition: str = _text("what the replays do", isin=_CONDITIONS)
    part: int = _text(_PART, ge=1)
    edit_scope: str = _text(_SCOPE, isin=_SCOPES)
    draw: int = _text(_DRAW, ge=0)
    consensus_event_id: str = _text(_EVENT)
    event_signature: str = _text(_SIGNATURE)
    trigger_set_id: str = _text(_TRIGGERS)
    trigger_items: str = _text("JSON list of item_ids, best first")
    n_items: int = _text("how many", ge=1)
    family_id: str = _text("true family of the items; 'several' if they are of more than one")
    probe_set: str = _text("frozen probe items: a in distribution, b held out")
    layer_lo: int = _text("lowest layer of the event's band", ge=0)
    layer_hi: int = _text("highest layer of the band", ge=0)
    metric_group: str = _text("metrics of one group are one measurement")
    polarity: int = _text("+1 up, -1 down, after orientation", isin=[-1, 1])
    event_step: int = _text("consensus step", unit="steps", ge=0)
    onset_step: float = _text("from here on the event is waited for", unit="steps", ge=0)
    tolerance_steps: float = _text("steps around the consensus step in which it counts as present", unit="steps", gt=0)
    floor: float = _text("least strength that counts as the event, however weak the parent's own was", unit="envelopes")
    window_first: int = _text("first step whose draws may have brought it about", unit="steps", ge=0)
    window_stop: int = _text("step after the last one", unit="steps", ge=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "consensus_event_id"]


class _OfReplay(_OfChoice):
    arm: str = column("follow-up arm")
    seed: int = column("seed of parent and replay", ge=0)
    status: str = column(_STATUS, isin=[SELECTED, NO_SELECTION])


class _OfStudy(_OfChoice):
    exp_id: str = column("study")
    status: str = column(_STATUS, isin=[SELECTED, NO_SELECTION])


class ReplayEdits(_OfReplay):
    """One row per edited slot of a replay; a replay without edits has no rows."""

    curriculum_id: str = _text("names the replay: parent's curriculum, parent's trace, edits")
    consensus_event_id: str = _text(_EVENT)
    condition: str = _text("what the replay does", isin=_CONDITIONS)
    edit_scope: str = _text(_SCOPE, isin=_SCOPES)
    draw: int = _text(_DRAW, ge=0)
    step: int = _text("draw number from 0", unit="steps", ge=0)
    slot: int = _text("place in the step's batch", ge=0)
    item_from: str = _text("what the parent drew there")
    item_to: str = _text("what the replay draws there")
    reason: str = _text("rule, and how far from a match")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "seed", "step", "slot"]


class _Measured(_OfChoice):
    consensus_event_id: str = _text(_EVENT)
    event_signature: str = _text(_SIGNATURE)
    trigger_set_id: str = _text(_TRIGGERS)
    n_items: int = _text("trigger items", ge=1)
    family_id: str = _text("true family of the items; 'several' if they are of more than one")
    condition: str = _text("what the replay did", isin=_CONDITIONS)
    part: int = _text(_PART, ge=1)
    draw: int = _text(_DRAW, ge=0)
    edit_scope: str = _text(_SCOPE, isin=_SCOPES)
    base_run_id: str = _text(_PARENT)
    cf_run_id: str = _text("run_id of the replay")
    event_present: bool = _text(
        "at least half as strong as in the parent, and above the floor, within the tolerance of the frozen step"
    )
    event_step: int = _text("capture of the largest strength there; null if not present", unit="steps", ge=0)
    delay: float = _text(
        "first crossing less the parent's; a lower bound if censored; null without the parent's", unit="steps"
    )
    censored: bool = _text("no crossing from the onset to the end of the run")
    magnitude: float = _text("largest strength within the tolerance, by the parent arm's yardstick", unit="envelopes")
    magnitude_ratio: float = _text("over the parent's; null if that is not above 0")
    dis: float = _text("magnitude_eff of the run's own detected event there; null without one", ge=0, le=1)
    trajectory_distance: float = _text(
        "root mean square distance of the band's level from the parent's", unit="robust sd", ge=0
    )
    final_loss: float = _text("last held-out loss (val_random)", unit="nats/token")

    @classmethod
    def may_be_unknown(cls) -> tuple[str, ...]:
        """What one run may not have."""
        return "event_step", "delay", "magnitude_ratio", "dis", "final_loss"


class CounterfactualRuns(_Measured, _OfReplay):
    """One row per replay: what it did at the frozen location, measured blind to its condition."""

    steps_to_event: float = _text(
        "from the onset to the first crossing; to the end of the run if censored", unit="steps", ge=0
    )
    horizon_steps: float = _text("from the onset to the end of the run", unit="steps", ge=0)
    num_edits: int = _text("slots that were edited", ge=0)
    first_edit_step: int = _text("first step that differs from the parent; null without edits", unit="steps", ge=0)
    prefix_identical: bool = _text("draws, losses and geometry before the first edit are the parent's, bit for bit")
    steps_reused: int = _text(
        "steps that the parent's last checkpoint before the first edit spares; metadata say how many were spared",
        unit="steps",
        ge=0,
    )

    @classmethod
    def may_be_unknown(cls) -> tuple[str, ...]:
        """What one run may not have."""
        return (*super().may_be_unknown(), "first_edit_step")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "seed", "consensus_event_id"]


class CounterfactualResults(_Measured, _OfStudy):
    """One row per replay of a study with the effect and label of its condition beside it."""

    seed: int = _text("seed of parent and replay", ge=0)
    effect_rd: float = _text(_RD)
    effect_g: float = _text("paired Hedges g of the magnitude")
    ci_lo: float = _text("95 % interval of effect_rd (Newcombe, paired)")
    ci_hi: float = _text("its upper end")
    p_value: float = _text(_P, gt=0, le=1)
    q_value: float = _text("Benjamini-Hochberg over the pre-registered family; null for controls", gt=0, le=1)
    n_seeds: int = _text("pairs of runs", ge=0)
    label: str = _text("by the stated rules; null for exact replays", isin=_LABELS)

    @classmethod
    def may_be_unknown(cls) -> tuple[str, ...]:
        """What a run or its condition may not have."""
        effect = ("effect_rd", "effect_g", "ci_lo", "ci_hi", "p_value", "q_value", "n_seeds", "label")
        return (*super().may_be_unknown(), *effect)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = [
            "exp_id",
            "consensus_event_id",
            "condition",
            "part",
            "draw",
            "seed",
            "edit_scope",
        ]


class CounterfactualEffects(_OfStudy):
    """One row per consensus event, condition and part: its effect over seeds against its control, and its label."""

    consensus_event_id: str = _text(_EVENT)
    condition: str = _text("what the replays did", isin=_CONDITIONS)
    part: int = _text(_PART, ge=1)
    control: str = _text("placebo; exact for the placebo itself", isin=_CONDITIONS)
    n_seeds: int = _text("pairs of runs", ge=0)
    num_unedited: int = _text("seeds whose parent drew no trigger in scope: their replays are no pairs", ge=0)
    num_control_runs: int = _text("runs of the control over those seeds, draws of the placebo counted", ge=0)
    seeds: str = _text("JSON list of the paired seeds")
    share_present: float = _text("seeds with the event under the condition", ge=0, le=1)
    share_present_control: float = _text("the same under the control, draws averaged per seed first", ge=0, le=1)
    effect_rd: float = _text(_RD, ge=-1, le=1)
    ci_lo: float = _text("95 % interval of effect_rd (Newcombe, paired)")
    ci_hi: float = _text("its upper end")
    rd_exact_lo: float = _text("95 % exact unconditional interval, whatever the correlation within pairs")
    rd_exact_hi: float = _text("its upper end")
    delay_difference: float = _text(
        "difference of mean steps to the event, restricted to the end of the run", unit="steps"
    )
    delay_ci_lo: float = _text("95 % t interval over seeds", unit="steps")
    delay_ci_hi: float = _text("its upper end", unit="steps")
    logrank_p: float = _text("log-rank test against the middle draw of the control; no part of the label", ge=0, le=1)
    share_reached: float = _text("seeds in which the event comes in the end", ge=0, le=1)
    magnitude_difference: float = _text("difference of mean strength", unit="envelopes")
    magnitude_ci_lo: float = _text("95 % t interval over seeds", unit="envelopes")
    magnitude_ci_hi: float = _text("its upper end", unit="envelopes")
    effect_g: float = _text("paired Hedges g of it")
    g_ci_lo: float = _text("95 % interval, noncentral t")
    g_ci_hi: float = _text("its upper end")
    distance_difference: float = _text("difference of mean trajectory distance", unit="robust sd")
    distance_ci_lo: float = _text("95 % t interval over seeds", unit="robust sd")
    distance_ci_hi: float = _text("its upper end", unit="robust sd")
    p_value: float = _text(_P, gt=0, le=1)
    smallest_p: float = _text("the smallest that so many seeds can give", gt=0, le=1)
    q_value: float = _text(
        "Benjamini-Hochberg over the pre-registered family; of a part the largest p down to it from all triggers on "
        "(fixed sequence); null for the placebo",
        gt=0,
        le=1,
    )
    equivalence_p: float = _text("larger of the equivalence tests of delay and magnitude", ge=0, le=1)
    label: str = _text("by the stated rules", isin=_LABELS)
    reason: str = _text("the rule that fits, with its numbers")

    @classmethod
    def may_be_unknown(cls) -> tuple[str, ...]:
        """Numbers that too few runs cannot give."""
        known = {
            "exp_id",
            "status",
            "consensus_event_id",
            "condition",
            "part",
            "control",
            "n_seeds",
            "num_unedited",
            "num_control_runs",
            "seeds",
        }
        return tuple(name for name in cls.to_schema().columns if name not in known | {"label", "reason"})

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["exp_id", "consensus_event_id", "condition", "part"]


class FollowupDesign(Table):
    """One row per study: what its follow-ups can show at all, before anything is spent."""

    study: str = column("study")
    n_seeds: int = column("registered seeds", ge=1)
    num_tests: int = column("pre-registered (parent arm, condition), controls not counted", ge=1)
    num_placebo_draws: int = column("placebo runs per seed and parent arm", ge=0)
    alpha: float = column("level of the study", gt=0, lt=1)
    smallest_p: float = column("of one exact two-sided sign flip over the seeds", gt=0, le=1)
    smallest_q: float = column("of a lone effect among the tests", gt=0, le=1)
    can_kill: bool = column("whether 0 of all against all of all seeds would be labelled 'kills'")
    seeds_for_alpha: int = column("seeds from which on a lone effect can reach alpha", ge=1)
    seeds_to_kill: int = column("seeds from which on the label 'kills' is possible", ge=1)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study"]


def no_selection(model: type[Table], **keys: Any) -> pl.DataFrame:
    """The one row of a partition for which nothing was chosen: its keys, status no_selection, nulls."""
    columns = model.to_schema().columns
    return frame(model, [{**dict.fromkeys(columns), **keys, "status": NO_SELECTION}])


TABLES: dict[str, type[Table]] = {
    "followup_design": FollowupDesign,
    "selection": Selection,
    "replay_edits": ReplayEdits,
    "counterfactual_runs": CounterfactualRuns,
    "counterfactual_results": CounterfactualResults,
    "counterfactual_effects": CounterfactualEffects,
    "confirmed_effects": CounterfactualEffects,
}
