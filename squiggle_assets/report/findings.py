"""Single claims in sentences: what was found, against what, how sure, and which rule decided.

Here: words made from one claim and the outcomes beside it. Not here: what claims say together (overview), verdicts
themselves (science.verdict), layout (document).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from squiggle_assets.report.document import Finding
from squiggle_assets.report.text import interval, mean, number, plural, share, with_interval
from squiggle_assets.science.spec import Study

VERDICT_WORDS = {
    "supported": "q at most .05 in the pre-registered family; the interval excludes what chance gives (and the "
    "margin, where one is registered); the effect goes beyond its control; it is not explained by a boundary of the "
    "schedule; at least 5 seeds.",
    "exploratory": "q at most .05, but something is missing: not pre-registered, selected and not replicated, only "
    "near a boundary, fewer than 5 seeds, or no control yet. A reason to look again, not a finding.",
    "not supported": "tested, and a rule failed: q above .05, or the interval includes what chance gives (or does not "
    "exceed the margin), or the difference to the control is not clear of 0. Which one stands with each claim. With q "
    "at most .05 the claim is significant against its null and still not established. Whether it speaks against an "
    "effect depends on the positive control of its family.",
    "underpowered": "the data could not have shown it: the smallest attainable q is above .05, or the outcome sits "
    "on its floor or ceiling, or the interval includes both no effect and a registered margin, or stopped runs leave "
    "fewer than 5 seeds, or no p or interval could be worked out. "
    "Nothing follows from it.",
}
_OPENING = {
    "supported": "Found",
    "exploratory": "Seen, but not established",
    "not supported": "Not found",
    "underpowered": "Cannot be said",
}
_HELD_BACK = "Significant against its null, but not established"
_COUNT = "consensus_event_count"


def finding(claim: Mapping[str, Any], arm_outcomes: pl.DataFrame | None, study: Study) -> Finding:
    """One claim as a sentence with observed, null mean, excess, interval, q and n, and the rules that failed.

    arm_outcomes: None for a study without that table.
    """
    hypothesis = claim["hypothesis"].rstrip(". ")
    opening = _HELD_BACK if held_back(claim, study) else _OPENING[claim["verdict"]]
    numbers = "; ".join([_numbers(claim, arm_outcomes), *_certainty(claim), *_left_possible(claim, study)])
    failed = claim["verdict"] == "not supported"
    return Finding(
        verdict=claim["verdict"],
        name=claim["claim"],
        sentence=f"{opening}: {hypothesis}. {numbers[:1].upper()}{numbers[1:]}.",
        reasons=f"Failed: {claim['reasons']}" if failed else claim["reasons"],
    )


def held_back(claim: Mapping[str, Any], study: Study) -> bool:
    """Whether a claim that is not supported is significant against its null: interval, margin or control decided."""
    q = claim["q_value"]
    return claim["verdict"] == "not supported" and q is not None and q <= study.consensus.alpha


def no_margin(claim: str, study: Study) -> bool:
    """Whether the claim is a contrast for which no smallest effect of interest was registered."""
    stated = {f"contrast:{one.arm}-{one.against}:{one.outcome}": one.margin for one in study.contrasts}
    return claim in stated and stated[claim] == 0


def _left_possible(claim: Mapping[str, Any], study: Study) -> list[str]:
    if claim["verdict"] not in ("not supported", "underpowered") or not no_margin(claim["claim"], study):
        return []
    lo, hi = claim["ci_lo"], claim["ci_hi"]
    known = lo is not None and hi is not None
    left = f"the interval leaves {mean(lo)} to {mean(hi)} {claim['unit']} possible" if known else "there is no interval"
    return [f"no smallest effect of interest was registered: {left}"]


def _numbers(claim: Mapping[str, Any], arm_outcomes: pl.DataFrame | None) -> str:
    kind = claim["claim"].split(":")[0]
    span = f"95 % interval {interval(claim['ci_lo'], claim['ci_hi'])}"
    if kind == "consensus":
        count = _count(arm_outcomes, claim["arm"])
        strongest = f"strongest moment {mean(claim['estimate'])} {claim['unit']}"
        return (
            f"{_observed(count, 'consensus events')}; {strongest}, null mean {mean(claim['null_mean'])}, "
            f"{span} of the observed"
        )
    if kind == "contrast":
        counts = [_count(arm_outcomes, arm) for arm in (claim["arm"], claim["contrast"])]
        excess = claim["claim"].endswith("_excess")
        parts = [f"{_observed(count, 'events')} in {count['arm']}" for count in counts] if excess else []
        return "; ".join([*parts, f"difference {mean(claim['estimate'])} {claim['unit']}, {span}"])
    if kind == "impact":
        return "; ".join([*_both(claim), f"difference {mean(claim['estimate'])} {claim['unit']}, {span}"])
    missing = claim["null_mean"] is None or claim["estimate"] is None
    beyond = None if missing else claim["estimate"] - claim["null_mean"]
    return (
        f"observed {mean(claim['estimate'])} {claim['unit']}, null mean {mean(claim['null_mean'])}, "
        f"excess {mean(beyond)}, {span} of the observed"
    )


def _observed(count: Mapping[str, Any], noun: str) -> str:
    return f"observed {number(count['value'])} {noun}, null mean {mean(count['null_mean'])}"


def _both(claim: Mapping[str, Any]) -> list[str]:
    """Both arms' values as the claim's evidence has them, and the event rate ratio of counts."""
    known = json.loads(claim["evidence"])
    if "values" not in known:
        return []
    own, other = known["values"]
    said = [f"{mean(own)} in {claim['arm']}, {mean(other)} in {claim['contrast']}"]
    if known["rate_ratio"] is not None:
        ratio, lo, hi = known["rate_ratio"]
        said.append(f"event rate ratio {with_interval(ratio, lo, hi)}")
    return said


def _count(arm_outcomes: pl.DataFrame | None, arm: str) -> dict[str, Any]:
    if arm_outcomes is None:
        return {"arm": arm, "value": None, "null_mean": None}
    rows = arm_outcomes.filter((pl.col("arm") == arm) & (pl.col("outcome") == _COUNT)).to_dicts()
    return rows[0] if rows else {"arm": arm, "value": None, "null_mean": None}


def _certainty(claim: Mapping[str, Any]) -> list[str]:
    said = [f"q = {share(claim['q_value'])}, n = {plural(claim['n_seeds'], 'seed')}"]
    if claim["control"] is not None:
        span = interval(claim["control_ci_lo"], claim["control_ci_hi"])
        said.insert(0, f"beyond its control {claim['control']}: {mean(claim['control_difference'])} {span}")
    return said
