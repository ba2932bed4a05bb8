"""Handles across asset borders: folders in the store, a small verified value in the asset.

Here: loading one partition as a Handle, or any number as a dict. Not here: storing (base.py, store.py).
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from io_managers.base import REFUSED, StoreIOManager, refuse
from squiggle_assets.schemas.handles import Handle


class HandleIOManager(StoreIOManager):
    """Loads an input annotated Handle as one handle, dict[str, Handle] as a dict of any number of them."""

    def load_input(self, context: dg.InputContext) -> Handle | dict[str, Handle]:
        """One handle, or handles by 'arm|seed' (or 'arm'), by arm, then by seed as a number; every file verified.

        dg.Failure names every missing, damaged or blocked partition, and says so if one handle was wanted and the
        input maps to another number of them.
        """
        single = context.dagster_type.typing_type is Handle
        try:
            pointers = self.find_all(context)
            handles = {pointer.partition: self.store.open_handle(pointer) for pointer in pointers}
        except REFUSED as error:
            raise refuse(error) from error
        if not single:
            return handles
        if len(handles) != 1:
            raise dg.Failure(
                f"input {context.name} is annotated Handle but maps to {len(handles)} partitions; annotate it "
                "dict[str, Handle]",
                allow_retries=False,
            )
        return next(iter(handles.values()))


def handle_io_manager(root: Path | str) -> HandleIOManager:
    """The IO manager of handles under a data root."""
    return HandleIOManager(root=str(root))
