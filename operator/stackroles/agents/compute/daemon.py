"""A daemon beside which its agent looks at something from time to time."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence


def run(command: Sequence[str], look: Callable[[], bool], period: float) -> int:
    """Run a daemon until it ends; return its exit status, 0 after SIGTERM.

    Args:
        command: the program and its arguments.
        look: called again and again; the daemon is ended when it returns False.
        period: seconds between two calls.
    """
    started: list[subprocess.Popen[bytes]] = []

    def end(*_: object) -> None:
        if not started:
            sys.exit(0)
        started[0].terminate()

    # Before it is started: as the first process of a container the agent gets no signal without.
    signal.signal(signal.SIGTERM, end)
    started.append(daemon := subprocess.Popen(command))
    ended = threading.Event()

    def wait() -> None:
        daemon.wait()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    while not ended.wait(period):
        if not look():
            daemon.terminate()
    return 0 if daemon.returncode == -signal.SIGTERM else daemon.returncode
