"""What increments are usual, and which runs may say so."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from squiggle_assets.science.baselines import STATISTICS, baseline_for, baselines_of
from squiggle_assets.science.metrics import ORIENTATION
from squiggle_assets.science.series import series_of
from squiggle_assets.science.spec import DetectionSpec

SPEC = DetectionSpec()


def geometry(arm="placebo", seed=0, num=60, every=2, layers=(0, 1), jump=0.0, values=None):
    rng = np.random.default_rng(seed)
    frames = []
    for layer in layers:
        for metric in ORIENTATION:
            increments = rng.normal(size=num)
            increments[30] += jump
            series = values if values is not None else np.concatenate([[0.0], np.cumsum(increments)])
            frames.append(
                pl.DataFrame({"step": np.arange(len(series)) * every, "value": series}).select(
                    pl.lit(arm).alias("arm"),
                    pl.lit(seed, dtype=pl.Int64).alias("seed"),
                    pl.lit(f"{arm}-{seed}").alias("run_id"),
                    "step",
                    pl.lit("a").alias("probe_set"),
                    pl.lit("x_out").alias("component"),
                    pl.lit(layer, dtype=pl.Int64).alias("layer"),
                    pl.lit(metric).alias("metric"),
                    "value",
                )
            )
    return pl.concat(frames)


def test_known_statistics_of_one_short_series():
    # x = 0 1 3 2 2: increments 1 2 -1 0, sorted -1 0 1 2, upper median 1, deviations 0 1 2 1 -> sorted[2] = 1
    # sizes 1 2 1 0: median 1, deviations 0 1 0 1 -> 1; windows of +-5 hold all four: max 2 (no spread), median 1
    row = baselines_of([geometry(values=[0.0, 1, 3, 2, 2])], SPEC).row(0, named=True)
    assert (row["median"], row["mad_sigma"]) == (1.0, pytest.approx(1.4826))
    assert (row["size_median"], row["size_mad_sigma"]) == (1.0, pytest.approx(1.4826))
    assert (row["window_median"], row["window_mad_sigma"], row["volatility"]) == (2.0, None, 1.0)
    assert (row["num_increments"], row["num_runs"], row["excluded_seed"], row["interval_steps"]) == (4, 1, None, 2.0)


def test_the_sigma_of_normal_increments_is_their_standard_deviation():
    frame = baselines_of([geometry(seed=s, num=500) for s in range(8)], SPEC).filter(pl.col("excluded_seed").is_null())
    assert frame["mad_sigma"].mean() == pytest.approx(1.0, abs=0.05)
    assert frame["median"].abs().max() < 0.1


def test_leaving_a_seed_out_gives_the_baseline_of_the_others():
    runs = [geometry(seed=s, jump=50.0 * (s == 1)) for s in range(3)]
    without = baselines_of(runs, SPEC).filter(excluded_seed=1)
    others = baselines_of([runs[0], runs[2]], SPEC).filter(pl.col("excluded_seed").is_null())
    assert_frame_equal(without.drop("excluded_seed"), others.drop("excluded_seed"))


def test_a_run_of_the_baseline_arm_is_never_in_its_own_baseline():
    # a run whose every increment is a thousand times the usual: its own baseline must not know of it
    runs = [geometry(seed=s) for s in range(3)]
    wild = runs[2].with_columns(pl.col("value") * 1000)
    table = baselines_of([*runs[:2], wild], SPEC)
    usual = baseline_for(table, series_of(wild, ORIENTATION))
    assert usual["baseline_scope"].unique().to_list() == ["leave_one_out"]
    expected = baselines_of(runs[:2], SPEC).filter(pl.col("excluded_seed").is_null())
    assert_frame_equal(usual.select(STATISTICS), expected.select(STATISTICS))


def test_another_arm_is_judged_by_all_runs_and_an_unknown_seed_of_the_arm_by_none():
    table = baselines_of([geometry(seed=s) for s in range(3)], SPEC)
    other = baseline_for(table, series_of(geometry("iid", 2), ORIENTATION))
    assert other["baseline_scope"].unique().to_list() == ["arm"]
    assert_frame_equal(other.select(STATISTICS), table.filter(pl.col("excluded_seed").is_null()).select(STATISTICS))
    unknown = baseline_for(table, series_of(geometry("placebo", 9), ORIENTATION))
    assert unknown["baseline_scope"].unique().to_list() == ["none"]
    assert unknown["median"].is_null().all()


def test_one_run_alone_is_no_baseline_for_itself():
    run = geometry()
    table = baselines_of([run], SPEC)
    assert table["excluded_seed"].is_null().all()
    assert baseline_for(table, series_of(run, ORIENTATION))["baseline_scope"].unique().to_list() == ["none"]


def test_a_series_the_baseline_arm_lacks_has_none_and_the_others_keep_theirs_in_order():
    table = baselines_of([geometry(seed=s, layers=(1,)) for s in range(2)], SPEC)
    usual = baseline_for(table, series_of(geometry("iid", layers=(0, 1)), ORIENTATION))
    assert usual["baseline_scope"].to_list() == ["none"] * 5 + ["arm"] * 5


def test_order_of_runs_does_not_matter():
    runs = [geometry(seed=s) for s in range(3)]
    assert_frame_equal(baselines_of(runs, SPEC), baselines_of(runs[::-1], SPEC))


def test_increments_that_never_vary_have_no_sigma():
    flat = baselines_of([geometry(seed=s, values=[5.0] * 20) for s in range(2)], SPEC)
    for name in ("mad_sigma", "size_mad_sigma", "window_mad_sigma", "volatility"):
        assert flat[name].is_null().all()


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "at least one run"),
        ([geometry(), geometry("iid", 1)], "one arm"),
        ([geometry(), geometry()], "different seeds"),
        ([geometry(), geometry(seed=1, layers=(0,))], "different series"),
        ([geometry(), geometry(seed=1, every=5)], "captured alike"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(runs, message):
    with pytest.raises(ValueError, match=message):
        baselines_of(runs, SPEC)


def test_another_cadence_than_the_runs_is_refused():
    table = baselines_of([geometry(seed=s) for s in range(2)], SPEC)
    with pytest.raises(ValueError, match="captured every 5 steps"):
        baseline_for(table, series_of(geometry("iid", every=5), ORIENTATION))
    with pytest.raises(ValueError, match="exactly one arm"):
        baseline_for(pl.concat([table, table.with_columns(arm=pl.lit("x"))]), series_of(geometry(), ORIENTATION))
