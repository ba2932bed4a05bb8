"""The assets of a study as they are wired: checks, inputs, identities, and what each step refuses or leaves out.

Nothing is trained or pretrained: compute functions meet frames of a few rows.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from io_managers.store import Store
from squiggle_assets import checks, profiles
from squiggle_assets.assets import analysis, curricula, evidence, policies, runs, shared
from squiggle_assets.assets.node import Partition, Scope
from squiggle_assets.assets.sources import path_digest
from squiggle_assets.definitions import graph_of
from squiggle_assets.schemas.base import dtypes
from squiggle_assets.schemas.consensus import TABLES as CONSENSUS
from squiggle_assets.schemas.runs import RunManifest
from squiggle_assets.science.baselines import baselines_of
from squiggle_assets.science.spec import (
    Arm,
    BaseModelSpec,
    Plant,
    PoolSpec,
    ProbeSpec,
    Profile,
    SplitSpec,
    Study,
    TrainingSpec,
)
from squiggle_assets.science.splitting import ContaminationError
from squiggle_assets.studies import study

STUDY = study("curriculum_ab")
GRAPH = graph_of("curriculum_ab", profiles.load("test"))
PROFILE = Profile(
    name="tiny", description=".", num_seeds=3, pool=PoolSpec(), split=SplitSpec(), base_model=BaseModelSpec(),
    training=TrainingSpec(), probe=ProbeSpec(),
)  # fmt: skip


def scope(arm: str | None = None, seed: int | None = None, of: Study = STUDY, **profile: Any) -> Scope:
    return Scope(study=of, profile=replace(PROFILE, **profile), partition=Partition(arm, seed), num_seeds=3)


def step(at: Scope, **rest: Any) -> Any:
    return SimpleNamespace(scope=at, facts={}, **rest)


def params(node: str, at: Scope) -> Any:
    return next(each for each in GRAPH.nodes if each.name == node).params(at)


# ---- which checks guard what, and who waits for whom


def test_every_output_has_the_checks_it_had_and_they_block_as_they_did() -> None:
    found = {
        (node.name, out.name): {(name, blocking, function) for name, blocking, function in out.checks}
        for node in GRAPH.nodes
        for out in node.outs
    }
    assert {key: value for key, value in found.items() if value} == {
        ("items", "candidate_pool"): {
            ("answers_verified", True, checks.answers_verified),
            ("families", False, checks.families),
        },
        ("split", "split"): {("groups_whole", True, checks.groups_whole)},
        ("run", "scalars"): {("losses_finite", True, checks.losses_finite)},
        ("run", "sample_trace"): {("trace_complete", True, checks.trace_complete)},
        ("run", "captures"): {("enough_captures", True, checks.enough_captures)},
        ("events", "detection_summary"): {("accounted", True, checks.accounted)},
        ("conclusions", "claims"): {("controls_tested", True, checks.controls_tested)},
        ("usage_ledger", "usage_ledger"): {("no_leak", True, checks.no_leak)},
    }


def test_every_node_makes_what_it_made() -> None:
    assert {node.name: [out.name for out in node.outs] for node in GRAPH.nodes} == {
        "items": ["candidate_pool", "classification"],
        "split": ["split"],
        "base_model": ["base_model"],
        "curriculum": ["curriculum", "expected_exposure"],
        "run": [
            *("run_manifest", "scalars", "sample_trace", "probe_losses", "milestones", "controller_decisions"),
            *("adapter", "captures"),
        ],
        "geometry": ["geometry"],
        "dynamics": ["dynamics"],
        "baselines": ["baselines"],
        "events": ["events", "detection_candidates", "detection_summary"],
        "design": ["minimum_detectable"],
        "consensus": ["consensus_events", "null_draws", "invariance"],
        "conclusions": ["pairing_draws", "arm_outcomes", "claims"],
        "usage_ledger": ["usage_ledger"],
        "attribution": [
            *("event_locations", "trigger_attribution", "trigger_status", "trigger_bundles", "exposure_locked")
        ],
        "trigger_overlap": ["trigger_overlap"],
        "probe_event_correlation": ["probe_event_correlation", "probe_event_status"],
        "report": ["report"],
        "run_report": ["run_report"],
    }


def test_conclusions_wait_for_the_ledger_and_all_arms_are_judged_by_the_placebo() -> None:
    nodes = {node.name: node for node in GRAPH.nodes}
    assert nodes["conclusions"].inputs["ledger"].asset == "usage_ledger"
    assert nodes["events"].inputs["baselines"].arm == "placebo"
    fixed = [entry for node in GRAPH.nodes for entry in node.inputs.values() if entry.arm is not None]
    assert fixed == [nodes["events"].inputs["baselines"]]


def test_what_needs_a_device_is_in_its_pool_and_the_design_comes_before_any_spending() -> None:
    assert {node.name for node in GRAPH.nodes if node.pool == "gpu"} == {"base_model", "run"}
    assert {node.name for node in GRAPH.nodes if node.before_spending} == {"design"}
    assert {node.name for node in GRAPH.nodes if node.exclude_by_default} == {"run_report"}


def test_the_work_of_a_run_is_removed_when_its_results_are_stored(tmp_path: Path) -> None:
    assert [node.name for node in GRAPH.nodes if node.cleanup is not None] == ["run"]
    store = Store(tmp_path)
    mine, other = (store.root / "work" / name for name in ("a" * 32, "b" * 32))
    for folder in (mine, other):
        folder.mkdir(parents=True)
    cleanup = GRAPH.makers["run_manifest"].cleanup
    assert cleanup is not None
    cleanup(step(scope("iid", 7), store=store, identity=SimpleNamespace(object_id="a" * 32)))
    assert not mine.exists() and other.exists()


# ---- what a step refuses, leaves out or forgets


def items(**splits: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Pool and split of items by name; 'family:split' puts an item into a group of near-duplicates."""
    rows = [(name, f"sha-{name}", *text.rpartition(":")[::2]) for name, text in splits.items()]
    split = pl.DataFrame(rows, schema=["item_id", "content_sha256", "group_id", "split"], orient="row")
    split = split.with_columns(group_id=pl.when(pl.col("group_id") == "").then("item_id").otherwise("group_id"))
    return split.select("item_id", "content_sha256"), split


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        ({"t": "train", "v": "val_random", "p": "probe_a", "q": "probe_b"}, "must not be"),
        ({"t": "twins:train", "v": "twins:val_random", "p": "probe_a", "q": "probe_b"}, "near-duplicates"),
    ],
)
def test_a_run_refuses_to_train_on_what_it_will_be_judged_by(
    monkeypatch: pytest.MonkeyPatch, splits: dict[str, str], words: str
) -> None:
    pool, split = items(**splits)
    drawn = ["t", "v"] if words == "must not be" else ["t"]
    policy = SimpleNamespace(items=pl.DataFrame({"item_id": drawn}))
    monkeypatch.setattr("resources.base_model.load_tokenizer", lambda path: None)
    base = SimpleNamespace(path=Path("nowhere"))
    with pytest.raises(ContaminationError, match=words):
        runs._inputs(step(scope("iid", 7)), pool, split, base, policy, "cpu")  # type: ignore[arg-type]


