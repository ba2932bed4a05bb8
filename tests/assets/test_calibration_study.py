"""The calibration study as it is wired: what feeds what, what makes a product another one, typed answers to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from partitions.mappings import Place, mapping
from squiggle_assets.assets import calibration, shared, subset_runs
from squiggle_assets.assets.calibration_study import nodes
from squiggle_assets.assets.node import Graph, Partition, Scope
from squiggle_assets.schemas.calibration import TABLES as OWN
from squiggle_assets.schemas.claims import TABLES as CLAIMS
from squiggle_assets.schemas.tables import TABLES
from squiggle_assets.science.aa_test import Scenario
from squiggle_assets.science.calibration_spec import CalibrationSpec
from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.consensus import consensus_of
from squiggle_assets.science.simulation import Design
from squiggle_assets.science.source import definitions
from squiggle_assets.science.spec import (
    BaseModelSpec,
    ConsensusSpec,
    Plant,
    PoolSpec,
    ProbeSpec,
    Profile,
    SplitSpec,
    TrainingSpec,
)
from squiggle_assets.science.subsets import inside_subset
from squiggle_assets.science.trace import trace_rows
from squiggle_assets.science.trigger_curve import curve_table
from squiggle_assets.science.waves import FOLLOWUP, FollowUp, Roster
from squiggle_assets.studies.calibration import CALIBRATION, NUM_SUBSETS
from squiggle_assets.studies.curriculum_ab import CURRICULUM_AB
from tests.science.curriculum_items import planted_items
from tests.science.policy_presets import preset
from tests.science.simulated_study import (
    DETECTION,
    SCHEDULE,
    VERSION,
    events_table,
    geometry_of,
    manifest_of,
    scalars_of,
)

GRAPH = Graph(CALIBRATION, shared.nodes() + nodes(CALIBRATION))
NODES = {node.name: node for node in GRAPH.nodes}
ROSTER = Roster((42, 123, 456))
TINY = CalibrationSpec(
    scenarios=(Scenario(name="white", design=Design(num_seeds=8, num_layers=1, num_increments=60)),),
    num_studies=2,
    draws_per_cell=3,
    num_splits=3,
    extras=(0.0, 1.0),
    trigger_studies=2,
)
STUDY = replace(
    CALIBRATION, calibration=TINY, detection=DETECTION, consensus=ConsensusSpec(draws_per_cell=5), seeds=tuple(range(8))
)
PLANT = Plant(start=0.7, num_steps=8, share=1.0, band=0, metric_group="angle", num_items=3)
POLICY = preset("iid_baseline", plant=PLANT, planted=planted_items(3))
PROFILE = Profile(
    name="tiny", description=".", num_seeds=3, pool=PoolSpec(), split=SplitSpec(), base_model=BaseModelSpec(),
    training=TrainingSpec(), probe=ProbeSpec(),
)  # fmt: skip


def scope(arm: str | None = None, seed: int | None = None, of: Any = STUDY, **profile: Any) -> Scope:
    return Scope(study=of, profile=replace(PROFILE, **profile), partition=Partition(arm, seed), num_seeds=8)


def step(at: Scope) -> Any:
    return SimpleNamespace(scope=at, facts={}, progress=lambda *told: None)


def checked(outputs: Mapping[str, pl.DataFrame]) -> Mapping[str, pl.DataFrame]:
    """The outputs, every one of them what its model wants."""
    models = {**TABLES, **CLAIMS, **OWN}
    for name, table in outputs.items():
        models[name].validate(table)
    return outputs


# ---- which nodes there are and what feeds them


def test_every_table_has_a_model_and_nothing_of_a_curriculum_study_is_missing() -> None:
    tables = {out.short for node in GRAPH.nodes for out in node.outs if out.kind == "table"}
    assert tables <= set(TABLES) | set(OWN)
    assert set(OWN) <= tables
    assert {"claims", "arm_outcomes", "pairing_draws", "minimum_detectable", "usage_ledger"} <= tables
    assert [out.name for out in NODES["conclusions"].outs] == ["pairing_draws", "arm_outcomes", "claims", "calibration"]
    assert {name for name, _, _ in NODES["conclusions"].out("claims").checks} == {"controls_tested"}


def test_subset_runs_are_a_wave_of_their_own_over_the_seeds_of_the_study() -> None:
    node = NODES["followup/subset_run"]
    arms = ["planted.subset", *(f"planted.subset-{number}" for number in range(2, NUM_SUBSETS + 1)), "planted.repeat"]
    assert list(GRAPH.partitions(node, ROSTER)) == [Partition(arm, seed) for arm in arms for seed in ROSTER.seeds]
    assert node.pool == "gpu" and node.cleanup is not None
    # nothing of the first wave is read: they can be trained while the parents are
    assert {GRAPH.makers[entry.asset].grain for entry in node.inputs.values()} == {"shared"}
    assert GRAPH.stages["followup/subset_run"] <= GRAPH.stages["run"]


def test_what_is_concluded_rests_on_every_run() -> None:
    scores, whole = NODES["subset_scores"], Partition()
    feeds = {name: GRAPH.feeds(scores, entry, whole, ROSTER) for name, entry in scores.inputs.items()}
    assert len(feeds["geometry"]) == 3 * 3 and len(feeds["subset_geometry"]) == (NUM_SUBSETS + 1) * 3
    resplits = NODES["aa_resplits"]
    assert GRAPH.feeds(resplits, resplits.inputs["geometry"], Partition("iid"), ROSTER) == tuple(
        Partition("iid", seed) for seed in ROSTER.seeds
    )
    conclusions = NODES["conclusions"]
    assert len(GRAPH.feeds(conclusions, conclusions.inputs["resplits"], whole, ROSTER)) == 3
    assert conclusions.inputs["ledger"].asset == "usage_ledger"


def test_the_report_says_what_the_checks_rest_on() -> None:
    node = NODES["report"]
    own = {entry.asset for entry in node.inputs.values()}
    assert own >= (set(OWN) - {"item_losses"}) | {"claims", "null_draws"}, "losses of items enter by their score alone"
    assert len(GRAPH.feeds(node, node.inputs["aa_resplits"], Partition(), ROSTER)) == 3


def test_every_input_has_a_mapping() -> None:
    for node in GRAPH.nodes:
        for entry in node.inputs.values():
            maker = GRAPH.makers[entry.asset]
            found = mapping(CALIBRATION, Place(maker.grain, maker.wave), Place(node.grain, node.wave), entry.arm)
            assert (found is None) == (maker.grain in ("shared", "study"))


def test_runs_of_the_first_seeds_are_those_of_the_curriculum_study() -> None:
    assert CALIBRATION.seeds[:16] == CURRICULUM_AB.seeds
    assert len(CALIBRATION.seeds) == 24 and not set(CALIBRATION.seeds) & set(CURRICULUM_AB.fresh_seeds)
    assert [arm.name for arm in CALIBRATION.arms] == ["iid", "placebo", "planted"]
    assert all(arm == CURRICULUM_AB.arm(arm.name) for arm in CALIBRATION.arms)


# ---- what makes a product another one


def params(node: str, at: Scope) -> str:
    return canonical_json(NODES[node].params(at))


def changed(**sizes: Any) -> Any:
    return replace(STUDY, calibration=replace(TINY, **sizes))


def test_a_subset_run_is_another_one_when_its_subset_is() -> None:
    def at(arm: str = "planted.subset", seed: int = 0, of: Any = STUDY) -> str:
        return params("followup/subset_run", scope(arm, seed, of))

    others = [
        at(seed=1),
        at("planted.subset-2"),
        at("planted.repeat"),
        at(of=changed(subset_share=0.4)),
        params("followup/subset_run", scope("planted.subset", 0, training=TrainingSpec(lr=1.0))),
    ]
    assert len({at(), *others}) == len(others) + 1
    assert at() == at(of=changed(num_studies=7, num_splits=9))
    # whose subset is repeated depends on the roster
    assert at("planted.repeat") != at("planted.repeat", of=replace(STUDY, seeds=(0, 7, 1)))
    assert at() == at(of=replace(STUDY, seeds=(0, 7, 1)))


def test_sizes_of_the_study_are_no_part_of_the_code_that_trains() -> None:
    reached = {key for key, _ in definitions(("squiggle_assets.assets.subset_runs", "_subset_run"))}
    assert "squiggle_assets.science.subsets:subset_of" in reached
    assert not [key for key in reached if "calibration" in key.partition(":")[0]]


def test_simulations_are_other_ones_when_their_sizes_are() -> None:
    plain = params("aa_simulated", scope())
    assert plain != params("aa_simulated", scope(of=changed(num_studies=3)))
    assert plain != params("aa_simulated", scope(of=changed(draws_per_cell=4)))
    assert plain == params("aa_simulated", scope(of=changed(num_splits=4), training=TrainingSpec(lr=1.0)))
    assert params("trigger_recall", scope()) != params("trigger_recall", scope(of=changed(trigger_studies=3)))
    assert params("aa_resplits", scope("iid")) != params("aa_resplits", scope("iid", of=changed(per_side=2)))


# ---- what the steps make


def test_simulated_halves_become_rows() -> None:
    table = checked(calibration._aa_simulated(step(scope())))["aa_simulated"]
    assert table.select("scenario", "study_number").rows() == [("white", 0), ("white", 1)]


def test_real_runs_are_split_into_as_many_as_there_are() -> None:
    found = calibration._aa_resplits(step(scope("iid")), geometry_of("iid", num_layers=1), manifest_of(["iid"]))
    table = checked(found)["aa_resplits"]
    assert table["split"].to_list() == [0, 1, 2] and set(table["arm"]) == {"iid"}
    few = manifest_of(["iid"]).with_columns(stopped_early=pl.col("seed") > 2)
    nothing = calibration._aa_resplits(step(scope("iid")), geometry_of("iid", num_layers=1), few)
    assert checked(nothing)["aa_resplits"].is_empty()


def of_subsets(arms: list[FollowUp]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Geometry, manifest and traces of subset runs whose response at the plant grows with their planted items."""
    geometry, traces = [], []
    for followup in arms:
        for seed in STUDY.seeds:
            mask = subset_runs._mask(scope(), len(POLICY.items), followup.name, seed)
            size = 4.0 * mask[-3:].sum()
            at = (142, 0, "principal_angle", size)
            geometry.append(geometry_of(followup.name, seeds=(seed,), num_layers=1, events=[at]))
            rows = trace_rows(inside_subset(POLICY, mask), seed, range(POLICY.num_steps), micro_batch=8)
            traces.append(rows.with_columns(arm=pl.lit(followup.name), seed=pl.lit(seed, pl.Int64)))
    manifest = manifest_of([followup.name for followup in arms])
    return pl.concat(geometry), with_run_ids(manifest), pl.concat(traces)


