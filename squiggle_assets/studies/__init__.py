"""The studies there are. A new study is one value file here; nothing in this package computes."""

from __future__ import annotations

from squiggle_assets.science.spec import Study
from squiggle_assets.studies.calibration import CALIBRATION
from squiggle_assets.studies.curriculum_ab import CURRICULUM_AB
from squiggle_assets.studies.impact_curriculum import IMPACT_CURRICULUM
from squiggle_assets.studies.order import ORDER
from squiggle_assets.studies.probe_harness import PROBE_HARNESS
from squiggle_assets.studies.sampling_modes import SAMPLING_MODES
from squiggle_assets.studies.trigger_mining import TRIGGER_MINING

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (CURRICULUM_AB, TRIGGER_MINING, ORDER, SAMPLING_MODES, IMPACT_CURRICULUM, PROBE_HARNESS, CALIBRATION)
}


def study(name: str) -> Study:
    """The study of that name; ValueError lists the names there are."""
    if name not in STUDIES:
        raise ValueError(f"no study {name!r}; there are {sorted(STUDIES)}")
    return STUDIES[name]
