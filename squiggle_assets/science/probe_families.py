"""Which items a probe run may draw, and how long it is: one family, or a random mixture of the same size.

Here: the items of an arm, the sizes of a micro-fine-tune, when runs have seen equally many tokens. Not here: policies
over these items (policy), training, what the runs show (probe_signature, probe_distance).

Every arm draws from equally many items, so that none repeats its items more often than another. A mixture is drawn from
the items of all the families of the study together: a family whose labels mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from squiggle_assets.science.families import NAMES
from squiggle_assets.science.rng import generator
from squiggle_assets.science.spec import Profile, Study

MAX_ITEMS = 100
"""Items of an arm where every family has as many."""
MIN_ITEMS = 4
"""A family with fewer training items is not probed."""
MICRO_STEPS = 100
"""Updates of a micro-fine-tune; a shorter budget of the profile is kept."""
NUM_INTERVALS = 20
"""Captures of a micro-fine-tune after the first one."""
MIXTURE = "mixture-"
"""What the names of the arms of random mixtures begin with."""


def families_of(study: Study) -> tuple[str, ...]:
    """The families that a study probes, in its order: its treatment arms, named after them.

    Raises:
        ValueError: a treatment arm is not named after a family, or no arm is a mixture.
    """
    found = tuple(arm.name for arm in study.arms if arm.role == "treatment")
    strangers = sorted(set(found) - set(NAMES))
    if strangers or not found:
        raise ValueError(f"study {study.name}: treatment arms must be named after families, got {strangers or 'none'}")
    if not mixtures_of(study):
        raise ValueError(f"study {study.name}: no arm is named {MIXTURE}1: families need random mixtures as their null")
    return found


def mixtures_of(study: Study) -> tuple[str, ...]:
    """The arms of random mixtures, in the study's order; arms with planted items are none."""
    return tuple(arm.name for arm in study.arms if arm.name.startswith(MIXTURE) and arm.plant is None)


def probe_items(items: pl.DataFrame, arm: str, families: Sequence[str], *, seed: int) -> pl.DataFrame:
    """The training items that one arm may draw, by item_id.

    Args:
        items: training items: item_id, family_id, any other columns. Their order is of no consequence.
        arm: a family of `families`, or any other name: that is a random mixture of all of them.
        families: every family that the study probes; the smallest one sets the number of items of all arms.
        seed: of the choice; the same for all arms and runs.

    Raises:
        ValueError: a family has fewer than MIN_ITEMS items.
    """
    counts = {family: items.filter(pl.col("family_id") == family).height for family in families}
    small = {family: num for family, num in counts.items() if num < MIN_ITEMS}
    if small:
        raise ValueError(
            f"families with fewer than {MIN_ITEMS} training items cannot be probed: {small}. Use more items, or leave "
            "these families out of the study"
        )
    num = min(MAX_ITEMS, *counts.values())
    eligible = items.filter(pl.col("family_id").is_in([arm] if arm in counts else list(counts))).sort("item_id")
    chosen = generator("probe_items", seed, arm).choice(eligible.height, size=num, replace=False)
    return eligible[sorted(chosen.tolist())]


def micro(profile: Profile) -> Profile:
    """The profile with the sizes of a micro-fine-tune: at most MICRO_STEPS updates, NUM_INTERVALS + 1 captures."""
    steps = min(MICRO_STEPS, profile.training.total_steps)
    return replace(
        profile,
        training=replace(profile.training, total_steps=steps, step_multiplier=1, checkpoint_every=steps),
        probe=replace(profile.probe, capture_every=max(1, steps // NUM_INTERVALS)),
    )


class Matched(NamedTuple):
    """Where runs have seen equally many tokens."""

    target: int
    """Tokens: the fewest that any run was trained on."""
    steps: pl.DataFrame
    """One row a run: arm, seed, run_id, step (first capture with at least as many), num_tokens (seen there),
    num_tokens_run (seen by the whole run)."""


def match_tokens(trace: pl.DataFrame, captured: pl.DataFrame, num_tokens: Mapping[str, int]) -> Matched:
    """The first capture of each run at which it had been trained on as many tokens as the shortest run in all.

    Items of one family are longer than those of another: at equal steps a family of long items has been trained on
    more. A capture at step k has seen the draws of steps 0 to k - 1.

    Args:
        trace: sample_trace of all runs (arm, seed, run_id, step, item_id).
        captured: arm, seed, run_id and step of every capture, any number of rows each.
        num_tokens: item_id -> tokens that one draw of it trains on, prompt included.

    Raises:
        ValueError: a drawn item has no length, or a run's last capture is not after its last draw.
    """
    lengths = pl.DataFrame({"item_id": list(num_tokens), "length": list(num_tokens.values())})
    drawn = trace.join(lengths, on="item_id", how="left")
    if drawn["length"].null_count():
        unknown = drawn.filter(pl.col("length").is_null())["item_id"].unique().sort().to_list()
        raise ValueError(f"{len(unknown)} drawn items have no length, for instance {unknown[:3]}")
    run = ["arm", "seed", "run_id"]
    each = drawn.group_by(*run, "step").agg(pl.col("length").sum()).sort(*run, "step")
    seen = each.select(*run, pl.col("step") + 1, pl.col("length").cum_sum().over(run).alias("num_tokens"))
    whole = seen.group_by(run).agg(pl.col("num_tokens").max().alias("num_tokens_run"))
    at = captured.select(*run, "step").unique().join(seen, on=[*run, "step"], how="left")
    reached = at.with_columns(pl.col("num_tokens").fill_null(0)).join(whole, on=run, how="left")
    late = reached.group_by(run).agg((pl.col("num_tokens").max() == pl.col("num_tokens_run").first()).alias("ends"))
    if not late["ends"].fill_null(value=False).all():
        first = late.filter(~pl.col("ends").fill_null(value=False)).row(0, named=True)
        raise ValueError(f"run {first['run_id']} of arm {first['arm']!r} was not captured after its last draw")
    target = int(whole["num_tokens_run"].min())  # type: ignore[arg-type]
    enough = reached.filter(pl.col("num_tokens") >= target).sort(*run, "step")
    return Matched(target, enough.group_by(run, maintain_order=True).first())
