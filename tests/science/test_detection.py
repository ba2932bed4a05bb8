"""Threshold, suppression, budget and the account of every candidate."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squiggle_assets.science import detection
from squiggle_assets.science.spec import DetectionSpec

SPEC = DetectionSpec()


def reference(increments, steps, spec, warmup_end, floor):
    """The rule for one series, written for reading: {index: (fate, suppressed by)} of every candidate."""
    size = [abs(float(d)) for d in increments]
    median = sorted(size)[len(size) // 2]
    mad = sorted(abs(d - median) for d in size)[len(size) // 2]
    threshold = max(median + spec.adaptive_k * mad, floor)
    hits = sorted((i for i in range(len(size)) if size[i] > threshold), key=lambda i: (-size[i], i))
    fates, chosen = {}, []
    groups = (
        ([i for i in hits if steps[i] > warmup_end], max(1, spec.max_events_per_series - spec.max_pre_warmup), "topk"),
        ([i for i in hits if steps[i] <= warmup_end], spec.max_pre_warmup, "pre_warmup_cap"),
    )
    for group, budget, out_of_budget in groups:
        num = 0
        for i in group:
            near = [j for j in chosen if abs(steps[i] - steps[j]) <= spec.peak_suppression_radius]
            if near:
                fates[i] = ("suppression", near[0])
            elif num == budget:
                fates[i] = (out_of_budget, -1)
            else:
                fates[i] = ("selected", -1)
                chosen.append(i)
                num += 1
    return fates


@st.composite
def problems(draw):
    """Series of small whole numbers (so that sizes tie), uneven steps, any warm-up end and parameters."""
    num = draw(st.integers(2, 30))
    rows = draw(st.lists(st.lists(st.integers(-6, 6), min_size=num, max_size=num), min_size=1, max_size=4))
    gaps = draw(st.lists(st.integers(1, 5), min_size=num, max_size=num))
    spec = dataclasses.replace(
        SPEC,
        adaptive_k=draw(st.sampled_from([0.0, 1.0, 2.5])),
        peak_suppression_radius=draw(st.integers(0, 12)),
        max_events_per_series=draw(st.integers(1, 6)),
        max_pre_warmup=draw(st.integers(0, 3)),
    )
    floor = draw(st.sampled_from([0.0, 0.01, 2.0]))
    steps = np.cumsum(gaps)
    return np.array(rows, dtype=float), steps, spec, draw(st.integers(0, int(steps[-1]))), np.full(len(rows), floor)


def test_hand_worked_series():
    # sizes 1 1 1 1 9 1 8 1 1 1 7 1 at steps 10, 20 .. 120: median 1, MAD 0, threshold 1: hits at 50, 70, 110.
    # radius 25, 2 events (1 before warm-up, so 1 after), warm-up until 60: after warm-up 70 (8) wins, 110 is
    # out of budget; before it 50 (9) lies 20 from 70: suppressed although it is the largest of all.
    increments = np.array([[1, -1, 1, 1, -9, 1, 8, 1, 1, 1, 7, 1.0]])
    spec = dataclasses.replace(SPEC, peak_suppression_radius=25, max_events_per_series=2)
    found = detection.detect(increments, np.arange(10, 130, 10), spec, 60, np.zeros(1))
    assert found.threshold.tolist() == [1.0]
    fates = {int(t): detection.FATES[found.fate[0, t]] for t in np.flatnonzero(found.candidate[0])}
    assert fates == {4: "suppression", 6: "selected", 10: "topk"}
    assert found.suppressed_by[0, 4] == 6
    assert found.suppressed_by[0, [6, 10]].tolist() == [-1, -1]


def test_threshold_uses_the_upper_median_and_the_unscaled_mad():
    # 1, 2, 3, 10: sorted[2] = 3; deviations 2, 1, 0, 7 -> sorted[2] = 2; 3 + 2.5 * 2 = 8
    sizes = np.array([[3.0, 1.0, 10.0, 2.0]])
    assert detection.thresholds_of(sizes, SPEC, np.zeros(1)).tolist() == [8.0]
    assert detection.thresholds_of(sizes, SPEC, np.array([9.5])).tolist() == [9.5]


def test_increments_of_an_even_cadence_are_plain_differences_and_of_an_uneven_one_per_usual_interval():
    values = np.array([[0.0, 1.0, 3.0, 4.0]])
    assert detection.increments_of(values, [0, 3, 6, 9]).tolist() == [[1, 2, 1]]
    # intervals 2, 2, 1: usual 2, so the last change of 1 in 1 step counts 2
    assert detection.increments_of(values, [0, 2, 4, 5]).tolist() == [[1, 2, 2]]


@settings(max_examples=150, deadline=None)
@given(problems())
def test_selection_and_skip_reasons_equal_the_plain_loop(problem):
    increments, steps, spec, warmup_end, floor = problem
    found = detection.detect(increments, steps, spec, warmup_end, floor)
    for s, series in enumerate(increments):
        expected = reference(series, steps.tolist(), spec, warmup_end, floor[s])
        at = np.flatnonzero(found.candidate[s])
        mine = {int(t): (detection.FATES[found.fate[s, t]], int(found.suppressed_by[s, t])) for t in at}
        assert mine == expected
    peaks = detection.detect_peaks(increments, steps, warmup_end, spec, floor)
    np.testing.assert_array_equal(peaks, found.selected)


@settings(max_examples=50, deadline=None)
@given(problems())
def test_every_candidate_is_selected_or_skipped_and_budgets_and_distances_hold(problem):
    increments, steps, spec, warmup_end, floor = problem
    found = detection.detect(increments, steps, spec, warmup_end, floor)
    counts = [(found.fate == code).sum(axis=1) for code in range(1, 5)]
    np.testing.assert_array_equal(sum(counts), (found.size > found.threshold[:, None]).sum(axis=1))
    pre = steps <= warmup_end
    assert (found.selected[:, pre].sum(axis=1) <= spec.max_pre_warmup).all()
    assert (found.selected[:, ~pre].sum(axis=1) <= max(1, spec.max_events_per_series - spec.max_pre_warmup)).all()
    for row in found.selected:
        assert (np.diff(steps[row]) > spec.peak_suppression_radius).all()


@pytest.mark.parametrize("scale", [1e-6, 3.0, 1e4])
def test_selection_does_not_depend_on_the_unit_or_sign_of_a_metric(scale):
    increments = np.random.default_rng(0).normal(size=(50, 100))
    steps = np.arange(2, 202, 2)
    one = detection.detect_peaks(increments, steps, 10, SPEC, np.zeros(50))
    np.testing.assert_array_equal(detection.detect_peaks(-scale * increments, steps, 10, SPEC, np.zeros(50)), one)


def test_series_do_not_influence_each_other_across_blocks():
    num = detection._BLOCK + 37
    increments = np.random.default_rng(1).standard_t(3, size=(num, 40))
    steps, floor = np.arange(1, 41), np.zeros(num)
    together = detection.detect(increments, steps, SPEC, 4, floor)
    order = np.random.default_rng(2).permutation(num)
    shuffled = detection.detect(increments[order], steps, SPEC, 4, floor)
    np.testing.assert_array_equal(shuffled.fate, together.fate[order])
    np.testing.assert_array_equal(detection.detect_peaks(increments, steps, 4, SPEC, floor), together.selected)
    assert together.selected[detection._BLOCK :].any(axis=1).mean() > 0.9


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_flat_series_and_a_straight_line_have_no_candidates(value):
    found = detection.detect(np.full((2, 30), value), np.arange(30), SPEC, 3, np.zeros(2))
    assert not found.candidate.any()


def test_a_planted_jump_is_selected_and_smaller_jumps_near_it_are_not():
    increments = np.random.default_rng(3).normal(size=(200, 100))
    increments[:, 60] += 12
    increments[:, 62] += 8
    selected = detection.detect_peaks(increments, np.arange(2, 202, 2), 20, SPEC, np.zeros(200))
    assert selected[:, 60].all()
    assert not selected[:, 62].any()


def test_the_floor_of_a_metric_silences_small_changes_of_that_metric_only():
    increments = np.zeros((2, 20))
    increments[:, 10] = 0.005
    floor = detection.min_thresholds(["effective_rank", "sv_entropy"], SPEC)
    selected = detection.detect_peaks(increments, np.arange(20), 2, SPEC, floor)
    assert selected.sum(axis=1).tolist() == [0, 1]


def test_warmup_ends_where_the_manifest_says_else_at_a_share_of_the_range():
    assert detection.warmup_end_of([0, 100, 400], SPEC, 18) == 18
    assert detection.warmup_end_of([0, 100, 400], SPEC, 900) == 400
    assert detection.warmup_end_of([100, 200, 400], SPEC, None) == 130


def test_noise_always_has_events_so_a_count_alone_says_nothing():
    increments = np.random.default_rng(4).normal(size=(500, 100))
    selected = detection.detect_peaks(increments, np.arange(2, 202, 2), 20, SPEC, np.zeros(500))
    assert selected.sum(axis=1).mean() > 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"increments": np.full((2, 5), np.nan)}, "finite: got nan in series 0 at position 0"),
        ({"increments": np.full((2, 5), np.inf)}, "finite: got inf"),
        ({"increments": np.ones(5)}, "increments"),
        ({"steps": np.arange(4)}, "one step each"),
        ({"steps": np.array([1, 2, 2, 3, 4])}, "must increase"),
        ({"min_threshold": np.zeros(3)}, "one value a series"),
        ({"min_threshold": np.array([0.0, -1.0])}, "negative"),
        ({"spec": dataclasses.replace(SPEC, max_events_per_series=0)}, "at least 1 event"),
    ],
)
def test_bad_input_is_refused(change, message):
    good = {
        "increments": np.ones((2, 5)),
        "steps": np.arange(1, 6),
        "warmup_end": 1.0,
        "spec": SPEC,
        "min_threshold": np.zeros(2),
    }
    with pytest.raises(ValueError, match=message):
        detection.detect_peaks(**{**good, **change})


def test_too_few_captures_and_steps_that_do_not_increase_are_refused():
    with pytest.raises(ValueError, match="at least 3"):
        detection.increments_of(np.zeros((1, 2)), [0, 2])
    with pytest.raises(ValueError, match="step 2 follows 2"):
        detection.increments_of(np.zeros((1, 3)), [0, 2, 2])
    with pytest.raises(ValueError, match="finite"):
        detection.increments_of(np.array([[0.0, np.nan, 1.0]]), [0, 1, 2])
    with pytest.raises(ValueError, match="one step a capture"):
        detection.increments_of(np.zeros((1, 3)), [0, 1])
    with pytest.raises(ValueError, match="at least 3 captures"):
        detection.detect(np.zeros((1, 1)), np.array([1]), SPEC, 0, np.zeros(1))
    with pytest.raises(ValueError, match="median of no values"):
        detection.upper_median(np.empty((2, 0)))
