from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from squiggle_assets.schemas.probes import ProbeEventCorrelation, ProbeEventStatus
from squiggle_assets.science.cells import Schedule
from squiggle_assets.science.probe_correlation import Correlation, _pools, correlate
from squiggle_assets.science.probe_series import COVARIATES, covariates_of, probe_series, standardised, without
from squiggle_assets.science.rng import generator
from squiggle_assets.science.spec import ConsensusSpec

SEEDS = (7, 19, 42, 88, 123, 311)
SPEC = ConsensusSpec(draws_per_cell=20)
SCHEDULE = Schedule(warmup_end=10, decay_start=170)
FAMILIES = {"a": ("cyclic_groups", "optimization"), "b": ("logic_proof",)}
CAPTURES = np.arange(0, 201, 2)


def losses_of(effect: float = 0.0, seeds: tuple[int, ...] = SEEDS) -> pl.DataFrame:
    """Three items (two of one family); from step 100 on cyclic_groups of set a falls by `effect` more each capture."""
    rows = []
    for seed in seeds:
        draws = generator("made losses", seed)
        for which, families in FAMILIES.items():
            for family in families:
                walk = 3 - np.cumsum(0.02 + 0.01 * draws.normal(size=len(CAPTURES)))
                if (which, family) == ("a", "cyclic_groups"):
                    walk = walk - effect * np.maximum(0, CAPTURES - 98) / 2
                for item, num in (("one", 10), ("two", 30)):
                    for step, loss in zip(CAPTURES, walk, strict=True):
                        shown = {"item_id": f"{family}-{item}", "num_tokens": num, "accuracy": float(np.exp(-loss / 5))}
                        rows.append(
                            {
                                "seed": seed,
                                "step": int(step),
                                "probe_set": which,
                                "family_id": family,
                                "loss": loss,
                                **shown,
                            }
                        )
    return pl.DataFrame(rows)


def scalars_of(seeds: tuple[int, ...] = SEEDS) -> pl.DataFrame:
    rows = []
    for seed in seeds:
        draws = generator("made scalars", seed)
        for step in range(200):
            rate = min(1, (step + 1) / 10) * (1 if step < 170 else 1 - (step - 170) / 40)
            values = {"lr": 1e-3 * rate, "loss": 3 * np.exp(-step / 80) + 0.1 * draws.normal(),
                      "grad_norm": 1 + 0.1 * draws.normal()}  # fmt: skip
            rows += [{"seed": seed, "step": step, "metric": name, "value": value} for name, value in values.items()]
    return pl.DataFrame(rows)


def events_of(*steps: int, seeds: tuple[int, ...] = SEEDS) -> pl.DataFrame:
    shared = {"probe_set": "a", "band": "layers_0_1", "metric_group": "spectral", "layer_lo": 0, "layer_hi": 1}
    return pl.DataFrame(
        [
            {
                "consensus_event_id": f"event-{step}",
                "median_step": float(step),
                "constituents": json.dumps({str(seed): {"step": step} for seed in seeds[1:]}),
                **shared,
            }
            for step in steps
        ],
        schema_overrides={"median_step": pl.Float64},
    )


def singles_of(num: int = 5, seeds: tuple[int, ...] = SEEDS) -> pl.DataFrame:
    rows = [
        {
            "seed": seed,
            "probe_set": "a",
            "layer": k % 2,
            "metric": "sv_entropy",
            "step": 30 + 2 * ((17 * k + seed) % 70),
        }
        for seed in seeds
        for k in range(num)
    ]
    schema = {"seed": pl.Int64, "probe_set": pl.String, "layer": pl.Int64, "metric": pl.String, "step": pl.Int64}
    return pl.DataFrame(rows, schema=schema)


def correlated(events: pl.DataFrame, losses: pl.DataFrame, singles: pl.DataFrame | None = None, **kept) -> Correlation:
    given = {"arm": "iid", "analysis_id": "x", "schedule": SCHEDULE, "spec": SPEC, **kept}
    return correlate(events, singles_of() if singles is None else singles, losses, scalars_of(), **given)


@pytest.fixture(scope="module")
def coupled() -> Correlation:
    return correlated(events_of(100), losses_of(0.05))