def with_run_ids(manifest: pl.DataFrame) -> pl.DataFrame:
    return manifest.with_columns(run_id=pl.col("arm") + "-" + pl.col("seed").cast(pl.String))


@pytest.fixture
def subsets(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Inputs of the step that scores subsets."""
    monkeypatch.setattr(subset_runs, "policy_of", lambda *given: POLICY)
    parents = pl.concat(
        [
            trace_rows(POLICY, seed, range(200), micro_batch=8).with_columns(seed=pl.lit(seed, pl.Int64))
            for seed in range(8)
        ]
    )
    geometry, manifest, traces = of_subsets(list(STUDY.followups))
    losses = POLICY.items.select("item_id", loss=pl.lit(1.0))
    return {
        "pool": None, "split": None, "base": None,
        "geometry": geometry_of("planted", num_layers=1, events=[(142, 0, "principal_angle", 12.0)]),
        "manifest": with_run_ids(manifest_of(["planted"])),
        "trace": parents.with_columns(arm=pl.lit("planted")).lazy(),
        "losses": losses,
        "subset_geometry": geometry, "subset_manifest": manifest, "subset_trace": traces.lazy(),
    }  # fmt: skip


def test_subset_runs_are_measured_and_scored(subsets: dict[str, Any]) -> None:
    at = step(scope())
    found = checked(subset_runs._subset_scores(at, **subsets))
    outcomes, table = found["subset_outcomes"], found["lds"]
    assert len(outcomes) == 8 * (NUM_SUBSETS + 1) == at.facts["num_subsets"]
    assert outcomes["outcome"].null_count() == 0
    assert set(table["place"]) == {"layers_0_0.angle+ at steps 140 to 147"}
    rows = {row["method"]: row for row in table.iter_rows(named=True)}
    # the response grows with the planted items of the subset, and only their lift is large
    assert rows["lift"]["lds"] > 0.5 and rows["lift"]["num_subsets"] == 8 * NUM_SUBSETS
    assert rows["loss"]["status"] == "no variation"
    assert rows["lift"]["num_repeats"] == 8 and rows["lift"]["ceiling"] is None


def test_an_edit_of_code_that_changes_no_number_draws_the_same(
    subsets: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = subset_runs._subset_scores(step(scope()), **subsets)["lds"]
    monkeypatch.setattr(subset_runs, "analysis_of", lambda at: "the_id_of_other_code")
    assert first.equals(subset_runs._subset_scores(step(scope()), **subsets)["lds"])


def test_stopped_runs_and_runs_of_stopped_parents_have_no_outcome(subsets: dict[str, Any]) -> None:
    first = (pl.col("arm") == "planted.subset") & (pl.col("seed") == 0)
    stopped = subsets["subset_manifest"].with_columns(stopped_early=first)
    parents = subsets["manifest"].with_columns(stopped_early=pl.col("seed") == 5)
    found = checked(
        subset_runs._subset_scores(step(scope()), **{**subsets, "subset_manifest": stopped, "manifest": parents})
    )
    missing = found["subset_outcomes"].filter(pl.col("outcome").is_null())
    assert set(missing.select("arm", "seed").rows()) == {
        ("planted.subset", 0), *((followup.name, 5) for followup in STUDY.followups)
    }  # fmt: skip
    assert found["subset_outcomes"]["stopped_early"].sum() == 1
    assert set(found["lds"]["num_subsets"]) == {8 * NUM_SUBSETS - 1 - NUM_SUBSETS}


def test_without_parents_nothing_is_scored_and_the_rows_say_so(subsets: dict[str, Any]) -> None:
    parents = subsets["manifest"].with_columns(stopped_early=pl.col("seed") > 0)
    found = checked(subset_runs._subset_scores(step(scope()), **{**subsets, "manifest": parents}))
    assert set(found["lds"]["status"]) == {"too few subsets"} and found["lds"]["place"][0].startswith("none")
    assert found["subset_outcomes"]["outcome"].null_count() == len(found["subset_outcomes"])


def test_a_trace_outside_its_subset_stops_the_scores(subsets: dict[str, Any]) -> None:
    wrong = subsets["subset_trace"].with_columns(
        seed=pl.when(pl.col("seed") < 2).then(1 - pl.col("seed")).otherwise("seed")
    )
    with pytest.raises(ValueError, match="its subset does not hold"):
        subset_runs._subset_scores(step(scope()), **{**subsets, "subset_trace": wrong})


def test_a_run_on_a_subset_is_trained_on_its_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def trained(at: Any, pool: Any, split: Any, base: Any, policy: Any, **rest: Any) -> dict[str, Any]:
        seen.update(policy=policy, **rest)
        return {}

    def policy_of(at: Scope, *given: Any) -> Any:
        assert at.arm == "planted"
        return POLICY

    monkeypatch.setattr(subset_runs, "policy_of", policy_of)
    monkeypatch.setattr(subset_runs.runs, "trained", trained)
    at = step(scope("planted.subset-2", 3))
    subset_runs._subset_run(at, None, None, None)  # type: ignore[arg-type]
    expected = subset_runs._mask(scope(), len(POLICY.items), "planted.subset-2", 3)
    np.testing.assert_array_equal(seen["policy"].mask, expected)
    assert seen["captures"] == f"{FOLLOWUP}/captures"
    assert at.facts == {"num_items": int(expected.sum()), "num_planted": int(expected[-3:].sum())}


def test_the_conclusions_hold_the_claims_of_the_arms_the_score_and_every_check(subsets: dict[str, Any]) -> None:
    names = ["iid", "placebo", "planted"]
    at = {"planted": [(142, 0, "principal_angle", 14.0)]}
    geometry = pl.concat([geometry_of(name, num_layers=1, events=at.get(name, ())) for name in names])
    manifest, tables = manifest_of(names), []
    for name in names:
        own = geometry.filter(pl.col("arm") == name)
        spec = STUDY.consensus
        tables.append(
            consensus_of(
                own, events_table(own), arm=name, analysis_id=VERSION, schedule=SCHEDULE, detection=DETECTION, spec=spec
            )
        )
    point = {
        "extra": 1.0,
        "num_studies": 2,
        "num_true": 4,
        "num_found": 4,
        "num_false": 0,
        "any_false": 0.0,
        "fdr": 0.0,
        "recall": 1.0,
    }
    resplits = calibration._aa_resplits(
        step(scope("iid")), geometry.filter(pl.col("arm") == "iid"), manifest_of(["iid"])
    )
    arms = subsets["subset_manifest"].with_columns(
        stopped_early=(pl.col("arm") == "planted.subset-2") & (pl.col("seed") == 3)
    )
    scores = subset_runs._subset_scores(step(scope()), **{**subsets, "subset_manifest": arms})
    found = checked(
        calibration._conclusions(
            step(scope()), geometry, manifest, scalars_of(names),
            pl.concat([table.consensus_events for table in tables]), pl.concat([table.null_draws for table in tables]),
            None,  # type: ignore[arg-type]
            calibration._aa_simulated(step(scope()))["aa_simulated"], resplits["aa_resplits"],
            curve_table([point, {**point, "extra": 0.0}]), scores["lds"], scores["subset_outcomes"],
        )
    )  # fmt: skip
    assert set(found) == {"arm_outcomes", "claims", "pairing_draws", "calibration"}
    claims = set(found["claims"]["claim"])
    assert {"planted:planted", "planted:placebo", "consensus:iid", "lds:planted"} <= claims
    # 39 subset runs of the 50 that were registered, one of them stopped: told, and no longer the registered claim
    judged = {row["claim"]: row for row in found["claims"].iter_rows(named=True)}
    assert "left out because a controller stopped them: planted.subset-2 3" in judged["lds:planted"]["method"]
    assert not judged["lds:planted"]["preregistered"] and judged["planted:planted"]["preregistered"]
    assert set(found["calibration"]["check"]) == {
        "aa_simulated", "aa_resplits", "planted_triggers", "planted_effect", "placebo", "lds",
    }  # fmt: skip
    splits = found["calibration"].filter(pl.col("check") == "aa_resplits")
    assert splits["what"].to_list() == names and splits["dependent"].all()
    # of the study's eight seeds a profile of three takes nine, all there are, and a profile of two takes six
    assert found["claims"].filter(pl.col("claim") != "lds:planted")["preregistered"].all()
    sizes = [scope(num_seeds=num) for num in (3, 2)]
    assert [each.study.num_seeds(each.profile) for each in sizes] == [9, 6]
    figures = calibration._conclusion_figures(found, scope())
    assert (
        figures["num_checks_passed"] + figures["num_checks_failed"] == found["calibration"]["passed"].drop_nulls().len()
    )
