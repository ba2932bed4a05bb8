from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from squiggle_assets.science.controller import Divergence, NonFinite, controllers, features
from squiggle_assets.science.spec import TrainingSpec


def test_features_of_a_short_window() -> None:
    # past 1, 2, 3, 4, 5: mean 3, slope 1 a step, median 3, MAD 1, sigma 1.4826; last 10
    found = features([9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0], window=5)
    assert (found.last, found.mean, found.slope) == (10.0, 3.0, pytest.approx(1.0))
    assert found.z == pytest.approx(7 / 1.4826)


def test_the_slope_is_that_of_least_squares() -> None:
    losses = np.random.default_rng(0).normal(size=21)
    expected = np.polyfit(np.arange(20), losses[:20], 1)[0]
    assert features(losses.tolist(), window=20).slope == pytest.approx(expected)


def test_too_few_losses_and_a_flat_window_give_no_score() -> None:
    short, flat = features([1.0, 2.0, 3.0], window=3), features([2.0] * 5, window=3)
    assert math.isnan(short.mean) and math.isnan(short.slope) and math.isnan(short.z)
    assert flat.slope == 0.0 and math.isnan(flat.z)
    assert Divergence(3.0, window=3).decide(4, [2.0] * 5, 1.0) is None


def test_divergence_decides_once_the_window_is_full_and_stops_above_the_limit() -> None:
    losses = [1.0, 2.0, 3.0, 4.0, 5.0]
    calm, wild = Divergence(4.0, window=5), Divergence(4.8, window=5)
    stop = calm.decide(5, [*losses, 10.0], 1.0)
    assert stop is not None and stop.decision == "stop" and "4.72" in stop.reason
    go_on = wild.decide(5, [*losses, 10.0], 1.0)
    assert go_on is not None and (go_on.decision, go_on.step, go_on.feature) == ("continue", 5, "loss_z")
    assert go_on.value == stop.value
    assert calm.decide(4, losses, 1.0) is None


def test_a_fall_of_the_loss_is_no_divergence() -> None:
    decision = Divergence(4.0, window=5).decide(5, [1.0, 2.0, 3.0, 4.0, 5.0, -50.0], 1.0)
    assert decision is not None and decision.decision == "continue"


@pytest.mark.parametrize(
    ("loss", "norm", "feature"), [(math.nan, 1.0, "loss"), (math.inf, 1.0, "loss"), (1.0, math.nan, "grad_norm")]
)
def test_a_number_that_is_none_stops_the_run(loss: float, norm: float, feature: str) -> None:
    decision = NonFinite().decide(7, [1.0, loss], norm)
    assert decision is not None and (decision.decision, decision.feature, decision.step) == ("stop", feature, 7)
    assert NonFinite().decide(7, [1.0, 1.0], 1.0) is None


def test_divergence_is_off_unless_a_limit_is_set() -> None:
    assert controllers(TrainingSpec()) == (NonFinite(),)
    assert controllers(replace(TrainingSpec(), divergence_z=6.0)) == (NonFinite(), Divergence(6.0))
    with pytest.raises(ValueError, match="divergence_z must be positive or None, got -1"):
        controllers(replace(TrainingSpec(), divergence_z=-1.0))


def test_a_window_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="window 2"):
        features([1.0, 2.0, 3.0], window=2)
