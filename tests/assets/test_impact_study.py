"""The nodes of an impact study as they are wired, and what its steps make of small tables."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from io_managers.folders import check_file_name
from partitions.mappings import Place, mapping
from squiggle_assets import profiles
from squiggle_assets.assets import analysis, evidence, impact, impact_outcomes, impact_study, runs, shared
from squiggle_assets.assets.node import NOWHERE, Graph, Partition, Scope
from squiggle_assets.schemas.base import empty
from squiggle_assets.schemas.curriculum import Curriculum, ExpectedExposure
from squiggle_assets.schemas.impact import TABLES, ImpactCore, ImpactDesign, ImpactStatus
from squiggle_assets.schemas.tables import TABLES as ALL
from squiggle_assets.science.canonical import sha256_text
from squiggle_assets.science.curriculum import load_preset, parse_template
from squiggle_assets.science.families import NAMES as FAMILIES
from squiggle_assets.science.waves import CONFIRMATION, Roster
from squiggle_assets.studies.curriculum_ab import CURRICULUM_AB
from squiggle_assets.studies.impact_curriculum import IMPACT_CURRICULUM as WHOLE

STUDY = WHOLE.sized(profiles.load("test"))
"""With one weight and three random cores."""
GRAPH = Graph(STUDY, shared.nodes() + impact_study.nodes(STUDY), {**ALL, **TABLES})
ROSTER = Roster((1, 2), (5, 7))
PROFILE = replace(profiles.load("test"), num_seeds=2)
IMPACT, LOSS, PLAIN = "iid.impact-w2", "iid.loss-w2", "iid.exact"
RANDOMS = ("iid.random-w2", "iid.random-w2-2", "iid.random-w2-3")
ARMS = (PLAIN, IMPACT, *RANDOMS, LOSS)


def step(arm: str | None = None, seed: int | None = None, **rest: Any) -> Any:
    at = Scope(study=STUDY, profile=PROFILE, partition=Partition(arm, seed), num_seeds=2)
    return SimpleNamespace(scope=at, facts={}, **rest)


def fed(node: str, argument: str, at: Partition) -> list[str]:
    maker = next(each for each in GRAPH.nodes if each.name == node)
    return [str(p) for p in GRAPH.feeds(maker, maker.inputs[argument], at, ROSTER)]


# ---- wiring


def test_discovery_is_that_of_curriculum_ab_so_its_runs_are_found():
    assert (STUDY.arms, STUDY.seeds, STUDY.detection) == (
        CURRICULUM_AB.arms,
        CURRICULUM_AB.seeds,
        CURRICULUM_AB.detection,
    )
    found = next(each for each in GRAPH.nodes if each.name == "run")
    assert found.compute is runs.nodes()[0].compute and found.spec is runs.nodes()[0].spec


def test_the_first_weight_is_two_and_every_weight_has_its_controls():
    assert [each.name for each in STUDY.followups] == list(ARMS)
    assert [each.weight for each in WHOLE.followups] == [0, *(7 * [2]), *(7 * [1]), *(7 * [4])]
    assert [each.draw for each in WHOLE.followups if each.core == "random"] == 3 * [0, 1, 2, 3, 4]


def test_what_is_selected_reaches_fresh_runs_only_through_the_core():
    assert fed(f"{CONFIRMATION}/curriculum", "core", Partition(IMPACT)) == ["-"]
    assert fed(f"{CONFIRMATION}/run", "curriculum", Partition(IMPACT, 5)) == [IMPACT]
    run = GRAPH.makers[f"{CONFIRMATION}/run_manifest"]
    assert {entry.asset for entry in run.inputs.values()} == {
        "candidate_pool", "split", "base_model", f"{CONFIRMATION}/curriculum",
    }  # fmt: skip


def test_fresh_runs_are_judged_by_discoverys_placebo_arm_and_agree_among_themselves():
    assert fed(f"{CONFIRMATION}/events", "baselines", Partition(IMPACT, 5)) == ["placebo"]
    assert fed(f"{CONFIRMATION}/events", "manifest", Partition(IMPACT, 5)) == [f"{IMPACT}|5"]
    assert fed(f"{CONFIRMATION}/consensus", "events", Partition(IMPACT)) == [f"{IMPACT}|5", f"{IMPACT}|7"]
    assert fed("impact_conclusions", "manifest", NOWHERE) == [
        f"{arm}|{seed}" for arm in sorted(ARMS) for seed in (5, 7)
    ]
    assert fed("impact_core", "trace", NOWHERE)[0] == "balanced|1"


def test_every_input_has_a_mapping_in_dagster():
    for node in GRAPH.nodes:
        for entry in node.inputs.values():
            maker = GRAPH.makers[entry.asset]
            mapping(STUDY, Place(maker.grain, maker.wave), Place(node.grain, node.wave), entry.arm)


def test_the_report_rests_on_the_fresh_runs_and_on_how_the_core_came_about():
    node = GRAPH.makers["report"]
    assert {entry.asset for entry in node.inputs.values()} == {
        *("claims", "impact_design", "impact_status", "impact_core", "impact_effects"),
        *(f"{CONFIRMATION}/expected_exposure", f"{CONFIRMATION}/run_manifest"),
    }
    assert fed("report", "expected_exposure", NOWHERE) == sorted(ARMS)
    assert len(fed("report", "run_manifest", NOWHERE)) == 6 * len(ROSTER.fresh)


def test_nothing_of_the_confirmation_wave_feeds_the_core():
    def above(name: str) -> set[str]:
        node = GRAPH.makers[name]
        return {out.name for out in node.outs}.union(*(above(entry.asset) for entry in node.inputs.values()))

    assert not {name for name in above("impact_core") if name.startswith(CONFIRMATION)}
    assert {"usage_ledger", f"{CONFIRMATION}/usage_ledger", "impact_core"} <= above("claims")
    assert "claims" in above("impact_package")


def test_every_table_has_a_model_and_what_is_spent_last_is_shown_first():
    for node in GRAPH.nodes:
        for out in node.outs:
            assert out.kind == "handle" or out.short in GRAPH.tables, out.name
    assert GRAPH.stages["impact_design"] == 0 < GRAPH.stages["run"] < GRAPH.stages["impact_core"]


# ---- what the steps make


def test_three_seeds_cannot_reach_alpha_and_the_design_says_so():
    rows = ImpactDesign.validate(impact._design(step())["impact_design"])
    # 2 pairs: the smallest p is 1/4
    assert not rows["reaches_alpha"].any() and rows["smallest_p"].to_list() == [0.25] * 3
    assert rows.filter(pl.col("family") == "learning")["seeds_for_alpha"].item() == 8
    assert rows["num_draws"].to_list() == [3] * 3


def test_with_one_random_core_nothing_reaches_alpha_however_many_seeds():
    at = Scope(
        study=replace(STUDY, followups=tuple(f for f in STUDY.followups if not f.draw)), profile=PROFILE, num_seeds=8
    )
    at = replace(at, profile=replace(PROFILE, num_seeds=8))
    rows = ImpactDesign.validate(impact._design(SimpleNamespace(scope=at))["impact_design"])
    assert not rows["reaches_alpha"].any() and rows["spreads_for_alpha"].null_count() == 3
    assert (rows["smallest_q"] <= 0.05).all()


ITEMS = pl.DataFrame(
    [
        {"item_id": f"{family}-{k}", "content_sha256": sha256_text(f"{family}-{k}"), "family_id": family,
         "token_len": 10, "difficulty_proxy": "easy", "problem": "?", "solution": "Answer: 1", "source": "generated"}
        for family in FAMILIES[:3]
        for k in range(20)
    ]
)  # fmt: skip
SPLIT = ITEMS.select("item_id", split=pl.lit("train"))
EVENTS = pl.DataFrame(
    {"consensus_event_id": "e", "arm": "iid", "analysis_id": "x", "probe_set": "a", "q_value": 0.4, "p_value": 0.3,
     "near_boundary": False, "median_step": 40.0, "band": "layers_0_0", "metric_group": "angle", "polarity": 1,
     "onset_step": 36.0, "constituents": json.dumps({"1": {"step": 40}, "2": {"step": 40}})}
)  # fmt: skip


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every item fits, and the loss of an item is its number."""
    monkeypatch.setattr(impact, "trainable", lambda items, base, length: items)
    monkeypatch.setattr(
        impact, "policy_of",
        lambda scope, pool, split, base: impact._policy(scope, load_preset("iid_baseline"), pool),
    )  # fmt: skip

    def with_losses(step: Any, items: pl.DataFrame, base: Any) -> pl.DataFrame:
        number = pl.col("item_id").str.split("-").list.last().cast(pl.Float64)
        return items.select("item_id", "content_sha256", "family_id", base_loss=number)

    monkeypatch.setattr(impact, "_with_losses", with_losses)


