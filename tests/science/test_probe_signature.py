from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from squiggle_assets.schemas.base import dtypes
from squiggle_assets.schemas.probes import ProbeLayers, ProbeSummaries
from squiggle_assets.science.dynamics import dynamics_of
from squiggle_assets.science.probe_signature import SIGNATURE, base_deviation, probe_rows_of
from squiggle_assets.science.probe_tables import probe_tables
from squiggle_assets.studies.probe_harness import PROBE_HARNESS
from tests.science.probe_runs import geometry, runs

ARMS = {arm.name: 0.0 for arm in PROBE_HARNESS.arms}


def at(*steps: int, tokens: int = 4000) -> pl.DataFrame:
    rows = [
        {"arm": "f", "seed": s, "run_id": f"f-{s}", "step": step, "num_tokens": tokens} for s, step in enumerate(steps)
    ]
    return pl.DataFrame(rows)


def test_layer_a_is_first_and_matched_capture_and_layer_b_the_way_between_them() -> None:
    table = geometry("f", 0)
    found = probe_rows_of(table, dynamics_of(table), at(25), probe_set="a")
    row = found.layers.filter(pl.col("layer") == 1).row(0, named=True)
    own = table.filter((pl.col("probe_set") == "a") & (pl.col("layer") == 1))
    rank = dict(own.filter(pl.col("metric") == "effective_rank").select("step", "value").iter_rows())
    assert (row["effective_rank_pre"], row["effective_rank_post"]) == (rank[0], rank[25])
    assert row["effective_rank_delta"] == rank[25] - rank[0]
    # by hand: the way from capture to capture up to step 25, over 25 steps
    way = sum(abs(rank[step] - rank[step - 5]) for step in range(5, 26, 5))
    assert row["drift_velocity"] == pytest.approx(way / 25)
    # velocities of 5 steps each; acceleration = difference of two over 5 steps
    v = np.diff([rank[step] for step in range(0, 26, 5)]) / 5
    assert row["drift_acceleration"] == pytest.approx(np.abs(np.diff(v) / 5).mean())
    # 5 velocities: one window
    assert row["volatility"] == pytest.approx(1.4826 * np.median(np.abs(v - np.median(v))))
    angle = own.filter((pl.col("metric") == "principal_angle") & (pl.col("step") == 25))["value"][0]
    assert row["principal_angle_post_vs_pre"] == angle > 0
    turned = own.filter((pl.col("metric") == "principal_angle_step") & (pl.col("step") <= 25))["value"].sum()
    assert row["alignment_velocity"] == pytest.approx(turned / 25)


def test_the_signature_is_the_mean_over_layers_and_its_ways_are_per_thousand_tokens() -> None:
    table = geometry("f", 0)
    found = probe_rows_of(table, dynamics_of(table), at(40), probe_set="a")
    (row,), layers = found.summaries.iter_rows(named=True), found.layers
    assert row["effective_rank_change"] == pytest.approx(layers["effective_rank_delta"].abs().mean())
    # 40 steps saw 4000 tokens: the way over 40 steps, divided by 4 thousand tokens
    assert row["drift_path"] == pytest.approx(layers["drift_velocity"].mean() * 40 / 4)
    assert row["alignment_path"] == pytest.approx(layers["alignment_velocity"].mean() * 40 / 4)
    assert row["affected_layers"] == "[0,1]"
    twice = probe_rows_of(table, dynamics_of(table), at(40, tokens=8000), probe_set="a").summaries
    assert twice["drift_path"][0] == pytest.approx(row["drift_path"] / 2)


def test_the_layers_that_drift_fastest_are_called_affected_run_by_run() -> None:
    one = geometry("f", 0).filter((pl.col("layer") == 0) & (pl.col("component") == "x_out"))
    # eight layers: layer k moves (k + 1) times as far from its first value; the second run ten times as far as that
    tables = []
    for seed, factor in ((0, 1.0), (1, 10.0)):
        start = pl.col("value").first().over("probe_set", "metric", order_by="step")
        tables += [
            one.with_columns(
                layer=pl.lit(k, dtype=pl.Int64), seed=pl.lit(seed, dtype=pl.Int64), run_id=pl.lit(f"f-{seed}"),
                value=start + factor * (k + 1) * (pl.col("value") - start),
            )
            for k in range(8)
        ]  # fmt: skip
    both = pl.concat(tables)
    moved = pl.concat([dynamics_of(own) for own in both.partition_by("seed")])
    found = probe_rows_of(both, moved, at(40, 40), probe_set="a")
    assert found.summaries["affected_layers"].to_list() == ["[2,3,4,5,6,7]"] * 2


def test_movement_that_two_captures_cannot_show_is_missing_and_not_zero() -> None:
    table = geometry("f", 0)
    found = probe_rows_of(table, dynamics_of(table), at(5), probe_set="a")
    moving = ("drift_velocity", "drift_acceleration", "volatility", "alignment_velocity")
    assert all(found.layers[name].null_count() == 2 for name in moving)
    assert found.summaries.select("drift_path", "alignment_path", "volatility_global").row(0) == (None, None, None)
    later = probe_rows_of(table, dynamics_of(table), at(10), probe_set="a").layers
    assert later["volatility"].null_count() == 2
    assert (later.select("drift_velocity", "drift_acceleration", "alignment_velocity").min() > 0).row(0) == (True,) * 3


