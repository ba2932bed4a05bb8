"""Handles across asset borders: folders in the store, a small verified value in the asset.

Here: loading one partition as a Handle, or any number as a dict. Not here: storing (base.py, store.py).
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from io_managers.base import StoreIOManager
from squiggle_assets.schemas.handles import Handle


class HandleIOManager(StoreIOManager):
    """Loads an input annotated Handle as one handle, dict[str, Handle] as a dict of any number of them."""

    def load_input(self, context: dg.InputContext) -> Handle | dict[str, Handle]:
        """One handle, or handles by 'arm|seed' (or 'arm'), by arm, then by seed as a number; every file verified.

        dg.Failure names every missing, damaged or blocked partition, and says so if one handle was wanted and the
        input maps to another number of them.
        """
        handles = self.open_all(context, self.store.open_handle)
        if context.dagster_type.typing_type is not Handle:
            return handles
        if len(handles) != 1:
            raise dg.Failure(
                f"input {context.name} is annotated Handle but maps to {len(handles)} partitions; annotate it "
                "dict[str, Handle]",
                allow_retries=False,
            )
        return next(iter(handles.values()))


def handle_io_manager(root: Path | str, *, pointers: Path | str | None = None) -> HandleIOManager:
    """The IO manager of handles under a data root; pointers: as Store."""
    return HandleIOManager(root=str(root), pointers=None if pointers is None else str(pointers))
