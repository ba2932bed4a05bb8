"""The claims of a probe study: this family moves the model in another way than random mixtures do.

Here: from summaries at equal tokens and at equal steps to tests, draws and claims. Not here: distances
(probe_distance), summaries (probe_signature), correction and verdict (claim_rows).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from polars import selectors

from squiggle_assets.science import rng
from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.claim_kinds import Claim, untested
from squiggle_assets.science.claim_rows import claim_rows
from squiggle_assets.science.exclusions import stopped_seeds
from squiggle_assets.science.planted import Control, beyond_control, untested_control, weakest_control
from squiggle_assets.science.probe_distance import MIN_MIXTURES, Distance, distances_of
from squiggle_assets.science.probe_families import families_of, mixtures_of
from squiggle_assets.science.spec import Study
from squiggle_assets.science.stats import benjamini_hochberg

TOKENS, STEPS = "tokens", "steps"
"""How runs are matched: estimates are those at equal tokens, p is the larger of the two. Items of one family are longer
than those of another: at equal tokens it has made fewer updates, at equal steps it has read more."""
_UNIT = "spreads of random mixtures"
_TESTS: dict[str, Any] = {
    **dict.fromkeys(("arm", "role", "matched"), pl.String),
    **dict.fromkeys(("distance", "ci_lo", "ci_hi", "p_seeds", "p_items", "p_value"), pl.Float64),
    **dict.fromkeys(("p_familywise", "q_value"), pl.Float64),
    **{"control": pl.String},
    **dict.fromkeys(("control_difference", "control_ci_lo", "control_ci_hi"), pl.Float64),
    **{"n_seeds": pl.Int64, "components": pl.String, "by_seed": pl.String},
}
_DRAWS = {"arm": pl.String, "matched": pl.String, "draw": pl.Int64, "statistic": pl.Float64}


class ProbeResult(NamedTuple):
    """What a probe study says."""

    tests: pl.DataFrame
    draws: pl.DataFrame
    claims: pl.DataFrame


def tested_arms(study: Study) -> tuple[str, ...]:
    """Arms that are held against the mixtures: families, then those with planted items."""
    return families_of(study) + tuple(arm.name for arm in study.arms if arm.plant is not None)


def probe_result(
    study: Study,
    summaries: Mapping[str, pl.DataFrame],
    manifest: pl.DataFrame,
    *,
    scale: str,
    preregistered: bool,
    analysis_id: str,
) -> ProbeResult:
    """Tests, draws and claims of a probe study.

    summaries: TOKENS and STEPS -> probe_summaries of the runs that went to their end. manifest: run_manifest of all
    runs. Seeds that not every arm has are left out of all comparisons; with fewer than 2 left, or fewer than
    MIN_MIXTURES mixtures, nothing is tested and the claims say so.
    """
    arms, mixtures = tested_arms(study), mixtures_of(study)
    seeds = _shared_seeds(manifest, (*arms, *mixtures))
    testable = len(seeds) >= 2 and len(mixtures) >= MIN_MIXTURES
    found: dict[str, dict[str, Distance]] = {matched: {} for matched in summaries}
    if testable:
        for matched, rows in summaries.items():
            num_draws = study.consensus.draws_per_cell * len(arms)
            # the same exchanges for both ways of matching: where they agree, so do their p
            draws = rng.generator("probe_distance", study.consensus.seed, *arms, *mixtures)
            found[matched] = distances_of(rows, arms, mixtures, seeds, num_draws=num_draws, rng=draws)
    claims = claim_rows(
        study,
        _families(study, found),
        stopped=stopped_seeds(manifest),
        preregistered=preregistered,
        scale=scale,
        analysis_id=analysis_id,
    )
    return ProbeResult(_tests(study, found), _draws(found), claims)


def _shared_seeds(manifest: pl.DataFrame, arms: Sequence[str]) -> tuple[int, ...]:
    whole = manifest.filter(~pl.col("stopped_early"))
    of_arm = [set(whole.filter(pl.col("arm") == arm)["seed"]) for arm in arms]
    return tuple(sorted(set.intersection(*of_arm)))


def _controls(arm: str, found: Mapping[str, Distance], mixtures: Sequence[str]) -> Control | None:
    """The mixture that is hardest to exceed; of a mixture the hardest of the others."""
    if arm not in found:
        return weakest_control(untested_control(name) for name in mixtures if name != arm)
    return weakest_control(beyond_control(name, found[arm], found[name]) for name in mixtures if name != arm)


def _families(study: Study, found: Mapping[str, Mapping[str, Distance]]) -> list[list[Claim]]:
    """Two families: what the planted arm and the placebo show of the method, and the families of problems."""
    mixtures = mixtures_of(study)
    planted = [arm.name for arm in study.arms if arm.role == "planted"]
    placebo = [arm.name for arm in study.arms if arm.role == "placebo"]
    of_controls = [_claim("planted", arm, found, mixtures) for arm in (*planted, *placebo)]
    return [of_controls, [_claim("family", arm, found, mixtures) for arm in tested_arms(study)]]


def _claim(kind: str, arm: str, found: Mapping[str, Mapping[str, Distance]], mixtures: Sequence[str]) -> Claim:
    name, hypothesis = f"{kind}:{arm}", f"Training on {arm} moves the model in another way than random mixtures do."
    own = found[TOKENS].get(arm)
    if own is None:
        return untested(name, arm, hypothesis, _UNIT, (arm, *mixtures))
    steps = found[STEPS][arm]
    row = {
        "claim": name,
        "arm": arm,
        "contrast": None,
        "hypothesis": hypothesis,
        "estimate": own.estimate,
        "unit": _UNIT,
        "n_seeds": len(own.by_seed),
        "n_items": None,
        "method": (
            "mean over seeds of the difference from the mean mixture along the direction of the other seeds, each "
            f"component in spreads of the {len(mixtures)} mixtures, at equal training tokens; p: the larger of "
            f"arm and mixtures exchanged within seeds, {len(own.draws)} draws, and one more set of items among the "
            "mixtures (prediction t), at equal tokens or at equal steps; t interval over seeds; control: the mixture, "
            "held against the other mixtures, that is hardest to exceed"
        ),
        "evidence": {
            "tables": ["probe_summaries", "probe_tests", "probe_draws"],
            "arm": arm,
            "mixtures": list(mixtures),
            "by_seed": {str(seed): round(value, 4) for seed, value in own.by_seed.items()},
            "components": {part: round(value, 4) for part, value in own.components.items()},
            "p": {"seeds": _known(own.p_seeds), "items": _known(own.p_items)},
            "p_familywise": _known(own.p_familywise),
            "p_at_equal": {TOKENS: _known(own.p_value), STEPS: _known(steps.p_value)},
            "distance_at_equal_steps": round(steps.estimate, 4),
        },
    }
    return Claim(
        row=row,
        arms=(arm, *mixtures),
        p_value=float(np.maximum(own.p_value, steps.p_value)),
        smallest_p=own.smallest_p,
        interval=own.interval,
        control=_controls(arm, found[TOKENS], mixtures),
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)


def _tests(study: Study, found: Mapping[str, Mapping[str, Distance]]) -> pl.DataFrame:
    roles, rows = {arm.name: arm.role for arm in study.arms}, []
    for matched, distances in found.items():
        tested = [arm for arm in distances if arm not in mixtures_of(study)]
        p = np.array([distances[arm].p_value for arm in tested])
        q = dict(zip(tested, benjamini_hochberg(p), strict=True))
        for arm, own in distances.items():
            control = _controls(arm, distances, mixtures_of(study))
            rows.append(
                {
                    "arm": arm,
                    "role": roles[arm],
                    "matched": matched,
                    "distance": own.estimate,
                    "ci_lo": own.interval.lo,
                    "ci_hi": own.interval.hi,
                    "p_seeds": own.p_seeds,
                    "p_items": own.p_items,
                    "p_value": own.p_value,
                    "p_familywise": own.p_familywise,
                    "q_value": q.get(arm),
                    "control": None if control is None else control.name,
                    "control_difference": None if control is None else control.difference,
                    "control_ci_lo": None if control is None else control.interval.lo,
                    "control_ci_hi": None if control is None else control.interval.hi,
                    "n_seeds": len(own.by_seed),
                    "components": canonical_json({k: round(v, 6) for k, v in own.components.items()}),
                    "by_seed": canonical_json({str(seed): round(v, 6) for seed, v in own.by_seed.items()}),
                }
            )
    return pl.DataFrame(rows, schema=_TESTS).with_columns(selectors.float().fill_nan(None))


def _draws(found: Mapping[str, Mapping[str, Distance]]) -> pl.DataFrame:
    frames = [pl.DataFrame(schema=_DRAWS)]
    for matched, distances in found.items():
        for arm, own in distances.items():
            columns = {
                "arm": [arm] * len(own.draws),
                "matched": [matched] * len(own.draws),
                "draw": np.arange(len(own.draws)),
                "statistic": own.draws,
            }
            frames.append(pl.DataFrame(columns, schema=_DRAWS))
    return pl.concat(frames)
