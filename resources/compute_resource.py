"""Compute as a Dagster resource: assets receive the plain object.

Here: the configuration the UI shows. Not here: anything it does (compute.py).
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from pydantic import Field

from resources.compute import Compute


class ComputeResource(dg.ConfigurableResource[Compute]):
    """Gives each step its device slot. Assets annotate it dg.ResourceParam[Compute]."""

    locks: str = Field(description="Folder of the lock files: <data root>/locks.")
    num_workers: int = Field(description="CPU slots on a machine without GPUs.", ge=1)

    def create_resource(self, context: dg.InitResourceContext) -> Compute:
        """The plain object; devices are found when it is made, not when definitions are loaded."""
        return Compute(Path(self.locks), num_workers=self.num_workers)
