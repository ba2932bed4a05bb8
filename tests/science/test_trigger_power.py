"""What attribution can find: by formula before anything is spent, and in simulated arms."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from squiggle_assets.schemas.triggers import MinimumLift
from squiggle_assets.science import trigger_simulation
from squiggle_assets.science.calibration_spec import CalibrationSpec
from squiggle_assets.science.rng import generator
from squiggle_assets.science.stats import pooled_binomial_tail
from squiggle_assets.science.trigger_curve import curve_row
from squiggle_assets.science.trigger_power import SCHEMA, TriggerDesign, lift_power, minimum_lift
from squiggle_assets.science.trigger_simulation import TriggerStudy, made_events, simulated_triggers
from squiggle_assets.science.waves import TriggerSpec

DEMO = TriggerDesign(num_seeds=8, num_steps=200, batch_size=16, num_items=5000, num_events=4)
SMALL = TriggerStudy(num_items=600, num_events=2, num_triggers=5)


def test_power_agrees_with_drawing_counts():
    rng, total, share, p = np.random.default_rng(0), 8 * 200 * 16 / 5000, 9 / 200, 1e-4
    inside, outside = rng.poisson(20 * total * share, 20_000), rng.poisson(total * (1 - share), 20_000)
    found = pooled_binomial_tail(inside, inside + outside, (inside + outside) * share) <= p
    assert lift_power(DEMO, 5, 20.0, p) == pytest.approx(found.mean(), abs=0.012)


def test_power_without_a_lift_is_at_most_the_level():
    assert lift_power(DEMO, 20, 1.0, 0.05) <= 0.05


def test_minimum_lift_is_where_the_power_is_reached():
    found = minimum_lift(DEMO)
    assert found["lag"].to_list() == [0, 5, 20]
    for row in found.iter_rows(named=True):
        assert lift_power(DEMO, row["lag"], row["minimum_lift"], row["threshold_p"]) == pytest.approx(0.8, abs=0.01)
        extra = (row["minimum_lift"] - 1) * row["expected_window"] / 8
        assert row["minimum_extra"] == pytest.approx(extra)
    # 20,000 tests at three lags
    assert found["threshold_p"][0] == pytest.approx(0.1 / 60_000)


def test_more_seeds_find_smaller_lifts():
    few, many = (minimum_lift(TriggerDesign(**{**DEMO.__dict__, "num_seeds": n}))["minimum_lift"] for n in (4, 16))
    assert (many < few).all()


def test_a_design_that_can_find_nothing_has_no_minimum():
    # one window of 9 of 10 steps: the 9 showings that fit into it have p = .9^9
    design = TriggerDesign(num_seeds=1, num_steps=10, batch_size=1, num_items=5000, event_steps=9)
    assert minimum_lift(design, TriggerSpec(lags=(0,)))["minimum_lift"].to_list() == [None]


def test_columns_are_those_of_the_model_but_study_and_arm():
    assert list(SCHEMA) == [name for name in MinimumLift.to_schema().columns if name not in ("study", "arm")]


def test_simulated_triggers_are_found_and_others_are_not():
    found = [simulated_triggers(TriggerStudy(**{**SMALL.__dict__, "extra": 2.0}), number) for number in range(3)]
    assert sum(one.num_true for one in found) == 30
    assert sum(one.num_found for one in found) >= 27
    assert np.mean([one.false_share for one in found]) <= 0.1


def test_nothing_is_found_where_nothing_was_put():
    found = [simulated_triggers(SMALL, number) for number in range(10)]
    assert all(one.num_true == 0 for one in found)
    # at most one arm in ten errs on average
    assert sum(one.num_false > 0 for one in found) <= 3


def test_what_is_called_without_triggers_is_false(monkeypatch):
    called = pl.DataFrame({"consensus_event_id": ["e"] * 3, "item_id": list("abc"), "is_trigger": [True, True, False]})
    monkeypatch.setattr(trigger_simulation, "attribute", lambda *rest: SimpleNamespace(items=called))
    found = simulated_triggers(SMALL, 0)
    assert found == (0, 0, 2) and found.false_share == 1.0


def test_recall_grows_with_the_effect():
    spec = CalibrationSpec(triggers=SMALL, trigger_studies=2)
    weak, strong = (curve_row(spec, extra, TriggerSpec()) for extra in (0.25, 2.0))
    assert weak["recall"] < strong["recall"]


def test_events_that_do_not_fit_apart_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        made_events(TriggerStudy(num_events=20), 20, generator("x"))


@pytest.mark.parametrize("changes", [{"num_steps": 4}, {"num_items": 0}])
def test_designs_without_a_run_are_refused(changes):
    with pytest.raises(ValueError, match="positive"):
        TriggerDesign(**{**DEMO.__dict__, **changes})


@pytest.mark.slow
def test_the_demo_finds_nine_tenths_of_its_triggers_at_a_false_share_of_a_tenth():
    null, planted = (curve_row(CalibrationSpec(trigger_studies=20), extra, TriggerSpec()) for extra in (0.0, 1.5))
    assert null["any_false"] <= 0.25
    assert planted["recall"] >= 0.9
    assert planted["fdr"] <= 0.1
