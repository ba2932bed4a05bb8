"""Effects by introduction: the estimator, its null, and what it says where order matters and where it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from squiggle_assets.science import order_sensitivity
from squiggle_assets.science.exposure_locked import step_responses
from squiggle_assets.science.order_design import (
    MIN_SHOWINGS,
    ArmRuns,
    Measured,
    Units,
    Window,
    common_window,
    drawable,
    measured,
    mixture_gap,
    movement,
    of_seeds,
    shared_scale,
    varying_cells,
)
from squiggle_assets.science.order_sensitivity import (
    ROWS_SCHEMA,
    SLOPES_SCHEMA,
    _Compared,
    _drawn,
    _Ground,
    _interaction,
    _quartiles,
    _rows,
    order_tables,
)
from squiggle_assets.science.rng import generator
from squiggle_assets.science.simulation import Design, simulated_arm
from tests.science.attribution_arms import traces
from tests.science.policy_presets import EVEN, preset

PRESETS = {
    "blocked_early": "blocked_early_matched", "ramp": "family_ramp_matched", "controls_first": "controls_first_matched",
    "balanced": "balanced_baseline",
}  # fmt: skip
ORDER_ARMS = ("blocked_early", "ramp", "controls_first")


@cache
def policy(arm: str):
    if arm == "placebo":
        return preset("blocked_early_matched", shuffle_families_seed=42)
    return preset(PRESETS[arm])


@cache
def shown(arm: str, num_seeds: int = 6) -> pl.DataFrame:
    return traces(policy(arm), num_seeds)


def runs(arm: str, number: int, num_seeds: int = 6) -> ArmRuns:
    series = simulated_arm(Design(num_seeds=num_seeds), generator("order_test", arm, number))
    return ArmRuns(arm=arm, series=series, traces=shown(arm, num_seeds), policy=policy(arm))


def study(number: int, num_seeds: int = 6):
    made = {arm: runs(arm, number, num_seeds) for arm in (*PRESETS, "placebo")}
    return [made[arm] for arm in ORDER_ARMS], (made["placebo"], made["balanced"])


def acting(one: ArmRuns, effect: dict[str, float]) -> ArmRuns:
    """Every showing of a family moves all series by so many sd in its increment, up or down by a toss."""
    increments = one.series.increments.copy()
    draws = generator("order_acting", one.arm)
    family = dict(one.policy.items.select("item_id", "family_id").iter_rows())
    size = np.zeros((len(increments), increments.shape[-1]))
    for seed, step, item in one.traces.select("seed", "step", "item_id").iter_rows():
        size[seed, step // 2] += effect.get(family[item], 0.0)
    increments += size[:, None] * draws.choice([-1.0, 1.0], size=increments.shape)
    return replace(one, series=replace(one.series, increments=increments))


def families_of(one: ArmRuns) -> dict[str, str]:
    return dict(one.policy.items.select("item_id", "family_id").iter_rows())


def linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Movement as one plain series, so that effects add up."""
    monkeypatch.setattr(order_sensitivity, "movement", lambda series, cells, window, scale: series.increments[:, 0])


def test_the_window_is_where_all_arms_are_in_their_last_phase():
    arms, placebo = study(0)
    starts = [one.policy.phases[-1].start for one in arms]
    window = common_window([*arms, *placebo], 2)
    assert window.start == max(starts) == policy("controls_first").phases[-1].start
    # 100 increments of 2 steps: the last one has no partner after it, so d ends with increment 98, draws 196 and 197
    assert window.stop == 198
    for one in arms:
        shares = [one.policy.probabilities(step) for step in (window.start, 199)]
        np.testing.assert_array_equal(*shares)
        assert (shares[0] > 0).all()


def test_arms_have_equal_exposure_and_other_introductions():
    exposure = {arm: policy(arm).expected_draws(0, 200) for arm in (*ORDER_ARMS, "balanced")}
    for arm in ORDER_ARMS:
        np.testing.assert_allclose(exposure[arm], exposure["balanced"], rtol=1e-9)
    found = order_tables(*study(0), num_redrawn=8).units.filter(pl.col("grain") == "family")
    first = {(row["arm"], row["family_id"]): row["first_step"] for row in found.iter_rows(named=True)}
    assert first["blocked_early", "cyclic_groups"] > 30 > first["ramp", "cyclic_groups"]
    assert first["controls_first", "cyclic_groups"] > first["controls_first", "inequalities"]
    assert first["ramp", "inequalities"] > first["ramp", "cyclic_groups"]


