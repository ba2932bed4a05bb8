"""The calibration table: what every check says, what had to come out, and what nobody judges."""

from __future__ import annotations

import dataclasses
import json
from functools import cache

import numpy as np
import polars as pl
import pytest
from scipy.stats import beta

from squiggle_assets.schemas.calibration import Calibration, Lds, SubsetOutcomes, TriggerRecall
from squiggle_assets.science import lds, subset_lds, trigger_curve
from squiggle_assets.science.aa_test import Scenario
from squiggle_assets.science.calibration import (
    aa_rows,
    calibration_table,
    enough_subsets,
    lds_check_rows,
    lds_claim,
    planted_rows,
    resplit_rows,
    side_of,
    trigger_rows,
)
from squiggle_assets.science.calibration_spec import CalibrationSpec, CalibrationStudy
from squiggle_assets.science.claim_rows import claim_rows
from squiggle_assets.science.simulation import Design
from squiggle_assets.science.spec import Arm, BaseModelSpec, PoolSpec, ProbeSpec, Profile, SplitSpec, TrainingSpec
from squiggle_assets.science.stats import NO_INTERVAL
from squiggle_assets.science.subset_lds import OUTCOMES_SCHEMA, SubsetRun, distinct_seeds, outcome_rows, scored
from squiggle_assets.science.trigger_curve import CURVE_SCHEMA, curve_row, curve_table
from squiggle_assets.science.trigger_simulation import TriggersFound, TriggerStudy
from squiggle_assets.science.waves import FollowUp, TriggerSpec
from tests.science.simulated_study import study as simulated_study

SPEC = CalibrationSpec(scenarios=(Scenario(name="white", design=Design(num_seeds=16)),))


def simulated(num: int, rejected: int) -> pl.DataFrame:
    return pl.DataFrame({"scenario": ["white"] * num, "rejected": [at < rejected for at in range(num)]})


def study(**changes) -> CalibrationStudy:
    fields = {field.name: getattr(simulated_study(), field.name) for field in dataclasses.fields(simulated_study())}
    subsets = tuple(FollowUp(parent="planted", condition=each) for each in ("subset", "repeat"))  # type: ignore[arg-type]
    return CalibrationStudy(**{**fields, "contrasts": (), "followups": subsets, **changes})


@pytest.mark.parametrize(("rejected", "held"), [(0, True), (16, True), (17, False)])
def test_16_of_200_rejections_pass_and_17_do_not(rejected, held):
    (row,) = aa_rows(simulated(200, rejected), SPEC)
    assert (row["value"], row["bound"], row["side"], row["num"]) == (rejected / 200, 0.08, "at most", 200)
    assert row["passed"] is held and row["dependent"] is False
    # Clopper & Pearson by quantiles of the beta distribution
    assert row["ci_hi"] == pytest.approx(beta.ppf(0.975, rejected + 1, 200 - rejected))
    assert row["ci_lo"] == pytest.approx(beta.ppf(0.025, rejected, 201 - rejected) if rejected else 0.0)


def test_what_could_not_reject_or_was_not_simulated_is_no_check_that_held():
    never = pl.DataFrame({"scenario": ["white"] * 9, "rejected": pl.Series([None] * 9, dtype=pl.Boolean)})
    for table in (never, never.clear()):
        (row,) = aa_rows(table, SPEC)
        assert (row["what"], row["value"], row["num"], row["passed"]) == ("white", None, 0, None)
        Calibration.validate(calibration_table([row], "calibration"))
    # of 9 and 4 studies only the 4 count
    (row,) = aa_rows(pl.concat([never, simulated(4, 1)]), SPEC)
    assert (row["value"], row["num"]) == (0.25, 4)
    splits = pl.DataFrame({"arm": ["iid"] * 3, "rejected": pl.Series([None] * 3, dtype=pl.Boolean)})
    (row,) = resplit_rows(splits, {"iid": 9}, SPEC)
    assert (row["value"], row["num"]) == (None, 0)


