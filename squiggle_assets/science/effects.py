"""What leaving items out, replacing or moving them did to an event, against placebo edits, over seeds.

Here: paired effects of each (event, condition) and their q, also of edits of a part of the triggers. Not here: the
outcome of one run (frozen_location), what an effect is called (effect_labels), the design before it runs
(followup_design).
Legend: S = seeds.

Pairs are the runs of one seed: they share everything up to the first edit. The draws of the placebo are averaged within
each seed first, so that five draws of eight seeds are eight observations. The control of a condition is the placebo;
the placebo's own control is the exact replay. A seed whose parent drew no trigger in scope is no pair: nothing was
edited there, so its replays are one run, and their agreement says nothing about the triggers. Which seeds these are
follows from the draws, before anything was measured.

The interval of the risk difference is Newcombe's for pairs (stats.paired_newcombe). The exact unconditional one stands
beside it: it guards against pairs that exclude each other (the event comes in exactly one of the two runs of a seed),
which runs with a common past do not, and at that price 8 of 8 against 0 of 8 would leave -.26 possible. What the choice
costs is known: with 8 seeds and a true difference of -.5 the upper end falls below -.5 in at most .01 of studies if the
two runs of a seed are not negatively correlated, and in at most .10 whatever they are (a test counts both).

One p a (event, condition), over presence, delay and magnitude together, so that three outcomes are no three chances:
the larger of two. The sign flip over seeds (stats.max_sign_flip) takes a run less the mean of several placebo draws for
symmetric; where outcomes are skewed it is not, and at 5 % the sign flip alone found something in up to .12 of simulated
studies without effect (8 seeds, 5 draws). The exchange of runs within seeds (stats.max_exchange_p) is exact there, but
would let 3 seeds be significant. q is Benjamini-Hochberg over the pre-registered family; a test that could not be made
stays in it with p = 1. The placebo is a check and not in the family: no correction shall hide what it does.
Parts of the triggers (the best half, quarter, ...) are tested in a fixed sequence that begins with all of them: the q
of a part is the largest of the q of the whole and the p of every part from there down to it, so the family keeps its
level and a part is only found to act if every larger one was. Its control is the placebo of the whole (more edits).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from squiggle_assets.science.canonical import canonical_json
from squiggle_assets.science.effect_labels import Effect, Margins, label_of
from squiggle_assets.science.rng import generator
from squiggle_assets.science.stats import (
    Interval,
    SignFlip,
    benjamini_hochberg,
    logrank,
    max_exchange_p,
    max_sign_flip,
    paired_exact,
    paired_hedges_g,
    paired_newcombe,
    t_interval,
    tost_paired,
)

F64 = NDArray[np.float64]

CONTROL_OF = {"placebo": "exact"}
"""Control of a condition; the placebo for all that are not named."""
RUN_COLUMNS = (
    "consensus_event_id",
    "condition",
    "part",
    "draw",
    "seed",
    "event_present",
    "steps_to_event",
    "horizon_steps",
    "censored",
    "magnitude",
    "trajectory_distance",
    "num_edits",
)
"""What effects read of counterfactual_runs."""
_NUMBERS = (
    *("share_present", "share_present_control", "effect_rd", "ci_lo", "ci_hi", "rd_exact_lo", "rd_exact_hi"),
    *("delay_difference", "delay_ci_lo", "delay_ci_hi", "logrank_p", "share_reached"),
    *("magnitude_difference", "magnitude_ci_lo", "magnitude_ci_hi", "effect_g", "g_ci_lo", "g_ci_hi"),
    *("distance_difference", "distance_ci_lo", "distance_ci_hi"),
    *("p_value", "smallest_p", "q_value", "equivalence_p"),
)
SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("consensus_event_id", "condition"), pl.String()),
        "part": pl.Int64(),
        "control": pl.String(),
        **dict.fromkeys(("n_seeds", "num_unedited", "num_control_runs"), pl.Int64()),
        "seeds": pl.String(),
        **dict.fromkeys(_NUMBERS, pl.Float64()),
        "label": pl.String(),
        "reason": pl.String(),
    }
)
"""Columns of effects, one row an event and condition."""


def effects_of(
    runs: pl.DataFrame,
    *,
    family: Sequence[tuple[str, str]],
    margins: Margins,
    parts: Sequence[int] = (),
    num_untested: int = 0,
    seed: int = 0,
) -> pl.DataFrame:
    """Effects (SCHEMA) of every (event, condition) of the family and of the placebo, by event, condition and part.

    Args:
        runs: One row a run and event (RUN_COLUMNS), runs that were stopped left out.
        family: The pre-registered (consensus_event_id, condition) for which an event was selected.
        margins: What counts as preserved, and alpha; set before the runs.
        parts: Parts of the triggers that were edited too (2: the best half), of whatever members of the family have
            runs of them.
        num_untested: Pre-registered conditions without an event to test; members of the family all the same.
        seed: Of the draws where there are too many seeds to list all assignments; event, condition, part and seeds are
            in the key too.

    Raises:
        ValueError: a column is missing, a run is there twice, runs of one event were watched for different times, or
            the family names a pair twice or a control (exact, placebo), or num_untested is negative.
    """
    _check(runs, family, num_untested)
    placebos = [(event, "placebo") for event in sorted({event for event, _ in family})]
    effects = [_effect(runs, event, condition, margins, seed) for event, condition in [*family, *placebos]]
    p = [_p_or_one(effect) for effect in effects[: len(family)]]
    q = benjamini_hochberg(np.array([*p, *[1.0] * num_untested]))[: len(family)]
    levels = [*q.tolist(), *[float("nan")] * len(placebos)]
    corrected = [effect._replace(q_value=q) for effect, q in zip(effects, levels, strict=True)]
    for whole in corrected[: len(family)]:
        corrected += _of_parts(runs, whole, parts, margins, seed)
    rows = [_row(effect, margins) for effect in corrected]
    table = pl.DataFrame(rows, schema=SCHEMA).sort("consensus_event_id", "condition", "part")
    return table.with_columns(pl.selectors.float().fill_nan(None))


def _p_or_one(effect: Effect) -> float:
    return 1.0 if np.isnan(effect.p_value) else effect.p_value


def _of_parts(runs: pl.DataFrame, whole: Effect, parts: Sequence[int], margins: Margins, seed: int) -> list[Effect]:
    """Effects of the parts that have runs, largest part first, each with the q of the fixed sequence."""
    own = runs.filter((pl.col("consensus_event_id") == whole.event) & (pl.col("condition") == whole.condition))
    found, q = [], whole.q_value
    for part in sorted(set(parts) & set(own["part"])):
        effect = _effect(runs, whole.event, whole.condition, margins, seed, part)
        q = max(q, _p_or_one(effect))
        found.append(effect._replace(q_value=q))
    return found


def _check(runs: pl.DataFrame, family: Sequence[tuple[str, str]], num_untested: int) -> None:
    if num_untested < 0:
        raise ValueError(f"num_untested cannot be negative, got {num_untested}")
    missing = [name for name in RUN_COLUMNS if name not in runs.columns]
    if missing:
        raise ValueError(f"runs need the columns {RUN_COLUMNS}; missing: {missing}")
    controls = [pair for pair in family if pair[1] in ("exact", "placebo")]
    if controls or len(set(family)) != len(family):
        raise ValueError(f"a family names each (event, condition) once and no control, got {list(family)}")
    twice = runs.filter(runs.select(RUN_COLUMNS[:5]).is_duplicated())
    if len(twice):
        raise ValueError(f"a run is there twice: {twice.select(RUN_COLUMNS[:5]).row(0)}")
    uneven = (
        runs.group_by("consensus_event_id").agg(pl.col("horizon_steps").n_unique()).filter(pl.col("horizon_steps") > 1)
    )
    if len(uneven):
        raise ValueError(f"runs of event {uneven['consensus_event_id'][0]!r} were watched for different times")


_OUTCOMES = ("event_present", "steps_to_event", "magnitude")
"""What p is about, in the order of the tests."""


def _of(runs: pl.DataFrame, event: str, condition: str, part: int) -> pl.DataFrame:
    chosen = (pl.col("consensus_event_id") == event, pl.col("condition") == condition, pl.col("part") == part)
    return runs.filter(*chosen)


def _by_seed(own: pl.DataFrame) -> pl.DataFrame:
    """One row a seed, mean over its draws; the time of the middle draw (the earlier of two) beside it."""
    middle = (pl.len() - 1) // 2
    return (
        own.sort("seed", "steps_to_event", "censored", "draw")
        .group_by("seed", maintain_order=True)
        .agg(
            present=pl.col("event_present").cast(pl.Float64).mean(),
            time=pl.col("steps_to_event").mean(),
            middle=pl.col("steps_to_event").gather(middle).first(),
            reached=(~pl.col("censored")).gather(middle).first(),
            magnitude=pl.col("magnitude").mean(),
            distance=pl.col("trajectory_distance").mean(),
            num=pl.len().cast(pl.Int64),
        )
    )


def _p_of(shifts_OS: F64, mine: pl.DataFrame, theirs: pl.DataFrame, key: tuple[int | str, ...]) -> SignFlip:
    """The sign flip with the larger of its p and that of the exchange within seeds; rows are of paired seeds only."""
    flipped = max_sign_flip(shifts_OS, rng=generator("sign flip", *key))
    # of condition and control one has a single run a seed: that is the run which is exchanged
    single, several = (mine, theirs) if mine["seed"].is_unique().all() else (theirs, mine)
    outcomes = [pl.col(name).cast(pl.Float64) for name in _OUTCOMES]
    alone_OS = single.sort("seed").select(outcomes).to_numpy().T
    beside = [rows.select(outcomes).to_numpy().T for rows in several.sort("seed", "draw").partition_by("seed")]
    exchanged = max_exchange_p(alone_OS, beside, rng=generator("exchange", *key))
    return flipped._replace(p_value=max(flipped.p_value, exchanged))


def _effect(runs: pl.DataFrame, event: str, condition: str, margins: Margins, seed: int, part: int = 1) -> Effect:
    control = CONTROL_OF.get(condition, "placebo")
    all_mine, theirs = _of(runs, event, condition, part), _of(runs, event, control, 1)
    mine = all_mine.filter(pl.col("num_edits") > 0)
    pairs = _by_seed(mine).join(_by_seed(theirs), on="seed", how="inner", suffix="_control").sort("seed")
    paired = pl.col("seed").is_in(pairs["seed"].to_list())
    present, usual = (pairs[name].to_numpy() for name in ("present", "present_control"))
    shifts = {
        name: pairs[name].to_numpy() - pairs[f"{name}_control"].to_numpy()
        for name in ("present", "time", "magnitude", "distance")
    }
    shifts_OS = np.stack([shifts[name] for name in ("present", "time", "magnitude")])
    key = (seed, event, condition, part, *pairs["seed"])
    test = _p_of(shifts_OS, mine.filter(paired), theirs.filter(paired), key)
    g, g_interval = paired_hedges_g(shifts["magnitude"])
    strength = _mean(pairs["magnitude_control"].to_numpy())
    return Effect(
        event=event,
        condition=condition,
        part=part,
        control=control,
        seeds=tuple(pairs["seed"]),
        num_unedited=all_mine["seed"].n_unique() - mine["seed"].n_unique(),
        num_control_runs=int(pairs["num_control"].sum()),
        share_present=_mean(present),
        share_present_control=_mean(usual),
        risk=paired_newcombe(present, usual),
        risk_narrow=paired_newcombe(present, usual, 1 - 2 * margins.alpha),
        risk_exact=_exact(present, usual),
        delay=_mean(shifts["time"]),
        delay_interval=t_interval(shifts["time"]),
        logrank_p=_logrank(pairs),
        share_reached=_mean(pairs["reached"].cast(pl.Float64).to_numpy()),
        magnitude=_mean(shifts["magnitude"]),
        magnitude_interval=t_interval(shifts["magnitude"]),
        g=g,
        g_interval=g_interval,
        distance=_mean(shifts["distance"]),
        distance_interval=t_interval(shifts["distance"]),
        p_value=test.p_value,
        smallest_p=test.smallest_p,
        q_value=float("nan"),
        equivalence_p=_equivalence(shifts, strength, margins),
    )


def _mean(values: F64) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _exact(present_S: F64, usual_S: F64) -> Interval:
    """Exact interval over whole outcomes, conservative where draws of a seed differ.

    For the upper end a seed's control counts as present only if every draw has the event, for the lower end if any
    has; each bounds the difference to the mean over draws from its side. The same for the placebo as a condition.
    """
    if not len(present_S):
        return paired_exact(0, 0, 0)
    ends = []
    for mine, theirs in ((np.ceil(present_S), np.floor(usual_S)), (np.floor(present_S), np.ceil(usual_S))):
        ends.append(paired_exact(int((mine > theirs).sum()), int((mine < theirs).sum()), len(mine)))
    return Interval(ends[1].lo, ends[0].hi)


def _logrank(pairs: pl.DataFrame) -> float:
    times = [
        (pairs[f"middle{end}"].to_numpy(), pairs[f"reached{end}"].to_numpy().astype(bool)) for end in ("", "_control")
    ]
    return logrank(*times).p_value


def _equivalence(shifts: dict[str, F64], strength: float, margins: Margins) -> float:
    """The larger p of two equivalence tests, of delay and of magnitude; nan where there is no strength to keep."""
    if not len(shifts["time"]) or not strength > 0:
        return float("nan")
    share = margins.magnitude_share * strength
    return max(
        tost_paired(shifts["time"], -margins.delay_steps, margins.delay_steps),
        tost_paired(shifts["magnitude"], -share, share),
    )


def _row(effect: Effect, margins: Margins) -> dict[str, Any]:
    label, reason = label_of(effect, margins)
    return {
        "consensus_event_id": effect.event,
        "condition": effect.condition,
        "part": effect.part,
        "control": effect.control,
        "n_seeds": len(effect.seeds),
        "num_unedited": effect.num_unedited,
        "num_control_runs": effect.num_control_runs,
        "seeds": canonical_json(list(effect.seeds)),
        "share_present": effect.share_present,
        "share_present_control": effect.share_present_control,
        "effect_rd": effect.share_present - effect.share_present_control,
        "ci_lo": effect.risk.lo,
        "ci_hi": effect.risk.hi,
        "rd_exact_lo": effect.risk_exact.lo,
        "rd_exact_hi": effect.risk_exact.hi,
        "delay_difference": effect.delay,
        "delay_ci_lo": effect.delay_interval.lo,
        "delay_ci_hi": effect.delay_interval.hi,
        "logrank_p": effect.logrank_p,
        "share_reached": effect.share_reached,
        "magnitude_difference": effect.magnitude,
        "magnitude_ci_lo": effect.magnitude_interval.lo,
        "magnitude_ci_hi": effect.magnitude_interval.hi,
        "effect_g": effect.g,
        "g_ci_lo": effect.g_interval.lo,
        "g_ci_hi": effect.g_interval.hi,
        "distance_difference": effect.distance,
        "distance_ci_lo": effect.distance_interval.lo,
        "distance_ci_hi": effect.distance_interval.hi,
        "p_value": effect.p_value,
        "smallest_p": effect.smallest_p,
        "q_value": effect.q_value,
        "equivalence_p": effect.equivalence_p,
        "label": label,
        "reason": reason,
    }