def test_movement_is_the_mean_distance_over_cells():
    one = runs("ramp", 0)
    series, cell, window = one.series, one.series.cells[0].members[0], Window(100, 198)
    values = series.increments[0, cell]
    # draws 100 to 197 are those of increments 50 to 98
    centre = np.median(values[50:99])
    scale = 1.4826 * np.median(np.abs(values[50:99] - centre))
    moved = movement(series, [series.cells[0].name], window, shared_scale([one], window))[0]
    np.testing.assert_allclose(moved, np.abs(values - centre) / scale, rtol=1e-6)
    # the unit is the mean over arms, each with its own robust sd: 1 and 3 of them make 2
    wild = replace(one, series=replace(series, increments=3 * series.increments))
    np.testing.assert_allclose(shared_scale([one, wild], window), 2 * shared_scale([one], window), rtol=1e-9)


def test_what_an_arm_did_before_the_window_does_not_change_the_size_of_effects_in_it():
    arms, _ = study(4)
    early = arms[1].series.steps <= common_window(arms[:2], 2).start - 8
    increments = arms[1].series.increments * np.where(early, 20.0, 1.0)
    wild = replace(arms[1], series=replace(arms[1].series, increments=increments))
    own, other = (order_tables([arms[0], one], num_redrawn=8).units["effect"].to_numpy() for one in (arms[1], wild))
    np.testing.assert_allclose(own, other, rtol=1e-9)


def test_a_showing_does_the_same_in_two_arms_of_which_one_moves_more_by_itself(monkeypatch):
    # the same runs, once with all that is not the family's doing twice as large: the effect is the same in both
    def plain(series, cells, window, scale):
        return (series.increments / scale[:, :, None]).mean(axis=1)

    monkeypatch.setattr(order_sensitivity, "movement", plain)
    one = runs("ramp", 5)
    louder = replace(one, arm="louder", series=replace(one.series, increments=2 * one.series.increments))
    size = {}
    for shift in (0.0, 5.0):
        arms = []
        for each in (one, louder):
            increments = each.series.increments.copy()
            for seed, step, item in each.traces.select("seed", "step", "item_id").iter_rows():
                increments[seed, :, step // 2] += shift * item.startswith("optimization")
            arms.append(replace(each, series=replace(each.series, increments=increments)))
        found = order_tables(arms, num_redrawn=8).units.filter(pl.col("grain") == "family")
        for arm in ("ramp", "louder"):
            own = found.filter((pl.col("arm") == arm) & (pl.col("family_id") == "optimization"))
            size[arm, shift] = own["effect"].item()
    gained = {arm: size[arm, 5.0] - size[arm, 0.0] for arm in ("ramp", "louder")}
    assert gained["ramp"] > 0.3 and gained["louder"] == pytest.approx(gained["ramp"], rel=0.25)


def test_items_are_chosen_by_what_the_policies_expect_and_their_p_is_uniform():
    counts = {family: 30 + 4 * (16 - number) for number, family in enumerate(EVEN)}
    own = {arm: preset(PRESETS[arm], counts) for arm in ("blocked_early", "ramp")}
    p = []
    for number in range(20, 24):
        arms = [
            replace(runs(arm, number, 8), traces=traces(one, 8, first=50 * number), policy=one)
            for arm, one in own.items()
        ]
        rows = order_tables(arms, num_redrawn=30).units.filter((pl.col("grain") == "item") & (pl.col("arm") == "ramp"))
        window = common_window(arms, 2)
        known = np.all([8 * one.expected_draws(*window) >= MIN_SHOWINGS for one in own.values()], axis=0)
        assert 300 < known.sum() < 0.6 * len(known)
        assert set(rows["item_id"]) <= set(own["ramp"].items["item_id"].to_numpy()[known])
        assert len(rows) > 0.95 * known.sum()
        p += rows["p_value"].drop_nulls().to_list()
    # chosen by their showings, a tenth of the items would be below .05
    assert len(p) > 200 and np.mean(np.array(p) <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(p))


def test_the_window_ends_with_the_base_budget():
    arms, _ = study(0)
    short = [replace(one, policy=replace(one.policy, total_steps=170, extra_steps=30)) for one in arms]
    assert common_window(short, 2).stop == 170


def test_a_mixture_gap_is_the_share_of_slots_that_go_to_other_units():
    assert mixture_gap(np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])) == pytest.approx(0.3)
    gap = {(r["arm"], r["against"]): r["mixture_gap"]
           for r in order_tables(*study(0), num_redrawn=8).slopes.iter_rows(named=True)}  # fmt: skip
    # targets have 2.5 of 84 or so steps in both tails; with controls first it is the controls that are mostly over
    assert gap["blocked_early", "ramp"] < 0.01
    assert gap["blocked_early", "controls_first"] > 0.5 and gap["ramp", "controls_first"] > 0.5


