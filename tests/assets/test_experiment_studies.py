"""The order and the sampling-mode study: their graphs, what feeds what, and their nodes on made-up runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from squiggle_assets.assets import order_study, overlap, policies, sampling_modes_study, shared, study_claims
from squiggle_assets.assets.node import Graph, Node, Partition, Scope
from squiggle_assets.schemas.experiments import TABLES as EXPERIMENTS
from squiggle_assets.schemas.triggers import TABLES as TRIGGERS
from squiggle_assets.science.claims import StudyResult
from squiggle_assets.science.spec import (
    BaseModelSpec,
    PoolSpec,
    ProbeSpec,
    Profile,
    SplitSpec,
    Study,
    TrainingSpec,
)
from squiggle_assets.science.triggers import attribute
from squiggle_assets.science.waves import Roster
from squiggle_assets.studies import study as registered
from squiggle_assets.studies.order import ORDER
from squiggle_assets.studies.sampling_modes import SAMPLING_MODES
from tests.science import mode_runs, simulated_study
from tests.science.attribution_arms import traces
from tests.science.policy_presets import preset

PROFILE = Profile(
    name="tiny", description=".", num_seeds=4, pool=PoolSpec(), split=SplitSpec(), base_model=BaseModelSpec(),
    training=TrainingSpec(batch_size=8), probe=ProbeSpec(),
)  # fmt: skip
NODES: dict[str, tuple[Study, Callable[[Study], tuple[Node, ...]]]] = {
    "order": (ORDER, order_study.nodes),
    "sampling_modes": (SAMPLING_MODES, sampling_modes_study.nodes),
}
ROSTER = Roster((1, 2, 3))
REPORTED = {
    "order": ("order_sensitivity", "order_slopes"),
    "sampling_modes": ("trigger_modes", "trigger_persistence"),
}
"""What the report of each says beyond a curriculum study's."""


def graph(name: str) -> Graph:
    value, nodes = NODES[name]
    return Graph(value, shared.nodes() + nodes(value))


def step(value: Study, **profile: Any) -> Any:
    return SimpleNamespace(scope=Scope(study=value, profile=replace(PROFILE, **profile), num_seeds=4), facts={})


@pytest.mark.parametrize("name", NODES)
def test_the_graph_builds_in_order_and_every_arm_and_seed_feeds_what_compares_them(name: str) -> None:
    made = graph(name)
    assert made.ordered and NODES[name][0].kind == name
    own = {"order": "order_slopes", "sampling_modes": "trigger_persistence"}[name]
    for asset in ("trigger_overlap", own):
        node = made.makers[asset]
        assert node.grain == "study"
        fed = made.feeds(node, node.inputs["trace"], Partition(), ROSTER)
        assert len(fed) == len(made.study.arms) * 3
        assert made.feeds(node, node.inputs["pool"], Partition(), ROSTER) == (Partition(),)
    conclusions = made.makers["claims"]
    assert {entry.asset for entry in conclusions.inputs.values()} >= {own, "usage_ledger", "null_draws", "scalars"}
    assert [check for check, _, _ in conclusions.out("claims").checks] == ["controls_tested"]
    assert made.makers["events"].inputs["baselines"].arm == "placebo"
    report = made.makers["report"]
    assert {entry.asset for entry in report.inputs.values()} >= {"claims", *REPORTED[name]}
    assert report.grain == "study" and made.makers["run_report"].exclude_by_default


@pytest.mark.parametrize("name", NODES)
def test_params_are_plain_json_and_change_with_the_curricula_and_the_lags(name: str) -> None:
    from squiggle_assets.science.canonical import canonical_json

    made = graph(name)
    own = {"order": "order_slopes", "sampling_modes": "trigger_persistence"}[name]

    def params(asset: str, value: Study, **profile: Any) -> str:
        return canonical_json(made.makers[asset].params(step(value, **profile).scope))

    arms = tuple(replace(arm, curriculum="iid_baseline") for arm in made.study.arms)
    for asset in (own, "trigger_overlap"):
        plain = params(asset, made.study)
        assert params(asset, replace(made.study, arms=arms)) != plain
        assert params(asset, made.study, training=TrainingSpec(batch_size=4)) != plain
        assert params(asset, made.study, split=SplitSpec(seed=1)) != plain
        assert params(asset, made.study, probe=ProbeSpec(num_tokens=8)) == plain
    lags = replace(made.study, triggers=replace(made.study.triggers, lags=(1,)))
    assert params("trigger_overlap", lags) != params("trigger_overlap", made.study)