def test_resplits_are_dependent_and_nobody_judges_them():
    table = pl.DataFrame({"arm": ["iid"] * 4, "rejected": [True, False, False, False]})
    iid, placebo = resplit_rows(table, {"iid": 24, "placebo": 9}, SPEC)
    assert iid["dependent"] and iid["value"] == 0.25 and iid["num"] == 4
    assert [iid[name] for name in ("bound", "ci_lo", "ci_hi", "passed")] == [None] * 4
    # 24 runs hold one pair of disjoint eights
    assert "8 against 8" in iid["method"] and ", 1 of them could be disjoint" in iid["method"]
    assert "fewer than the 24 runs" not in iid["method"]
    assert placebo["value"] is None and "4 against 4" in placebo["method"] and "fewer than the 24" in placebo["method"]


def test_a_side_has_eight_runs_or_half_of_what_there_is():
    assert [side_of(num, SPEC) for num in (1, 9, 16, 24)] == [0, 4, 8, 8]


# ---- known triggers


def found(monkeypatch, *results: TriggersFound) -> dict:
    numbers = iter(results)
    monkeypatch.setattr(trigger_curve, "simulated_triggers", lambda *rest: next(numbers))
    spec = dataclasses.replace(SPEC, trigger_studies=len(results))
    return dict(curve_row(spec, 1.0, TriggerSpec()))


def test_a_point_of_the_curve_by_hand(monkeypatch):
    # 30 of 40 pairs found; false shares 0, 1/4 and 0 / 0 = 0: mean 1/12; one arm of three has a false trigger
    row = found(monkeypatch, TriggersFound(20, 20, 0), TriggersFound(10, 9, 3), TriggersFound(10, 1, 0))
    assert (row["num_true"], row["num_found"], row["num_false"], row["num_studies"]) == (40, 30, 3, 3)
    assert row["recall"] == 0.75 and row["fdr"] == pytest.approx(1 / 12) and row["any_false"] == pytest.approx(1 / 3)
    # all of the first arm, a tenth of the last one: the bootstrap over arms is wider than the exact beta quantiles
    assert row["recall_lo"] < beta.ppf(0.025, 30, 11) and row["recall_hi"] > beta.ppf(0.975, 31, 10)
    assert 0.0 <= row["fdr_lo"] <= row["fdr"] <= row["fdr_hi"] <= 0.25


def test_where_all_arms_are_alike_the_intervals_are_exact_and_no_points(monkeypatch):
    row = found(monkeypatch, *[TriggersFound(10, 10, 0)] * 4)
    assert (row["recall_lo"], row["recall_hi"]) == (pytest.approx(beta.ppf(0.025, 40, 1)), 1.0)
    # no false call in 4 arms: a share of up to 1 - .025 ** (1 / 4)
    assert (row["fdr_lo"], row["fdr_hi"]) == (0.0, pytest.approx(1 - 0.025**0.25))
    # without triggers every call is false: the mean share is the share of arms
    row = found(monkeypatch, *[TriggersFound(0, 0, 0)] * 3, TriggersFound(0, 0, 2))
    assert row["fdr"] == row["any_false"] == 0.25
    assert (row["fdr_lo"], row["fdr_hi"]) == (row["any_false_lo"], row["any_false_hi"])


def test_the_interval_of_recall_covers_arms_that_differ(monkeypatch):
    # 30 arms of 40 pairs whose own recall varies by .2: sd of their mean .0365 + sampling, exact over 1200 pairs .014
    draws, covered = np.random.default_rng(2), 0
    for _ in range(40):
        recalls = np.clip(0.5 + 0.2 * draws.normal(size=30), 0, 1)
        row = found(monkeypatch, *(TriggersFound(40, int(draws.binomial(40, p)), 0) for p in recalls))
        covered += row["recall_lo"] <= 0.5 <= row["recall_hi"]
    # Binomial(40, .95): at least 33 with probability .998; the exact interval alone covers about 55 %
    assert covered >= 33


def test_without_effect_there_is_no_recall_and_the_table_says_so(monkeypatch):
    row = found(monkeypatch, *[TriggersFound(0, 0, 0)] * 4)
    assert np.isnan(row["recall"])
    table = curve_table([{**row, "extra": 1.0}, {**row, "extra": 0.0}])
    TriggerRecall.validate(table)
    assert table["extra"].to_list() == [0.0, 1.0] and table["recall"].to_list() == [None, None]
    assert dict(table.schema) == {name: kind() for name, kind in CURVE_SCHEMA.items()}


