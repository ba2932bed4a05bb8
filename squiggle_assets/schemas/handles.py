"""What crosses an asset border besides tables: handles, drafts of handles, origins and products.

Here: plain frozen values. Not here: reading or writing files (io_managers).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where an artefact comes from; stored in its pointer, its parquet metadata and its materialisation."""

    asset: str
    """Asset key, joined by '/'."""
    arm: str | None
    seed: int | None
    object_id: str
    """run_id for what a run produced, hash of inputs + code version + parameters for everything else."""
    code_version: str
    config_hash: str
    inputs: Mapping[str, str]
    """'asset/arm/seed' -> sha256 of every input, complete however many there are."""
    profile: str
    git_commit: str | None = None
    git_dirty: bool | None = None
    dagster_run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """What one asset check said of one product."""

    name: str
    passed: bool
    blocking: bool
    description: str
    failing_rows: tuple[Mapping[str, Any], ...] = ()
    """At most 20 of them."""
    num_failing: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)
    version: str = ""
    """Code version of the check: after the check is mended, what it once said counts no more."""


@dataclass(frozen=True, kw_only=True)
class HandleDraft:
    """A handle before it is stored: small enough to be in memory (an adapter, not captures)."""

    tensors: Mapping[str, Mapping[str, Tensor | np.ndarray]] = field(default_factory=dict)
    """File stem -> named tensors; becomes <stem>.safetensors."""
    documents: Mapping[str, Any] = field(default_factory=dict)
    """File name ending in .json -> JSON value."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Any other file (tokenizer.json bytes, report.html, plots/x.png) by relative name."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Goes into the manifest."""


@dataclass(frozen=True, kw_only=True)
class Handle:
    """A stored folder with a verified sha256 manifest. The value that travels; the tensors stay on disk."""

    path: Path
    sha256: str
    """Of the manifest, so of everything in the folder."""
    files: tuple[str, ...]
    meta: Mapping[str, Any]

    def tensors(self, stem: str) -> dict[str, np.ndarray]:
        """Named arrays of <stem>.safetensors; FileNotFoundError lists the files there are."""
        from safetensors.numpy import load_file

        name = f"{stem}.safetensors"
        if name not in self.files:
            raise FileNotFoundError(f"handle {self.path.name} has no {name}; it has {list(self.files)}")
        loaded: dict[str, np.ndarray] = load_file(self.path / name)
        return loaded

    def document(self, name: str) -> Any:
        """The JSON value of <name>.json; FileNotFoundError lists the files there are."""
        if name not in self.files:
            raise FileNotFoundError(f"handle {self.path.name} has no {name}; it has {list(self.files)}")
        return json.loads((self.path / name).read_bytes())

    def steps(self) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """(step, named arrays) of every step_NNNNNN.safetensors in order: the captures of a run, one at a time."""
        for name in sorted(self.files):
            if name.startswith("step_") and name.endswith(".safetensors"):
                stem = name.removesuffix(".safetensors")
                yield int(stem.removeprefix("step_")), self.tensors(stem)


@dataclass(frozen=True, kw_only=True)
class Product:
    """What an asset hands to its IO manager: a value with its identity, origin and checks."""

    value: pl.DataFrame | HandleDraft | None
    """None: the object is already in the store under this id (a reused run or an unchanged analysis),
    or was written there by a sink (captures)."""
    origin: Origin
    object_name: str | None = None
    """File or folder name inside the object; None = last part of the asset key. Tables of a run carry their arm
    in it, because the same run may serve arms of other names."""
    checks: tuple[CheckOutcome, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Extra Dagster metadata: figures (numbers), plots (markdown), device time."""
