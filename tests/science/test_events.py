"""Event rows, their scores, the account tables and the id of an analysis."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import polars as pl
import pytest

from squiggle_assets.science import dis
from squiggle_assets.science.accounts import candidates_of, detection_of, summary_of
from squiggle_assets.science.baselines import baselines_of
from squiggle_assets.science.events import analysis_id, events_of
from squiggle_assets.science.metrics import COMPOSITE, ORIENTATION
from squiggle_assets.science.spec import ConsensusSpec, DetectionSpec

SPEC = DetectionSpec()
ID = analysis_id(SPEC, ConsensusSpec())


def geometry(values_of, arm="iid", seed=1, num=101, every=2, layers=(0,)):
    """values_of(layer, metric) -> [num] series."""
    frames = [
        pl.DataFrame(
            {"step": np.arange(num) * every, "value": np.asarray(values_of(layer, metric), dtype=float)}
        ).with_columns(
            arm=pl.lit(arm),
            seed=pl.lit(seed, dtype=pl.Int64),
            run_id=pl.lit(f"{arm}-{seed}"),
            probe_set=pl.lit("a"),
            component=pl.lit("x_out"),
            layer=pl.lit(layer, dtype=pl.Int64),
            metric=pl.lit(metric),
        )
        for layer in layers
        for metric in ORIENTATION
    ]
    return pl.concat(frames)


def noise(arm="placebo", seed=0, jump=0.0, at=60, metrics=tuple(ORIENTATION), layers=(0,), num=101):
    rng = np.random.default_rng([seed, len(arm)])

    def series(layer, metric):
        increments = rng.normal(size=num - 1)
        increments[at] += jump * (metric in metrics)
        return np.concatenate([[0.0], np.cumsum(increments)])

    return geometry(series, arm, seed, layers=layers, num=num)


def placebo(num_seeds=4, layers=(0,)):
    return baselines_of([noise(seed=s, layers=layers) for s in range(num_seeds)], SPEC)


def events(frame, baselines=None, spec=SPEC, warmup_end=10.0):
    usual = placebo() if baselines is None else baselines
    return events_of(detection_of(frame, spec, warmup_end), usual, spec, ID)


def only(frame, metric, step):
    return frame.filter((pl.col("metric") == metric) & (pl.col("step") == step)).row(0, named=True)


def test_a_planted_jump_is_described_as_it_was_planted():
    # increment 60 leads from capture 60 (step 120) to capture 61 (step 122), one capture around: 118 .. 124
    found = only(events(noise("iid", jump=-20.0)), "effective_rank", 122)
    assert (found["start_step"], found["end_step"], found["polarity"]) == (118, 124, -1)
    assert (found["event_phase"], found["phase_progress"]) == ("transition", 122 / 200)
    assert found["increment"] == pytest.approx(-20, abs=4)
    assert found["delta"] == found["increment"]
    assert found["metric_size"] == -found["increment"]
    assert found["robust_z"] < -10
    assert (found["event_rank_in_series"], found["normalized_score"]) == (1, 1.0)
    assert (found["series_id"], found["baseline_scope"]) == ("a.x_out.00.effective_rank", "arm")


def test_scores_known_values():
    # z = (7 - 1) / 2 = 3; sigmoid(3) = .952574; ratio 2: e^-.7 = .496585; M' = 2 * .473034 - 1
    assert dis.metric_z(np.array([7.0]), np.array([1.0]), np.array([2.0])).item() == 3
    assert dis.magnitude(np.array([3.0])).item() == pytest.approx(0.9525741268)
    assert dis.structure_modifier(np.array([2.0])).item() == pytest.approx(math.exp(-0.7))
    assert dis.centred(np.array([0.5, 1.0])).tolist() == [0, 1]
    assert dis.magnitude(np.array([0.0, 6.0])).tolist() == pytest.approx([0.5, 0.9975273768])
    assert dis.metric_z(np.array([1e9, -5.0]), np.zeros(2), np.ones(2)).tolist() == [6, 0]
    assert dis.robust_z(np.array([-3.0]), np.array([1.0]), np.array([2.0])).item() == -2


def test_components_of_a_row_belong_together():
    found = events(noise("iid", jump=15.0)).drop_nulls("magnitude")
    np.testing.assert_allclose(found["magnitude_eff"], found["magnitude"] * found["structure_modifier"])
    np.testing.assert_allclose(found["magnitude_centred"], 2 * found["magnitude_eff"] - 1)
    np.testing.assert_allclose(found["magnitude"], 1 / (1 + np.exp(-found["metric_z"].to_numpy())))
    np.testing.assert_allclose(found["score"], found["magnitude_eff"])
    assert found["coherence"].is_null().all()
    assert found["novelty"].is_null().all()


def test_volatility_ratio_and_local_z_equal_a_plain_computation():
    frame = noise("iid", jump=15.0)
    usual = placebo().filter(pl.col("excluded_seed").is_null(), pl.col("metric") == "sv_entropy").row(0, named=True)
    size = np.abs(np.diff(frame.filter(metric="sv_entropy")["value"].to_numpy()))
    row = only(events(frame), "sv_entropy", 122)
    near = sorted(size[55:66])
    assert row["volatility_event"] == near[5]
    assert row["volatility_ratio"] == pytest.approx(near[5] / usual["volatility"])
    local = sorted(size[40:81])
    assert row["local_baseline_median"] == local[20]
    spread = sorted(abs(d - local[20]) for d in local)[20]
    assert row["local_z"] == pytest.approx((size[60] - local[20]) / spread)


def test_robust_z_of_a_planted_event_is_its_size_in_sigmas():
    planted = [only(events(noise("iid", s, jump=12.0)), "effective_rank", 122)["robust_z"] for s in range(12)]
    assert np.mean(planted) == pytest.approx(12, abs=2)


def test_scores_do_not_depend_on_the_unit_of_a_metric():
    spec = dataclasses.replace(SPEC, adaptive_min_threshold={})
    grow = [frame.with_columns(pl.col("value") * 1000) for frame in (noise(seed=0), noise(seed=1))]
    small = events_of(
        detection_of(noise("iid"), spec, 10), baselines_of([noise(seed=0), noise(seed=1)], spec), spec, ID
    )
    large_run = noise("iid").with_columns(pl.col("value") * 1000)
    large = events_of(detection_of(large_run, spec, 10), baselines_of(grow, spec), spec, ID)
    same = ["event_id", "step", "metric", "event_phase", "polarity"]
    assert small.select(same).equals(large.select(same))
    for name in ("robust_z", "metric_z", "score", "local_z", "volatility_ratio", "composite_strength"):
        np.testing.assert_allclose(small[name].to_numpy(), large[name].to_numpy(), rtol=1e-9)


def test_a_run_that_stands_still_has_no_events_but_a_summary_of_every_series():
    detection = detection_of(geometry(lambda layer, metric: np.full(101, 3.0)), SPEC, 10)
    assert events_of(detection, placebo(), SPEC, ID).is_empty()
    assert candidates_of(detection, ID).is_empty()
    summary = summary_of(detection, ID)
    assert len(summary) == 5
    assert summary["num_candidates"].sum() == 0
    assert summary["share_retained"].is_null().all()


def test_account_adds_up_and_agrees_with_the_events():
    detection = detection_of(noise("iid", 3, layers=(0, 1, 2)), SPEC, 30)
    summary, candidates = summary_of(detection, ID), candidates_of(detection, ID)
    skipped = ["num_skipped_suppression", "num_skipped_topk", "num_skipped_pre_warmup_cap"]
    total = summary.select(pl.sum_horizontal("num_selected", *skipped))
    assert total.to_series().to_list() == summary["num_candidates"].to_list()
    assert candidates["skip_reason"].is_null().to_list() == candidates["selected"].to_list()
    by = candidates.filter(skip_reason="suppression")
    assert (by["step"] - by["suppressed_by_step"]).abs().max() <= SPEC.peak_suppression_radius
    assert candidates.filter(pl.col("skip_reason") != "suppression")["suppressed_by_step"].is_null().all()
    singles = events_of(detection, placebo(), SPEC, ID).filter(event_type="change_point")
    key = ["layer", "metric", "step"]
    assert singles.select(key).sort(key).equals(candidates.filter("selected").select(key).sort(key))
    assert set(candidates["skip_reason"].drop_nulls()) == {"suppression", "topk", "pre_warmup_cap"}


def test_the_summary_counts_the_rows_of_the_candidates_table():
    detection = detection_of(noise("iid", 3, layers=(0, 1, 2)), SPEC, 60)
    early, skip = pl.col("is_pre_warmup"), pl.col("skip_reason")
    counted = (
        candidates_of(detection, ID)
        .group_by("layer", "metric")
        .agg(
            pl.len().alias("num_candidates"),
            early.sum().alias("num_candidates_pre"),
            pl.col("selected").sum().alias("num_selected"),
            (pl.col("selected") & early).sum().alias("num_selected_pre"),
            (skip == "suppression").sum().alias("num_skipped_suppression"),
            ((skip == "suppression") & early).sum().alias("num_skipped_suppression_pre"),
            (skip == "topk").sum().alias("num_skipped_topk"),
            (skip == "pre_warmup_cap").sum().alias("num_skipped_pre_warmup_cap"),
        )
        .sort("layer", "metric")
        .cast({pl.UInt32: pl.Int64})
    )
    summary = summary_of(detection, ID).select(counted.columns)
    assert summary.equals(counted)
    assert min(summary.select(pl.exclude("layer", "metric").sum()).row(0)) > 0


@pytest.mark.parametrize(("at", "start", "end"), [(0, 0, 4), (99, 196, 200)])
def test_windows_of_events_are_cut_at_the_ends_of_the_run(at, start, end):
    found = events(geometry(lambda layer, metric: 5.0 * (np.arange(101) > at)))
    single = only(found, "sv_entropy", 2 * at + 2)
    assert (single["start_step"], single["end_step"]) == (start, end)


def test_delta_of_two_captures_a_side_takes_upper_medians():
    # x = 0 0 1 9 7 7 ..: the change is increment 2 (1 -> 9); before (0, 1) upper median 1, after (9, 7) is 9
    spec = dataclasses.replace(SPEC, event_window_radius=2)
    frame = geometry(lambda layer, metric: [0.0, 0, 1, 9, 7, *[7] * 96])
    row = only(events(frame, spec=spec, warmup_end=0), "sv_entropy", 6)
    assert (row["delta"], row["increment"], row["start_step"], row["end_step"]) == (8, 8, 0, 10)


def test_the_end_of_warmup_comes_from_the_manifest_when_it_is_given():
    frame = noise("iid")
    assert summary_of(detection_of(frame, SPEC, 18), ID)["warmup_end"].unique().to_list() == [18.0]
    assert summary_of(detection_of(frame, SPEC, None), ID)["warmup_end"].unique().to_list() == [20.0]
    late = events(frame, warmup_end=200.0)
    assert late.filter(event_type="change_point")["is_pre_warmup"].all()


def test_a_run_of_the_baseline_arm_is_scored_by_the_other_seeds_only():
    wild = noise(seed=0, jump=1e6)
    table = baselines_of([wild, noise(seed=1), noise(seed=2)], SPEC)
    others = baselines_of([noise(seed=1), noise(seed=2)], SPEC)
    mine = only(events(wild, table), "effective_rank", 122)
    as_other_arm = only(events(wild.with_columns(arm=pl.lit("iid")), others), "effective_rank", 122)
    assert mine["baseline_scope"] == "leave_one_out"
    assert mine["robust_z"] == as_other_arm["robust_z"]


def test_without_a_baseline_scores_are_null_and_the_events_stay():
    found = events(noise(seed=99))
    assert found["baseline_scope"].unique().to_list() == ["none"]
    assert len(found) > 0
    for name in ("robust_z", "metric_z", "magnitude", "score", "event_rank_in_series", "normalized_score"):
        assert found[name].is_null().all()
    assert (found["structure_modifier"] == 1).all()


def test_a_shared_change_is_a_composite_stamped_like_its_single_events():
    # two metrics jump in the same increment; nothing else moves, so each has that one event
    def series(layer, metric):
        return 5.0 * (np.arange(101) > 60) * (metric in ("effective_rank", "principal_angle"))

    found = events(geometry(series))
    assert found.filter(event_type="change_point")["step"].to_list() == [122, 122]
    composite = only(found, COMPOSITE, 122)
    assert (composite["start_step"], composite["end_step"]) == (110, 132)
    assert composite["composite_metrics"] == "effective_rank,principal_angle"
    assert (composite["composite_num_metrics"], composite["composite_num_groups"]) == (2, 2)
    # both windows are the same 11 captures: (.7 + .3) * (1 + 1) * (.5 + .5)
    assert composite["composite_strength"] == pytest.approx(2.0)
    assert composite["polarity"] is None
    usual = placebo().filter(
        pl.col("excluded_seed").is_null(), pl.col("metric").is_in(["effective_rank", "principal_angle"])
    )
    z = (5.0 - usual["window_median"]) / usual["window_mad_sigma"]
    assert composite["metric_z"] == pytest.approx(z.clip(0, 6).mean())


def test_a_composite_of_one_spectrum_counts_one_group():
    def series(layer, metric):
        return 5.0 * (np.arange(101) > 60) * (metric in ("effective_rank", "sv_entropy", "topk_mass_k8"))

    composite = only(events(geometry(series)), COMPOSITE, 122)
    assert (composite["composite_num_metrics"], composite["composite_num_groups"]) == (3, 1)


@pytest.mark.parametrize(("at", "kept"), [(1, False), (2, True), (9, False), (10, False), (11, True), (40, True)])
def test_composites_at_the_start_and_right_after_warmup_are_dropped(at, kept):
    # warm-up ends at step 18: increment 9 (step 20) is the first after it, 9 and 10 lie in the buffer of 2.
    # The first 10 steps are not stable; windows there are cut: at 1 it is 0..6 with centre 3 (step 8), at 2 it is
    # 0..7 with centre 4 (step 10)
    def series(layer, metric):
        return 5.0 * (np.arange(101) > at)

    found = events(geometry(series), warmup_end=18.0)
    assert (found.filter(event_type="change_point_composite").height > 0) is kept
    assert found.filter(event_type="change_point").height == 5


def test_ids_follow_the_score_and_ties_share_a_rank():
    found = events(noise("iid", 5, layers=(0, 1)), placebo(layers=(0, 1)))
    assert found["event_id"].to_list() == [f"e{i}" for i in range(len(found))]
    assert found["score"].is_sorted(descending=True)
    series = found.filter(series_id=found["series_id"][0])
    expected = [sum(other > score for other in series["score"]) + 1 for score in series["score"]]
    assert series["event_rank_in_series"].to_list() == expected


def test_analysis_id_is_readable_and_changes_with_every_parameter():
    assert ID.startswith("w10_p1_r15_e5_k25_")
    ids = {ID}
    for spec in (SPEC, ConsensusSpec()):
        for part in dataclasses.fields(spec):
            value = getattr(spec, part.name)
            other = {"x": 1.0} if not isinstance(value, str | int | float) else ("b" if value == "a" else value + 1)
            changed = dataclasses.replace(spec, **{part.name: other})
            both = (changed, ConsensusSpec()) if spec is SPEC else (SPEC, changed)
            ids.add(analysis_id(*both))
    assert len(ids) == 1 + len(dataclasses.fields(SPEC)) + len(dataclasses.fields(ConsensusSpec()))


def test_geometry_without_any_of_the_metrics_is_refused():
    with pytest.raises(ValueError, match="none of"):
        detection_of(noise().filter(metric="unknown").vstack(noise().head(3).with_columns(metric=pl.lit("x"))), SPEC, 1)
