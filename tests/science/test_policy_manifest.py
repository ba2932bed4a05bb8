"""The manifest and the id of a policy, and what resolving refuses."""

from __future__ import annotations

import json

import polars as pl
import pytest

from squiggle_assets.science.curriculum import load_preset, parse_template
from squiggle_assets.science.families import CONTROLS, NAMES, TARGETS
from squiggle_assets.science.policy import Policy, resolve
from squiggle_assets.science.spec import Plant
from tests.science.curriculum_items import items_of, one_phase, planted_items, template_of
from tests.science.policy_presets import EVEN, PLANT, SMALL, preset


def test_the_manifest_is_json_and_says_what_was_resolved():
    policy = preset("family_ramp", plant=PLANT, planted=planted_items(3))
    said = json.loads(json.dumps(policy.manifest(), allow_nan=False))
    assert said["curriculum_id"] == policy.curriculum_id
    assert said["yaml_sha256"] == load_preset("family_ramp").yaml_sha256
    assert said["family_counts"] == EVEN
    assert [(p["start_step"], p["end_step"]) for p in said["resolved_phases"]] == [(0, 60), (60, 140), (140, 200)]
    ramp = said["resolved_phases"][1]
    assert ramp["ramp"]["from"]["families"] == {**dict.fromkeys(TARGETS, 1), **dict.fromkeys(CONTROLS, 0)}
    assert ramp["ramp"]["to"]["families"] == dict.fromkeys(NAMES, 1)
    assert ramp["sampling_mode"] == "balanced_family"
    assert said["resolved_phases"][2]["weights"] == EVEN  # proportional: base x w is the count
    assert said["plant"] == {
        "start_step": 100,
        "end_step": 104,
        "slots": 6,
        "item_ids": ["planted-0", "planted-1", "planted-2"],
    }
    assert sum(said["expected_exposure_by_family"].values()) == pytest.approx(1600)
    assert sum(said["expected_exposure_by_item"].values()) == pytest.approx(1600)
    assert said["expected_exposure_by_family"]["planted"] == pytest.approx(24)


def test_item_weights_are_in_the_manifest():
    weights = "{type: explicit, explicit: {inequalities: 2, 'item:inequalities-0': 5, 'item:cyclic_groups-0': 3}}"
    phase = one_phase(weights, "proportional_family", SMALL).manifest()["resolved_phases"][0]
    assert phase["weights"] == {"inequalities": 12, "item:cyclic_groups-0": 3}
    assert phase["item_weights"] == {"item:inequalities-0": 5}


def test_the_id_changes_with_what_is_drawn_and_with_nothing_else():
    def made(weight: int, comment: str = "") -> Policy:
        weights = f"{{type: explicit, explicit: {{inequalities: 1, cyclic_groups: {weight}}}}}"
        phase = f"{{name: a, start: 0, end: 1, families: {{include: '*'}}, weights: {weights}}}"
        text = f"version: 1\nname: made\n{comment}phases: [{phase}]\n"
        return resolve(parse_template(text, "made.yaml"), items_of(SMALL), total_steps=10, batch_size=2)

    base = made(1)
    assert base.curriculum_id == made(1, "# words\n").curriculum_id
    assert base.manifest()["yaml_sha256"] != made(1, "# words\n").manifest()["yaml_sha256"]
    others = [
        made(2),
        resolve(base.template, items_of({**SMALL, "inequalities": 7}), total_steps=10, batch_size=2),
        resolve(base.template, items_of(SMALL), total_steps=11, batch_size=2),
        resolve(base.template, items_of(SMALL), total_steps=10, batch_size=3),
        resolve(base.template, items_of(SMALL), total_steps=10, batch_size=2, shuffle_families_seed=1),
    ]
    assert len({base.curriculum_id, *(other.curriculum_id for other in others)}) == 6


def refused(phases: str, counts: dict[str, int], total_steps: int = 10, **top: str) -> str:
    with pytest.raises(ValueError, match=r"\Amade\.yaml: phase 'warm': ") as caught:
        resolve(template_of(phases, **top), items_of(counts), total_steps=total_steps, batch_size=4)
    return str(caught.value)


def warm(rest: str, families: str = "{include: '*'}") -> str:
    return f"- {{name: warm, start: 0, end: 1, families: {families}{rest}}}"


def test_a_phase_whose_families_the_data_lack_is_refused():
    message = refused(warm("", "{include: [optimization]}"), SMALL)
    assert "families: empty phase" in message
    assert "optimization" in message


def test_a_phase_whose_filters_leave_nothing_is_refused():
    message = refused(warm(", filters: {token_len: {min: 900}}"), SMALL)
    assert "families: empty phase" in message
    assert "filters leave no item" in message


