"""Claims in sentences: what was found, against what, how sure; and what the claims say together.

Here: words made from claims, outcomes and controls. Not here: verdicts themselves (science.verdict), layout (document).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from squiggle_assets.report.document import Finding, Text
from squiggle_assets.report.text import interval, listed, number, plural, share
from squiggle_assets.science.spec import Study

VERDICT_WORDS = {
    "supported": "q at most .05 in the pre-registered family; the interval excludes what chance gives (and the "
    "margin, where one is stated); the effect goes beyond its control; it is not explained by a boundary of the "
    "schedule; at least 5 seeds.",
    "exploratory": "q at most .05, but something is missing: not pre-registered, selected and not replicated, only "
    "near a boundary, fewer than 5 seeds, or no control yet. A reason to look again, not a finding.",
    "not supported": "the data could have shown it and did not: q above .05, or the interval includes what chance "
    "gives, or the effect is no larger than its control's. This is a result.",
    "underpowered": "the data could not have shown it: the smallest attainable p is above .05, or the outcome sits "
    "on its floor or ceiling, or the interval includes both no effect and the margin. Nothing follows from it.",
}
_OPENING = {
    "supported": "Found",
    "exploratory": "Seen, but not established",
    "not supported": "Not found",
    "underpowered": "Cannot be said",
}
_COUNT = "consensus_event_count"


def finding(claim: Mapping[str, Any], arm_outcomes: pl.DataFrame) -> Finding:
    """One claim as a sentence with observed, null mean, excess, interval, q and n."""
    hypothesis = claim["hypothesis"].rstrip(". ")
    numbers = "; ".join([_numbers(claim, arm_outcomes), *_certainty(claim)])
    return Finding(
        verdict=claim["verdict"],
        name=claim["claim"],
        sentence=f"{_OPENING[claim['verdict']]}: {hypothesis}. {numbers[:1].upper()}{numbers[1:]}.",
        reasons=claim["reasons"],
    )


def _numbers(claim: Mapping[str, Any], arm_outcomes: pl.DataFrame) -> str:
    kind = claim["claim"].split(":")[0]
    span = f"95 % interval {interval(claim['ci_lo'], claim['ci_hi'])}"
    if kind == "consensus":
        count = _count(arm_outcomes, claim["arm"])
        strongest = f"strongest moment {number(claim['estimate'])} {claim['unit']}"
        return (
            f"{_observed(count, 'consensus events')}; {strongest}, null mean {number(claim['null_mean'])}, "
            f"{span} of the observed"
        )
    if kind == "contrast":
        counts = [_count(arm_outcomes, arm) for arm in (claim["arm"], claim["contrast"])]
        excess = claim["claim"].endswith("_excess")
        parts = [f"{_observed(count, 'events')} in {count['arm']}" for count in counts] if excess else []
        return "; ".join([*parts, f"difference {number(claim['estimate'])} {claim['unit']}, {span}"])
    missing = claim["null_mean"] is None or claim["estimate"] is None
    beyond = None if missing else claim["estimate"] - claim["null_mean"]
    return (
        f"observed {number(claim['estimate'])} {claim['unit']}, null mean {number(claim['null_mean'])}, "
        f"excess {number(beyond)}, {span} of the observed"
    )


def _observed(count: Mapping[str, Any], noun: str) -> str:
    return f"observed {number(count['value'])} {noun}, null mean {number(count['null_mean'])}"


def _count(arm_outcomes: pl.DataFrame, arm: str) -> dict[str, Any]:
    rows = arm_outcomes.filter((pl.col("arm") == arm) & (pl.col("outcome") == _COUNT)).to_dicts()
    return rows[0] if rows else {"arm": arm, "value": None, "null_mean": None}


def _certainty(claim: Mapping[str, Any]) -> list[str]:
    said = [f"q = {share(claim['q_value'])}, n = {plural(claim['n_seeds'], 'seed')}"]
    if claim["control"] is not None:
        span = interval(claim["control_ci_lo"], claim["control_ci_hi"])
        said.insert(0, f"beyond its control {claim['control']}: {number(claim['control_difference'])} {span}")
    return said


def summary(study: Study, claims: pl.DataFrame) -> list[Text]:
    """What all claims say together; a null result in so many words; whether the controls allow it to be read."""
    if claims.is_empty():
        return [Text(text="There are no claims: nothing was tested, so nothing was found and nothing excluded.")]
    counts = Counter(claims["verdict"].to_list())
    said = [f"{counts[verdict]} {verdict}" for verdict in VERDICT_WORDS if counts[verdict]]
    texts = [Text(tone="lead", text=f"{plural(len(claims), 'claim')} tested: {listed(said)}.")]
    about = claims.filter(~pl.col("arm").is_in(_control_arms(study)))
    if not about.is_empty() and "supported" not in about["verdict"].to_list():
        texts.append(Text(tone="note", text=_null_result(about)))
    allowed = controls(study, claims)[1]
    return [*texts, allowed] if allowed.tone == "warning" else texts


def _control_arms(study: Study) -> list[str]:
    return [arm.name for arm in study.arms if arm.role in ("planted", "placebo")]


def _null_result(about: pl.DataFrame) -> str:
    counts = Counter(about["verdict"].to_list())
    parts = [f"Null result: none of the {plural(len(about), 'claim')} about the arms under study is supported."]
    if counts["not supported"]:
        parts.append(
            f"{_were(counts['not supported'])} not supported although the data could have shown it: what was observed "
            "is what chance, schedule or the control give too. That is a finding, and it counts like any other."
        )
    if counts["underpowered"]:
        parts.append(
            f"{_were(counts['underpowered'])} underpowered: from that nothing follows, neither that there is an "
            "effect nor that there is none."
        )
    if counts["exploratory"]:
        parts.append(f"{_were(counts['exploratory'])} exploratory.")
    return " ".join(parts)


def _were(count: int) -> str:
    return f"{number(count)} {'is' if count == 1 else 'are'}"


def controls(study: Study, claims: pl.DataFrame) -> tuple[list[tuple[str, str, str, str]], Text]:
    """(claim, verdict, what it must be, whether it is) of the planted and placebo arms, and what that allows."""
    verdicts = dict(claims.select("claim", "verdict").iter_rows())
    rows, broken = [], []
    for arm in sorted(study.arms, key=lambda arm: arm.role != "planted"):
        if arm.role not in ("planted", "placebo"):
            continue
        name = f"planted:{arm.name}"
        verdict = verdicts.get(name)
        holds = verdict == "supported" if arm.role == "planted" else verdict not in (None, "supported")
        wanted = "supported" if arm.role == "planted" else "anything but supported"
        rows.append((name, verdict or "not tested", wanted, "as it must be" if holds else "NOT as it must be"))
        if not holds:
            broken.append(arm.role)
    return rows, _what_controls_allow(rows, broken)


def _what_controls_allow(rows: Sequence[Any], broken: Sequence[str]) -> Text:
    if not rows:
        return Text(tone="warning", text="No planted and no placebo arm: nothing shows that the study could see.")
    if not broken:
        return Text(
            tone="good",
            text="The controls hold: an effect that was put in was seen, nothing was seen where nothing was put in. "
            "A null result above is therefore a statement about the arms, not about blind instruments.",
        )
    words = {
        "planted": "The planted effect was not seen: a null result above may only mean that these sizes see nothing.",
        "placebo": "The placebo arm shows an effect where there is none: a supported claim above may be of its kind.",
    }
    return Text(tone="warning", text=" ".join(words[role] for role in dict.fromkeys(broken)))
