"""Rules that no linter knows: what importing loads, who may write files, which packages are ours."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("squiggle_assets", "resources", "partitions", "io_managers", "dbt_like_sql")
WRITERS = {"io_managers/commit.py", "io_managers/folders.py", "io_managers/parquet.py", "io_managers/checkpoints.py"}
"""commit.py, and what fills the temporary path that it hands out."""
WRITING_CALLS = {"write_text", "write_bytes", "write_parquet", "write_csv", "sink_parquet", "save_file", "write_table"}


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def test_importing_the_definitions_loads_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "peft", "datasets", "openai", "sklearn", "scipy", "matplotlib", "sympy")
    code = f"import sys, squiggle_assets.definitions; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_definitions_are_loadable() -> None:
    from squiggle_assets.definitions import build

    dg.Definitions.validate_loadable(build())


@pytest.mark.parametrize("name", PACKAGES)
def test_the_generic_package_names_are_ours(name: str) -> None:
    module = __import__(name)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve().parent == ROOT / name


def _writes(tree: ast.AST) -> list[int]:
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        mode = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        opens = node.func.attr == "open" and any(set(m) & set("wax+") and len(m) <= 3 for m in mode)
        if node.func.attr in WRITING_CALLS or opens:
            found.append(node.lineno)
    return found


def test_only_the_commit_point_opens_files_for_writing() -> None:
    # asking hands a frame's own writer to the commit point; devices resets a counter of the kernel in /proc.
    allowed = {*WRITERS, "squiggle_assets/running/asking.py", "resources/devices.py"}
    found = {}
    for path in sources():
        name = path.relative_to(ROOT).as_posix()
        lines = _writes(ast.parse(path.read_text(encoding="utf-8")))
        if lines and name not in allowed:
            found[name] = lines
    assert found == {}


def test_modules_stay_small() -> None:
    long = {}
    for path in sources():
        num = len(path.read_text(encoding="utf-8").splitlines())
        if num > 350:
            long[path.relative_to(ROOT).as_posix()] = num
    assert long == {}


def test_no_unsafe_loading_anywhere() -> None:
    words = ("import pickle", "torch.load(", "yaml.load(", "trust_remote_code=True", "allow_pickle=True")
    found = [(path.name, word) for path in sources() for word in words if word in path.read_text(encoding="utf-8")]
    assert found == []


def test_code_branches_on_no_profile_name() -> None:
    names = ('== "demo"', '== "test"', '== "gpu"')
    found = [(path.name, name) for path in sources() for name in names if name in path.read_text(encoding="utf-8")]
    assert found == []
