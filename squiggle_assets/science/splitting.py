"""Who may be trained on: the split of the items, and the proof that it was kept.

Here: split, usage ledger, contamination check. Not here: which problems are the same (science.near_duplicates).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from squiggle_assets.science.families import NAMES, PLANTED, family_type
from squiggle_assets.science.near_duplicates import duplicate_groups
from squiggle_assets.science.rng import generator
from squiggle_assets.science.spec import SplitSpec

SPLIT_COLUMNS: dict[str, type[pl.DataType]] = {
    "item_id": pl.String,
    "content_sha256": pl.String,
    "family_id": pl.String,
    "group_id": pl.String,
    "split": pl.String,
    "rule": pl.String,
}
SPLITS = ("train", "val_random", "val_family", "probe_a", "probe_b", "unused", "planted")
"""unused: over the family cap, or a near-duplicate that would join a held-out family to a training one."""
LEDGER_KEY = ["item_id", "content_sha256", "arm", "seed", "run_id"]


class ContaminationError(ValueError):
    """A held-out item was trained on, or a training item is in a probe set."""


class _Group(NamedTuple):
    family: str
    """Most common family of the members."""
    mixed: bool
    """Whether a held-out family and a training family meet in it."""
    members: tuple[int, ...]


def held_out_families(counts: dict[str, int], spec: SplitSpec) -> list[str]:
    """The families held out whole: the smallest ones that can fill probe set B and leave as much for val_family.

    Controls are taken first, targets only where there are not enough controls; ties go by name. ValueError where
    fewer than spec.num_held_out_families families are large enough, or none would be left to train on.
    """
    needed = 2 * spec.num_probe_items
    large = [family for family, num in counts.items() if num >= needed]
    ranked = sorted(large, key=lambda family: (family_type(family) != "control", counts[family], family))
    held = ranked[: spec.num_held_out_families]
    if len(held) < spec.num_held_out_families or len(held) >= len(counts):
        sizes = ", ".join(f"{family} {num}" for family, num in sorted(counts.items()))
        raise ValueError(
            f"cannot hold out {spec.num_held_out_families} whole families with at least {needed} items each and "
            f"keep one to train on; families are {sizes}. Use more items, or lower num_probe_items or "
            "num_held_out_families"
        )
    return held


def rule_text(spec: SplitSpec, held: Sequence[str]) -> str:
    """What made the split, in words and numbers, as stored with every row."""
    cap = "no cap" if spec.family_cap is None else f"at most {spec.family_cap} training items a family"
    return (
        f"split_{spec.version}_s{spec.seed}: groups = same normalised problem, or same numbers and Jaccard of word "
        f"3-shingles >= {spec.minhash_threshold}; a group is never divided; val_family = all of "
        f"{'+'.join(held) or 'none'} (the smallest families with >= {2 * spec.num_probe_items} items, controls first); "
        f"val_random = {spec.val_random_share} of each other family; probe_a {spec.num_probe_items} from training "
        f"families in turn, probe_b {spec.num_probe_items} from val_family; {cap}"
    )


def _groups(items: pl.DataFrame, group_ids: Sequence[str], held: Sequence[str]) -> dict[str, _Group]:
    members: dict[str, list[int]] = {}
    for position, group_id in enumerate(group_ids):
        members.setdefault(group_id, []).append(position)
    families = items["family_id"].to_list()
    found = {}
    for group_id, positions in members.items():
        counted = Counter(families[i] for i in positions)
        family = min(counted, key=lambda name: (-counted[name], name))
        num_held = sum(counted[name] for name in held)
        found[group_id] = _Group(family, 0 < num_held < len(positions), tuple(positions))
    return found


def _shuffled(groups: dict[str, _Group], family: str, spec: SplitSpec) -> list[str]:
    """Group ids of a family in an order that depends on the seed and the ids only, never on the rows."""
    ids = sorted(group_id for group_id, group in groups.items() if group.family == family and not group.mixed)
    order = generator("split", spec.version, spec.seed, family).permutation(len(ids))
    return [ids[int(i)] for i in order]


def _take_probes(queues: dict[str, list[str]], groups: dict[str, _Group], num: int, keep: int) -> list[str]:
    """Single-item groups, one per family in turn, leaving each family at least `keep` groups."""
    taken: list[str] = []
    while len(taken) < num:
        before = len(taken)
        for queue in queues.values():
            single = next((g for g in queue if len(groups[g].members) == 1), None)
            if len(taken) < num and single is not None and len(queue) > keep:
                queue.remove(single)
                taken.append(single)
        if len(taken) == before:
            raise ValueError(
                f"only {len(taken)} of {num} probe items could be set aside in families {sorted(queues)}: use more "
                "items or lower num_probe_items"
            )
    return taken


def _take_share(queue: list[str], groups: dict[str, _Group], target: int) -> list[str]:
    """Groups from the front until `target` items are reached, skipping those that would overshoot."""
    taken: list[str] = []
    num = 0
    for group_id in list(queue):
        size = len(groups[group_id].members)
        if num + size <= target:
            taken.append(group_id)
            queue.remove(group_id)
            num += size
    return taken


def make_split(items: pl.DataFrame, spec: SplitSpec) -> pl.DataFrame:
    """One row per item, in the order of the items (columns SPLIT_COLUMNS).

    items: item_id, content_sha256, family_id, problem; rows of family 'planted' get split 'planted' and take part
    in nothing else. Whole families are held out first (val_family, of which probe_b); of every other family
    val_random_share goes to val_random, probe_a takes one item per family in turn (targets first), and the rest is
    training up to the cap. Groups of near-duplicates are never divided; one in which a held-out family meets
    another is 'unused'. A pure function of the items as a set and of the spec. ValueError for duplicated items and
    for a set too small for the families and probes asked for.
    """
    if items["content_sha256"].n_unique() != items.height:
        raise ValueError(
            "duplicated content_sha256 in the items: import drops duplicates, so should every other source"
        )
    real = items.filter(pl.col("family_id") != PLANTED)
    counts = {name: int((real["family_id"] == name).sum()) for name in NAMES}
    counts = {name: num for name, num in counts.items() if num}
    held = held_out_families(counts, spec)
    group_ids = duplicate_groups(real["problem"].to_list(), spec.minhash_threshold)
    groups = _groups(real, group_ids, held)
    queues = {name: _shuffled(groups, name, spec) for name in counts}
    training = {name: queue for name, queue in queues.items() if name not in held}
    assigned = dict.fromkeys(groups, "unused")
    assigned |= dict.fromkeys((g for name in held for g in queues[name]), "val_family")
    held_queues = {name: list(queues[name]) for name in held}
    assigned |= dict.fromkeys(_take_probes(held_queues, groups, spec.num_probe_items, 1), "probe_b")
    for name, queue in training.items():
        target = round(spec.val_random_share * counts[name])
        assigned |= dict.fromkeys(_take_share(queue, groups, target), "val_random")
    assigned |= dict.fromkeys(_take_probes(training, groups, spec.num_probe_items, 1), "probe_a")
    for queue in training.values():
        cap = real.height if spec.family_cap is None else spec.family_cap
        assigned |= dict.fromkeys(_take_share(queue, groups, cap), "train")
    of_item = dict(zip(real["content_sha256"], group_ids, strict=True))
    group_of = [of_item.get(sha256, f"planted-{sha256[:16]}") for sha256 in items["content_sha256"]]
    return items.select(
        "item_id",
        "content_sha256",
        "family_id",
        pl.Series("group_id", group_of, dtype=pl.String),
        pl.Series("split", [assigned.get(group, "planted") for group in group_of], dtype=pl.String),
        pl.lit(rule_text(spec, held)).alias("rule"),
    )


def usage_ledger(split: pl.DataFrame, traces: pl.LazyFrame, probes: pl.DataFrame) -> pl.DataFrame:
    """One row per run and item that the run trained on or was probed with.

    split: of make_split. traces: sample_trace of the runs. probes: arm, seed, run_id and item_id of what each run was
    probed with. family_id is the item's own (a placebo arm shuffles labels in its trace, not here). An item
    that was only probed has exposure_count 0 and null steps. ValueError where a trace or probe names an item that
    the split does not know.
    """
    used = (
        traces.group_by(LEDGER_KEY)
        .agg(
            pl.col("step").min().alias("step_first_seen"),
            pl.col("step").max().alias("step_last_seen"),
            pl.len().cast(pl.Int64).alias("exposure_count"),
        )
        .collect()
    )
    known = split.select("item_id", "content_sha256")
    probed = probes.select("arm", "seed", "run_id", "item_id").unique().join(known, on="item_id", how="left")
    probed = probed.select(*LEDGER_KEY, pl.lit(True).alias("probed"))
    ledger = used.join(probed, on=LEDGER_KEY, how="full", coalesce=True, nulls_equal=True).with_columns(
        pl.col("exposure_count").fill_null(0), pl.col("probed").fill_null(False)
    )
    ledger = ledger.join(split.select("content_sha256", "family_id", "split"), on="content_sha256", how="left")
    unknown = ledger.filter(pl.col("split").is_null())["item_id"].unique().sort().to_list()
    if unknown:
        raise ValueError(f"{len(unknown)} used items are not in the split: {', '.join(unknown[:10])}")
    return ledger.select(
        "item_id",
        "content_sha256",
        "family_id",
        "arm",
        "seed",
        "run_id",
        "split",
        "step_first_seen",
        "step_last_seen",
        "exposure_count",
        "probed",
    ).sort("arm", "seed", "run_id", "item_id")


def _refuse(items: pl.DataFrame, what: str) -> None:
    if not items.is_empty():
        named = [f"{row['item_id']} ({row['split']})" for row in items.unique("item_id").sort("item_id").to_dicts()]
        raise ContaminationError(f"{len(named)} {what}: {', '.join(named[:10])}")


def assert_uncontaminated(split: pl.DataFrame, traces: pl.LazyFrame, probes: pl.DataFrame) -> None:
    """Refuse, naming the items, what would make a held-out number worthless.

    ContaminationError (a ValueError) where a run trained on an item that is neither 'train' nor 'planted', where a
    probe holds an item that is neither 'probe_a' nor 'probe_b', or where a training item shares a near-duplicate
    group with a held-out one.
    """
    known = split.select("content_sha256", "group_id", "split")
    trained = traces.select("item_id", "content_sha256").unique().collect().join(known, on="content_sha256", how="left")
    trained = trained.with_columns(pl.col("split").fill_null("not in the split"))
    _refuse(trained.filter(~pl.col("split").is_in(["train", "planted"])), "items were trained on that must not be")
    probed = probes.select("item_id", "content_sha256").unique().join(known, on="content_sha256", how="left")
    probed = probed.with_columns(pl.col("split").fill_null("not in the split"))
    _refuse(probed.filter(~pl.col("split").is_in(["probe_a", "probe_b"])), "items are in a probe that must not be")
    held = known.filter(~pl.col("split").is_in(["train", "planted", "unused"]))["group_id"]
    _refuse(trained.filter(pl.col("group_id").is_in(held.to_list())), "training items are near-duplicates of held-out")
