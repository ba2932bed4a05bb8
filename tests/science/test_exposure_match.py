from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squiggle_assets.science.curriculum import load_preset, parse_template
from squiggle_assets.science.curriculum_manifest import match_residuals
from squiggle_assets.science.exposure_match import fill
from squiggle_assets.science.families import NAMES, TARGETS, scaled_counts
from squiggle_assets.science.policy import Policy, resolve
from tests.science.curriculum_items import family_shares, items_of, template_of

CAPPED = {name: min(count, 200) for name, count in scaled_counts(5000).items() if name != "logic_proof"}
TINY = {name: count for name, count in scaled_counts(900).items() if name not in ("logic_proof", "inequalities")}
MATCHED = ("family_blocked_matched", "family_ramp_matched", "blocked_early_matched", "controls_first_matched")


def preset(name: str, counts: dict[str, int], total_steps: int = 200) -> Policy:
    return resolve(load_preset(name), items_of(counts), total_steps=total_steps, batch_size=8)


def summed(policy: Policy) -> np.ndarray:
    """Expected draws per item by adding up every step's probabilities."""
    return policy.batch_size * np.sum([policy.probabilities(step) for step in range(policy.total_steps)], axis=0)


def test_fill_by_hand():
    # each phase its own family: 5 of 20 and 30 of 20
    np.testing.assert_allclose(fill(np.array([[20.0, 0], [0, 20]]), np.array([5.0, 30])), [0.25, 1])
    # both draw the first family, 10 each of 10: half of each
    np.testing.assert_allclose(fill(np.array([[10.0, 0], [10, 10]]), np.array([10.0, 100])), [0.5, 0.5])
    # the first family stops two phases at 1/2; of the second, 10 - 2.5 are left for the third phase's 10
    demand = np.array([[10.0, 0], [10, 5], [0, 10]])
    np.testing.assert_allclose(fill(demand, np.array([10.0, 10])), [0.5, 0.5, 0.75])


@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.0, 5.0, 20.0]), min_size=3, max_size=3), min_size=1, max_size=5),
    st.lists(st.floats(0.1, 30), min_size=3, max_size=3),
)
@settings(max_examples=50)
def test_fill_keeps_every_limit_and_stops_no_phase_for_nothing(demand, limits):
    demand_kf, limit_f = np.array(demand), np.array(limits)
    share_k = fill(demand_kf, limit_f)
    used_f = share_k @ demand_kf
    assert ((share_k >= 0) & (share_k <= 1)).all()
    assert (used_f <= limit_f + 1e-9).all()
    full_f = used_f >= limit_f - 1e-9
    for share, demand_f in zip(share_k, demand_kf, strict=True):
        assert share == pytest.approx(1) or (full_f & (demand_f > 0)).any()


@pytest.mark.parametrize("total_steps", [60, 200, 374])
@pytest.mark.parametrize("counts", [CAPPED, TINY], ids=["capped", "tiny"])
@pytest.mark.parametrize("name", MATCHED)
def test_matched_presets_expect_the_draws_of_their_reference(name, counts, total_steps):
    ours, reference = preset(name, counts, total_steps), preset("balanced_baseline", counts, total_steps)
    np.testing.assert_allclose(summed(ours), summed(reference), rtol=1e-9)
    assert max(match_residuals(ours)) < 1e-9


@pytest.mark.parametrize("name", MATCHED)
def test_the_presets_they_come_from_do_not_match(name):
    ours, reference = preset(name.removesuffix("_matched"), CAPPED), preset("balanced_baseline", CAPPED)
    by_family = [p.exposure_by_family()["expected_draws"].to_numpy() for p in (ours, reference)]
    assert np.abs(by_family[0] / by_family[1] - 1).max() > 0.2


def test_matched_blocks_keep_their_order_and_are_shorter():
    # 16 families of 200 steps: 12.5 each, four fifths of them before the tail: blocks of 10 steps where 20 are written
    policy = preset("family_blocked_matched", CAPPED)
    assert [phase.end for phase in policy.phases] == [10, 20, 30, 40, 50, 60, 200]
    for block, family in enumerate(TARGETS):
        assert family_shares(policy, 10 * block + 5)[family] == pytest.approx(1)
    # the tail: 2.5 of 140 steps for each target, 12.5 for each control
    tail = family_shares(policy, 150)
    assert tail == pytest.approx({name: (2.5 if name in TARGETS else 12.5) / 140 for name in CAPPED})


