"""`squiggle ui`: webserver and daemon on one workspace, in a process group of their own.

Here: starting and ending them. Not here: what they serve (definitions) or their settings (deploy/dagster.yaml).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from resources.compute import ONE_THREAD
from squiggle_assets.workspace import Workspace


def serve(workspace: Workspace, port: int) -> int:
    """Run `dagster dev` on 127.0.0.1 until Ctrl-C; its exit code.

    Raises:
        OSError: the port is taken.
    """
    from squiggle_assets.running.session import open_workspace_instance

    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise OSError(f"port {port} on 127.0.0.1 is taken: end what listens there, or choose another with --port")
    os.environ.update({**ONE_THREAD, **workspace.environment})
    with open_workspace_instance(workspace):
        pass
    listing = Path(__file__).resolve().parents[2] / "workspace.yaml"
    where = ["-w", str(listing)] if listing.exists() else ["-m", "squiggle_assets.definitions"]
    command = [sys.executable, "-m", "dagster", "dev", *where, "-h", "127.0.0.1", "-p", str(port)]
    cwd = listing.parent if listing.exists() else Path.cwd()
    for what, place in (("lineage of all studies", "asset-groups"), ("claims", "assets/curriculum_ab/claims")):
        sys.stdout.write(f"{what}: http://127.0.0.1:{port}/{place}\n")
    sys.stdout.flush()
    process = subprocess.Popen(command, start_new_session=True, cwd=cwd)
    # A shell starts background commands with SIGINT ignored; a polite end has to work there too.
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: `dagster dev` leaves its children when it is only interrupted."""
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None and not _group_lives(process.pid):
            return
        try:
            os.killpg(process.pid, sign)
            process.wait(timeout=15)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