def made_core(events: pl.DataFrame = EVENTS) -> dict[str, pl.DataFrame]:
    """The core node on a drawn trace; no event is significant, so the best of them ranks."""
    from squiggle_assets.schemas.triggers import ExposureLocked, TriggerAttribution
    from squiggle_assets.science.trigger_simulation import drawn_runs, trace_of

    at = step("iid")
    policy = impact._policy(at.scope, load_preset("iid_baseline"), ITEMS)
    trace = trace_of(policy, drawn_runs(policy, [1, 2])).with_columns(
        pl.lit("iid").alias("arm"), (pl.col("seed") + 1).alias("seed")
    )
    manifest = pl.DataFrame({"arm": ["iid", "iid"], "seed": [1, 2], "stopped_early": [False, False]})
    made = impact._core(
        step(), ITEMS, SPLIT, None, events, empty(TriggerAttribution), empty(ExposureLocked), trace.lazy(), manifest
    )
    return dict(made)


@pytest.mark.usefixtures("tiny")
def test_without_a_significant_event_the_best_one_still_ranks_and_no_row_says_more():
    made = made_core()
    core, status = ImpactCore.validate(made["impact_core"]), ImpactStatus.validate(made["impact_status"])
    row = status.row(0, named=True)
    # 60 items in 3 families of 20, which three random cores and this one share: 5 of each
    assert (row["status"], row["num_items"], row["num_significant_events"], row["event_q"]) == ("ranked", 15, 0, 0.4)
    own = core.filter(pl.col("core") == "impact")
    assert (
        own.height == 15
        and core["draw"].max() == 2
        and not own["is_significant"].any()
        and own["lb05"].is_sorted(descending=True)
    )


