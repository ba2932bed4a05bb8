"""Profiles: one YAML file each, only numbers and names. No code branches on a profile's name."""

from __future__ import annotations

from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from squiggle_assets.science.spec import (
    BaseModelSpec,
    PoolSpec,
    ProbeSpec,
    Profile,
    SplitSpec,
    TrainingSpec,
    check_name,
)

_PARTS = {
    "pool": PoolSpec,
    "split": SplitSpec,
    "base_model": BaseModelSpec,
    "training": TrainingSpec,
    "probe": ProbeSpec,
}

_OPTIONAL: dict[str, type] = {
    "keep_checkpoints": bool,
    "num_placebo_draws": int,
    "num_weights": int,
    "num_bundle_parts": int,
}


def names() -> list[str]:
    """The profiles there are."""
    found = resources.files(__package__).iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in found if entry.name.endswith(".yaml"))


def _part(profile: str, part: str, given: Any) -> Any:
    kind = _PARTS[part]
    if not isinstance(given, dict):
        raise ValueError(f"profile {profile}, {part}: needs fields like {{name: value}}, got {given!r}")
    known = {f.name: f for f in fields(kind)}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"profile {profile}, {part}: unknown field(s) {unknown}; known are {sorted(known)}")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    types = get_type_hints(kind)
    for key, value in values.items():
        if isinstance(value, int | float) and value < 0:
            raise ValueError(f"profile {profile}, {part}.{key}: no number of a profile is negative, got {value}")
        try:
            TypeAdapter(types[key]).validate_python(value, strict=True)
        except ValidationError as errors:
            said = errors.errors()[0]["msg"]
            raise ValueError(f"profile {profile}, {part}.{key}: {said}, got {value!r}") from None
    return kind(**values)


def parse(name: str, text: str) -> Profile:
    """A profile from its YAML text; ValueError names profile, part and field."""
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"profile {name}: not YAML: {' '.join(str(error).split())}") from None
    wanted = {"description", "num_seeds", *_PARTS}
    if not isinstance(given, dict) or not wanted <= set(given) <= wanted | set(_OPTIONAL):
        have = sorted(given) if isinstance(given, dict) else given
        raise ValueError(
            f"profile {name}: needs the fields {sorted(wanted)} and may have {sorted(_OPTIONAL)}, has {have}"
        )
    parts = {part: _part(name, part, given[part]) for part in _PARTS}
    num_seeds = given["num_seeds"]
    if isinstance(num_seeds, bool) or not isinstance(num_seeds, int) or num_seeds < 1:
        raise ValueError(f"profile {name}, num_seeds: a whole number from 1 on, got {num_seeds!r}")
    rest = {field: _optional(name, field, given[field]) for field in _OPTIONAL if field in given}
    return Profile(name=name, description=str(given["description"]), num_seeds=num_seeds, **parts, **rest)


def _optional(profile: str, field: str, value: Any) -> Any:
    kind = _OPTIONAL[field]
    if type(value) is not kind or (kind is int and not value > 0):  # type: ignore[operator]
        wanted = "a whole number from 1 on" if kind is int else "true or false"
        raise ValueError(f"profile {profile}, {field}: {wanted}, got {value!r}")
    return value


def is_file(name: str) -> bool:
    """Whether a profile is given as a file of one's own instead of by name."""
    return name.endswith((".yaml", ".yml"))


def load(name: str) -> Profile:
    """The profile of that name, or in that YAML file (called as the file is); ValueError lists the names there are."""
    if is_file(name):
        path = Path(name).expanduser()
        if not path.is_file():
            raise ValueError(f"no profile file {name}")
        return parse(check_name(path.stem, "profile"), path.read_text(encoding="utf-8"))
    if name not in names():
        raise ValueError(f"no profile {name!r}; there are {names()}, or give a path of a YAML file like them")
    text = resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return parse(name, text)
