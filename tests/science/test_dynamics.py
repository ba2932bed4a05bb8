"""Movement of the state metrics between captures."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from squiggle_assets.science.dynamics import acceleration_of, dynamics_of, velocity_of, volatility_of
from squiggle_assets.science.metrics import STEP_ANGLE


def geometry(values, steps, metric="effective_rank", layer=0):
    return pl.DataFrame(
        {"step": list(steps), "value": [float(v) for v in values]}, schema={"step": pl.Int64, "value": pl.Float64}
    ).with_columns(
        arm=pl.lit("iid"),
        seed=pl.lit(1, dtype=pl.Int64),
        run_id=pl.lit("r1"),
        probe_set=pl.lit("a"),
        component=pl.lit("x_out"),
        layer=pl.lit(layer, dtype=pl.Int64),
        metric=pl.lit(metric),
    )


def run(values, steps, angles=None):
    turning = geometry(angles if angles is not None else [0.1] * (len(steps) - 1), list(steps)[1:], STEP_ANGLE)
    return pl.concat([geometry(values, steps), turning])


def test_velocity_and_acceleration_of_an_uneven_cadence_known_values():
    # x = 0, 2, 8 at t = 0, 1, 4: v = 2 / 1 = 2 and 6 / 3 = 2; a = (2 - 2) / ((4 - 0) / 2) = 0
    # then x = 14 at t = 6: v = 6 / 2 = 3; a = (3 - 2) / ((6 - 1) / 2) = .4
    found = dynamics_of(run([0, 2, 8, 14], [0, 1, 4, 6])).filter(metric="effective_rank")
    assert found["step"].to_list() == [1, 4, 6]
    assert found["step_prev"].to_list() == [0, 1, 4]
    assert found["dt_steps"].to_list() == [1, 3, 2]
    assert found["delta"].to_list() == [2, 6, 6]
    assert found["velocity"].to_list() == [2, 2, 3]
    assert found["acceleration"].to_list() == [None, 0.0, 0.4]


def test_volatility_of_five_velocities_known_value():
    # v = 1, 2, 3, 4, 10: median 3, deviations 2, 1, 0, 1, 7, their median 1; times 1.4826
    found = volatility_of(np.array([[1.0, 2.0, 3.0, 4.0, 10.0]]))
    np.testing.assert_array_equal(found, [[np.nan] * 4 + [1.4826]])


def test_alignment_velocity_is_the_angle_to_the_capture_before_over_the_interval():
    found = dynamics_of(run([0, 1, 2, 3], [0, 2, 4, 9], angles=[0.2, 0.4, 0.5])).filter(metric=STEP_ANGLE)
    assert found["delta"].to_list() == [0.2, 0.4, 0.5]
    np.testing.assert_allclose(found["velocity"], [0.1, 0.2, 0.1])


def test_a_parabola_has_constant_acceleration_at_any_cadence():
    # x = t^2: the velocity over an interval is the slope at its middle, so acceleration is 2 throughout
    t = np.array([0.0, 1, 3, 4, 8, 9, 13])
    velocity = velocity_of(np.diff(t**2)[None], np.diff(t))
    np.testing.assert_allclose(acceleration_of(velocity, np.diff(t))[0, 1:], 2.0)


def test_what_needs_a_longer_past_is_null_and_nothing_else_is():
    found = dynamics_of(run(np.arange(8) ** 2, range(0, 16, 2))).filter(metric="effective_rank")
    assert found["acceleration"].is_null().to_list() == [True] + [False] * 6
    assert found["volatility"].is_null().to_list() == [True] * 4 + [False] * 3
    assert found.select(pl.exclude("acceleration", "volatility")).null_count().sum_horizontal().item() == 0
    short = dynamics_of(run([1, 2, 3], [0, 2, 4]))
    assert short["volatility"].is_null().all()


def test_a_straight_line_has_no_acceleration_and_no_volatility():
    found = dynamics_of(run(3.0 * np.arange(9), range(0, 18, 2))).filter(metric="effective_rank")
    assert found["acceleration"].drop_nulls().abs().max() == 0
    assert found["volatility"].drop_nulls().max() == 0


def test_volatility_equals_the_estimate_of_a_plain_loop():
    velocity = np.random.default_rng(0).normal(size=(3, 20))
    found = volatility_of(velocity)
    for s in range(3):
        for t in range(4, 20):
            past = velocity[s, t - 4 : t + 1]
            assert found[s, t] == pytest.approx(1.4826 * np.median(np.abs(past - np.median(past))))


def test_fewer_than_three_captures_are_refused():
    with pytest.raises(ValueError, match="at least 3"):
        dynamics_of(run([1, 2], [0, 2]))


def test_a_series_that_misses_a_capture_is_refused():
    frame = pl.concat([run([1, 2, 3], [0, 2, 4]), geometry([1, 2], [0, 4], layer=1)])
    with pytest.raises(ValueError, match="other counts"):
        dynamics_of(frame)


def test_a_value_that_is_not_finite_and_a_second_run_are_refused():
    with pytest.raises(ValueError, match="finite"):
        dynamics_of(run([1, np.nan, 3], [0, 2, 4]))
    two = pl.concat([run([1, 2, 3], [0, 2, 4]), run([1, 2, 3], [0, 2, 4]).with_columns(run_id=pl.lit("r2"))])
    with pytest.raises(ValueError, match="exactly one run"):
        dynamics_of(two)


def test_step_angles_at_other_steps_are_refused():
    frame = pl.concat([geometry([1, 2, 3], [0, 2, 4]), geometry([0.1, 0.1], [2, 6], STEP_ANGLE)])
    with pytest.raises(ValueError, match="every capture but the first"):
        dynamics_of(frame)
