"""The commit point: whole or not at all, whatever fails and whenever."""

import errno
import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from multiprocessing import get_context

import polars as pl
import pytest

from io_managers import commit, folders, parquet
from io_managers.commit import CommitError, ConflictError, FileOps, commit_file, commit_folder, sweep, temporary_path
from io_managers.processes import host_tag, is_alive


class FailingOps(FileOps):
    """Fails the N-th operation, whichever it is."""

    def __init__(self, fail_at, number=errno.ENOSPC):
        self.left, self.number = fail_at, number


def _failing(name):
    def method(self, *args):
        self.left -= 1
        if self.left == 0:
            raise OSError(self.number, os.strerror(self.number))
        return getattr(FileOps, name)(self, *args)

    return method


for _name in ("make_folder", "write", "sync", "link", "replace", "rename_folder", "remove"):
    setattr(FailingOps, _name, _failing(_name))


def test_a_committed_file_has_the_hash_that_is_returned(tmp_path):
    # sha256 of b"abc", from FIPS 180-2, appendix B.1
    found = commit_file(tmp_path / "new" / "folder" / "a.txt", b"abc")
    assert found == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (tmp_path / "new" / "folder" / "a.txt").read_bytes() == b"abc"
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["a.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("replace", [True, False])
def test_whichever_operation_fails_the_old_version_or_a_whole_new_one_is_there(tmp_path, replace, number):
    path = tmp_path / "pointer.json"
    for fail_at in range(1, 20):
        path.unlink(missing_ok=True)
        if replace:
            path.write_bytes(b"old")
        ops = FailingOps(fail_at, number)
        try:
            commit_file(path, b"new", replace=replace, ops=ops)
        except CommitError as error:
            assert str(path) in str(error)
            assert error.errno == number
            assert not path.exists() or path.read_bytes() in ((b"old", b"new") if replace else (b"new",))
        else:
            assert path.read_bytes() == b"new"
            if ops.left > 0:
                break
        leftover = [found for found in tmp_path.iterdir() if found != path]
        assert all(commit.is_temporary(found) for found in leftover)
        for found in leftover:
            found.unlink()
    assert fail_at >= 6  # make folder, write, sync, link or replace, sync folder, remove


def test_whichever_operation_fails_a_folder_is_whole_or_absent(tmp_path):
    path = tmp_path / "handle"

    def fill(folder):
        (folder / "a").write_bytes(b"1")
        (folder / "b").write_bytes(b"2")

    for fail_at in range(1, 30):
        ops = FailingOps(fail_at)
        try:
            commit_folder(path, fill, same=lambda left, right: True, ops=ops)
        except CommitError as error:
            assert str(path) in str(error)
        if path.exists():
            assert sorted(found.name for found in path.iterdir()) == ["a", "b"]
        if ops.left > 0:
            break
        FileOps().remove(path)
    assert fail_at >= 8
    assert path.exists()


def test_a_writer_that_raises_leaves_nothing(tmp_path):
    def writer(path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        commit_file(tmp_path / "a", writer)
    assert list(tmp_path.iterdir()) == []


def test_a_published_file_is_never_overwritten_by_another_one(tmp_path):
    commit_file(tmp_path / "a", b"first")
    commit_file(tmp_path / "a", b"first")
    with pytest.raises(ConflictError, match="already published with other content"):
        commit_file(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_fails_its_validation_is_not_published(tmp_path):
    def refuse(path):
        raise ValueError(path.read_text())

    with pytest.raises(ValueError, match="rubbish"):
        commit_file(tmp_path / "a", b"rubbish", validate=refuse)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "permission")]
)
def test_an_error_says_what_to_do(tmp_path, number, words):
    with pytest.raises(CommitError, match=words):
        commit_file(tmp_path / "a", b"x", ops=FailingOps(2, number))


def test_a_folder_that_cannot_keep_results_is_refused_before_anything_is_computed(tmp_path):
    commit.check_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(CommitError, match=r"are needed: the disk is full"):
        commit.check_writable(tmp_path, min_free_bytes=2**60)
    with pytest.raises(CommitError, match="read-only"):
        commit.check_writable(tmp_path, ops=FailingOps(2, errno.EROFS))
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(CommitError, match="file"):
        commit.check_writable(tmp_path / "file" / "below")
    assert not (tmp_path / "probe").exists()


def _write_with_limit(path, limit, done):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    frame = pl.DataFrame({"x": range(200_000)})
    try:
        commit_file(path, lambda temporary: parquet.write(frame, temporary, {}))
    except CommitError as error:
        done.put(str(error))
    else:
        done.put(None)


@pytest.mark.parametrize("limit", [0, 1000, 100_000])
def test_a_full_disk_leaves_nothing_and_is_said(tmp_path, limit):
    context = get_context("spawn")
    done = context.Queue()
    process = context.Process(target=_write_with_limit, args=(tmp_path / "t.parquet", limit, done))
    process.start()
    message = done.get(timeout=60)
    process.join()
    assert message is not None
    assert "t.parquet" in message
    assert list(tmp_path.iterdir()) == []
    commit_file(tmp_path / "t.parquet", b"later")
    assert (tmp_path / "t.parquet").read_bytes() == b"later"


