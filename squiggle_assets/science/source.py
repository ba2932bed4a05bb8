"""Which code makes a result: the closure of definitions that a function stands on, and its hash.

Here: from a function to every function, class and constant of this project that it can reach. Not here: identities of
data (science.canonical), what enters an object's id beside the code (assets.identity).

The unit is the definition and not the module: a new field of a class that a function never names does not make its
results other results. Names are resolved as they are written, without importing anything, so that torch stays unloaded:
a name that is shadowed by a local one is followed too (too much code in an identity costs time, too little costs
truth), and a module that is used as a value counts whole.
"""

from __future__ import annotations

import ast
import gc
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from squiggle_assets.science.canonical import sha256_text, short_hash

PACKAGES = ("squiggle_assets", "resources")
"""Packages whose code may shape a result."""
PLUMBING = (
    "squiggle_assets.schemas",
    "squiggle_assets.science.source",
    "squiggle_assets.assets.factory",
    "squiggle_assets.assets.identity",
    "squiggle_assets.assets.node",
    "resources.compute",
    "resources.devices",
)
"""Code that carries results without shaping them; a table's model is compared with what is stored (schema_sha256)."""
WHOLE = "*"
"""In place of a name: everything that a module defines."""

Target = tuple[str, str]
"""(module, name of a definition in it, or WHOLE)."""


@dataclass(frozen=True)
class _Module:
    name: str
    path: Path
    stamp: tuple[int, int]
    """Size and time of change of the file when it was read."""
    definitions: dict[str, tuple[ast.stmt, ...]]
    imports: dict[str, Target]
    effects: tuple[ast.stmt, ...]
    """Top-level statements that do more than define: they run whenever anything of the module is used."""


def code_version(*functions: Callable[..., Any] | str) -> str:
    """16 hex digits that change exactly when a definition changes on which the functions stand; order does not matter.

    functions: functions of this project, or 'module:name'.
    """
    return short_hash(definitions(*sorted(_target(function) for function in functions)))


@cache
def definitions(*targets: Target, packages: tuple[str, ...] = PACKAGES) -> tuple[tuple[str, str], ...]:
    """('module:name', sha256 of its syntax tree without docstrings) of all that the targets stand on, sorted.

    ModuleNotFoundError for a module without source, LookupError for a name that its module does not define.
    """
    found: dict[str, str] = {}
    todo = list(targets)
    with _no_collection():
        while todo:
            target = todo.pop()
            key = ":".join(target)
            if key not in found:
                found[key], named = _definition(*target)
                todo += [(module, name) for module, name in named if _shapes(module, packages)]
    return tuple(sorted(found.items()))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Trees are many small objects: looking for garbage among them and all of Dagster would double the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@cache
def _definition(module_name: str, name: str) -> tuple[str, frozenset[Target]]:
    """(sha256, everything it names) of one definition, of an import that passes a name on, or of a whole module."""
    module = _module(module_name)
    if name == WHOLE:
        own = {(module_name, each) for each in module.definitions}
        return sha256_text("\n".join(sorted(module.definitions))), frozenset(own | set(module.imports.values()))
    if name in module.definitions:
        parts = [_statement(statement, module) for statement in (*module.definitions[name], *module.effects)]
        return sha256_text("\n".join(text for text, _ in parts)), frozenset().union(*(named for _, named in parts))
    if name in module.imports:
        return sha256_text(":".join(module.imports[name])), frozenset([module.imports[name]])
    raise LookupError(f"{module_name} defines no {name!r}")


def edited_since(version: str, *functions: Callable[..., Any] | str) -> bool:
    """Whether the code of the functions on the disk is no longer what this version was the hash of.

    What a process imports late is what lies on the disk by then. Cheap where no file was touched.
    """
    targets = sorted(_target(function) for function in functions)
    names = {key.partition(":")[0] for key, _ in definitions(*targets)}
    if any(_stamp(module.path) != module.stamp for module in map(_module, names)):
        for remembered in (definitions, _definition, _module):
            remembered.cache_clear()
    return code_version(*functions) != version


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _target(function: Callable[..., Any] | str) -> Target:
    if isinstance(function, str):
        module, _, name = function.partition(":")
        return module, name or WHOLE
    return function.__module__, function.__qualname__.partition(".")[0]


@cache
def _shapes(module: str, packages: tuple[str, ...]) -> bool:
    """Whether code of the module can shape a result: ours, and no plumbing."""
    fixed = any(module == plumbing or module.startswith((f"{plumbing}.", f"{plumbing}_")) for plumbing in PLUMBING)
    return module.partition(".")[0] in packages and not fixed


def _statement(statement: ast.stmt, module: _Module) -> tuple[str, frozenset[Target]]:
    """The statement as text without strings that only people read, and what it names; changes the tree in place."""
    nodes = list(ast.walk(statement))
    for node in nodes:
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [part for part in body if not _is_text(part)]
    return ast.dump(statement), frozenset(_references(nodes, module))


