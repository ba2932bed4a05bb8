"""What a run does at a frozen place: by hand, blind to its condition, by the yardstick of the parents; refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squiggle_assets.science import frozen_location
from squiggle_assets.science.cells import ArmSeries, Schedule, arm_series, cells_of
from squiggle_assets.science.consensus import consensus_of
from squiggle_assets.science.envelope import Standardised, standardise
from squiggle_assets.science.frozen_location import FrozenLocation, dis_at, freeze, measure
from squiggle_assets.science.matching import CAP
from squiggle_assets.science.nulls import observe
from squiggle_assets.science.spec import ConsensusSpec
from tests.science import simulated_study as fake

SPEC = ConsensusSpec(tolerance_steps=4)
PLACE = FrozenLocation(
    probe_set="a",
    layer_lo=0,
    layer_hi=0,
    metric_group="spectral",
    polarity=1,
    step=8,
    onset=6,
    tolerance=2,
    floor=3,
)


def plain(increments: np.ndarray, seeds: tuple[int, ...]) -> ArmSeries:
    """One series (layer 0, effective rank) a seed; captures every 2 steps."""
    increments = np.asarray(increments, dtype=np.float64)[:, None]
    layers, metrics = (0,), ("effective_rank",)
    return ArmSeries(
        seeds=seeds,
        layers=layers,
        metrics=metrics,
        steps=np.arange(1, increments.shape[-1] + 1) * 2,
        increments=increments,
        levels=np.concatenate([np.zeros((len(seeds), 1, 1)), increments.cumsum(axis=-1)], axis=-1),
        min_threshold=np.zeros(1),
        cells=cells_of(layers, metrics, 1),
        schedule=Schedule(warmup_end=0),
    )


@pytest.fixture
def unit(monkeypatch):
    """Scale 2, no drift, envelope 1: strength = increment / 2."""

    def of(series: ArmSeries) -> Standardised:
        num_seeds, num_series, num = series.increments.shape
        ones = np.ones((num_series, num))
        return Standardised(
            scale=2 * np.ones((num_seeds, num_series)), drift=0 * ones, envelope=ones, z=series.increments
        )

    monkeypatch.setattr(frozen_location, "standardise", of)


#                 step    2  4  6   8  10 12 14 16
PARENT = np.array([[1.0, 8, 0, 10, 2, 0, 0, 0], [0, 0, 0, 2, 8, 0, 0, 0]])


def test_a_measurement_by_hand(unit):
    parents = plain(PARENT, (3, 5))
    # seed 3: nothing within 6 to 10, 7 at step 12; seed 5: never again above 1
    runs = plain(np.array([[1.0, 8, 0, 4, 2, 14, 0, 0], [0, 0, 0, 2, 2, 0, 0, -9]]), (3, 5))
    found = measure(runs, parents, PLACE).to_dicts()
    # difference of levels at captures 4, 6, 8, 10 of seed 3: 0, 0, -6, -6, over scale 2
    assert found[0] == {
        "seed": 3,
        "event_present": False,
        "event_step": None,
        "steps_to_event": 6.0,
        "horizon_steps": 10.0,
        "censored": False,
        "delay": 4.0,
        "magnitude": 2.0,
        "magnitude_ratio": 0.4,
        "trajectory_distance": pytest.approx(np.sqrt((3**2 + 3**2) / 4)),
    }
    # the parent of seed 5 crosses at step 10, four steps after the onset; the run never does: at least 10 - 4 later
    assert found[1]["censored"] and found[1]["delay"] == 6.0 and found[1]["steps_to_event"] == 10.0
    assert found[1]["magnitude_ratio"] == 0.25


def test_an_exact_replay_is_its_parent(unit):
    parents = plain(PARENT, (3, 5))
    found = measure(plain(PARENT[1:], (5,)), parents, PLACE)
    assert found.select("seed", "event_present", "event_step", "delay").row(0) == (5, True, 10, 0.0)
    assert found.select("magnitude_ratio", "trajectory_distance").row(0) == (1.0, 0.0)


def test_the_event_before_the_onset_does_not_count_as_its_crossing(unit):
    # 4 robust sd at step 4, before the onset at 6
    assert measure(plain(PARENT, (3, 5)), plain(PARENT, (3, 5)), PLACE)["steps_to_event"].to_list() == [2.0, 4.0]


def test_a_parent_that_never_crosses_leaves_the_delay_unknown(unit):
    parents = plain(np.array([[0.0, 0, 0, -1, 0, 0, 0, 0]]), (3,))
    row = measure(plain(PARENT[:1], (3,)), parents, PLACE).row(0, named=True)
    assert row["delay"] is None and row["event_present"] and row["magnitude"] == 5
    assert row["magnitude_ratio"] is None


def test_the_other_polarity_is_another_event(unit):
    runs = plain(-PARENT, (3, 5))
    assert not measure(runs, plain(PARENT, (3, 5)), PLACE)["event_present"].any()
    assert measure(runs, plain(PARENT, (3, 5)), replace(PLACE, polarity=-1))["event_present"].all()


def study_series(events=(), seed=0, seeds=range(8)) -> tuple[ArmSeries, pl.DataFrame]:
    geometry = fake.geometry_of("arm", seed=seed, seeds=seeds, events=events)
    settings = {"probe_set": "a", "schedule": fake.SCHEDULE, "detection": fake.DETECTION, "num_bands": 4}
    return arm_series(geometry, **settings), geometry


EVENT = [(80, 2, "sparsity_proxy", 9.0)]
SERIES, GEOMETRY = study_series(EVENT)
FOUND = {
    "probe_set": "a", "layer_lo": 2, "layer_hi": 2, "metric_group": "sparsity", "polarity": 1, "peak_step": 80,
    "onset_step": 76.0,
}  # fmt: skip


def test_a_consensus_event_can_be_frozen_as_the_table_has_it():
    tables = consensus_of(
        GEOMETRY, fake.events_table(GEOMETRY), arm="arm", analysis_id=fake.VERSION, schedule=fake.SCHEDULE,
        detection=fake.DETECTION, spec=fake.SPEC,
    )  # fmt: skip
    row = tables.consensus_events.sort("statistic").row(-1, named=True)
    place = freeze(SERIES, row, fake.SPEC)
    assert abs(place.step - 80) <= 4 and place.metric_group == "sparsity" and place.layer_lo == 2
    assert measure(SERIES, SERIES, place)["event_present"].all()


def test_the_strength_is_that_of_the_consensus_test():
    place = freeze(SERIES, FOUND, fake.SPEC)
    seen = observe(SERIES, fake.DETECTION, fake.SPEC)
    cell = next(i for i, c in enumerate(SERIES.cells) if (c.layer_lo, c.group) == (2, "sparsity"))
    inside = np.abs(SERIES.steps - place.step) <= place.tolerance
    ours = measure(SERIES, SERIES, place)["magnitude"].to_numpy()
    np.testing.assert_allclose(np.minimum(ours, CAP), seen.strength[cell, :, 0][:, inside].max(axis=1), rtol=1e-5)


def test_half_of_the_parents_own_strength_is_the_event_and_the_floor_is_what_windows_elsewhere_show():
    place = freeze(SERIES, FOUND, fake.SPEC)
    steps, own = (
        SERIES.steps,
        [k for k, cell in enumerate(SERIES.cell_of_series) if SERIES.cells[cell].group == "sparsity"],
    )
    series = next(k for k in own if SERIES.layers[k] == 2)
    z = standardise(SERIES).z[:, series]
    elsewhere = [z[:, np.abs(steps - s) <= 5].max(axis=1) for s in steps if abs(s - 80) > 10 and 7 <= s <= 195]
    assert place.floor == pytest.approx(np.quantile(elsewhere, 0.75)) and 0.5 < place.floor < 2

    def halved(share: float) -> ArmSeries:
        increments = SERIES.increments.copy()
        inside = np.abs(steps - 80) <= 5
        increments[:, series, inside] *= np.where(increments[:, series, inside] > 0, share, 1.0)
        return replace(SERIES, increments=increments)

    # drift and envelope stay: strengths are about the share of the parents'
    assert measure(halved(0.7), SERIES, place)["event_present"].all()
    assert not measure(halved(0.3), SERIES, place)["event_present"].any()


def test_where_the_parents_had_no_event_about_a_quarter_of_runs_is_taken_to_have_it():
    # .25 of windows pass the floor; less, as some seeds' thresholds are above it
    parents, others = study_series()[0], [study_series(seed=k)[0] for k in range(1, 5)]
    shares = []
    for step in range(30, 180, 10):
        place = freeze(parents, {**FOUND, "peak_step": step, "onset_step": step - 4.0}, fake.SPEC)
        shares += [measure(other, parents, place)["event_present"].mean() for other in others]
    assert 0.15 < np.mean(shares) < 0.3


def test_an_event_that_is_present_has_been_waited_for():
    place = freeze(SERIES, {**FOUND, "onset_step": 90.0}, fake.SPEC)
    assert place.onset == 75
    found = measure(study_series(EVENT, seed=1)[0], SERIES, place)
    assert found["event_present"].any() and not (found["event_present"] & found["censored"]).any()


def test_what_a_replay_does_elsewhere_does_not_change_its_measurement():
    place = freeze(SERIES, FOUND, fake.SPEC)
    before = measure(SERIES, SERIES, place)
    wild = SERIES.increments.copy()
    wild[:, :, 60:] *= 30
    after = measure(replace(SERIES, increments=wild), SERIES, place)
    names = ("event_present", "event_step", "magnitude", "magnitude_ratio")
    assert before.select(names).equals(after.select(names))


@given(st.floats(1e-4, 1e4), st.floats(-5, 5))
@settings(max_examples=6, deadline=None)
def test_the_measurement_does_not_depend_on_the_units_of_the_metric(factor, shift):
    other = replace(SERIES, increments=factor * SERIES.increments, levels=factor * SERIES.levels + shift)
    place, scaled = (freeze(series, FOUND, fake.SPEC) for series in (SERIES, other))
    assert scaled.floor == pytest.approx(place.floor, rel=1e-6)
    for name in ("magnitude", "trajectory_distance", "steps_to_event"):
        mine, theirs = measure(SERIES, SERIES, place)[name], measure(other, other, place)[name]
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_a_run_without_the_event_is_seen_to_lack_it_and_a_late_one_to_be_late():
    place = freeze(SERIES, FOUND, fake.SPEC)
    without = SERIES.increments.copy()
    own = [k for k, layer in enumerate(SERIES.layers) if layer == 2 and SERIES.metrics[k] == "sparsity_proxy"]
    at = np.abs(SERIES.steps - 80) <= 4
    without[:, own[0], at] -= 9 * (without[:, own[0], at] > 5)
    gone = measure(replace(SERIES, increments=without), SERIES, place)
    assert not gone["event_present"].any() and (gone["magnitude_ratio"] < 0.5).all()
    late = replace(SERIES, increments=np.roll(SERIES.increments, 10, axis=-1))
    delayed = measure(late, SERIES, place)
    assert not delayed["event_present"].any() and not delayed["censored"].any()
    assert delayed["delay"].to_list() == [20.0] * 8


def test_the_runs_own_events_are_found_at_the_location():
    rows = {
        "seed": [1, 1, 1, 2, 3, 4],
        "probe_set": ["a", "a", "b", "a", "a", "a"],
        "layer": [2, 2, 2, 2, 1, 2],
        "metric": ["topk_mass_k8", *["effective_rank"] * 4, "sparsity_proxy"],
        "step": [80, 82, 80, 90, 80, 80],
        "polarity": [-1, 1, 1, 1, 1, 1],
        "magnitude_eff": [0.6, 0.7, 0.9, 0.9, 0.9, 0.9],
    }  # fmt: skip
    place = replace(PLACE, layer_lo=2, layer_hi=2, step=80)
    assert dis_at(pl.DataFrame(rows), place) == {1: 0.7}
    assert dis_at(pl.DataFrame(rows), replace(place, polarity=-1)) == {}


def test_what_cannot_be_measured_is_refused():
    place = freeze(SERIES, FOUND, fake.SPEC)
    with pytest.raises(ValueError, match=r"seeds \[9\] have no parent"):
        measure(replace(SERIES, seeds=(*range(7), 9)), SERIES, place)
    with pytest.raises(ValueError, match="captured at different steps"):
        measure(replace(SERIES, steps=SERIES.steps + 1), SERIES, place)
    with pytest.raises(ValueError, match="no series of group 'sparsity' in layers 9 to 9"):
        freeze(SERIES, {**FOUND, "layer_lo": 9, "layer_hi": 9}, fake.SPEC)
    with pytest.raises(ValueError, match="no capture within"):
        measure(SERIES, SERIES, replace(place, step=900))
    with pytest.raises(ValueError, match="nothing to compare with"):
        freeze(SERIES, FOUND, replace(fake.SPEC, tolerance_steps=60))


def test_freezing_needs_no_replay():
    assert standardise(SERIES).scale.shape == (8, 20)
    assert freeze(SERIES, FOUND, fake.SPEC) == freeze(SERIES, dict(FOUND), fake.SPEC)
