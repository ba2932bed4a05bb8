from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from squiggle_assets.curricula import PRESETS, preset_text
from squiggle_assets.science.curriculum import load_preset, parse_template
from squiggle_assets.science.families import CONTROLS, NAMES, TARGETS
from squiggle_assets.science.template import step_at
from tests.science.curriculum_items import template_of

HEAD = "version: 1\nname: made\n"
ALL = "families: {include: '*'}"


def phases(*entries: str) -> str:
    return HEAD + "phases:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries)


def whole(entry: str) -> str:
    return phases(f"name: warm, start: 0, end: 1, {entry}")


def test_the_written_fields_arrive_in_the_template():
    made = template_of(
        """
        - name: warm
          start: 0
          end: 0.25
          families: {include: [geometry_euclidean, inequalities], exclude: [inequalities]}
          weights: {type: explicit, explicit: {geometry_euclidean: 2, "item:x": 3}}
          sampling: {mode: uniform_item}
          filters: {token_len: {min: 5, max: 9}, difficulty_proxy: {allowed: [easy]}}
        - name: rest
          start: 0.25
          end: 1
          families: {include: "*"}
        """,
        safeguards="{min_items_per_family: 3, max_sampling_fraction_per_family: 0.5}",
    )
    warm, rest = made.phases
    assert (warm.name, warm.start, warm.end, warm.mode) == ("warm", 0.0, 0.25, "uniform_item")
    assert (warm.include, warm.exclude) == (("geometry_euclidean", "inequalities"), ("inequalities",))
    assert warm.weights.start == {"geometry_euclidean": 2.0, "item:x": 3.0}
    assert (warm.filters.token_len_min, warm.filters.token_len_max, warm.filters.difficulties) == (5, 9, ("easy",))
    assert (rest.include, rest.mode, rest.weights.type, rest.filters.difficulties) == (
        None,
        "balanced_family",
        "uniform",
        None,
    )
    assert made.safeguards.min_items_per_family == 3
    assert made.safeguards.max_sampling_fraction_per_family == 0.5


def test_a_phase_replaces_only_the_default_filter_that_it_names():
    made = parse_template(
        HEAD
        + "defaults:\n"
        + "  sampling: {mode: uniform_item}\n"
        + "  filters: {token_len: {max: 50}, difficulty_proxy: {allowed: [hard]}}\n"
        + "phases:\n"
        + f"  - {{name: one, start: 0, end: 0.5, {ALL}, filters: {{difficulty_proxy: {{allowed: [easy]}}}}}}\n"
        + f"  - {{name: two, start: 0.5, end: 1, {ALL}, sampling: {{mode: balanced_family}}}}\n",
        "made.yaml",
    )
    one, two = made.phases
    assert (one.filters.token_len_max, one.filters.difficulties, one.mode) == (50, ("easy",), "uniform_item")
    assert (two.filters.token_len_max, two.filters.difficulties, two.mode) == (50, ("hard",), "balanced_family")


def test_a_name_missing_from_the_end_of_a_ramp_stands_still():
    made = template_of(
        """
        - name: only
          start: 0
          end: 1
          families: {include: "*"}
          weights: {type: ramp, ramp: {from: {cyclic_groups: 1, inequalities: 0}, to: {inequalities: 2}}}
        """
    )
    assert made.phases[0].weights.end == {"cyclic_groups": 1.0, "inequalities": 2.0}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_parses_and_says_its_own_name(name):
    preset = load_preset(name)
    assert preset.name == name
    assert preset.description
    assert preset.text == preset_text(name)


@pytest.mark.parametrize("name", PRESETS)
def test_no_preset_names_the_planted_family(name):
    assert "planted" not in preset_text(name)


