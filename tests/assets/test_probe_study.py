"""The nodes of the probe study as they are wired; nothing is trained."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from squiggle_assets import checks, profiles
from squiggle_assets.assets import policies, probe_study, probes, runs, shared
from squiggle_assets.assets.node import Graph, Partition, Scope
from squiggle_assets.schemas.base import empty
from squiggle_assets.schemas.probes import TABLES as PROBES
from squiggle_assets.schemas.tables import TABLES
from squiggle_assets.science.policy import Policy
from squiggle_assets.science.spec import Study
from squiggle_assets.science.waves import Roster
from squiggle_assets.studies.probe_harness import PROBE_HARNESS
from tests.science.curriculum_items import items_of

PROFILE = profiles.load("demo")
ROSTER = Roster((2, 10))
ARMS = [arm.name for arm in PROBE_HARNESS.arms]
ITEMS = items_of({**{arm: 12 for arm in ARMS[:8]}, "planted": 16, "logic_proof": 9})


def graph(study: Study = PROBE_HARNESS) -> Graph:
    return Graph(study, shared.nodes() + probe_study.nodes(study), {**TABLES, **PROBES})


def scope(arm: str | None = None, seed: int | None = None) -> Scope:
    return Scope(study=PROBE_HARNESS, profile=PROFILE, partition=Partition(arm, seed), num_seeds=2)


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The policy of an arm over ITEMS, all of them short enough."""
    monkeypatch.setattr(probes, "trainable", lambda items, base, length: items)
    where = pl.when(pl.col("family_id") == "planted").then(pl.lit("planted")).otherwise(pl.lit("train"))
    split = ITEMS.select("item_id", where.alias("split"))
    return lambda arm: probes.policy_of(scope(arm), ITEMS, split, None)  # type: ignore[arg-type]


def test_the_graph_builds_and_a_probe_run_is_an_ordinary_run() -> None:
    made = graph()
    assert [node.name for node in made.ordered if node.grain != "shared"] == [
        "curriculum", "run", "geometry", "dynamics", "usage_ledger", "probes", "report",
    ]  # fmt: skip
    ordinary, own = runs.nodes()[0], made.makers["adapter"]
    assert [out.name for out in own.outs] == [out.name for out in ordinary.outs]
    assert (own.inputs, own.pool, own.grain) == (ordinary.inputs, "gpu", "run")
    assert set(PROBES) - {out.name for node in made.nodes for out in node.outs} == {
        "probe_event_correlation", "probe_event_status",
    }  # fmt: skip


def test_the_summary_rests_on_every_run_and_on_the_ledger() -> None:
    made = graph()
    node = made.makers["probe_summaries"]
    every = tuple(Partition(arm, seed) for arm in sorted(ARMS) for seed in ROSTER.seeds)
    for name in ("geometry", "dynamics", "manifest", "trace"):
        assert made.feeds(node, node.inputs[name], Partition(), ROSTER) == every
    assert made.makers[node.inputs["ledger"].asset].name == "usage_ledger"
    of_run = made.makers["captures"]
    assert made.feeds(of_run, of_run.inputs["curriculum"], Partition("planted", 2), ROSTER) == (Partition("planted"),)


def test_the_report_waits_for_the_tests_their_draws_and_every_run() -> None:
    made = graph()
    node = made.makers["report"]
    assert {entry.asset for entry in node.inputs.values()} == {
        "claims", "probe_tests", "probe_draws", "probe_summaries", "run_manifest",
    }  # fmt: skip
    assert len(made.feeds(node, node.inputs["run_manifest"], Partition(), ROSTER)) == 2 * len(ARMS)


def test_the_arms_of_the_study_are_families_mixtures_and_a_planted_one() -> None:
    roles = {role: [arm.name for arm in PROBE_HARNESS.arms if arm.role == role] for role in
             ("treatment", "placebo", "baseline", "planted")}  # fmt: skip
    assert len(roles["treatment"]) == 8 and roles["planted"] == ["planted"]
    assert roles["placebo"] + roles["baseline"] == [f"mixture-{k}" for k in range(1, 5)]
    assert all(PROFILE.num_seeds <= len(PROBE_HARNESS.seeds) for _ in roles)


