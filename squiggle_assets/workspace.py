"""A workspace: one profile over one source of items, with its own pointers and Dagster home.

Here: where things lie and which sizes run. Not here: environment variables (resources.settings), studies, assets.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from io_managers.store import Store
from resources.item_source import SUFFIXES
from resources.settings import Settings
from squiggle_assets import profiles
from squiggle_assets.science.canonical import sha256_text
from squiggle_assets.science.ports import Progress
from squiggle_assets.science.spec import Profile

FULL = 256 * 2**20
"""Bytes; with less space left nothing is begun, and whatever failed is said to have failed for it."""

Report = Callable[[str, object], Progress]
"""(node, partition) -> where its progress goes."""


@dataclass(frozen=True)
class Workspace:
    """Everything that depends on profile and items; objects are shared by all workspaces of a data root."""

    settings: Settings
    report: Report | None = None
    """None: progress goes to Dagster's log."""

    @staticmethod
    def given(*, profile: str | None = None, items: str | None = None) -> Workspace:
        """The workspace of the environment, with what a command line said winning over it."""
        found = Settings()
        if profile is not None and profiles.is_file(profile):
            profile = str(Path(profile).expanduser().absolute())
        said = {name: value for name, value in (("profile", profile), ("items", items)) if value is not None}
        made = Workspace(found.model_copy(update=said))
        _ = made.profile, made.items  # a name that is none has to be refused before anything is made for it
        return made

    @cached_property
    def root(self) -> Path:
        """Data root, absolute."""
        return self.settings.data_root.expanduser().absolute()

    @property
    def free_bytes(self) -> int:
        """Space that is left where the data root is, or will be."""
        folder = next(path for path in (self.root, *self.root.parents) if path.exists())
        return shutil.disk_usage(folder).free

    def refuse_full_disk(self) -> None:
        """OSError where too little space is left to write anything."""
        if self.free_bytes < FULL:
            raise OSError(
                f"the disk of {self.root} is full ({self.free_bytes / 2**20:.0f} MiB left): free some space, or point "
                "SQUIGGLE_DATA_ROOT at another disk; what is done is kept"
            )

    @cached_property
    def items(self) -> str | None:
        """Absolute path of a local file of items, or a hub id; None = generated."""
        given = self.settings.items
        if given is None:
            return None
        path = Path(given).expanduser()
        if path.is_dir():
            raise ValueError(f"--items {given}: a folder; give one file ({', '.join(SUFFIXES)}) or a hub id")
        if path.exists():
            return str(path.absolute())
        if given.startswith((".", "/", "~")) or given.count("/") != 1 or given.endswith(SUFFIXES):
            raise ValueError(f"--items {given}: no such file, and not a hub id of the form 'owner/name'")
        return given

    @cached_property
    def profile(self) -> Profile:
        """The sizes, with the items of this workspace; ValueError lists the profiles there are."""
        loaded = profiles.load(self.settings.profile)
        return loaded if self.items is None else replace(loaded, pool=replace(loaded.pool, items=self.items))

    @property
    def name(self) -> str:
        """<profile>, or <profile>-items-<hash of the source's name>; a profile file's name with a hash of its path."""
        own = self.settings.profile
        if profiles.is_file(own):
            own = f"{self.profile.name}-{sha256_text(own)[:8]}"
        return own if self.items is None else f"{own}-items-{sha256_text(self.items)[:8]}"

    @property
    def folder(self) -> Path:
        """Where pointers and Dagster's own storage lie."""
        return self.root / "workspaces" / self.name

    @property
    def home(self) -> Path:
        """DAGSTER_HOME of this workspace."""
        return self.settings.dagster_home or self.folder / "dagster"

    @property
    def locks(self) -> Path:
        """Lock files, shared by all workspaces: a device is one device."""
        return self.root / "locks"

    @property
    def store(self) -> Store:
        """The store with this workspace's pointers."""
        return Store(self.root, pointers=self.folder)

    @property
    def environment(self) -> dict[str, str]:
        """What a child process needs to be in the same workspace."""
        found = {
            "SQUIGGLE_DATA_ROOT": str(self.root),
            "SQUIGGLE_PROFILE": self.settings.profile,
            "SQUIGGLE_NUM_WORKERS": str(self.settings.workers),
            "DAGSTER_HOME": str(self.home),
        }
        return found if self.items is None else {**found, "SQUIGGLE_ITEMS": self.items}