@pytest.mark.parametrize(
    ("name", "spans"),
    [
        ("iid_baseline", [(0, 1)]),
        ("balanced_baseline", [(0, 1)]),
        ("family_ramp", [(0, 0.3), (0.3, 0.7), (0.7, 1)]),
        ("controls_first", [(0, 0.3), (0.3, 0.7), (0.7, 1)]),
        ("family_blocked", [(0, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (0.6, 1)]),
    ],
)
def test_presets_have_the_phases_of_the_plan(name, spans):
    assert [(phase.start, phase.end) for phase in load_preset(name).phases] == spans


def test_blocks_follow_the_order_of_the_plan():
    assert [phase.include for phase in load_preset("family_blocked").phases] == [*((t,) for t in TARGETS), None]


def test_ramps_move_one_side_from_nothing_to_one_and_hold_the_other():
    for name, still, moving in (("family_ramp", TARGETS, CONTROLS), ("controls_first", CONTROLS, TARGETS)):
        first, ramp, _ = load_preset(name).phases
        assert set(first.include or ()) == set(still)
        assert ramp.weights.start == {**dict.fromkeys(still, 1.0), **dict.fromkeys(moving, 0.0)}
        assert ramp.weights.end == dict.fromkeys(NAMES, 1.0)


@given(st.integers(0, 1000), st.integers(1, 5000))
@settings(max_examples=50)
def test_fractions_become_steps_as_a_person_would_count_them(thousandths, total):
    assert step_at(thousandths / 1000, total) == thousandths * total // 1000


def test_a_fraction_that_floats_round_down_keeps_its_step():
    assert int(0.29 * 100) == 28  # the trap
    assert step_at(0.29, 100) == 29


REFUSED = {
    "unknown family": (
        whole("families: {include: [geometry]}"),
        ["phase 'warm'", "families.include", "'geometry'", "geometry_euclidean", "logic_proof"],
    ),
    "planted family": (whole("families: {include: [planted]}"), ["phase 'warm'", "families.include", "'planted'"]),
    "unknown excluded family": (
        whole("families: {include: '*', exclude: [x]}"),
        ["phase 'warm'", "families.exclude", "'x'"],
    ),
    "family twice": (
        whole("families: {include: [inequalities, inequalities]}"),
        ["phase 'warm'", "families.include", "twice"],
    ),
    "nothing included": (whole("families: {include: []}"), ["phase 'warm'", "families.include", "empty phase"]),
    "all excluded": (
        whole("families: {include: [inequalities], exclude: [inequalities]}"),
        ["phase 'warm'", "families.include", "empty phase"],
    ),
    "no families": (whole("sampling: {}"), ["phase 'warm'", "families", "missing"]),
    "unknown key of a phase": (whole(f"{ALL}, pace: 3"), ["phase 'warm'", "pace", "unknown field", "weights"]),
    "unknown key at the top": (HEAD + "seed: 3\nphases: []\n", ["seed", "unknown field"]),
    "unknown mode": (
        whole(f"{ALL}, sampling: {{mode: round_robin}}"),
        ["phase 'warm'", "sampling.mode", "'round_robin'", "uniform_item"],
    ),
    "unknown weight type": (
        whole(f"{ALL}, weights: {{type: softmax}}"),
        ["phase 'warm'", "weights.type", "'softmax'", "proportional"],
    ),
    "weights of another type": (
        whole(f"{ALL}, weights: {{type: uniform, explicit: {{inequalities: 1}}}}"),
        ["phase 'warm'", "weights.explicit", "unknown field"],
    ),
    "explicit without weights": (whole(f"{ALL}, weights: {{type: explicit}}"), ["weights.explicit", "missing"]),
    "negative weight": (
        whole(f"{ALL}, weights: {{type: explicit, explicit: {{inequalities: -1}}}}"),
        ["phase 'warm'", "weights.explicit.inequalities", "between 0 and 1e+09", "-1"],
    ),
    "infinite weight": (
        whole(f"{ALL}, weights: {{type: explicit, explicit: {{inequalities: .inf}}}}"),
        ["phase 'warm'", "weights.explicit.inequalities", "inf"],
    ),
    "weight past all floats": (
        whole(f"{ALL}, weights: {{type: explicit, explicit: {{inequalities: 1{'0' * 400}}}}}"),
        ["phase 'warm'", "weights.explicit.inequalities", "between 0 and 1e+09"],
    ),
    "weight that is a word": (
        whole(f"{ALL}, weights: {{type: explicit, explicit: {{inequalities: high}}}}"),
        ["weights.explicit.inequalities", "must be a number", "'high'"],
    ),
    "all weights zero": (
        whole(f"{ALL}, weights: {{type: explicit, explicit: {{inequalities: 0}}}}"),
        ["phase 'warm'", "weights.explicit", "no weight is above 0"],
    ),
    "weight of an unknown family": (
        whole(f"{ALL}, weights: {{type: explicit, explicit: {{geometry: 1}}}}"),
        ["phase 'warm'", "weights.explicit.geometry", "unknown family"],
    ),
    "weight of a family outside": (
        whole("families: {include: [inequalities]}, weights: {type: explicit, explicit: {optimization: 1}}"),
        ["phase 'warm'", "weights.explicit.optimization", "not among the families"],
    ),
    "weight of no item": (
        whole(f"{ALL}, weights: {{type: explicit, explicit: {{'item:': 1}}}}"),
        ["weights.explicit.item:", "names no item"],
    ),
    "ramp without to": (
        whole(f"{ALL}, weights: {{type: ramp, ramp: {{from: {{inequalities: 1}}}}}}"),
        ["phase 'warm'", "weights.ramp.to", "missing"],
    ),
    "ramp from nothing": (
        whole(f"{ALL}, weights: {{type: ramp, ramp: {{from: {{inequalities: 0}}, to: {{inequalities: 1}}}}}}"),
        ["phase 'warm'", "weights.ramp.from", "no weight is above 0"],
    ),
    "ramp to a name without from": (
        whole(f"{ALL}, weights: {{type: ramp, ramp: {{from: {{inequalities: 1}}, to: {{optimization: 1}}}}}}"),
        ["phase 'warm'", "weights.ramp.to", "'optimization'", "no weight in from"],
    ),
    "without replacement": (
        HEAD + "defaults: {sampling: {replacement: false}}\nphases: []\n",
        ["defaults.sampling.replacement", "only true"],
    ),
    "weight floor": (
        HEAD + "defaults: {sampling: {family_weight_floor: 0.1}}\nphases: []\n",
        ["defaults.sampling.family_weight_floor", "0.1"],
    ),
    "epochs": (HEAD + "time_unit: epochs\nphases: []\n", ["time_unit", "'epochs'"]),
    "no phases": (HEAD + "phases: []\n", ["phases", "at least one"]),
    "a phase that is a word": (HEAD + "phases: [warm]\n", ["phases", "entry 1", "'warm'"]),
    "a phase without name": (HEAD + "phases: [{start: 0}]\n", ["phase 1", "name", "missing"]),
    "fraction above 1": (
        phases(f"name: warm, start: 0, end: 1.5, {ALL}"),
        ["phase 'warm'", "end", "between 0 and 1", "1.5"],
    ),
    "fraction below 0": (phases(f"name: warm, start: -0.1, end: 1, {ALL}"), ["phase 'warm'", "start", "-0.1"]),
    "fraction that is no number": (phases(f"name: warm, start: .nan, end: 1, {ALL}"), ["phase 'warm'", "start", "nan"]),
    "fraction that is a truth": (
        phases(f"name: warm, start: false, end: 1, {ALL}"),
        ["phase 'warm'", "start", "False"],
    ),
    "end before start": (phases(f"name: warm, start: 0.5, end: 0.5, {ALL}"), ["phase 'warm'", "end", "empty phase"]),
    "overlap": (
        phases(f"name: a, start: 0, end: 0.6, {ALL}", f"name: b, start: 0.5, end: 1, {ALL}"),
        ["phase 'b'", "start", "overlaps phase 'a'", "0.6"],
    ),
    "gap": (
        phases(f"name: a, start: 0, end: 0.4, {ALL}", f"name: b, start: 0.5, end: 1, {ALL}"),
        ["phase 'b'", "start", "gap from 0.4 to 0.5"],
    ),
    "late start": (phases(f"name: a, start: 0.1, end: 1, {ALL}"), ["phase 'a'", "start", "gap from 0 to 0.1"]),
    "early end": (phases(f"name: a, start: 0, end: 0.9, {ALL}"), ["phase 'a'", "end", "gap from 0.9 to 1"]),
    "name twice": (
        phases(f"name: a, start: 0, end: 0.5, {ALL}", f"name: a, start: 0.5, end: 1, {ALL}"),
        ["phase 'a'", "name", "2 phases"],
    ),
    "key twice": (
        whole(f"{ALL}, weights: {{type: explicit, explicit: {{inequalities: 1, inequalities: 9}}}}"),
        ["line 4", "'inequalities'", "twice"],
    ),
    "token length": (
        whole(f"{ALL}, filters: {{token_len: {{min: 9, max: 5}}}}"),
        ["phase 'warm'", "filters.token_len.min", "9", "5"],
    ),
    "unknown difficulty": (
        whole(f"{ALL}, filters: {{difficulty_proxy: {{allowed: [trivial]}}}}"),
        ["phase 'warm'", "filters.difficulty_proxy.allowed", "'trivial'", "medium"],
    ),
    "safeguard": (
        HEAD + f"safeguards: {{max_sampling_fraction_per_family: 2}}\nphases: [{{name: a, start: 0, end: 1, {ALL}}}]\n",
        ["safeguards.max_sampling_fraction_per_family", "2"],
    ),
    "matched without match": (
        whole(f"{ALL}, weights: {{type: matched}}"),
        ["phase 'warm'", "weights.type", "matched"],
    ),
    "match without a matched phase": (
        HEAD + f"match: {{reference: iid_baseline}}\nphases: [{{name: a, start: 0, end: 1, {ALL}}}]\n",
        ["match", "weights.type matched"],
    ),
    "name": ("version: 1\nname: Up Case\nphases: []\n", ["name", "'Up Case'"]),
    "version": (
        "version: 1.5\nname: a\nphases: [{name: a, start: 0, end: 1, families: {include: '*'}}]\n",
        ["version", "1.5"],
    ),
    "no mapping": ("- 1\n", ["mapping", "list"]),
    "nothing": ("", ["mapping", "NoneType"]),
    "no YAML": ("phases: [", ["not readable as YAML"]),
    "nested without end": ("[" * 100_000, ["not readable as YAML"]),
    "an object": ("!!python/object/apply:os.getcwd []\n", ["not readable as YAML"]),
    "a NUL byte": ("name: a\0b\n", ["not readable as YAML"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_curricula_are_refused_naming_file_phase_and_field(case):
    text, fragments = REFUSED[case]
    with pytest.raises(ValueError, match=r"\Amade\.yaml: ") as caught:
        parse_template(text, "made.yaml")
    for fragment in fragments:
        assert fragment in str(caught.value)


def matched(reference: str, reserve: str) -> str:
    tail = f"name: b, start: 0.5, end: 1, {ALL}, weights: {{type: matched}}, sampling: {{mode: weighted_family}}"
    match = f"match: {{reference: {reference}, reserve: {reserve}}}\n"
    return phases(f"name: a, start: 0, end: 0.5, {ALL}", tail).replace("phases:", match + "phases:")


def test_a_match_reads_its_reference():
    made = parse_template(matched("iid_baseline", "0.5"), "made.yaml")
    assert made.match is not None
    assert (made.match.reference.name, made.match.reserve) == ("iid_baseline", 0.5)


@pytest.mark.parametrize(
    ("reference", "reserve", "fragment"),
    [
        ("nobody", "0.2", "match.reference: unknown value 'nobody'"),
        ("family_ramp_matched", "0.2", "match.reference: 'family_ramp_matched' is itself matched"),
        ("iid_baseline", "1", "match.reserve: 1 leaves nothing"),
        ("iid_baseline", "-0.1", "match.reserve: must be between 0 and 1"),
    ],
)
def test_a_match_that_makes_no_sense_is_refused(reference, reserve, fragment):
    with pytest.raises(ValueError, match=r"made\.yaml") as caught:
        parse_template(matched(reference, reserve), "made.yaml")
    assert fragment in str(caught.value)


def test_an_unknown_preset_is_refused_with_the_presets_there_are():
    with pytest.raises(ValueError, match=r"'nobody'.*iid_baseline.*controls_first_matched"):
        load_preset("nobody")


def test_presets_are_plain_yaml_that_anybody_can_read():
    assert all(yaml.safe_load(preset_text(name))["version"] == 1 for name in PRESETS)