def test_a_curriculum_refuses_problems_that_the_base_model_has_read(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, split = items(known="train", fresh="train")
    read = {policies.PRETRAINED_ON: ["sha-known"]}
    base = SimpleNamespace(files=tuple(read), document=read.__getitem__)
    monkeypatch.setattr(curricula, "policy_of", lambda *given: pytest.fail("went on to build the curriculum"))
    with pytest.raises(ValueError, match=r"pretrained on 1 problems of the pool, for instance known"):
        curricula._compute(step(scope("iid")), pool, split, base)  # type: ignore[arg-type]


def geometry_of(**sizes: float) -> pl.DataFrame:
    """Twelve captures of one series for seeds 0, 1, ..., whose increments alternate between 1 and 2 times a size."""
    frames = []
    for seed, (run, size) in enumerate(sizes.items()):
        values = [size * (at + at // 2) for at in range(12)]
        frame = pl.DataFrame({"step": range(0, 24, 2), "value": values})
        frames.append(
            frame.with_columns(
                arm=pl.lit("placebo"), seed=pl.lit(seed, dtype=pl.Int64), run_id=pl.lit(run), probe_set=pl.lit("a"),
                component=pl.lit("x_out"), layer=pl.lit(0, dtype=pl.Int64), metric=pl.lit("effective_rank"),
            )
        )  # fmt: skip
    return pl.concat(frames)


def manifest_of(*stopped: bool) -> pl.DataFrame:
    seeds = pl.Series("seed", range(len(stopped)), dtype=pl.Int64)
    return pl.DataFrame([seeds, pl.Series("stopped_early", stopped)]).with_columns(
        arm=pl.lit("placebo"), warmup_end=pl.lit(2), decay_start=pl.lit(20), phase_boundaries_json=pl.lit("[]")
    )


def test_stopped_runs_are_no_part_of_what_is_usual() -> None:
    geometry, at = geometry_of(a=1.0, b=1.5, c=500.0), step(scope("placebo"))
    found = analysis._baselines(at, geometry, manifest_of(False, False, True))["baselines"]
    whole = geometry.filter(pl.col("run_id") != "c").partition_by("run_id")
    assert found.equals(baselines_of(whole, STUDY.detection))
    assert found["num_runs"].max() == 2
    assert not found.equals(analysis._baselines(at, geometry, manifest_of(False, False, False))["baselines"])
    assert analysis._baselines(at, geometry, manifest_of(True, True, True))["baselines"].is_empty()


def test_stopped_runs_take_no_part_in_consensus() -> None:
    # of two runs one was stopped: nothing is left to agree, and nothing was tested
    events = pl.DataFrame(schema={"seed": pl.Int64})
    found = evidence.consensus(step(scope("placebo")), geometry_of(a=1.0, b=1.0), events, manifest_of(False, True))
    for name, frame in found.items():
        CONSENSUS[name].validate(frame)
        assert frame.is_empty()


def test_a_run_probed_with_a_training_item_fails_the_blocking_check_of_the_ledger() -> None:
    def outcome(probed: str) -> Any:
        _, split = items(t="train", p="probe_a")
        split = split.with_columns(family_id=pl.lit("f"))
        keys = {"arm": ["iid"], "seed": [7], "run_id": ["r"]}
        trace = pl.DataFrame({**keys, "step": [0], "item_id": ["t"], "content_sha256": ["sha-t"], "family_id": ["f"]})
        manifest = pl.DataFrame({**keys, "probe_items_json": [f'["{probed}"]']})
        ledger = evidence._ledger(step(scope()), split, trace.lazy(), manifest)["usage_ledger"]
        return checks.no_leak(ledger, scope())

    assert outcome("p").passed
    assert not outcome("t").passed


def test_where_the_base_model_lay_is_no_part_of_an_adapter() -> None:
    dummies = {pl.Int64: 1, pl.Float64: 1.0, pl.Boolean: False, pl.String: "x"}
    own = {"arm", "seed", "run_id", "spec_json", "curriculum_id", "phase_boundaries_json", "probe_items_json"}
    summary = {name: dummies[dtype.base_type()] for name, dtype in dtypes(RunManifest).items() if name not in own}
    empty = pl.DataFrame(schema={"step": pl.Int64})
    result = SimpleNamespace(
        adapter={}, adapter_config={"r": 8, "base_model_name_or_path": "/home/someone/models/base"},
        summary={**summary, "phase_boundaries": [(40, "blocks"), (80, "all")]},
        scalars=empty, sample_trace=empty, probe_losses=empty, milestones=empty, controller_decisions=empty,
    )  # fmt: skip
    identity = SimpleNamespace(object_id="r" * 32, config={"seed": 7})
    found = runs._outputs(step(scope("iid", 7), identity=identity), result, "c", ["q", "p"])
    config = found["adapter"].documents["adapter_config.json"]
    assert config == {"r": 8, "base_model_name_or_path": None}
    row = found["run_manifest"].row(0, named=True)
    assert (row["arm"], row["seed"], row["run_id"]) == ("iid", 7, "r" * 32)
    assert (row["phase_boundaries_json"], row["probe_items_json"]) == ("[40,80]", '["p","q"]')


# ---- what makes a product another one


def of_arm(**changes: Any) -> Scope:
    """The scope of the placebo arm, changed."""
    arms = tuple(replace(arm, **changes) if arm.name == "placebo" else arm for arm in STUDY.arms)
    return scope("placebo", of=replace(STUDY, arms=arms))


def test_a_curriculum_is_another_one_when_anything_changes_that_shapes_it() -> None:
    plain = params("curriculum", scope("placebo"))
    assert plain == params("curriculum", scope("placebo", probe=ProbeSpec(num_tokens=8)))
    sizes: list[dict[str, Any]] = [{"total_steps": 400}, {"step_multiplier": 2}, {"batch_size": 4}, {"max_length": 64}]
    changed = [
        plain,
        params("curriculum", of_arm(shuffle_families=False)),
        params("curriculum", scope("placebo", split=SplitSpec(seed=1))),
        params("curriculum", of_arm(curriculum="family_ramp")),
        params("curriculum", of_arm(plant=Plant(start=0.5, num_steps=2, share=1.0))),
        *(params("curriculum", scope("placebo", training=TrainingSpec(**each))) for each in sizes),
    ]
    assert all(first != second for i, first in enumerate(changed) for second in changed[:i])
    # families are shuffled by the split's seed; where they are not, it shapes nothing here
    unshuffled = (params("curriculum", scope("iid", split=SplitSpec(seed=seed))) for seed in (1, 2))
    assert next(unshuffled) == next(unshuffled)


def test_a_matched_curriculum_is_another_one_when_its_reference_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    arm = Arm(name="m", curriculum="family_blocked_matched", role="treatment", description=".")
    template = policies.template_of(arm)
    assert template.match is not None
    edited = replace(template.match, reference=replace(template.match.reference, yaml_sha256="edited"))
    before = params("curriculum", of_arm(curriculum="family_blocked_matched"))
    monkeypatch.setattr(policies, "template_of", lambda arm: replace(template, match=edited))
    assert params("curriculum", of_arm(curriculum="family_blocked_matched")) != before


def test_a_curriculum_file_of_ones_own_is_known_by_its_text(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    text = policies.template_of(STUDY.only("placebo")).text
    path.write_text(text, encoding="utf-8")
    before = params("curriculum", of_arm(curriculum=str(path)))
    path.write_text(f"{text}# edited\n", encoding="utf-8")
    assert params("curriculum", of_arm(curriculum=str(path))) != before


def test_the_base_model_is_another_one_when_what_it_must_not_read_changes() -> None:
    plain = params("base_model", scope())
    others = [
        params("base_model", scope(pool=PoolSpec(num_items=100))),
        params("base_model", scope(pool=PoolSpec(seed=1))),
        params("base_model", scope(base_model=BaseModelSpec(seed=1))),
    ]
    assert plain not in others
    # imported items are met later, and the usual pool stays barred: no import pretrains the model again
    assert params("base_model", scope(pool=PoolSpec(num_items=100, items="own.jsonl"))) == plain


def rewrite(path: Path, text: str) -> None:
    """Other bytes of the same length, written a second later: what a cache by size or by name would miss."""
    later = path.stat().st_mtime_ns + 1_000_000_000
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(later, later))


def test_the_pool_is_another_one_when_a_byte_of_the_items_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"a": 1}', encoding="utf-8")
    at = scope(pool=PoolSpec(items=str(path)))
    before = params("items", at)
    assert params("items", at) == before
    rewrite(path, '{"a": 2}')
    assert params("items", at) != before
    rewrite(path, '{"a": 1}')
    assert params("items", at) == before
    assert params("items", scope(pool=PoolSpec(items=str(path), max_items=5))) != before


def test_a_model_folder_is_known_by_the_names_and_bytes_of_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("config.json", "deep/weights"):
        (tmp_path / name).write_text("one", encoding="utf-8")
    at = scope(base_model=BaseModelSpec(source=str(tmp_path)))
    seen = [params("base_model", at)]
    rewrite(tmp_path / "deep/weights", "two")
    seen.append(params("base_model", at))
    (tmp_path / "deep/weights").rename(tmp_path / "deep/other")
    seen.append(params("base_model", at))
    (tmp_path / "new").write_text("", encoding="utf-8")
    seen.append(params("base_model", at))
    seen.append(params("base_model", replace(at, profile=replace(at.profile, training=TrainingSpec(dtype="bfloat16")))))
    assert all(first != second for i, first in enumerate(seen) for second in seen[:i])


def test_a_hub_id_stands_for_itself() -> None:
    assert path_digest("owner/name") == "owner/name"
    assert shared._pool_params(scope(pool=PoolSpec(items="owner/name")))["items"] == "owner/name"
