from __future__ import annotations

import dataclasses

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squiggle_assets.schemas.corpus import Split, UsageLedger
from squiggle_assets.science.families import CONTROLS, TARGETS
from squiggle_assets.science.near_duplicates import duplicate_groups, jaccard, normalised, shingles
from squiggle_assets.science.pool import content_sha256, generate_pool, planted_items
from squiggle_assets.science.rng import generator
from squiggle_assets.science.spec import PoolSpec, SplitSpec
from squiggle_assets.science.splitting import (
    ContaminationError,
    assert_uncontaminated,
    held_out_families,
    make_split,
    usage_ledger,
)

SPEC = SplitSpec()
LONG = "A baker sells 3 loaves on every market day and puts all of the money that he earns there into a jar"


@pytest.fixture(scope="module")
def pool() -> pl.DataFrame:
    items = generate_pool(PoolSpec())
    return pl.concat([items, planted_items(16, 42, items)])


@pytest.fixture(scope="module")
def split(pool) -> pl.DataFrame:
    return make_split(pool, SPEC)


def items(problems: dict[str, str]) -> pl.DataFrame:
    """Problem -> family as a frame of items."""
    hashes = [content_sha256(problem, "1") for problem in problems]
    return pl.DataFrame(
        {
            "item_id": [f"t:{sha256[:16]}" for sha256 in hashes],
            "content_sha256": hashes,
            "family_id": list(problems.values()),
            "problem": list(problems),
        }
    )


def test_normalisation_keeps_numbers_and_loses_case_layout_and_number_words():
    assert normalised("Tom  has THREE apples,\n and 4.5 pears.") == "tom has 3 apples and 4.5 pears"
    assert normalised("2 + 3") != normalised("2 + 4")


def test_similarity_of_a_hand_counted_pair():
    # shingles of "a b c d e": abc bcd cde; of "a b c d f": abc bcd cdf; common 2 of 4
    assert jaccard(shingles(list("abcde")), shingles(list("abcdf"))) == 0.5
    assert shingles(["a", "b"]) == {"a b"}


def test_near_duplicates_are_one_group_and_template_siblings_are_not():
    near = LONG.replace("A baker", "The baker")
    sibling = LONG.replace("3 loaves", "4 loaves")
    first, same, close, other = duplicate_groups([LONG, LONG.upper() + "!", near, sibling], 0.85)
    assert first == same == close != other
    assert jaccard(shingles(normalised(LONG).split()), shingles(normalised(near).split())) >= 0.85


@given(
    st.lists(
        st.sampled_from([LONG, LONG + " today", LONG + " at noon", "What is 2 + 2?", "What is 2 + 3?"]), min_size=1
    )
)
@settings(max_examples=30, deadline=None)
def test_groups_do_not_depend_on_the_order_of_the_rows(problems):
    forwards = dict(zip(problems, duplicate_groups(problems, 0.8), strict=True))
    backwards = dict(zip(problems[::-1], duplicate_groups(problems[::-1], 0.8), strict=True))
    assert forwards == backwards


def test_lsh_finds_the_pairs_that_comparing_all_pairs_finds():
    rng = generator("lsh-test", 0)
    vocabulary = [f"w{i}" for i in range(400)]
    problems = []
    for _ in range(40):
        text = [vocabulary[int(i)] for i in rng.integers(400, size=40)]
        changed = list(text)
        for position in rng.integers(40, size=int(rng.integers(0, 4))):
            changed[int(position)] = vocabulary[int(rng.integers(400))].upper()
        problems += [
            " ".join(text).replace("w", "word "),
            " ".join(changed).replace("w", "word ").replace("W", "word "),
        ]
    words = [p.translate(str.maketrans("0123456789", "abcdefghij")) for p in problems]
    sets = [shingles(normalised(w).split()) for w in words]
    groups = duplicate_groups(words, 0.85)
    for i in range(0, len(words), 2):
        assert (groups[i] == groups[i + 1]) == (jaccard(sets[i], sets[i + 1]) >= 0.85)
    assert len(set(groups)) < len(words)


def test_the_split_of_the_demo_pool_has_the_declared_shape_and_one_rule(pool, split):
    Split.validate(split)
    assert split["item_id"].equals(pool["item_id"])
    assert split["rule"].n_unique() == 1
    assert "split_v1_s42" in split["rule"][0] and "logic_proof" in split["rule"][0]


def test_template_siblings_do_not_collapse_into_giant_groups(split):
    # measured on the pool of seed 42: all 5000 groups have one item
    assert split["group_id"].value_counts()["count"].max() == 1


