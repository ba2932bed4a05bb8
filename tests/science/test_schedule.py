from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squiggle_assets.science.schedule import schedule
from squiggle_assets.science.spec import TrainingSpec

BASE = TrainingSpec(total_steps=100, lr=1.0, warmup_fraction=0.05, min_warmup_steps=4, decay_fraction=0.2)


def test_boundaries_and_rates_of_a_hundred_steps() -> None:
    # warm-up max(4, 5) = 5, decay 20 -> decay starts at 80; the last update has 0.1 of the peak
    plan = schedule(BASE)
    assert plan.boundaries() == (5, 80, 100)
    assert [plan.lr(s) for s in (0, 3, 4, 5, 79)] == pytest.approx([0.2, 0.8, 1.0, 1.0, 1.0])
    # step 80 is the first of 20 decay steps: 1 - 0.9 / 20; step 89 the tenth: 1 - 0.9 / 2
    assert [plan.lr(s) for s in (80, 89, 99)] == pytest.approx([0.955, 0.55, 0.1])


@pytest.mark.parametrize("multiplier", [2, 3])
def test_a_longer_run_has_the_rates_of_the_shorter_one_up_to_its_decay(multiplier: int) -> None:
    short, long = schedule(BASE), schedule(replace(BASE, step_multiplier=multiplier))
    assert long.boundaries() == (5, 100 * multiplier - 20, 100 * multiplier)
    assert [long.lr(s) for s in range(short.decay_start)] == [short.lr(s) for s in range(short.decay_start)]
    assert long.lr(short.decay_start) > short.lr(short.decay_start)


def test_a_fraction_means_what_is_written() -> None:
    # 0.29 * 100 is 28.999999999999996 in floating point
    assert schedule(replace(BASE, decay_fraction=0.29)).decay_start == 71


def test_a_warmup_that_leaves_no_stable_step_is_clamped_and_said() -> None:
    # 8 steps, decay int(1.6) = 1, so 6 warm-up steps leave one at the peak
    plan = schedule(replace(BASE, total_steps=8, min_warmup_steps=10))
    assert (plan.warmup_end, plan.decay_start, plan.clamped) == (6, 7, True)
    assert plan.clamp_reason == "8 steps with 1 of decay leave 6 of 10 warm-up steps"
    assert schedule(BASE).clamp_reason is None and not schedule(BASE).clamped


@settings(max_examples=50, deadline=None)
@given(
    steps=st.integers(1, 60),
    warmup=st.integers(0, 80),
    fractions=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    multiplier=st.sampled_from([1, 2, 3]),
)
def test_rates_stay_between_nothing_and_the_peak(
    steps: int, warmup: int, fractions: tuple[float, float, float], multiplier: int
) -> None:
    warm, decay, least = fractions
    plan = schedule(
        replace(
            BASE,
            total_steps=steps,
            min_warmup_steps=warmup,
            warmup_fraction=warm,
            decay_fraction=decay,
            min_lr_ratio=least,
            step_multiplier=multiplier,
        )
    )
    rates = [plan.lr(s) for s in range(plan.total_steps)]
    assert len(rates) == steps * multiplier
    assert all(-1e-12 <= rate <= 1 + 1e-12 for rate in rates)
    assert 0 <= plan.warmup_end <= plan.decay_start <= plan.total_steps
    assert sorted(rates[: plan.decay_start]) == rates[: plan.decay_start]
    assert sorted(rates[plan.decay_start :], reverse=True) == rates[plan.decay_start :]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("total_steps", 0),
        ("step_multiplier", 4),
        ("min_warmup_steps", -1),
        ("warmup_fraction", 1.5),
        ("decay_fraction", -0.1),
        ("min_lr_ratio", 2.0),
        ("lr", 0.0),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} .*{value}"):
        schedule(replace(BASE, **{field: value}))


@pytest.mark.parametrize("step", [-1, 100])
def test_there_is_no_rate_outside_the_budget(step: int) -> None:
    with pytest.raises(ValueError, match=f"got {step}"):
        schedule(BASE).lr(step)
