from __future__ import annotations

import math

import pytest

from squiggle_assets.science.milestones import baseline, reached, smoothed


def test_smoothing_starts_at_the_first_loss() -> None:
    # 2; 0.1 * 1 + 0.9 * 2 = 1.9; 0.1 * 0 + 0.9 * 1.9 = 1.71
    assert smoothed([2.0, 1.0, 0.0]) == pytest.approx([2.0, 1.9, 1.71])


def test_the_baseline_is_the_mean_of_ten_losses_after_the_warmup() -> None:
    losses = [9.0, 9.0, *range(10), 99.0]
    assert baseline(losses, 2) == 4.5
    assert math.isnan(baseline(losses[:11], 2))


def test_milestones_of_a_loss_that_drops_once() -> None:
    # 12 losses of 1, then 0: baseline 1 (steps 2..11), smooth after k zeros 0.9^k.
    # 0.2: 0.9^3 = .729 <= .8 first (0.9^2 = .81), step 14; 0.6: 0.9^9 = .387 <= .4 (0.9^8 = .430), step 20
    found = reached([1.0] * 12 + [0.0] * 10, 2, (0.6, 0.2, 0.95))
    assert [(m.step, m.milestone) for m in found] == [(14, 0.2), (20, 0.6)]
    assert found[0].loss_smooth == pytest.approx(0.729)
    assert (found[0].loss_raw, found[0].target_loss, found[0].baseline_loss) == (0.0, 0.8, 1.0)


def test_milestones_do_not_depend_on_the_unit_of_the_loss() -> None:
    losses = [5 - 0.1 * step for step in range(40)]
    steps = [m.step for m in reached(losses, 3, (0.2, 0.4))]
    assert steps == [m.step for m in reached([7 * loss for loss in losses], 3, (0.2, 0.4))]
    assert len(steps) == 2


def test_a_constant_loss_reaches_nothing() -> None:
    assert reached([3.0] * 50, 5, (0.2, 0.4, 0.6, 0.8)) == []


def test_nothing_is_reached_before_the_baseline_is_known() -> None:
    assert reached([5.0] + [0.0] * 10, 2, (0.2,)) == []


@pytest.mark.parametrize("drop", [0.0, 1.0, -0.2, 20.0])
def test_a_drop_that_is_no_share_is_refused(drop: float) -> None:
    with pytest.raises(ValueError, match=str(drop)):
        reached([1.0], 0, (drop,))
