"""Counts of consensus events of arms, their differences, and arms that lack seeds of each other."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
import simulated_study as fake
from judged_study import whole_arms, whole_study

from squiggle_assets.schemas.base import empty
from squiggle_assets.schemas.consensus import ConsensusEvents
from squiggle_assets.science.claim_kinds import consensus_claims
from squiggle_assets.science.comparison import (
    ArmData,
    _swapped,
    agreement_with,
    count_interval,
    excess_difference,
    on_shared_seeds,
    strongest_of,
)
from squiggle_assets.science.nulls import Null, with_nulls
from squiggle_assets.science.simulation import Design, simulated_arm
from squiggle_assets.science.spec import ConsensusSpec, DetectionSpec


@pytest.fixture(scope="module")
def arms():
    return whole_arms()


def test_an_arm_with_every_seed_at_the_cap_sits_on_its_ceiling():
    draws = np.random.default_rng(3)
    series = simulated_arm(Design(), draws)
    series.increments[:, list(series.cells[0].members), 50] = 30.0 + draws.normal(size=(len(series.seeds), 1))
    seen = with_nulls(series, DetectionSpec(), ConsensusSpec(draws_per_cell=5), draws)
    study = fake.study()
    arms = {arm.name: ArmData(arm=arm, series=series, seen=seen, num_items=1, total_steps=200) for arm in study.arms}
    assert set(strongest_of(next(iter(arms.values()))).by_seed.values()) == {6.0}
    events = empty(ConsensusEvents)
    assert all(claim.floor for claim in consensus_claims(study, arms, events))


def test_swapping_labels_turns_the_difference_round(arms):
    first, second = arms["blocked"], arms["iid"]
    found = _swapped(first.seen.strength, second.seen.strength, first, 6, np.random.default_rng(0))
    assert len(found) == 256
    assert found[0] >= np.sort(found)[-3] > 2  # four events, each of eight seeds
    np.testing.assert_allclose(found, -found[::-1])


def test_an_arm_does_not_differ_from_itself(arms):
    found = excess_difference(arms["iid"], arms["iid"], fake.SPEC, "greater", np.random.default_rng(0))
    assert found.estimate == 0 and found.p_value > 0.4 and found.interval.lo <= 0 <= found.interval.hi
    assert found.smallest_p == 1 / 256


def test_events_in_every_seed_have_a_narrow_interval(arms):
    lo, hi = count_interval(arms["blocked"])
    assert lo <= arms["blocked"].count <= hi
    assert hi - lo < 2 * arms["blocked"].count


def counted_like(arm, counts):
    """The arm with other counts in its null draws."""
    nulls = tuple(Null(name=null.name, best=null.best, count=counts) for null in arm.seen.nulls)
    return dataclasses.replace(arm, seen=dataclasses.replace(arm.seen, nulls=nulls))


@pytest.mark.parametrize("seed", [3, 5, 6, 29])
def test_a_null_draw_that_differs_as_much_as_the_arms_do_counts_against_them(arms, seed):
    # seeds for which differences about the means, as numbers with a fraction, lose all of these ties
    draws = np.random.default_rng(seed)
    first, second = draws.integers(0, 5, size=300), draws.integers(0, 2, size=300)
    assert arms["blocked"].count - arms["iid"].count == 4
    num_ties = int((first - second == 4).sum())
    assert num_ties > 20
    found = excess_difference(
        counted_like(arms["blocked"], first), counted_like(arms["iid"], second), fake.SPEC, "greater", draws
    )
    assert found.p_value == pytest.approx((1 + num_ties) / 301)
    assert found.estimate == pytest.approx(4 - first.mean() + second.mean())


def without_seed(arm, seed):
    at = [i for i, own in enumerate(arm.series.seeds) if own != seed]
    series = dataclasses.replace(
        arm.series,
        seeds=tuple(arm.series.seeds[i] for i in at),
        increments=arm.series.increments[at],
        levels=arm.series.levels[at],
    )
    return dataclasses.replace(
        arm, series=series, seen=with_nulls(series, fake.DETECTION, fake.SPEC, np.random.default_rng(0))
    )


def test_arms_with_the_same_seeds_are_compared_as_they_are(arms):
    pair = on_shared_seeds(arms["blocked"], arms["iid"], fake.DETECTION, fake.SPEC, np.random.default_rng(0))
    assert pair[0] is arms["blocked"] and pair[1] is arms["iid"]


def test_a_seed_that_one_arm_lacks_is_left_out_of_both_and_of_their_nulls(arms):
    short = without_seed(arms["iid"], 3)
    settings = fake.DETECTION, fake.SPEC, np.random.default_rng(0)
    mine, theirs = on_shared_seeds(arms["blocked"], short, *settings)
    assert mine.series.seeds == theirs.series.seeds == (0, 1, 2, 4, 5, 6, 7)
    assert theirs is short
    np.testing.assert_array_equal(mine.series.increments[3], arms["blocked"].series.increments[4])
    for drawn, seven in zip(mine.seen.nulls, without_seed(arms["blocked"], 3).seen.nulls, strict=True):
        np.testing.assert_array_equal(drawn.best, seven.best)
    found = excess_difference(mine, theirs, fake.SPEC, "greater", np.random.default_rng(0))
    assert found.num_pairs == 7 and found.smallest_p == 1 / 128
    with pytest.raises(ValueError, match="the same seeds"):
        excess_difference(arms["blocked"], short, fake.SPEC, "greater", np.random.default_rng(0))
    alone = dataclasses.replace(short, series=dataclasses.replace(short.series, seeds=(0, *range(100, 106))))
    with pytest.raises(ValueError, match="fewer than 2 seeds"):
        on_shared_seeds(arms["blocked"], alone, *settings)


def test_arms_of_other_layers_are_not_compared(arms):
    cells = tuple(cell._replace(layer_lo=cell.layer_lo + 1) for cell in arms["iid"].series.cells)
    other = dataclasses.replace(arms["iid"], series=dataclasses.replace(arms["iid"].series, cells=cells))
    with pytest.raises(ValueError, match="different steps or layers"):
        on_shared_seeds(arms["blocked"], other, fake.DETECTION, fake.SPEC, np.random.default_rng(0))


def test_the_draws_of_one_null_family_alone_are_refused(arms):
    draws = whole_study()["null_draws"].filter(pl.col("arm") == "iid")
    own = arms["iid"].series, fake.DETECTION, fake.SPEC
    assert [null.name for null in agreement_with(own[0], draws, *own[1:]).nulls] == ["shift", "surrogate"]
    for odd in (
        draws.filter(pl.col("null") != "surrogate"),
        pl.concat([draws, draws.filter(pl.col("null") == "shift").with_columns(null=pl.lit("pairing"))]),
    ):
        with pytest.raises(ValueError, match=r"\['shift', 'surrogate'\] are needed"):
            agreement_with(own[0], odd, *own[1:])


@pytest.mark.slow
def test_a_loud_schedule_does_not_make_an_arm_richer_in_events():
    spec, rejected = ConsensusSpec(draws_per_cell=15), 0
    for number in range(40):
        draws = np.random.default_rng([9, number])
        loud, calm = (
            ArmData(
                arm=fake.study().arms[0],
                series=series,
                seen=with_nulls(series, DetectionSpec(), spec, draws),
                num_items=1,
                total_steps=200,
            )
            for series in (simulated_arm(Design(noise=noise), draws) for noise in ("boundary_3", "white"))
        )
        rejected += excess_difference(loud, calm, spec, "greater", draws).p_value < 0.05
    assert rejected <= 6  # 40 * .05 = 2, sd 1.4
