"""Spectra, state metrics and the geometry frame of a run."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

from squiggle_assets.science import geometry
from squiggle_assets.science.metrics import METRIC_GROUPS, ORIENTATION, STEP_ANGLE, group_of

SPECTRAL = (geometry.effective_rank, geometry.sv_entropy, geometry.topk_mass)


def with_spectrum(values, num_rows, seed=0):
    """A centred matrix [num_rows, len(values)] with these singular values, rotated on both sides."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(np.column_stack([np.ones(num_rows), rng.normal(size=(num_rows, len(values)))]))
    right, _ = np.linalg.qr(rng.normal(size=(len(values), len(values))))
    return left[:, 1:] * values @ right.T


def captures(steps=(0, 2, 4), seed=0, names=("a.x_out.00", "a.x_out.01", "b.x_out.00"), shape=(40, 12)):
    rng = np.random.default_rng(seed)
    return [(step, {name: rng.normal(size=shape) for name in names}) for step in steps]


def frame_of(some, **changes):
    keys = {"arm": "iid", "seed": 7, "run_id": "r7", "probe_set_sha256": {"a": "aa", "b": "bb"}}
    return geometry.geometry_of(iter(some), **{**keys, **changes})


def test_equal_singular_values_fill_every_dimension():
    # s = (2, ..., 2), 12 times: (24)^2 / 48 = 12; p = 1/12 each, entropy ln 12; 8 of 12 equal parts
    values = geometry.spectrum_of(with_spectrum(np.full(12, 2.0), 40)).values
    np.testing.assert_allclose(values, 2.0)
    assert geometry.effective_rank(values) == pytest.approx(12)
    assert geometry.sv_entropy(values) == pytest.approx(math.log(12))
    assert geometry.topk_mass(values) == pytest.approx(8 / 12)


def test_two_singular_values_known_numbers():
    # s = (3, 1): 16 / 10; p = (.75, .25): -.75 ln .75 - .25 ln .25 = .562335; top 1 holds .75
    values = geometry.spectrum_of(with_spectrum([3.0, 1.0], 10)).values
    assert geometry.effective_rank(values) == pytest.approx(1.6)
    assert geometry.sv_entropy(values) == pytest.approx(0.5623351446)
    assert geometry.topk_mass(values, 1) == pytest.approx(0.75)


def test_sparsity_counts_raw_entries_strictly_below_a_thousandth():
    # |0|, |-.0009| are below .001; .001 itself and 5 are not: 2 of 4. Centring would move all of them.
    assert geometry.sparsity_proxy(np.array([[0.0, -0.0009], [0.001, 5.0]])) == 0.5


@pytest.mark.parametrize("turn", [0.0, 1e-6, 0.3, math.pi / 2])
def test_a_line_turned_by_an_angle_has_that_principal_angle(turn):
    line = np.linspace(-1, 1, 9)[:, None]
    before = geometry.spectrum_of(line * [1.0, 0.0, 0.0]).directions
    after = geometry.spectrum_of(line * [math.cos(turn), math.sin(turn), 0.0]).directions
    assert geometry.principal_angle(before, after) == pytest.approx(turn, abs=3e-8)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 60), st.integers(2, 30), st.floats(1e-3, 1e3))
def test_spectral_metrics_ignore_rotation_scale_shift_and_order_of_rows(seed, num_rows, width, scale):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_rows, width))
    rotation, _ = np.linalg.qr(rng.normal(size=(width, width)))
    moved = (scale * x @ rotation + rng.normal(size=width))[rng.permutation(num_rows)]
    before, after = geometry.spectrum_of(x), geometry.spectrum_of(moved)
    for metric in SPECTRAL:
        assert metric(after.values) == pytest.approx(metric(before.values), rel=1e-5)


def test_principal_angle_ignores_a_rotation_of_both_sides_and_sparsity_does_not():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 50, 20)) * np.linspace(3, 1, 20)
    rotation, _ = np.linalg.qr(rng.normal(size=(20, 20)))
    direct = geometry.principal_angle(geometry.spectrum_of(x).directions, geometry.spectrum_of(y).directions)
    turned = geometry.principal_angle(
        geometry.spectrum_of(x @ rotation).directions, geometry.spectrum_of(y @ rotation).directions
    )
    assert turned == pytest.approx(direct, abs=1e-7)
    sparse = np.where(rng.random((50, 20)) < 0.5, 0.0, x)
    assert geometry.sparsity_proxy(sparse @ rotation) < 0.1 < geometry.sparsity_proxy(sparse)


