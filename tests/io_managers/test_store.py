"""The store: what is put is found, what does not fit or is blocked is refused, names stay inside it."""

import dataclasses
import time
from multiprocessing import get_context
from pathlib import Path

import polars as pl
import pytest

from io_managers import locks, parquet
from io_managers.commit import ConflictError
from io_managers.gate import GateError
from io_managers.store import BlockedError, Store, local_root
from squiggle_assets.schemas.handles import CheckOutcome
from tests.io_managers.stored import draft, files_below

BLOCKING = CheckOutcome(name="no_held_out", passed=False, blocking=True, description="held-out items in training")


def test_a_table_comes_back_as_it_was_put(store, stored, points):
    assert store.pointer("study/points", "ramp", 2) == stored
    assert store.read(stored).equals(points)
    assert isinstance(store.scan(stored), pl.LazyFrame)
    assert store.find("abc123", "points") == stored.ref
    assert stored.ref.num_rows == 50


def test_the_parquet_file_alone_says_where_it_comes_from(store, stored, origin):
    found = parquet.read_origin(store.path(stored.ref))
    assert found == dataclasses.asdict(origin)


def test_a_handle_comes_back_as_it_was_put(store, make_origin):
    origin = make_origin(asset="study/adapter")
    ref = store.put_handle("abc123", "adapter", draft(), origin)
    handle = store.open_handle(store.point("study/adapter", "ramp", 2, ref, origin))
    assert handle.files == ("adapter_config.json", "plots/x.png", "weights.safetensors")
    assert (handle.tensors("weights")["w"] == 1).all()
    assert handle.document("adapter_config.json") == {"r": 8}
    assert handle.meta == {"kind": "adapter"}
    assert handle.sha256 == store.put_handle("abc123", "adapter", draft(), origin).sha256


def test_the_same_result_from_another_commit_and_run_is_no_conflict(store, stored, points, model, origin):
    later = dataclasses.replace(origin, git_commit="f" * 40, git_dirty=True, dagster_run_id="other")
    assert store.put_table("abc123", "points", points, model, later) == stored.ref


def test_another_result_under_the_same_id_is_a_loud_conflict(store, stored, points, model, origin):
    other = points.with_columns(value=pl.col("value") + 1)
    with pytest.raises(ConflictError, match="same identity gave two results"):
        store.put_table("abc123", "points", other, model, origin)
    assert store.read(stored).equals(points)


def test_a_frame_that_does_not_fit_its_model_leaves_nothing_and_shows_the_rows(store, points, model, origin):
    bad = points.with_columns(seed=pl.when(pl.col("value") > 6.9).then(-5).otherwise("seed"))
    with pytest.raises(GateError, match=r"greater_than_or_equal_to\(0\) \(1 times\)") as refused:
        store.put_table("abc123", "points", bad, model, origin)
    assert "49" in str(refused.value)  # the row, 49 / 7 = 7 is the only value above 6.9
    assert "-5" in str(refused.value)
    assert refused.value.num_failing == 1
    assert files_below(store.root) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.drop("value"),
        lambda frame: frame.with_columns(extra=1),
        lambda frame: frame.select("seed", "arm", "value"),
        lambda frame: frame.with_columns(pl.col("seed").cast(pl.Int32)),
        lambda frame: pl.concat([frame, frame]),
        lambda frame: frame.with_columns(arm=pl.lit(None, dtype=pl.String)),
    ],
)
def test_wrong_columns_types_order_keys_and_nulls_are_refused(store, points, model, origin, change):
    with pytest.raises(GateError):
        store.put_table("abc123", "points", change(points), model, origin)
    assert files_below(store.root) == []


def test_a_lazy_frame_is_refused_because_its_values_would_not_be_checked(store, points, model, origin):
    with pytest.raises(TypeError, match="collect a LazyFrame first"):
        store.put_table("abc123", "points", points.lazy(), model, origin)


def test_a_partition_whose_blocking_check_failed_is_not_read(store, stored, points):
    passed = dataclasses.replace(BLOCKING, passed=True)
    reported = dataclasses.replace(BLOCKING, name="size", blocking=False)
    pointer = store.record_checks(stored, (BLOCKING,))
    again = store.pointer("study/points", "ramp", 2)
    assert again == pointer
    with pytest.raises(BlockedError, match=r"study/points ramp\|2 .* no_held_out \(held-out items in training"):
        store.read(again)
    assert store.read(again, allow_blocked=True).equals(points)
    mended = store.record_checks(again, (passed, reported))
    assert [check.name for check in mended.checks] == ["no_held_out", "size"]
    assert store.read(mended).equals(points)


