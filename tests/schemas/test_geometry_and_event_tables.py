"""The frames that science builds are the tables that the schemas declare."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from pandera.errors import SchemaError

from squiggle_assets.schemas import events as event_tables
from squiggle_assets.schemas import geometry as geometry_tables
from squiggle_assets.schemas.base import empty
from squiggle_assets.science.accounts import candidates_of, detection_of, summary_of
from squiggle_assets.science.baselines import baselines_of
from squiggle_assets.science.dynamics import dynamics_of
from squiggle_assets.science.events import events_of
from squiggle_assets.science.geometry import geometry_of
from squiggle_assets.science.spec import DetectionSpec

SPEC = DetectionSpec()
TABLES = {**geometry_tables.TABLES, **event_tables.TABLES}


def run(arm, seed):
    rng = np.random.default_rng(seed)
    clouds = {f"{probe}.x_out.{layer:02d}": rng.normal(size=(30, 12)) for probe in "ab" for layer in range(2)}

    def captures():
        for step in range(0, 80, 2):
            for cloud in clouds.values():
                cloud += 0.1 * rng.normal(size=cloud.shape)
            yield step, clouds

    return geometry_of(
        captures(), arm=arm, seed=seed, run_id=f"{arm}{seed}", probe_set_sha256={"a": "sha-a", "b": "sha-b"}
    )


@pytest.fixture(scope="module")
def tables():
    geometry = run("iid", 1)
    baselines = baselines_of([run("placebo", seed) for seed in (1, 2)], SPEC)
    detection = detection_of(geometry, SPEC, 4)
    return {
        "geometry": geometry,
        "dynamics": dynamics_of(geometry),
        "baselines": baselines,
        "events": events_of(detection, baselines, SPEC, "id"),
        "detection_candidates": candidates_of(detection, "id"),
        "detection_summary": summary_of(detection, "id"),
    }


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_built_frame_passes_its_schema_and_is_not_empty(tables, name):
    assert TABLES[name].validate(tables[name]).height > 0


@pytest.mark.parametrize("name", sorted(TABLES))
def test_an_empty_frame_of_the_right_types_passes(name):
    TABLES[name].validate(empty(TABLES[name]))


def test_events_of_a_run_without_any_are_typed(tables):
    still = tables["geometry"].with_columns(pl.col("value").first().over("probe_set", "layer", "metric"))
    detection = detection_of(still, SPEC, 4)
    event_tables.Events.validate(events_of(detection, tables["baselines"], SPEC, "id"))
    event_tables.DetectionCandidates.validate(candidates_of(detection, "id"))


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_repeated_key_fails(tables, name):
    with pytest.raises(SchemaError, match="not unique"):
        TABLES[name].validate(pl.concat([tables[name], tables[name].head(1)]))


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("geometry", "metric", "drift"),
        ("geometry", "num_rows", 1),
        ("dynamics", "dt_steps", 0),
        ("baselines", "mad_sigma", 0.0),
        ("events", "polarity", 0),
        ("events", "event_phase", "late"),
        ("detection_candidates", "skip_reason", "selected"),
        ("detection_summary", "share_retained", 1.5),
    ],
)
def test_a_value_outside_its_range_fails(tables, name, column, value):
    frame = tables[name]
    with pytest.raises(SchemaError, match=column):
        TABLES[name].validate(frame.with_columns(pl.lit(value, dtype=frame[column].dtype).alias(column)))
