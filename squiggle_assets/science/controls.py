"""What the controls of a study showed: the planted effect, the silence of the placebo arm, each family's own control.

Here: Controls read off the claims of a study, and the sentences about them. Not here: the claims themselves (claims),
how they are laid out (report) or printed (running).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from squiggle_assets.science.spec import Study

LOUD = ("supported", "exploratory")
"""Verdicts that a claim about the placebo arm must not have: one without a control can be no more than exploratory."""
RESPONSE = "planted"
"""The family of claims about the planted steps: whether the controls hold is read off this one and the placebo arm."""


class Checked(NamedTuple):
    """One claim about the planted or the placebo arm."""

    claim: str
    verdict: str | None
    """None: there is no such claim."""
    tested: bool
    """Whether there is a q at all."""
    q_value: float | None
    reasons: str
    must_be: str
    holds: bool


class Positive(NamedTuple):
    """The positive control of a family of claims: the same test on the arm into which an effect was put."""

    family: str
    control: Checked | None
    """None: the family has none in this study."""
    sentence: str

    @property
    def found(self) -> bool:
        """Whether it was found; only then may a null result of the family be called informative."""
        return self.control is not None and self.control.holds


class Controls(NamedTuple):
    """What planted and placebo arm showed."""

    planted: Checked | None
    """The response of the planted arm; None without such an arm."""
    placebo: tuple[Checked, ...]
    """Every claim about the placebo arm, that about the planted steps among them even where it is missing."""
    loud: tuple[str, ...]
    """Placebo claims that are supported or exploratory."""
    not_silent_by_p: tuple[str, ...]
    """Placebo claims with q at most alpha that only another rule (interval, control, floor) held back."""
    untested: tuple[str, ...]
    """Of the two responses at the planted steps those without a q."""
    positives: Mapping[str, Positive]
    """By family, in the order of the claims."""
    holds: bool
    """Planted response supported, placebo response tested, no placebo claim loud."""
    sentences: tuple[str, ...]
    """The same in words, without the families."""


def family_of(claim: str) -> str:
    """The family of a claim: what stands before the first colon of its name."""
    return claim.split(":", 1)[0]


def controls_of(claims: pl.DataFrame, study: Study) -> Controls:
    """What the controls showed.

    claims: columns claim, arm, verdict, reasons, q_value of a whole study. ValueError if the study has several planted
    or several placebo arms; one without such an arm has controls that do not hold.
    """
    alpha, rows = study.consensus.alpha, {row["claim"]: row for row in claims.iter_rows(named=True)}
    planted, placebo = _only(study, "planted"), _only(study, "placebo")
    response = None if planted is None else _checked(f"{RESPONSE}:{planted}", rows, found=True)
    quiet = () if placebo is None else _placebo(placebo, rows)
    loud = tuple(check.claim for check in quiet if check.verdict in LOUD)
    by_p = tuple(c.claim for c in quiet if c.verdict not in LOUD and c.q_value is not None and c.q_value <= alpha)
    responses = [check for check in (response, *quiet[:1]) if check is not None]
    untested = tuple(check.claim for check in responses if not check.tested)
    families = dict.fromkeys(map(family_of, rows))
    found = response is not None and response.holds
    return Controls(
        planted=response,
        placebo=quiet,
        loud=loud,
        not_silent_by_p=by_p,
        untested=untested,
        positives={family: _positive(family, planted, rows, alpha) for family in families},
        holds=found and bool(quiet) and not loud and not untested,
        sentences=(*_planted_words(response), *_placebo_words(quiet, loud, by_p, alpha)),
    )


def _only(study: Study, role: str) -> str | None:
    return study.only(role).name if any(arm.role == role for arm in study.arms) else None


def _checked(name: str, rows: Mapping[str, Mapping[str, Any]], *, found: bool) -> Checked:
    """A claim held against what it must be: found (supported), or silent and tested."""
    row = rows.get(name)
    must_be = "supported" if found else "neither supported nor exploratory"
    if row is None:
        return Checked(name, None, False, None, "there is no such claim", must_be, False)
    q = row["q_value"]
    tested = q is not None and not math.isnan(q)
    right = row["verdict"] == "supported" if found else tested and row["verdict"] not in LOUD
    return Checked(name, row["verdict"], tested, q if tested else None, row["reasons"], must_be, right)


def _placebo(arm: str, rows: Mapping[str, Mapping[str, Any]]) -> tuple[Checked, ...]:
    """The placebo arm's response at the planted steps first, then its other claims."""
    first = f"{RESPONSE}:{arm}"
    others = [name for name, row in rows.items() if row["arm"] == arm and name != first]
    return tuple(_checked(name, rows, found=False) for name in (first, *others))


def _positive(family: str, planted: str | None, rows: Mapping[str, Mapping[str, Any]], alpha: float) -> Positive:
    name = f"{family}:{planted}"
    if planted is None or name not in rows:
        return Positive(
            family,
            None,
            f"{family.capitalize()} claims have no positive control: the method "
            "has not been shown to find such an effect in this "
            "study, and a null result of theirs says no more than its interval.",
        )
    control = _checked(name, rows, found=True)
    if control.holds:
        words = f"was found ({_q(control)}): this test sees an effect of the size that was put in."
    else:
        by_p = control.q_value is not None and control.q_value <= alpha
        way = "is significant against its null but not established" if by_p else "was not found"
        words = (
            f"{way}: {control.verdict}, {_q(control)}; {control.reasons}. The method has not been shown to "
            "find such an effect in this study, so a null result of this family does not say that there is none."
        )
    return Positive(family, control, f"The positive control of the {family} claims, {name}, {words}")


def _q(check: Checked) -> str:
    return "no q" if check.q_value is None else f"q = {check.q_value:.3g}"


def _planted_words(response: Checked | None) -> Sequence[str]:
    if response is None:
        return ["There is no planted arm: nothing shows that the study could see an effect."]
    if response.holds:
        return [f"The planted effect was seen where and when it was put in: {response.claim} is supported."]
    if not response.tested:
        return [f"The planted effect was not tested: {response.claim}, {response.reasons}."]
    return [
        f"The planted effect was not seen: {response.claim} must be supported and is {response.verdict} "
        f"({response.reasons})."
    ]


def _placebo_words(quiet: Sequence[Checked], loud: Sequence[str], by_p: Sequence[str], alpha: float) -> Sequence[str]:
    if not quiet:
        return ["There is no placebo arm: nothing shows that the study stays silent where there is nothing."]
    said, (response, *_) = [], quiet
    if not response.tested:
        said.append(f"The placebo arm was not tested at the planted steps: {response.claim}, {response.reasons}.")
    elif response.verdict == "underpowered":
        said.append(f"{response.claim} is underpowered ({response.reasons}): that it is silent shows little.")
    if loud:
        said.append(
            f"The placebo arm must be silent and is not: {', '.join(loud)} shows an effect where there is none."
        )
    else:
        num = sum(check.tested for check in quiet)
        said.append(f"Of the {num} tested claims about the placebo arm none is supported or exploratory.")
    held_back = [f"{check.claim} ({_q(check)}; {check.reasons})" for check in quiet if check.claim in by_p]
    if held_back:
        said.append(
            f"Not silent by p: {'; '.join(held_back)}. Its q is at most {alpha:g}, and only another rule held it back: "
            "a p of this kind in another arm is no evidence of what that arm does."
        )
    return said
