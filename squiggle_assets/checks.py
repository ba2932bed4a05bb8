"""Scientific expectations of products: what a blocking check must never let through.

Here: functions of (value, scope) -> CheckOutcome; shapes and types are gates in the IO manager instead.
Not here: statistics (science.stats) or storing outcomes (assets.factory).
"""

from __future__ import annotations

import polars as pl

from squiggle_assets.assets.node import Scope
from squiggle_assets.schemas.handles import CheckOutcome, Handle
from squiggle_assets.science.families import CONTROLS, TARGETS

_SHOWN = 20
MAX_BASE_DEVIATION = 1e-6
"""Relative difference of the first capture's geometry between runs that start from one base: rounding, no more."""


def _outcome(failing: pl.DataFrame, description: str, **figures: float) -> CheckOutcome:
    return CheckOutcome(
        name="",
        blocking=True,
        passed=failing.is_empty(),
        description=description,
        failing_rows=tuple(failing.head(_SHOWN).to_dicts()),
        num_failing=failing.height,
        figures=figures,
    )


def answers_verified(pool: pl.DataFrame, scope: Scope) -> CheckOutcome:
    """Every generated item's answer agreed with its own checker."""
    bad = pool.filter((pl.col("source") == "generated") & ~pl.col("answer_verified"))
    return _outcome(bad.select("item_id", "family_id", "problem"), "generated items whose checker disagreed")


def families(pool: pl.DataFrame, scope: Scope) -> CheckOutcome:
    """Every one of the 17 families has items."""
    there = set(pool["family_id"])
    missing = pl.DataFrame({"family_id": sorted(set((*TARGETS, *CONTROLS)) - there)}, schema={"family_id": pl.String})
    return _outcome(missing, "families without items", num_families=len(there))


def groups_whole(split: pl.DataFrame, scope: Scope) -> CheckOutcome:
    """No group of near-duplicates stands on both sides of a split."""
    straddling = (
        split.filter(pl.col("split") != "unused")
        .group_by("group_id")
        .agg(pl.col("split").unique().sort().str.join(",").alias("splits"), pl.col("split").n_unique().alias("num"))
        .filter(pl.col("num") > 1)
        .sort("group_id")
    )
    return _outcome(straddling, "groups that straddle splits")


def trace_complete(trace: pl.DataFrame, scope: Scope) -> CheckOutcome:
    """Every step has its full batch, in order, without gaps."""
    batch = scope.profile.training.batch_size
    sizes = trace.group_by("step").len().filter(pl.col("len") != batch).sort("step")
    steps = trace["step"].unique().sort()
    gaps = 0 if steps.is_empty() else int(steps[-1]) + 1 - len(steps)
    outcome = _outcome(sizes, f"steps whose batch is not {batch}", num_gaps=gaps)
    return outcome if gaps == 0 else CheckOutcome(**{**vars(outcome), "passed": False})


def losses_finite(scalars: pl.DataFrame, scope: Scope) -> CheckOutcome:
    """Every recorded value is a finite number, but for the batch at which a controller stopped the run."""
    last = scalars.filter(pl.col("metric") == "loss").get_column("step").max() or 0
    stopping = (pl.col("step") == last) & pl.col("metric").is_in(["loss", "grad_norm"])
    bad = scalars.filter((pl.col("value").is_null() | ~pl.col("value").is_finite()) & ~stopping)
    return _outcome(bad.select("step", "metric", "value"), "scalars that are no finite number")


def enough_captures(captures: Handle, scope: Scope) -> CheckOutcome:
    """At least 100 captures, so that an event has a place within a curriculum block.

    A run that a controller stopped has as many as it has: it is kept and shown, and left out, by name, of what needs
    whole runs.
    """
    num = sum(name.startswith("step_") for name in captures.files)
    if captures.meta.get("stop_reason"):
        return _outcome(pl.DataFrame(), f"stopped by a controller: {captures.meta['stop_reason']}", num_captures=num)
    short = pl.DataFrame(
        {"num_captures": [num]} if num < 100 else {"num_captures": []}, schema={"num_captures": pl.Int64}
    )
    return _outcome(short, "captures of the run", num_captures=num)


def accounted(summary: pl.DataFrame, scope: Scope) -> CheckOutcome:
    """Selected events and skipped candidates add up to the candidates, in every series."""
    total = pl.sum_horizontal(
        "num_selected", *(f"num_skipped_{why}" for why in ("suppression", "topk", "pre_warmup_cap"))
    )
    return _outcome(summary.filter(total != pl.col("num_candidates")), "series whose account does not close")


def controls_tested(claims: pl.DataFrame, scope: Scope) -> CheckOutcome:
    """The planted and the placebo arm each have their claim."""
    there = set(claims.filter(pl.col("claim").str.starts_with("planted:"))["arm"])
    wanted = {arm.name for arm in scope.study.arms if arm.role in ("planted", "placebo")}
    missing = pl.DataFrame({"arm": sorted(wanted - there)}, schema={"arm": pl.String})
    return _outcome(missing, "control arms without a claim")


def no_leak(ledger: pl.DataFrame, scope: Scope) -> CheckOutcome:
    """No run trained on a held-out item, and none was probed with an item that is not reserved for probes."""
    trained = (pl.col("exposure_count") > 0) & ~pl.col("split").is_in(["train", "planted"])
    probed = pl.col("probed") & ~pl.col("split").is_in(["probe_a", "probe_b"])
    return _outcome(ledger.filter(trained | probed), "items used by a run that must not use them")


def same_past(runs: pl.DataFrame, scope: Scope) -> CheckOutcome:
    """Every replay is its parent, bit for bit, before its first edit: draws, losses, geometry."""
    return _outcome(
        runs.filter(~pl.col("prefix_identical")).select("arm", "seed", "base_run_id", "cf_run_id", "first_edit_step"),
        "replays that differ from their parent before their first edit",
    )


def fresh_base(summaries: pl.DataFrame, scope: Scope) -> CheckOutcome:
    """Every probe run began from the same representation: none carries what another run taught the model."""
    bad = summaries.filter(pl.col("base_deviation") > MAX_BASE_DEVIATION)
    return _outcome(bad.select("arm", "seed", "base_deviation"), "runs that did not begin from the fresh base")


def own_family(summaries: pl.DataFrame, scope: Scope) -> CheckOutcome:
    """Every family's probe runs drew items of that family and no other."""
    bad = summaries.filter(pl.col("family_id").is_not_null() & (pl.col("share_own_family") < 1))
    return _outcome(bad.select("arm", "seed", "share_own_family"), "runs that drew items of other families")
