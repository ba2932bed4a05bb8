"""Claims of the order and the sampling-mode study, judged by the one verdict function."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from squiggle_assets.science.claim_rows import claim_rows
from squiggle_assets.science.mode_claims import mode_claims, modes_of
from squiggle_assets.science.mode_persistence import PERSISTENCE_SCHEMA
from squiggle_assets.science.order_claims import order_claims, order_pairs, reference_of
from squiggle_assets.science.order_sensitivity import SLOPES_SCHEMA
from squiggle_assets.science.stats import sign_flip
from squiggle_assets.studies.order import ORDER
from squiggle_assets.studies.sampling_modes import SAMPLING_MODES

SEEDS = [str(seed) for seed in sorted(ORDER.seeds[:8])]
PAIRS = order_pairs(ORDER)


def judged(study, family) -> dict[str, dict]:
    rows = claim_rows(study, [family], stopped={}, preregistered=True, scale="made", analysis_id="x")
    return {row["claim"]: row for row in rows.iter_rows(named=True)}


def slope_row(pair: tuple[str, str], values: np.ndarray, p_redrawn: float = 0.001, gap: float = 0.001) -> dict:
    flips = sign_flip(values)
    return {
        **dict.fromkeys(SLOPES_SCHEMA), "comparison": "placebo" if pair == PAIRS[-1] else "order",
        "arm": pair[0], "against": pair[1], "window_lo": 116, "window_hi": 198,
        "num_cells": 12, "num_units": 16, "n_seeds": 8,
        "num_null": 2000, "slope": float(values.mean()), "null_mean": 0.0, "null_sd": 0.1, "p_redrawn": p_redrawn,
        "p_seeds": flips.p_value, "p_value": max(p_redrawn, flips.p_value), "smallest_p": 2 / 2**8,
        "mixture_gap": gap, "by_seed_json": json.dumps(dict(zip(SEEDS, values.tolist(), strict=True))),
    }  # fmt: skip


def slopes(gap: float = 0.001, **sizes: float) -> pl.DataFrame:
    """Slopes about a size for each pair, named by its arms; noise of .2."""
    draws, rows = np.random.default_rng(3), []
    for pair in PAIRS:
        size = sizes.get(f"{pair[0]}_{pair[1]}", 0.0)
        noise = 0.2 * draws.permutation(np.linspace(-1, 1, 8))
        rows.append(slope_row(pair, size + noise, 0.001 if size else 0.6, gap))
    return pl.DataFrame(rows, schema=SLOPES_SCHEMA, orient="row")


def test_every_two_ordered_arms_are_a_pair_and_the_placebo_has_the_arm_without_order():
    assert PAIRS == [
        ("blocked_early", "ramp"), ("blocked_early", "controls_first"), ("ramp", "controls_first"),
        ("placebo", "balanced"),
    ]  # fmt: skip
    assert reference_of(ORDER) == "balanced"


def test_a_slope_in_all_seeds_beyond_the_placebo_is_supported_in_either_direction():
    for sign in (1.0, -1.0):
        found = judged(ORDER, order_claims(ORDER, slopes(ramp_controls_first=sign)))
        row = found["order:ramp-controls_first"]
        assert row["verdict"] == "supported", row["reasons"]
        # two-sided sign flips of 8 of 8 seeds, four claims: 2 / 256 * 4
        assert row["q_value"] == pytest.approx(8 / 256)
        assert row["control"] == "placebo" and row["contrast"] == "controls_first"
        assert found["order:placebo-balanced"]["verdict"] == "not supported"
        assert found["order:blocked_early-ramp"]["verdict"] == "not supported"


def test_a_slope_that_the_placebo_has_too_is_not_supported_and_the_placebo_is_loud():
    found = judged(ORDER, order_claims(ORDER, slopes(ramp_controls_first=1.0, placebo_balanced=1.0)))
    assert found["order:ramp-controls_first"]["verdict"] == "not supported"
    assert "control" in found["order:ramp-controls_first"]["reasons"]
    assert found["order:placebo-balanced"]["verdict"] == "exploratory"


def test_a_slope_between_arms_of_different_mixtures_is_exploratory_at_most():
    found = judged(ORDER, order_claims(ORDER, slopes(gap=0.57, ramp_controls_first=1.0)))
    row = found["order:ramp-controls_first"]
    assert row["verdict"] == "exploratory" and "how often it was shown" in row["reasons"]
    assert json.loads(row["evidence"])["mixture_gap"] == 0.57
    assert found["order:blocked_early-ramp"]["verdict"] == "not supported"


def test_without_rows_every_pair_is_a_claim_that_could_not_be_tested():
    found = judged(ORDER, order_claims(ORDER, pl.DataFrame(schema=SLOPES_SCHEMA)))
    assert len(found) == 4
    assert {row["verdict"] for row in found.values()} == {"underpowered"}
    assert all(row["estimate"] is None and "not tested" in row["method"] for row in found.values())


def persisted(mode: str, lift: float, family: float = 1.0, **changes) -> dict:
    values = lift + 0.3 * np.linspace(-1, 1, 8)
    others = family + 0.1 * np.linspace(1, -1, 8)
    p = sign_flip(values - 1, "greater").p_value
    return {
        **dict.fromkeys(PERSISTENCE_SCHEMA), "mode": mode, "status": "measured", "against": "tempered",
        "measured_in": json.dumps([other for other in modes_of(SAMPLING_MODES) if other != mode]),
        "num_triggers": 7, "num_measured": 6, "n_seeds": 8, "lift": lift, "family_lift": family, "p_binomial": 1e-6,
        "p_seeds": p, "p_value": p, "smallest_p": 1 / 256, "share_common_draws": 0.4,
        "by_seed_json": json.dumps(dict(zip(SEEDS, values.tolist(), strict=True))),
        "family_by_seed_json": json.dumps(dict(zip(SEEDS, others.tolist(), strict=True))), **changes,
    }  # fmt: skip


def test_modes_are_the_arms_that_are_neither_placebo_nor_planted():
    assert modes_of(SAMPLING_MODES) == ["proportional", "balanced", "tempered"]


def test_triggers_that_persist_beyond_their_families_are_supported_and_others_are_not():
    silent = {name: None for name in PERSISTENCE_SCHEMA if name not in ("mode", "status", "num_triggers", "n_seeds")}
    rows = [
        persisted("proportional", 4.0),
        persisted("balanced", 4.0, family=4.0),
        {**silent, "mode": "tempered", "status": "no triggers", "num_triggers": 0, "n_seeds": 0},
    ]
    table = pl.DataFrame(rows, schema=PERSISTENCE_SCHEMA, orient="row")
    found = judged(SAMPLING_MODES, mode_claims(SAMPLING_MODES, table))
    assert found["modes:proportional"]["verdict"] == "supported", found["modes:proportional"]["reasons"]
    assert found["modes:proportional"]["null_mean"] == 1.0 and found["modes:proportional"]["estimate"] == 4.0
    # 1 / 256 for two of the three claims
    assert found["modes:proportional"]["q_value"] == pytest.approx(3 / 256 / 2)
    assert found["modes:balanced"]["verdict"] == "not supported"
    assert found["modes:tempered"]["verdict"] == "underpowered"
    assert "no half of the seeds found a trigger" in found["modes:tempered"]["method"]


def test_what_one_mode_could_not_show_is_exploratory_at_most_and_items_are_those_that_were_counted():
    partly = persisted("proportional", 4.0, measured_in='["tempered"]')
    found = judged(SAMPLING_MODES, mode_claims(SAMPLING_MODES, pl.DataFrame([partly], schema=PERSISTENCE_SCHEMA)))
    row = found["modes:proportional"]
    assert row["verdict"] == "exploratory" and "under balanced" in row["reasons"] and row["n_items"] == 6
    assert json.loads(row["evidence"])["measured_in"] == ["tempered"]


def test_too_few_seeds_say_that_they_can_show_nothing():
    few = persisted("proportional", 4.0, smallest_p=1 / 8, p_value=1 / 8, p_seeds=1 / 8)
    table = pl.DataFrame([few], schema=PERSISTENCE_SCHEMA, orient="row")
    found = judged(SAMPLING_MODES, mode_claims(SAMPLING_MODES, table))
    assert found["modes:proportional"]["verdict"] == "underpowered"
    assert "smallest q" in found["modes:proportional"]["reasons"]
    assert "too few runs" in found["modes:balanced"]["method"]