def curve(**recall: float) -> pl.DataFrame:
    """Points by their effect in tenths ('e10' is 1.0), all with an fdr of .05."""
    rows = []
    for name, value in recall.items():
        extra = int(name[1:]) / 10
        shares = {f"any_false{end}": 0.025 for end in ("", "_lo", "_hi")} | {
            f"fdr{end}": 0.05 for end in ("", "_lo", "_hi")
        }
        counts = {"num_studies": 40, "num_true": 1600, "num_found": 0, "num_false": 1}
        rows.append({"extra": extra, **counts, **{f"recall{end}": value for end in ("", "_lo", "_hi")}, **shares})
    return curve_table(rows)


@pytest.mark.parametrize(("recall", "held"), [(0.9, True), (0.899, False)])
def test_recall_has_to_reach_the_bound_at_the_registered_effect(recall, held):
    spec = dataclasses.replace(SPEC, extras=(0.0, 0.5, 1.0))
    rows = trigger_rows(curve(e0=float("nan"), e5=0.5, e10=recall), spec)
    assert [row["passed"] for row in rows] == [held, True, None, None]
    assert rows[0]["bound"] == 0.9 and rows[1]["side"] == "at most" and "16 a step, 5000 items" in rows[0]["what"]
    # .5 at .5 and .95 at 1.0 would meet .9 at .5 + .5 * .4 / .45
    rows = trigger_rows(curve(e0=float("nan"), e5=0.5, e10=0.95), spec)
    assert rows[3]["value"] == pytest.approx(0.5 + 0.5 * 0.4 / 0.45)


def test_where_no_size_is_found_the_smallest_one_is_unknown():
    rows = trigger_rows(curve(e5=0.1, e10=0.2), dataclasses.replace(SPEC, extras=(0.5, 1.0)))
    assert rows[-1]["value"] is None and rows[-1]["passed"] is None
    assert len(rows) == 3


@pytest.mark.slow
def test_a_trigger_shown_once_more_a_window_is_found_nine_times_in_ten():
    row = curve_row(dataclasses.replace(SPEC, trigger_studies=10), 1.0, TriggerSpec())
    assert row["recall"] >= 0.9 and row["fdr"] <= 0.1


# ---- subsets and their score


def subset_runs(num_seeds: int = 12, noise: float = 0.2) -> list[SubsetRun]:
    """Runs on halves of 20 items of which the last two are planted; the outcome is their number and noise."""
    draws, runs = np.random.default_rng(0), []
    masks = {seed: draws.permutation(20) < 10 for seed in range(num_seeds)}
    for followup in study().followups:
        for seed in masks:
            mask = masks[seed] if followup.condition == "subset" else masks[seed ^ 1]
            outcome = float(mask[-2:].sum() + noise * draws.normal())
            runs.append(SubsetRun(followup, seed, f"{followup.name}-{seed}", mask, False, outcome))
    return runs


def scores() -> dict[str, np.ndarray]:
    lift = np.zeros((1, 20))
    lift[0, -2:] = 1.0
    return {"triggers": lift, "lift": lift + 0.0, "exposure": np.arange(20.0)[None] % 7, "frequency": lift + 0.0,
            "loss": -lift, "planted": np.sign(lift)}  # fmt: skip


def lds_table(runs: list[SubsetRun]) -> pl.DataFrame:
    table = scored(runs, scores(), range(12), np.random.default_rng(0))
    names = {"study": "calibration", "arm": "planted", "place": "somewhere"}
    own = [pl.lit(text).alias(name) for name, text in names.items()]
    return table.select(*own, pl.lit(0.5).alias("share"), pl.all())


def test_outcomes_count_items_and_planted_ones():
    runs = subset_runs()
    runs[0] = runs[0]._replace(stopped_early=True, outcome=None)
    table = outcome_rows(runs, 2)
    SubsetOutcomes.validate(table)
    assert dict(table.schema) == {name: kind() for name, kind in OUTCOMES_SCHEMA.items()}
    assert set(table["num_items"]) == {10} and set(table["num_planted"]) <= {0, 1, 2}
    assert table.filter("stopped_early")["outcome"].to_list() == [None]
    assert distinct_seeds(table) == 11


