"""What replays show, from the tables of the waves to effects and claims: who is compared, by which yardstick."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from squiggle_assets.assets import attribution, effects, followups
from squiggle_assets.assets.node import Partition, Scope
from squiggle_assets.schemas.base import empty, frame
from squiggle_assets.schemas.followup import Selection, no_selection
from squiggle_assets.schemas.tables import TABLES
from squiggle_assets.science.counterfactuals import selection_row
from squiggle_assets.science.edits import Intervention, Window
from squiggle_assets.science.frozen_location import FrozenLocation
from squiggle_assets.science.spec import (
    BaseModelSpec,
    PoolSpec,
    ProbeSpec,
    Profile,
    SplitSpec,
    Study,
    TrainingSpec,
)
from squiggle_assets.science.waves import CONFIRMATION, FOLLOWUP, FollowUp
from tests.science import simulated_study as fake

FRESH = tuple(range(100, 108))
FIRST_EDIT = 70
PROFILE = Profile(
    name="tiny", description=".", num_seeds=8, pool=PoolSpec(), split=SplitSpec(), base_model=BaseModelSpec(),
    training=TrainingSpec(), probe=ProbeSpec(),
)  # fmt: skip
STUDY: Study = fake.study(
    fresh_seeds=FRESH,
    consensus=replace(fake.SPEC, probe_set="a"),
    followups=(
        *(FollowUp(parent="iid", condition=each) for each in ("exact", "remove")),  # type: ignore[arg-type]
        *(FollowUp(parent="iid", condition="placebo", draw=draw) for draw in range(2)),
        FollowUp(parent="blocked", condition="remove"),
        FollowUp(parent="blocked", condition="placebo"),
    ),
)
LOCATION = FrozenLocation(
    probe_set="a", layer_lo=2, layer_hi=2, metric_group="sparsity", polarity=1, step=80, onset=74.0, tolerance=4.0,
    floor=2.0,
)  # fmt: skip
SIZE = {"exact": 9.0, "remove": 0.0, "placebo": 9.0}


def step() -> Any:
    return SimpleNamespace(scope=Scope(study=STUDY, profile=PROFILE, num_seeds=8, partition=Partition()), facts={})


def selection() -> pl.DataFrame:
    rows = []
    for each in STUDY.followups:
        if each.parent != "iid":
            continue
        wanted = Intervention(condition=each.condition, triggers=("x",), window=Window(70, 80), draw=each.draw)
        rows.append(
            selection_row(
                arm=each.name, parent_arm="iid", analysis_id="v", consensus_event_id="e", location=LOCATION,
                intervention=wanted, family_of={"x": "inequalities"},
            )
        )  # fmt: skip
    nothing = [no_selection(Selection, arm=each.name) for each in STUDY.followups if each.parent == "blocked"]
    return pl.concat([frame(Selection, rows), *nothing])


def geometry(arm: str, seeds: tuple[int, ...], size: float, jolt: int = 0) -> pl.DataFrame:
    """A run with an event of this size in every seed, the parent's walk up to the first edit, then jolted."""
    walk = fake.geometry_of("iid", seeds=seeds, seed=seeds[0], events=[(80, 2, "sparsity_proxy", size)])
    noise = pl.Series(np.random.default_rng([jolt, seeds[0]]).normal(0, 0.2, size=len(walk)))
    after = (pl.col("step") > FIRST_EDIT) & (jolt > 0)
    return walk.with_columns(arm=pl.lit(arm), value=pl.col("value") + pl.when(after).then(noise).otherwise(0.0))


def wave(seeds: tuple[int, ...], stopped: tuple[tuple[str, int], ...] = ()) -> dict[str, pl.DataFrame]:
    """The tables of one wave; stopped runs have half of their captures."""
    found: dict[str, list[pl.DataFrame]] = {name: [] for name in effects._OF_WAVE}
    for number, each in enumerate(each for each in STUDY.followups if each.parent == "iid"):
        rows = geometry(each.name, seeds, SIZE[each.condition], jolt=0 if each.condition == "exact" else number)
        own = tables(each.name, seeds, rows, tuple(seed for arm, seed in stopped if arm == each.name))
        edited = [] if each.condition == "exact" else list(seeds)
        own["replay_edits"] = pl.DataFrame(
            {"arm": [each.name] * len(edited), "seed": edited, "step": [FIRST_EDIT] * len(edited)},
            schema={"arm": pl.String, "seed": pl.Int64, "step": pl.Int64},
        )
        own["events"] = empty(TABLES["events"])
        for name, table in own.items():
            found[name].append(table)
    return {name: pl.concat(parts) for name, parts in found.items()}


