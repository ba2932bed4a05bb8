from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from squiggle_assets.science.metrics import ORIENTATION
from squiggle_assets.science.rng import generator
from squiggle_assets.science.run_comparison import ComparedRun, compare_runs

STEPS = np.arange(0, 121, 2)
LAYERS = (0, 1)


def walks(key: str, shared: np.ndarray | None = None, share: float = 0.0) -> np.ndarray:
    """(layers x metrics, captures): a trend and a random walk, a share of whose increments is common."""
    own = generator("walks", key).normal(size=(len(LAYERS) * len(ORIENTATION), len(STEPS) - 1))
    mixed = own if shared is None else np.sqrt(share) * shared + np.sqrt(1 - share) * own
    levels = np.concatenate([np.zeros((len(own), 1)), mixed.cumsum(axis=1)], axis=1)
    return levels + 5 * STEPS


def run(
    name: str, values: np.ndarray | None = None, events: tuple[tuple[int, str, int], ...] = (), **changes: Any
) -> ComparedRun:
    """events: (layer, metric, step), all upwards."""
    spec = {"training": {"lr": 1e-3, "total_steps": 120}, "probe": {"num_tokens": 64}, "seed": 1, **changes}
    manifest = {
        "run_id": f"id-{name}", "arm": "iid", "seed": spec["seed"], "num_updates": 120, "num_captures": len(STEPS),
        "stopped_early": False, "spec_json": json.dumps(spec),
    }  # fmt: skip
    keys = [(layer, metric) for layer in LAYERS for metric in ORIENTATION]
    shown = walks(name) if values is None else values
    geometry = pl.DataFrame(
        [
            {"step": int(step), "probe_set": which, "component": "x_out", "layer": layer, "metric": metric,
             "value": float(value) if which == "a" else 0.0}
            for (layer, metric), series in zip(keys, shown, strict=True)
            for step, value in zip(STEPS, series, strict=True)
            for which in "ab"
        ]
    )  # fmt: skip
    schema = {"step": pl.Int64, "layer": pl.Int64, "metric": pl.String, "polarity": pl.Int64, "probe_set": pl.String,
              "component": pl.String, "event_type": pl.String}  # fmt: skip
    rest = {"polarity": 1, "probe_set": "a", "component": "x_out", "event_type": "change_point"}
    table = pl.DataFrame([{"layer": e[0], "metric": e[1], "step": e[2], **rest} for e in events], schema=schema)
    scalars = pl.DataFrame(
        [{"step": step, "metric": "loss", "value": 3.0 - step / 100} for step in (0, 60, 119)]
        + [{"step": step, "metric": "val_random_loss", "value": 2.0 - step / 100} for step in (0, 120)]
    )
    return ComparedRun(name=name, manifest=manifest, geometry=geometry, events=table, scalars=scalars)


SPREAD = tuple((layer, metric, 10 + 9 * k) for k, metric in enumerate(ORIENTATION) for layer in LAYERS)


def test_settings_that_differ_are_told_and_a_seed_is_no_other_setting() -> None:
    found = compare_runs([run("x"), run("y", seed=2), run("z", training={"lr": 2e-3, "total_steps": 120}, note="n")])
    assert found.settings.rows() == [
        ("note", None, None, '"n"'), ("seed", "1", "2", "1"), ("training.lr", "0.001", "0.001", "0.002"),
    ]  # fmt: skip
    prints = dict(found.runs.select("run", "fingerprint").iter_rows())
    assert prints["x"] == prints["y"] != prints["z"]


def test_a_run_compared_with_itself_moves_alike_and_shares_every_event() -> None:
    first = run("x", events=SPREAD)
    found = compare_runs([first, replace(first, name="again")])
    pair = found.pairs.row(0, named=True)
    assert pair["correlation"] == pytest.approx(1.0) and pair["num_matched"] == len(SPREAD)
    # 60 increments: 59 turns, none as good
    assert pair["correlation_p"] == pytest.approx(1 / 60)
    assert abs(pair["correlation_null_mean"]) < 0.1
    assert found.common.height == len(SPREAD) and found.common["step_sd"].max() == 0
    assert found.settings.is_empty()


def test_runs_without_anything_in_common_do_not_move_alike_though_both_have_a_trend() -> None:
    # levels of the two correlate beyond .99, whatever they are
    one, other = walks("one"), walks("other")
    assert np.corrcoef(one[0], other[0])[0, 1] > 0.99
    p = []
    for number in range(40):
        found = compare_runs([run("a", walks(f"a{number}")), run("b", walks(f"b{number}"))])
        p.append(found.pairs["correlation_p"][0])
    # of 40 at .1 four are expected; 99.9 % of the binomial is at most 11
    assert sum(value <= 0.1 for value in p) <= 11
    assert abs(found.pairs["correlation"][0]) < 0.15


