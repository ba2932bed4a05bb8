"""Consensus of one simulated arm: rows, numbers, refusals; shapes and invariance by themselves."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import simulated_study as fake
from scipy import stats as scipy_stats
from scipy.signal import detrend

from squiggle_assets.schemas import consensus as schemas
from squiggle_assets.science import events
from squiggle_assets.science.consensus import ConsensusResult, consensus_of
from squiggle_assets.science.shape import impact, similarities, window_at

EVENT = (100, 2, "effective_rank", 6.0)


def consensus(geometry: pl.DataFrame, events: pl.DataFrame | None = None, **changes) -> ConsensusResult:
    settings = {
        "arm": geometry["arm"][0],
        "analysis_id": fake.VERSION,
        "schedule": fake.SCHEDULE,
        "detection": fake.DETECTION,
        "spec": fake.SPEC,
        **changes,
    }
    return consensus_of(geometry, fake.events_table(geometry) if events is None else events, **settings)


@pytest.fixture(scope="module")
def geometry():
    return fake.geometry_of("planted", events=[EVENT])


@pytest.fixture(scope="module")
def result(geometry):
    return consensus(geometry)


def best_of(result):
    return result.consensus_events.sort("p_value", "statistic", descending=[False, True]).row(0, named=True)


def test_the_tables_are_those_of_the_schemas(result):
    for name, frame in result._asdict().items():
        schemas.TABLES[name].validate(frame)
        assert len(frame) > 0


def test_the_planted_event_is_the_most_surprising_one(result):
    row = best_of(result)
    assert (row["layer_lo"], row["layer_hi"], row["metric_group"], row["polarity"]) == (2, 2, "spectral", 1)
    assert abs(row["median_step"] - 102) <= 4
    assert row["num_matched"] >= 7 and row["support"] == row["num_matched"] / 8
    assert row["q_value"] < 0.05 and row["p_familywise"] < 0.05
    assert row["shape_similarity"] > 0.5 and row["timing"] > 0.8
    assert not row["near_boundary"]
    assert row["step_ci_lo"] <= row["median_step"] <= row["step_ci_hi"]


def test_p_is_the_larger_of_the_families_and_q_is_not_below_it(result):
    for row in result.consensus_events.iter_rows(named=True):
        assert row["p_value"] == max(row["p_shift"], row["p_surrogate"])
        assert row["q_value"] >= row["p_value"] - 1e-12
        assert row["p_familywise"] >= 1 / 301


def test_every_p_can_be_counted_again_in_the_stored_draws(result):
    row = best_of(result)
    draws = result.null_draws.filter((pl.col("band") == row["band"]) & (pl.col("metric_group") == row["metric_group"]))
    for family in ("shift", "surrogate"):
        values = draws.filter(pl.col("null") == family)["statistic"].to_numpy()
        assert len(values) == 25 * 12
        assert (1 + (values >= row["statistic"] - 1e-6).sum()) / 301 == pytest.approx(row[f"p_{family}"])
    observed = result.null_draws.filter((pl.col("null") == "observed") & (pl.col("band") == "all"))
    assert observed["statistic"].to_list() == [len(result.consensus_events)]


def test_the_constituents_are_rows_of_the_events_table(geometry, result):
    events = fake.events_table(geometry)
    for row in result.consensus_events.iter_rows(named=True):
        found = json.loads(row["constituents"])
        assert len(found) == row["num_matched"]
        for seed, own in found.items():
            mine = events.filter((pl.col("seed") == int(seed)) & (pl.col("event_id") == own["event_id"]))
            assert mine.select("step", "layer", "metric").row(0) == (own["step"], own["layer"], own["metric"])
            assert row["layer_lo"] <= own["layer"] <= row["layer_hi"]
            assert abs(own["step"] - row["median_step"]) <= 10
        steps = [own["step"] for own in found.values()]
        assert row["median_step"] == np.median(steps)
        assert row["timing"] == pytest.approx(np.exp(-((np.std(steps) / 5) ** 2) / 2))


def test_a_seed_without_the_event_is_an_outlier_and_lowers_the_intention():
    quiet = fake.geometry_of("planted").filter(pl.col("seed") == 3)
    loud = fake.geometry_of("planted", events=[EVENT]).filter(pl.col("seed") != 3)
    row = best_of(consensus(pl.concat([loud, quiet])))
    found = json.loads(row["constituents"])
    if "3" not in found:
        assert 3 in json.loads(row["outlier_seeds"])
        assert abs(row["dis_intention"]) < abs(row["dis_weighted"])
    assert row["num_matched"] >= 6


def test_the_same_tables_come_out_again_whatever_the_order_of_rows(geometry, result):
    again = consensus(geometry.sample(fraction=1.0, shuffle=True, seed=2))
    for first, second in zip(result, again, strict=True):
        assert first.equals(second)


def test_draws_hang_on_the_parameters_and_not_on_the_code(monkeypatch):
    few = fake.geometry_of("iid", seeds=range(3))
    before = consensus(few)
    monkeypatch.setattr(events, "code_version", lambda *functions: "other code")
    version = events.analysis_id(fake.DETECTION, fake.SPEC)
    assert version != fake.VERSION
    own = fake.events_table(few).with_columns(analysis_id=pl.lit(version))
    after = consensus(few, own, analysis_id=version)
    for mine, other in zip(before, after, strict=True):
        named = ("analysis_id", "consensus_event_id")
        assert mine.drop(named, strict=False).equals(other.drop(named, strict=False))
    seeded = consensus(few, spec=replace(fake.SPEC, seed=1))
    assert not seeded.null_draws.equals(before.null_draws)


def test_the_key_of_the_draws_changes_with_every_parameter():
    keys = {events.parameters_id(fake.DETECTION, fake.SPEC)}
    keys |= {events.parameters_id(fake.DETECTION, replace(fake.SPEC, **change)) for change in (
        {"tolerance_steps": 6}, {"min_seed_fraction": 0.5}, {"num_bands": 2}, {"draws_per_cell": 26},
        {"alpha": 0.01}, {"probe_set": "b"}, {"seed": 1},
    )}  # fmt: skip
    keys |= {events.parameters_id(replace(fake.DETECTION, adaptive_k=9.0), fake.SPEC)}
    assert len(keys) == 9


def test_noise_has_no_consensus_but_may_have_events():
    result = consensus(fake.geometry_of("iid"))
    assert result.consensus_events.filter(pl.col("p_familywise") < 0.05).is_empty()
    count = result.null_draws.filter(pl.col("band") == "all").group_by("null").agg(pl.col("statistic").mean())
    means = dict(count.iter_rows())
    assert means["observed"] <= means["surrogate"] + 3


def test_both_probe_sets_are_reported():
    result = consensus(fake.geometry_of("iid", seeds=range(3), probe_sets=("a", "b")))
    assert set(result.null_draws["probe_set"]) == {"a", "b"}
    assert len(set(result.null_draws.filter(pl.col("null") == "shift").group_by("probe_set").len()["len"])) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g, e: (g, e.filter(pl.col("event_id") != "e0")), "differ"),
        (lambda g, e: (g, e.with_columns(pl.lit("other").alias("analysis_id"))), "other"),
        (lambda g, e: (g.filter(pl.col("seed") == 0), e.filter(pl.col("seed") == 0)), "at least 2 seeds"),
        (lambda g, e: (pl.concat([g, g.with_columns(pl.lit("iid").alias("arm"))]), e), "iid"),
    ],
)
def test_what_does_not_belong_together_is_refused(geometry, change, words):
    few = geometry.filter(pl.col("seed") < 3)
    with pytest.raises(ValueError, match=words):
        consensus(*change(few, fake.events_table(few)), arm="planted")


def test_impact_by_hand():
    # 3 of 4 seeds, steps 10 10 12: sd .9428, tau 5: timing .98238; polarity (2 - 1) / 3; windows equal: shape 1
    steps = np.array([10.0, 10.0, 12.0, np.nan])
    window = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1.0])
    found = impact(
        steps=steps,
        polarity=np.array([1, 1, -1, np.nan]),
        magnitude=np.array([0.9, 0.6, 0.3, np.nan]),
        weight=np.array([1.0, 0.5, 0.5, np.nan]),
        windows_SW=np.array([window, 2 * window, window + 5, np.full(10, np.nan)]),
        tau=5.0,
        rng=np.random.default_rng(0),
    )
    coherence = 0.75 * np.exp(-(((8 / 9) ** 0.5 / 5) ** 2) / 2) / 3
    assert found.coherence == pytest.approx(coherence)
    # (.9 + .3 + .15) / 2 = .675; with the missing seed in the denominator / 3 = .45
    assert found.weighted == pytest.approx(0.675 * coherence)
    assert found.intention == pytest.approx(0.45 * coherence)
    assert found.interval.lo <= found.weighted <= found.interval.hi


def test_without_a_baseline_there_is_no_impact():
    window = np.arange(10.0) ** 2
    missing = np.full(3, np.nan)
    found = impact(
        steps=np.full(3, 10.0), polarity=np.ones(3), magnitude=missing, weight=np.ones(3),
        windows_SW=np.array([window] * 3), tau=5.0, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert np.isnan(found.weighted) and found.coherence == pytest.approx(1.0)


def test_windows_hold_five_captures_on_each_side_and_nothing_beyond_the_run():
    levels = np.arange(20.0)
    np.testing.assert_array_equal(window_at(levels, 9), np.arange(5, 15))
    assert np.isnan(window_at(levels, 1)[:3]).all() and window_at(levels, 1)[3] == 0
    assert np.isnan(window_at(levels, 18)[-4:]).all()


def test_similarity_of_windows_is_the_correlation_of_their_detrended_values():
    windows = np.random.default_rng(0).normal(size=(3, 10)).cumsum(axis=1)
    found = similarities(windows)
    oracle = scipy_stats.pearsonr(detrend(windows[0]), detrend(windows[2])).statistic
    assert found[0, 2] == found[2, 0] == pytest.approx(oracle)
    assert np.isnan(np.diag(found)).all()


def test_excluded_seeds_are_as_if_they_had_never_run(geometry):
    few = geometry.filter(pl.col("seed") < 5)
    short = few.filter((pl.col("seed") != 2) | (pl.col("step") <= 60))
    # events of the whole runs as judged without the stopped one; its own events stand in the table all the same
    whole = few.filter(pl.col("seed") != 2)
    events = fake.events_table(whole)
    both = pl.concat([events, fake.events_table(few).filter(pl.col("seed") == 2)])
    found = consensus(short, both, excluded=[2])
    for mine, other in zip(found, consensus(whole, events), strict=True):
        assert mine.equals(other)
    assert set(found.consensus_events["n_seeds"]) == {4}
    with pytest.raises(ValueError, match="different steps"):
        consensus(short)


@pytest.mark.parametrize("excluded", [(0, 1), (0, 1, 2)])
def test_where_exclusions_leave_fewer_than_two_seeds_the_tables_are_empty(geometry, excluded):
    found = consensus(geometry.filter(pl.col("seed") < 3), excluded=excluded)
    for name, frame in found._asdict().items():
        schemas.TABLES[name].validate(frame)
        assert frame.is_empty()
