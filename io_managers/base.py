"""What the table and the handle IO manager share: storing a Product, finding the pointers of an input.

Here: Product -> object + pointer + metadata, the fence against orphans, named failure of missing partitions.
Not here: loading by annotation (tables.py, handles.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import dagster as dg
import polars as pl
from pydantic import Field, PrivateAttr

from io_managers.commit import ConflictError
from io_managers.gate import GateError, check_frame, schema_sha256
from io_managers.keys import partitions_of
from io_managers.pointers import DamagedError, ObjectRef, Pointer, partition_name
from io_managers.provenance import stored_metadata
from io_managers.store import BlockedError, Store
from squiggle_assets.schemas.base import Table
from squiggle_assets.schemas.handles import HandleDraft, Product

REFUSED = (BlockedError, DamagedError, ConflictError, GateError)
"""Errors that a retry cannot mend."""


T = TypeVar("T")


class StoreIOManager(dg.ConfigurableIOManager):
    """Stores what assets make under one data root; subclasses say how it is loaded."""

    root: str = Field(description="Data root: a local folder (SQUIGGLE_DATA_ROOT).")
    pointers: str | None = Field(default=None, description="Folder of the workspace's pointers; default: the root.")

    models: ClassVar[Mapping[str, type[Table]]] = {}
    """Asset name (last part of the key) -> table model; bound by table_io_manager."""

    _opened: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def opened(self) -> Mapping[str, str]:
        """'asset/arm/seed' -> sha256 of everything that was last opened for a step of this process."""
        return self._opened

    @property
    def store(self) -> Store:
        """The store under the root."""
        return Store(self.root, pointers=self.pointers)

    def handle_output(self, context: dg.OutputContext, obj: Product) -> None:
        """Store the product, point the partition at it, and tell the materialisation.

        dg.Failure, not to be retried, for what does not fit its model, conflicts with what is stored, or comes from a
        run that has already ended (an orphan).
        """
        if not isinstance(obj, Product):
            raise TypeError(f"{context.asset_key.to_user_string()} must return a Product, got {type(obj).__name__}")
        asset = "/".join(context.asset_key.path)
        arm, seed = _one_partition(context, asset)
        origin = obj.origin
        if (origin.asset, origin.arm, origin.seed) != (asset, arm, seed):
            raise ValueError(
                f"origin names {origin.asset} {partition_name(origin.arm, origin.seed)}, but this is the output of "
                f"{asset} {partition_name(arm, seed)}"
            )
        _fence(context)
        try:
            ref = self._put(context.asset_key.path[-1], obj)
        except REFUSED as error:
            raise refuse(error) from error
        pointer = self.store.point(asset, arm, seed, ref, origin, obj.checks)
        model = self.models.get(context.asset_key.path[-1]) if ref.kind == "table" else None
        context.add_output_metadata({**stored_metadata(pointer, str(self.store.path(ref)), model), **obj.metadata})
        context.step_context.set_data_version(context.asset_key, dg.DataVersion(ref.sha256))

    def model(self, name: str) -> type[Table]:
        """The model of a table; ValueError names the tables there are."""
        if name not in self.models:
            raise ValueError(f"no table model for asset {name!r}; there are models for {sorted(self.models)}")
        return self.models[name]

    def open_all(self, context: dg.InputContext, opened: Callable[[Pointer], T]) -> dict[str, T]:
        """Every partition an input maps to, by name, in order, opened; dg.Failure naming each that may not be read."""
        found: dict[str, T] = {}
        errors: list[Exception] = []
        for pointer in self._find_all(context):
            try:
                found[pointer.partition] = opened(pointer)
                at = (str(part) for part in (pointer.arm, pointer.seed) if part is not None)
                self._opened["/".join([pointer.asset, *at])] = pointer.sha256
            except REFUSED as error:
                errors.append(error)
        if errors:
            raise refuse(*errors) from errors[0]
        return found

    def _find_all(self, context: dg.InputContext) -> list[Pointer]:
        asset = "/".join(context.asset_key.path)
        wanted = partitions_of(context)
        found = [self.store.pointer(asset, arm, seed) for arm, seed in wanted]
        missing = [
            partition_name(*partition) for partition, pointer in zip(wanted, found, strict=True) if pointer is None
        ]
        if missing:
            raise dg.Failure(
                f"{asset}: {len(missing)} of {len(wanted)} partitions were never made: {', '.join(missing)}. Make "
                "them first (`squiggle run`, or materialise them in the UI); fewer runs than planned are never used "
                "in their place",
                metadata={"missing": dg.MetadataValue.json(missing), "num_expected": len(wanted)},
                allow_retries=False,
            )
        return [pointer for pointer in found if pointer is not None]

    def _put(self, asset: str, product: Product) -> ObjectRef:
        object_id, name = product.origin.object_id, product.object_name or asset
        value = product.value
        if isinstance(value, pl.DataFrame):
            return self.store.put_table(object_id, name, value, self.model(asset), product.origin)
        if isinstance(value, HandleDraft):
            return self.store.put_handle(object_id, name, value, product.origin)
        if value is not None:
            raise TypeError(f"{name}: a Product holds a DataFrame, a HandleDraft or None, got {type(value).__name__}")
        ref = self.store.find(object_id, name)
        if ref is None:
            raise DamagedError(f"{name} was reported to be in the store under {object_id}, but it is not there")
        return self._fitting(asset, ref)

    def _fitting(self, asset: str, ref: ObjectRef) -> ObjectRef:
        """The reference, once a stored table is known to fit its model of today; GateError if it does not."""
        if ref.kind != "table" or ref.schema_sha256 == schema_sha256(self.model(asset)):
            return ref
        frame = pl.read_parquet(self.store.path(ref), glob=False)
        check_frame(frame, self.model(asset), f"stored {ref.name} of {asset} (its model changed, its code did not)")
        return replace(ref, schema_sha256=schema_sha256(self.model(asset)))


def _one_partition(context: dg.OutputContext, asset: str) -> tuple[str | None, int | None]:
    partitions = partitions_of(context)
    if len(partitions) != 1:
        raise ValueError(
            f"{asset}: one step makes one partition, this one has {len(partitions)}; give the asset no single-run "
            "backfill policy"
        )
    return partitions[0]


def _fence(context: dg.OutputContext) -> None:
    """An orphan step, whose run was already given up, must not publish over the one that took its place."""
    run = context.step_context.instance.get_run_by_id(context.step_context.run_id)
    if run is not None and run.is_finished:
        raise dg.Failure(
            f"run {run.run_id} has already ended ({run.status.value}): this step is an orphan and may not publish",
            allow_retries=False,
        )


def refuse(*errors: Exception) -> dg.Failure:
    """The errors as one Failure that Dagster shows whole and does not retry."""
    metadata: dict[str, Any] = {"errors": dg.MetadataValue.json([type(error).__name__ for error in errors])}
    failing = [error.num_failing for error in errors if isinstance(error, GateError)]
    if failing:
        metadata["num_failing"] = sum(failing)
    return dg.Failure("\n".join(str(error) for error in errors), metadata=metadata, allow_retries=False)
