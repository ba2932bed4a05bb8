"""Cells, envelope and null families."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
import simulated_study as fake

from squiggle_assets.science import nulls, rng
from squiggle_assets.science.cells import ArmSeries, Schedule, arm_series, cells_of, schedule_from
from squiggle_assets.science.envelope import standardise
from squiggle_assets.science.nulls import observe, segments_of, turned_index, with_nulls
from squiggle_assets.science.simulation import Design, simulated_arm
from squiggle_assets.science.spec import ConsensusSpec, DetectionSpec

DETECTION, SPEC = DetectionSpec(adaptive_min_threshold={}), ConsensusSpec(draws_per_cell=20)


def series_of(geometry: pl.DataFrame, **changes) -> ArmSeries:
    settings = {"probe_set": "a", "schedule": fake.SCHEDULE, "detection": DETECTION, "num_bands": 4, **changes}
    return arm_series(geometry, **settings)


def test_the_demo_has_twelve_cells_and_every_series_lies_in_one():
    series = series_of(fake.geometry_of("iid", seeds=range(2)))
    assert len(series.cells) == 12
    assert sorted(k for cell in series.cells for k in cell.members) == list(range(20))
    assert [series.cells[c].group for c in series.cell_of_series[:5]] == ["spectral"] * 3 + ["sparsity", "angle"]


def test_bands_hold_adjacent_layers_as_evenly_as_they_go():
    cells = cells_of(tuple(range(10)), ("sparsity_proxy",) * 10, 4)
    assert [(cell.layer_lo, cell.layer_hi) for cell in cells] == [(0, 2), (3, 5), (6, 7), (8, 9)]


def test_series_are_oriented_so_that_the_spectral_metrics_point_one_way():
    geometry = fake.geometry_of("iid", seeds=range(2))
    series = series_of(geometry)
    own = geometry.filter((pl.col("seed") == 1) & (pl.col("layer") == 2) & (pl.col("metric") == "topk_mass_k8"))
    k = next(i for i, key in enumerate(zip(series.layers, series.metrics, strict=True)) if key == (2, "topk_mass_k8"))
    np.testing.assert_allclose(series.increments[1, k], -np.diff(own.sort("step")["value"].to_numpy()))


def test_row_order_does_not_matter():
    geometry = fake.geometry_of("iid", seeds=range(3))
    shuffled = geometry.sample(fraction=1.0, shuffle=True, seed=1)
    np.testing.assert_array_equal(series_of(geometry).increments, series_of(shuffled).increments)


@pytest.mark.parametrize(
    ("keep", "words"),
    [
        (pl.col("probe_set") == "b", "no geometry rows"),
        ((pl.col("seed") != 1) | (pl.col("step") < 100), "different steps"),
        ((pl.col("seed") != 1) | (pl.col("layer") != 2) | (pl.col("step") != 100), "rows"),
    ],
)
def test_missing_captures_are_refused(keep, words):
    with pytest.raises(ValueError, match=words):
        series_of(fake.geometry_of("iid", seeds=range(3)).filter(keep))


def test_the_schedule_of_an_arm_comes_from_its_manifest_and_must_be_one():
    manifest = fake.manifest_of(["iid"])
    assert schedule_from(manifest) == fake.SCHEDULE
    other = manifest.with_columns(
        pl.when(pl.col("seed") == 3).then(11).otherwise(pl.col("warmup_end")).alias("warmup_end")
    )
    with pytest.raises(ValueError, match="share their schedule"):
        schedule_from(other)


def test_the_nearest_boundary_and_its_signed_distance():
    schedule = Schedule(warmup_end=10, decay_start=170, phase_starts=(0, 60))
    assert schedule.nearest(56) == (("phase_start", 60), -4)
    assert schedule.nearest(3) == (("start", 0), 3)
    assert [b.kind for b in schedule.boundaries] == ["start", "warmup_end", "phase_start", "decay_start"]


def test_standardised_increments_put_back_together_are_the_increments():
    series = simulated_arm(Design(noise="boundary_3"), np.random.default_rng(0))
    own = standardise(series)
    back = own.scale[:, :, None] * (own.drift + own.envelope * own.z)
    np.testing.assert_allclose(back, series.increments, atol=1e-9)


def test_the_envelope_follows_the_schedule_and_not_one_moment():
    plain = Design(layer_correlation=0.0)
    boundary = standardise(simulated_arm(dataclasses.replace(plain, noise="boundary_1"), np.random.default_rng(0)))
    series = simulated_arm(plain, np.random.default_rng(0))
    series.increments[:, :, 55] += 8.0  # an event in every seed and series
    event = standardise(series)
    at = [int(np.searchsorted(series.steps, start, side="right")) for start in range(20, 140, 20)]
    assert (boundary.envelope[:, at] > 3.0).all()
    assert (event.envelope[:, 55] < 1.3).all()
    assert np.abs(event.drift[:, 55]).max() == 0.0
    assert event.z[:, :, 55].mean() > 5


def test_the_drift_follows_a_slow_common_movement():
    series = simulated_arm(Design(layer_correlation=0.0), np.random.default_rng(0))
    slow = 2.0 * np.exp(-np.arange(100) / 20)
    own = standardise(dataclasses.replace(series, increments=series.increments + slow))
    scaled = slow / own.scale.mean()
    assert np.abs(own.drift[:, 15:30].mean(axis=0) - scaled[15:30]).max() < 0.35
    assert np.abs(own.z[:, :, 15:30].mean()) < 0.2


def test_a_series_that_never_moves_has_no_score():
    series = simulated_arm(Design(), np.random.default_rng(0))
    series.increments[:, 0] = 0.0
    own = standardise(series)
    assert (own.z[:, 0] == 0).all() and np.isfinite(own.z).all()
    assert np.isfinite(with_nulls(series, DETECTION, SPEC, np.random.default_rng(0)).best).all()


def test_segments_cover_the_run_and_short_phases_are_joined():
    steps = np.arange(2, 202, 2)
    # tau 5 = 2 captures: a window is 5 captures, a segment at least 40
    assert segments_of(steps, Schedule(warmup_end=10, phase_starts=(60, 140)), 5.0) == ((0, 100),)
    assert segments_of(steps, Schedule(warmup_end=10, phase_starts=(100,)), 5.0) == ((0, 50), (50, 100))
    assert segments_of(steps, Schedule(warmup_end=10, phase_starts=tuple(range(20, 140, 20))), 5.0) == (
        (0, 40),
        (40, 100),
    )


def test_a_turn_keeps_every_increment_of_a_seed_inside_its_segment():
    index = turned_index((30, 4), ((0, 40), (40, 100)), np.random.default_rng(0))
    assert index.shape == (30, 4, 100)
    np.testing.assert_array_equal(np.sort(index, axis=-1), np.broadcast_to(np.arange(100), index.shape))
    assert (index[..., :40] < 40).all()
    assert len(np.unique(index[:, 0, 0])) > 10 and (index[:, 0] != index[:, 1]).any()


def test_shifting_keeps_how_often_and_how_strong_and_destroys_when():
    series = simulated_arm(Design(size=6.0, layer_correlation=0.0), np.random.default_rng(3))
    seen = observe(series, DETECTION, SPEC)
    index = turned_index((5, 8), ((0, 100),), np.random.default_rng(0))
    moved = nulls._moved(seen.strength, index)
    for draw in moved:
        np.testing.assert_allclose(np.sort(draw, axis=-1), np.sort(seen.strength, axis=-1))
    # all cells of a seed are turned together
    shift = index[0, 2]
    np.testing.assert_array_equal(moved[0][:, 2], seen.strength[:, 2][..., shift])


def test_the_observed_arm_is_found_among_its_own_draws_where_nothing_is_turned():
    series = simulated_arm(Design(size=5.0), np.random.default_rng(0))
    seen = observe(series, DETECTION, SPEC)
    z = seen.standardised.z[None]
    strength = nulls.strength_of(series, z, series.increments[None], DETECTION)
    np.testing.assert_array_equal(strength[0], seen.strength)


def test_the_same_key_gives_the_same_draws_and_there_are_as_many_as_promised():
    series = simulated_arm(Design(), np.random.default_rng(0))
    first, second = (with_nulls(series, DETECTION, SPEC, rng.generator("test", 1)) for _ in range(2))
    other = with_nulls(series, DETECTION, SPEC, rng.generator("test", 2))
    for mine, same, different in zip(first.nulls, second.nulls, other.nulls, strict=True):
        assert mine.best.shape == (20 * 12, 12) and mine.count.shape == (240,)
        np.testing.assert_array_equal(mine.best, same.best)
        assert (mine.best != different.best).any()
    assert [null.name for null in first.nulls] == ["shift", "surrogate"]


def test_a_common_event_is_found_and_its_cell_is_the_right_one():
    series = simulated_arm(Design(), np.random.default_rng(0))
    series.increments[:, 7, 50] += 5.0
    seen = with_nulls(series, DETECTION, SPEC, np.random.default_rng(0))
    assert seen.study_p() < 0.01
    assert int(seen.familywise_p().argmin()) == series.cell_of_series[7]


def test_events_at_times_of_their_own_are_no_consensus():
    series = simulated_arm(Design(), np.random.default_rng(0))
    for s in range(8):
        series.increments[s, 7, 15 + 9 * s] += 6.0
    assert with_nulls(series, DETECTION, SPEC, np.random.default_rng(0)).study_p() > 0.05


def test_loud_boundaries_beat_the_shift_null_but_not_the_surrogates():
    found = {"shift": 0, "surrogate": 0}
    for study in range(6):
        series = simulated_arm(Design(noise="boundary_3"), np.random.default_rng(study))
        seen = with_nulls(series, DETECTION, SPEC, np.random.default_rng(study))
        for name in found:
            null = next(each for each in seen.nulls if each.name == name)
            found[name] += nulls.max_statistic_p(seen.best, null.best).min() < 0.05
    assert found["shift"] >= 3
    assert found["surrogate"] <= 1