def test_the_family_that_turns_at_the_event_is_found_and_no_other(coupled: Correlation) -> None:
    rows = {row["probe_id"]: row for row in coupled.correlation.iter_rows(named=True)}
    assert len(rows) == 6
    turned = {name for name, row in rows.items() if row["q"] <= 0.05}
    assert turned == {"a.cyclic_groups.loss", "a.cyclic_groups.accuracy"}
    hit = rows["a.cyclic_groups.loss"]
    # the loss falls by .05 more each capture from the event on, and accuracy rises
    assert hit["change_pre_post"] == pytest.approx(-0.05, abs=0.015)
    assert hit["xcorr"] < -0.8 and rows["a.cyclic_groups.accuracy"]["xcorr"] > 0.5
    assert hit["n_seeds"] == 6 and hit["p_null"] == max(hit["p_shift"], hit["p_other_seeds"])


def test_without_a_coupling_nothing_is_found_and_the_status_says_what_was_tested() -> None:
    found = correlated(events_of(60, 100), losses_of())
    assert found.correlation.height == 12 and (found.correlation["q"] > 0.05).all()
    status = found.status.row(0, named=True)
    assert (status["status"], status["num_events"], status["num_probes"], status["num_significant"]) == (
        "tested", 2, 6, 0,
    )  # fmt: skip
    # 20 draws a test, 2 events, 6 probes
    assert status["num_draws"] == 240 and status["smallest_p"] == pytest.approx(1 / 241)


def test_tables_are_those_that_the_schemas_declare(coupled: Correlation) -> None:
    ProbeEventCorrelation.validate(coupled.correlation)
    ProbeEventStatus.validate(coupled.status)
    nothing = correlated(events_of(100)[:0], losses_of())
    ProbeEventCorrelation.validate(nothing.correlation)
    ProbeEventStatus.validate(nothing.status)


def test_where_nothing_can_be_tested_a_row_says_why() -> None:
    none = losses_of(seeds=SEEDS[:1])
    assert correlated(events_of(100)[:0], losses_of()).status["status"].to_list() == ["no events"]
    assert correlated(events_of(4), losses_of()).status["status"].to_list() == ["no events"]
    assert correlated(events_of(100), none).status["status"].to_list() == ["too few seeds"]
    assert correlated(events_of(100), none[:0]).status["status"].to_list() == ["no probes"]


def test_the_second_null_draws_from_the_same_cell_of_other_seeds_only() -> None:
    event = events_of(100).row(0, named=True)
    series = probe_series(losses_of(), scalars_of())
    # seed 7 alone has many events; and events of another metric, layer or probe set are of other cells
    row = {"probe_set": "a", "layer": 0, "metric": "sv_entropy"}
    own = [{"seed": 7, "step": 40 + 2 * k, **row} for k in range(20)]
    others = [{"seed": 19, "step": 60 + 2 * k, **row} for k in range(6)]
    foreign = [
        {"seed": 42, "step": 120, **row, "metric": "sparsity_proxy"},
        {"seed": 42, "step": 122, **row, "layer": 2},
        {"seed": 42, "step": 124, **row, "probe_set": "b"},
    ]
    pools = _pools(event, pl.DataFrame([*own, *others, *foreign]), series)
    # the increment at index k ends at the capture of step 2 (k + 1)
    assert pools is not None and pools[SEEDS.index(7)].tolist() == [29 + k for k in range(6)]
    assert sorted(pools[SEEDS.index(19)].tolist()) == [19 + k for k in range(20)]
    assert max(map(max, pools)) == 38
    assert _pools(event, pl.DataFrame([*own, *foreign]), series) is None


def test_an_event_near_an_end_in_one_seed_is_not_tested_at_all() -> None:
    event = events_of(100).with_columns(constituents=pl.lit(json.dumps({"19": {"step": 4}})))
    assert correlated(event, losses_of()).status["status"].to_list() == ["no events"]


def test_every_event_has_draws_of_its_own() -> None:
    # the same event twice under two names: the same statistic, other draws
    both = events_of(100, 102).with_columns(
        median_step=pl.lit(100.0), constituents=pl.lit(json.dumps({"19": {"step": 100}}))
    )
    rows = correlated(both, losses_of(), spec=replace(SPEC, draws_per_cell=40)).correlation
    first, second = rows.partition_by("consensus_event_id", maintain_order=True)
    assert first["statistic"].to_list() == second["statistic"].to_list()
    assert first["p_shift"].to_list() != second["p_shift"].to_list()


def test_with_too_few_events_of_other_seeds_only_the_shift_speaks() -> None:
    found = correlated(events_of(100), losses_of(0.05), singles_of(0)).correlation
    assert found["p_other_seeds"].null_count() == 6 and found["null_id"].unique().to_list() == ["shift"]
    assert (found["p_null"] == found["p_shift"]).all()