def test_runs_that_curriculum_ab_makes_are_found_and_not_made_again() -> None:
    first = registered("curriculum_ab")

    def drawn(value: Study, arm: str) -> Any:
        one = value.arm(arm)
        return policies.template_digests(one), one.plant, one.shuffle_families

    for value, pairs in (
        (ORDER, {"iid": "iid", "balanced": "balanced", "planted": "planted"}),
        (SAMPLING_MODES, {"proportional": "iid", "balanced": "balanced", "planted": "planted"}),
    ):
        assert (value.seeds, value.detection, value.consensus) == (first.seeds, first.detection, first.consensus)
        for arm, other in pairs.items():
            assert drawn(value, arm) == drawn(first, other)
        # the planted arm's matched control is the first baseline
        assert next(arm for arm in value.arms if arm.role == "baseline").curriculum == value.only("planted").curriculum


@pytest.mark.parametrize("value", [ORDER, SAMPLING_MODES], ids=lambda value: value.name)
def test_no_boundary_of_a_compared_arm_lies_near_the_planted_steps(value: Study) -> None:
    plant = value.only("planted").plant
    assert plant is not None
    first = int(plant.start * 200)
    for arm in (value.only("placebo"), next(arm for arm in value.arms if arm.role == "baseline")):
        boundaries = [start for start, _ in preset(arm.curriculum).phase_boundaries()]
        assert all(start < first - 20 or start > first + plant.num_steps + 20 for start in boundaries), arm.name


def of_arm(frame: pl.DataFrame, arm: str) -> pl.DataFrame:
    return frame.with_columns(arm=pl.lit(arm))


