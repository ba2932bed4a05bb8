"""The sizes and bounds of a calibration study, and the study value that carries them.

Here: CalibrationSpec, CalibrationStudy. Not here: what is simulated (aa_test, trigger_simulation), what is concluded
(calibration), the study itself (squiggle_assets.studies).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from squiggle_assets.science.aa_test import Scenario
from squiggle_assets.science.simulation import Design
from squiggle_assets.science.spec import Study
from squiggle_assets.science.subsets import REPEAT, SUBSET
from squiggle_assets.science.trigger_simulation import TriggerStudy

_BOTH = 16
"""Seeds of both halves of a simulated arm."""
SCENARIOS = (
    Scenario(name="white", design=Design(num_seeds=_BOTH)),
    Scenario(name="learning_rate", design=Design(num_seeds=_BOTH, noise="learning_rate")),
    Scenario(name="boundary_1", design=Design(num_seeds=_BOTH, noise="boundary_1")),
    Scenario(name="boundary_3", design=Design(num_seeds=_BOTH, noise="boundary_3")),
    Scenario(name="events", design=Design(num_seeds=_BOTH), num_events=5, event_size=2.5),
)
"""Noise of one size, under the learning rate's envelope, four times as large for one and for three captures after every
boundary; and white noise with five events of a size that about half of the halves find: both hold them, and what they
count differs as much as it can."""


@dataclass(frozen=True, kw_only=True)
class CalibrationSpec:
    """What is tried how often, and what has to come out; pre-registered."""

    scenarios: tuple[Scenario, ...] = SCENARIOS
    num_studies: int = 200
    """Simulated A/A studies of each scenario."""
    draws_per_cell: int = 25
    """Null draws per cell of every half, simulated or re-split."""
    max_rejected: float = 0.08
    """Largest share of rejections: 16 of 200 at an alpha of .05 (a true .05 stays below it with probability .98)."""
    per_side: int = 8
    """Runs in each half of a re-split."""
    min_runs: int = 24
    """Real runs that a re-split should choose from."""
    num_splits: int = 200
    triggers: TriggerStudy = field(default_factory=TriggerStudy)
    """The simulated arm of the trigger curve, without its effect."""
    extras: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.6)
    """Effects of the curve: extra showings of each trigger per event window and seed, on average."""
    extra: float = 1.0
    """The one that must be found: every trigger is shown once more in each window than chance has it."""
    trigger_studies: int = 40
    """Simulated arms per effect."""
    min_recall: float = 0.9
    max_fdr: float = 0.1
    subset_share: float = 0.5
    """Of the items that a subset run is trained on."""
    min_subsets: int = 50
    """Subset runs that a linear datamodeling score should rest on; a claim on fewer is not the registered one."""

    def __post_init__(self) -> None:
        """Refuse counts that are not positive and an effect that is not on the curve."""
        counts = (self.num_studies, self.draws_per_cell, self.per_side, self.num_splits, self.trigger_studies)
        if min(counts) < 1 or not self.scenarios:
            raise ValueError(f"counts must be positive and a scenario is needed, got {counts} and {self.scenarios}")
        if self.extra not in self.extras:
            raise ValueError(f"the effect that must be found is {self.extra}, which is not on the curve {self.extras}")


@dataclass(frozen=True, kw_only=True)
class CalibrationStudy(Study):
    """A study of the platform itself."""

    seed_factor: int = 3
    """An A/A over real runs needs more of them than other studies."""
    calibration: CalibrationSpec = field(default_factory=CalibrationSpec)

    def __post_init__(self) -> None:
        """Refuse what a study refuses, and follow-ups that are no runs on subsets."""
        super().__post_init__()
        others = [each.name for each in self.followups if each.condition not in (SUBSET, REPEAT)]
        if others:
            raise ValueError(f"study {self.name}: follow-up arms of a calibration are subsets, got {others}")
