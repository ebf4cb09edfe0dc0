"""Kills a gate's child when the gate does not keep it alive; a process of its own.

The gate writes lines `<process group> <deadline>` to its standard input and gets each back once it
counts; the deadline is of CLOCK_BOOTTIME. When that passes without a later one, or the gate is gone
(end of input), the group is killed, and nothing else is. It is started as a file, without the
package: it needs little memory and no import that could fail.
"""

import contextlib
import math
import os
import select
import signal
import sys
import time
from pathlib import Path

# select counts CLOCK_MONOTONIC, which stands still while a machine sleeps.
_LONGEST_WAIT = 0.2


def start_time(pid: int) -> str:
    """Return when a process was started, in ticks since boot; "" where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def kill_group(group: int, started: str) -> bool:
    """Kill a process group, unless its number belongs to another by now.

    A number is not used again while any process of its group lives, so that one whose leader is
    gone is still the same group.

    Args:
        group: its leader's pid.
        started: the leader's start time.

    Returns:
        Whether there was anything to kill.
    """
    if start_time(group) not in ("", started):
        return False
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def watch(source: int, sink: int) -> str:
    """Wait until the child has to be killed; return why.

    Args:
        source: file descriptor of the gate's lines.
        sink: where they are given back.
    """
    group, started, deadline, rest = 0, "", math.inf, b""
    while True:
        # What the gate has written comes first: a watchdog without CPU must not kill for that.
        left = max(deadline - time.clock_gettime(time.CLOCK_BOOTTIME), 0.0)
        if select.select([source], [], [], min(left, _LONGEST_WAIT))[0]:
            text = os.read(source, 65536)
            if not text:
                return _killed(group, started, "the gate is gone")
            *lines, rest = (rest + text).split(b"\n")
            for line in lines:
                number, until = line.split()
                if int(number) != group:
                    group, started = int(number), start_time(int(number))
                deadline = float(until)
                with contextlib.suppress(BrokenPipeError):
                    os.write(sink, line + b"\n")
        elif time.clock_gettime(time.CLOCK_BOOTTIME) >= deadline:
            return _killed(group, started, "the gate did not renew its claim in time")


def _killed(group: int, started: str, why: str) -> str:
    return f"killed the child: {why}" if group and kill_group(group, started) else ""


def main() -> int:
    """Watch until the child is killed, or the gate closes the pipe after its end."""
    # The gate decides when it is done; a signal for everybody in the container is none for it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    why = watch(0, 1)
    if why:
        print(f"watchdog: {why}", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
