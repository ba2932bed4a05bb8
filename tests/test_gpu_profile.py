"""The gpu profile, with its model and items lying here: the real architecture cut down, rows as the hub has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, Gemma3TextConfig

from resources.settings import Settings
from squiggle_assets.profiles import load
from squiggle_assets.science.pool import generate_pool
from squiggle_assets.science.spec import PoolSpec
from squiggle_assets.science.tokenizer_training import train_tokenizer
from squiggle_assets.workspace import Workspace

pytestmark = pytest.mark.slow

PROFILE = Path(__file__).resolve().parents[1] / "squiggle_assets" / "profiles" / "gpu.yaml"


@pytest.fixture(scope="module")
def profile_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """gpu.yaml with the hub's model and data set replaced by files of the same kind."""
    root = tmp_path_factory.mktemp("hub")
    pool = generate_pool(PoolSpec(num_items=2500, seed=7))
    rows = [
        {"problem": row["problem"], "generated_solution": row["solution"], "expected_answer": row["final_answer"]}
        | {"problem_type": "has_answer_extracted", "problem_source": "aops_c6_high_school_olympiads"}
        for row in pool.iter_rows(named=True)
    ]
    items = root / "cot.jsonl"
    items.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    tokenizer = train_tokenizer(pool["problem"].to_list(), 320, 256)
    config = Gemma3TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        sliding_window=64,
        layer_types=["sliding_attention", "full_attention"],
        max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = root / "gemma"
    AutoModelForCausalLM.from_config(config).save_pretrained(model)
    tokenizer.save_pretrained(model)
    named = load("gpu")
    text = PROFILE.read_text(encoding="utf-8")
    for hub, local in ((named.base_model.source, model), (str(named.pool.items), items)):
        assert text.count(hub) == 1
        text = text.replace(hub, str(local))
    path = root / "gpu_local.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_run_of_the_gpu_profile_reaches_geometry_on_local_files_of_the_same_kind(
    profile_file: Path, tmp_path: Path
) -> None:
    words = ("run", "curriculum_ab", "--profile", str(profile_file), "--arms", "iid", "--seeds", "42")
    done = subprocess.run(
        [sys.executable, "-m", "squiggle_assets.cli", *words, "--select", "geometry"],
        capture_output=True,
        text=True,
        env={**os.environ, "SQUIGGLE_DATA_ROOT": str(tmp_path), "SQUIGGLE_NUM_WORKERS": "1"},
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    store = Workspace(Settings(data_root=tmp_path, profile=str(profile_file))).store
    pointer = store.pointer("curriculum_ab/run_manifest", "iid", 42)
    assert pointer is not None
    manifest = store.read(pointer).row(0, named=True)
    spec = json.loads(manifest["spec_json"])
    named = load("gpu")
    assert (manifest["num_updates"], spec["training"]["dtype"], spec["training"]["batch_size"]) == (
        named.training.total_steps,
        "bfloat16",
        named.training.batch_size,
    )
    geometry = store.read(store.pointer("curriculum_ab/geometry", "iid", 42))
    assert geometry["layer"].n_unique() == 2
    assert geometry["value"].is_finite().all()
    base = store.open_handle(store.pointer("base_model"))
    assert base.document("config.json")["architectures"] == ["Gemma3ForCausalLM"]
