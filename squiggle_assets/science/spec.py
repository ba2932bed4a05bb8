"""The shape of a study and of the numbers it runs with: frozen values, nothing else.

Here: Study, Arm, Contrast, Profile and their parts, and refusal of values that make no sense.
Not here: any particular study (squiggle_assets.studies) or profile (squiggle_assets.profiles/*.yaml).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Literal

from squiggle_assets.science.waves import FollowUp, TriggerSpec

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def check_name(name: str, what: str) -> str:
    """The name itself if it may be used for an arm, study or asset, else ValueError naming it."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or ".." in name:
        raise ValueError(
            f"{what} {name!r} is not a usable name: lower-case letters, digits, '.', '_', '-', "
            "at most 64 characters, starting with a letter or digit, no '..'"
        )
    return name


@dataclass(frozen=True, kw_only=True)
class PoolSpec:
    """How many generated items the candidate pool holds."""

    num_items: int = 5000
    """Items over the 17 families, in the sources' proportions."""
    seed: int = 42
    """Seed of the generator."""
    items: str | None = None
    """Local JSONL/parquet file or hub data set to import instead of generating; set by --items."""
    max_items: int | None = None
    """Read at most this many imported rows (file order); None = all."""
    num_planted: int = 16
    """Planted items appended to the pool (family 'planted'): no arm draws them but one with a Plant."""


@dataclass(frozen=True, kw_only=True)
class SplitSpec:
    """split_v1_s42: who may be trained on and who may not."""

    version: str = "v1"
    seed: int = 42
    val_random_share: float = 0.06
    """Share of items of the training families held out as val_random."""
    num_held_out_families: int = 1
    """Whole control families held out as val_family (the smallest one with enough items; rule persisted)."""
    num_probe_items: int = 8
    """Items reserved for each of probe sets A (training families) and B (held-out families)."""
    family_cap: int | None = 200
    """At most this many training items a family (the sources cap at 200); None = no cap."""
    minhash_threshold: float = 0.85
    """Estimated Jaccard of word 3-shingles from which two problems count as near-duplicates."""


@dataclass(frozen=True, kw_only=True)
class BaseModelSpec:
    """Which base model is fine-tuned."""

    source: str = "embedded"
    """'embedded' (built and pretrained here), a local folder, or a hub id."""
    revision: str | None = None
    """Hub commit; None = the default branch (the resolved commit is recorded)."""
    vocab_size: int = 768
    width: int = 96
    num_layers: int = 4
    num_heads: int = 4
    num_kv_heads: int = 2
    ff_width: int = 256
    context: int = 256
    """Longest sequence the embedded model is built for, and the length of its pretraining rows, in tokens."""
    pretrain_steps: int = 900
    pretrain_batch: int = 8
    """Packed rows of `context` tokens per pretraining step."""
    pretrain_lr: float = 4e-3
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """One fine-tuning run."""

    mode: Literal["lora", "full"] = "lora"
    lora_rank: int = 8
    lora_alpha: int = 16
    total_steps: int = 200
    """Optimiser steps of the base budget; curriculum fractions are fractions of this."""
    step_multiplier: int = 1
    """1, 2 or 3: extends the stable phase; the extra steps continue the last curriculum phase."""
    batch_size: int = 16
    """Items per optimiser step (effective batch)."""
    micro_batch: int = 16
    """Items per forward pass before the out-of-memory fallback halves it."""
    max_length: int = 256
    """Tokens of prompt + completion; longer items are truncated at the end (counted)."""
    lr: float = 2e-3
    beta1: float = 0.9
    beta2: float = 0.95
    weight_decay: float = 0.1
    clip: float = 1.0
    """Global gradient norm is clipped here."""
    warmup_fraction: float = 0.05
    min_warmup_steps: int = 10
    decay_fraction: float = 0.15
    """Last share of the base budget in which the rate decays linearly to min_lr_ratio."""
    min_lr_ratio: float = 0.1
    dtype: Literal["float32", "bfloat16"] = "float32"
    eval_every: int = 50
    """Steps between validations on val_random and val_family."""
    eval_items: int = 64
    """At most this many items of each validation split, the same ones every time."""
    checkpoint_every: int = 50
    milestones: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
    """Relative drops of the smoothed loss that are recorded."""
    divergence_z: float | None = None
    """Controller: stop a run when the loss stands this many robust z above its window; None = never."""


