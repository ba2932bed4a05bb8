from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from squiggle_assets.science.probe_series import Probe, ProbeSeries, standardised, without
from squiggle_assets.science.probe_turns import LAGS, _drawn, eligible, event_test, profile, shared_size
from squiggle_assets.science.rng import generator

NUM, SEEDS = 100, 8
Kind = Literal["white", "schedule", "blocks"]


def series_of(increments: np.ndarray) -> ProbeSeries:
    num_probes = increments.shape[1]
    return ProbeSeries(
        seeds=tuple(range(len(increments))),
        probes=tuple(Probe("a", f"f{q}", "loss") for q in range(num_probes)),
        steps=2 * np.arange(1, increments.shape[-1] + 1),
        rest=increments,
        z=standardised(increments),
    )


def envelope(kind: Kind) -> np.ndarray:
    """Size of the noise: even; warm-up, a fast start and a decay; four times as large after block boundaries."""
    t = np.arange(NUM)
    if kind == "schedule":
        return np.minimum(1, (t + 1) / 5) * (0.4 + 2 * np.exp(-t / 15)) * np.where(t > 85, 1 - 0.06 * (t - 85), 1)
    size = np.ones(NUM)
    if kind == "blocks":
        for start in range(10, 70, 10):
            size[start : start + 3] = 4
    return size


def p_of_one_study(kind: Kind, number: int, *, shared: float = 0.0, effect: float = 0.0) -> float:
    """The larger p of one probe at an event that lies, as events do, where the noise is large."""
    draws = generator("probe turns", kind, str(shared), str(effect), number)
    size = envelope(kind)
    noise = draws.normal(size=(SEEDS, 1, NUM)) + shared * draws.normal(size=(1, 1, NUM))
    increments = noise * size - 2 * np.exp(-np.arange(NUM) / 20)
    there = np.array(eligible(NUM))
    chance = size[there] / size[there].sum()
    times = np.clip(draws.choice(there, p=chance) + draws.integers(-1, 2, SEEDS), there[0], there[-1])
    for seed, at in enumerate(times):
        increments[seed, 0, at : at + 10] += effect
    known = np.stack([size, np.exp(-np.arange(NUM) / 20)])[None].repeat(SEEDS, axis=0)
    pools = [draws.choice(there, size=15, p=chance) for _ in range(SEEDS)]
    series = series_of(without(increments, known))
    found = event_test(series, times, (0, NUM), pools, num_draws=199, draws=draws)
    return float(max(found.p_shift[0], found.p_other_seeds[0]))


def test_the_change_of_a_step_by_hand() -> None:
    # 0 up to increment 49, 1 from 50 on: at 50 the mean after is 1, before 0; at 45 five of ten after are 1
    values = np.where(np.arange(100) >= 50, 1.0, 0.0)[None, None]
    change, factor = profile(values)
    assert change[0, 0, 50] == 1.0 and change[0, 0, 45] == 0.5 and change[0, 0, 20] == 0.0
    # of 10 and 10 white increments the difference of means has variance 2 / 10
    assert factor[50] == pytest.approx(1 / np.sqrt(0.2))
    # with 4 before: 1 / 4 + 1 / 10
    assert factor[4] == pytest.approx(1 / np.sqrt(0.35))
    assert np.isnan(change[0, 0, [0, 1, 2, 98, 99]]).all() and (factor[[0, 2, 98]] == 0).all()


def test_every_lag_of_a_testable_event_has_both_sides() -> None:
    _, factor = profile(np.zeros((1, 1, NUM)))
    where = eligible(NUM)
    assert all(factor[t + lag] > 0 for t in where for lag in LAGS)
    assert factor[where.start - 1] == 0 and factor[where.stop - 1 + max(LAGS) + 1] == 0


def test_the_profile_of_white_noise_has_unit_variance_everywhere() -> None:
    change, factor = profile(np.random.default_rng(0).normal(size=(4000, 1, 40)))
    scaled = (change * factor)[:, 0]
    inside = ~np.isnan(scaled[0])
    np.testing.assert_allclose(scaled[:, inside].var(axis=0), 1.0, atol=0.12)


def test_seeds_that_move_together_are_known_by_the_size_of_their_mean() -> None:
    draws = np.random.default_rng(1)
    apart = draws.normal(size=(8, 1, 400))
    assert shared_size(apart)[0] == pytest.approx(1.0, abs=0.1)
    # all seeds the same: the mean is as large as one seed, not its 1 / sqrt(8)
    assert shared_size(np.repeat(apart[:1], 8, axis=0))[0] == pytest.approx(np.sqrt(8), rel=0.01)
    assert shared_size(np.zeros((8, 2, 40))).tolist() == [1.0, 1.0]


def test_the_lag_and_the_change_are_those_that_were_put_in() -> None:
    draws = np.random.default_rng(2)
    increments = 0.01 * draws.normal(size=(SEEDS, 3, NUM))
    times = np.array([40, 41, 42, 40, 41, 39, 43, 40])
    for seed, at in enumerate(times):
        increments[seed, 1, at + 2 :] -= 0.5
    found = event_test(series_of(increments), times, (0, NUM), None, num_draws=300, draws=draws)
    assert found.lag[1] == 2 and found.change[1] == pytest.approx(-0.5, abs=0.02)
    assert found.p_shift[1] <= 0.05 and found.p_shift[0] > 0.05 and found.p_shift[2] > 0.05
    assert np.isnan(found.p_other_seeds).all()


def test_drawn_times_are_given_their_best_lag_too() -> None:
    # one seed that changes at increment 53 only: seen from 50 at lag 3, from 53 at lag 0; the draw has both to choose
    series = np.zeros((1, NUM, 1, len(LAGS)))
    series[0, 50, 0] = [0.0, 0.0, 0.0, 2.0]
    series[0, 53, 0] = [-3.0, 0.0, 0.0, 0.0]
    assert _drawn(series, np.array([[50], [53], [10]])).ravel().tolist() == [2.0, 3.0, 0.0]


# of 200 studies at .05 ten are expected; 99.9 % of the binomial is at most 21
@pytest.mark.parametrize(
    ("kind", "shared"), [("white", 0.0), ("schedule", 0.0), ("blocks", 0.0), ("white", 0.7), ("schedule", 0.7)]
)
def test_without_a_coupling_a_turn_is_found_no_more_often_than_its_level_says(kind: Kind, shared: float) -> None:
    p = np.array([p_of_one_study(kind, number, shared=shared) for number in range(200)])
    assert (p <= 0.05).sum() <= 20


def test_a_coupling_is_found() -> None:
    found = [p_of_one_study("schedule", number, effect=1.5) <= 0.05 for number in range(30)]
    assert sum(found) >= 24
