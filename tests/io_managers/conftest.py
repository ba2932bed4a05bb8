"""A small table model, origins and a store in a temporary folder."""

from typing import ClassVar

import polars as pl
import pytest

from io_managers.store import Store
from squiggle_assets.schemas.base import Table, column
from squiggle_assets.schemas.handles import Origin


class Points(Table):
    """One row per measured point."""

    arm: str = column("arm of the study")
    seed: int = column("replicate", ge=0)
    value: float = column("what was measured", unit="nats", nullable=True)

    class Config:
        unique: ClassVar[list[str]] = ["arm", "seed", "value"]


@pytest.fixture
def model():
    return Points


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "data")


@pytest.fixture
def make_origin():
    def make(asset="study/points", arm="ramp", seed=2, object_id="abc123", **more):
        fields = {"code_version": "1", "config_hash": "c0ffee", "inputs": {"study/up/ramp/2": "00"}, "profile": "test"}
        return Origin(asset=asset, arm=arm, seed=seed, object_id=object_id, **{**fields, **more})

    return make


@pytest.fixture
def origin(make_origin):
    return make_origin()


@pytest.fixture
def points():
    return pl.DataFrame({"arm": ["ramp"] * 50, "seed": [2] * 50, "value": [index / 7 for index in range(50)]})


@pytest.fixture
def stored(store, points, model, origin):
    """A table partition that is there: its pointer."""
    ref = store.put_table("abc123", "points", points, model, origin)
    return store.point("study/points", "ramp", 2, ref, origin)
