"""The processes of an agent's container: which are awaited, which are orphans to be collected."""

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_SET_CHILD_SUBREAPER = 36
# Who awaits a program must be known before it can end: `reap` waits meanwhile.
_starting = threading.Lock()
_awaited: set[int] = set()


def adopt_orphans() -> None:
    """Become the parent of processes whose own parent ends (as PID 1 is anyway)."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextlib.contextmanager
def awaited(command: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program whose exit code the caller waits for, in another thread than `reap` is called.

    An awaited child that `reap` took would seem to have ended with 0.

    Args:
        command: the program and its arguments.
        options: of `subprocess.Popen`.
    """
    with _starting:
        process = subprocess.Popen(command, **options)
        _awaited.add(process.pid)
    try:
        with process:
            yield process
    finally:
        _awaited.discard(process.pid)


def end_group(group: int) -> None:
    """Kill the rest of an ended child's session, and wait until none of it holds the data."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = [pid for pid in session_of(group) if pid != group]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        reap({group})
        time.sleep(0.02)
    raise RuntimeError(f"Processes {left} of the ended server do not go away")


def reap(children: set[int]) -> None:
    """Collect ended orphans; children that somebody waits for are left to them.

    Args:
        children: those that the caller waits for.
    """
    with _starting:
        kept = children | _awaited
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid in kept:
                return
            with contextlib.suppress(ChildProcessError):
                os.waitpid(found.si_pid, os.WNOHANG)


def session_of(leader: int) -> dict[int, int]:
    """Return the live processes of a session with the processor time each has used, in ticks."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found[int(path.parent.name)] = int(fields[11]) + int(fields[12])
    return found


def running(name: bytes) -> bool:
    """Return whether a process with `name` in its command line runs."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if name in path.read_bytes():
                return True
    return False
