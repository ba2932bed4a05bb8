"""Contrasts of arms as claims: whose boundary explains them, which margin they must exceed, whose floor counts."""

from __future__ import annotations

import polars as pl
import pytest
import simulated_study as fake
from judged_study import NAMES, claim, judged, whole_arms, whole_study

from squiggle_assets.science.claim_contrasts import contrast_claim
from squiggle_assets.science.spec import Contrast

LOSS = "final_val_random_loss"
EXCESS = "consensus_event_excess"


def made(contrast, *, scalars=None, events=None):
    """The claim of one contrast over the simulated study."""
    tables = whole_study()
    return contrast_claim(
        fake.study(),
        contrast,
        whole_arms(),
        tables["scalars"] if scalars is None else scalars,
        tables["consensus_events"] if events is None else events,
    )


def with_events_at_boundaries(arm):
    """The consensus events with those of one arm near a boundary, and all others, some of them significant, far."""
    events = whole_study()["consensus_events"]
    own = events.filter((pl.col("arm") == "blocked") & (pl.col("p_familywise") <= 0.05))
    both = pl.concat([events.filter(pl.col("arm") != "iid"), own.with_columns(arm=pl.lit("iid"))])
    return both.with_columns(near_boundary=pl.col("arm") == arm)


@pytest.mark.parametrize(("arm", "against", "direction"), [("blocked", "iid", "greater"), ("iid", "blocked", "less")])
def test_only_boundaries_of_the_arm_with_more_events_can_explain_a_contrast(arm, against, direction):
    # blocked has four events and iid none, whichever of them the contrast names first
    contrast = Contrast(arm=arm, against=against, outcome=EXCESS, direction=direction)
    assert made(contrast, events=with_events_at_boundaries("blocked")).near_boundary
    assert not made(contrast, events=with_events_at_boundaries("iid")).near_boundary


@pytest.mark.parametrize(("margin", "word"), [(0.0, "supported"), (0.3, "supported"), (0.8, "not supported")])
def test_a_contrast_must_exceed_the_margin_that_it_states(margin, word):
    # the loss of blocked ends .5 lower, give or take .05 in each of eight pairs
    contrast = Contrast(arm="blocked", against="iid", outcome=LOSS, direction="less", margin=margin)
    row = claim(judged(whole_study(), fake.study(contrasts=(contrast,))), f"contrast:blocked-iid:{LOSS}")
    assert -0.6 < row["ci_lo"] < row["estimate"] < row["ci_hi"] < -0.4
    assert row["verdict"] == word, row["reasons"]
    assert ("margin 0.8" in row["reasons"].replace("-", "")) == (word == "not supported")


@pytest.mark.parametrize(("direction", "sign"), [("greater", 1), ("less", -1), ("two-sided", 1)])
def test_the_margin_lies_on_the_side_that_the_contrast_is_about(direction, sign):
    contrast = Contrast(arm="blocked", against="iid", outcome=LOSS, direction=direction, margin=0.2)
    assert made(contrast).margin == sign * 0.2
    without = Contrast(arm="blocked", against="iid", outcome=LOSS, direction=direction)
    assert made(without).margin is None


@pytest.mark.parametrize("stuck", [("blocked",), ("iid",), ("blocked", "iid"), ("placebo",)])
def test_a_contrast_rests_on_the_floor_of_both_its_arms_and_of_no_other(stuck):
    moved = [name for name in NAMES if name not in stuck]
    scalars = pl.concat([fake.scalars_of(moved), fake.scalars_of(stuck, drop=0.0, gain=0.0)])
    found = made(Contrast(arm="blocked", against="iid", outcome=EXCESS, direction="greater"), scalars=scalars)
    compared = [name for name in ("blocked", "iid") if name in stuck]
    assert found.row["evidence"]["on_floor"] == compared
    assert found.floor == bool(compared)


def test_a_contrast_tells_the_p_of_each_innocent_explanation():
    found = made(Contrast(arm="blocked", against="iid", outcome=EXCESS, direction="greater"))
    told = found.row["evidence"]["p"]
    assert set(told) == {"label_swaps", "null_draws"} and max(told.values()) == found.p_value
    loss = made(Contrast(arm="blocked", against="iid", outcome=LOSS, direction="less"))
    assert loss.row["evidence"]["p"] == {"sign_flips": loss.p_value} == {"sign_flips": 1 / 256}