@pytest.mark.usefixtures("tiny")
def test_without_any_event_there_is_no_core_no_curriculum_and_no_run():
    made = made_core(EVENTS.clear())
    assert made["impact_core"].is_empty()
    assert ImpactStatus.validate(made["impact_status"])["status"].to_list() == ["no_selection"]
    curriculum = impact._curriculum(step(IMPACT), ITEMS, SPLIT, None, made["impact_core"])
    assert curriculum["curriculum"].is_empty() and curriculum["expected_exposure"].is_empty()
    ran = impact._run(step(IMPACT, 5), ITEMS, SPLIT, None, curriculum["curriculum"])
    assert ran["run_manifest"].is_empty() and ran["captures"].meta == {"stop_reason": "no_selection"}
    none = {name: empty(ALL[name]) for name in ("geometry", "events", "run_manifest", "baselines")}
    seen = analysis._events(step(IMPACT, 5), none["geometry"], none["run_manifest"], none["baselines"])
    agreed = evidence.consensus(step(IMPACT), none["geometry"], seen["events"], none["run_manifest"])
    assert {name: rows.height for name, rows in agreed.items()} == {
        "consensus_events": 0, "null_draws": 0, "invariance": 0,
    }  # fmt: skip
    plain = impact._curriculum(step(PLAIN), ITEMS, SPLIT, None, made["impact_core"])["curriculum"]
    assert plain["curriculum_name"].to_list() == ["iid_baseline"]


