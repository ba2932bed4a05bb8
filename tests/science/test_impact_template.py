"""The curriculum that starts from a core: what it draws when, and that controls differ in the core only."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from curriculum_items import items_of

from squiggle_assets.science.curriculum import parse_template
from squiggle_assets.science.impact_template import core_ramp, exposure_residual
from squiggle_assets.science.policy import Policy, resolve

COUNTS = {"optimization": 12, "geometry_euclidean": 8, "inequalities": 5}
ITEMS = items_of(COUNTS)
CORE = ["optimization-0", "optimization-3", "geometry_euclidean-1"]
OTHER = ["optimization-7", "optimization-8", "geometry_euclidean-6"]
STEPS, BATCH = 100, 10


def policy(core=CORE, weight=2, name="impact_ramp") -> Policy:
    template = core_ramp(core, ITEMS, weight=weight, name=name)
    return resolve(template, ITEMS, total_steps=STEPS, batch_size=BATCH)


def share(found: Policy, step: int) -> float:
    """Of the core among the draws of a step."""
    in_core = found.items["item_id"].is_in(CORE).to_numpy()
    return float(found.probabilities(step)[in_core].sum())


def exposure(**arms: Policy) -> pl.DataFrame:
    return pl.concat([own.expected_exposure().with_columns(arm=pl.lit(name)) for name, own in arms.items()])


def test_the_core_is_alone_then_gives_way_as_derived_and_is_drawn_like_all_others_in_the_end():
    found = policy()
    assert found.phase_boundaries() == [(30, "phase:ramp_rest"), (70, "phase:all")]
    # K = 3 core items of N = 25, w = 2: w K / (w K + u (N - K)) = 6 / (6 + 22 u), u = (step - 30) / 40
    assert share(found, 0) == share(found, 29) == share(found, 30) == pytest.approx(1.0)
    assert share(found, 50) == pytest.approx(6 / (6 + 22 * 0.5))
    assert share(found, 69) == pytest.approx(6 / (6 + 22 * 39 / 40))
    assert share(found, 70) == share(found, 99) == pytest.approx(3 / 25)


@pytest.mark.parametrize("step", [0, 29, 30, 41, 69, 70, 99])
def test_all_core_items_are_equally_likely_and_so_are_all_others(step):
    found = policy()
    p, in_core = found.probabilities(step), found.items["item_id"].is_in(CORE).to_numpy()
    assert np.ptp(p[in_core]) < 1e-12 and np.ptp(p[~in_core]) < 1e-12


def test_a_larger_weight_keeps_the_core_longer():
    shares = [share(policy(weight=weight), 50) for weight in (1, 2, 4)]
    assert shares[0] < shares[1] < shares[2]


def test_the_text_says_all_of_it():
    template = core_ramp(CORE, ITEMS, weight=2, name="impact_ramp")
    again = resolve(parse_template(template.text, "other.yaml"), ITEMS, total_steps=STEPS, batch_size=BATCH)
    assert again.curriculum_id == policy().curriculum_id
    assert "&id" not in template.text  # no aliases: every weight is where it is looked for


def test_order_of_core_and_items_are_of_no_consequence():
    shuffled = core_ramp(CORE[::-1], ITEMS.reverse(), weight=2, name="impact_ramp")
    assert shuffled.text == core_ramp(CORE, ITEMS, weight=2, name="impact_ramp").text


def test_another_core_of_the_same_families_expects_the_same_draws():
    residual = exposure_residual(exposure(impact=policy(), random=policy(OTHER)), ["impact", "random"])
    assert residual < 1e-9
    drawn = exposure(random=policy(OTHER)).filter(pl.col("item_id") == "optimization-7")["expected_draws"].sum()
    assert drawn > 100  # ten draws a step, thirty steps, three items: 100 in the first phase


def test_another_weight_or_other_families_do_not():
    of_weight = exposure(impact=policy(), random=policy(OTHER, weight=4))
    assert exposure_residual(of_weight, ["impact", "random"]) > 0.1
    elsewhere = policy(["inequalities-0", "inequalities-1", "geometry_euclidean-0"])
    assert exposure_residual(exposure(impact=policy(), random=elsewhere), ["impact", "random"]) > 10


def test_a_family_that_is_all_core_is_still_drawn_when_all_are():
    whole = [f"inequalities-{k}" for k in range(5)]
    found = policy(whole)
    p = pl.DataFrame({"item": found.items["item_id"], "p": found.probabilities(99)})
    assert p["p"].to_list() == pytest.approx([1 / 25] * 25)


def test_what_makes_no_curriculum_is_refused():
    for core, weight, said in (
        ([], 2, "got 0 items"),
        (["optimization-0"] * 2, 2, "1 different"),
        (["nowhere-0"], 2, "unknown: .'nowhere-0'"),
        (CORE, 0, "weight 0"),
        (ITEMS["item_id"].to_list(), 2, "leaves none of 25"),
    ):
        with pytest.raises(ValueError, match=said):
            core_ramp(core, ITEMS, weight=weight, name="impact_ramp")
    with pytest.raises(ValueError, match="expect draws of"):
        exposure_residual(exposure(impact=policy()), ["impact", "random"])
