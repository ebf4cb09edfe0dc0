"""An address behind which somebody else answers: later, or only so many bytes a second."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator


class Relay:
    """Passes each connection on to whom `target` names when it is opened; it stays with them.

    Args:
        target: host and port.
        host: address to listen at.
        rate: bytes a second that clients may send, all together; None for any number.
    """

    def __init__(
        self, target: tuple[str, int], host: str = "127.0.0.1", rate: float | None = None
    ) -> None:
        self.target = target
        self._rate, self._free_at, self._lock = rate, time.monotonic(), threading.Lock()
        self._listener = socket.create_server((host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self.target)
                self._open += [client, server]
                for pump in (
                    (client, server, self._hold_back),
                    (server, client, lambda _: None),
                ):
                    threading.Thread(target=_pump, args=pump, daemon=True).start()

    def _hold_back(self, size: int) -> None:
        """Return once so many bytes may have been sent."""
        if self._rate is None:
            return
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + size / self._rate
            left = self._free_at - time.monotonic()
        time.sleep(max(left, 0.0))

    def close(self) -> None:
        """End all connections."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _pump(source: socket.socket, sink: socket.socket, hold_back: Callable[[int], None]) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            hold_back(len(data))
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def relaying(
    target: tuple[str, int], host: str = "127.0.0.1", rate: float | None = None
) -> Iterator[Relay]:
    """Yield a relay that first leads to `target`."""
    relay = Relay(target, host, rate)
    try:
        yield relay
    finally:
        relay.close()
