"""What the claims of a study say together, how far a null result carries, and what the design could have seen.

Here: words made from all claims, controls and the design. Not here: single claims (findings), what the controls showed
(science.controls), verdicts (science.verdict), layout (document).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from squiggle_assets.report.document import Badge, Block, Bullets, Table, Text
from squiggle_assets.report.findings import VERDICT_WORDS, held_back, no_margin
from squiggle_assets.report.style import VERDICTS
from squiggle_assets.report.text import listed, mean, number, plural, share
from squiggle_assets.science.controls import Checked, Controls, controls_of, family_of
from squiggle_assets.science.spec import Study

Row = Mapping[str, Any]


def summary(study: Study, claims: pl.DataFrame) -> list[Block]:
    """What all claims say together; a null result family by family; whether the controls allow it to be read."""
    if claims.is_empty():
        return [Text(text="There are no claims: nothing was tested, so nothing was found and nothing excluded.")]
    said = controls_of(claims, study)
    blocks: list[Block] = [
        Text(tone="lead", text=f"{plural(len(claims), 'claim')}: {counted(claims.to_dicts())}.{_untested(claims)}")
    ]
    judging = [arm.name for arm in study.arms if arm.role in ("planted", "placebo")]
    about = claims.filter(~pl.col("arm").is_in(judging)).to_dicts()
    if about and all(row["verdict"] != "supported" for row in about):
        text = f"Null result: none of the {plural(len(about), 'claim')} about the arms under study is supported."
        blocks.append(Text(tone="note", text=f"{text} How far that carries differs from family to family."))
    families: dict[str, list[Row]] = {}
    for row in about:
        families.setdefault(family_of(row["claim"]), []).append(row)
    if families:
        blocks.append(Bullets(items=[_family(name, rows, study, said) for name, rows in families.items()]))
    allowed = what_controls_allow(said)
    return [*blocks, allowed] if allowed.tone == "warning" else blocks


def _untested(claims: pl.DataFrame) -> str:
    num = claims["p_value"].null_count()
    return f" For {plural(num, 'claim')} no p could be worked out." if num else ""


def counted(rows: Sequence[Row]) -> str:
    """How many claims have each verdict, in words."""
    counts = Counter(row["verdict"] for row in rows)
    return listed([f"{counts[verdict]} {verdict}" for verdict in VERDICT_WORDS if counts[verdict]])


def _family(name: str, rows: Sequence[Row], study: Study, said: Controls) -> str:
    """One family of claims about the arms under study: counts, which rule failed, and what a null result is worth."""
    parts = [f"{name.capitalize()} claims about the arms under study: {counted(rows)}."]
    failed = [row for row in rows if row["verdict"] == "not supported"]
    significant = [row for row in failed if held_back(row, study)]
    above = [row["claim"] for row in failed if not held_back(row, study)]
    if above:
        parts.append(f"q above {study.consensus.alpha:g}: {listed(above)}.")
    if significant:
        told = "; ".join(f"{row['claim']} (q = {share(row['q_value'])}; {row['reasons']})" for row in significant)
        parts.append(f"Significant against the null but held back by another rule: {told}.")
    if any(row["verdict"] == "underpowered" for row in rows):
        parts.append(
            "From an underpowered claim nothing follows, neither that there is an effect nor that there is none."
        )
    if failed:
        parts.append(_worth(said, name))
    open_ended = [row["claim"] for row in rows if row["verdict"] != "supported" and no_margin(row["claim"], study)]
    if open_ended:
        parts.append(
            f"No smallest effect of interest was registered for {number(len(open_ended))} of them, so none was powered "
            "for one: their intervals, below, are what the data leave possible."
        )
    return " ".join(parts)


def _worth(said: Controls, family: str) -> str:
    """What a claim of the family that is not supported is worth."""
    positive = said.positives[family]
    if not positive.found:
        return positive.sentence
    if said.not_silent_by_p:
        return (
            f"{positive.sentence} But the placebo arm is not silent by p: what these claims do not show tells "
            "something about the arms, what they show by p alone does not."
        )
    return f"{positive.sentence} That these claims are not supported therefore tells something about the arms."


def what_controls_allow(said: Controls) -> Text:
    """Whether the controls hold, in words: a warning where they do not or the placebo arm is not silent by p."""
    words = " ".join(said.sentences)
    if not said.holds:
        return Text(tone="warning", text=f"The controls do NOT hold. {words}")
    told = f"The controls hold for the response at the planted steps. {words}"
    return Text(tone="warning" if said.not_silent_by_p else "good", text=told)


PLANTED = (
    "The planted arm holds known trigger items at known steps; the placebo arm has the schedule of a treatment over "
    "shuffled family labels. The planted claim looks at a cell and at steps that were fixed beforehand; consensus "
    "claims search all cells and steps for the strongest moment: one does not vouch for the other."
)
"""What the controls of a study over training steps are."""


def controls_blocks(study: Study, claims: pl.DataFrame, about: str = PLANTED) -> list[Block]:
    """The claims about planted and placebo arm beside what they must be, what they allow, and each family's control.

    about: what these arms are.
    """
    said = controls_of(claims, study)
    must = [] if said.planted is None else [said.planted]
    rows = [_control_row(check) for check in (*must, *said.placebo)]
    positives = [one.control for one in said.positives.values() if one.control not in (None, said.planted)]
    rows += [_control_row(check, "supported, or null results of its family say little") for check in positives if check]
    allowed = what_controls_allow(said)
    if not rows:
        return [allowed]
    table = Table(
        columns=("control", "verdict", "q", "must be", "is it"),
        rows=rows,
        numeric=frozenset({"q"}),
        caption=about,
    )
    return [table, allowed, Bullets(items=[one.sentence for one in said.positives.values()])]


def _control_row(check: Checked, must_be: str = "") -> tuple[str, ...]:
    verdict = check.verdict or "not tested"
    return (
        check.claim,
        Badge(verdict) if verdict in VERDICTS else verdict,
        share(check.q_value),
        must_be or check.must_be,
        "yes" if check.holds else "NO",
    )


def power(minimum_detectable: pl.DataFrame | None) -> Text:
    """What the design could have found by p alone, and that a verdict asks for more.

    minimum_detectable: the one row of that table, None where the report was made without it.
    """
    if minimum_detectable is None:
        return Text(text="What effects this design could have found was not worked out for this report.")
    row = minimum_detectable.row(0, named=True)
    size, paired = row["event_size"], row["paired_difference"]
    level = f"power {row['power']:g}"
    found = (
        f"finds none of the common events tried (up to 6 robust sd) with {level}"
        if size is None
        else f"finds a common event of {number(size)} robust sd in every seed with {level}"
    )
    between = (
        "" if paired is None else f" Between two arms: a difference of {mean(paired)} sd of the paired differences."
    )
    return Text(
        tone="note",
        text=f"What this design could see ({plural(row['n_seeds'], 'seed')}, {number(row['num_captures'])} captures a "
        f"run): the p of the consensus test {found} (simulated on white noise, the best case; {row['num_studies']} "
        f"studies a size).{between} The smallest q of a lone contrast is {share(row['smallest_q'])}. This is the power "
        "of the p alone. A verdict of supported also needs an interval clear of what chance gives and a difference to "
        "the control clear of 0: its power is lower and is not known, and these figures do not make a null result "
        "informative.",
    )