def test_matched_ramps_still_ramp():
    policy = preset("family_ramp_matched", CAPPED)
    first, ramp, tail = policy.phases
    shares = [sum(family_shares(policy, step)[name] for name in TARGETS) for step in range(policy.total_steps)]
    assert all(share == pytest.approx(1) for share in shares[: first.end + 1])
    assert (np.diff(shares[ramp.start : ramp.end]) < 0).all()
    assert tail.start < 140
    assert first.num_steps / ramp.num_steps == pytest.approx(60 / 80, abs=0.05)


def test_the_manifest_records_the_match():
    said = preset("controls_first_matched", CAPPED).manifest()["match"]
    assert (said["reference"], said["reserve"]) == ("balanced_baseline", 0.2)
    assert said["share_of_written_steps"]["controls"] < 1 < said["share_of_written_steps"]["all"]
    assert said["max_family_residual_draws"] < 1e-9
    assert preset("controls_first", CAPPED).manifest()["match"] is None


def blocked_like_iid(reserve: str = "0.2", tail: str = "{include: '*'}") -> str:
    return template_of(
        f"""
        - {{name: first, start: 0, end: 0.1, families: {{include: [cyclic_groups]}}}}
        - {{name: second, start: 0.1, end: 0.2, families: {{include: [functional_equations]}}}}
        - name: rest
          start: 0.2
          end: 1
          families: {tail}
          weights: {{type: matched}}
          sampling: {{mode: weighted_family}}
        """,
        match=f"{{reference: iid_baseline, reserve: {reserve}}}",
    )


def test_another_reference_shortens_only_the_block_that_needs_it():
    counts = {"cyclic_groups": 5, "functional_equations": 45, "inequalities": 50}
    policy = resolve(blocked_like_iid(), items_of(counts), total_steps=100, batch_size=8)
    # 5 % of 100 steps, four fifths of them: 4; functional_equations could have 36 and is written with 10
    assert [phase.end for phase in policy.phases] == [4, 14, 100]
    np.testing.assert_allclose(summed(policy), 8.0)


def test_without_reserve_a_block_takes_all_its_family_has():
    counts = {"cyclic_groups": 5, "functional_equations": 45, "inequalities": 50}
    policy = resolve(blocked_like_iid("0"), items_of(counts), total_steps=100, batch_size=8)
    assert policy.phases[0].end == 5
    assert family_shares(policy, 50)["cyclic_groups"] == 0
    np.testing.assert_allclose(summed(policy), 8.0)


def test_a_block_that_exceeds_its_share_in_one_step_is_refused_with_family_and_size():
    counts = {"cyclic_groups": 1, "functional_equations": 99, "inequalities": 100}
    # 1 of 200 items of 100 steps x 8 draws = 4 draws; a step has 8
    with pytest.raises(
        ValueError, match=r"made.yaml: phase 'first': match: no step is left: .*cyclic_groups 4.0 times"
    ):
        resolve(blocked_like_iid(), items_of(counts), total_steps=100, batch_size=8)


def test_a_family_that_the_tail_cannot_draw_is_refused_with_its_missing_draws():
    counts = {"cyclic_groups": 5, "functional_equations": 45, "inequalities": 50}
    template = blocked_like_iid(tail="{include: '*', exclude: [inequalities]}")
    # half of 100 x 8 draws
    with pytest.raises(ValueError, match=r"phase 'rest': match: not attainable: inequalities has 400.00 draws to come"):
        resolve(template, items_of(counts), total_steps=100, batch_size=8)


def test_families_absent_from_the_data_do_not_break_the_match():
    counts = dict.fromkeys(NAMES[:5] + NAMES[8:], 10)
    with pytest.raises(ValueError, match="phase 'cyclic_groups': families: empty phase"):
        preset("family_blocked_matched", counts)
    ramp = preset("family_ramp_matched", counts)
    np.testing.assert_allclose(summed(ramp), summed(preset("balanced_baseline", counts)), rtol=1e-9)


def test_shuffled_labels_are_matched_by_the_label_the_curriculum_goes_by():
    template = load_preset("family_blocked_matched")
    policy = resolve(template, items_of(CAPPED), total_steps=200, batch_size=8, shuffle_families_seed=5)
    assert max(match_residuals(policy)) < 1e-9


def test_the_residual_of_a_curriculum_without_match_is_refused():
    plain = resolve(
        parse_template(load_preset("iid_baseline").text, "x"), items_of(CAPPED), total_steps=5, batch_size=1
    )
    with pytest.raises(ValueError, match="no match"):
        match_residuals(plain)
