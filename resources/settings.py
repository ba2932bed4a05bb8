"""What a person or a deployment sets: where data lies, which profile, how many workers.

Here: the SQUIGGLE_* environment variables and their defaults. Not here: secrets (services read their own, and they are
never part of a value that is printed), sizes (profiles), experiments (studies).
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from the environment once; arguments win over it."""

    model_config = SettingsConfigDict(env_prefix="SQUIGGLE_", env_ignore_empty=True, frozen=True, extra="forbid")

    data_root: Path = Field(default=Path("data"), description="Objects, pointers, work and locks.")
    dagster_home: Path | None = Field(default=None, description="Dagster's own storage; default <data_root>/dagster.")
    profile: str = Field(default="demo", description="Sizes: test, demo, gpu, or a path to a YAML file.")
    items: str | None = Field(default=None, description="Local file or hub data set instead of the generated pool.")
    num_workers: int | None = Field(default=None, ge=1, description="One-thread processes; default: usable cores.")

    @property
    def home(self) -> Path:
        """DAGSTER_HOME, absolute."""
        return (self.dagster_home or self.data_root / "dagster").absolute()

    @property
    def locks(self) -> Path:
        """Where lock files lie, absolute."""
        return (self.data_root / "locks").absolute()

    @property
    def workers(self) -> int:
        """How many one-thread processes compute at once on a machine without GPUs."""
        return self.num_workers or num_usable_cores()


def num_usable_cores() -> int:
    """Cores this process may use (not those the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