@pytest.mark.parametrize("shape", [(400, 96), (30, 96), (96, 96), (2, 5)])
def test_singular_values_and_metrics_equal_those_of_an_svd(shape):
    x = np.random.default_rng(1).normal(size=shape) @ np.random.default_rng(2).normal(size=(shape[1], shape[1]))
    spectrum = geometry.spectrum_of(x)
    expected = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(spectrum.values, expected, rtol=1e-9, atol=1e-7 * expected[0])
    for metric in SPECTRAL:
        assert metric(spectrum.values) == pytest.approx(metric(np.maximum(expected, 1e-12)), rel=2e-6)


def test_a_rotated_ill_conditioned_spectrum_needs_a_double_precision_gram_matrix():
    truth = np.logspace(0, -4, 64)
    x = with_spectrum(truth, 300)
    ours = geometry.spectrum_of(x).values
    single = x.astype(np.float32)
    from_single = np.sqrt(np.clip(np.linalg.eigvalsh(single.T @ single), 0, None))[::-1].astype(np.float64)
    np.testing.assert_allclose(ours, truth, rtol=1e-6)
    assert np.max(np.abs(from_single / truth - 1)) > 0.1
    assert geometry.sv_entropy(ours) == pytest.approx(geometry.sv_entropy(truth), rel=1e-10)
    assert geometry.effective_rank(ours) == pytest.approx(geometry.effective_rank(truth), rel=1e-10)
    assert abs(geometry.sv_entropy(np.maximum(from_single, 1e-12)) - geometry.sv_entropy(truth)) > 1e-5


@pytest.mark.parametrize("shape", [(60, 20), (15, 20)])
def test_principal_angle_equals_the_mean_of_scipys_subspace_angles(shape):
    rng = np.random.default_rng(5)
    x, y = (rng.normal(size=shape) * np.linspace(4, 1, shape[1]) for _ in range(2))
    tops = [np.linalg.svd(z - z.mean(axis=0))[2][:8].T for z in (x, y)]
    mine = geometry.principal_angle(geometry.spectrum_of(x).directions, geometry.spectrum_of(y).directions)
    assert mine == pytest.approx(subspace_angles(*tops).mean(), abs=1e-6)


def test_directions_stop_at_the_rank():
    assert geometry.spectrum_of(with_spectrum([3.0, 2.0, 1.0] + [0.0] * 9, 40)).directions.shape == (12, 3)


def test_matrices_of_different_sizes_in_one_capture_give_what_each_gives_alone():
    rng = np.random.default_rng(6)
    captured = {"p": rng.normal(size=(30, 8)), "q": rng.normal(size=(9, 12)), "r": rng.normal(size=(50, 8))}
    together = geometry.spectra_of(captured)
    assert list(together) == list(captured)
    for name, matrix in captured.items():
        np.testing.assert_allclose(together[name].values, geometry.spectrum_of(matrix).values, rtol=1e-12)


def test_pad_rows_would_change_every_number_which_is_why_capturing_drops_them():
    x = np.random.default_rng(8).normal(2.0, 1.0, size=(50, 12))
    padded = np.vstack([x, np.zeros((30, 12))])
    values, with_pads = geometry.spectrum_of(x).values, geometry.spectrum_of(padded).values
    assert all(abs(metric(values) - metric(with_pads)) > 1e-2 for metric in SPECTRAL)
    assert geometry.sparsity_proxy(padded) - geometry.sparsity_proxy(x) > 0.3


def test_half_precision_captures_give_the_numbers_of_their_own_values():
    x = np.random.default_rng(9).normal(size=(200, 24)).astype(np.float16)
    np.testing.assert_array_equal(geometry.spectrum_of(x).values, geometry.spectrum_of(x.astype(np.float64)).values)


def test_frame_has_a_row_per_capture_tensor_and_metric_and_no_step_angle_at_the_start():
    frame = frame_of(captures())
    assert len(frame) == 3 * 3 * 5 + 2 * 3
    assert frame.filter(metric=STEP_ANGLE)["step"].unique().sort().to_list() == [2, 4]
    assert set(frame["metric"]) == {*ORIENTATION, STEP_ANGLE}
    assert frame.select("arm", "seed", "run_id").unique().rows() == [("iid", 7, "r7")]
    assert frame.filter(probe_set="b")["probe_set_sha256"].unique().to_list() == ["bb"]
    assert frame["num_rows"].unique().to_list() == [40]


