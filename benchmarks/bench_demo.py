"""Wall time and peak memory of `squiggle run curriculum_ab` on a fresh data root. Prints one JSON row.

Run: python benchmarks/bench_demo.py [--profile demo]. The default profile is the small one. Memory is sampled from
/proc every 0.2 s over the command and everything it starts: the largest process, and the largest sum over all of them
(resident pages that processes share count in each). The sum of proportional shares is printed where the kernel has it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EVERY_S = 0.2
MIB = 1024.0


def tree(root: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def field_kib(pid: int, file: str, name: str) -> int:
    """A field of a /proc file of the process in KiB; 0 for a process that has ended."""
    try:
        lines = (Path("/proc") / str(pid) / file).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def watched(command: list[str], environment: dict[str, str], log: Path) -> tuple[int, float, dict[str, float]]:
    """Exit status, wall seconds and peaks in MiB of the command."""
    peaks = {"largest_process_rss": 0.0, "tree_rss": 0.0, "tree_pss": 0.0}
    begin = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        while process.poll() is None:
            pids = tree(process.pid)
            each = [field_kib(pid, "status", "VmRSS") for pid in pids]
            shares = [field_kib(pid, "smaps_rollup", "Pss") for pid in pids]
            now = {"largest_process_rss": max(each), "tree_rss": sum(each), "tree_pss": sum(shares)}
            peaks = {name: max(peak, now[name] / MIB) for name, peak in peaks.items()}
            time.sleep(EVERY_S)
    return process.returncode, time.monotonic() - begin, peaks


def main() -> None:
    """Run, watch and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="test")
    profile = parser.parse_args().profile
    with tempfile.TemporaryDirectory(prefix="squiggle-bench-") as folder:
        log = Path(folder) / "log.txt"
        command = [sys.executable, "-m", "squiggle_assets.cli", "run", "curriculum_ab", "--profile", profile]
        environment = {**os.environ, "SQUIGGLE_DATA_ROOT": str(Path(folder) / "data")}
        status, seconds, peaks = watched(command, environment, log)
        row = {
            "benchmark": "demo",
            "profile": profile,
            "exit_status": status,
            "wall_seconds": round(seconds, 1),
            "cores": os.cpu_count(),
            "peak_mib": {name: round(value) for name, value in peaks.items()},
        }
        print(json.dumps(row))
        if status:
            raise SystemExit(log.read_text(errors="replace")[-2000:])


if __name__ == "__main__":
    main()
