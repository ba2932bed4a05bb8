"""Windows in which several metrics of a layer change together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from squiggle_assets.science.composites import composites_of
from squiggle_assets.science.spec import DetectionSpec
from squiggle_assets.science.windows import upper_median_of, window_mad, window_max, window_median, windows_of

SPEC = dataclasses.replace(DetectionSpec(), window_radius=2)


def test_two_overlapping_windows_known_figures():
    # windows 8..12 and 10..14 merge to 8..14 (7 long); they share 10, 11, 12; union of 7, each covers 5
    # coverage 10 / 14, occupancy 5 / 7, strength (.7 * 3/7 + .3 * 10/14) * (1 + 1) * (.5 + .5 * 5/7)
    (found,) = composites_of({"m": [10], "n": [12]}, 30, SPEC)
    assert (found.metrics, found.lo, found.hi, found.centre) == (("m", "n"), 8, 14, 11)
    assert found.overlap_len == 3
    assert found.coverage_ratio == pytest.approx(10 / 14)
    assert found.min_occupancy == pytest.approx(5 / 7)
    assert found.strength == pytest.approx((0.3 + 3 / 14) * 2 * (6 / 7))
    assert found.alignment_sd == 1.0


def test_the_centre_is_the_upper_median_of_an_even_number_of_covered_points():
    # windows 0..2 (cut at the start) and 0..3: covered 0, 1, 2, 3, upper median 2
    (found,) = composites_of({"m": [0], "n": [1]}, 30, SPEC)
    assert (found.lo, found.hi, found.centre) == (0, 3, 2)


def test_windows_that_only_touch_do_not_merge_unless_a_gap_is_allowed():
    peaks = {"m": [10], "n": [15]}  # 8..12 and 13..17
    assert composites_of(peaks, 30, SPEC) == []
    assert composites_of(peaks, 30, dataclasses.replace(SPEC, merge_gap=1)) == []  # merged, but nothing overlaps
    loose = dataclasses.replace(SPEC, merge_gap=1, min_pairwise_overlap=0)
    assert [(c.lo, c.hi) for c in composites_of(peaks, 30, loose)] == [(8, 17)]


def test_metrics_linked_through_a_third_one_belong_together():
    # m 8..12, n 11..15, o 14..18: m and o share nothing but both share with n
    (found,) = composites_of({"m": [10], "n": [13], "o": [16]}, 30, SPEC)
    assert found.metrics == ("m", "n", "o")
    assert found.overlap_len == pytest.approx((2 + 0 + 2) / 3)


def test_a_stricter_link_splits_and_the_larger_set_stays():
    # overlaps: m-n 4, n-o 2; with at least 3 only m and n are linked, o is out though the window is one
    strict = dataclasses.replace(SPEC, min_pairwise_overlap=3)
    (found,) = composites_of({"o": [14], "m": [10], "n": [11]}, 30, strict)
    assert found.metrics == ("m", "n")
    assert (found.lo, found.hi) == (8, 16)


def test_one_metric_is_no_composite_however_many_peaks_it_has():
    assert composites_of({"m": [10, 12, 14], "n": []}, 30, SPEC) == []
    assert composites_of({"m": [10], "n": []}, 30, SPEC) == []
    assert composites_of({}, 30, SPEC) == []


def test_a_quorum_of_three_refuses_a_pair():
    three = dataclasses.replace(SPEC, composite_quorum_k=3)
    assert composites_of({"m": [10], "n": [11]}, 30, three) == []
    assert len(composites_of({"m": [10], "n": [11], "o": [12]}, 30, three)) == 1


def test_far_pairs_are_separate_composites_in_order():
    found = composites_of({"m": [40, 10], "n": [11, 41]}, 60, SPEC)
    assert [(c.lo, c.hi) for c in found] == [(8, 13), (38, 43)]


def test_windows_equal_plain_slices_cut_at_the_ends():
    values = np.random.default_rng(0).normal(size=(2, 9))
    for radius in (0, 2, 20):
        for s in range(2):
            for t in range(9):
                near = sorted(values[s, max(0, t - radius) : t + radius + 1])
                middle = near[len(near) // 2]
                spread = sorted(abs(v - middle) for v in near)
                assert window_median(values, radius)[s, t] == middle
                assert window_mad(values, radius)[s, t] == spread[len(near) // 2]
                assert window_max(values, radius)[s, t] == near[-1]


def test_the_median_of_nothing_is_nan_and_a_negative_radius_is_refused():
    assert np.isnan(upper_median_of(np.full((1, 3), np.nan))).all()
    with pytest.raises(ValueError, match="-1"):
        windows_of(np.zeros((1, 3)), -1)
