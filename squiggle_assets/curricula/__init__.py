"""Curriculum presets: one YAML file each, data only.

Here: the names of the presets and their text. Not here: what a text means (squiggle_assets.science.curriculum).
"""

from __future__ import annotations

from importlib import resources

PRESETS: tuple[str, ...] = (
    "iid_baseline",
    "balanced_baseline",
    "family_blocked",
    "family_ramp",
    "blocked_early",
    "controls_first",
    "difficulty_ramp",
    "family_blocked_matched",
    "family_ramp_matched",
    "blocked_early_matched",
    "controls_first_matched",
    "tempered_baseline",
)


def preset_text(name: str) -> str:
    """The YAML text of a preset; ValueError lists the presets there are."""
    if name not in PRESETS:
        raise ValueError(f"no curriculum preset {name!r}; presets are {', '.join(PRESETS)}")
    return resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