def test_the_order_node_compares_the_ordered_arms_and_the_placebo(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [arm.name for arm in ORDER.arms]
    drawn_from = {
        arm.name: preset(arm.curriculum, shuffle_families_seed=42 if arm.shuffle_families else None)
        for arm in ORDER.arms
    }
    monkeypatch.setattr(overlap, "policies_of", lambda *given: drawn_from)
    # 4 seeds; one run of an arm that is compared was stopped, and its seed is left out of all arms
    geometry = pl.concat([simulated_study.geometry_of(name, seeds=range(4)) for name in names])
    stopped = (pl.col("arm") == "ramp") & (pl.col("seed") == 2)
    manifest = simulated_study.manifest_of(names, range(4)).with_columns(stopped_early=stopped)
    trace = pl.concat([of_arm(traces(policy, 4), name) for name, policy in drawn_from.items()])
    at = step(ORDER)
    found = order_study._order(at, None, None, None, geometry, trace, manifest)  # type: ignore[arg-type]
    for name, frame in found.items():
        EXPERIMENTS[name].validate(frame)
    assert found["order_slopes"]["n_seeds"].unique().to_list() == [3]
    assert "2" not in found["order_slopes"]["by_seed_json"][0].split('"')
    pairs = found["order_slopes"].select("arm", "against").rows()
    assert ("placebo", "balanced") in pairs and ("blocked_early", "controls_first") in pairs and len(pairs) == 4
    assert at.facts["num_arms"] == 3 and at.facts["has_placebo"]
    # only one ordered arm has two whole runs: typed empty tables
    lost = manifest.with_columns(stopped_early=pl.col("arm").is_in(["ramp", "controls_first"]))
    empty = order_study._order(step(ORDER), None, None, None, geometry, trace, lost)  # type: ignore[arg-type]
    for name, frame in empty.items():
        EXPERIMENTS[name].validate(frame)
        assert frame.is_empty()


def mode_tables() -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """Policies and tables of the sampling-mode study's arms, with triggers in the three modes."""
    planted = dict.fromkeys(mode_runs.PRESETS, ("cyclic_groups-0", "inequalities-1"))
    runs = mode_runs.modes(5, planted, lift=20.0)
    events = pl.concat([one.events for one in runs]).with_columns(probe_set=pl.lit("a"))
    tables = {
        "events": events,
        "trace": pl.concat([of_arm(one.traces, one.mode) for one in runs]),
        "manifest": simulated_study.manifest_of([one.mode for one in runs]),
        "items": pl.concat([attribute(one.events, one.traces, one.policy).items for one in runs]),
    }
    return {one.mode: one.policy for one in runs}, tables


def test_the_mode_node_classes_triggers_and_the_overlap_node_compares_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    known, tables = mode_tables()
    monkeypatch.setattr(overlap, "policies_of", lambda *given: known)
    items = tables.pop("items")
    at = step(SAMPLING_MODES)
    found = sampling_modes_study._modes(at, None, None, None, **tables)  # type: ignore[arg-type]
    for name, frame in found.items():
        EXPERIMENTS[name].validate(frame)
    assert set(found["trigger_modes"]["item_id"]) >= {"cyclic_groups-0", "inequalities-1"}
    assert found["trigger_persistence"]["mode"].to_list() == ["balanced", "proportional", "tempered"]
    assert at.facts["num_modes"] == 3 and at.facts["num_robust"] >= 1
    # events that are not significant have no triggers
    weak = {**tables, "events": tables["events"].with_columns(q_value=pl.lit(0.5))}
    none = sampling_modes_study._modes(step(SAMPLING_MODES), None, None, None, **weak)  # type: ignore[arg-type]
    assert none["trigger_modes"].is_empty() and set(none["trigger_persistence"]["status"]) == {"no triggers"}
    at = step(SAMPLING_MODES)
    lists = overlap._overlap(at, None, None, None, items=items, **tables)["trigger_overlap"]  # type: ignore[arg-type]
    TRIGGERS["trigger_overlap"].validate(lists)
    assert at.facts == {"num_pairs": 36, "num_pairs_with_triggers": lists["jaccard"].count()}
    assert lists.filter(pl.col("list_a") == "balanced")["overlap"].min() >= 2


def test_claims_of_a_study_are_one_table_with_its_own_family_after_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from squiggle_assets.schemas.base import dtypes
    from squiggle_assets.schemas.claims import Claims

    other = pl.DataFrame(schema=dtypes(Claims))
    seen: dict[str, Any] = {}

    def result(value: Study, **given: Any) -> StudyResult:
        seen.update(given)
        return StudyResult(pl.DataFrame({"outcome": ["x"]}), other, pl.DataFrame({"draw": [1]}))

    monkeypatch.setattr("squiggle_assets.science.claims.study_result", result)
    names = ("geometry", "scalars", "consensus_events", "null_draws")
    tables = {name: pl.DataFrame({"from": [name]}) for name in names}
    manifest = simulated_study.manifest_of([arm.name for arm in ORDER.arms], ORDER.seeds[:4])
    slopes = pl.DataFrame(schema=dtypes(EXPERIMENTS["order_slopes"]))
    found = order_study._conclusions(step(ORDER), slopes, pl.LazyFrame(), manifest=manifest, **tables)
    assert found["claims"]["claim"].to_list()[-1] == "order:placebo-balanced" and len(found["claims"]) == 4
    Claims.validate(found["claims"])
    assert found["arm_outcomes"].height == found["pairing_draws"].height == 1
    assert seen["geometry"] is tables["geometry"] and seen["preregistered"] and seen["planted_steps"][0] == 140
    node = study_claims.conclusions_node(order_study._conclusions)
    assert set(node.inputs) == {*names, "manifest", "ledger"}
