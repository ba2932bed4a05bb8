"""Which processes are alive, and dying with the one that started us.

Here: liveness of a process id (guarded against reuse of the id), this machine's name in file names, PR_SET_PDEATHSIG.
Not here: locks (locks.py) and Dagster's runs (resources.instance).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import signal
import sys

import psutil

_PR_SET_PDEATHSIG = 1
_CLOCK_SLACK = 2.0  # seconds: process start times are rounded to ticks, file times to the file system's grain


def host_tag() -> str:
    """8 hex digits that name this machine, fit for a file name."""
    return hashlib.sha256(platform.node().encode("utf-8")).hexdigest()[:8]


def is_alive(pid: int, *, acted_at: float | None = None) -> bool:
    """Whether the process that had this id when it acted is still running on this machine.

    acted_at: seconds since 1970 of something the process did (a file it wrote, an event it stored). A process that
    started later only inherited the number, so it does not count. A zombie is dead: it can do nothing more.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return acted_at is None or process.create_time() <= acted_at + _CLOCK_SLACK
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies, so that no orphan step goes on writing.

    parent: the id the caller believes to be its parent; if it died before the request could be made, this process
    ends at once (exit status 1). Does nothing where the kernel has no such request (anything but Linux).
    """
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl(PR_SET_PDEATHSIG) was refused: {os.strerror(number)}")
    if os.getppid() != parent:
        raise SystemExit(1)
