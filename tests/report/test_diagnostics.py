import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squiggle_assets.report import diagnostics as d
from squiggle_assets.report.timeline import Timeline

LINE = Timeline(phases=((0, "a"), (50, "b")), warmup_end=10, decay_start=85, last=100)


@pytest.mark.parametrize(("radius", "risk"), [(15, "low"), (8, "medium"), (3, "high")])
def test_a_coarse_grid_beside_the_suppression_radius_is_a_risk(radius, risk):
    # captures every 2 steps: 2/15 = .13, 2/8 = .25, 2/3 = .67; thresholds .2 and .5
    grid = d.capture_grid(range(0, 101, 2), radius)
    assert (grid.num_captures, grid.cadence, grid.risk) == (51, 2.0, risk)


@pytest.mark.parametrize(("steps", "radius"), [([4], 15), ([0, 2], 0)])
def test_a_grid_without_interval_or_radius_is_refused(steps, radius):
    with pytest.raises(ValueError, match="capture grid"):
        d.capture_grid(steps, radius)


def test_entropy_of_peak_steps_known_value():
    # shares 1/2, 1/4, 1/4: 1.5 bits; room = min(4 events, 10 steps) = 4: 2 bits; so .75
    seen = d.peak_steps([2, 2, 4, 6], range(0, 21, 2))
    assert (seen.entropy, seen.top_step, seen.top_share) == (0.75, 2, 0.5)


def test_events_on_one_step_have_no_entropy_and_evenly_spread_ones_all_of_it():
    grid = range(0, 21, 2)
    assert d.peak_steps([6, 6, 6], grid).entropy == 0.0
    assert d.peak_steps(list(grid)[1:], grid).entropy == pytest.approx(1.0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(range(2, 41, 2)), min_size=2, max_size=60))
def test_entropy_lies_between_nothing_and_everything(steps):
    assert 0.0 <= d.peak_steps(steps, range(0, 41, 2)).entropy <= 1.0 + 1e-12


def test_events_that_prefer_a_residue_are_aliased_and_uniform_ones_are_not():
    # every event at a multiple of 10, where 1 in 5 of the captures lies
    found = {
        modulus: (residue, share) for modulus, residue, share, _ in d.peak_steps([10, 20, 30], range(0, 101, 2)).aliased
    }
    assert found[10] == (0, 1.0)
    assert d.peak_steps(list(range(2, 101, 2)), range(0, 101, 2)).aliased == ()


def test_a_run_without_events_has_no_share_and_no_entropy():
    seen = d.peak_steps([], range(0, 21, 2))
    assert math.isnan(seen.entropy) and math.isnan(seen.top_share) and seen.num_events == 0
    assert math.isnan(d.share_near_boundary([], LINE, 5))


def test_nearness_counts_phases_warmup_and_decay_but_not_the_start():
    # boundaries 10, 50, 85: 12, 45 and 88 are within 5 steps, 2 and 70 are not
    assert d.share_near_boundary([2, 12, 45, 70, 88], LINE, 5) == pytest.approx(3 / 5)


def events(rows):
    columns = ("layer", "metric", "step", "score", "is_pre_warmup")
    return pl.DataFrame(rows, schema=columns, orient="row")


def test_diversity_known_value():
    found = d.diversity(
        events(
            [(0, "x", 20, 0.5, False), (0, "y", 40, 0.7, False), (1, "x", 20, 0.8, False), (1, "y", 60, 0.8, False)]
        ),
        layers=4,
        metrics=2,
        span=100,
    )
    # mean scores .6 and .8: variance .01. steps 20, 20, 40, 60: sd sqrt(275) = 16.58. metrics 2 and 2: 1 bit of 1.
    # first events 20 and 20. score: mean of 3/4, 1, 2/4, 1
    assert found.score_variance_layers == pytest.approx(0.01)
    assert found.temporal_dispersion == pytest.approx(np.sqrt(275) / 100)
    assert found.metric_participation_entropy == pytest.approx(1.0)
    assert (found.layer_delay_sd, found.layer_delay_max) == (0.0, 0.0)
    assert found.diversity_score == pytest.approx((0.75 + 1 + 0.5 + 1) / 4)


def test_delays_count_from_the_end_of_warm_up():
    rows = [(0, "x", 4, 0.5, True), (0, "x", 30, 0.5, False), (1, "x", 40, 0.5, False)]
    assert d.diversity(events(rows), layers=2, metrics=2, span=100).layer_delay_max == 10.0


def test_what_cannot_be_said_of_one_event_is_missing_and_not_zero():
    found = d.diversity(events([(0, "x", 20, 0.5, False)]), layers=2, metrics=5, span=100)
    assert math.isnan(found.score_variance_layers) and math.isnan(found.layer_delay_sd)
    assert found.n_events == 1


def test_no_events_have_no_diversity():
    found = d.diversity(events([]), layers=2, metrics=5, span=100)
    assert found.n_events == 0 and math.isnan(found.diversity_score)


def test_every_warning_appears_when_its_threshold_is_passed_and_none_before():
    grid = d.capture_grid(range(0, 101, 2), 15)
    calm = d.peak_steps(list(range(2, 101, 2)), range(0, 101, 2))
    assert d.warnings(grid, {"a": calm}, {"a": 0.5}) == []
    piled = d.peak_steps([20] * 9 + [40], range(0, 101, 2))
    said = " ".join(d.warnings(d.capture_grid(range(0, 101, 2), 3), {"a": piled}, {"a": 0.51}))
    for words in (
        "high risk",
        "pile up",
        "90 % of all events lie at step 20",
        "aliasing",
        "51 % of the events lie near",
    ):
        assert words in said
