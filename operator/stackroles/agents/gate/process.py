"""One run of a gate's child, and the watchdog of a cold one."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

from stackroles.agents import children
from stackroles.agents.gate import watchdog

# The child exists, so that the watchdog knows it, before it becomes its program.
_HELD: Final = ("/bin/sh", "-c", 'read -r go || exit 0; exec "$@" </dev/null', "gate")
# A watchdog that does not answer is frozen: it would kill nothing. It needs longer to start.
_ANSWER_SECONDS: Final = 3.0
_START_SECONDS: Final = 10.0


class Watchdog:
    """The process that kills a child whose gate does not renew its claim in time."""

    def __init__(self, group: int, deadline: float) -> None:
        """Start it; the child may run once `armed`.

        Args:
            group: the child's process group.
            deadline: of CLOCK_BOOTTIME.
        """
        self._group = group
        # In a session of its own: what kills the child's group does not reach it.
        self._process = subprocess.Popen(
            (sys.executable, "-I", "-S", watchdog.__file__),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101 - opened as a pipe
        assert self._process.stdout is not None  # noqa: S101
        self._source, self._sink = self._process.stdout.fileno(), self._process.stdin.fileno()
        os.set_blocking(self._source, False)
        os.set_blocking(self._sink, False)
        self.armed = False
        self._asked: float | None = None
        self._deadline = self._confirmed = -1.0
        self._rest = b""
        self.arm(deadline)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def arm(self, deadline: float) -> None:
        """Let the child live until a time of CLOCK_BOOTTIME."""
        if abs(deadline - self._deadline) < 0.1:
            return
        self._deadline = deadline
        if self._asked is None:
            self._asked = time.monotonic()
        # A pipe that is full or broken is a watchdog that does not answer.
        with contextlib.suppress(OSError):
            os.write(self._sink, b"%d %.6f\n" % (self._group, deadline))

    def lost(self) -> bool:
        """Return whether it does not do its work any more; takes its answers."""
        with contextlib.suppress(BlockingIOError):
            while text := os.read(self._source, 4096):
                *lines, self._rest = (self._rest + text).split(b"\n")
                if lines:
                    self._confirmed = float(lines[-1].split()[1])
                    self.armed = True
        if self._process.poll() is not None:
            return True
        if abs(self._confirmed - self._deadline) < 0.1:
            self._asked = None
        patience = _ANSWER_SECONDS if self.armed else _START_SECONDS
        return self._asked is not None and time.monotonic() > self._asked + patience

    def end(self) -> None:
        """End it, after the child."""
        self._process.kill()
        with self._process:
            pass


class ChildProcess:
    """One run of the child, in a process group and session of its own."""

    def __init__(self, command: Sequence[str], deadline: float | None) -> None:
        """Start it.

        Args:
            command: the program and its arguments.
            deadline: when a watchdog kills it, of CLOCK_BOOTTIME; None for no watchdog.
        """
        held = deadline is not None
        self._process = subprocess.Popen(
            (*_HELD, *command) if held else tuple(command),
            stdin=subprocess.PIPE if held else subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        self._watchdog = Watchdog(self.pid, deadline) if deadline is not None else None
        self.begun = not held

    @property
    def pid(self) -> int:
        """The leader's process id, which is its group's."""
        return self._process.pid

    @property
    def awaited(self) -> set[int]:
        """The processes whose exit status is taken here, not by `children.reap`."""
        return {self.pid, self._watchdog.pid} if self._watchdog else {self.pid}

    def watchdog_lost(self) -> bool:
        """Return whether nobody would kill the child; the child begins once somebody would."""
        if self._watchdog is None:
            return False
        lost = self._watchdog.lost()
        go = self._process.stdin
        if self._watchdog.armed and not lost and go is not None and not go.closed:
            # It may have been killed meanwhile.
            with contextlib.suppress(BrokenPipeError):
                go.write(b"go\n")
            go.close()
            self.begun = True
        return lost

    def arm(self, deadline: float) -> None:
        """Let the child live until a time of CLOCK_BOOTTIME."""
        if self._watchdog is not None:
            self._watchdog.arm(deadline)

    def leader_ended(self) -> bool:
        """Return whether the program ended; its number stays taken until `finish`."""
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return ended is not None

    def finish(self) -> int:
        """Kill what an ended program left behind, then return its exit status.

        Raises:
            RuntimeError: some of it does not go away.
        """
        children.end_group(self.pid)
        if self._process.stdin is not None:
            self._process.stdin.close()
        status = self._process.wait()
        if self._watchdog is not None:
            self._watchdog.end()
        return status

    def terminate(self) -> None:
        """Ask the program to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # It is not reaped before `finish`, so the number is its own.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def describe(status: int) -> str:
    """Return an exit status as text, such as `with status 1` or `by SIGKILL`."""
    if status >= 0:
        return f"with status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"


def exit_code(status: int) -> int:
    """Return what a gate exits with after its child, as a shell does; a SIGTERM was asked for."""
    if status == -signal.SIGTERM:
        return 0
    return 128 - status if status < 0 else status
