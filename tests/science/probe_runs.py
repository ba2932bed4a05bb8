"""Made-up probe runs: geometry, dynamics, manifests and traces of a few arms and seeds, with a known family effect."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from squiggle_assets.science.dynamics import dynamics_of
from squiggle_assets.science.geometry import geometry_of
from squiggle_assets.science.probe_signature import SIGNATURE
from squiggle_assets.science.rng import generator


def geometry(
    arm: str, seed: int, *, steps: tuple[int, ...] = tuple(range(0, 41, 5)), push: float = 0.0
) -> pl.DataFrame:
    """Two layers of 30 token positions that drift at random from one base; push shrinks half of the directions."""
    base = generator("base").normal(size=(2, 30, 12))
    noise = generator("drift", arm, seed)

    def captures():
        clouds = base.copy()
        for step in steps:
            if step:
                clouds = clouds + 0.05 * noise.normal(size=clouds.shape)
                clouds[:, :, :6] *= 1 - push
            yield step, {f"{which}.x_out.{layer:02d}": clouds[layer] for which in "ab" for layer in range(2)}

    return geometry_of(
        captures(), arm=arm, seed=seed, run_id=f"{arm}-{seed}", probe_set_sha256={"a": "sha-a", "b": "sha-b"}
    )


def runs(arms: Mapping[str, float], seeds: range) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Geometry, dynamics, manifest and trace (two draws a step of an arm's own three items) of arms -> push."""
    found = [geometry(arm, seed, push=push) for arm, push in arms.items() for seed in seeds]
    keys = [{"arm": arm, "seed": seed, "run_id": f"{arm}-{seed}"} for arm in arms for seed in seeds]
    manifest = pl.DataFrame([{**key, "stopped_early": False} for key in keys])
    trace = pl.DataFrame(
        [
            {**key, "step": step, "item_id": f"{key['arm']}-{(step + slot) % 3}", "family_id": key["arm"]}
            for key in keys
            for step in range(40)
            for slot in range(2)
        ]
    )
    return pl.concat(found), pl.concat([dynamics_of(each) for each in found]), manifest, trace


def summaries(
    arms: Mapping[str, float], seeds: range, *, key: str = "plain", components: tuple[str, ...] = SIGNATURE
) -> pl.DataFrame:
    """Signatures without runs: a part of the seed, noise of very different units, and a shift (in sd) per arm."""
    unit = np.array([1.0, 1e-3, 1e-4, 0.1, 30.0, 1e-2])
    moved = np.array([name in components for name in SIGNATURE], dtype=float)
    rows = []
    for seed in seeds:
        of_seed = generator("seed effect", key, seed).normal(size=6) * 5
        for arm, shift in arms.items():
            noise = generator("arm noise", key, arm, seed).normal(size=6)
            values = 100 * unit + unit * (of_seed + noise + shift * moved)
            rows.append({"arm": arm, "seed": seed, **dict(zip(SIGNATURE, values.tolist(), strict=True))})
    return pl.DataFrame(rows)
