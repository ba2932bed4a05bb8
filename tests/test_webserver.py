"""A real webserver and daemon on a fresh home: rosters without a command, backfills to claims, equal content."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from resources.settings import Settings
from squiggle_assets import profiles
from squiggle_assets.definitions import graph_of
from squiggle_assets.workspace import Workspace

pytestmark = pytest.mark.slow

STUDIES = ("curriculum_ab", "trigger_mining")
BACKFILL = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
STATUS = "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
ROSTER = """
query ($study: String!) { assetNodes(group: {groupName: $study, repositoryName: "__repository__",
        repositoryLocationName: "squiggle"}) { assetKey { path } partitionKeys } }
"""


def until(found: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(1)
    raise AssertionError(f"{what}: not within {seconds} s")


class Server:
    """`squiggle ui` in a process group of its own."""

    def __init__(self, root: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.root = root
        environment = {
            **os.environ,
            "SQUIGGLE_DATA_ROOT": str(root),
            "SQUIGGLE_PROFILE": "test",
            "OMP_NUM_THREADS": "1",
        }
        self.log = (root / "ui.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "squiggle_assets.cli", "ui", "--port", str(self.port)],
            env=environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        assert "errors" not in found, found
        return dict(found["data"])

    def answers(self) -> bool:
        try:
            return bool(self.ask("query { version }"))
        except (urllib.error.URLError, OSError):
            return False

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", self.port)) != 0, "the webserver outlived its command"


@pytest.fixture(scope="module", params=STUDIES)
def study(request: pytest.FixtureRequest) -> str:
    """Every study has a home of its own: nothing is there that another one made."""
    return str(request.param)


@pytest.fixture(scope="module")
def server(study: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("ui"))
    try:
        until(started.answers, 180, "the webserver answers")
        yield started
    finally:
        started.close()


def hashes(root: Path, study: str) -> dict[str, str]:
    workspace = Workspace(Settings(data_root=root, profile="test"))
    graph = graph_of(study, profiles.load("test"))
    return {
        f"{pointer.asset} {pointer.partition}": pointer.sha256
        for asset in graph.makers
        for pointer in workspace.store.pointers(graph.path(asset))
    }


def test_a_fresh_home_has_its_rosters_without_a_command(server: Server, study: str) -> None:
    def runs() -> list[str]:
        nodes = server.ask(ROSTER, study=study)["assetNodes"]
        keys = {"/".join(node["assetKey"]["path"]): node["partitionKeys"] for node in nodes}
        return sorted(keys.get(f"{study}/scalars", []))

    keys = until(runs, 120, "the roster is registered")
    assert len(keys) == 18
    assert "blocked|42" in keys


def test_a_backfill_reaches_claims_with_the_content_that_squiggle_run_makes(
    server: Server, study: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    graph = graph_of(study, profiles.load("test"))
    names = [out.name for node in graph.ordered if not node.exclude_by_default for out in node.outs]
    selection = [{"path": list(graph.key(name))} for name in names]
    params = {"assetSelection": selection, "allPartitions": True, "tags": []}
    launched = server.ask(BACKFILL, params=params)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    backfill = launched["backfillId"]

    def ended() -> str | None:
        status = str(server.ask(STATUS, id=backfill)["partitionBackfillOrError"]["status"])
        return None if status in ("REQUESTED", "CANCELING", "FAILING") else status

    assert until(ended, 2400, "the backfill ends").startswith("COMPLETED")
    by_backfill = hashes(server.root, study)

    own = tmp_path_factory.mktemp("run")
    environment = {**os.environ, "SQUIGGLE_DATA_ROOT": str(own), "SQUIGGLE_NUM_WORKERS": "2"}
    command = [sys.executable, "-m", "squiggle_assets.cli", "run", study, "--profile", "test"]
    subprocess.run(command, env=environment, check=True, timeout=1800, stdout=subprocess.DEVNULL)
    by_command = hashes(own, study)
    assert f"{study}/claims _" in by_command
    differing = sorted(key for key in by_command if by_backfill.get(key) != by_command[key])
    assert differing == []