def test_equal_input_gives_equal_rows_and_the_order_of_events_is_of_no_consequence(coupled: Correlation) -> None:
    again = correlated(events_of(100), losses_of(0.05).sample(fraction=1.0, shuffle=True, seed=1))
    assert again.correlation.equals(coupled.correlation)


# ---- the series


def test_a_family_is_the_mean_over_its_tokens() -> None:
    one = losses_of(seeds=SEEDS[:2]).with_columns(
        loss=pl.when(pl.col("item_id").str.ends_with("one")).then(4.0 - pl.col("step") / 100).otherwise(0.0)
    )
    series = probe_series(one, scalars_of(SEEDS[:2]))
    assert [probe.name for probe in series.probes[:3]] == [
        "a.cyclic_groups.loss", "a.cyclic_groups.accuracy", "a.optimization.loss",
    ]  # fmt: skip
    assert series.steps.tolist() == CAPTURES[1:].tolist()
    # 10 of 40 tokens fall by .02 a capture: .005 a capture, all of it a constant that is taken out
    assert np.abs(series.rest[:, 0]).max() < 1e-12
    # a jump of 1 of the short item is one of a quarter
    jump = one.with_columns(
        loss=pl.when(pl.col("item_id").str.ends_with("one")).then(pl.col("step") >= 100).otherwise(0)
    )
    own = probe_series(jump.with_columns(pl.col("loss").cast(pl.Float64)), scalars_of(SEEDS[:2])).rest[:, 0]
    assert np.abs(own).max() == pytest.approx(0.25, abs=0.02)


def test_covariates_are_means_over_the_updates_between_two_captures() -> None:
    values = {"lr": [1.0, 2.0, 4.0, 8.0, 16.0], "loss": [0.0] * 5, "grad_norm": [3.0] * 5}
    rows = [{"seed": 1, "step": k, "metric": m, "value": v} for m, own in values.items() for k, v in enumerate(own)]
    found = covariates_of(pl.DataFrame(rows), [1], np.array([0, 2, 5]))
    # updates 0 and 1, then 2 to 4
    assert found[0, COVARIATES.index("lr")].tolist() == [1.5, pytest.approx(28 / 3)]
    with pytest.raises(ValueError, match=r"seed 1: no lr at steps \[5\]"):
        covariates_of(pl.DataFrame(rows), [1], np.array([0, 2, 6]))


def test_what_the_covariates_explain_is_gone_and_what_they_do_not_is_left() -> None:
    draws = np.random.default_rng(0)
    covariates = draws.normal(size=(2, 3, 60)) * np.array([1e-4, 1.0, 100.0])[:, None]
    own = draws.normal(size=(2, 1, 60))
    explained = np.einsum("sct,c->st", covariates, [3e4, -2.0, 0.01])[:, None] + np.linspace(0, 5, 60)
    np.testing.assert_allclose(without(explained, covariates), 0.0, atol=1e-9)
    rest = without(own + explained, covariates)
    np.testing.assert_allclose(rest, without(own, covariates), atol=1e-9)
    assert np.corrcoef(rest[0, 0], own[0, 0])[0, 1] > 0.9


def test_sizes_that_the_seeds_share_in_time_are_divided_out() -> None:
    draws = np.random.default_rng(1)
    size = np.where(np.arange(200) < 100, 1.0, 5.0)
    z = standardised(draws.normal(size=(8, 2, 200)) * size)
    ratio = z[..., 120:].std() / z[..., :80].std()
    assert ratio == pytest.approx(1.0, abs=0.1)
    assert (standardised(np.zeros((3, 1, 30))) == 0).all()


def test_seeds_measured_at_other_captures_and_losses_that_are_no_number_are_refused() -> None:
    losses = losses_of()
    ragged = losses.filter((pl.col("seed") != 7) | (pl.col("step") != 50))
    with pytest.raises(ValueError, match="measured at different captures"):
        probe_series(ragged, scalars_of())
    broken = losses.with_columns(loss=pl.when(pl.col("step") == 60).then(float("nan")).otherwise(pl.col("loss")))
    with pytest.raises(ValueError, match="no number"):
        probe_series(broken, scalars_of())


def test_a_seed_without_a_part_in_the_event_is_looked_at_its_median_step() -> None:
    # the first seed is no constituent; moving the event of the others moves only theirs
    event = events_of(100).with_columns(constituents=pl.lit(json.dumps({"19": {"step": 102}})))
    moved = correlated(event, losses_of(0.05), spec=replace(SPEC, draws_per_cell=5))
    same = correlated(events_of(100), losses_of(0.05), spec=replace(SPEC, draws_per_cell=5))
    assert moved.correlation["statistic"][0] != same.correlation["statistic"][0]
