"""What changes or breaks under a graph: damage, edited code, mended checks, other inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from io_managers.pointers import Pointer
from io_managers.store import Store
from io_managers.tables import TableIOManager
from squiggle_assets.assets import factory
from squiggle_assets.assets.node import Graph, Out, Partition, Scope
from squiggle_assets.running.plan import Selection, stage_tasks, wanted_nodes
from squiggle_assets.schemas.base import column
from squiggle_assets.schemas.handles import CheckOutcome
from squiggle_assets.science.waves import Roster
from tests.assets.number_bench import STUDY, Bench, Number, error_of, everything


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_nothing_is_made_from_a_mixture_of_old_and_new_runs(bench: Bench) -> None:
    everything(bench)
    bench.source = 5.0
    assert bench.run("source").success
    assert bench.run("trained", Partition("iid", 2)).success
    assert bench.state("total", Partition("iid")) == "stale"
    result = bench.run("total", Partition("iid"))
    assert not result.success
    assert "trained [iid|10] is stale" in error_of(result)
    assert bench.value("total", Partition("iid")) == 16.0
    nodes = wanted_nodes(bench.graph, None)
    args = (bench.workspace.profile, Roster((2, 10)), bench.workspace.store, Selection(arms=frozenset({"iid"})))
    due, stuck = stage_tasks(bench.graph, nodes, 3, *args)
    assert due == []
    assert [why for what, why in stuck if what == "total [iid]"] == ["trained [iid|10] is stale"]


def test_a_deleted_object_is_missing_and_made_again(bench: Bench) -> None:
    everything(bench)
    store = bench.workspace.store
    pointer = store.pointer(bench.graph.path("trained"), "iid", 2)
    assert pointer is not None
    store.path(pointer.ref).unlink()
    assert bench.state("trained", Partition("iid", 2)) == "missing"
    assert bench.run("trained", Partition("iid", 2)).success
    assert bench.state("total", Partition("iid")) == "current"


class Small(Number):
    """One row per number, and none above 5."""

    value: float = column("a number", le=5)


def forgiving(value: pl.DataFrame, scope: Scope) -> CheckOutcome:
    """Another check of the same name: what the first one said counts no more."""
    return CheckOutcome(name="small", blocking=True, passed=True, description="anything goes")


def test_a_mended_check_looks_again_at_what_the_old_one_refused_and_nothing_is_computed_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, largest=5.0)
    bench.run("source")
    bench.run("trained", Partition("iid", 10))
    assert bench.state("trained", Partition("iid", 10)) == "refused"
    source, train, total = bench.graph.nodes
    mended = replace(train, outs=(Out(name="trained", checks=(("small", True, forgiving),)),))
    bench.graph = Graph(STUDY, (source, mended, total), bench.tables)
    assert bench.state("trained", Partition("iid", 10)) == "stale"
    made = list(bench.made)
    assert bench.run("trained", Partition("iid", 10)).success
    assert bench.made == made
    assert bench.state("trained", Partition("iid", 10)) == "current"


def test_a_new_table_model_is_held_against_what_is_stored(bench: Bench) -> None:
    everything(bench)
    made = list(bench.made)
    bench.tables = {**bench.tables, "trained": Small}
    bench.remake_graph()
    assert [bench.state("trained", Partition("iid", seed)) for seed in (2, 10)] == ["stale", "stale"]
    assert bench.run("trained", Partition("iid", 2)).success, "1 + 2 + 1 = 4 fits"
    refused = bench.run("trained", Partition("iid", 10))
    assert not refused.success, "1 + 10 + 1 = 12 does not"
    assert "does not fit Small" in error_of(refused)
    assert bench.made == made
    assert bench.state("trained", Partition("iid", 2)) == "current"


def test_inputs_that_are_made_again_while_a_step_loads_them_stop_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run("source")
    store = bench.workspace.store
    first = store.pointer("source")
    assert first is not None
    bench.source = 5.0
    bench.run("source")
    read = Store.scan

    def scan_the_one_before(self: Store, pointer: Pointer, **given: bool) -> pl.LazyFrame:
        return read(self, first, **given)

    def opened_before(self: TableIOManager) -> dict[str, str]:
        return {"source": first.sha256}

    monkeypatch.setattr(Store, "scan", scan_the_one_before)
    monkeypatch.setattr(TableIOManager, "opened", property(opened_before))
    result = bench.run("trained", Partition("iid", 2))
    assert not result.success
    assert "source was made again while this step was starting" in error_of(result)
    assert store.pointer(bench.graph.path("trained"), "iid", 2) is None


def test_a_truncated_object_is_missing_and_made_again_and_so_is_a_damaged_pointer(bench: Bench) -> None:
    everything(bench)
    store = bench.workspace.store
    pointer = store.pointer("source")
    assert pointer is not None
    path = store.path(pointer.ref)
    path.write_bytes(path.read_bytes()[:-10])
    assert bench.state("source") == "missing"
    assert bench.run("source").success
    assert bench.state("total", Partition("iid")) == "current", "the same rows: nothing that rests on them changed"
    damaged = bench.workspace.folder / "assets" / "source" / "_.json"
    damaged.write_text("{")
    assert bench.state("source") == "missing"
    assert bench.run("source").success
    assert bench.state("total", Partition("iid")) == "current"


def test_a_step_whose_code_is_edited_meanwhile_keeps_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "edited_since", lambda version, function: True)
    result = bench.run("source")
    assert not result.success
    assert "was edited while this step ran" in error_of(result)
    assert bench.workspace.store.pointer("source") is None
    assert bench.cleaned == ["source"], "a checkpoint of unknown code must not be gone on from"
