"""Every shipped SQL model on small literal tables, with outputs derived by hand."""

from __future__ import annotations

import pytest

from squiggle_assets.science.metrics import COMPOSITE, METRIC_GROUPS


def _draws(arm, seed, items, study="s", planted=()):
    return [
        {
            "study": study,
            "arm": arm,
            "seed": seed,
            "run_id": f"{study}-{arm}-{seed}",
            "item_id": item,
            "content_sha256": f"sha-{item}",
            "family_id": f"family-{item}",
            "planted": item in planted,
            "step": step,
        }
        for step, item in enumerate(items)
    ]


def _runs(*keys):
    return [{"study": study, "arm": arm, "seed": seed} for study, arm, seed in keys]


def _promise(arm, item, *draws, study="s"):
    return [
        {"study": study, "arm": arm, "item_id": item, "family_id": f"family-{item}", "expected_draws": d} for d in draws
    ]


def test_trace_counts_are_draws_of_an_item_in_a_run_with_first_and_last_step(run):
    # Seed 1 draws a at steps 0 and 2 and b at 1; seed 2 draws p, planted, at 0.
    trace = _draws("iid", 1, ["a", "b", "a"]) + _draws("iid", 2, ["p"], planted=["p"])
    found = run("stg_trace_counts", sample_trace=trace)
    assert [tuple(row.values()) for row in found] == [
        ("s", "iid", 1, "s-iid-1", "a", "sha-a", "family-a", False, 2, 0, 2),
        ("s", "iid", 1, "s-iid-1", "b", "sha-b", "family-b", False, 1, 1, 1),
        ("s", "iid", 2, "s-iid-2", "p", "sha-p", "family-p", True, 1, 0, 0),
    ]


def test_exposure_is_draws_per_run_over_the_sum_of_the_phases_promises(run):
    # Two runs. a: 3 + 1 = 4 draws = 2 a run, promised 1.5 + .5 = 2 a run: ratio 1.
    # b: promised 4 a run, drawn once: .5 / 4 = .125. c: promised, never drawn: 0 draws, ratio 0.
    # p: drawn twice, not in the promises: null. n: neither drawn nor promised: no row.
    # In `other` nothing ran: no rows, however much is promised.
    trace = _draws("iid", 1, ["a", "a", "a", "p"]) + _draws("iid", 2, ["a", "b", "p"])
    promises = [
        *_promise("iid", "a", 1.5, 0.5),
        *_promise("iid", "b", 4.0),
        *_promise("iid", "c", 0.0, 3.0),
        *_promise("iid", "n", 0.0, 0.0),
        *_promise("other", "a", 2.0),
    ]
    runs = _runs(("s", "iid", 1), ("s", "iid", 2))
    found = run("int_exposure", sample_trace=trace, expected_exposure=promises, stg_runs=runs)
    assert [tuple(row.values()) for row in found] == [
        ("s", "iid", "a", "family-a", 2, 4, 2.0, 2.0, 1.0),
        ("s", "iid", "b", "family-b", 2, 1, 0.5, 4.0, 0.125),
        ("s", "iid", "c", "family-c", 2, 0, 0.0, 3.0, 0.0),
        ("s", "iid", "p", "family-p", 2, 2, 1.0, None, None),
    ]


def test_exposure_keeps_studies_with_arms_of_the_same_name_apart(run):
    trace = _draws("iid", 1, ["a"]) + _draws("iid", 1, ["a", "a"], study="t")
    promises = _promise("iid", "a", 1.0) + _promise("iid", "a", 1.0, study="t")
    runs = _runs(("s", "iid", 1), ("t", "iid", 1))
    found = run("int_exposure", sample_trace=trace, expected_exposure=promises, stg_runs=runs)
    assert [(row["study"], row["num_runs"], row["num_draws"], row["ratio"]) for row in found] == [
        ("s", 1, 1, 1.0),
        ("t", 1, 2, 2.0),
    ]


def test_item_exposure_sums_arms_and_shows_the_extreme_ratios(run):
    # a: iid 2 runs, 4 draws, 2 promised a run (ratio 1); ramp 1 run, 3 draws, 2 promised (1.5).
    # Together 7 draws, promised 2 * 2 + 1 * 2 = 6. b: only promised, in ramp. p: not in the pool, no promise.
    exposure = [
        ("iid", "a", 2, 4, 2.0, 1.0),
        ("ramp", "a", 1, 3, 2.0, 1.5),
        ("ramp", "b", 1, 0, 1.0, 0.0),
        ("ramp", "p", 1, 5, None, None),
    ]
    names = ["arm", "item_id", "num_runs", "num_draws", "expected_draws", "ratio"]
    rows = [{"study": "s", "family_id": "f", **dict(zip(names, row, strict=True))} for row in exposure]
    pool = [{"item_id": item, "family_type": "target", "difficulty_proxy": "easy"} for item in ("a", "b", "unused")]
    found = run("mart_item_exposure", int_exposure=rows, candidate_pool=pool)
    assert [tuple(row.values()) for row in found] == [
        ("s", "a", "f", "target", "easy", 2, 3, 7, 6.0, 1.0, 1.5),
        ("s", "b", "f", "target", "easy", 0, 1, 0, 1.0, 0.0, 0.0),
        ("s", "p", "f", None, None, 1, 1, 5, None, None, None),
    ]


