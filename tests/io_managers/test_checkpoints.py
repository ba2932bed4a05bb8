"""Checkpoints and captures in work folders: bit for bit, whole or passed over, gone when the run is done."""

import random

import pytest
import torch

from io_managers.checkpoints import LADDER, FolderCheckpoints, Past, RunFolder, load_checkpoint, stored_checkpoints
from io_managers.commit import FileOps
from io_managers.pointers import DamagedError
from io_managers.store import Store
from squiggle_assets.science.ports import Checkpoint


def checkpoint(step):
    generator = torch.Generator().manual_seed(step)
    weight = torch.randn(4, 4, generator=generator)
    tensors = {"w": weight, "tied": weight, "m.bf16": torch.ones(3).bfloat16() * step, "view": weight.T}
    return Checkpoint(step=step, tensors=tensors, state={"losses": [0.1, float("nan"), 1 / 3], "step": step})


@pytest.fixture
def run(store, make_origin):
    return RunFolder(store, "abc123", make_origin(asset="study/run_manifest"))


def steps(run):
    return sorted(path.name for path in run.checkpoints.folder.iterdir())


def test_a_checkpoint_comes_back_bit_for_bit(run):
    assert run.checkpoints.latest() is None
    saved = checkpoint(3)
    run.checkpoints.save(saved)
    found = run.checkpoints.latest()
    assert found.step == 3
    assert set(found.tensors) == set(saved.tensors)
    for name, tensor in saved.tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)
    assert repr(found.state) == repr(saved.state)


def test_the_newest_two_and_the_kept_ones_stay(run):
    run.checkpoints.save(checkpoint(5), keep=True)
    for step in (9, 10, 100, 11):
        run.checkpoints.save(checkpoint(step))
    assert steps(run) == ["checkpoint_000000005_kept", "checkpoint_000000011", "checkpoint_000000100"]
    assert run.checkpoints.latest().step == 100


def test_saving_a_step_again_replaces_it(run):
    run.checkpoints.save(checkpoint(5))
    run.checkpoints.save(Checkpoint(step=5, tensors={"w": torch.zeros(2)}, state={"again": True}))
    assert run.checkpoints.latest().state == {"again": True}


def test_a_half_written_checkpoint_is_not_seen(run):
    run.checkpoints.save(checkpoint(5))
    half = run.checkpoints.folder / ".checkpoint_000000009.00000000-1-00000000.tmp"
    half.mkdir()
    (half / "tensors.safetensors").write_bytes(b"half")
    assert run.checkpoints.latest().step == 5


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "manifest.json"])
def test_a_damaged_checkpoint_is_passed_over_and_recorded(run, name, caplog):
    run.checkpoints.save(checkpoint(5))
    run.checkpoints.save(checkpoint(9))
    path = run.checkpoints.folder / "checkpoint_000000009" / name
    whole = path.read_bytes()
    rng = random.Random(0)
    for turn in range(20):
        content = bytearray(whole)
        # not the last line break of a document, which says nothing
        content[rng.randrange(len(content) - 2)] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(content))
        try:
            found = load_checkpoint(path.parent)
        except DamagedError:
            assert run.checkpoints.latest().step == 5
            assert "checkpoint_000000009" in run.checkpoints.skipped[-1]
            assert "the one before it is used" in caplog.text
        else:
            # only a flip in the manifest's blanks or in its origin, which no number rests on, may pass
            assert name == "manifest.json", turn
            assert found.step == 9
    path.unlink()
    assert run.checkpoints.latest().step == 5


def test_a_longer_run_starts_from_the_kept_checkpoint_of_the_shorter_one(store, run, make_origin):
    run.checkpoints.save(checkpoint(170), keep=True)
    run.captures.put(0, {"x": torch.ones(2)})
    run.finish({})
    longer = RunFolder(store, "def456", make_origin(object_id="def456"), past=Past("abc123", LADDER))
    assert longer.checkpoints.inherited().step == 170
    assert torch.equal(longer.checkpoints.inherited().tensors["w"], checkpoint(170).tensors["w"])
    assert longer.checkpoints.latest() is None
    alone = RunFolder(store, "fff", make_origin(object_id="fff"), past=Past("nothere", LADDER))
    assert alone.checkpoints.inherited() is None


def test_a_replay_starts_from_any_checkpoint_that_its_parent_kept(store, make_origin):
    run = RunFolder(store, "abc123", make_origin(), keep_all=True)
    for step in (50, 100, 150):
        run.checkpoints.save(checkpoint(step))
    run.checkpoints.save(checkpoint(170), keep=True)
    run.captures.put(0, {"x": torch.ones(2)})
    assert stored_checkpoints(store, "abc123") == {}, "nothing is there before the run is finished"
    run.finish({})
    there = stored_checkpoints(store, "abc123")
    assert sorted(there) == [50, 100, 150], "the kept one has a name of its own"
    replay = RunFolder(store, "def456", make_origin(object_id="def456"), past=there[100])
    assert replay.checkpoints.inherited().step == 100
    assert store.find("abc123", LADDER) is not None