def _references(nodes: list[ast.AST], module: _Module) -> Iterator[Target]:
    """What the nodes name: definitions of their own module, and of others through imports inside and above them."""
    local: dict[str, Target] = {}
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            local |= _imported(node, module.name)
    imports = {**module.imports, **local}
    inner: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Attribute):
            found, used = _attribute(node, imports)
            if found is not None:
                inner |= used
                yield found
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in inner:
            if node.id in module.definitions:
                yield module.name, node.id
            if node.id in local or (node.id in imports and node.id not in module.definitions):
                yield imports[node.id]


def _attribute(node: ast.Attribute, imports: dict[str, Target]) -> tuple[Target | None, set[int]]:
    """`module.name` or `package.module.name` as a target, with the nodes that it consists of."""
    names: list[str] = []
    part: ast.expr = node
    while isinstance(part, ast.Attribute):
        names.insert(0, part.attr)
        part = part.value
    if not isinstance(part, ast.Name) or part.id not in imports:
        return None, set()
    module, name = imports[part.id]
    if name != WHOLE:
        return None, set()
    while len(names) > 1 and _is_module(f"{module}.{names[0]}"):
        module = f"{module}.{names.pop(0)}"
    # Not there: the name is a local one's (an array called as the module is); the module then counts whole.
    known = not _shapes(module, PACKAGES) or names[0] in {*_module(module).definitions, *_module(module).imports}
    return (module, names[0] if known else WHOLE), {id(part)}


def _imported(node: ast.Import | ast.ImportFrom, here: str) -> dict[str, Target]:
    """Name bound by an import -> what it is, for imports of modules that have source."""
    found: dict[str, Target] = {}
    if isinstance(node, ast.Import):
        for alias in node.names:
            module = alias.name if alias.asname else alias.name.partition(".")[0]
            found[alias.asname or module] = (module, WHOLE)
        return found
    if node.level or node.module is None:
        raise ValueError(f"{here}: a relative import has no place in an identity; name the module in full")
    for alias in node.names:
        if alias.name == "*":
            raise ValueError(f"{here}: import * hides what is used; name it")
        inside = f"{node.module}.{alias.name}"
        found[alias.asname or alias.name] = (inside, WHOLE) if _is_module(inside) else (node.module, alias.name)
    return found


@cache
def _module(name: str) -> _Module:
    path = _source_path(name)
    if path is None:
        raise ModuleNotFoundError(f"no source for {name!r}: a code version needs modules of this project")
    stamp = _stamp(path)
    bound: dict[str, list[ast.stmt]] = {}
    imports: dict[str, Target] = {}
    effects: list[ast.stmt] = []
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, _DEFINING):
            names = _bound(statement)
        elif _is_text(statement):
            continue
        else:
            inside = [node for node in ast.walk(statement) if isinstance(node, ast.Import | ast.ImportFrom)]
            for node in inside:
                imports |= _imported(node, name)
            if isinstance(statement, ast.Import | ast.ImportFrom) or _only_imports(statement):
                continue
            # A loop, a with, a try, a condition, a call: it may bind names, and it may change what is already bound.
            names = _bound(statement)
            effects.append(statement)
        for each in names:
            bound.setdefault(each, []).append(statement)
        if isinstance(statement, _DEFINING) and not names:
            effects.append(statement)
    definitions_ = {key: tuple(value) for key, value in bound.items()}
    return _Module(name, path, stamp, definitions_, imports, tuple(effects))


_DEFINING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.AugAssign)


def _only_imports(statement: ast.stmt) -> bool:
    """`if TYPE_CHECKING:` with nothing but imports in it."""
    return isinstance(statement, ast.If) and all(
        isinstance(part, ast.Import | ast.ImportFrom) for part in (*statement.body, *statement.orelse)
    )


def _bound(statement: ast.stmt) -> set[str]:
    """Names that a top-level statement binds, those inside of functions and classes left out."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        places: list[ast.AST] = list(getattr(statement, "targets", None) or [getattr(statement, "target", statement)])
    else:
        places = [statement]
    nodes = [node for place in places for node in ast.walk(place)]
    inner = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    return inner | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


@cache
def _source_path(module: str) -> Path | None:
    """Where the module's source lies; found from its top package alone, since looking deeper would import."""
    top, *parts = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None:
        return None
    if spec.origin is None or not spec.origin.endswith(".py"):
        folders = list(spec.submodule_search_locations or ())
        if not folders or not parts:
            return None
        path = Path(folders[0]) / "__init__.py"
    else:
        path = Path(spec.origin)
    if parts:
        path = path.parent.joinpath(*parts)
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path if path.is_file() else None


def _is_module(name: str) -> bool:
    return _source_path(name) is not None
