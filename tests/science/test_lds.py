"""The linear datamodeling score: by hand, against scipy, and on a linear world where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from squiggle_assets.schemas.calibration import Lds
from squiggle_assets.science.lds import (
    CONSTANT,
    MIN_SUBSETS,
    RANDOM,
    SCHEMA,
    TESTED,
    TOO_FEW,
    SubsetRuns,
    ceiling,
    lds,
    lds_draws,
    lds_p,
    lds_rows,
    predicted,
)
from squiggle_assets.science.stats.ranks import spearman

NUM, ITEMS = 80, 40


def world(noise: float = 0.0, num: int = NUM, seed: int = 0) -> tuple[SubsetRuns, np.ndarray]:
    """Runs on halves of the items whose outcome is the sum of the items' effects and noise; and the effects."""
    draws = np.random.default_rng(seed)
    effects = draws.normal(size=ITEMS)
    masks = np.zeros((num, ITEMS), dtype=bool)
    for row in masks:
        row[draws.permutation(ITEMS)[: ITEMS // 2]] = True
    outcomes = masks @ effects + noise * draws.normal(size=num)
    return SubsetRuns(masks=masks, outcomes=outcomes[None], units=np.arange(num)), effects[None]


def test_the_score_of_four_subsets_by_hand():
    # items with scores 1, 2, 4 in subsets {0}, {1}, {2}, {0, 1}: predictions 1, 2, 4, 3, ranks 1 2 4 3;
    # outcomes 10, 30, 40, 20 have ranks 1 3 4 2: differences 0 1 0 1, rho = 1 - 6 * 2 / (4 * 15) = .8
    masks = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], dtype=bool)
    found = predicted(masks, np.array([[1.0, 2.0, 4.0]]))
    np.testing.assert_array_equal(found, [[1, 2, 4, 3]])
    assert lds(found, np.array([[10.0, 30.0, 40.0, 20.0]])) == pytest.approx(0.8)


def test_the_score_is_the_mean_over_events_of_the_rank_correlation_of_scipy():
    draws = np.random.default_rng(1)
    predictions, outcomes = draws.integers(0, 9, size=(3, 50)), draws.normal(size=(3, 50))
    expected = [spearmanr(*pair).statistic for pair in zip(predictions, outcomes, strict=True)]
    np.testing.assert_allclose(spearman(predictions.astype(float), outcomes), expected)
    assert lds(predictions.astype(float), outcomes) == pytest.approx(np.mean(expected))


def test_ranks_that_cannot_be_compared_give_no_correlation():
    flat, rising = np.ones(5), np.arange(5.0)
    assert np.isnan(spearman(flat, rising)) and np.isnan(spearman(rising[:2], rising[:2]))
    assert np.isnan(spearman(np.array([1.0, np.nan, 3.0]), np.arange(3.0)))
    with pytest.raises(ValueError, match="equal length"):
        spearman(flat, rising[:4])


def test_in_a_linear_world_true_effects_score_one_and_random_scores_nothing():
    runs, effects = world()
    rows = {row["method"]: row for row in _rows(runs, {"truth": effects, "same": np.ones_like(effects)}, "truth")}
    assert rows["truth"]["lds"] == pytest.approx(1.0)
    # subsets of one size: an equal score for all items says nothing of any of them
    assert rows["same"]["status"] == CONSTANT and rows["same"]["lds"] is None
    # a vector of random scores agrees with 40 effects by chance (variance 1/39), and 80 runs show that with an error
    # (1/79): sd .20, and .014 for the mean of 200 of them
    spread = np.sqrt(1 / (ITEMS - 1) + 1 / (NUM - 1))
    assert abs(rows[RANDOM]["lds"]) < 0.05
    assert rows[RANDOM]["ci_lo"] == pytest.approx(-1.96 * spread, abs=0.12)
    assert rows[RANDOM]["ci_hi"] == pytest.approx(1.96 * spread, abs=0.12)


def test_an_outcome_that_has_nothing_to_do_with_the_items_is_as_likely_as_alpha_to_be_called_explained():
    draws = np.random.default_rng(4)
    p = []
    for number in range(60):
        runs, effects = world(seed=number, num=20)
        p.append(lds_p(predicted(runs.masks, effects), draws.normal(size=(1, 20)), draws)[0])
    # Binomial(60, .05): more than 8 with probability .003; the mean of 60 uniform p has standard error .037
    assert sum(value <= 0.05 for value in p) <= 8
    assert 0.38 < np.mean(p) < 0.62


def test_a_perfect_score_reaches_the_ceiling_and_noise_lowers_both():
    # the sum over 20 of 40 items has variance 20 * (1 - 20 / 40) * S2; with noise of variance s2 two runs of a subset
    # correlate by 10 S2 / (10 S2 + s2), and the true sum with one run by the root of that
    for noise in (0.5, 4.0):
        runs, effects = world(noise, num=300)
        again = (runs.masks @ effects[0] + noise * np.random.default_rng(9).normal(size=300))[None]
        top, interval = ceiling(runs.outcomes, again, np.arange(300), np.random.default_rng(0))
        signal = 10 * effects.var(ddof=1)
        expected = np.sqrt(signal / (signal + noise**2))
        assert top == pytest.approx(expected, abs=0.1) and interval.lo < top < interval.hi
        assert float(lds(predicted(runs.masks, effects), runs.outcomes)) == pytest.approx(expected, abs=0.1)
    assert expected < 0.7