def test_a_run_that_keeps_the_newest_only_leaves_nothing_for_replays(store, run):
    for step in (50, 100, 150):
        run.checkpoints.save(checkpoint(step))
    run.captures.put(0, {"x": torch.ones(2)})
    run.finish({})
    assert stored_checkpoints(store, "abc123") == {}


def test_finished_captures_become_an_object_and_the_work_is_gone(store, run, make_origin):
    run.captures.put(2, {"x_out.0": torch.full((2, 3), 2.0).half()})
    run.captures.put(0, {"x_out.0": torch.full((2, 3), 9.0).half()})
    run.captures.put(0, {"x_out.0": torch.zeros(2, 3).half()})
    run.checkpoints.save(checkpoint(2))
    ref = run.finish({"probe_set_sha256": "aa"})
    assert run.checkpoints.latest().step == 2, "the tables are not stored yet: a kill now must not cost the run"
    RunFolder.discard(store, "abc123")
    assert not run.path.exists()
    assert store.find("abc123", LADDER) is None
    handle = store.open_handle(store.point("study/captures", "ramp", 2, ref, make_origin(asset="study/captures")))
    assert [(step, float(arrays["x_out.0"].max())) for step, arrays in handle.steps()] == [(0, 0.0), (2, 2.0)]
    assert handle.meta == {"probe_set_sha256": "aa"}


def test_no_checkpoint_is_saved_before_its_captures_are_on_the_disk(tmp_path, make_origin):
    done = []

    class Watching(FileOps):
        def sync(self, path):
            done.append(path.name)
            super().sync(path)

    run = RunFolder(Store(tmp_path, ops=Watching()), "abc123", make_origin())
    for step in range(12):
        run.captures.put(step, {"x": torch.ones(2)})
    assert not [name for name in done if name.startswith("step_")]
    run.checkpoints.save(checkpoint(11))
    settled = [name for name in done if name.startswith("step_")]
    first = next(index for index, name in enumerate(done) if name == "tensors.safetensors")
    assert sorted(settled) == [f"step_{step:06d}.safetensors" for step in range(12)]
    assert max(done.index(name) for name in settled) < first
    run.checkpoints.save(checkpoint(12))
    assert len([name for name in done if name.startswith("step_")]) == 12


def test_finishing_again_after_a_kill_finds_what_was_adopted(store, run, make_origin):
    run.captures.put(0, {"x": torch.ones(2)})
    run.checkpoints.save(checkpoint(2), keep=True)
    ref = run.finish({})
    assert RunFolder(store, "abc123", make_origin()).finish({}) == ref
    for _ in range(2):
        RunFolder.discard(store, "abc123")
        assert not run.path.exists()


def test_a_run_without_captures_cannot_be_finished(run):
    with pytest.raises(FileNotFoundError, match="captures"):
        run.finish({})


@pytest.mark.parametrize("step", [-1, 1_000_000])
def test_a_step_that_does_not_fit_its_name_is_refused(run, step):
    with pytest.raises(ValueError, match="step must be from 0"):
        run.captures.put(step, {"x": torch.ones(1)})


def test_checkpoints_of_a_missing_folder_are_none(tmp_path, origin):
    assert FolderCheckpoints(tmp_path / "none", origin).latest() is None


def test_a_longer_run_starts_with_the_shorter_ones_checkpoint_and_captures_up_to_there(store, run, make_origin):
    for step in (0, 2, 4):
        run.captures.put(step, {"x": torch.full((2,), float(step))})
    run.checkpoints.save(checkpoint(2), keep=True)
    run.finish({})
    RunFolder.discard(store, "abc123")
    longer = RunFolder(store, "def456", make_origin(), past=Past("abc123", LADDER))
    assert longer.checkpoints.latest() is None
    assert longer.checkpoints.inherited().step == 2
    # the capture at the checkpoint's own step is taken over, too: it stands before the next update
    longer.take_captures("abc123", up_to=2)
    longer.captures.put(4, {"x": torch.full((2,), 40.0)})
    ref = longer.finish({})
    handle = store.open_handle(store.point("study/captures", "ramp", 2, ref, make_origin(asset="study/captures")))
    assert [(step, float(arrays["x"][0])) for step, arrays in handle.steps()] == [(0, 0.0), (2, 2.0), (4, 40.0)]


def test_captures_that_the_shorter_run_did_not_leave_are_missed_by_name(store, make_origin):
    longer = RunFolder(store, "def456", make_origin(), past=Past("abc123", LADDER))
    assert longer.checkpoints.inherited() is None
    with pytest.raises(DamagedError, match="run abc123 left a checkpoint but no whole captures"):
        longer.take_captures("abc123", up_to=3)