def test_increments_that_runs_share_are_seen_with_their_size() -> None:
    shared = generator("shared").normal(size=(len(LAYERS) * len(ORIENTATION), len(STEPS) - 1))
    found = compare_runs([run("a", walks("a", shared, 0.5)), run("b", walks("b", shared, 0.5))])
    # half of the variance is common: correlation .5
    assert found.pairs["correlation"][0] == pytest.approx(0.5, abs=0.1)
    assert found.pairs["correlation_p"][0] == pytest.approx(1 / 60)
    assert found.series.height == 10 and (found.series["q_value"] <= 0.05).sum() >= 8


def test_events_match_one_to_one_in_the_same_series_and_direction_only() -> None:
    first = run("x", events=((0, "sv_entropy", 40), (0, "sv_entropy", 44), (1, "sv_entropy", 80)))
    second = run("y", events=((0, "sv_entropy", 42), (1, "effective_rank", 80)))
    # step 42 is within 5 of 40 and of 44, and can be matched once; layer 1 has another metric
    assert compare_runs([first, second]).pairs["num_matched"][0] == 1
    down = replace(second, events=second.events.with_columns(polarity=pl.lit(-1, dtype=pl.Int64)))
    assert compare_runs([first, down]).pairs["num_matched"][0] == 0
    # of the first run's events both find the one of the second
    assert compare_runs([first, second]).common["mean_step"].sort().to_list() == [41.0, 43.0]


def test_common_events_must_be_in_all_runs_and_are_held_against_turned_runs() -> None:
    partial = SPREAD[:4]
    found = compare_runs([run("x", events=SPREAD), run("y", events=SPREAD), run("z", events=partial)])
    assert set(found.common.select("layer", "metric").rows()) == {event[:2] for event in partial}
    # one event a series over 122 steps: two others meet it by chance in about (12 / 122)^2 of draws each
    assert found.num_common_null < 0.3 and found.common_p <= 0.01
    assert json.loads(found.common["steps"][0]) == dict.fromkeys(("x", "y", "z"), found.common["mean_step"][0])
    apart = compare_runs([run("x", events=SPREAD), run("y", events=tuple((e[0], e[1], e[2] + 30) for e in SPREAD))])
    assert apart.common.is_empty() and apart.common_p == 1.0


def test_runs_captured_at_other_steps_are_compared_where_they_meet() -> None:
    sparse = run("y")
    sparse = replace(sparse, geometry=sparse.geometry.filter(pl.col("step") % 4 == 0))
    found = compare_runs([run("x"), sparse])
    assert found.pairs["num_captures"][0] == 31 and found.pairs["correlation"].null_count() == 0
    few = replace(sparse, geometry=sparse.geometry.filter(pl.col("step") % 40 == 0))
    nothing = compare_runs([run("x", events=SPREAD), replace(few, events=run("x", events=SPREAD).events)])
    assert nothing.pairs.select("correlation", "correlation_p", "matched_p").row(0) == (None, None, None)
    assert nothing.series.is_empty() and np.isnan(nothing.common_p)


@pytest.mark.parametrize("names", ["xy", "yx"])
def test_an_event_after_the_other_runs_end_matches_nothing_whichever_run_comes_first(names: str) -> None:
    # turned round the 31 common captures (0 to 60), step 100 would be step 38
    short = run("x", events=((0, "sv_entropy", 38),))
    short = replace(short, geometry=short.geometry.filter(pl.col("step") <= 60))
    given = {"x": short, "y": run("y", events=((0, "sv_entropy", 100), (1, "sv_entropy", 30)))}
    found = compare_runs([given[name] for name in names])
    assert found.pairs["num_matched"][0] == 0 and found.common.is_empty()
    # the later one of y is none that x could have
    assert found.pairs.select("num_events_a", "num_events_b").row(0) == (1, 1)


def test_final_scores_are_last_values_and_what_was_not_measured_is_missing() -> None:
    found = compare_runs([run("x"), run("y")])
    rows = {row[0]: row[1:] for row in found.finals.iter_rows()}
    assert rows["loss"] == (pytest.approx(1.81), pytest.approx(1.81))
    assert rows["val_random_loss"] == (pytest.approx(0.8), pytest.approx(0.8))
    assert rows["val_family_loss"] == (None, None)


def test_equal_input_gives_equal_numbers_and_the_probe_set_is_a_choice() -> None:
    runs = [run("x", events=SPREAD), run("y", events=SPREAD)]
    assert compare_runs(runs).pairs.equals(compare_runs(runs).pairs)
    # set b does not move at all here: nothing can correlate
    assert compare_runs(runs, probe_set="b").pairs["correlation"].null_count() == 1


def test_one_run_or_two_of_a_name_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 runs of different names"):
        compare_runs([run("x")])
    with pytest.raises(ValueError, match=r"\['x', 'x'\]"):
        compare_runs([run("x"), run("x")])
