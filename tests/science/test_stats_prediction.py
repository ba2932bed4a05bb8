from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from squiggle_assets.science.stats import prediction_p


def test_a_prediction_by_hand() -> None:
    # -1, 0, 1: mean 0, sd 1, so 2 is 2 / sqrt(1 + 1 / 3) = 1.732 off; Student's t with 2 degrees of freedom:
    # P(T > sqrt(3)) = 1/2 - sqrt(3) / (2 sqrt(2 + 3))
    expected = 0.5 - np.sqrt(3) / (2 * np.sqrt(5))
    assert prediction_p(2.0, np.array([-1.0, 0.0, 1.0])) == pytest.approx(expected)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e-6, 0.0), (3.0, -70.0)])
def test_it_does_not_depend_on_units_and_is_the_tail_that_scipy_gives(scale: float, shift: float) -> None:
    sample = np.random.default_rng(0).normal(size=6)
    expected = student.sf((1.4 - sample.mean()) / (sample.std(ddof=1) * np.sqrt(7 / 6)), 5)
    assert prediction_p(scale * 1.4 + shift, scale * sample + shift) == pytest.approx(expected, rel=1e-6)


def test_of_one_more_draw_it_is_uniform_however_few_draws_there_are() -> None:
    draws = np.random.default_rng(1).normal(size=(2000, 4))
    p = np.array([prediction_p(row[0], row[1:]) for row in draws])
    # 100 of 2000 at .05 expected, sd 9.7; 20 of 2000 at .01, sd 4.4
    assert abs((p <= 0.05).sum() - 100) < 40 and abs((p <= 0.01).sum() - 20) < 18
    assert abs(p.mean() - 0.5) < 0.03


def test_it_is_never_zero_and_nothing_where_there_is_no_scale() -> None:
    assert 0 < prediction_p(1e9, np.array([0.0, 1.0, 2.0, 3.0])) < 1e-20
    for sample in ([], [1.0], [2.0, 2.0, 2.0], [1.0, np.nan, 3.0]):
        assert np.isnan(prediction_p(5.0, np.array(sample)))
    assert np.isnan(prediction_p(np.nan, np.array([1.0, 2.0, 3.0])))
