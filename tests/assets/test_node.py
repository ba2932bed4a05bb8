from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from squiggle_assets.assets.node import Graph, Input, Node, Out, Partition
from squiggle_assets.science.waves import Roster
from squiggle_assets.studies import study

STUDY = study("curriculum_ab")


def make(name: str, grain: Any, **inputs: Input) -> Node:
    return Node(name=name, outs=(Out(name=name),), grain=grain, compute=lambda step: {}, inputs=inputs)


POOL = make("pool", "shared")
CURRICULUM = make("curriculum", "arm", pool=Input(asset="pool"))
RUN = make("scalars", "run", curriculum=Input(asset="curriculum"))
GEOMETRY = make("geometry", "run", scalars=Input(asset="scalars"))
BASELINES = make("baselines", "arm", geometry=Input(asset="geometry"))
EVENTS = make("events", "run", geometry=Input(asset="geometry"), base=Input(asset="baselines", arm="placebo"))
CONSENSUS = make("consensus", "arm", events=Input(asset="events"))
CLAIMS = make("claims", "study", consensus=Input(asset="consensus"), scalars=Input(asset="scalars"))
GRAPH = Graph(STUDY, (CLAIMS, CONSENSUS, EVENTS, BASELINES, GEOMETRY, RUN, CURRICULUM, POOL))


def test_makers_stand_before_users_whatever_the_order_given() -> None:
    names = [node.name for node in GRAPH.ordered]
    for node in GRAPH.nodes:
        for entry in node.inputs.values():
            assert names.index(GRAPH.makers[entry.asset].name) < names.index(node.name)


def test_a_stage_ends_where_the_grain_changes_or_an_arm_is_fixed() -> None:
    # stage 0 is kept for what is shown before anything is spent
    assert GRAPH.stages == {
        "pool": 1,
        "curriculum": 2,
        "scalars": 3,
        "geometry": 3,
        "baselines": 4,
        "events": 5,
        "consensus": 6,
        "claims": 7,
    }
    design = replace(make("design", "study"), before_spending=True)
    assert Graph(STUDY, (POOL, design)).stages == {"pool": 1, "design": 0}


def test_a_run_rests_on_its_own_arm_and_seed() -> None:
    at = Partition("iid", 2)
    assert GRAPH.feeds(GEOMETRY, GEOMETRY.inputs["scalars"], at, Roster((1, 2))) == (at,)
    assert GRAPH.feeds(RUN, RUN.inputs["curriculum"], at, Roster((1, 2))) == (Partition("iid"),)
    assert GRAPH.feeds(EVENTS, EVENTS.inputs["base"], at, Roster((1, 2))) == (Partition("placebo"),)


def test_an_arm_rests_on_all_its_seeds_as_numbers_in_order() -> None:
    fed = GRAPH.feeds(CONSENSUS, CONSENSUS.inputs["events"], Partition("iid"), Roster((10, 2)))
    assert fed == (Partition("iid", 2), Partition("iid", 10))


def test_a_study_rests_on_every_arm_and_seed() -> None:
    fed = GRAPH.feeds(CLAIMS, CLAIMS.inputs["scalars"], Partition(), Roster((1, 2)))
    assert len(fed) == 2 * len(STUDY.arms)


def test_an_input_nobody_makes_and_an_asset_made_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="which no node makes"):
        Graph(STUDY, (make("a", "arm", x=Input(asset="nosuch")),))
    with pytest.raises(ValueError, match="made twice"):
        Graph(STUDY, (POOL, POOL))


def test_a_cycle_is_refused() -> None:
    graph = Graph(STUDY, (make("a", "arm", b=Input(asset="b")), make("b", "arm", a=Input(asset="a"))))
    with pytest.raises(ValueError, match="cycle"):
        _ = graph.ordered


def test_shared_assets_stand_alone_and_others_under_their_study() -> None:
    assert GRAPH.key("pool") == ("pool",)
    assert GRAPH.path("claims") == "curriculum_ab/claims"
