"""Time to import the definitions, beside the libraries they cannot do without. Prints one JSON row.

Run: python benchmarks/bench_definitions.py. Every import runs in a process of its own, both in turn; the script fails
if torch or another heavy library has come along. What is printed are medians of the import alone, without the start of
the interpreter.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

REPEATS = 5
HEAVY = ("torch", "transformers", "peft", "datasets", "openai", "sklearn")
BASE = "import dagster, pandera.polars, polars"
OURS = "import squiggle_assets.definitions"
PROGRAM = """
import json, sys, time
begin = time.perf_counter(), time.process_time()
{statement}
seconds = time.perf_counter() - begin[0], time.process_time() - begin[1]
print(json.dumps([*seconds, sorted(set({heavy}) & set(sys.modules))]))
"""


def seconds(statement: str) -> tuple[float, float, list[str]]:
    """Wall and CPU seconds of the statement in a fresh process, and the heavy modules that it loaded."""
    program = PROGRAM.format(statement=statement, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    wall, cpu, loaded = json.loads(done.stdout.splitlines()[-1])
    return wall, cpu, loaded


def main() -> None:
    """Measure and print."""
    seconds(OURS)
    pairs = [(seconds(BASE), seconds(OURS)) for _ in range(REPEATS)]
    loaded = sorted({name for _, ours in pairs for name in ours[2]})

    def median(side: int, clock: int) -> float:
        return statistics.median(float(pair[side][clock]) for pair in pairs)  # type: ignore[arg-type]

    row = {
        "benchmark": "definitions",
        "wall_seconds": {"libraries": round(median(0, 0), 2), "definitions": round(median(1, 0), 2)},
        "cpu_seconds": {"libraries": round(median(0, 1), 2), "definitions": round(median(1, 1), 2)},
        "ratio": round(statistics.median(ours[1] / base[1] for base, ours in pairs), 2),
        "heavy_modules": loaded,
    }
    print(json.dumps(row))
    if loaded:
        raise SystemExit(f"importing the definitions loads {loaded}")


if __name__ == "__main__":
    main()
