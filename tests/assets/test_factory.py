"""The factory and the plan on a small graph of real Dagster assets over a real store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from squiggle_assets import profiles
from squiggle_assets.assets.node import Partition
from squiggle_assets.definitions import graph_of
from squiggle_assets.running.plan import Selection, stage_tasks, wanted_nodes
from squiggle_assets.science.waves import Roster
from tests.assets.number_bench import ARMS, Bench, error_of, everything


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_partition_is_missing_then_current_then_stale_when_its_input_changes(bench: Bench) -> None:
    assert bench.state("source") == "missing"
    assert bench.state("trained", Partition("iid", 2)) == "waiting"
    everything(bench)
    # source 1 + seed + offset 1: 4 + 12
    assert bench.value("total", Partition("iid")) == 16.0
    assert bench.state("total", Partition("iid")) == "current"
    bench.source = 5.0
    assert bench.state("source") == "stale"
    assert bench.run("source").success
    assert bench.state("trained", Partition("iid", 2)) == "stale"


def test_an_object_that_is_there_is_not_computed_again(bench: Bench) -> None:
    everything(bench)
    before = list(bench.made)
    everything(bench)
    assert bench.made == before
    bench.source = 5.0
    everything(bench)
    bench.source = 1.0
    num = len(bench.made)
    everything(bench)
    assert len(bench.made) == num, "going back to what was made before costs pointers only"
    assert bench.value("total", Partition("iid")) == 16.0


def test_a_run_is_found_by_its_spec_from_another_arm_and_stamped_with_that_arm(bench: Bench) -> None:
    everything(bench)
    num = len([made for made in bench.made if made.startswith("train")])
    everything(bench, "ramp")
    assert len([made for made in bench.made if made.startswith("train")]) == num
    assert bench.value("total", Partition("ramp")) == 16.0


def test_a_missing_seed_is_named_and_never_a_smaller_denominator(bench: Bench) -> None:
    bench.run("source")
    bench.run("trained", Partition("iid", 2))
    result = bench.run("total", Partition("iid"))
    assert not result.success
    assert "iid|10" in error_of(result) or "iid/10" in error_of(result)


def test_after_a_failed_blocking_check_a_later_run_of_the_downstream_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, largest=5.0)
    bench.run("source")
    assert bench.run("trained", Partition("iid", 2)).success
    failed = bench.run("trained", Partition("iid", 10))
    assert not failed.success
    assert bench.value("trained", Partition("iid", 10)) == 12.0, "the product is kept, so that it can be looked at"
    later = bench.run("total", Partition("iid"))
    assert not later.success
    assert "small" in error_of(later)
    assert bench.state("trained", Partition("iid", 10)) == "refused"


def test_checks_are_evaluated_per_partition_with_their_failing_rows(tmp_path: Path) -> None:
    bench = Bench(tmp_path, largest=5.0)
    bench.run("source")
    result = bench.run("trained", Partition("iid", 10))
    evaluation = result.get_asset_check_evaluations()[0]
    assert (evaluation.passed, evaluation.partition) == (False, "iid|10")
    assert evaluation.metadata["num_failing"].value == 1


def test_a_check_that_breaks_fails_by_name_and_keeps_the_product(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run("source")
    monkeypatch.setattr(bench, "largest", "not a number")
    result = bench.run("trained", Partition("iid", 2))
    assert not result.success
    evaluation = result.get_asset_check_evaluations()[0]
    assert evaluation.description is not None
    assert "the check itself broke" in evaluation.description
    assert bench.value("trained", Partition("iid", 2)) == 4.0


def test_a_materialisation_carries_data_version_tags_and_column_schema(bench: Bench) -> None:
    result = bench.run("source")
    event = result.asset_materializations_for_node("source")[0]
    pointer = bench.workspace.store.pointer("source")
    assert pointer is not None
    assert event.tags is not None
    assert event.tags["dagster/data_version"] == pointer.sha256
    assert event.tags["squiggle/object"] == pointer.origin.object_id
    assert "dagster/column_schema" in event.metadata


def test_the_plan_holds_what_is_due_with_controls_first_and_names_what_is_stuck(bench: Bench) -> None:
    nodes = wanted_nodes(bench.graph, None)
    store, profile = bench.workspace.store, bench.workspace.profile

    def tasks(stage: int, selection: Selection) -> tuple[list[str], list[str]]:
        due, stuck = stage_tasks(bench.graph, nodes, stage, profile, Roster((2, 10)), store, selection)
        return [str(task) for task in due], [what for what, _ in stuck]

    assert tasks(1, Selection()) == (["source [-]"], [])
    assert len(tasks(2, Selection())[1]) == len(ARMS) * 2
    bench.run("source")
    due, stuck = tasks(2, Selection())
    assert stuck == []
    assert len(due) == len(ARMS) * 2
    assert due[0].startswith("train [placebo|")
    assert tasks(2, Selection(arms=frozenset({"iid"}), seeds=frozenset({10})))[0] == ["train [iid|10]"]
    everything(bench)
    assert tasks(2, Selection(arms=frozenset({"iid"})))[0] == []


def test_selecting_an_asset_takes_what_it_stands_on_and_an_unknown_one_is_refused(bench: Bench) -> None:
    assert [node.name for node in wanted_nodes(bench.graph, {"trained"})] == ["source", "train"]
    with pytest.raises(ValueError, match="nosuch"):
        wanted_nodes(bench.graph, {"nosuch"})


def test_chosen_arms_bring_the_arm_that_judges_them_with_all_its_seeds() -> None:
    graph = graph_of("curriculum_ab", profiles.load("test"))
    chosen = Selection(arms=frozenset({"iid"}), seeds=frozenset({42})).with_judges(graph)
    assert chosen.judges == {"placebo"}
    run = graph.makers["run_manifest"]
    assert chosen.holds(run, Partition("placebo", 123)) and chosen.holds(run, Partition("iid", 42))
    assert not chosen.holds(run, Partition("iid", 123)) and not chosen.holds(run, Partition("ramp", 42))
    asked = replace(chosen, assets=frozenset({"run_report"}))
    report = graph.makers["run_report"]
    assert asked.holds(report, Partition("iid", 42)) and asked.holds(run, Partition("placebo", 123))
    assert not asked.holds(report, Partition("placebo", 123)), "judges are not what was asked for"
    assert Selection(seeds=frozenset({42})).with_judges(graph).judges == frozenset()


def test_plots_are_markdown_in_the_metadata_so_that_the_page_shows_them(bench: Bench) -> None:
    metadata = bench.run("source").asset_materializations_for_node("source")[0].metadata
    assert isinstance(metadata["plot"], dg.MarkdownMetadataValue)
    assert metadata["size"].value == 1