def test_a_phase_whose_weighted_families_the_data_lack_is_refused():
    weights = ", weights: {type: explicit, explicit: {optimization: 1, inequalities: 0}}"
    message = refused(warm(weights), SMALL)
    assert "weights.explicit: empty phase" in message
    assert "optimization" in message


def test_a_ramp_that_begins_on_families_the_data_lack_is_refused():
    ramp = ", weights: {type: ramp, ramp: {from: {optimization: 1, inequalities: 0}, to: {inequalities: 1}}}"
    assert "weights.ramp.from: empty phase" in refused(warm(ramp), SMALL)


def test_a_weight_of_an_item_that_is_not_there_is_refused():
    assert "weights.explicit.item:x: no such training item" in refused(
        warm(", weights: {type: explicit, explicit: {'item:x': 1}}"), SMALL
    )


def test_a_weight_of_an_item_that_is_filtered_out_is_refused():
    weights = ", weights: {type: explicit, explicit: {'item:inequalities-0': 1}}, filters: {token_len: {min: 11}}"
    assert "kept out of this phase" in refused(warm(weights), SMALL)


def test_a_family_whose_every_item_is_weighted_0_is_refused():
    weights = ", weights: {type: explicit, explicit: {cyclic_groups: 1, 'item:cyclic_groups-0': 0}}"
    assert "every item of cyclic_groups is weighted 0" in refused(
        warm(weights), {"cyclic_groups": 1, "inequalities": 1}
    )


def test_a_phase_too_short_for_a_step_is_refused():
    phases = """
        - {name: warm, start: 0, end: 0.05, families: {include: '*'}}
        - {name: b, start: 0.05, end: 1, families: {include: '*'}}
    """
    assert "end: 0 to 0.05 of 10 steps is no step: empty phase" in refused(phases, SMALL)


def test_the_smallest_family_is_guarded():
    message = refused(warm(""), SMALL, safeguards="{min_items_per_family: 3}")
    assert "safeguards.min_items_per_family: cyclic_groups has 2 items" in message


def test_the_largest_share_is_guarded_also_at_the_end_of_a_ramp():
    ramp = ", weights: {type: ramp, ramp: {from: {inequalities: 1, cyclic_groups: 1}, to: {inequalities: 9}}}"
    message = refused(warm(ramp), SMALL, safeguards="{max_sampling_fraction_per_family: 0.85}")
    # w = 1 + 8 u: 0.85 is passed where 1 + 8 u = 17/3, at step 6
    assert "safeguards.max_sampling_fraction_per_family: inequalities has probability 0.8529 at step 6" in message
    one_phase("{type: uniform}", "balanced_family", SMALL)


def test_a_filter_on_a_value_that_items_lack_is_refused():
    items = items_of(SMALL).with_columns(difficulty_proxy=pl.lit(None, pl.String))
    with pytest.raises(ValueError, match=r"phase 'easy': filters.difficulty_proxy: 8 training items have no"):
        resolve(load_preset("difficulty_ramp"), items, total_steps=10, batch_size=2)


def test_bad_items_and_sizes_are_refused():
    items, plain = items_of(SMALL), load_preset("iid_baseline")
    for bad, message in (
        (items.drop("token_len"), "missing: token_len"),
        (items.clear(), "no training items"),
        (pl.concat([items, items.head(1)]), "'cyclic_groups-0' is there"),
        (items.with_columns(family_id=pl.lit(None, pl.String)), "8 rows have no family_id"),
        (items.with_columns(family_id=pl.lit("planted")), "hold the family 'planted'"),
    ):
        with pytest.raises(ValueError, match=message):
            resolve(plain, bad, total_steps=10, batch_size=2)
    for sizes in ({"total_steps": 0}, {"batch_size": 0}, {"extra_steps": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(sizes))} must be at least"):
            resolve(plain, items, **{"total_steps": 10, "batch_size": 2, **sizes})
    clash = items_of({"planted": 2}).with_columns(item_id=pl.Series(["inequalities-0", "x"]))
    with pytest.raises(ValueError, match="ids must differ"):
        resolve(
            plain,
            items,
            total_steps=20,
            batch_size=2,
            plant=Plant(start=0, num_steps=1, share=1, num_items=2),
            planted=clash,
        )


def test_steps_outside_the_budget_are_refused():
    policy = preset("iid_baseline", extra_steps=10)
    for call in (policy.draw, lambda _, step: policy.probabilities(step), lambda _, step: policy.phase_at(step)):
        for step in (-1, 210):
            with pytest.raises(ValueError, match=r"outside the budget: 0 to 209"):
                call(1, step)
    with pytest.raises(ValueError, match="outside the budget of 210 steps"):
        policy.expected_draws(5, 211)
