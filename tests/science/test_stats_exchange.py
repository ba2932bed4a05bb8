"""Exchange of runs within units: exact where it can be listed, level where outcomes are skewed."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats as of_scipy

from squiggle_assets.science.stats import max_exchange_p, max_sign_flip

RNG = np.random.default_rng(0)


def test_two_units_of_two_controls_by_hand():
    # runs (9; 0, 3) and (5; 1, 2): less the mean of the others 7.5, -6, -1.5 and 3.5, -2.5, -1. Of the nine sums
    # 11, 5, 6.5, -2.5, -8.5, -7, 2, -4, -2.5 none is as large as 11
    assert max_exchange_p(np.array([[9.0, 5.0]]), [np.array([[0.0, 3.0]]), np.array([[1.0, 2.0]])]) == 1 / 9


def test_with_one_control_a_unit_it_is_the_sign_flip():
    treated, control = RNG.normal(0.5, 1, size=(2, 3, 7))
    found = max_exchange_p(treated, [control[:, [at]] for at in range(7)])
    assert found == pytest.approx(max_sign_flip(treated - control).p_value)


def test_it_is_the_share_of_all_choices_of_one_run_a_unit():
    treated, controls = RNG.normal(size=(2, 4)), [RNG.normal(size=(2, num)) for num in (1, 3, 2, 2)]
    units = [np.concatenate([treated[:, [at]], own], axis=1) for at, own in enumerate(controls)]
    totals = []
    for choice in product(*(range(unit.shape[1]) for unit in units)):
        chosen = [
            unit[:, at] - np.delete(unit, at, axis=1).mean(axis=1) for unit, at in zip(units, choice, strict=True)
        ]
        totals.append(np.sum(chosen, axis=0))
    each = [[u[:, r] - np.delete(u, r, axis=1).mean(axis=1) for r in range(u.shape[1])] for u in units]
    size = np.sqrt(sum(np.square(own).mean(axis=0) for own in each))
    largest = np.abs(np.array(totals) / size).max(axis=1)
    assert max_exchange_p(treated, controls) == pytest.approx(np.mean(largest >= largest[0] - 1e-12))


def test_neither_units_of_measurement_nor_the_order_of_controls_matter():
    treated, controls = RNG.normal(size=(2, 5)), [RNG.normal(size=(2, 3)) for _ in range(5)]
    p = max_exchange_p(treated, controls)
    scale = np.array([[1e-6], [40.0]])
    assert max_exchange_p(scale * treated, [scale * own[:, ::-1] for own in controls]) == pytest.approx(p)


def test_the_level_is_kept_where_the_sign_flip_of_means_loses_it():
    num, exchanged, flipped = 300, 0, 0
    for _ in range(num):
        runs = RNG.lognormal(0, 1.5, size=(1, 8, 4))
        exchanged += max_exchange_p(runs[:, :, 0], list(np.moveaxis(runs[:, :, 1:], 1, 0))) <= 0.05
        flipped += max_sign_flip(runs[:, :, 0] - runs[:, :, 1:].mean(axis=2)).p_value <= 0.05
    assert exchanged <= of_scipy.binom.ppf(0.999, num, 0.05) < flipped


def test_equal_runs_have_p_one_and_no_units_none():
    assert max_exchange_p(np.ones((2, 3)), [np.ones((2, 2))] * 3) == 1.0
    assert np.isnan(max_exchange_p(np.ones((2, 0)), []))


def test_too_many_assignments_are_drawn_and_never_give_zero():
    treated, controls = np.full((1, 30), 9.0), [RNG.normal(size=(1, 2)) for _ in range(30)]
    assert max_exchange_p(treated, controls, rng=np.random.default_rng(1)) == 1 / 20_001
    with pytest.raises(ValueError, match="pass rng"):
        max_exchange_p(treated, controls)


def test_units_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        max_exchange_p(np.ones((1, 2)), [np.ones((1, 1))])
    for controls in (np.ones((1, 0)), np.array([[np.nan]])):
        with pytest.raises(ValueError, match="at least one control"):
            max_exchange_p(np.ones((1, 1)), [controls])