@dataclass(frozen=True, kw_only=True)
class ProbeSpec:
    """What is captured, on what, how often."""

    num_tokens: int = 64
    """Tokens per probe item; pad positions are masked out of every number."""
    capture_every: int = 2
    """Steps between captures; step 0 (before training) and the last step are always captured."""
    components: tuple[str, ...] = ("x_out",)
    """x_out: residual stream after a block. embed: after the embedding."""
    layers: tuple[int, ...] | None = None
    """Which blocks; None = all."""
    dtype: Literal["float32", "float16"] = "float16"
    """Of the stored activations."""


@dataclass(frozen=True, kw_only=True)
class DetectionSpec:
    """Change-point detection of one series; every field is part of analysis_id (spec section 6)."""

    adaptive_k: float = 2.5
    """Threshold = median + k * MAD of the absolute increments."""
    adaptive_min_threshold: Mapping[str, float] = field(
        default_factory=lambda: {"effective_rank": 0.01, "sv_entropy": 0.0, "topk_mass_k8": 0.0}
    )
    """Absolute floor of the threshold per metric; metrics not named have none."""
    peak_suppression_radius: int = 15
    """Steps; a hit this near to a selected one is suppressed."""
    max_events_per_series: int = 5
    max_pre_warmup: int = 1
    warmup_fraction: float = 0.1
    """Of the step range, used only where a run names no warm-up end."""
    event_window_radius: int = 1
    """Captures on each side for delta."""
    window_radius: int = 5
    """Captures on each side for volatility and composites."""
    local_baseline_window: int = 20
    """Captures on each side for the local z."""
    composite_quorum_k: int = 2
    min_support_frac: float = 0.2
    min_support_len: int = 1
    min_pairwise_overlap: int = 1
    merge_gap: int = 0
    stabilization_steps: int = 10
    warmup_buffer_points: int = 2


@dataclass(frozen=True, kw_only=True)
class ConsensusSpec:
    """Agreement across seeds and its nulls; every field is part of analysis_id (spec section 8)."""

    tolerance_steps: int = 5
    """tau: events of different seeds this near to the consensus step may be matched."""
    min_seed_fraction: float = 0.75
    """Support below this share of the seeds is no consensus event."""
    num_bands: int = 4
    """Layer bands (blocks of adjacent layers)."""
    draws_per_cell: int = 100
    """Null draws = this times the number of tested cells."""
    alpha: float = 0.05
    probe_set: Literal["a", "b"] = "a"
    """The pre-registered probe set; the other one is reported beside it."""
    seed: int = 0
    """Of the null draws."""


