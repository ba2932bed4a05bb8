"""The calibration table: every check of the platform with its value, bound and interval, and whether it held.

Here: rows of each kind of check, the claim about attribution. Not here: the sizes and bounds (calibration_spec), what
is simulated or trained (aa_test, trigger_curve, subsets), the score (lds).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from squiggle_assets.science import lds
from squiggle_assets.science.calibration_spec import CalibrationSpec, CalibrationStudy
from squiggle_assets.science.claim_kinds import Claim
from squiggle_assets.science.controls import LOUD
from squiggle_assets.science.planted import Control
from squiggle_assets.science.stats import Interval, clopper_pearson, smallest_effect

TRIGGERS, LIFT, EXPOSURE, FREQUENCY, LOSS = "triggers", "lift", "exposure", "frequency", "loss"
"""Attribution scores: shrunken log lift of the event's triggers and 0 for all other items, which is what attribution
answers and what is claimed; the lift of every item; draws in all runs; the sources' frequency score; loss of the base
model."""
TRUTH = "planted"
"""The score that knows which items were planted: no rule of attribution, but the best that one could do."""
AT_MOST, AT_LEAST = "at most", "at least"
SCHEMA: dict[str, type[pl.DataType]] = {
    **{"check": pl.String, "what": pl.String, "value": pl.Float64, "unit": pl.String},
    **{"bound": pl.Float64, "side": pl.String, "ci_lo": pl.Float64, "ci_hi": pl.Float64},
    **{"num": pl.Int64, "dependent": pl.Boolean, "passed": pl.Boolean, "method": pl.String},
}
_UNIT_EXTRA = "extra showings of each trigger per event window and seed"


def _row(check: str, what: str, value: float | None, **rest: Any) -> dict[str, Any]:
    unknown = dict.fromkeys(SCHEMA)
    return {**unknown, "check": check, "what": what, "value": value, "dependent": False, **rest}


def _held(value: float | None, bound: float, side: str) -> bool | None:
    if value is None or np.isnan(value):
        return None
    return bool(value <= bound if side == AT_MOST else value >= bound)


def aa_rows(simulated: pl.DataFrame, spec: CalibrationSpec) -> list[dict[str, Any]]:
    """Share of simulated A/A studies in which equal halves were called different, one row a scenario.

    Studies that could not have been (rejected is null) do not count: a scenario of them alone has no value.
    """
    rows = []
    for scenario in spec.scenarios:
        own = simulated.filter((pl.col("scenario") == scenario.name) & pl.col("rejected").is_not_null())
        num, rejected = own.height, int(own["rejected"].sum())
        if not num:
            rows.append(
                _row(
                    "aa_simulated", scenario.name, None, unit="share of studies rejected", num=0,
                    bound=spec.max_rejected, side=AT_MOST,
                    method="no halves were simulated that are large enough to be called different",
                )
            )  # fmt: skip
            continue
        interval, share = clopper_pearson(rejected, num), rejected / num
        rows.append(
            _row(
                "aa_simulated", scenario.name, share, unit="share of studies rejected", num=num,
                bound=spec.max_rejected, side=AT_MOST, ci_lo=interval.lo, ci_hi=interval.hi,
                passed=_held(share, spec.max_rejected, AT_MOST),
                method=f"{rejected} of {num} contrasts of {scenario.design.num_seeds // 2} against "
                f"{scenario.design.num_seeds // 2} simulated runs of one arm have p at most alpha; exact interval",
            )
        )  # fmt: skip
    return rows


def resplit_rows(resplits: pl.DataFrame, num_runs: Mapping[str, int], spec: CalibrationSpec) -> list[dict[str, Any]]:
    """Share of re-splits of an arm's real runs that were called different, one row an arm; judged by nobody.

    The splits share runs, so there is no interval and no bound that would hold for the share.
    """
    rows = []
    for arm, runs in num_runs.items():
        own = resplits.filter((pl.col("arm") == arm) & pl.col("rejected").is_not_null())
        side = side_of(runs, spec)
        few = "" if runs >= spec.min_runs else f"; fewer than the {spec.min_runs} runs that were asked for"
        share = float(own["rejected"].mean()) if own.height else None  # type: ignore[arg-type]
        disjoint = runs // (2 * side) if side else 0
        rows.append(
            _row(
                "aa_resplits", arm, share, unit="share of re-splits rejected", num=own.height, dependent=True,
                method=f"{runs} real runs split at random {own.height} times into halves that are large enough to be "
                f"called different, {side} against {side}: splits share "
                f"runs, {disjoint} of them could be disjoint, so there is no interval{few}",
            )
        )  # fmt: skip
    return rows


def side_of(num_runs: int, spec: CalibrationSpec) -> int:
    """Runs in each half of a re-split: as asked for, or half of what there is."""
    return min(spec.per_side, num_runs // 2)


def trigger_rows(curve: pl.DataFrame, spec: CalibrationSpec) -> list[dict[str, Any]]:
    """Recall and false discoveries at the effect that must be found, and from which effect on recall is enough."""
    design = spec.triggers
    sizes = f"{design.batch_size} a step, {design.num_items} items, {design.num_seeds} seeds, lag {design.lag}"
    at = curve.filter(pl.col("extra") == spec.extra).row(0, named=True)
    rows = [
        _curve_check("recall", f"{spec.extra:g} {_UNIT_EXTRA}; {sizes}", at, spec.min_recall, AT_LEAST),
        _curve_check("fdr", f"{spec.extra:g} {_UNIT_EXTRA}; {sizes}", at, spec.max_fdr, AT_MOST),
    ]
    nothing = curve.filter(pl.col("extra") == 0.0)
    if nothing.height:
        rows.append(_curve_check("any_false", f"no triggers; {sizes}", nothing.row(0, named=True), None, None))
    there = curve.filter(pl.col("extra") > 0)
    recall = dict(there.select("extra", "recall").iter_rows())
    smallest = smallest_effect(lambda extra: recall[extra], there["extra"].to_numpy(), spec.min_recall)
    rows.append(
        _row(
            "planted_triggers", "smallest size found", None if np.isnan(smallest) else smallest, unit=_UNIT_EXTRA,
            num=int(there["num_studies"].sum()),
            method=f"from which on recall stays at {spec.min_recall:g} or more, linear between sizes tried; {sizes}",
        )
    )  # fmt: skip
    return rows


_WORDS = {
    "recall": ("recall", "share of triggers found", "the wider of exact interval over pairs and bootstrap over arms"),
    "fdr": ("false discoveries", "mean share of what was called", "bootstrap interval over arms, exact if all 0 or 1"),
    "any_false": ("false triggers", "share of arms with one", "exact interval over arms"),
}


def _curve_check(name: str, where: str, at: Mapping[str, Any], bound: float | None, side: str | None) -> dict[str, Any]:
    what, unit, method = _WORDS[name]
    return _row(
        "planted_triggers", f"{what} at {where}", at[name], unit=unit, num=at["num_studies"], bound=bound, side=side,
        ci_lo=at[f"{name}_lo"], ci_hi=at[f"{name}_hi"], method=f"simulated arms through attribution; {method}",
        passed=None if bound is None or side is None else _held(at[name], bound, side),
    )  # fmt: skip


def planted_rows(study: CalibrationStudy, claims: pl.DataFrame) -> list[dict[str, Any]]:
    """What the study's own claims say of the planted and the placebo arm at the planted steps."""
    wanted = {"planted_effect": study.only("planted").name, "placebo": study.only("placebo").name}
    rows = []
    for check, arm in wanted.items():
        found = claims.filter(pl.col("claim") == f"planted:{arm}")
        if found.is_empty():
            missing = f"there is no claim planted:{arm}"
            rows.append(_row(check, f"planted:{arm}", None, unit="none", num=0, method=missing))
            continue
        claim = found.row(0, named=True)
        there = claim["verdict"] == "supported"
        held = there if check == "planted_effect" else claim["verdict"] not in LOUD
        rows.append(
            _row(
                check, claim["claim"], claim["estimate"], unit=claim["unit"], ci_lo=claim["ci_lo"],
                ci_hi=claim["ci_hi"], num=claim["n_seeds"], passed=None if claim["q_value"] is None else held,
                method=f"real training; verdict: {claim['verdict']}. Whether its replay is labelled 'kills' or "
                "'delays' is for trigger mining to say",
            )
        )  # fmt: skip
    return rows