def test_pointers_come_sorted_by_arm_then_by_seed_as_a_number(store, stored, make_origin):
    for arm, seed in [("ramp", 10), ("iid", 3), ("ramp", 1), ("iid", 20)]:
        store.point("study/points", arm, seed, stored.ref, make_origin(arm=arm, seed=seed))
    found = [pointer.partition for pointer in store.pointers("study/points")]
    assert found == ["iid|3", "iid|20", "ramp|1", "ramp|2", "ramp|10"]


def test_assets_below_an_asset_are_not_its_partitions(store, stored, make_origin):
    store.point("study", None, None, stored.ref, make_origin(asset="study", arm=None, seed=None))
    store.point("study/arms", "ramp", None, stored.ref, make_origin(asset="study/arms", seed=None))
    assert [pointer.partition for pointer in store.pointers("study")] == ["_"]
    assert [pointer.partition for pointer in store.pointers("study/arms")] == ["ramp"]
    assert store.pointers("nothing") == []
    assert store.pointer("study/points", "ramp", 3) is None


@pytest.mark.parametrize("name", ["..", "a..b", "a|b", "a,b", "a\x00b", "a/b", "", "A", "x" * 300, "/etc", "a\n", " a"])
def test_names_that_could_leave_the_store_or_break_keys_are_refused(store, stored, name, make_origin, points, model):
    attempts = [
        lambda: store.pointer("study/points", name, 2),
        lambda: store.find(name, "points"),
        lambda: store.find("abc123", name),
        lambda: store.put_table(name, "points", points, model, make_origin()),
        lambda: store.put_handle("abc123", name, draft(), make_origin()),
        lambda: store.lock(name).__enter__(),
    ]
    before = files_below(store.root)
    for attempt in attempts:
        with pytest.raises(ValueError, match="not a usable name"):
            attempt()
    if "/" not in name:
        with pytest.raises(ValueError, match="not a usable name"):
            store.pointers(f"study/{name}")
    assert files_below(store.root) == before


@pytest.mark.parametrize("seed", [-1, 2**63, True, "2"])
def test_a_seed_that_is_no_seed_is_refused(store, seed):
    with pytest.raises(ValueError, match="seed must be an integer"):
        store.pointer("study/points", "ramp", seed)


def test_a_remote_root_is_refused_and_a_file_url_is_not(tmp_path):
    with pytest.raises(ValueError, match="is remote"):
        Store("s3://bucket/data")
    assert local_root(f"file://{tmp_path}") == tmp_path
    assert local_root("data") == Path("data").absolute()


def test_adopting_a_folder_consumes_it_and_keeps_its_bytes(store, tmp_path, origin):
    work = tmp_path / "data" / "work"
    work.mkdir(parents=True)
    (work / "step_000000.safetensors").write_bytes(b"not read here")
    ref = store.adopt_folder("abc123", "captures", work, {"dtype": "float16"}, origin)
    assert not work.exists()
    handle = store.open_handle(store.point("study/captures", "ramp", 2, ref, origin))
    assert handle.files == ("step_000000.safetensors",)
    assert handle.meta == {"dtype": "float16"}


def _make_twice(root, barrier, made):
    store = Store(root)
    barrier.wait()
    with store.lock("abc123"):
        if not (root / "made").exists():
            made.put(1)
            time.sleep(0.3)
            (root / "made").touch()


def test_two_processes_never_make_the_same_object(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    context = get_context("fork")
    barrier, made = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_make_twice, args=(root, barrier, made)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert made.get(timeout=5) == 1
    assert made.empty()
    assert list((root / "locks").iterdir()) == []


def test_a_held_lock_names_its_holder(store):
    with (
        store.lock("abc123"),
        pytest.raises(locks.HeldError, match=r"making object abc123 is held by process \d+"),
        store.lock("abc123", timeout=0),
    ):
        pass
    with store.lock("abc123", timeout=0):
        pass
