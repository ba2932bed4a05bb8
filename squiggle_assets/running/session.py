"""An open workspace: settings, store, instance and graph of one study, ready to run, list or show.

Here: bringing the parts together for the command line. Not here: what any command prints (cli).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from io_managers.store import Store
from resources.settings import Settings
from squiggle_assets.assets.node import Graph
from squiggle_assets.science.spec import Profile, Study

if TYPE_CHECKING:
    import dagster as dg


@dataclass(frozen=True, kw_only=True)
class Session:
    """Everything a command needs to know of one study in one workspace."""

    settings: Settings
    study: Study
    profile: Profile
    graph: Graph
    store: Store
    instance: dg.DagsterInstance

    @property
    def seeds(self) -> tuple[int, ...]:
        """Registered seeds, sorted."""
        from partitions.rosters import registered_seeds

        return registered_seeds(self.study, self.instance)


@contextmanager
def open_session(study_name: str, settings: Settings) -> Iterator[Session]:
    """Prepare the workspace (home, roster, dead runs) and open it.

    Raises:
        ValueError: no such study, profile, or an unusable setting.
    """
    from partitions.rosters import sync
    from resources.instance import open_instance
    from squiggle_assets.definitions import graph_of
    from squiggle_assets.studies import study

    chosen = study(study_name)
    os.environ.update(settings.environment())
    profile = settings.load_profile()
    with open_instance(settings) as instance:
        sync(chosen, profile, instance)
        yield Session(
            settings=settings,
            study=chosen,
            profile=profile,
            graph=graph_of(chosen),
            store=settings.store(),
            instance=instance,
        )