def tables(arm: str, seeds: tuple[int, ...], rows: pl.DataFrame, stopped: tuple[int, ...]) -> dict[str, pl.DataFrame]:
    manifest = pl.DataFrame({"arm": arm, "seed": seeds, "run_id": [f"{arm}-{seed}" for seed in seeds]}).with_columns(
        warmup_end=pl.lit(10, pl.Int64),
        decay_start=pl.lit(170, pl.Int64),
        phase_boundaries_json=pl.lit("[]"),
        stopped_early=pl.col("seed").is_in(list(stopped)),
    )
    none = pl.DataFrame(schema={"arm": pl.String, "seed": pl.Int64, "step": pl.Int64})
    return {
        "geometry": rows.filter(~pl.col("seed").is_in(list(stopped)) | (pl.col("step") <= 100)),
        "run_manifest": manifest,
        "sample_trace": none.with_columns(
            micro=pl.lit(0), pos=pl.lit(0), phase_idx=pl.lit(0), item_id=pl.lit("x"), content_sha256=pl.lit("x")
        ),
        "scalars": none.with_columns(metric=pl.lit("val_random_loss"), value=pl.lit(1.0)),
    }


def outcomes(
    *, parents: tuple[int, ...] = (), replays: tuple[tuple[str, int], ...] = (), fresh: tuple[tuple[str, int], ...] = ()
) -> Mapping[str, pl.DataFrame]:
    """The effects node's tables, with runs stopped: parents by seed, replays by (arm, seed)."""
    seeds = STUDY.seeds
    mine = tables("iid", seeds, geometry("iid", seeds, 9.0), parents)
    gone = tuple((each.name, seed) for each in STUDY.followups for seed in parents)
    first, second = wave(seeds, replays), wave(FRESH, fresh)
    if gone:
        # a stopped parent has no replays at all
        first = {name: rows.filter(~pl.col("seed").is_in(list(parents))) for name, rows in first.items()}
    named = {f"{kind}_{name}": rows for kind, own in ((FOLLOWUP, first), (CONFIRMATION, second))
             for name, rows in own.items()}  # fmt: skip
    given = {"manifest" if name == "run_manifest" else name: rows for name, rows in mine.items()}
    given["trace"] = given.pop("sample_trace")
    return effects._outcomes(step(), selection(), **given, **named)


def of(rows: pl.DataFrame, condition: str) -> dict[str, Any]:
    return rows.filter(pl.col("condition") == condition).row(0, named=True)


@pytest.fixture(scope="module")
def whole() -> Mapping[str, pl.DataFrame]:
    return outcomes()


def test_removed_triggers_take_the_event_away_on_both_rosters_and_placebos_do_not(whole: Any) -> None:
    for table in ("counterfactual_effects", "confirmed_effects"):
        assert of(whole[table], "remove")["label"] == "kills"
        assert of(whole[table], "placebo")["label"] == "preserves"
    assert whole["counterfactual_runs"]["prefix_identical"].all()


def test_a_registered_condition_whose_parent_has_no_triggers_counts_as_a_test(whole: Any) -> None:
    # remove of iid and of blocked: two tests, one without an event
    found = of(whole["counterfactual_effects"], "remove")
    assert found["q_value"] == pytest.approx(2 * found["p_value"])


def test_every_run_stands_beside_the_effect_of_its_own_wave() -> None:
    # on the fresh seeds three runs of the condition are lost: their effect rests on five
    found = outcomes(fresh=tuple(("iid.remove", seed) for seed in FRESH[:3]))
    rows = found["counterfactual_results"].filter(pl.col("condition") == "remove")
    by = dict(rows.select("seed", "n_seeds").iter_rows())
    assert {by[seed] for seed in STUDY.seeds} == {8} and {by[seed] for seed in FRESH[3:]} == {5}
    labels = {label for seed, label in rows.select("seed", "label").iter_rows() if seed in FRESH}
    assert labels == {of(found["confirmed_effects"], "remove")["label"]} != {"kills"}


def test_a_stopped_replay_changes_no_measurement_of_the_others(whole: Any) -> None:
    found = outcomes(replays=(("iid.remove", 3),))
    keys = ["arm", "seed", "magnitude", "event_present", "steps_to_event"]
    left = whole["counterfactual_runs"].filter((pl.col("arm") != "iid.remove") | (pl.col("seed") != 3))
    assert found["counterfactual_runs"].select(keys).equals(left.select(keys))
    assert of(found["counterfactual_effects"], "remove")["n_seeds"] == 7


def test_stopped_parents_leave_the_pairs_of_the_other_seeds() -> None:
    found = outcomes(parents=(2,), fresh=(("iid.exact", FRESH[0]),))
    assert json.loads(of(found["counterfactual_effects"], "remove")["seeds"]) == [0, 1, 3, 4, 5, 6, 7]
    assert json.loads(of(found["confirmed_effects"], "remove")["seeds"]) == list(FRESH[1:])


