"""Reading YAML that a person wrote, strictly: every refusal names the file, the place in it and the field.

Here: text -> checked plain values. Not here: files, and what any particular document means (curriculum.py).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml


def _mappings(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    todo, seen = [node], set()
    while todo:
        here = todo.pop()
        if here is None or id(here) in seen:
            continue
        seen.add(id(here))
        if isinstance(here, yaml.MappingNode):
            yield here
            todo += [child for pair in here.value for child in pair]
        elif isinstance(here, yaml.SequenceNode):
            todo += here.value


def _refuse_twice(file: str, root: yaml.Node | None) -> None:
    # safe_load keeps the last of two equal keys in silence: a family weighted twice would lose one weight.
    for mapping in _mappings(root):
        keys = [key.value for key, _ in mapping.value if isinstance(key, yaml.ScalarNode)]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"{file}: line {mapping.start_mark.line + 1}: {twice[0]!r} is given twice")


@dataclass(frozen=True)
class Place:
    """One mapping of a document, and where it stands."""

    file: str
    where: str
    """In words, such as "phase 'warm': weights."; empty at the top."""
    values: dict[str, Any]

    def refuse(self, name: str, message: str) -> NoReturn:
        """Raise ValueError with file, place and field before the message."""
        raise ValueError(f"{self.file}: {self.where}{name}: {message}")

    def only(self, *known: str) -> None:
        """Refuse any field but these."""
        for name in self.values:
            if name not in known:
                self.refuse(str(name), f"unknown field; known here are {', '.join(known)}")

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self.values

    def need(self, name: str) -> Any:
        """The value as it is; refused if the field is missing."""
        if name not in self.values:
            self.refuse(name, "missing")
        return self.values[name]

    def inside(self, name: str, where: str | None = None) -> Place:
        """The mapping under a field; one that is missing reads as empty."""
        value = self.values.get(name, {})
        if not isinstance(value, dict):
            self.refuse(name, f"must be a mapping, got {value!r}")
        return Place(self.file, f"{self.where}{name}." if where is None else where, value)

    def text(self, name: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self.need(name) if default is None else self.values.get(name, default)
        if not isinstance(value, str) or not value.strip():
            self.refuse(name, f"must be a text, got {value!r}")
        return value

    def choice(self, name: str, known: Collection[str], default: str) -> str:
        """One of the known words."""
        value = self.values.get(name, default)
        if not isinstance(value, str) or value not in known:
            self.refuse(name, f"unknown value {value!r}; known are {', '.join(known)}")
        return value

    def number(self, name: str, default: float | None = None, *, low: float, high: float = math.inf) -> float:
        """A finite number between low and high, both included; booleans and words are no numbers."""
        value = self.need(name) if default is None else self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(name, f"must be a number, got {value!r}")
        # A whole number past 2**53 may have no float at all, and nothing here is meant to be that large.
        if not -(2**53) < value < 2**53 or not low <= value <= high:
            span = f"at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
            self.refuse(name, f"must be {span}, got {str(value)[:40]}")
        return float(value)

    def whole(self, name: str, default: int | None = None, *, low: int) -> int:
        """A whole number of at least low."""
        value = self.number(name, default, low=low)
        if value != int(value):
            self.refuse(name, f"must be a whole number, got {value!r}")
        return int(value)

    def names(self, name: str, known: Collection[str], what: str) -> tuple[str, ...]:
        """A list of known words, none twice."""
        value = self.need(name)
        if not isinstance(value, list):
            self.refuse(name, f"must be a list, got {value!r}")
        for entry in value:
            if not isinstance(entry, str) or entry not in known:
                self.refuse(name, f"unknown {what} {entry!r}; known are {', '.join(known)}")
            if value.count(entry) > 1:
                self.refuse(name, f"{entry!r} is given twice")
        return tuple(value)


def read(text: str, file: str) -> Place:
    """The document as its top mapping; ValueError names the file where it is no YAML or no mapping."""
    try:
        _refuse_twice(file, yaml.compose(text, Loader=yaml.SafeLoader))
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{file}: not readable as YAML: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{file}: must be a mapping of fields, got {type(value).__name__}")
    return Place(file, "", value)
