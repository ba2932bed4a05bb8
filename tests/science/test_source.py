"""Code versions on a package of a few lines: what must change them and what must not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from squiggle_assets.science import source

FILES = {
    "__init__": "",
    "maths": """
from __future__ import annotations
from typing import TYPE_CHECKING
from {name} import helpers, shapes
from {name}.shapes import Square as Shape
if TYPE_CHECKING:
    from {name}.shapes import Annotated

FACTOR = 2
UNUSED = 3

def area(given: Annotated) -> float:
    \"\"\"A docstring.\"\"\"
    from {name}.late import offset
    return FACTOR * helpers.twice(Shape().side) + offset()

def other():
    return UNUSED

def all_of():
    return vars(helpers)
""",
    "helpers": """
LIMIT = 10

def twice(x):
    # a comment
    return min(inner(x), LIMIT)

def inner(x):
    return 2 * x

def apart():
    return 7
""",
    "shapes": """
class Square:
    side = 1

class Annotated:
    field: int = 0

class Apart:
    field: int = 0
""",
    "late": """
TABLE = {{}}
TABLE["offset"] = 5

def offset():
    return TABLE["offset"]
""",
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a package of FILES with one text replaced; the closure of a function of its module maths."""

    def make(module: str = "maths", old: str = "", new: str = "", function: str = "area") -> dict[str, str]:
        for remembered in (source.definitions, source._definition, source._module, source._source_path):
            remembered.cache_clear()
        folder = tmp_path / str(len(list(tmp_path.iterdir()))) / "sandbox"
        folder.mkdir(parents=True)
        monkeypatch.syspath_prepend(str(folder.parent))
        for stem, text in FILES.items():
            if stem == module:
                assert old in text
                text = text.replace(old, new)
            (folder / f"{stem}.py").write_text(text.format(name="sandbox") if stem != "__init__" else "")
        return dict(source.definitions(("sandbox.maths", function), packages=("sandbox",)))

    return make


def test_the_closure_is_every_definition_that_is_reached_and_no_other(write) -> None:
    assert set(write()) == {
        "sandbox.maths:area",
        "sandbox.maths:FACTOR",
        "sandbox.helpers:twice",
        "sandbox.helpers:inner",
        "sandbox.helpers:LIMIT",
        "sandbox.shapes:Square",
        "sandbox.shapes:Annotated",
        "sandbox.late:offset",
        "sandbox.late:TABLE",
    }
    assert set(write(function="other")) == {"sandbox.maths:other", "sandbox.maths:UNUSED"}


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("maths", "FACTOR = 2", "FACTOR = 4"),
        ("helpers", "2 * x", "3 * x"),
        ("helpers", "LIMIT = 10", "LIMIT = 11"),
        ("shapes", "side = 1", "side = 2"),
        ("shapes", "class Annotated:\n    field: int = 0", "class Annotated:\n    field: int = 1"),
        ("late", 'TABLE["offset"] = 5', 'TABLE["offset"] = 6'),
    ],
)
def test_a_definition_that_is_stood_on_changes_the_version(write, module, old, new) -> None:
    assert write(module, old, new) != write()


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("maths", "A docstring.", "Another one."),
        ("maths", "UNUSED = 3", "UNUSED = 4"),
        ("helpers", "# a comment", "# another comment"),
        ("helpers", "return 7", "return 8"),
        ("shapes", "class Apart:\n    field: int = 0", "class Apart:\n    field: int = 1"),
    ],
)
def test_what_no_result_stands_on_does_not(write, module, old, new) -> None:
    assert write(module, old, new) == write()


def test_a_module_used_as_a_value_counts_whole(write) -> None:
    before, after = (write("helpers", "return 7", new, function="all_of") for new in ("return 7", "return 8"))
    assert before != after


def test_a_name_that_is_not_there_is_refused_by_name(write) -> None:
    with pytest.raises(LookupError, match=r"sandbox.maths defines no 'nothing'"):
        write(function="nothing")
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        source.definitions(("nowhere.at_all", "f"), packages=("nowhere",))


def test_a_run_stands_on_training_and_on_what_prepares_it_but_not_on_how_it_is_stored() -> None:
    found = {key for key, _ in source.definitions(("squiggle_assets.assets.runs", "_run"))}
    plumbing = ("io_managers", "squiggle_assets.report", "squiggle_assets.schemas")
    assert {
        "squiggle_assets.science.training:train",
        "squiggle_assets.science.schedule:Schedule",
        "squiggle_assets.science.tokens:tokenize_items",
        "squiggle_assets.science.policy:Policy",
        "squiggle_assets.science.spec:TrainingSpec",
        "squiggle_assets.assets.policies:policy_of",
        "resources.base_model:load_base",
    } <= found
    assert not [key for key in found if key.startswith(plumbing)]
    assert "squiggle_assets.science.spec:Study" not in found


def test_versions_are_known_without_loading_torch() -> None:
    code = (
        "import sys; from squiggle_assets.science.source import code_version as v;"
        "print(v('squiggle_assets.assets.runs:_run'), 'torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == [source.code_version("squiggle_assets.assets.runs:_run"), "False"]


GUARDED = "try:\n    from {name} import nowhere\nexcept ImportError:\n    nowhere = 1"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("for each in (1, 2):\n    REGISTRY[each] = each", "for each in (1, 2):\n    REGISTRY[each] = 2 * each"),
        (GUARDED, GUARDED.replace("nowhere = 1", "nowhere = 2")),
        ("if True:\n    SWITCH = 1", "if True:\n    SWITCH = 2"),
    ],
)
def test_statements_that_do_more_than_define_count_for_all_of_their_module(write, old, new) -> None:
    stem = "REGISTRY = {{}}\n{body}\n\ndef offset():\n    return REGISTRY"
    before, after = (write("late", FILES["late"].strip(), stem.replace("{body}", body)) for body in (old, new))
    assert before["sandbox.late:offset"] != after["sandbox.late:offset"]


def test_an_import_inside_a_function_wins_over_a_definition_of_the_same_name(write) -> None:
    imported = "from {name}.shapes import Apart as UNUSED\n    UNUSED\n    return FACTOR *"
    found = write("maths", "return FACTOR *", imported)
    assert {"sandbox.shapes:Apart", "sandbox.maths:UNUSED"} <= set(found)


def test_import_star_is_refused(write) -> None:
    with pytest.raises(ValueError, match="import \\* hides"):
        write("late", "TABLE = {{}}", "from {name}.shapes import *\nTABLE = {{}}")


def test_code_that_is_edited_while_it_is_used_is_noticed_and_a_comment_is_not(write, tmp_path) -> None:
    write()
    version = source.code_version("sandbox.maths:area")
    assert not source.edited_since(version, "sandbox.maths:area")
    path = next(tmp_path.glob("*/sandbox/maths.py"))
    text = path.read_text()
    path.write_text(text.replace("A docstring.", "Another, longer one."))
    assert not source.edited_since(version, "sandbox.maths:area")
    path.write_text(text.replace("return FACTOR *", "return 1 + FACTOR *"))
    assert source.edited_since(version, "sandbox.maths:area")
    assert source.edited_since(version, "sandbox.maths:area"), "a process that asks again has not become a new one"
    path.write_text(text)
    assert not source.edited_since(version, "sandbox.maths:area")