@dataclass(frozen=True, kw_only=True)
class Plant:
    """Known trigger items put into a run at a known step: the platform's proof that it can see."""

    start: float
    """Fraction of the base budget at which the planted steps begin."""
    num_steps: int
    """Consecutive steps that hold planted items."""
    share: float
    """Share of each batch that is planted, between 0 and 1."""
    num_items: int = 8
    """Distinct planted items."""
    band: int = -1
    """Layer band in which the response is sought, pre-registered: 0 is the lowest, -1 the last."""
    metric_group: str = "spectral"
    """Metric group in which it is sought."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A Test: runs identical except for the seed."""

    name: str
    curriculum: str
    """Preset name (squiggle_assets/curricula/<name>.yaml) or a path to a YAML file."""
    role: Literal["treatment", "baseline", "placebo", "planted"]
    description: str
    plant: Plant | None = None
    shuffle_families: bool = False
    """Placebo: permute the family labels over the items (seeded) before the curriculum sees them."""

    def __post_init__(self) -> None:
        """Refuse a name that cannot be a partition key."""
        check_name(self.name, "arm")


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A pre-registered comparison of two arms on one outcome."""

    arm: str
    against: str
    outcome: str
    direction: Literal["greater", "less", "two-sided"]
    margin: float = 0.0
    """Smallest difference that would matter, in units of the outcome."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """An experiment: data, not code."""

    name: str
    title: str
    hypothesis: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    """Pre-registered roster; a profile uses the first num_seeds(profile) of it."""
    fresh_seeds: tuple[int, ...]
    """Seeds that take no part in any selection."""
    contrasts: tuple[Contrast, ...]
    kind: str = "curriculum"
    """Which graph the study has (definitions.GRAPHS)."""
    detection: DetectionSpec = DetectionSpec()
    consensus: ConsensusSpec = ConsensusSpec()
    triggers: TriggerSpec = field(default_factory=TriggerSpec)
    followups: tuple[FollowUp, ...] = ()
    """Pre-registered follow-up arms; none = the study ends with its first wave."""
    seed_factor: int = 1
    """The roster is this many times as long as the profile's num_seeds."""
    plant_margin: float = 2.0
    """Robust standard deviations of the increments that a planted effect must exceed to be 'supported'."""

    def __post_init__(self) -> None:
        """Refuse duplicated arms or seeds and contrasts over unknown arms."""
        check_name(self.name, "study")
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError(f"study {self.name}: duplicated arm names in {names}")
        if len(set(self.seeds + self.fresh_seeds)) != len(self.seeds + self.fresh_seeds):
            raise ValueError(f"study {self.name}: duplicated seeds in rosters {self.seeds} + {self.fresh_seeds}")
        followed = [followup.name for followup in self.followups]
        if len(set(followed)) != len(followed) or set(followed) & set(names):
            raise ValueError(f"study {self.name}: duplicated names of arms and follow-up arms in {names + followed}")
        for followup in self.followups:
            check_name(followup.name, "follow-up arm")
            if followup.parent not in names:
                raise ValueError(f"study {self.name}: follow-up of unknown arm {followup.parent!r}; arms are {names}")
        for contrast in self.contrasts:
            for name in (contrast.arm, contrast.against):
                if name not in names:
                    raise ValueError(f"study {self.name}: contrast over unknown arm {name!r}; arms are {names}")

    def num_seeds(self, profile: Profile) -> int:
        """How many of its pre-registered seeds a profile uses."""
        return profile.num_seeds * self.seed_factor

    def sized(self, profile: Profile) -> Study:
        """The study with as many placebo draws, parts of the triggers and weights of cores as a profile makes."""
        weights = list(dict.fromkeys(each.weight for each in self.followups if each.core is not None))
        parts = sorted({each.part for each in self.followups})
        tried, edited = weights[: profile.num_weights], parts[: 1 + profile.num_bundle_parts]
        kept = (
            each
            for each in self.followups
            if each.draw < (profile.num_placebo_draws if each.condition == "placebo" or each.core == "random" else inf)
            and (each.core is None or each.weight in tried)
            and each.part in edited
        )
        return replace(self, followups=tuple(kept))

    def followup(self, name: str) -> FollowUp:
        """The follow-up arm of that name; ValueError lists the names there are."""
        for followup in self.followups:
            if followup.name == name:
                return followup
        raise ValueError(
            f"study {self.name} has no follow-up arm {name!r}; there are {[each.name for each in self.followups]}"
        )

    def arm(self, name: str) -> Arm:
        """The arm of that name; ValueError lists the names there are."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise ValueError(f"study {self.name} has no arm {name!r}; arms are {[a.name for a in self.arms]}")

    def only(self, role: str) -> Arm:
        """The one arm with that role; ValueError unless there is exactly one."""
        found = [arm for arm in self.arms if arm.role == role]
        if len(found) != 1:
            raise ValueError(f"study {self.name} needs exactly one arm with role {role!r}, has {len(found)}")
        return found[0]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Sizes: only numbers and names, the same code runs in all of them."""

    name: str
    description: str
    num_seeds: int
    pool: PoolSpec
    split: SplitSpec
    base_model: BaseModelSpec
    training: TrainingSpec
    probe: ProbeSpec
    keep_checkpoints: bool = True
    """Every checkpoint of a run stays in the store, so that replays of the run go on from the last one before their
    first edit. Costs three times the adapter's size each."""
    num_placebo_draws: int = 5
    """How many of a study's placebo follow-ups (random edits of the same size, random cores) are made."""
    num_weights: int = 3
    """How many of a study's weights on a core of items are tried, in the study's order."""
    num_bundle_parts: int = 3
    """Of the parts of the triggers that a study registers, largest first, beside all of them."""
