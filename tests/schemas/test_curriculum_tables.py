from __future__ import annotations

import json

import polars as pl
import pytest
from pandera.errors import SchemaError

from squiggle_assets.curricula import PRESETS
from squiggle_assets.schemas.curriculum import TABLES
from squiggle_assets.science.curriculum import load_preset
from squiggle_assets.science.families import NAMES
from squiggle_assets.science.policy import resolve
from squiggle_assets.science.spec import Plant
from squiggle_assets.science.trace import trace_rows
from tests.science.curriculum_items import items_of, planted_items


def tables(name: str) -> dict[str, pl.DataFrame]:
    policy = resolve(
        load_preset(name),
        items_of(dict.fromkeys(NAMES, 3)),
        total_steps=60,
        batch_size=4,
        extra_steps=5,
        plant=Plant(start=0.5, num_steps=2, share=0.5, num_items=2),
        planted=planted_items(2),
    )
    arm = pl.lit("a").alias("arm")
    curriculum = {
        "arm": "a",
        "curriculum_id": policy.curriculum_id,
        "curriculum_name": policy.template.name,
        "curriculum_version": policy.template.version,
        "yaml_sha256": policy.template.yaml_sha256,
        "yaml_text": policy.template.text,
        "total_steps": policy.num_steps,
        "batch_size": policy.batch_size,
        "manifest_json": json.dumps(policy.manifest()),
    }
    run = [arm, pl.lit(3, pl.Int64).alias("seed"), pl.lit("r").alias("run_id")]
    return {
        "curriculum": pl.DataFrame([curriculum]),
        "expected_exposure": policy.expected_exposure().select(arm, pl.all()),
        "sample_trace": trace_rows(policy, 3, range(65), micro_batch=2).select(*run, pl.all()),
    }


@pytest.mark.parametrize("name", PRESETS)
def test_what_a_policy_makes_fits_its_tables(name):
    for table, made in tables(name).items():
        TABLES[table].validate(made, lazy=True)


def test_a_repeated_draw_and_a_negative_expectation_do_not_fit():
    made = tables("iid_baseline")
    with pytest.raises(SchemaError, match=r"unique|duplicate"):
        TABLES["sample_trace"].validate(pl.concat([made["sample_trace"], made["sample_trace"].head(1)]))
    with pytest.raises(SchemaError, match="expected_draws"):
        TABLES["expected_exposure"].validate(made["expected_exposure"].with_columns(expected_draws=pl.lit(-1.0)))