def lds_check_rows(table: pl.DataFrame, claims: pl.DataFrame, spec: CalibrationSpec) -> list[dict[str, Any]]:
    """The linear datamodeling score of every attribution score, and the ceiling of a perfect one."""
    rows = []
    asked = "" if enough_subsets(table, spec) else f"; fewer than the {spec.min_subsets} runs that were asked for"
    for row in table.iter_rows(named=True):
        judged = claims.filter(pl.col("claim") == f"lds:{row['arm']}") if row["method"] == TRIGGERS else claims.clear()
        tested = row["status"] == lds.TESTED and judged.height == 1
        rows.append(
            _row(
                "lds", f"{row['arm']}: {row['method']}", row["lds"], unit="mean Spearman correlation",
                ci_lo=row["ci_lo"], ci_hi=row["ci_hi"], num=row["num_subsets"],
                passed=judged["verdict"][0] == "supported" if tested else None,
                method=f"{row['status']}; {row['num_subsets']} runs on {row['share']:g} of {row['num_items']} "
                f"items{asked}{_beyond_exposure(row)}",
            )
        )  # fmt: skip
    for row in table.head(1).iter_rows(named=True):
        rows.append(
            _row(
                "lds", f"{row['arm']}: ceiling", row["ceiling"], unit="mean Spearman correlation",
                ci_lo=row["ceiling_lo"], ci_hi=row["ceiling_hi"], num=row["num_repeats"],
                method="square root of the rank correlation of runs of one subset with two seeds",
            )
        )  # fmt: skip
    return rows