def test_whole_families_are_held_out_and_only_for_val_family_and_probe_b(split):
    held = split.filter(pl.col("split").is_in(["val_family", "probe_b"]))
    assert set(held["family_id"]) == {"logic_proof"}
    assert set(split.filter(pl.col("family_id") == "logic_proof")["split"]) == {"val_family", "probe_b"}


def test_val_random_takes_its_share_of_every_training_family(split):
    for family in [*TARGETS, *CONTROLS]:
        rows = split.filter(pl.col("family_id") == family)
        if family != "logic_proof":
            assert rows.filter(pl.col("split") == "val_random").height == round(0.06 * rows.height)


def test_training_families_are_capped_and_the_rest_is_unused(split):
    train = split.filter(pl.col("split") == "train")["family_id"].value_counts()
    assert train["count"].max() == 200
    assert set(split.filter(pl.col("split") == "unused")["family_id"]) <= set(
        train.filter(pl.col("count") == 200)["family_id"]
    )
    uncapped = make_split(generate_pool(PoolSpec(num_items=900)), dataclasses.replace(SPEC, family_cap=None))
    assert "unused" not in set(uncapped["split"])


def test_probe_sets_have_their_size_and_probe_a_one_item_per_family(split):
    probe_a = split.filter(pl.col("split") == "probe_a")
    assert probe_a["family_id"].n_unique() == probe_a.height == 8
    assert set(TARGETS) <= set(probe_a["family_id"])
    assert split.filter(pl.col("split") == "probe_b").height == 8


def test_planted_items_are_planted_and_nothing_else(pool, split):
    planted = split.filter(pl.col("split") == "planted")
    assert set(planted["item_id"]) == set(pool.filter(pl.col("family_id") == "planted")["item_id"])


def test_the_split_does_not_depend_on_the_order_of_the_rows_but_on_the_seed():
    small = generate_pool(PoolSpec(num_items=900))
    there = make_split(small, SPEC).sort("item_id")
    assert make_split(small.reverse(), SPEC).sort("item_id").equals(there)
    other = make_split(small, dataclasses.replace(SPEC, seed=43)).sort("item_id")
    assert not other["split"].equals(there["split"])


def many(family: str, num: int, text: str) -> dict[str, str]:
    return {f"{text} number {i}: what is {i} + 1?": family for i in range(num)}


@given(st.integers(0, 200))
@settings(max_examples=15, deadline=None)
def test_groups_never_straddle_splits(seed):
    problems = many("functional_equations", 30, "f") | many("misc_other", 20, "m") | many("inequalities", 20, "n")
    for i in range(10):
        problems[f"{LONG} with {i} coins"] = "functional_equations"
        problems[f"{LONG} with {i} coins today"] = "functional_equations"
        problems[f"{LONG} near {i} towns"] = "functional_equations"
        problems[f"{LONG} near {i} towns today"] = "inequalities"
    frame = items(problems)
    spec = dataclasses.replace(SPEC, seed=seed, num_probe_items=3, minhash_threshold=0.8, val_random_share=0.3)
    split = make_split(frame, spec)
    per_group = split.group_by("group_id").agg(pl.col("split").n_unique(), pl.len())
    assert per_group["len"].max() == 2
    assert per_group["split"].max() == 1


def test_a_near_duplicate_pair_across_the_held_out_border_is_used_for_nothing():
    problems = many("functional_equations", 30, "f") | many("misc_other", 19, "m")
    problems |= {LONG: "misc_other", LONG + " today": "functional_equations"}
    split = make_split(items(problems), dataclasses.replace(SPEC, minhash_threshold=0.8))
    border = split.filter(pl.col("group_id").is_duplicated())
    assert border.height == 2 and set(border["split"]) == {"unused"}


def test_the_smallest_large_enough_control_family_is_held_out_and_targets_only_without_controls():
    counts = {"functional_equations": 90, "cyclic_groups": 20, "inequalities": 40, "logic_proof": 15, "misc_other": 30}
    assert held_out_families(counts, SPEC) == ["misc_other"]
    assert held_out_families(counts, dataclasses.replace(SPEC, num_held_out_families=2)) == [
        "misc_other",
        "inequalities",
    ]
    assert held_out_families({"functional_equations": 90, "cyclic_groups": 20}, SPEC) == ["cyclic_groups"]