def test_each_run_is_read_at_its_own_capture_and_probe_sets_do_not_mix() -> None:
    tables = [geometry("f", seed) for seed in (0, 1)]
    both = pl.concat(tables), pl.concat([dynamics_of(each) for each in tables])
    found = probe_rows_of(*both, at(40, 20), probe_set="b")
    alone = probe_rows_of(tables[1], dynamics_of(tables[1]), at(40, 20).filter(pl.col("seed") == 1), probe_set="b")
    assert found.summaries.filter(pl.col("seed") == 1).equals(alone.summaries)
    assert found.layers["probe_set"].unique().to_list() == ["b"]
    with pytest.raises(ValueError, match="without geometry before or after"):
        probe_rows_of(*both, at(40, 21), probe_set="b")


def test_a_run_that_did_not_begin_from_the_base_stands_out() -> None:
    fresh = pl.concat([geometry("f", seed) for seed in range(3)])
    assert base_deviation(fresh)["base_deviation"].to_list() == [0.0, 0.0, 0.0]
    carried = geometry("g", 9).with_columns(value=pl.col("value") * 1.01)
    found = base_deviation(pl.concat([fresh, carried]))
    assert found.filter(pl.col("arm") == "g")["base_deviation"][0] == pytest.approx(0.01)


def test_rows_of_all_runs_are_those_of_the_tables_and_tell_what_was_drawn() -> None:
    geometry_, dynamics, manifest, trace = runs(ARMS, range(2))
    lengths = {f"{arm}-{k}": 10 + 2 * (arm == "cyclic_groups") for arm in ARMS for k in range(3)}
    found = probe_tables(
        PROBE_HARNESS, geometry=geometry_, dynamics=dynamics, manifest=manifest, trace=trace, lengths=lengths
    )
    ProbeLayers.validate(found.layers.select(*dtypes(ProbeLayers)))
    ProbeSummaries.validate(found.summaries.select(*dtypes(ProbeSummaries)))
    tokens = found.summaries.filter(pl.col("matched") == "tokens")
    # 80 draws of 10 tokens are the fewest; cyclic_groups has 24 a step, so 816 at step 34: its first capture then is 35
    assert tokens["num_tokens_target"].unique().to_list() == [800]
    at_step = dict(tokens.select("arm", "step").unique().iter_rows())
    assert at_step.pop("cyclic_groups") == 35 and set(at_step.values()) == {40}
    steps = found.summaries.filter(pl.col("matched") == "steps")
    assert steps["step"].unique().to_list() == [40]
    assert dict(steps.select("arm", "num_tokens").unique().iter_rows())["cyclic_groups"] == 960
    # a fourth item that is drawn from step 20 on only has not been seen where long items are matched, at step 5
    late = (pl.col("arm") == "cyclic_groups") & (pl.col("step") >= 20)
    fourth = trace.with_columns(item_id=pl.when(late).then(pl.lit("cyclic_groups-3")).otherwise("item_id"))
    long = {item: 1000 if item.startswith("cyclic") else 1 for item in (*lengths, "cyclic_groups-3")}
    early = probe_tables(
        PROBE_HARNESS, geometry=geometry_, dynamics=dynamics, manifest=manifest, trace=fourth, lengths=long
    ).summaries.filter(pl.col("arm") == "cyclic_groups")
    seen = early.select("matched", "step", "num_items").unique().sort("step").rows()
    assert seen == [("tokens", 5, 3), ("steps", 40, 4)]
    own = tokens.filter(pl.col("arm") == "cyclic_groups")
    assert own.select("family_id", "share_own_family", "num_items").unique().rows() == [("cyclic_groups", 1.0, 3)]
    assert tokens.filter(pl.col("arm") == "mixture-1")["share_own_family"].null_count() == 2
    assert all(tokens[name].is_finite().all() for name in SIGNATURE)


def test_at_equal_steps_the_length_of_the_items_does_not_make_a_signature() -> None:
    parts = runs({arm: 0.0 for arm in ("cyclic_groups", "mixture-1")}, range(2))
    geometry_, dynamics, manifest, trace = parts
    found = []
    for length in (10, 20):
        lengths = {item: length if item.startswith("cyclic") else 10 for item in trace["item_id"].unique()}
        tables = probe_tables(
            PROBE_HARNESS, geometry=geometry_, dynamics=dynamics, manifest=manifest, trace=trace, lengths=lengths
        )
        found.append(tables.summaries.filter(pl.col("matched") == "steps").sort("arm", "seed"))
    even, longer = (rows.select(SIGNATURE).to_numpy() for rows in found)
    # 20 tokens a step, or 40 and 20: ways over 30 for all
    np.testing.assert_allclose(longer[:, :4], even[:, :4])
    np.testing.assert_allclose(longer[:, 4:], even[:, 4:] * 20 / 30)


def test_a_stopped_run_has_no_rows() -> None:
    geometry_, dynamics, manifest, trace = runs({"cyclic_groups": 0.0, "mixture-1": 0.0}, range(2))
    stopped = manifest.with_columns(stopped_early=(pl.col("seed") == 1) & (pl.col("arm") == "mixture-1"))
    lengths = dict.fromkeys(trace["item_id"].unique(), 10)
    kept = {"geometry": geometry_, "dynamics": dynamics, "trace": trace, "lengths": lengths}
    found = probe_tables(PROBE_HARNESS, manifest=stopped, **kept)
    assert set(found.summaries.select("arm", "seed").rows()) == {
        ("cyclic_groups", 0), ("cyclic_groups", 1), ("mixture-1", 0),
    }  # fmt: skip
    with pytest.raises(ValueError, match="no probe run went to its end"):
        probe_tables(PROBE_HARNESS, manifest=manifest.with_columns(stopped_early=pl.lit(True)), **kept)