def test_frame_values_are_those_of_the_functions():
    some = captures()
    frame = frame_of(some).filter(probe_set="a", layer=1, step=4)
    found = dict(zip(frame["metric"], frame["value"], strict=True))
    zero, two, four = (geometry.spectrum_of(captured["a.x_out.01"]) for _, captured in some)
    assert found["effective_rank"] == pytest.approx(geometry.effective_rank(four.values))
    assert found["principal_angle"] == pytest.approx(geometry.principal_angle(zero.directions, four.directions))
    assert found[STEP_ANGLE] == pytest.approx(geometry.principal_angle(two.directions, four.directions))


def test_a_model_that_does_not_move_has_no_angle_and_constant_state():
    captured = captures()[0][1]
    frame = frame_of([(step, captured) for step in (0, 2, 4, 6)])
    assert frame.filter(pl.col("metric").is_in(["principal_angle", STEP_ANGLE]))["value"].max() < 1e-7
    spread = frame.group_by("probe_set", "layer", "metric").agg(pl.col("value").max() - pl.col("value").min())
    assert spread["value"].max() < 1e-7


def test_captures_are_read_one_at_a_time():
    alive = []

    def stream():
        for step, captured in captures(steps=range(0, 20, 2)):
            alive.append(step)
            yield step, captured

    rows = geometry._rows(stream())
    next(rows)
    assert alive == [0]


def test_every_metric_has_a_sign_and_one_group():
    assert sorted(metric for group in METRIC_GROUPS.values() for metric in group) == sorted(ORIENTATION)
    assert set(ORIENTATION.values()) <= {1, -1}
    assert group_of("topk_mass_k8") == group_of("effective_rank") != group_of("principal_angle")
    with pytest.raises(ValueError, match="drift"):
        group_of("drift")


def test_oriented_spectral_metrics_move_together_when_the_spectrum_flattens():
    steep, flat = (np.exp(-rate * np.arange(32)) for rate in (0.2, 0.1))
    names = METRIC_GROUPS["spectral"]
    moves = [ORIENTATION[n] * (f(flat) - f(steep)) for n, f in zip(names, SPECTRAL, strict=True)]
    assert all(move > 0 for move in moves)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_activations_that_are_not_finite_are_refused_with_step_and_place(bad):
    some = captures()
    some[1][1]["a.x_out.01"][3, 5] = bad
    with pytest.raises(ValueError, match=r"step 2.*a\.x_out\.01.*row 3, column 5"):
        frame_of(some)


def test_activations_without_spread_are_refused():
    with pytest.raises(ValueError, match="do not vary"):
        geometry.spectrum_of(np.full((5, 3), 0.25))


@pytest.mark.parametrize("shape", [(1, 4), (4,), (2, 3, 4), (5, 0)])
def test_activations_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="at least 2 rows"):
        geometry.spectrum_of(np.zeros(shape))


@pytest.mark.parametrize("steps", [(0, 2, 2), (4, 2, 6)])
def test_captures_out_of_order_are_refused(steps):
    with pytest.raises(ValueError, match="order of steps"):
        frame_of(captures(steps))


def test_fewer_than_three_captures_are_refused():
    with pytest.raises(ValueError, match="fewer than 3"):
        frame_of(captures((0, 2)))
    with pytest.raises(ValueError, match="fewer than 3"):
        frame_of([])


def test_a_capture_with_other_tensors_or_rows_is_refused():
    missing, shorter = captures(), captures()
    del missing[2][1]["b.x_out.00"]
    shorter[1][1]["b.x_out.00"] = shorter[1][1]["b.x_out.00"][:-1]
    for some, step in ((missing, 4), (shorter, 2)):
        with pytest.raises(ValueError, match=f"step {step}"):
            frame_of(some)


def test_strange_names_and_probe_sets_without_a_hash_are_refused():
    with pytest.raises(ValueError, match="not named"):
        frame_of(captures(names=("layer0",)))
    with pytest.raises(ValueError, match=r"\['b'\]"):
        frame_of(captures(), probe_set_sha256={"a": "aa"})
    with pytest.raises(ValueError, match="widths 3 and 4"):
        geometry.principal_angle(np.eye(3), np.eye(4))
