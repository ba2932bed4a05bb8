"""Commands never show or make old rows without a word: claims, reports, SQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_duckdb import DuckDBResource
from typer.testing import CliRunner, Result

from io_managers.tables import table_io_manager
from partitions.rosters import add_seeds
from resources.settings import Settings
from resources.sql_models import discover
from squiggle_assets import cli
from squiggle_assets.assets import sql
from squiggle_assets.assets.node import Graph, Input, Node, Out, Partition
from squiggle_assets.running import listing
from squiggle_assets.schemas.base import Table, column, frame
from squiggle_assets.schemas.handles import Origin
from squiggle_assets.schemas.tables import RAW
from squiggle_assets.science.waves import CONFIRMATION, FollowUp
from squiggle_assets.workspace import Workspace
from tests.running.begun_study import compute

IID = Partition("iid", 10)
CLAIMS = ["claims", "curriculum_ab"]


def call(monkeypatch: pytest.MonkeyPatch, small_study: Any, *words: str) -> Result:
    @contextmanager
    def session(*given: Any) -> Iterator[Any]:
        yield small_study.session

    monkeypatch.setattr(cli, "_session", session)
    return CliRunner().invoke(cli.app, list(words))


def test_old_claims_are_shown_with_a_line_that_names_the_cause_and_the_command(
    small_study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_study.put_everything()
    assert call(monkeypatch, small_study, *CLAIMS, "--json").stderr == ""
    path = small_study.store.pointers_root / "assets" / "curriculum_ab" / "trained" / "iid" / "10.json"
    path.unlink()
    done = call(monkeypatch, small_study, *CLAIMS, "--json")
    assert json.loads(done.stdout) == [{"claim": "a", "verdict": "supported"}]
    assert done.stderr == (
        "claims are stale: trained [iid|10] is missing; run `squiggle run curriculum_ab --profile test`\n"
    )


def test_the_cause_is_the_first_one_and_not_what_follows_from_it(small_study: Any) -> None:
    small_study.put_everything()
    small_study.source = 2.0
    late = small_study.session.late("claims")
    assert (late.state, late.why) == ("stale", "source [-] is stale")
    small_study.put("source")
    assert "trained [" in small_study.session.late("claims").why
    assert small_study.session.late("source") is None


def test_the_report_of_a_run_that_could_not_be_made_is_not_an_older_one(
    small_study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_study.put_everything()
    for at in (IID, Partition("placebo", 2), Partition("placebo", 10)):
        small_study.put("run_report", at)
    assert listing.report_path(small_study.session, IID) is not None
    words = ("report", "curriculum_ab", "--run", "iid:10")
    done = call(monkeypatch, small_study, *words)
    assert done.exit_code == 0
    assert done.stdout.strip().splitlines()[-1].endswith("report.html")
    small_study.put("trained", IID, passed=False)
    assert listing.report_path(small_study.session, IID) is None
    done = call(monkeypatch, small_study, *words)
    assert done.exit_code == 1
    assert "report.html" not in done.stdout
    assert "None" not in done.stdout


@pytest.mark.parametrize("run", ["iid", "iid:", "iid:2,10"])
def test_a_report_is_of_one_run(small_study: Any, monkeypatch: pytest.MonkeyPatch, run: str) -> None:
    done = call(monkeypatch, small_study, "report", "curriculum_ab", "--run", run)
    assert isinstance(done.exception, ValueError)


def put_scalars(workspace: Workspace, seed: int) -> None:
    origin = Origin(
        asset="curriculum_ab/scalars",
        arm="iid",
        seed=seed,
        object_id=f"{seed:032d}",
        code_version="code",
        config_hash="config",
        inputs={},
        profile="test",
    )
    row = {"arm": "iid", "seed": seed, "run_id": "r", "step": 1, "metric": "loss", "value": 0.5}
    ref = workspace.store.put_table(
        origin.object_id, "scalars.iid", frame(RAW["scalars"], [row]), RAW["scalars"], origin
    )
    workspace.store.point(origin.asset, "iid", seed, ref, origin)


def test_sql_says_which_table_it_read_is_not_current_and_nothing_of_those_it_did_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUIGGLE_DATA_ROOT", str(tmp_path))

    def ask(query: str) -> Result:
        return CliRunner().invoke(cli.app, ["sql", query, "--profile", "test", "--json"])

    assert ask("select count(*) as n from scalars").stderr == "", "a study that was never run has no rows"
    put_scalars(Workspace(Settings(data_root=tmp_path, profile="test")), 42)
    done = ask("select count(*) as n from scalars")
    assert json.loads(done.stdout) == [{"n": 1}]
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("scalars [")
    assert "run `squiggle run curriculum_ab --profile test`" in done.stderr
    assert ask("select 1 as n").stderr == ""
    assert ask("show tables").stderr == ""


class Counted(Table):
    """One row per study."""

    study: str = column("study")
    num: int = column("rows")


FILES = [
    ("staging", "stg_counts", "-- x\nselect study, count(*) as num from trained group by all order by all"),
    ("marts", "mart_counts", "-- x\nselect study, num from stg_counts order by all"),
]


class Models:
    """Two SQL models over the small study and over a second one, which was never run."""

    def __init__(self, small_study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.small = small_study
        raw = dict(small_study.graph.tables)
        models = discover(FILES, raw)
        self.tables = {**raw, **{model.name: Counted for model in models}}
        monkeypatch.setattr(sql, "models", lambda: models)
        monkeypatch.setattr(sql, "RAW", raw)
        monkeypatch.setattr(sql, "TABLES", self.tables)
        other = replace(small_study.graph.study, name="never_run")
        self.graphs = [small_study.graph, Graph(other, small_study.graph.nodes, raw)]

    def run(self, *names: str) -> dg.ExecuteInProcessResult:
        workspace = self.small.workspace
        defs = dg.Definitions(
            assets=sql.assets(self.graphs),
            resources={
                "workspace": dg.ResourceDefinition.hardcoded_resource(workspace),
                "duckdb": DuckDBResource(database=":memory:"),
                "tables": table_io_manager(workspace.root, self.tables, pointers=workspace.folder),
            },
        )
        return defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.small.instance,
            asset_selection=[dg.AssetKey([name]) for name in names],
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )

    def refusal(self, *names: str) -> str:
        result = self.run(*names)
        assert not result.success
        failures = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
        return str(failures[0].event_specific_data.error)  # type: ignore[union-attr]

    def are_current(self) -> bool:
        return sql.are_current(self.graphs, self.small.workspace.profile, self.small.store, self.small.instance)


@pytest.fixture
def models(small_study: Any, monkeypatch: pytest.MonkeyPatch) -> Models:
    return Models(small_study, monkeypatch)


def test_models_are_made_while_another_study_has_nothing_and_where_nothing_was_run(models: Models) -> None:
    assert models.run("stg_counts", "mart_counts").success
    assert models.are_current()
    models.small.put_everything()
    assert not models.are_current()
    assert models.run("stg_counts", "mart_counts").success
    assert models.are_current()


def test_a_model_is_not_made_from_a_stale_table_and_says_which(models: Models) -> None:
    models.small.put_everything()
    assert models.run("stg_counts", "mart_counts").success
    models.small.source = 2.0
    assert not models.are_current(), "its inputs are the same files, but they are out of date"
    assert "of curriculum_ab is stale: source [-] is stale" in models.refusal("stg_counts")
    models.small.put_everything()
    assert models.run("stg_counts", "mart_counts").success
    assert models.are_current()


def test_a_model_is_not_made_from_some_of_the_runs_of_a_study_that_was_begun(models: Models) -> None:
    models.small.put("source")
    models.small.put_runs("iid")
    assert "trained [" in models.refusal("stg_counts")
    assert not models.are_current()


def test_a_mart_is_not_made_from_a_stale_or_absent_model(models: Models) -> None:
    models.small.put_everything()
    assert "stg_counts is stale or missing" in models.refusal("mart_counts")
    assert models.run("stg_counts", "mart_counts").success
    models.small.source = 2.0
    models.small.put_everything()
    assert "stg_counts is stale or missing" in models.refusal("mart_counts")


def test_what_a_mart_waits_for_is_found_behind_its_models(small_study: Any, models: Models) -> None:
    small_study.put("source")
    small_study.put_runs("iid")
    store, profile = small_study.store, small_study.workspace.profile
    counting = sql.rosters(models.graphs, small_study.instance)
    late = sql.late_table(models.graphs, profile, counting, store, ["mart_counts"])
    assert late is not None
    assert (late.study, late.asset, late.state) == ("curriculum_ab", "trained", "missing")


@pytest.fixture
def replayed(small_study: Any) -> Any:
    """The small study with a replay on fresh seeds, of which nothing was made yet."""
    again = Node(
        name="again",
        grain="run",
        wave=CONFIRMATION,
        inputs={"source": Input(asset="source")},
        outs=(Out(name=f"{CONFIRMATION}/trained"),),
        compute=compute,
    )
    graph = small_study.graph
    study = replace(graph.study, followups=(FollowUp(parent="iid", condition="exact"),))
    add_seeds(study, small_study.instance, (5,), CONFIRMATION)
    small_study.graph = Graph(study, (*graph.nodes, again), graph.tables)
    small_study.put_everything()
    return small_study


def test_a_model_waits_for_the_later_waves_of_the_tables_it_reads(
    replayed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = Models(replayed, monkeypatch)
    assert f"{CONFIRMATION}/trained [iid.exact|5] of curriculum_ab is missing" in models.refusal("stg_counts")
    assert not models.are_current()


def test_a_model_depends_on_every_wave_of_a_table(replayed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    models = Models(replayed, monkeypatch)
    (counts,) = [asset for asset in sql.assets(models.graphs) if asset.key == dg.AssetKey(["stg_counts"])]
    waves = {f"{study}/{wave}trained" for study in ("curriculum_ab", "never_run") for wave in ("", "confirmation/")}
    assert {"/".join(key.path) for key in counts.dependency_keys} == waves