def test_a_condition_of_which_every_run_was_stopped_has_an_effect_without_numbers() -> None:
    found = outcomes(replays=tuple(("iid.remove", seed) for seed in STUDY.seeds))
    row = of(found["counterfactual_effects"], "remove")
    assert (row["n_seeds"], row["p_value"], row["label"]) == (0, None, "inconclusive")


def test_a_stopped_parent_is_not_replayed() -> None:
    manifest = pl.DataFrame({"stopped_early": [True], "spec_json": ["{}"], "run_id": ["r"]})
    nothing = pl.DataFrame()
    made = followups._replay(step(), nothing, nothing, None, selection()[:1], nothing, manifest)  # type: ignore[arg-type]
    assert made["run_manifest"].is_empty() and made["captures"].meta == {"stop_reason": followups.PARENT_STOPPED}


def claims(found: Mapping[str, pl.DataFrame], *, near: bool = False, fresh: tuple[int, ...] = FRESH,
           stopped: tuple[tuple[str, int], ...] = ()) -> dict[str, dict[str, Any]]:  # fmt: skip
    arms = [each.name for each in STUDY.followups if each.parent == "iid"]

    def manifest(names: list[str], seeds: tuple[int, ...]) -> pl.DataFrame:
        places = [(name, seed) for name in names for seed in seeds]
        rows = [(name, seed, (name, seed) in stopped) for name, seed in places]
        return pl.DataFrame(rows, schema=["arm", "seed", "stopped_early"], orient="row")

    events = pl.DataFrame({"consensus_event_id": ["e"], "near_boundary": [near]})
    table = effects._claims(
        step(),
        selection(),
        found["counterfactual_effects"],
        found["confirmed_effects"],
        events,
        manifest([arm.name for arm in STUDY.arms], STUDY.seeds),
        manifest(arms, STUDY.seeds),
        manifest(arms, fresh),
        pl.LazyFrame(),
    )["claims"]
    return {row["claim"]: row for row in table.iter_rows(named=True)}


def test_a_removal_that_kills_on_both_rosters_is_supported(whole: Any) -> None:
    found = claims(whole)
    assert found["remove:iid"]["verdict"] == "supported" and found["remove:iid"]["preregistered"]
    assert found["placebo:iid"]["verdict"] == "not supported"
    assert found["remove:blocked"]["verdict"] == "underpowered"


def test_another_number_of_fresh_seeds_is_another_look(whole: Any) -> None:
    for seeds in (FRESH[:7], (*FRESH, 108)):
        found = claims(whole, fresh=seeds)["remove:iid"]
        assert not found["preregistered"] and found["verdict"] == "exploratory"


def test_an_event_near_a_boundary_only_is_exploratory(whole: Any) -> None:
    found = claims(whole, near=True)["remove:iid"]
    assert found["verdict"] == "exploratory" and "boundary" in found["reasons"]


def test_claims_name_replays_that_were_stopped(whole: Any) -> None:
    stopped = (("iid.remove", 3), ("iid.placebo-2", FRESH[1]), ("iid.exact", FRESH[0]))
    found = claims(whole, stopped=stopped)["remove:iid"]
    assert json.loads(found["evidence"])["left_out"] == {"iid.remove": [3], "iid.placebo-2": [101], "iid.exact": [100]}
    assert "iid.remove 3" in found["method"]


def test_the_smallest_lift_counts_the_items_that_a_run_may_draw() -> None:
    # 100 items: some are held out, whole families too, and no family has more than its cap
    free = replace(PROFILE, pool=PoolSpec(num_items=900), split=SplitSpec(family_cap=None))
    capped = replace(free, split=SplitSpec(family_cap=20))
    num_free, num_capped = (attribution.num_drawable(each) for each in (free, capped))
    assert num_free is not None and num_capped is not None and 17 < num_capped < num_free < 900
    # of a file: 16 families of at most 20, or its first 50 rows; without either nothing is known beforehand
    a_file = PoolSpec(items="items.jsonl")
    assert attribution.num_drawable(replace(capped, pool=a_file)) == 16 * 20
    assert attribution.num_drawable(replace(capped, pool=replace(a_file, max_items=50))) == 50
    assert attribution.num_drawable(replace(free, pool=a_file)) is None
    for profile in (replace(capped, pool=a_file), replace(free, pool=a_file)):
        one = SimpleNamespace(scope=replace(step().scope, profile=profile))
        lifts = attribution._design(one)["minimum_lift"]
        assert set(lifts["num_items"]) == ({320} if profile.split.family_cap else set())
