"""Layer A: what the activations of one capture look like as a cloud of points.

Here: spectra, the metrics on them, and the long frame of a run. Not here: change over time (dynamics), events,
and which token positions are pads (capturing drops them before anything is computed).
Legend: n = rows (token positions), d = width, r = min(n, d), k = leading directions, s = singular values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.metrics import STEP_ANGLE

F64 = NDArray[np.float64]

TOP_K = 8
"""Leading singular directions in the top-k mass and in the principal angle."""
NEAR_ZERO = 1e-3
"""Entries below this in absolute value count as zero for the sparsity proxy."""
_FLOOR = 1e-12
"""Singular values are not taken to be smaller."""
_NAME = re.compile(r"(?P<probe_set>[a-z0-9_-]+)\.(?P<component>[a-z0-9_-]+)\.(?P<layer>\d{2,})")


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """The spectrum of one column-centred activation matrix."""

    values: F64
    """[r] singular values, descending, at least 1e-12."""
    directions: F64
    """[d, k'] leading right singular vectors, k' = min(TOP_K, rank), signs arbitrary."""


def spectrum_of(activations_nd: NDArray[np.floating]) -> Spectrum:
    """Spectrum of one activation matrix [rows, width]; ValueError as `spectra_of`."""
    return spectra_of({"activations": activations_nd})["activations"]


def spectra_of(captured: Mapping[str, NDArray[np.floating]]) -> dict[str, Spectrum]:
    """Spectra of the matrices of one capture, each centred by column.

    The singular values are square roots of the eigenvalues of the smaller Gram matrix (d x d when rows > width,
    else n x n) in float64: the same numbers as an SVD's down to about 1e-8 of the largest, at a fraction of
    the time. In float32 the small ones would be wrong by up to their whole size, and entropy sums over them all.
    The rank that limits k' counts singular values above sqrt(eps * max(n, d)) of the largest, what a Gram matrix
    can tell from 0. All rows are used (earlier: 4096 of them at random).
    ValueError naming the tensor: not [rows >= 2, width], nan or inf, or no spread at all.
    """
    # one matrix after the other: wide copies of all of them at once do not fit the cache
    return {name: _spectrum(name, _centred(name, matrix)) for name, matrix in captured.items()}


def effective_rank(values_r: F64) -> float:
    """(sum s)^2 / sum s^2, the participation ratio of the singular values (not of the variances), 1 to r."""
    return float(values_r.sum() ** 2 / np.square(values_r).sum())


def sv_entropy(values_r: F64) -> float:
    """-sum p ln p with p = s / sum s, in nats; its exponential is the rank of Roy and Vetterli (2007)."""
    share_r = values_r / values_r.sum()
    return float(-(share_r * np.log(share_r)).sum())


def topk_mass(values_r: F64, k: int = TOP_K) -> float:
    """Share of the k largest in the sum of the singular values (not of the variances), 0 to 1."""
    return float(values_r[:k].sum() / values_r.sum())


def sparsity_proxy(activations_nd: NDArray[np.floating]) -> float:
    """Share of raw (not centred) entries below 1e-3 in absolute value; depends on the basis, unlike the others."""
    return float(np.count_nonzero(np.abs(activations_nd) < NEAR_ZERO) / activations_nd.size)


def principal_angle(before_dk: F64, after_dk: F64) -> float:
    """Mean principal angle between two sets of orthonormal directions, in radians, 0 to pi/2.

    arccos of the singular values of before^T after, over the smaller number of directions, from the leading
    columns of both. Its resolution near 0 is about 1e-8 (arccos of a number next to 1).
    ValueError when the widths disagree.
    """
    if before_dk.shape[0] != after_dk.shape[0]:
        raise ValueError(f"directions of widths {before_dk.shape[0]} and {after_dk.shape[0]} have no angle")
    k = min(before_dk.shape[1], after_dk.shape[1])
    cosines = np.linalg.svd(before_dk[:, :k].T @ after_dk[:, :k], compute_uv=False)
    return float(np.arccos(np.clip(cosines, -1.0, 1.0)).mean())


def geometry_of(
    captures: Iterable[tuple[int, Mapping[str, NDArray[np.floating]]]],
    *,
    arm: str,
    seed: int,
    run_id: str,
    probe_set_sha256: Mapping[str, str],
) -> pl.DataFrame:
    """The geometry table of one run from its captures, one in memory at a time.

    captures: (step, {"<set>.<component>.<layer:02d>": activations [rows, width]}) in order of steps, the first
    being the reference of principal_angle (exactly 0 there). principal_angle_step has no row at the first
    capture. ValueError naming step and tensor: fewer than 3 captures, steps that do not increase, tensors or
    row counts that differ from the first capture's, a probe set without a hash, and all of `spectra_of`.
    """
    rows = list(_rows(captures))
    if len({row["step"] for row in rows}) < 3:
        raise ValueError(f"run {run_id}: fewer than 3 captures have no dynamics; capture more often")
    unknown = {row["probe_set"] for row in rows} - set(probe_set_sha256)
    if unknown:
        raise ValueError(f"run {run_id}: no hash for probe sets {sorted(unknown)}, got {sorted(probe_set_sha256)}")
    return pl.DataFrame(rows, schema_overrides={"num_rows": pl.Int64}).select(
        pl.lit(arm).alias("arm"),
        pl.lit(seed, dtype=pl.Int64).alias("seed"),
        pl.lit(run_id).alias("run_id"),
        "step",
        "probe_set",
        "component",
        "layer",
        "metric",
        "value",
        "num_rows",
        pl.col("probe_set").replace_strict(dict(probe_set_sha256), return_dtype=pl.String).alias("probe_set_sha256"),
    )


def _rows(captures: Iterable[tuple[int, Mapping[str, NDArray[np.floating]]]]) -> Iterator[dict[str, Any]]:
    first: dict[str, F64] = {}
    before: dict[str, F64] = {}
    num_rows: dict[str, int] = {}
    last_step = -1
    for step, captured in captures:
        if step <= last_step:
            raise ValueError(f"captures must come in order of steps: step {step} follows {last_step}")
        try:
            spectra = spectra_of(captured)
        except ValueError as problem:
            raise ValueError(f"capture at step {step}: {problem}") from problem
        shape = {name: len(matrix) for name, matrix in captured.items()}
        if first and shape != num_rows:
            raise ValueError(f"capture at step {step} holds {shape} rows by tensor, the first one {num_rows}")
        directions = {name: spectrum.directions for name, spectrum in spectra.items()}
        for name, spectrum in spectra.items():
            yield from _tensor_rows(step, name, captured[name], spectrum, first.get(name), before.get(name))
        first, before, num_rows, last_step = first or directions, directions, shape, step


def _tensor_rows(
    step: int, name: str, matrix: NDArray[np.floating], spectrum: Spectrum, first: F64 | None, before: F64 | None
) -> Iterator[dict[str, Any]]:
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise ValueError(f"tensor {name!r} at step {step} is not named <set>.<component>.<layer:02d>")
    key = {"step": step, "probe_set": parts["probe_set"], "component": parts["component"], "layer": int(parts["layer"])}
    values = {
        "effective_rank": effective_rank(spectrum.values),
        "sv_entropy": sv_entropy(spectrum.values),
        "topk_mass_k8": topk_mass(spectrum.values),
        "sparsity_proxy": sparsity_proxy(matrix),
        "principal_angle": 0.0 if first is None else principal_angle(first, spectrum.directions),
    }
    if before is not None:
        values[STEP_ANGLE] = principal_angle(before, spectrum.directions)
    for metric, value in values.items():
        yield {**key, "metric": metric, "value": value, "num_rows": len(matrix)}


def _centred(name: str, matrix: NDArray[np.floating]) -> F64:
    if matrix.ndim != 2 or matrix.shape[0] < 2 or matrix.shape[1] < 1:
        raise ValueError(f"activations {name} need at least 2 rows of [rows, width], got shape {matrix.shape}")
    x_nd = matrix.astype(np.float64)
    if not np.isfinite(x_nd).all():
        row, at = np.argwhere(~np.isfinite(x_nd))[0]
        raise ValueError(f"activations {name} must be finite, got {matrix[row, at]} at row {row}, column {at}")
    x_nd -= x_nd.mean(axis=0)
    return x_nd


def _spectrum(name: str, x_nd: F64) -> Spectrum:
    tall = x_nd.shape[0] > x_nd.shape[1]
    ascending, vectors = np.linalg.eigh(x_nd.T @ x_nd if tall else x_nd @ x_nd.T)
    values = np.sqrt(np.clip(ascending[::-1], 0.0, None))
    if values[0] <= _FLOOR:
        raise ValueError(f"activations {name} do not vary over {len(x_nd)} rows: no spectrum (collapsed or padded?)")
    resolution = np.sqrt(np.finfo(np.float64).eps * max(x_nd.shape))
    k = min(TOP_K, int(np.count_nonzero(values > resolution * values[0])))
    leading = vectors[:, : -k - 1 : -1]
    directions = leading if tall else x_nd.T @ leading / values[:k]
    return Spectrum(values=np.maximum(values, _FLOOR), directions=np.ascontiguousarray(directions))