def test_the_sweeper_takes_only_what_dead_processes_of_this_machine_left(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead = tmp_path / f".a.parquet.{host_tag()}-{child.pid}-00000000.tmp"
    elsewhere = tmp_path / f".a.parquet.00000000-{child.pid}-00000000.tmp"
    persons = tmp_path / ".notes.tmp"
    mine = temporary_path(tmp_path / "a.parquet")
    for path in (dead, elsewhere, persons, mine):
        path.write_bytes(b"x")
    assert sweep(tmp_path) == [dead]
    assert {path.name for path in tmp_path.iterdir()} == {elsewhere.name, persons.name, mine.name}


def test_a_process_that_started_later_only_inherited_the_number():
    assert is_alive(os.getpid())
    assert is_alive(os.getpid(), acted_at=time.time())
    assert not is_alive(os.getpid(), acted_at=1.0)


_WRITER = """
import sys, polars as pl
from pathlib import Path
from io_managers import parquet
from io_managers.commit import commit_file
frame = pl.DataFrame({"x": range(300_000)}).with_columns(y=pl.col("x").sqrt())
print("ready", flush=True)
path, turn = Path(sys.argv[1]), 0
while True:
    commit_file(path, lambda temporary: parquet.write(frame, temporary, {"turn": turn}), replace=True)
    turn += 1
"""


def _kill_writers(folder, num_kills):
    path = folder / "t.parquet"
    found = {"whole": 0, "absent": 0, "left": 0}
    for kill in range(num_kills):
        path.unlink(missing_ok=True)
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE)
        writer.stdout.readline()
        time.sleep((kill * 0.037) % 0.3)
        writer.kill()
        writer.wait()
        if path.exists():
            assert pl.read_parquet(path).height == 300_000
            parquet.hashes(path)
            found["whole"] += 1
        else:
            found["absent"] += 1
        found["left"] += len(sweep(folder))
        assert [left.name for left in folder.iterdir() if left != path] == []
    return found


def test_killed_writers_leave_no_broken_file(tmp_path):
    found = _kill_writers(tmp_path, 6)
    assert found["whole"] + found["absent"] == 6


@pytest.mark.slow
def test_forty_killed_writers_leave_no_broken_file(tmp_path):
    found = _kill_writers(tmp_path, 40)
    assert found["whole"] > 0
    assert found["left"] > 0, "no kill hit a write, so nothing was tested"


def _race(path, content, gate, results):
    gate.wait()
    try:
        results.put(("won", commit_file(path, content)))
    except ConflictError:
        results.put(("conflict", None))


def test_of_two_processes_with_different_bytes_one_wins_and_the_other_hears_of_it(tmp_path):
    context = get_context("fork")
    for turn in range(20):
        path = tmp_path / str(turn)
        gate, results = context.Barrier(2), context.Queue()
        racers = [context.Process(target=_race, args=(path, word, gate, results)) for word in (b"one", b"two")]
        for racer in racers:
            racer.start()
        outcomes = dict(results.get(timeout=30) for _ in racers)
        for racer in racers:
            racer.join()
        assert set(outcomes) == {"won", "conflict"}
        assert outcomes["won"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_equal_rows_have_equal_content_hashes_whatever_their_origin(tmp_path):
    frame = pl.DataFrame({"a": [1.0, None, 3.0], "b": ["x", "y", None]})
    paths = [tmp_path / name for name in ("a", "b", "c", "d")]
    parquet.write(frame, paths[0], {"git": "one"})
    # the null slot holds another number underneath: not part of the content
    hidden = pl.DataFrame({"a": [1.0, 9.0, 3.0], "b": ["x", "y", "z"]})
    parquet.write(
        hidden.with_columns(
            a=pl.when(pl.col("a") == 9).then(None).otherwise("a"),
            b=pl.when(pl.col("b") == "z").then(None).otherwise("b"),
        ),
        paths[1],
        {"git": "two, and longer"},
    )
    parquet.write(frame.rename({"a": "c"}), paths[2], {"git": "one"})
    parquet.write(frame.with_columns(a=pl.Series([1.0, None, 4.0])), paths[3], {"git": "one"})
    found = [parquet.hashes(path) for path in paths]
    assert found[0].content == found[1].content
    assert found[0].file != found[1].file
    assert len({hashes.content for hashes in found[1:]}) == 3
    assert parquet.read_origin(paths[1]) == {"git": "two, and longer"}


@pytest.mark.parametrize("name", ["../a", "a/../b", "/a", "a\x00b", "manifest.json", "", "a//b", ".hidden", "x" * 300])
def test_a_handle_file_cannot_leave_its_folder(name):
    with pytest.raises(ValueError, match="not a usable file name"):
        folders.check_file_name(name)
