"""Ordered matching against brute force and the Hungarian method, and the invariants of consensus events."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from squiggle_assets.science import matching

STEPS = np.arange(2, 62, 2)
TAU = 5.0


def random_cell(seed, num_seeds=5, density=0.12, steps=STEPS):
    draws = np.random.default_rng(seed)
    there = draws.uniform(size=(num_seeds, 2, len(steps))) < density
    return np.where(there, draws.uniform(0.5, 6, size=there.shape), 0).astype(np.float32)


def brute_force(cell, steps, tau):
    """The best total over every choice of at most one event a seed that lies within tau of one capture."""
    best = 0.0
    for side in range(2):
        choices = [[None, *np.flatnonzero(cell[s, side])] for s in range(len(cell))]
        for chosen in product(*choices):
            there = [(s, t) for s, t in enumerate(chosen) if t is not None]
            if there and any(all(abs(steps[t] - centre) <= tau for _, t in there) for centre in steps):
                best = max(best, sum(float(cell[s, side, t]) for s, t in there))
    return best


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("uneven", [False, True])
def test_the_best_total_is_that_of_brute_force(seed, uneven):
    steps = np.cumsum(np.random.default_rng(seed).integers(1, 5, size=20)) if uneven else STEPS[:20]
    cell = random_cell(seed, num_seeds=4, density=0.1, steps=steps)
    found = matching.best_total(matching.scan(cell[None], steps, TAU))
    assert found[0] == pytest.approx(brute_force(cell, steps, TAU), rel=1e-5)


def test_separated_events_are_matched_as_the_hungarian_method_matches_them():
    # three moments far apart, jittered by one capture; each seed's events are assigned to the three centres
    draws, moments = np.random.default_rng(1), np.array([5, 14, 24])
    cell = np.zeros((6, 2, len(STEPS)), dtype=np.float32)
    for s in range(6):
        for m in moments:
            cell[s, 0, m + draws.integers(-1, 2)] = draws.uniform(2, 4)
    found = matching.scan(cell[None], STEPS, TAU)
    centres = np.flatnonzero(matching.centres(found, STEPS, TAU, 6)[0, 0])
    assert len(centres) == 3
    ours = np.array([matching.members(cell[:, 0], STEPS, TAU, int(c)) for c in centres])
    for s in range(6):
        own = np.flatnonzero(cell[s, 0])
        rows, columns = linear_sum_assignment(np.abs(STEPS[centres][:, None] - STEPS[own]))
        np.testing.assert_array_equal(ours[rows, s], own[columns])


def chosen_events(cell, min_support=2):
    found = matching.scan(cell[None], STEPS, TAU)
    chosen = matching.centres(found, STEPS, TAU, min_support)[0]
    return found, [
        (side, int(t), matching.members(cell[:, side], STEPS, TAU, int(t)))
        for side, t in zip(*np.nonzero(chosen), strict=True)
    ]


@given(st.integers(0, 10_000), st.floats(0.02, 0.4))
@settings(max_examples=50, deadline=None)
def test_events_are_used_once_lie_within_tau_and_never_cross(seed, density):
    cell = random_cell(seed, density=density)
    found, events = chosen_events(cell)
    for side in range(2):
        mine = [(t, own) for s, t, own in events if s == side]
        for t, own in mine:
            there = own[own >= 0]
            assert (np.abs(STEPS[there] - STEPS[t]) <= TAU).all()
            assert len(there) == found.support[0, side, t] >= 2
            total = sum(float(cell[s, side, m]) for s, m in enumerate(own) if m >= 0)
            assert total == pytest.approx(float(found.total[0, side, t]), rel=1e-5)
        for (_, first), (_, second) in pairwise(mine):
            both = (first >= 0) & (second >= 0)
            assert (first[both] < second[both]).all()


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_seeds_does_not_matter(seed):
    cell = random_cell(seed)
    order = np.random.default_rng(seed).permutation(len(cell))
    first, second = (matching.scan(each[None], STEPS, TAU) for each in (cell, cell[order]))
    np.testing.assert_allclose(first.total, second.total, rtol=1e-5)
    assert matching.count(first, STEPS, TAU, 3) == matching.count(second, STEPS, TAU, 3)


def test_one_seed_with_many_events_is_one_witness():
    cell = np.zeros((3, 2, len(STEPS)), dtype=np.float32)
    cell[0, 0, 10:13] = 6.0
    found = matching.scan(cell[None], STEPS, TAU)
    assert found.support.max() == 1
    assert matching.best_total(found)[0] == 6.0
    assert matching.count(found, STEPS, TAU, 2)[0] == 0


def test_seeds_that_move_opposite_ways_do_not_agree():
    cell = np.zeros((4, 2, len(STEPS)), dtype=np.float32)
    cell[:2, 0, 10] = cell[2:, 1, 10] = 5.0
    found = matching.scan(cell[None], STEPS, TAU)
    assert found.support.max() == 2
    assert matching.best_total(found)[0] == 10.0


def test_many_problems_at_once_give_what_each_gives_alone():
    cells = np.stack([random_cell(seed) for seed in range(6)])
    together = matching.scan(cells, STEPS, TAU)
    counts = matching.count(together, STEPS, TAU, 3)
    for i, cell in enumerate(cells):
        alone = matching.scan(cell[None], STEPS, TAU)
        np.testing.assert_array_equal(together.total[i], alone.total[0])
        assert counts[i] == matching.count(alone, STEPS, TAU, 3)[0]


def test_strength_is_the_standardised_increment_in_the_events_own_direction_between_floor_and_cap():
    # one draw, one seed, two series of one cell, four captures
    z = np.array([[[[2.0, -1.0, 9.0, 3.0], [5.0, 0.5, 0.0, -4.0]]]])
    plain = np.array([[[[0.3, 0.2, 0.1, 0.4], [0.1, 0.1, 0.1, -0.2]]]])
    peaks = np.array([[[[True, True, True, False], [True, False, False, True]]]])
    found = matching.strengths(z, plain, peaks, np.array([0, 0]))
    # t0: the larger of 2 and 5; t1: z points the other way, so the floor; t2: 9 is capped at 6; t3: down, 4
    np.testing.assert_allclose(found[0, 0, 0, 0], [5.0, matching.FLOOR, matching.CAP, 0.0])
    np.testing.assert_allclose(found[0, 0, 0, 1], [0.0, 0.0, 0.0, 4.0])


def test_tolerance_is_never_below_one_capture_interval():
    assert matching.tolerance(np.arange(0, 100, 2), 5) == 5.0
    assert matching.tolerance(np.arange(0, 100, 10), 5) == 10.0