def enough_subsets(table: pl.DataFrame, spec: CalibrationSpec) -> bool:
    """Whether the score rests on as many subset runs as were registered; on fewer it is another design."""
    return bool((table["num_subsets"] >= spec.min_subsets).all())


def _beyond_exposure(row: Mapping[str, Any]) -> str:
    """Of the score that knows the planted items: how far beyond plain exposure a score can be; else nothing."""
    if row["method"] != TRUTH or row["difference"] is None:
        return ""
    gap = f"{row['difference']:.3g} [{row['difference_lo']:.3g}, {row['difference_hi']:.3g}]"
    return f"; no rule but the truth: {gap} beyond exposure is what a rule that finds the planted items can have"


def calibration_table(rows: Iterable[Mapping[str, Any]], study: str) -> pl.DataFrame:
    """All checks of a study as one table; what cannot be computed is null."""
    table = pl.DataFrame(list(rows), schema=SCHEMA).with_columns(pl.col(pl.Float64).fill_nan(None))
    return table.select(pl.lit(study).alias("study"), pl.all())


def lds_claim(table: pl.DataFrame, arm: str, num_seeds: int, subset_arms: Sequence[str] = ()) -> Claim:
    """The claim that attribution says what runs without some of the items do, and says it better than exposure.

    table: rows of the lds table. subset_arms: the follow-up arms that it rests on beside the arm itself. Its control is
    the exposure baseline: difference and interval are paired. What the truth has beyond exposure is in the evidence:
    where that is about 0, no score can be supported against this control.
    """
    truth = {row["method"]: row["difference"] for row in table.iter_rows(named=True)}.get(TRUTH)
    row = table.filter(pl.col("method") == TRIGGERS).row(0, named=True)
    known = {
        name: float("nan") if row[name] is None else row[name]
        for name, kind in lds.SCHEMA.items()
        if kind == pl.Float64
    }
    return Claim(
        row={
            "claim": f"lds:{arm}",
            "arm": arm,
            "contrast": None,
            "hypothesis": f"Triggers and their lifts say what runs of arm {arm} on half of the items do at the planted "
            "steps.",
            "estimate": row["lds"],
            "unit": "mean Spearman correlation over subset runs",
            "n_seeds": num_seeds,
            "n_items": row["num_items"],
            "method": f"linear datamodeling score over {row['num_subsets']} subset runs ({row['status']}); p: subsets "
            "and runs paired at random; bootstrap interval over seeds; control: the score of plain exposure counts",
            "evidence": {
                "tables": ["lds", "subset_outcomes"],
                "arm": arm,
                "ceiling": row["ceiling"],
                "truth_beyond_exposure": truth,
            },
        },
        arms=(arm, *subset_arms),
        p_value=known["p_value"],
        smallest_p=known["smallest_p"],
        interval=Interval(known["ci_lo"], known["ci_hi"]),
        control=Control(
            EXPOSURE, known["difference"], Interval(known["difference_lo"], known["difference_hi"]), num_seeds
        ),
        null_value=0.0,
        direction="greater",
    )
