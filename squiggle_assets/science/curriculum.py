"""Curriculum templates from YAML text: strict, and every refusal names file, phase and field.

Here: the schema of a curriculum file and its validation without data. Not here: files (a caller reads them; presets
are package data), and anything that needs the items (policy.py).

    version: 1                      whole number
    name, description: text
    time_unit: steps                the only one: phases are fractions of the base budget
    defaults:
      sampling: {mode: balanced_family, replacement: true, family_weight_floor: 0.0}
      filters: {token_len: {min, max}, difficulty_proxy: {allowed: [easy, medium, hard]}}
    safeguards: {min_items_per_family, max_sampling_fraction_per_family}
    match: {reference: <preset>, reserve: 0.2}      with a last phase of weights.type matched
    phases:
      - {name, start, end, families: {include: "*" or [..], exclude: [..]}, sampling: {mode}, filters,
         weights: {type: uniform | proportional | explicit | ramp | matched, explicit: {..}, ramp: {from, to}}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from squiggle_assets.curricula import PRESETS, preset_text
from squiggle_assets.science import families, strict_yaml
from squiggle_assets.science.canonical import sha256_text
from squiggle_assets.science.spec import NAME
from squiggle_assets.science.strict_yaml import Place
from squiggle_assets.science.template import (
    DIFFICULTIES,
    ITEM,
    MODES,
    WEIGHT_TYPES,
    Filters,
    Match,
    Mode,
    Phase,
    Safeguards,
    Template,
    Weights,
    WeightType,
)

MAX_WEIGHT = 1e9
"""Weights are relative; a sum of larger ones could leave the range of floats."""


def _filters(place: Place, default: Filters) -> Filters:
    place.only("token_len", "difficulty_proxy")
    low, high, allowed = default.token_len_min, default.token_len_max, default.difficulties
    if place.has("token_len"):
        length = place.inside("token_len")
        length.only("min", "max")
        low = length.whole("min", low=0) if length.has("min") else None
        high = length.whole("max", low=0) if length.has("max") else None
        if low is not None and high is not None and low > high:
            length.refuse("min", f"{low} is above max {high}: no item is left")
    if place.has("difficulty_proxy"):
        proxy = place.inside("difficulty_proxy")
        proxy.only("allowed")
        allowed = proxy.names("allowed", DIFFICULTIES, "difficulty")
        if not allowed:
            proxy.refuse("allowed", "is empty: no item is left")
    return Filters(token_len_min=low, token_len_max=high, difficulties=allowed)


def _sampling(place: Place, default: str) -> Mode:
    place.only("mode", "replacement", "family_weight_floor")
    if place.values.get("replacement", True) is not True:
        place.refuse("replacement", f"only true is supported, got {place.values['replacement']!r}")
    floor = place.values.get("family_weight_floor", 0.0)
    if isinstance(floor, bool) or floor != 0:
        place.refuse("family_weight_floor", f"only 0.0 is supported, got {floor!r}; give the family a weight instead")
    return cast(Mode, place.choice("mode", MODES, default))


def _families(place: Place) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    place.only("include", "exclude")
    include = None if place.need("include") == "*" else place.names("include", families.NAMES, "family")
    exclude = place.names("exclude", families.NAMES, "family") if place.has("exclude") else ()
    if include is not None and not set(include) - set(exclude):
        place.refuse("include", "empty phase: no family is left after exclude")
    return include, exclude


def _weight_map(place: Place, allowed: set[str]) -> Mapping[str, float]:
    for name in place.values:
        if not isinstance(name, str):
            place.refuse(str(name), "must be the name of a family, or item:<item_id>")
        if name.startswith(ITEM):
            if name == ITEM:
                place.refuse(name, "names no item")
        elif name not in families.NAMES:
            place.refuse(name, f"unknown family; known are {', '.join(families.NAMES)}, and item:<item_id>")
        elif name not in allowed:
            place.refuse(name, "has a weight but is not among the families of this phase")
    return {name: place.number(name, low=0, high=MAX_WEIGHT) for name in place.values}


def _positive(place: Place, name: str, weights: Mapping[str, float]) -> None:
    if not any(value > 0 for value in weights.values()):
        place.refuse(name, "no weight is above 0, so nothing could be drawn")


def _weights(place: Place, allowed: set[str]) -> Weights:
    kind = cast(WeightType, place.choice("type", WEIGHT_TYPES, "uniform"))
    place.only(*({"explicit": ("type", "explicit"), "ramp": ("type", "ramp")}.get(kind, ("type",))))
    if kind == "explicit":
        place.need("explicit")
        start = _weight_map(place.inside("explicit"), allowed)
        _positive(place, "explicit", start)
        return Weights(type=kind, start=start, end=start)
    if kind == "ramp":
        place.need("ramp")
        ramp = place.inside("ramp")
        ramp.only("from", "to")
        for endpoint in ("from", "to"):
            ramp.need(endpoint)
        start, end = (dict(_weight_map(ramp.inside(endpoint), allowed)) for endpoint in ("from", "to"))
        for name in end:
            if name not in start:
                ramp.refuse("to", f"{name!r} has no weight in from: say where its ramp begins")
        end = {**start, **end}
        _positive(ramp, "from", start)
        _positive(ramp, "to", end)
        return Weights(type=kind, start=start, end=end)
    return Weights(type=kind)


def _phase(file: str, number: int, given: object, mode: str, filters: Filters) -> Phase:
    if not isinstance(given, dict):
        raise ValueError(f"{file}: phases: entry {number} must be a mapping, got {given!r}")
    name = Place(file, f"phase {number}: ", given).text("name")
    place = Place(file, f"phase {name!r}: ", given)
    place.only("name", "start", "end", "families", "weights", "sampling", "filters")
    start, end = (place.number(edge, low=0, high=1) for edge in ("start", "end"))
    if start >= end:
        place.refuse("end", f"must be above start {start:g}, got {end:g}: empty phase")
    place.need("families")
    include, exclude = _families(place.inside("families"))
    sampling = place.inside("sampling")
    sampling.only("mode")
    return Phase(
        name=name,
        start=start,
        end=end,
        include=include,
        exclude=exclude,
        weights=_weights(place.inside("weights"), set(include or families.NAMES) - set(exclude)),
        mode=_sampling(sampling, mode),
        filters=_filters(place.inside("filters"), filters),
    )


def _check_order(file: str, phases: tuple[Phase, ...]) -> None:
    last_end, last = 0.0, "the beginning"
    for phase in phases:
        where = f"{file}: phase {phase.name!r}: start:"
        if phase.start < last_end:
            raise ValueError(f"{where} {phase.start:g} overlaps {last}, which ends at {last_end:g}; list in time order")
        if phase.start > last_end:
            raise ValueError(f"{where} gap from {last_end:g} to {phase.start:g}: no phase covers it")
        last_end, last = phase.end, f"phase {phase.name!r}"
    if last_end < 1:
        raise ValueError(f"{file}: {last}: end: gap from {last_end:g} to 1: no phase covers it")
    names = [phase.name for phase in phases]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{file}: phase {name!r}: name: given to {names.count(name)} phases; names must differ")


def _match(top: Place, phases: tuple[Phase, ...]) -> Match | None:
    for phase in phases:
        if phase.weights.type == "matched" and (phase is not phases[-1] or not top.has("match")):
            reason = "matched is for the last phase of a curriculum that has a match"
            top.refuse("weights.type", f"phase {phase.name!r}: {reason}")
    if not top.has("match"):
        return None
    place = top.inside("match")
    place.only("reference", "reserve")
    tail = phases[-1]
    if tail.weights.type != "matched" or tail.mode != "weighted_family" or len(phases) == 1:
        top.refuse("match", "needs at least two phases, the last with weights.type matched and mode weighted_family")
    for phase in phases:
        if any(name.startswith(ITEM) for name in phase.weights.start):
            top.refuse("match", f"phase {phase.name!r} weights single items; families are what is matched")
    place.need("reference")
    reference = load_preset(place.choice("reference", PRESETS, ""))
    if reference.match is not None:
        place.refuse("reference", f"{reference.name!r} is itself matched; name a preset that is not")
    reserve = place.number("reserve", 0.2, low=0, high=1)
    if reserve == 1:
        place.refuse("reserve", "1 leaves nothing for the phases before the last one")
    return Match(reference=reference, reserve=reserve)


def parse_template(text: str, file: str) -> Template:
    """The template a YAML text describes.

    Args:
        text: The YAML.
        file: Its name, for messages.

    Raises:
        ValueError: naming file, phase and field, for anything that is unknown, contradictory or not supported.
    """
    top = strict_yaml.read(text, file)
    top.only("version", "name", "description", "time_unit", "defaults", "safeguards", "match", "phases")
    name = top.text("name")
    if not NAME.fullmatch(name):
        top.refuse("name", f"must be lower-case letters, digits, '.', '_' or '-', at most 64, got {name!r}")
    if top.text("time_unit", "steps") != "steps":
        top.refuse("time_unit", f"only 'steps' is supported, got {top.values['time_unit']!r}")
    defaults = top.inside("defaults")
    defaults.only("sampling", "filters")
    mode = _sampling(defaults.inside("sampling"), "balanced_family")
    filters = _filters(defaults.inside("filters"), Filters())
    given = top.need("phases")
    if not isinstance(given, list) or not given:
        top.refuse("phases", f"must be a list of at least one phase, got {given!r}")
    phases = tuple(_phase(file, number, entry, mode, filters) for number, entry in enumerate(given, start=1))
    _check_order(file, phases)
    guards = top.inside("safeguards")
    guards.only("min_items_per_family", "max_sampling_fraction_per_family")
    return Template(
        file=file,
        name=name,
        version=top.whole("version", low=1),
        description=top.text("description", " ").strip() if top.has("description") else "",
        phases=phases,
        safeguards=Safeguards(
            min_items_per_family=guards.whole("min_items_per_family", 1, low=1),
            max_sampling_fraction_per_family=guards.number("max_sampling_fraction_per_family", 1.0, low=0, high=1),
        ),
        match=_match(top, phases),
        text=text,
        yaml_sha256=sha256_text(text),
    )


def load_preset(name: str) -> Template:
    """The preset of that name; ValueError lists the presets there are."""
    return parse_template(preset_text(name), f"{name}.yaml")