def test_a_set_with_too_few_families_or_items_is_refused_with_its_sizes():
    with pytest.raises(ValueError, match=r"cannot hold out 1 whole families .* families are misc_other 40"):
        make_split(items(many("misc_other", 40, "m")), SPEC)
    with pytest.raises(ValueError, match="at least 16 items each"):
        make_split(items(many("misc_other", 9, "m") | many("inequalities", 9, "n")), SPEC)
    with pytest.raises(ValueError, match=r"minhash_threshold must lie in \(0, 1\], got 0"):
        make_split(items(many("misc_other", 30, "m") | many("inequalities", 30, "n")), SplitSpec(minhash_threshold=0))
    twice = items(many("misc_other", 30, "m"))
    with pytest.raises(ValueError, match="duplicated content_sha256"):
        make_split(pl.concat([twice, twice]), SPEC)


def trace(rows: pl.DataFrame, steps: list[int]) -> pl.LazyFrame:
    return rows.select(
        pl.lit("iid").alias("arm"),
        pl.lit(7).cast(pl.Int64).alias("seed"),
        pl.lit("run").alias("run_id"),
        pl.Series("step", steps, dtype=pl.Int64),
        pl.lit("shuffled").alias("family_id"),
        "item_id",
        "content_sha256",
    ).lazy()


def probed_by(items: pl.DataFrame) -> pl.DataFrame:
    return items.select(
        pl.lit("iid").alias("arm"), pl.lit(7, dtype=pl.Int64).alias("seed"), pl.lit("run").alias("run_id"), "item_id"
    )


def test_the_ledger_counts_exposures_and_lists_probes_without_steps(split):
    first, second = (split.filter(pl.col("split") == "train")[i] for i in (0, 1))
    drawn = pl.concat([first, second, first, first])
    probes = split.filter(pl.col("split") == "probe_a")[:2]
    ledger = usage_ledger(split, trace(drawn, [3, 4, 5, 9]), probed_by(probes))
    UsageLedger.validate(ledger)
    rows = {row["item_id"]: row for row in ledger.to_dicts()}
    assert len(rows) == 4
    once = rows[first["item_id"][0]]
    assert (once["step_first_seen"], once["step_last_seen"], once["exposure_count"]) == (3, 9, 3)
    assert (once["split"], once["family_id"]) == ("train", first["family_id"][0])
    probed = rows[probes["item_id"][0]]
    assert (probed["split"], probed["exposure_count"], probed["step_first_seen"]) == ("probe_a", 0, None)
    assert [rows[item_id]["probed"] for item_id in (first["item_id"][0], probes["item_id"][0])] == [False, True]


def test_a_trace_of_an_item_that_the_split_does_not_know_is_refused(split):
    stranger = items({"Who?": "misc_other"})
    with pytest.raises(ValueError, match=f"1 used items are not in the split: {stranger['item_id'][0]}"):
        usage_ledger(split, trace(stranger, [1]), probed_by(split.filter(pl.col("split") == "probe_a")))


def test_clean_runs_pass_and_planted_items_may_be_trained_on(split):
    drawn = split.filter(pl.col("split").is_in(["train", "planted"]))
    probes = split.filter(pl.col("split").is_in(["probe_a", "probe_b"]))
    assert_uncontaminated(split, trace(drawn, list(range(drawn.height))), probes)


@pytest.mark.parametrize("where", ["val_random", "val_family", "probe_a", "probe_b", "unused"])
def test_a_held_out_item_in_training_is_refused_by_name(split, where):
    drawn = pl.concat([split.filter(pl.col("split") == name)[:1] for name in ("train", where)])
    with pytest.raises(ContaminationError, match=rf"1 items were trained on.*{drawn['item_id'][1]} \({where}\)"):
        assert_uncontaminated(split, trace(drawn, [1, 2]), split.filter(pl.col("split") == "probe_a"))


@pytest.mark.parametrize("where", ["train", "val_random", "planted"])
def test_an_item_in_a_probe_that_is_no_probe_item_is_refused_by_name(split, where):
    probes = split.filter(pl.col("split") == where)[:1]
    drawn = split.filter(pl.col("split") == "train")[:3]
    with pytest.raises(ContaminationError, match=rf"1 items are in a probe.*{probes['item_id'][0]} \({where}\)"):
        assert_uncontaminated(split, trace(drawn, [1, 2, 3]), probes)


def test_a_training_item_near_a_held_out_one_is_refused(split):
    drawn = split.filter(pl.col("split") == "train")[:1]
    group = split.filter(pl.col("split") == "val_random")["group_id"][0]
    leaking = split.with_columns(
        group_id=pl.when(pl.col("item_id") == drawn["item_id"][0]).then(pl.lit(group)).otherwise("group_id")
    )
    with pytest.raises(ContaminationError, match="training items are near-duplicates of held-out"):
        assert_uncontaminated(leaking, trace(drawn, [1]), split.filter(pl.col("split") == "probe_a"))
