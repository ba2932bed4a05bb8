"""Tables of the calibration study: what the platform finds where the truth is known.

Here: one model per table. Not here: claims (schemas.claims), events and triggers of real arms (schemas.triggers).
"""

from __future__ import annotations

from typing import ClassVar

from squiggle_assets.schemas.base import Table, column

_LO, _HI = "lower end of the 95 % interval; null where there is none", "its upper end"
_STATUS = ["tested", "too few subsets", "no variation"]


class AASimulated(Table):
    """One row per scenario and simulated arm: two halves of its runs, called different or not."""

    scenario: str = column("what the simulated arm holds")
    study_number: int = column("number of the simulated arm, which keys its draws", ge=0)
    events_first: int = column("consensus events of the first half", ge=0)
    events_second: int = column("consensus events of the second half", ge=0)
    estimate: float = column("excess over the null of the first half less that of the second", unit="events")
    p_value: float = column("of the contrast claim", gt=0, le=1)
    rejected: bool = column("p_value at most alpha; null where no p of halves of this size can be", nullable=True)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["scenario", "study_number"]


class AAResplits(Table):
    """One row per arm and random split of its real runs into halves; splits share runs: no independent trials."""

    arm: str = column("arm of the study")
    split: int = column("number of the split", ge=0)
    first_seeds: str = column("JSON list of the seeds of the first half")
    second_seeds: str = column("JSON list of the seeds of the second half")
    events_first: int = column("consensus events of the first half", ge=0)
    events_second: int = column("consensus events of the second half", ge=0)
    estimate: float = column("excess over the null of the first half less that of the second", unit="events")
    p_value: float = column("of the contrast claim", gt=0, le=1)
    rejected: bool = column("p_value at most alpha; null where no p of halves of this size can be", nullable=True)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "split"]


class TriggerRecall(Table):
    """One row per size of effect: what attribution finds of known triggers in simulated arms."""

    extra: float = column("extra showings of each trigger per event window and seed, on average; 0 = no triggers", ge=0)
    num_studies: int = column("simulated arms", ge=1)
    num_true: int = column("pairs of event and trigger that there are", ge=0)
    num_found: int = column("of these, found", ge=0)
    num_false: int = column("other pairs called triggers", ge=0)
    recall: float = column("num_found / num_true; null without effect", nullable=True, ge=0, le=1)
    recall_lo: float = column(f"{_LO}; the wider of exact over pairs and bootstrap over arms", nullable=True)
    recall_hi: float = column(_HI, nullable=True)
    fdr: float = column("mean over arms of the false share of what was called", ge=0, le=1)
    fdr_lo: float = column(f"{_LO}; bootstrap over arms, exact where every share is 0 or 1", nullable=True)
    fdr_hi: float = column(_HI, nullable=True)
    any_false: float = column("share of arms with a false trigger", ge=0, le=1)
    any_false_lo: float = column(f"{_LO}; exact over arms", nullable=True)
    any_false_hi: float = column(_HI, nullable=True)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["extra"]


class ItemLosses(Table):
    """One row per item that can be trained on: how well the base model completes it before any training."""

    item_id: str = column("item")
    content_sha256: str = column("content of the item")
    num_tokens: int = column("completion tokens, eos included", ge=1)
    loss: float = column("mean over them", unit="nats/token", ge=0)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["item_id"]


class SubsetOutcomes(Table):
    """One row per run on a subset of its parent's items: what it did at the planted steps."""

    arm: str = column("follow-up arm")
    seed: int = column("seed of parent and run", ge=0)
    parent_arm: str = column("arm whose items and curriculum the run has")
    run_id: str = column("the run")
    condition: str = column("subset: of its own seed; repeat: of the other seed of its pair", isin=["subset", "repeat"])
    draw: int = column("which of several subsets of that seed", ge=0)
    num_items: int = column("items in the subset, planted ones included", ge=1)
    num_planted: int = column("planted items among them", ge=0)
    stopped_early: bool = column("a controller stopped the run")
    outcome: float = column(
        "change over the window at the planted place, towards the parents' polarity; null if the run or its parent was "
        "stopped",
        unit="robust sd of the parent's increments",
        nullable=True,
    )

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["arm", "seed"]


class Lds(Table):
    """One row per attribution score: do its sums over random subsets say what runs on these subsets do?"""

    study: str = column("study")
    arm: str = column("arm whose event it is")
    place: str = column("event whose items are scored: cell, polarity and steps")
    share: float = column("share of the items in a subset", gt=0, lt=1)
    method: str = column(
        "triggers, lift, exposure, frequency, loss; planted: 1 for planted items, the truth; random: mean over random "
        "vectors"
    )
    num_subsets: int = column("subset runs", ge=0)
    num_items: int = column("items that could be left out", ge=1)
    num_queries: int = column("events", ge=1)
    lds: float = column("mean Spearman correlation over events; null if not tested", nullable=True, ge=-1, le=1)
    ci_lo: float = column(f"{_LO}; bootstrap over seeds (random: percentiles of the vectors)", nullable=True)
    ci_hi: float = column(_HI, nullable=True)
    p_value: float = column("subsets and runs paired at random, one-sided", nullable=True, gt=0, le=1)
    smallest_p: float = column("smallest p of so many draws", nullable=True, gt=0, le=1)
    difference: float = column("lds less that of plain exposure; null for exposure and random", nullable=True)
    difference_lo: float = column(f"{_LO}; the same draws for both", nullable=True)
    difference_hi: float = column(_HI, nullable=True)
    status: str = column("whether there was enough to test", isin=_STATUS)
    ceiling: float = column("lds that a perfect score would have; null without repeats", nullable=True, ge=0, le=1)
    ceiling_lo: float = column(f"{_LO}; bootstrap over pairs of seeds", nullable=True)
    ceiling_hi: float = column(_HI, nullable=True)
    num_repeats: int = column("subsets of which two runs are known", ge=0)

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "arm", "method"]


class Calibration(Table):
    """One row per check of the platform: what came out, what had to, and how sure that is."""

    study: str = column("study")
    check: str = column(
        "kind of check",
        isin=["aa_simulated", "aa_resplits", "planted_triggers", "planted_effect", "placebo", "lds"],
    )
    what: str = column("what was checked")
    value: float = column("what came out; null if it could not be computed", nullable=True)
    unit: str = column("of value, bound and interval")
    bound: float = column("what had to come out; null where nothing is asked", nullable=True)
    side: str = column(
        "whether value has to stay below the bound or reach it", nullable=True, isin=["at most", "at least"]
    )
    ci_lo: float = column(_LO, nullable=True)
    ci_hi: float = column(_HI, nullable=True)
    num: int = column("studies, splits, arms, seeds or runs that value rests on", ge=0)
    dependent: bool = column("these share runs: no interval over them would be honest")
    passed: bool = column("whether it held; null where nothing is asked or nothing could be tested", nullable=True)
    method: str = column("how, and what it does not say")

    class Config(Table.Config):
        """Key of the table."""

        unique: ClassVar[list[str]] = ["study", "check", "what"]


TABLES: dict[str, type[Table]] = {
    "aa_simulated": AASimulated,
    "aa_resplits": AAResplits,
    "trigger_recall": TriggerRecall,
    "item_losses": ItemLosses,
    "subset_outcomes": SubsetOutcomes,
    "lds": Lds,
    "calibration": Calibration,
}
