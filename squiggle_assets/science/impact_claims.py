"""The claims of an impact curriculum: every pair compared, families of claims, what each may rest on.

Here: the impact_effects and claims tables. Not here: which arms belong together (impact_arms), the comparisons
(impact_effects), correction and verdict (claim_rows).

The control of every claim is the mean of the random cores: what starting from any core of these families does is not
what this core does. Beyond the control is therefore the difference to them, in the claim's own units, with an interval
over seeds and over cores (impact_draws); in the contrast with the random cores it is the claim itself. The loss core is
one choice of items without a draw: the contrast with it is over seeds alone. The impact core was selected on discovery
seeds and is tested on fresh ones only.
`replicated` says that discovery had found triggers (status 'triggers': all items) and the fresh seeds show the effect;
where the core only ranks highest there is no finding that fresh seeds could replicate, and nothing is more than
exploratory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import polars as pl

from squiggle_assets.science.claim_kinds import Claim, arm_row, boundary_only, significant, untested
from squiggle_assets.science.claim_rows import claim_rows
from squiggle_assets.science.claims import arms_of, is_preregistered
from squiggle_assets.science.comparison import ArmData
from squiggle_assets.science.exclusions import stopped_seeds, without_stopped
from squiggle_assets.science.impact_arms import Trio, trios_of, wave_study
from squiggle_assets.science.impact_core import NO_SELECTION, TRIGGERS
from squiggle_assets.science.impact_effects import EVENTS, OUTCOMES, Compared, Outcome, Place, compare
from squiggle_assets.science.outcomes import floor_check
from squiggle_assets.science.planted import Control, untested_control
from squiggle_assets.science.spec import Study

_METHODS = {
    "events": "excess over the null; p: larger of label swaps over seeds (searched again) and null draws of both arms; "
    "t interval with the larger of jackknife over pairs of seeds and sd of the null counts; event rate ratio beside it",
    "cell": "strongest event of each run in the cell of the selected event; paired sign flips over seeds; t interval",
    "learning": "last value of each run; paired sign flips over seeds; t interval",
}
_OVER_SEEDS = "; p and interval over seeds alone; control: the mean of the random cores, its interval over cores too"
_MORE = {"greater": "raises", "less": "lowers", "two-sided": "changes"}


class ImpactResult(NamedTuple):
    """What the confirmation wave shows."""

    effects: pl.DataFrame
    """Rows of impact_effects, without study, analysis and status."""
    claims: pl.DataFrame


def impact_result(
    study: Study,
    status: Mapping[str, Any],
    *,
    geometry: pl.DataFrame,
    manifest: pl.DataFrame,
    scalars: pl.DataFrame,
    consensus_events: pl.DataFrame,
    null_draws: pl.DataFrame,
    num_seeds: int,
    analysis_id: str,
    scale: str,
) -> ImpactResult:
    """Effects and claims from the tables of the confirmation wave; status: the row of impact_status.

    Without a selection there are no effects, and every claim says so. num_seeds: fresh seeds registered beforehand.
    """
    there = manifest["arm"].unique().to_list()
    wave, trios = wave_study(study, there), trios_of(study)
    arms = arms_of(wave, geometry=geometry, manifest=manifest, null_draws=null_draws)
    whole = without_stopped(scalars, manifest)
    place = None if status["band"] is None else Place(status["band"], status["metric_group"], status["polarity"])
    found = {
        (arm, against, outcome.name): compare(
            outcome,
            arm,
            trio.members(against),
            arms=arms,
            scalars=whole,
            place=place,
            study=wave,
            one_more=against == trio.random,
        )
        for trio in trios
        for arm, against in trio.pairs
        for outcome in OUTCOMES
    }
    judge = _Judge(wave, status, arms, whole, consensus_events, found)
    families = [
        [judge.claim(trio, against, outcome) for trio in trios for outcome in chosen for against in trio.against]
        for chosen in _by_family()
    ]
    claims = claim_rows(
        study,
        families,
        stopped=stopped_seeds(manifest),
        preregistered=is_preregistered(wave, manifest, num_seeds),
        scale=scale,
        analysis_id=analysis_id,
    )
    return ImpactResult(_effects(study, trios, found), claims)


def _by_family() -> list[list[Outcome]]:
    names = dict.fromkeys(outcome.family for outcome in OUTCOMES)
    return [[outcome for outcome in OUTCOMES if outcome.family == name] for name in names]


_Found = Mapping[tuple[str, str, str], Compared | None]


class _Judge(NamedTuple):
    """Everything a claim may rest on."""

    study: Study
    status: Mapping[str, Any]
    arms: Mapping[str, ArmData]
    scalars: pl.DataFrame
    events: pl.DataFrame
    found: _Found

    def claim(self, trio: Trio, against: str, outcome: Outcome) -> Claim:
        name = f"impact:{trio.impact}-{against}:{outcome.name}"
        hypothesis = (
            f"Starting from the impact core {_MORE[outcome.direction]} {outcome.name} against {_words(trio, against)}."
        )
        concerned = tuple(dict.fromkeys((trio.impact, *trio.members(against), *trio.randoms)))
        seen = self.found[trio.impact, against, outcome.name]
        if seen is None:
            return self._untested(name, trio.impact, against, hypothesis, outcome, concerned)
        beyond = self.found[trio.impact, trio.random, outcome.name]
        concerns = (trio.impact, *trio.members(against))
        on_floor = [arm for arm in concerns if not floor_check(self.scalars, arm).left]
        row = arm_row(
            self.arms[trio.impact],
            claim=name,
            contrast=against,
            hypothesis=hypothesis,
            estimate=seen.estimate,
            unit=outcome.unit,
            n_seeds=seen.num_pairs,
            method=_METHODS[outcome.family] + _rests_on(trio, against),
            evidence={
                "tables": ["impact_effects", "impact_core", "confirmation/consensus_events", "confirmation/scalars"],
                "arms": list(concerns),
                "outcome": outcome.name,
                "values": [round(seen.value, 6), round(seen.against, 6)],
                "rate_ratio": None
                if seen.ratio is None
                else [_known(x) for x in (seen.ratio.value, *seen.ratio.interval)],
                "on_floor": on_floor,
                **_over_cores(trio, against, seen),
                **self._discovery(),
            },
        )
        return Claim(
            row=row,
            arms=concerned,
            p_value=seen.p_value,
            smallest_p=seen.smallest_p,
            interval=seen.interval,
            control=untested_control(trio.random)
            if beyond is None
            else Control(trio.random, beyond.estimate, beyond.interval, beyond.num_pairs),
            margin=outcome.margin,
            direction=outcome.direction,
            near_boundary=self._near_boundary(trio.impact, trio.members(against), outcome, seen),
            floor=bool(on_floor) or seen.at_bound,
            selected=True,
            replicated=self.status["status"] == TRIGGERS and self._shown(seen, outcome),
        )

    def _discovery(self) -> dict[str, Any]:
        names = ("status", "core_sha256", "num_items", "num_triggers", "num_significant_events", "consensus_event_id")
        return {"discovery": {name: self.status[name] for name in names}}

    def _shown(self, seen: Compared, outcome: Outcome) -> bool:
        beyond_null = seen.interval.lo > 0 if outcome.direction == "greater" else seen.interval.hi < 0
        return seen.p_value <= self.study.consensus.alpha and beyond_null

    def _near_boundary(self, arm: str, against: Sequence[str], outcome: Outcome, seen: Compared) -> bool:
        if outcome.name == EVENTS:
            return self._at_boundaries(against if seen.estimate < 0 else (arm,))
        return outcome.family == "cell" and bool(self.status["near_boundary"])

    def _at_boundaries(self, arms: Sequence[str]) -> bool:
        return boundary_only(pl.concat([significant(self.study, arm, self.events) for arm in arms]))

    def _untested(
        self, name: str, arm: str, against: str, hypothesis: str, outcome: Outcome, concerned: Sequence[str]
    ) -> Claim:
        claim = untested(name, arm, hypothesis, outcome.unit, concerned)
        row = {**claim.row, "contrast": against, "evidence": {**claim.row["evidence"], **self._discovery()}}
        if self.status["status"] == NO_SELECTION:
            row["method"] = f"not tested: no core was selected ({self.status['reason']})"
        return replace(claim, row=row, selected=True)


def _words(trio: Trio, against: str) -> str:
    return f"the mean of {len(trio.randoms)} random cores" if against == trio.random else f"arm {against}"


def _rests_on(trio: Trio, against: str) -> str:
    """What kind of sample the other side is, in words."""
    if against == trio.random:
        return (
            f"; the others are {len(trio.randoms)} random cores, averaged within seeds; p: the larger of that over "
            "seeds and the impact core as one more draw of random cores (prediction t); interval: the wider of that "
            "over seeds and the prediction interval over cores"
        )
    return ("; the loss core is one choice of items, not a draw" if against == trio.loss else "") + _OVER_SEEDS


def _over_cores(trio: Trio, against: str, seen: Compared) -> dict[str, Any]:
    if seen.cores is None:
        return {}
    by_core = {arm: _known(value) for arm, value in zip(trio.members(against), seen.cores.others, strict=True)}
    return {"p": {"seeds": _known(seen.p_seeds), "cores": _known(seen.cores.p_value)}, "by_core": by_core}


_EFFECT_SCHEMA = {
    **dict.fromkeys(("arm", "against"), pl.String),
    "weight": pl.Int64,
    **dict.fromkeys(("outcome", "unit"), pl.String),
    **dict.fromkeys(("value", "value_against", "estimate", "ci_lo", "ci_hi"), pl.Float64),
    **dict.fromkeys(("ratio", "ratio_lo", "ratio_hi", "p_value", "p_seeds", "p_cores", "smallest_p"), pl.Float64),
    **{"num_draws": pl.Int64, "num_pairs": pl.Int64, "claimed": pl.Boolean},
}


def _effects(study: Study, trios: Sequence[Trio], found: _Found) -> pl.DataFrame:
    rows = []
    for trio in trios:
        for arm, against in trio.pairs:
            for outcome in OUTCOMES:
                seen = found[arm, against, outcome.name]
                if seen is not None:
                    rows.append(_effect_row(trio, arm, against, outcome, seen))
    return pl.DataFrame(rows, schema=_EFFECT_SCHEMA).with_columns(pl.col(pl.Float64).fill_nan(None))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _effect_row(trio: Trio, arm: str, against: str, outcome: Outcome, seen: Compared) -> dict[str, Any]:
    return {
        "arm": arm,
        "against": against,
        "weight": trio.weight,
        "outcome": outcome.name,
        "unit": outcome.unit,
        "value": seen.value,
        "value_against": seen.against,
        "estimate": seen.estimate,
        "ci_lo": seen.interval.lo,
        "ci_hi": seen.interval.hi,
        "ratio": None if seen.ratio is None else seen.ratio.value,
        "ratio_lo": None if seen.ratio is None else seen.ratio.interval.lo,
        "ratio_hi": None if seen.ratio is None else seen.ratio.interval.hi,
        "p_value": seen.p_value,
        "p_seeds": seen.p_seeds,
        "p_cores": None if seen.cores is None else seen.cores.p_value,
        "smallest_p": seen.smallest_p,
        "num_draws": None if seen.cores is None else len(seen.cores.others),
        "num_pairs": seen.num_pairs,
        "claimed": arm == trio.impact,
    }
