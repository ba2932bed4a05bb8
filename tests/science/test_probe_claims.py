from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

from squiggle_assets.schemas.claims import Claims
from squiggle_assets.schemas.probes import ProbeDraws, ProbeTests
from squiggle_assets.science.controls import controls_of
from squiggle_assets.science.probe_claims import STEPS, TOKENS, ProbeResult, probe_result
from squiggle_assets.studies.probe_harness import PROBE_HARNESS
from tests.science.probe_runs import summaries

ARMS = [arm.name for arm in PROBE_HARNESS.arms]
STUDY = replace(PROBE_HARNESS, consensus=replace(PROBE_HARNESS.consensus, draws_per_cell=120))


def result(seeds: range = range(8), stopped: tuple[tuple[str, int], ...] = (), **shifts: float) -> ProbeResult:
    rows = summaries({arm: shifts.get(arm, 0.0) for arm in ARMS}, seeds, key="claims")
    manifest = pl.DataFrame(
        [{"arm": arm, "seed": seed, "stopped_early": (arm, seed) in stopped} for arm in ARMS for seed in seeds]
    )
    kept = rows.join(manifest.filter(~pl.col("stopped_early")), on=["arm", "seed"], how="semi")
    return probe_result(
        STUDY, {TOKENS: kept, STEPS: kept}, manifest, scale="made up", preregistered=True, analysis_id="x"
    )


@pytest.fixture(scope="module")
def found() -> ProbeResult:
    return result(cyclic_groups=4.0, planted=5.0)


def test_a_family_with_a_way_of_its_own_is_supported_and_the_others_are_not(found: ProbeResult) -> None:
    verdicts = dict(found.claims.select("claim", "verdict").iter_rows())
    supported = {claim for claim, verdict in verdicts.items() if verdict == "supported"}
    assert supported == {"family:cyclic_groups", "family:planted", "planted:planted"}
    assert set(verdicts.values()) == {"supported", "not supported"}
    assert len(verdicts) == 2 + 8 + 1


def test_planted_and_placebo_show_that_the_method_sees_and_stays_silent(found: ProbeResult) -> None:
    said = controls_of(found.claims, STUDY)
    assert said.holds and said.positives["family"].found
    silent = controls_of(result().claims, STUDY)
    assert not silent.holds and not silent.positives["family"].found


def test_a_claim_carries_its_control_its_interval_and_both_ways_of_matching(found: ProbeResult) -> None:
    row = found.claims.filter(pl.col("claim") == "family:cyclic_groups").row(0, named=True)
    assert row["control"].startswith("mixture-") and row["control_ci_lo"] > 0
    assert row["ci_lo"] < row["estimate"] < row["ci_hi"] and row["n_seeds"] == 8
    evidence = json.loads(row["evidence"])
    assert evidence["distance_at_equal_steps"] == pytest.approx(row["estimate"], abs=1e-3)
    assert len(evidence["by_seed"]) == 8 and evidence["p_familywise"] <= 0.01
    of_tests = found.tests.filter((pl.col("arm") == "cyclic_groups") & (pl.col("matched") == TOKENS)).row(0, named=True)
    assert (of_tests["distance"], of_tests["p_value"]) == (row["estimate"], row["p_value"])
    assert row["p_value"] == max(of_tests["p_seeds"], of_tests["p_items"])
    assert evidence["p"]["items"] == pytest.approx(of_tests["p_items"], abs=1e-6)


def test_what_is_there_at_equal_tokens_only_is_no_family_effect() -> None:
    # items twice as long: half the updates at equal tokens, and nothing of the kind at equal steps
    rows = {
        matched: summaries({arm: shift * (arm == "cyclic_groups") for arm in ARMS}, range(8), key="claims")
        for matched, shift in ((TOKENS, 5.0), (STEPS, 0.0))
    }
    manifest = rows[STEPS].select("arm", "seed", pl.lit(value=False).alias("stopped_early"))
    found = probe_result(STUDY, rows, manifest, scale="made up", preregistered=True, analysis_id="x")
    row = found.claims.filter(pl.col("claim") == "family:cyclic_groups").row(0, named=True)
    both = dict(found.tests.filter(pl.col("arm") == "cyclic_groups").select("matched", "p_value").iter_rows())
    assert both[TOKENS] <= 0.01 and row["p_value"] == both[STEPS] > 0.05
    assert row["verdict"] == "not supported" and json.loads(row["evidence"])["p_at_equal"][STEPS] > 0.05


def test_tables_are_those_that_the_schemas_declare(found: ProbeResult) -> None:
    Claims.validate(found.claims)
    ProbeTests.validate(found.tests)
    ProbeDraws.validate(found.draws)
    # 9 arms are no mixtures: 120 draws for each, of every arm and way of matching (5^8 exchanges are too many)
    assert found.draws.height == 2 * len(ARMS) * 120 * 9


def test_with_three_seeds_nothing_is_supported() -> None:
    claims = result(range(3), cyclic_groups=6.0).claims
    assert "supported" not in set(claims["verdict"])
    row = claims.filter(pl.col("claim") == "family:cyclic_groups").row(0, named=True)
    # 5 ways to exchange a seed: the smallest p is 1 / 125, which it has; times 8 tests (the planted arm is a control
    # and none of them) that is above .05
    assert row["p_value"] == pytest.approx(1 / 125)
    assert row["verdict"] == "underpowered" and "0.064" in row["reasons"]


def test_a_seed_that_one_arm_lacks_is_left_out_of_all_and_named() -> None:
    claims = result(stopped=(("mixture-2", 5),), cyclic_groups=4.0).claims
    assert claims["n_seeds"].unique().to_list() == [7]
    assert "left out because a controller stopped them: mixture-2 5" in claims["method"][0]


def test_where_nothing_can_be_compared_the_claims_say_so() -> None:
    found = result(range(2), stopped=(("mixture-1", 0), ("planted", 1)))
    assert set(found.claims["verdict"]) == {"underpowered"}
    assert found.claims["method"].str.starts_with("not tested").all()
    assert found.tests.is_empty() and found.draws.is_empty()
    Claims.validate(found.claims)
