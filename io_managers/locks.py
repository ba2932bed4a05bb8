"""Exclusive locks between processes that end with the process: one file, one flock.

Here: taking, waiting for, probing and releasing a lock file that says who holds it.
Not here: which things are locked (store.py: objects; resources: devices, runs, the first start of DAGSTER_HOME).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

_LOG = logging.getLogger("squiggle.locks")
_POLL_SECONDS = 0.05
_SAY_AFTER_SECONDS = 5.0


class HeldError(RuntimeError):
    """Somebody else holds the lock; the message says who."""


@contextlib.contextmanager
def hold(path: Path, what: str, *, timeout: float | None = None) -> Iterator[None]:
    """Hold the lock file for the length of the block.

    The lock dies with the process, however it dies. It is not re-entrant: asking again in the same process waits too.

    Args:
        path: the lock file; made if absent, removed on a clean release.
        what: what is being locked, for messages.
        timeout: seconds to wait; 0 tries once, None waits for ever (and logs every minute whom it waits for).

    Raises:
        HeldError: still held after the timeout.
    """
    descriptor = _wait(path, what, timeout)
    try:
        yield
    finally:
        _release(path, descriptor)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock; False if there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def holder(path: Path) -> str:
    """Who wrote their name into the lock file, as words; 'nobody' if the file is gone or empty."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "nobody"
    return f"process {found['pid']} on {found['host']}"


def _wait(path: Path, what: str, timeout: float | None) -> int:
    started = time.monotonic()
    say_at = started + _SAY_AFTER_SECONDS
    while True:
        descriptor = _try(path)
        if descriptor is not None:
            return descriptor
        now = time.monotonic()
        if timeout is not None and now - started >= timeout:
            raise HeldError(f"{what} is held by {holder(path)} (lock {path}); wait for it to end, or stop that process")
        if now >= say_at:
            _LOG.warning("waiting for %s, held by %s", what, holder(path))
            say_at = now + 60
        time.sleep(_POLL_SECONDS)


def _try(path: Path) -> int | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The last holder may have removed the file between open and flock: then this is a lock on nothing.
        if path.stat().st_ino != os.fstat(descriptor).st_ino:
            raise BlockingIOError
    except (BlockingIOError, FileNotFoundError):
        os.close(descriptor)
        return None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": platform.node()}).encode("utf-8"), 0)
    return descriptor


def _release(path: Path, descriptor: int) -> None:
    path.unlink(missing_ok=True)
    os.close(descriptor)
