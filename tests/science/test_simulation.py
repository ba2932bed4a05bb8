"""Simulated arms, and the size and power of the consensus test on them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from squiggle_assets.science.power import minimum_detectable
from squiggle_assets.science.simulation import (
    NOISES,
    Design,
    SimulatedOutcome,
    num_rejected,
    simulated_arm,
    simulated_outcome,
    studies,
)
from squiggle_assets.science.spec import ConsensusSpec, DetectionSpec

FAST, USUAL = ConsensusSpec(draws_per_cell=10), ConsensusSpec(draws_per_cell=25)


def test_a_p_of_exactly_alpha_rejects_as_it_does_in_claims():
    results = [SimulatedOutcome(p, p, 0, 0.0) for p in (0.049, 0.05, 0.051)]
    assert num_rejected(results, 0.05) == 2


def test_layers_correlate_as_asked_and_metric_groups_and_seeds_do_not():
    increments = simulated_arm(Design(num_increments=4000), np.random.default_rng(0)).increments
    assert np.corrcoef(increments[0, 0], increments[0, 3])[0, 1] == pytest.approx(0.9, abs=0.02)
    assert abs(np.corrcoef(increments[0, 0], increments[0, 1])[0, 1]) < 0.06
    assert abs(np.corrcoef(increments[0, 0], increments[1, 0])[0, 1]) < 0.06


def test_the_noise_follows_the_schedule():
    size = {
        noise: simulated_arm(Design(noise=noise, num_seeds=400), np.random.default_rng(0)).increments.std(axis=(0, 1))
        for noise in NOISES
    }
    assert size["white"].max() / size["white"].min() < 1.3
    # boundary at step 20: the increment that ends at step 22 is number 10
    assert size["boundary_1"][10] / size["boundary_1"][9] == pytest.approx(4, rel=0.2)
    assert size["boundary_1"][11] == pytest.approx(1, rel=0.2)
    assert size["boundary_3"][12] == pytest.approx(4, rel=0.2)
    assert size["learning_rate"][0] == pytest.approx(0.2, rel=0.2)
    assert size["learning_rate"][-1] == pytest.approx(0.1, rel=0.2)


def test_the_event_lies_in_one_series_of_every_seed_within_the_jitter():
    plain, loud = (simulated_arm(Design(size=size), np.random.default_rng(0)).increments for size in (1e-12, 50.0))
    seed, series, at = np.nonzero(np.abs(loud - plain) > 1)
    assert sorted(seed) == list(range(8)) and len(set(series)) == 1
    assert np.ptp(at) <= 2


def test_the_same_study_number_gives_the_same_p_and_another_does_not():
    first, again, other = (simulated_outcome(Design(), FAST, number) for number in (3, 3, 4))
    assert first == again != other


def test_noise_is_seldom_and_a_large_event_always_significant():
    assert num_rejected(list(studies(Design(), FAST, 12)), 0.05) <= 3
    assert num_rejected(list(studies(Design(noise="boundary_1"), FAST, 8)), 0.05) <= 3
    assert num_rejected(list(studies(Design(size=5.0), FAST, 6)), 0.05) == 6


def test_what_can_be_detected_before_anything_is_spent():
    found = minimum_detectable(8, 101, 5, ConsensusSpec(), num_studies=5, draws_per_cell=6)
    assert 1.0 < found.event_size < 6.0
    assert found.smallest_q == pytest.approx(5 / 256)
    assert 1.0 < found.paired_difference < 1.3
    assert minimum_detectable(3, 101, 5, ConsensusSpec(), num_studies=2, draws_per_cell=6).smallest_q > 0.05
    # above 10 seeds swaps are drawn: 2,000 and the observed one; 1,200 null draws allow no smaller p than 1 / 1201
    many = minimum_detectable(16, 101, 5, ConsensusSpec(), num_studies=2, draws_per_cell=6)
    assert many.smallest_q == pytest.approx(5 / 1201)


def test_what_can_be_detected_depends_on_the_detector_and_the_cadence_of_the_study():
    size = {"num_studies": 4, "draws_per_cell": 6}
    usual = minimum_detectable(8, 101, 5, ConsensusSpec(), **size)
    assert usual == minimum_detectable(8, 101, 5, ConsensusSpec(), detection=DetectionSpec(), capture_every=2, **size)
    blind = minimum_detectable(8, 101, 5, ConsensusSpec(), detection=DetectionSpec(adaptive_k=1e6), **size)
    assert math.isnan(blind.event_size) and blind[1:] == usual[1:]
    # captures every 40 steps: a shift of one capture is beyond the 15 steps in which one event hides another
    outcomes = [simulated_outcome(Design(capture_every=every), FAST, 3) for every in (2, 40)]
    assert outcomes[0] != outcomes[1]


def test_an_impossible_design_is_refused():
    with pytest.raises(ValueError, match="1, 100"):
        Design(num_seeds=1)


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.9])
@pytest.mark.parametrize("noise", NOISES)
def test_noise_is_significant_in_at_most_16_of_200_studies(noise, correlation):
    design = Design(noise=noise, layer_correlation=correlation)
    assert num_rejected(list(studies(design, USUAL, 200)), 0.05) <= 16


@pytest.mark.slow
def test_an_event_of_four_sd_in_every_seed_is_found_nine_times_in_ten_and_power_grows_with_size():
    power = [
        num_rejected(list(studies(dataclasses.replace(Design(), size=size), USUAL, 60)), 0.05) / 60
        for size in (1.0, 2.0, 4.0)
    ]
    assert power[0] < power[1] < power[2]
    assert power[2] >= 0.9