def test_a_familys_policy_draws_that_family_only_and_no_arm_has_more_items_than_another(policy: Any) -> None:
    found: dict[str, Policy] = {arm: policy(arm) for arm in ARMS}
    assert {each.num_training_items for each in found.values()} == {12}
    assert set(found["cyclic_groups"].items["family_id"]) == {"cyclic_groups"}
    assert len(set(found["mixture-1"].items["family_id"])) > 3
    assert "logic_proof" not in set(pl.concat([each.items for each in found.values()])["family_id"])
    assert len({each.curriculum_id for each in found.values()}) == len(ARMS)
    assert {each.num_steps for each in found.values()} == {100}
    assert all(each.num_planted_items == (8 if arm == "planted" else 0) for arm, each in found.items())


def test_a_run_is_known_by_the_micro_sizes_and_its_curriculum() -> None:
    given = {"pool": "a" * 64, "split": "b" * 64, "base": "c" * 64}
    spec = probes._spec(scope("cyclic_groups", 2), given, {"curriculum": {"curriculum_id": "d" * 16}})
    assert (spec["training"]["total_steps"], spec["probe"]["capture_every"], spec["seed"]) == (100, 5, 2)
    assert spec["curriculum_id"] == "d" * 16
    full = runs.spec_of(scope("cyclic_groups", 2), *given.values(), "d" * 16)
    assert full != spec and {**full, "training": 0, "probe": 0} == {**spec, "training": 0, "probe": 0}


def test_a_curriculum_is_another_one_when_the_choice_of_its_items_is() -> None:
    def params(at: Scope) -> Any:
        return graph().makers["curriculum"].params(at)

    plain = params(scope("cyclic_groups"))
    assert plain != params(scope("mixture-1"))
    fewer = replace(PROBE_HARNESS, arms=PROBE_HARNESS.arms[1:])
    assert plain != params(replace(scope("cyclic_groups"), study=fewer))
    other = replace(PROFILE, split=replace(PROFILE.split, seed=7))
    assert plain != params(replace(scope("cyclic_groups"), profile=other))
    assert plain == params(replace(scope("cyclic_groups"), profile=replace(PROFILE, num_seeds=3)))


def test_a_run_of_another_curriculum_than_the_arms_is_refused(policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = policy("cyclic_groups")
    monkeypatch.setattr(probes, "policy_of", lambda *_: made)
    step = SimpleNamespace(scope=scope("cyclic_groups", 2))
    with pytest.raises(RuntimeError, match="is not the curriculum"):
        probes._run(step, ITEMS, ITEMS, pl.DataFrame({"curriculum_id": ["other"]}), None)  # type: ignore[arg-type]


def test_with_every_run_stopped_the_tables_are_empty_and_typed() -> None:
    manifest = pl.DataFrame({"arm": ["cyclic_groups"], "seed": [2], "stopped_early": [True]})
    nothing = pl.DataFrame()
    layers, summaries = probes._tables(PROBE_HARNESS, nothing, nothing, manifest, nothing, {})
    assert layers.equals(empty(PROBES["probe_layers"])) and summaries.equals(empty(PROBES["probe_summaries"]))


def test_a_model_that_was_not_reset_and_foreign_items_fail_a_blocking_check() -> None:
    out = graph().makers["probe_summaries"].out("probe_summaries")
    assert out.checks == (("fresh_base", True, checks.fresh_base), ("own_family", True, checks.own_family))
    rows = pl.DataFrame(
        {"arm": ["f", "m"], "seed": [1, 1], "base_deviation": [0.0, 1e-9], "family_id": ["f", None],
         "share_own_family": [1.0, None]}
    )  # fmt: skip
    assert checks.fresh_base(rows, scope()).passed and checks.own_family(rows, scope()).passed
    carried = rows.with_columns(base_deviation=pl.lit(1e-3))
    assert checks.fresh_base(carried, scope()).num_failing == 2
    foreign = rows.with_columns(share_own_family=pl.lit(0.9))
    assert checks.own_family(foreign, scope()).num_failing == 1


def test_the_correlation_node_takes_an_arms_own_events_and_runs() -> None:
    node = probes.correlation_node()
    assert node.grain == "arm" and [out.name for out in node.outs] == ["probe_event_correlation", "probe_event_status"]
    assert {entry.asset for entry in node.inputs.values()} == {
        "consensus_events", "events", "probe_losses", "scalars", "run_manifest",
    }  # fmt: skip


def test_the_presets_of_the_study_are_known() -> None:
    assert {policies.template_of(arm).name for arm in PROBE_HARNESS.arms} == {"iid_baseline"}