def curricula(core: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    made = [impact._curriculum(step(each.name), ITEMS, SPLIT, None, core) for each in STUDY.followups]
    return tuple(pl.concat([one[name] for one in made]) for name in ("curriculum", "expected_exposure"))


@pytest.mark.usefixtures("tiny")
def test_the_arms_of_a_weight_expect_the_same_draws_and_differ_in_their_core(monkeypatch: pytest.MonkeyPatch):
    core = made_core()["impact_core"]
    rows, exposure = curricula(core)
    Curriculum.validate(rows)
    ExpectedExposure.validate(exposure)
    assert rows["curriculum_id"].n_unique() == rows["curriculum_name"].n_unique() == 6
    assert impact_outcomes._residual(STUDY, exposure) < 1e-9
    skewed = exposure.with_columns(
        expected_draws=pl.when(pl.col("arm") == RANDOMS[2])
        .then(pl.col("expected_draws") + 0.1)
        .otherwise("expected_draws")
    )
    with pytest.raises(RuntimeError, match=r"differ by 0\.1"):
        impact_outcomes._residual(STUDY, skewed)


@pytest.mark.usefixtures("tiny")
def test_a_run_draws_what_its_curriculum_row_says_or_refuses(monkeypatch: pytest.MonkeyPatch):
    rows, _ = curricula(made_core()["impact_core"])
    own = rows.filter(pl.col("arm") == IMPACT)
    asked: dict[str, Any] = {}
    monkeypatch.setattr(runs, "trained", lambda step, pool, split, base, policy, captures: asked.update(
        policy=policy, captures=captures))  # fmt: skip
    impact._run(step(IMPACT, 5), ITEMS, SPLIT, None, own)
    assert asked["policy"].curriculum_id == own["curriculum_id"].item()
    assert asked["captures"] == "confirmation/captures"
    with pytest.raises(RuntimeError, match="is not the curriculum"):
        impact._run(step(IMPACT, 5), ITEMS, SPLIT, None, own.with_columns(curriculum_id=pl.lit("other")))


def test_the_code_of_fresh_runs_covers_what_they_are_trained_with():
    from squiggle_assets.science.source import definitions

    found = {name for name, _ in definitions(("squiggle_assets.assets.impact", "_run"))}
    assert {"squiggle_assets.science.training:train", "squiggle_assets.science.policy:resolve"} <= found
    assert not any("impact_claims" in name for name in found)


# ---- the package


@pytest.mark.usefixtures("tiny")
def test_the_package_holds_the_core_its_curriculum_and_the_verdicts():
    from squiggle_assets.schemas.claims import Claims
    from squiggle_assets.schemas.impact import ImpactEffects

    made = made_core()
    core, (rows, exposure) = made["impact_core"], curricula(made["impact_core"])
    claims = empty(Claims)
    at = step(identity=SimpleNamespace(inputs={"impact_curriculum/claims": "0" * 64}))
    # items of the controls are handed on too: here they have a source of their own
    own = core.filter(pl.col("core") == "impact")["item_id"].to_list()
    pool = ITEMS.with_columns(
        source=pl.when(pl.col("item_id").is_in(own)).then(pl.lit("generated")).otherwise(pl.lit("x"))
    )
    draft = impact_outcomes._package(
        at, pool, core, made["impact_status"], rows, exposure, empty(ImpactEffects), claims
    )["impact_package"]
    assert set(draft.files) == {
        "impact_core.jsonl", "impact_ramp.yaml", "expected_exposure.jsonl", "claims.jsonl", "effects.jsonl",
        "controls/random_core.jsonl", "controls/random_core_2.jsonl", "controls/random_core_3.jsonl",
        "controls/random_core_ramp.yaml", "controls/random_core_ramp_2.yaml", "controls/random_core_ramp_3.yaml",
        "controls/loss_core.jsonl", "controls/loss_core_ramp.yaml",
    }  # fmt: skip
    for mark in ("", "_2", "_3"):
        held = {json.loads(line)["item_id"] for line in draft.files[f"controls/random_core{mark}.jsonl"].splitlines()}
        ramp = parse_template(draft.files[f"controls/random_core_ramp{mark}.yaml"].decode(), "x.yaml")
        assert len(held) == 15 and set(ramp.phases[0].weights.start) == {f"item:{item}" for item in held}
    items = [json.loads(line) for line in draft.files["impact_core.jsonl"].splitlines()]
    assert [item["rank"] for item in items] == list(range(1, 16))
    assert {"problem", "solution", "family_id", "lift", "q_value", "effect", "consensus_event_id"} <= set(items[0])
    template = parse_template(draft.files["impact_ramp.yaml"].decode(), "impact_ramp.yaml")
    assert set(template.phases[0].weights.start) == {f"item:{item['item_id']}" for item in items}
    drawn = pl.read_ndjson(draft.files["expected_exposure.jsonl"])
    total = drawn.filter(pl.col("arm") == IMPACT)["expected_draws"].sum()
    assert total == pytest.approx(PROFILE.training.total_steps * PROFILE.training.batch_size)
    manifest = draft.documents["package.json"]
    assert [check_file_name(name) for name in (*draft.files, *draft.documents)]
    assert set(manifest["source_licences"]) == {"generated", "x"}
    assert manifest["status"]["status"] == "ranked" and manifest["seeds"]["confirmation"] == list(STUDY.fresh_seeds[:2])
    assert {entry["path"] for entry in manifest["files"]} == set(draft.files)
    assert next(entry["rows"] for entry in manifest["files"] if entry["path"] == "impact_core.jsonl") == 15


def test_losses_of_the_base_model_are_measured_item_by_item(monkeypatch: pytest.MonkeyPatch):
    from contextlib import contextmanager

    import resources.base_model
    from tests.science.run_stand import corpus
    from tests.science.tiny_models import random_model, tokenizer

    @contextmanager
    def slot() -> Any:
        yield SimpleNamespace(device="cpu", figures={})

    model = SimpleNamespace(model=random_model("llama"))
    monkeypatch.setattr(resources.base_model, "load_base", lambda path, attn: model)
    monkeypatch.setattr(resources.base_model, "load_tokenizer", lambda path: tokenizer())
    at = step(resources=SimpleNamespace(compute=SimpleNamespace(slot=slot)))
    found = impact._with_losses(at, corpus(8), SimpleNamespace(path=None))
    assert found.columns == ["item_id", "content_sha256", "family_id", "base_loss"]
    assert np.isfinite(found["base_loss"].to_numpy()).all() and found["base_loss"].n_unique() == 8
