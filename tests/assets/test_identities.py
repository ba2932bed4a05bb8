"""What makes the product of a node another one: study, sizes, inputs, libraries, number of seeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from squiggle_assets import profiles
from squiggle_assets.assets import analysis, evidence, runs
from squiggle_assets.assets.identity import identify, library_versions
from squiggle_assets.assets.node import Node, Out, Partition, Scope
from squiggle_assets.definitions import graph_of
from squiggle_assets.science.spec import BaseModelSpec, ConsensusSpec, DetectionSpec, Profile, SplitSpec, Study
from squiggle_assets.studies import study
from tests.assets.number_bench import Bench, everything

STUDY = study("curriculum_ab")
PROFILE = profiles.load("test")
GRAPH = graph_of("curriculum_ab", PROFILE)


def scope(of: Study = STUDY, profile: Profile = PROFILE, num_seeds: int = 3) -> Scope:
    return Scope(study=of, profile=profile, partition=Partition("planted", 7), num_seeds=num_seeds)


def params(node: str, at: Scope) -> Any:
    return next(each for each in GRAPH.nodes if each.name == node).params(at)


def planted(**changes: Any) -> Study:
    """The study whose plant is another one."""
    own = STUDY.only("planted")
    assert own.plant is not None
    other = replace(own, plant=replace(own.plant, **changes))
    return replace(STUDY, arms=tuple(other if arm.name == own.name else arm for arm in STUDY.arms))


def sized(**training: Any) -> Profile:
    return replace(PROFILE, training=replace(PROFILE.training, **training))


DETECTION = scope(replace(STUDY, detection=DetectionSpec(adaptive_k=3.0)))
CONSENSUS = scope(replace(STUDY, consensus=ConsensusSpec(tolerance_steps=9)))


@pytest.mark.parametrize(
    ("node", "changed"),
    [
        ("split", scope(profile=replace(PROFILE, split=SplitSpec(seed=9)))),
        ("split", scope(profile=replace(PROFILE, split=replace(PROFILE.split, num_probe_items=6)))),
        ("baselines", DETECTION),
        ("events", DETECTION),
        ("events", CONSENSUS),
        ("consensus", DETECTION),
        ("consensus", CONSENSUS),
        ("design", DETECTION),
        ("design", CONSENSUS),
        ("design", scope(num_seeds=4)),
        ("design", scope(replace(STUDY, contrasts=STUDY.contrasts[:2]))),
        ("design", scope(profile=sized(total_steps=400))),
        ("design", scope(profile=sized(step_multiplier=2))),
        ("design", scope(profile=replace(PROFILE, probe=replace(PROFILE.probe, capture_every=5)))),
        ("conclusions", scope(num_seeds=3, profile=replace(PROFILE, num_seeds=2))),
        ("conclusions", scope(replace(STUDY, plant_margin=3.0))),
        ("conclusions", scope(replace(STUDY, contrasts=STUDY.contrasts[:2]))),
        ("conclusions", scope(planted(start=0.5))),
        ("conclusions", scope(profile=replace(PROFILE, base_model=BaseModelSpec(source="someone/other")))),
        ("conclusions", DETECTION),
        ("conclusions", CONSENSUS),
    ],
)
def test_a_product_is_another_one_when_what_shapes_it_changes(node: str, changed: Scope) -> None:
    assert params(node, changed) != params(node, scope())


def spec(at: Scope, **shas: str) -> Any:
    given = {name: name[0].encode().hex() * 16 for name in ("pool", "split", "base", "curriculum")} | shas
    return runs._spec(at, given, {"curriculum": {"curriculum_id": given["curriculum"]}})


@pytest.mark.parametrize("name", ["pool", "split", "base", "curriculum"])
def test_a_run_is_another_one_when_an_input_changes(name: str) -> None:
    assert spec(scope(), **{name: "ee" * 16}) != spec(scope())


def test_a_run_is_another_one_with_other_sizes_or_seed_and_the_same_in_another_arm_or_study() -> None:
    others = [
        spec(scope(profile=sized(lr=1.0))),
        spec(scope(profile=replace(PROFILE, probe=replace(PROFILE.probe, num_tokens=9)))),
        spec(replace(scope(), partition=Partition("planted", 8))),
    ]
    assert spec(scope()) not in others
    assert spec(replace(scope(replace(STUDY, name="other")), partition=Partition("iid", 7))) == spec(scope())


def test_the_versions_of_the_libraries_that_shape_numbers_are_in_every_identity(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    everything(bench)
    for node in bench.graph.nodes:
        at = {"shared": Partition(), "arm": Partition("iid"), "run": Partition("iid", 2)}[node.grain]
        here = Scope(study=STUDY, profile=PROFILE, partition=at)
        config = identify(bench.graph, node, here, bench.roster, bench.workspace.store).config
        assert config["libraries"] == library_versions(torch=False), node.name
    drawn = replace(bench.graph.makers["trained"], pool="gpu")
    here = Scope(study=STUDY, profile=PROFILE, partition=Partition("iid", 2))
    config = identify(bench.graph, drawn, here, bench.roster, bench.workspace.store).config
    assert set(config["libraries"]) == {*library_versions(torch=False), "torch", "transformers", "peft"}


def test_a_damaged_row_that_an_identity_needs_is_a_missing_input_and_no_crash(tmp_path: Path) -> None:
    bench = Bench(tmp_path, spec_rows=("source",))
    everything(bench)
    pointer = bench.workspace.store.pointer("source")
    assert pointer is not None
    path = bench.workspace.store.path(pointer.ref)
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole[:-6] + b"damage")
    assert bench.state("trained", Partition("iid", 2)) == "stale", "nobody can say that it is current"
    assert bench.run("source").success
    assert bench.state("trained", Partition("iid", 2)) == "current"


@pytest.mark.parametrize(("seeds", "expected"), [((0, 1, 2), True), ((0, 1), False), ((0, 1, 2, 3), False)])
def test_claims_are_preregistered_with_exactly_the_seeds_of_the_profile(
    monkeypatch: pytest.MonkeyPatch, seeds: tuple[int, ...], expected: bool
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(
        "squiggle_assets.science.claims.study_result",
        lambda study, **named: given.update(named) or SimpleNamespace(_asdict=dict),
    )
    registered = [STUDY.seeds[seed] for seed in seeds]
    manifest = pl.DataFrame({"arm": ["planted"] * len(seeds), "seed": registered})
    nothing = pl.DataFrame()
    step: Any = SimpleNamespace(scope=scope())
    evidence._conclusions(step, nothing, manifest, nothing, nothing, nothing, nothing.lazy())
    assert given["preregistered"] is expected
    # the plant of the study starts at .7 of 200 steps and lasts eight
    assert given["planted_steps"] == (140, 148)


def test_a_whole_run_with_few_captures_is_no_stopped_one() -> None:
    short = pl.DataFrame({"step": [0, 2]})

    def too_short(stopped: bool) -> bool:
        return analysis._too_short(short, pl.DataFrame({"stopped_early": [stopped]}))

    assert too_short(True) and not too_short(False)


def test_a_run_asks_whether_its_code_was_edited_before_anything_of_it_is_in_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class EditedError(Exception):
        pass

    def refuse() -> None:
        raise EditedError

    class Folder:
        def __init__(self, *given: Any, **named: Any) -> None:
            self.checkpoints = self.captures = None

        def finish(self, meta: Any) -> None:
            pytest.fail("the captures of unknown code went into the store")

    result = SimpleNamespace(inherited_step=None)
    monkeypatch.setattr("io_managers.checkpoints.RunFolder", Folder)
    monkeypatch.setattr("squiggle_assets.science.training.train", lambda *given, **named: result)
    monkeypatch.setattr(runs, "_inputs", lambda *given: SimpleNamespace(probes={}))
    monkeypatch.setattr(runs, "replace", lambda inputs, **changes: inputs)
    monkeypatch.setattr("squiggle_assets.assets.identity.origin", lambda *given: None)

    class Slot:
        device, figures = "cpu", {}

        def __enter__(self) -> Slot:
            return self

        def __exit__(self, *given: Any) -> None:
            """Nothing to free."""

    step: Any = SimpleNamespace(
        scope=scope(),
        identity=SimpleNamespace(object_id="r"),
        graph=None,
        dagster_run_id="d",
        store=None,
        progress=None,
        refuse_edited=refuse,
        resources=SimpleNamespace(compute=SimpleNamespace(slot=Slot)),
    )
    with pytest.raises(EditedError):
        runs.trained(step, None, None, None, None, captures="captures")  # type: ignore[arg-type]


def test_a_node_without_parameters_has_none() -> None:
    node = Node(name="n", grain="shared", outs=(Out(name="n"),), compute=lambda step: {})
    assert node.params(scope()) is None
