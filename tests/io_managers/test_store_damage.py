"""A store that is harmed: operations that fail, bits that turn, files that go; nothing half-made or damaged is read."""

import dataclasses
import random

import pytest

from io_managers import verification
from io_managers.commit import CommitError, FileOps
from io_managers.pointers import DamagedError
from io_managers.store import Store
from tests.io_managers.stored import draft, files_below, flip


def keeper(folder):
    """Puts a folder back as it is now: what is found damaged is set aside."""
    files = {path.relative_to(folder): path.read_bytes() for path in files_below(folder)}

    def restore():
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    return restore


class FailAt(FileOps):
    def __init__(self, fail_at):
        self.left = fail_at


def _fail(name):
    def method(self, *args):
        self.left -= 1
        if self.left == 0:
            raise OSError(5, "Input/output error")
        return getattr(FileOps, name)(self, *args)

    return method


for _name in ("make_folder", "write", "sync", "link", "replace", "rename_folder", "remove"):
    setattr(FailAt, _name, _fail(_name))


@pytest.mark.parametrize("kind", ["table", "handle"])
def test_whichever_operation_fails_the_object_is_whole_or_absent_and_can_be_made_again(
    tmp_path, points, model, origin, kind
):
    for fail_at in range(1, 60):
        ops = FailAt(fail_at)
        root = tmp_path / str(fail_at)

        def put(store):
            if kind == "table":
                return store.put_table("abc123", "it", points, model, origin)
            return store.put_handle("abc123", "it", draft(), origin)

        try:
            put(Store(root, ops=ops))
        except (CommitError, OSError) as error:
            assert "Input/output" in str(error) or str(root) in str(error)
        found = Store(root).find("abc123", "it")
        remade = put(Store(root))
        assert found in (None, remade)
        pointer = Store(root).point("study/it", "ramp", 2, remade, origin)
        if kind == "table":
            assert Store(root).read(pointer).equals(points)
        else:
            assert Store(root).open_handle(pointer).files
        if ops.left > 0:
            break
    assert fail_at > 10


@pytest.mark.parametrize("name", ["points.parquet", "points.json"])
def test_forty_of_forty_flipped_bits_in_a_table_are_refused(store, stored, name):
    path = store.path(stored.ref).parent / name
    whole, restore = path.read_bytes(), keeper(path.parent)
    rng = random.Random(0)
    for _ in range(40):
        flip(path, rng.randrange(len(whole)), rng.randrange(8))
        with pytest.raises(DamagedError, match=r"study/points ramp\|2") as refused:
            store.scan(stored)
        assert name in str(refused.value)
        assert "squiggle run study --select points --arms ramp --seeds 2" in str(refused.value)
        restore()
    store.scan(stored)


@pytest.mark.parametrize("name", ["weights.safetensors", "manifest.json", "adapter_config.json"])
def test_forty_of_forty_flipped_bits_in_a_handle_are_refused(store, make_origin, name):
    origin = make_origin(asset="study/adapter")
    ref = store.put_handle("abc123", "adapter", draft(), origin)
    pointer = store.point("study/adapter", "ramp", 2, ref, origin)
    path = store.path(ref) / name
    whole, restore = path.read_bytes(), keeper(store.path(ref).parent)
    rng = random.Random(1)
    for _ in range(40):
        flip(path, rng.randrange(len(whole)), rng.randrange(8))
        with pytest.raises(DamagedError, match=r"expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}") as refused:
            store.open_handle(pointer)
        assert name in str(refused.value)
        restore()
    assert store.open_handle(pointer).files


def test_forty_of_forty_flipped_bits_in_a_pointer_are_refused_or_change_nothing(store, stored):
    path = store.root / "assets/study/points/ramp/2.json"
    whole = path.read_bytes()
    rng = random.Random(2)
    refused = 0
    for _ in range(40):
        flip(path, rng.randrange(len(whole)), rng.randrange(8))
        try:
            # a flip in the indentation (blank to another blank) is the only one that can go unseen
            assert store.pointer("study/points", "ramp", 2) == stored
        except DamagedError:
            refused += 1
        path.write_bytes(whole)
    assert refused >= 38


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b + b"x"])
def test_truncated_emptied_and_grown_files_are_refused(store, stored, change):
    path = store.path(stored.ref)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DamagedError, match=r"points\.parquet is damaged"):
        store.read(stored)


def test_a_missing_file_is_named(store, stored):
    store.path(stored.ref).unlink()
    with pytest.raises(DamagedError, match=r"points\.parquet is missing"):
        store.read(stored)


def test_a_file_that_nobody_listed_makes_a_handle_refused(store, make_origin):
    origin = make_origin(asset="study/adapter")
    ref = store.put_handle("abc123", "adapter", draft(), origin)
    pointer = store.point("study/adapter", "ramp", 2, ref, origin)
    (store.path(ref) / "payload.bin").write_bytes(b"x")
    with pytest.raises(DamagedError, match=r"payload\.bin"):
        store.open_handle(pointer)


def test_a_damaged_object_is_set_aside_and_made_again(store, stored, points, model, origin, caplog):
    path = store.path(stored.ref)
    flip(path, 100, 3)
    damaged = path.read_bytes()
    assert store.find("abc123", "points") is None
    assert "set aside" in caplog.text
    assert [found.read_bytes() for found in (store.root / "damaged").rglob("*.parquet")] == [damaged]
    remade = store.put_table("abc123", "points", points, model, dataclasses.replace(origin, git_commit="later"))
    assert remade.sha256 == stored.sha256
    # the pointer of another study to the same object, set before the damage, is good again
    assert store.read(stored).equals(points)


def test_an_unchanged_file_is_hashed_once_a_process_and_a_changed_one_again(store, stored, monkeypatch):
    hashed = []
    real = verification.sha256_file
    monkeypatch.setattr(verification, "sha256_file", lambda path: hashed.append(path) or real(path))
    store.scan(stored)
    before = len(hashed)
    store.scan(stored)
    assert len(hashed) == before
    path = store.path(stored.ref)
    path.write_bytes(path.read_bytes())
    store.scan(stored)
    assert len(hashed) == before + 1


def test_what_reading_finds_damaged_is_set_aside_and_missing_from_then_on(store, stored, points, model, origin):
    path = store.path(stored.ref)
    flip(path, 100, 3)
    assert store.looks_whole(stored.ref), "no byte is missing: only reading can tell"
    with pytest.raises(DamagedError):
        store.read(stored)
    assert not store.looks_whole(stored.ref)
    assert [path.name for path in files_below(store.root / "damaged")] == ["points.json", "points.parquet"]
    store.put_table(stored.ref.object_id, stored.ref.name, points, model, origin)
    assert store.read(stored).equals(points)


def test_a_truncated_table_and_a_handle_that_lacks_bytes_do_not_look_whole(store, stored, make_origin):
    path = store.path(stored.ref)
    path.write_bytes(path.read_bytes()[:-1])
    assert not store.looks_whole(stored.ref)
    ref = store.put_handle("def456", "adapter", draft(), make_origin(asset="study/adapter"))
    assert store.looks_whole(ref)
    weights = store.path(ref) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert not store.looks_whole(ref)