def _event(seed, step, metric="effective_rank", layer=0, arm="iid", kind="change_point"):
    return {
        "study": "s",
        "arm": arm,
        "seed": seed,
        "run_id": f"{arm}-{seed}",
        "event_id": f"e{step}-{layer}",
        "probe_set": "a",
        "component": "x_out",
        "layer": layer,
        "metric": metric,
        "event_type": kind,
        "step": step,
        "is_pre_warmup": False,
        "polarity": 1,
        "robust_z": 4.0,
        "score": 0.9,
    }


def test_the_metric_groups_in_sql_are_those_of_the_science(run):
    metrics = {metric: group for group, members in METRIC_GROUPS.items() for metric in members}
    events = [_event(1, step, metric) for step, metric in enumerate(metrics)]
    found = run("stg_events", events=events)
    assert {row["metric"]: row["metric_group"] for row in found} == metrics


def test_composites_are_not_counted_beside_the_events_they_consist_of(run):
    events = [_event(1, 4), _event(1, 5, metric=COMPOSITE, kind="change_point_composite")]
    assert [row["step"] for row in run("stg_events", events=events)] == [4]


def _summary(seed, metric, num_candidates, num_selected, pre, arm="iid"):
    return {
        "study": "s",
        "arm": arm,
        "seed": seed,
        "run_id": f"{arm}-{seed}",
        "probe_set": "a",
        "metric": metric,
        "num_candidates": num_candidates,
        "num_selected": num_selected,
        "num_selected_pre": pre,
    }


def test_detections_sum_series_and_keep_runs_without_events(run):
    summary = [
        _summary(1, "effective_rank", 5, 2, 1),
        _summary(1, "sv_entropy", 3, 1, 0),
        _summary(2, "effective_rank", 0, 0, 0),
    ]
    found = run("stg_detections", detection_summary=summary)
    assert [tuple(row.values()) for row in found] == [
        ("s", "iid", 1, "iid-1", "a", 2, 8, 3, 1),
        ("s", "iid", 2, "iid-2", "a", 1, 0, 0, 0),
    ]


def test_support_counts_seeds_not_events_and_divides_by_all_analysed_runs(run):
    # Bin 10..19 of effective_rank: seed 1 at 10 and 19, seed 2 at 12: 3 events, 2 seeds of 3 (seed 3 has none).
    # Step 20 is the next bin; layer 1 is another series.
    events = [_event(1, 10), _event(1, 19), _event(2, 12), _event(2, 20), _event(1, 10, layer=1)]
    summary = [_summary(seed, "effective_rank", 9, 1, 0) for seed in (1, 2, 3)]
    found = run("int_event_support", events=events, detection_summary=summary)
    shown = ["layer", "bin_start", "num_events", "num_seeds", "num_runs", "share_seeds"]
    assert [tuple(row[name] for name in shown) for row in found] == [
        (0, 10, 3, 2, 3, pytest.approx(2 / 3)),
        (0, 20, 1, 1, 3, pytest.approx(1 / 3)),
        (1, 10, 1, 1, 3, pytest.approx(1 / 3)),
    ]


def test_agreement_is_the_share_of_places_that_every_run_shows(run):
    # Two runs; places: bin 10 in both, bin 20 in one, bin 30 in one: 1 of 3 in every run, mean share (1 + .5 + .5) / 3.
    events = [_event(1, 11), _event(2, 15), _event(1, 20), _event(2, 30)]
    summary = [_summary(seed, "effective_rank", 9, 2, 0) for seed in (1, 2)]
    (row,) = run("mart_event_agreement", events=events, detection_summary=summary)
    assert row == {
        "study": "s",
        "arm": "iid",
        "probe_set": "a",
        "metric": "effective_rank",
        "metric_group": "spectral",
        "num_runs": 2,
        "num_events": 4,
        "num_places": 3,
        "num_in_every_run": 1,
        "share_in_every_run": pytest.approx(1 / 3),
        "mean_share_seeds": pytest.approx(2 / 3),
    }


def test_runs_are_the_manifest_without_its_documents(run):
    manifest = [
        {
            "study": "s",
            "arm": "iid",
            "seed": seed,
            "run_id": f"r{seed}",
            "spec_json": "{}",
            "total_steps": 200,
            "num_updates": num_updates,
            "num_captures": 101,
            "num_train_items": 50,
            "num_truncated": 2,
            "first_loss": 3.0,
            "best_loss": 1.0,
            "final_loss": 1.5,
            "final_loss_smooth": 1.25,
            "stopped_early": num_updates < 200,
            "stop_reason": "diverged" if num_updates < 200 else None,
        }
        for seed, num_updates in ((2, 200), (1, 17))
    ]
    found = run("stg_runs", run_manifest=manifest)
    assert [(row["seed"], row["num_updates"], row["stop_reason"]) for row in found] == [
        (1, 17, "diverged"),
        (2, 200, None),
    ]
    assert "spec_json" not in found[0]