def test_the_score_of_subsets_finds_the_planted_items_and_repeats_give_the_ceiling():
    table = lds_table(subset_runs())
    Lds.validate(table)
    rows = {row["method"]: row for row in table.iter_rows(named=True)}
    assert set(rows) == {"triggers", "lift", "exposure", "frequency", "loss", "planted", "random"}
    assert rows["lift"]["lds"] > 0.7 and rows["loss"]["lds"] == pytest.approx(-rows["lift"]["lds"])
    # only runs of condition subset are scored, the repeats serve the ceiling
    assert rows["lift"]["num_subsets"] == 12 and rows["lift"]["num_repeats"] == 12
    assert rows["lift"]["ceiling"] > 0.7


def test_runs_of_a_seed_are_one_unit_and_its_first_subset_is_the_one_repeated(monkeypatch):
    seen = {}
    monkeypatch.setattr(subset_lds, "lds_rows", lambda runs, *rest, **more: seen.update(runs=runs) or pl.DataFrame())
    monkeypatch.setattr(
        subset_lds,
        "ceiling",
        lambda first, second, units, draws: seen.update(first=first, units=units) or (0.5, NO_INTERVAL),
    )
    second = FollowUp(parent="planted", condition="subset", draw=1)  # type: ignore[arg-type]
    runs = subset_runs()
    more = [run._replace(followup=second, outcome=99.0) for run in runs if run.followup.condition == "subset"]
    scored([*runs, *more], scores(), range(12), np.random.default_rng(0))
    assert seen["runs"].units.tolist() == [*range(12), *range(12)]
    firsts = [run.outcome for run in runs if run.followup.condition == "subset"]
    assert seen["first"][0].tolist() == firsts and seen["units"].tolist() == [at // 2 for at in range(12)]


def test_a_run_without_an_outcome_is_in_no_score():
    runs = subset_runs()
    at = next(n for n, run in enumerate(runs) if run.followup.condition == "subset")
    runs[at] = runs[at]._replace(outcome=None)
    table = lds_table(runs)
    assert set(table["num_subsets"]) == {11} and set(table["num_repeats"]) == {11}
    nothing = lds_table([run._replace(outcome=None) for run in runs])
    Lds.validate(nothing)
    assert set(nothing["status"]) == {lds.TOO_FEW} and nothing["ceiling"].to_list() == [None] * 7


@cache
def usual_table() -> pl.DataFrame:
    return lds_table(subset_runs())


def judged(table: pl.DataFrame, num_seeds: int = 12) -> pl.DataFrame:
    claim = lds_claim(table, "planted", num_seeds)
    return claim_rows(study(), [[claim]], stopped={}, preregistered=True, scale="test", analysis_id="x")


def test_the_claim_about_attribution_is_held_against_exposure():
    claims = judged(usual_table())
    row = claims.row(0, named=True)
    assert (row["claim"], row["control"], row["verdict"]) == ("lds:planted", "exposure", "supported")
    assert row["control_ci_lo"] > 0 and row["n_seeds"] == 12
    # the same lift where exposure knows as much: nothing is claimed beyond it
    table = usual_table().with_columns(difference=pl.lit(0.0), difference_lo=pl.lit(-0.1))
    assert judged(table)["verdict"][0] == "not supported"


def test_a_score_that_could_not_be_tested_is_an_underpowered_claim_and_no_check():
    table = lds_table([run._replace(outcome=None) for run in subset_runs()])
    claims = judged(table, 0)
    assert claims["verdict"][0] == "underpowered"
    rows = lds_check_rows(table, claims, SPEC)
    assert {row["passed"] for row in rows} == {None} and rows[-1]["what"] == "planted: ceiling"


def test_checks_of_the_score_take_their_verdict_from_the_claim():
    table = usual_table()
    rows = {row["what"]: row for row in lds_check_rows(table, judged(table), SPEC)}
    assert rows["planted: triggers"]["passed"] is True and rows["planted: exposure"]["passed"] is None
    assert rows["planted: triggers"]["value"] == table.filter(pl.col("method") == "triggers")["lds"][0]
    assert rows["planted: ceiling"]["value"] == table["ceiling"][0]


def test_fewer_subset_runs_than_registered_are_said_to_be_fewer():
    table, fewer = usual_table(), dataclasses.replace(SPEC, min_subsets=13)
    assert enough_subsets(table, dataclasses.replace(SPEC, min_subsets=12)) and not enough_subsets(table, fewer)
    methods = [row["method"] for row in lds_check_rows(table, judged(table), fewer)[:-1]]
    assert all("fewer than the 13 runs" in method for method in methods)


def test_the_truth_says_how_far_beyond_exposure_a_score_can_be():
    table = usual_table()
    truth = table.filter(pl.col("method") == "planted").row(0, named=True)
    evidence = json.loads(judged(table)["evidence"][0])
    assert evidence["truth_beyond_exposure"] == truth["difference"] > 0
    rows = {row["what"]: row for row in lds_check_rows(table, judged(table), SPEC)}
    assert f"{truth['difference']:.3g} [" in rows["planted: planted"]["method"]
    assert rows["planted: planted"]["passed"] is None and "truth" not in rows["planted: triggers"]["method"]


@pytest.mark.parametrize(
    ("planted", "placebo", "held"),
    [("supported", "not supported", [True, True]), ("not supported", "exploratory", [False, False])],
)
def test_the_planted_effect_must_be_supported_and_the_placebo_must_not(planted, placebo, held):
    rows = [("planted:planted", planted), ("planted:placebo", placebo)]
    shared = {"estimate": 3.0, "unit": "sd", "ci_lo": 2.0, "ci_hi": 4.0, "n_seeds": 8, "q_value": 0.01}
    claims = pl.DataFrame([{"claim": claim, "verdict": verdict, **shared} for claim, verdict in rows])
    assert [row["passed"] for row in planted_rows(study(), claims)] == held
    unknown = claims.with_columns(q_value=pl.lit(None, pl.Float64))
    assert [row["passed"] for row in planted_rows(study(), unknown)] == [None, None]
    nothing = planted_rows(study(), claims.clear())
    assert [(row["check"], row["value"], row["passed"]) for row in nothing] == [
        ("planted_effect", None, None), ("placebo", None, None),
    ]  # fmt: skip
    Calibration.validate(calibration_table(nothing, "calibration"))


def test_the_table_of_checks_is_that_of_its_model():
    rows = [
        *aa_rows(simulated(200, 4), SPEC),
        *resplit_rows(pl.DataFrame({"arm": ["iid"], "rejected": [False]}), {"iid": 24}, SPEC),
        *trigger_rows(curve(e0=float("nan"), e5=0.5, e10=0.95), dataclasses.replace(SPEC, extras=(0.0, 0.5, 1.0))),
        *lds_check_rows(usual_table(), judged(usual_table()), SPEC),
    ]
    table = calibration_table(rows, "calibration")
    Calibration.validate(table)
    assert len(table) == len(rows)


# ---- the study value


PROFILE = Profile(
    name="tiny", description=".", num_seeds=8, pool=PoolSpec(), split=SplitSpec(), base_model=BaseModelSpec(),
    training=TrainingSpec(), probe=ProbeSpec(),
)  # fmt: skip


def test_no_profile_cuts_the_subset_arms():
    many = tuple(FollowUp(parent="planted", condition="subset", draw=draw) for draw in range(9))  # type: ignore[arg-type]
    made = study(followups=many)
    assert made.sized(PROFILE).followups == many


def test_a_calibration_study_has_no_other_follow_ups_than_subsets():
    with pytest.raises(ValueError, match=r"planted\.exact"):
        study(followups=(FollowUp(parent="planted", condition="exact"),))
    with pytest.raises(ValueError, match="duplicated arm names"):
        study(arms=(*study().arms, Arm(name="iid", curriculum="iid_baseline", role="baseline", description=".")))


@pytest.mark.parametrize("change", [{"num_studies": 0}, {"scenarios": ()}, {"extra": 0.3}])
def test_sizes_that_make_no_sense_are_refused(change):
    with pytest.raises(ValueError, match=r"must be positive|not on the curve"):
        CalibrationSpec(**change)


def test_the_registered_sizes_are_those_of_the_demo():
    assert CalibrationSpec().triggers == TriggerStudy(num_seeds=8, batch_size=16, num_items=5000)
    assert (CalibrationSpec().num_studies, CalibrationSpec().per_side, CalibrationSpec().min_runs) == (200, 8, 24)
    assert CalibrationSpec().max_rejected * 200 == 16