def test_the_ceiling_is_the_root_of_the_correlation_of_repeats_and_never_negative():
    # ranks 0..11 with two neighbours exchanged: sum of squared differences 2, rho = 1 - 6 * 2 / (12 * 143)
    first = np.arange(12.0)
    second = first.copy()
    second[[0, 1]] = second[[1, 0]]
    draws = np.random.default_rng(0)
    assert ceiling(first[None], second[None], np.arange(12), draws)[0] == pytest.approx(np.sqrt(1 - 12 / 1716))
    assert ceiling(first[None], -first[None], np.arange(12), draws)[0] == 0.0
    few = np.arange(float(MIN_SUBSETS - 1))[None]
    assert np.isnan(ceiling(few, few, np.arange(MIN_SUBSETS - 1), draws)[0])


def test_repeats_of_one_pair_of_seeds_are_resampled_together():
    first = np.arange(20.0)
    second = first + 6 * np.random.default_rng(1).normal(size=20)
    twice = (np.repeat(first, 4)[None], np.repeat(second, 4)[None])
    alone, paired = (
        ceiling(*twice, units, np.random.default_rng(0))[1] for units in (np.arange(80), np.repeat(np.arange(20), 4))
    )
    # four copies of each say no more than one: taken one by one the error halves
    assert alone.hi - alone.lo < 0.7 * (paired.hi - paired.lo)


def test_the_difference_to_the_baseline_is_paired():
    runs, effects = world(noise=2.0)
    scores = {"base": effects, "copy": effects + 0.0, "half": effects * (np.arange(ITEMS) < 8)}
    rows = {row["method"]: row for row in _rows(runs, scores, "base")}
    assert rows["base"]["difference"] is None
    # the truth beats all 1000 random pairings, and no p can be smaller
    assert rows["base"]["p_value"] == rows["base"]["smallest_p"] == 1 / 1001
    # the same score twice differs by nothing, draw by draw, however wide both intervals are
    assert rows["copy"]["difference"] == rows["copy"]["difference_lo"] == rows["copy"]["difference_hi"] == 0.0
    assert rows["half"]["difference_hi"] < 0
    assert rows["base"]["ci_lo"] < rows["base"]["lds"] < rows["base"]["ci_hi"]


def test_runs_that_share_a_unit_are_resampled_together():
    runs, effects = world(noise=3.0, num=40)
    doubled = SubsetRuns(
        masks=np.repeat(runs.masks, 4, axis=0),
        outcomes=np.repeat(runs.outcomes, 4, axis=1),
        units=np.repeat(np.arange(40), 4),
    )
    alone = SubsetRuns(masks=doubled.masks, outcomes=doubled.outcomes, units=np.arange(160))

    def width(of: SubsetRuns) -> float:
        values = lds_draws(predicted(of.masks, effects)[None], of, np.random.default_rng(0))[:, 0]
        return float(values.std())

    # copies carry no information: by unit the error is that of 40 runs, taken one by one it halves
    assert width(doubled) == pytest.approx(width(runs), rel=0.15)
    assert width(alone) < 0.65 * width(doubled)
    assert np.isnan(lds_draws(predicted(runs.masks, effects)[None], _of_units(runs, 2), np.random.default_rng(0))).all()


def test_too_few_or_equal_runs_are_said_to_be_so():
    runs, effects = world(num=MIN_SUBSETS - 1)
    assert {row["status"] for row in _rows(runs, {"truth": effects}, "truth")} == {TOO_FEW}
    runs, effects = world()
    flat = SubsetRuns(masks=runs.masks, outcomes=np.zeros_like(runs.outcomes), units=runs.units)
    rows = _rows(flat, {"truth": effects}, "truth")
    assert {row["status"] for row in rows} == {CONSTANT} and {row["lds"] for row in rows} == {None}


def test_rows_are_those_of_the_model_but_for_their_place_and_the_ceiling():
    own = {"study", "arm", "place", "share", "ceiling", "ceiling_lo", "ceiling_hi", "num_repeats"}
    assert [name for name in Lds.to_schema().columns if name not in own] == list(SCHEMA)
    runs, effects = world(num=20)
    assert {row["status"] for row in _rows(runs, {"truth": effects}, "truth")} == {TESTED}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"outcomes": np.zeros((1, 5))}, "80 subsets"),
        ({"outcomes": np.full((1, NUM), np.nan)}, "80 outcomes are nan"),
        ({"units": np.zeros(3, dtype=np.int64)}, r"\(3,\)"),
    ],
)
def test_runs_that_do_not_fit_are_refused(change, words):
    runs, _ = world()
    fields = {"masks": runs.masks, "outcomes": runs.outcomes, "units": runs.units} | change
    with pytest.raises(ValueError, match=words):
        SubsetRuns(**fields)


def test_scores_that_do_not_fit_are_refused():
    runs, effects = world()
    with pytest.raises(ValueError, match="scores of 3 items"):
        predicted(runs.masks, np.ones((1, 3)))
    with pytest.raises(ValueError, match="40 scores are nan"):
        predicted(runs.masks, np.full((1, ITEMS), np.nan))
    with pytest.raises(ValueError, match="no score 'exposure'"):
        lds_rows(runs, {"truth": effects}, np.random.default_rng(0), baseline="exposure")


def _rows(runs: SubsetRuns, scores, baseline: str) -> list[dict]:
    return lds_rows(runs, scores, np.random.default_rng(0), baseline=baseline).to_dicts()


def _of_units(runs: SubsetRuns, num: int) -> SubsetRuns:
    return SubsetRuns(masks=runs.masks, outcomes=runs.outcomes, units=np.arange(len(runs.masks)) % num)
