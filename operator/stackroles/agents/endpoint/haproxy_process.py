"""HAProxy's process, and the sockets that it listens at.

The sockets are the agent's: connections wait in them while HAProxy, should it ever die, is started
again, so that its end costs the sessions that it had and no others.
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from stackroles.agents.endpoint.members import log
from stackroles.agents.endpoint.protocol import EndpointSettings

# One that ends sooner after its start would do so again.
_LASTING_SECONDS: Final = 10.0
_KILL_SECONDS: Final = 5.0
# HAProxy sets its own when it takes a socket.
_BACKLOG: Final = 1024


class HaproxyProcess:
    """HAProxy, one process after another; a context manager that leaves none behind."""

    def __init__(self, settings: EndpointSettings) -> None:
        """Listen at the ports of all backends.

        Raises:
            OSError: one is in use.
        """
        self._settings = settings
        self._listeners = {b.variable: _listen(b.listen) for b in settings.backends}
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0

    def __enter__(self) -> "HaproxyProcess":
        """Return it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End what is left."""
        self._close()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def start(self) -> None:
        """Start HAProxy with the sockets.

        Raises:
            OSError: it cannot be started.
        """
        Path(self._settings.socket).unlink(missing_ok=True)
        numbers = {name: listener.fileno() for name, listener in self._listeners.items()}
        environment = {**os.environ, **{name: str(number) for name, number in numbers.items()}}
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            self._settings.command, pass_fds=tuple(numbers.values()), env=environment
        )

    def poll(self) -> int | None:
        """Return the exit status, None while it runs or was not started."""
        return self._process.poll() if self._process is not None else None

    def start_again(self, status: int) -> bool:
        """Start it again if it ran for a while; return whether it was."""
        lasted = time.monotonic() - self._started_at
        log(f"HAProxy ended with {status} after {lasted:.0f} s")
        if lasted < _LASTING_SECONDS:
            return False
        self.start()
        return True

    def stop(self, seconds: float) -> None:
        """Stop it softly, by force when sessions last longer than so many seconds."""
        if self._process is None:
            return
        log("no more connections; sessions under way are completed")
        self._close()
        self._process.send_signal(signal.SIGUSR1)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            log(f"sessions are cut off after {seconds:g} s")
            self._process.terminate()
            self._process.wait(_KILL_SECONDS)

    def _close(self) -> None:
        for listener in self._listeners.values():
            listener.close()


def _listen(port: int) -> socket.socket:
    """Return a socket that listens at all addresses, of IPv6 too where the node has it."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
        )
    return socket.create_server(("", port), backlog=_BACKLOG)