def test_effects_agree_with_going_through_the_draws():
    one = runs("ramp", 3)
    window = common_window(study(3)[0], 2)
    units = Units(names=("cyclic_groups", "inequalities"), of_item=families_of(one))
    fresh = np.zeros((1, window.stop - window.start, 8), dtype=np.int64)
    cells = varying_cells([one], window)
    assert len(cells) == 12
    moved = movement(one.series, cells, window, shared_scale([one], window))
    found = measured(one, units, window, fresh, moved, 2)
    d = step_responses(moved, 2)
    share = {"cyclic_groups": 0.0, "inequalities": 0.0}
    for item, p in zip(one.policy.items["item_id"], one.policy.probabilities(window.start), strict=True):
        family = families_of(one)[item]
        if family in share:
            share[family] += p
    rows = one.traces.filter(pl.col("step").is_between(*window, closed="left"))
    num_steps = window.stop - window.start
    for u, family in enumerate(units.names):
        for s in range(6):
            mean = np.mean([d[s, step // 2] for step in range(*window)])
            own = [step for seed, step, item in rows.select("seed", "step", "item_id").iter_rows()
                   if seed == s and families_of(one)[item] == family]  # fmt: skip
            by_hand = sum(d[s, step // 2] - mean for step in own) / (num_steps * 8 * share[family])
            assert found.effect[s, u] == pytest.approx(by_hand)
    assert found.num[0] == sum(families_of(one)[item] == "cyclic_groups" for item in rows["item_id"])
    first = one.traces.filter(pl.col("item_id").str.starts_with("inequalities") & (pl.col("seed") == 2))["step"].min()
    assert found.first[2, 1] == first


def test_an_effect_is_that_of_the_family_less_the_mean_of_families_whatever_the_mixture(monkeypatch):
    # of a showing's b, d has b / 2 (mean of 2 increments, the showing's own first); mixtures differ between the arms
    linear(monkeypatch)
    effect = {family: 4.0 if number < 6 else 0.0 for number, family in enumerate(EVEN)}
    arms, _ = study(1)
    fixed = []
    for one in arms:
        quiet = replace(one.series, increments=1e-6 * one.series.increments)
        up = acting(replace(one, series=quiet), effect)
        increments = np.abs(up.series.increments)
        fixed.append(replace(one, series=replace(up.series, increments=increments)))
    found = order_tables(fixed, num_redrawn=8).units.filter(pl.col("grain") == "family")
    mean = 4 * 6 / 17
    for arm in ORDER_ARMS:
        own = dict(found.filter(pl.col("arm") == arm).select("family_id", "effect").iter_rows())
        targets = np.mean([own[family] for family in list(EVEN)[:6]])
        controls = np.mean([own[family] for family in list(EVEN)[6:]])
        assert targets == pytest.approx((4 - mean) / 2, abs=0.35)
        assert controls == pytest.approx(-mean / 2, abs=0.35)


def test_interaction_is_the_slope_over_the_arms_by_hand():
    # introduced at 0, 50 and 100 of 200: shares 0, .25, .5, centred -.25, 0, .25 over .125: weights -2, 0, 2
    weight = _interaction(np.array([[0.0], [50.0], [100.0]]), 200)
    np.testing.assert_allclose(weight[:, 0], [-2, 0, 2])
    assert np.isnan(_interaction(np.array([[10.0], [11.0], [12.0]]), 200)).all()
    # 8 introductions: two in each quarter; equal ones stay together
    np.testing.assert_array_equal(_quartiles(np.arange(8.0)[None]), [[1, 1, 2, 2, 3, 3, 4, 4]])
    np.testing.assert_array_equal(_quartiles(np.array([[0.0, 0.0, 0.0, 9.0]])), [[2, 2, 2, 4]])


def test_families_that_act_less_the_earlier_they_came_are_found_and_the_placebo_is_not():
    arms, placebo = study(0)
    # a family does more the later it was introduced in that arm
    later = [acting(one, {f: 3.0 * float(shown_first(one, f) > 30) for f in EVEN}) for one in arms]
    found = order_tables(later, placebo, num_redrawn=60).slopes
    row = {(r["arm"], r["against"]): r for r in found.iter_rows(named=True)}
    pair = row["ramp", "controls_first"]
    assert pair["slope"] > 0 and pair["p_redrawn"] < 0.02 and pair["p_seeds"] == pair["smallest_p"] == 2 / 2**6
    silent = row["placebo", "balanced"]
    assert silent["comparison"] == "placebo" and silent["p_value"] > 0.05
    by_seed = list(json.loads(pair["by_seed_json"]).values())
    assert pair["slope"] == pytest.approx(np.mean(by_seed)) and len(by_seed) == 6


def shown_first(one: ArmRuns, family: str) -> int:
    return one.traces.filter(pl.col("item_id").str.starts_with(family))["step"].min()


def test_redrawn_runs_are_centred_as_the_real_ones_are():
    effect = np.random.default_rng(0).normal(2.0, 1.0, size=(4, 5))
    same = Measured(effect, np.tile(effect, (8, 1, 1)), np.zeros(5), effect, effect[0])
    centred = effect - effect.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(_drawn(same, same), np.tile(centred.mean(axis=0), (16, 1)))


def test_the_units_of_the_placebo_are_the_labels_that_its_curriculum_goes_by():
    arms, (placebo, balanced) = study(0)
    found = order_tables(arms, (placebo, balanced), num_redrawn=8).units.filter(pl.col("grain") == "group")
    labels = placebo.policy.items.select("item_id", family_id="policy_family_id")
    for one in (placebo, balanced):
        inside = one.traces.filter(pl.col("step").is_between(found["window_lo"][0], found["window_hi"][0] - 1))
        shown = dict(inside.select("item_id").join(labels, on="item_id")["family_id"].value_counts().iter_rows())
        own = found.filter(pl.col("arm") == one.arm)
        assert dict(own.select("family_id", "num_showings").iter_rows()) == shown


def test_a_unit_whose_interval_over_seeds_holds_nothing_is_not_called_sensitive():
    # effects .1 and 2 in two seeds: far outside the redrawn runs, and no seed like the other; 1 and 1.001 agree
    effect = np.array([[[0.0, 0.0], [0.0, 0.0]], [[0.1, 1.0], [2.0, 1.001]]])
    made = _Compared(
        comparison="order", arms=("a", "b"), units=Units(names=("u", "v"), of_item={}), total_steps=100, effect=effect,
        null=np.random.default_rng(0).normal(0, 0.01, size=(2, 999, 2)), first=np.array([[0.0, 0.0], [50.0, 50.0]]),
        num=np.ones((2, 2), dtype=np.int64), share=np.full((2, 2), 0.5),
    )  # fmt: skip
    ground = _Ground(window=Window(60, 90), seeds=(0, 1), redrawn={}, cells=(), scale=np.ones((2, 1)), reach=2)
    found = _rows(made, "family", {}, ground).filter(pl.col("arm") == "a")
    assert (found["q_value"] <= 0.01).all() and found["interaction"].to_list() == pytest.approx([2.1, 2.001])
    assert found["order_sensitive"].to_list() == [False, True]


def test_families_that_act_alike_in_all_arms_have_no_slope():
    effect = {family: 3.0 if number < 6 else 0.0 for number, family in enumerate(EVEN)}
    arms, _ = study(2)
    found = order_tables([acting(one, effect) for one in arms], num_redrawn=40)
    assert (found.slopes["p_value"] > 0.05).all()
    # though the families do act, and no other ones
    own = found.units.filter((pl.col("grain") == "family") & (pl.col("effect_lo") > 0))["family_id"].to_list()
    assert len(own) >= 6 and set(own) <= set(list(EVEN)[:6])


def test_p_is_uniform_where_nothing_depends_on_what_was_shown():
    pairs, units = [], []
    for number in range(10, 16):
        found = order_tables(*study(number), num_redrawn=24)
        pairs += found.slopes["p_redrawn"].to_list()
        family = found.units.filter((pl.col("grain") != "item") & pl.col("arm").is_in(["ramp", "placebo"]))
        units += family["p_value"].drop_nulls().to_list()
        assert not found.units["order_sensitive"].any()
    assert len(pairs) == 24 and len(units) > 150
    assert (np.array(units) <= 0.05).mean() <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / len(units))
    assert 0.35 < np.mean(units) < 0.65 and 0.25 < np.mean(pairs) < 0.75


def test_tables_have_their_columns_and_rows_for_every_arm():
    found = order_tables(*study(0), num_redrawn=8)
    assert dict(found.units.schema) == ROWS_SCHEMA and dict(found.slopes.schema) == SLOPES_SCHEMA
    counts = dict(found.units.group_by("grain").len().iter_rows())
    assert counts["family"] == 3 * 17 and counts["group"] == 2 * 17
    items = found.units.filter(pl.col("grain") == "item")
    assert len(items) == counts.get("item", 0) and items["item_id"].null_count() == 0
    assert len(items) > 0
    key = ["comparison", "grain", "family_id", "item_id", "arm"]
    assert not found.units.select(key).is_duplicated().any()
    assert set(found.units["quartile"]) <= {1, 2, 3, 4}
    pairs = found.slopes.select("arm", "against").rows()
    for row in found.slopes.iter_rows(named=True):
        assert row["p_value"] == max(row["p_redrawn"], row["p_seeds"]) > min(row["p_redrawn"], row["p_seeds"])
    assert pairs == [("blocked_early", "ramp"), ("blocked_early", "controls_first"), ("ramp", "controls_first"),
                     ("placebo", "balanced")]  # fmt: skip


def test_a_family_that_one_arm_never_draws_is_no_unit():
    one = runs("ramp", 0)
    window = common_window([one], 2)
    of_item = families_of(one)
    assert "inequalities" in drawable([one], of_item, window)
    without = replace(one, traces=one.traces.filter(~pl.col("item_id").str.starts_with("inequalities")))
    assert "inequalities" not in drawable([one, without], of_item, window)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda arms: arms[:1], "at least 2 arms"),
        (lambda arms: [of_seeds(arms[0], [0]), *arms[1:]], "2 shared seeds"),
        (lambda arms: [replace(arms[0], series=replace(arms[0].series, steps=arms[0].series.steps + 1)), arms[1]],
         "different steps"),
        (lambda arms: [replace(arms[0], traces=arms[0].traces.filter(pl.col("step") < 150)), arms[1]],
         "do not cover"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        order_tables(change(study(0)[0]), num_redrawn=8)


def test_a_cell_that_stands_still_in_one_run_is_left_out_of_all():
    arms, placebo = study(0)
    increments = arms[1].series.increments.copy()
    increments[3, list(arms[1].series.cells[2].members)] = 0.0
    still = replace(arms[1], series=replace(arms[1].series, increments=increments))
    window = common_window(arms, 2)
    assert varying_cells([arms[0], still], window) == tuple(
        cell.name for number, cell in enumerate(arms[0].series.cells) if number != 2
    )
    found = order_tables([arms[0], still, arms[2]], placebo, num_redrawn=8)
    assert set(found.slopes["num_cells"]) == {11} and found.slopes["slope"].null_count() == 0
    dead = replace(still, series=replace(still.series, increments=0 * increments))
    with pytest.raises(ValueError, match="no cell varies"):
        varying_cells([arms[0], dead], window)


def test_a_last_phase_that_moves_is_refused():
    ramping = preset("family_ramp").template
    assert ramping.match is None
    one = runs("ramp", 0)
    moving = replace(one.policy, phases=one.policy.phases[:2])
    with pytest.raises(ValueError, match="last phase move"):
        common_window([replace(one, policy=moving)], 2)
