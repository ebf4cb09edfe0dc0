"""One GET to a peer's agent, bounded in time and size whatever the peer does.

Standard library only: it runs inside role pods.
"""

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator


@contextlib.contextmanager
def within(peer: socket.socket, seconds: float) -> Iterator[None]:
    """Cut a connection off when its use takes longer than `seconds`.

    The time-out of a socket alone counts anew with every byte.

    Raises:
        TimeoutError: it was cut off.
        OSError: what else its use failed with, also where that was no HTTP.
    """
    late = threading.Event()

    def cut_off() -> None:
        late.set()
        with contextlib.suppress(OSError):
            # Below TLS, whose own shutdown is not for another thread than the reader's.
            socket.socket.shutdown(peer, socket.SHUT_RDWR)

    timer = threading.Timer(max(seconds, 0.0), cut_off)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if late.is_set():
            raise TimeoutError(f"no whole answer within {seconds:.3g} s") from error
        if isinstance(error, OSError):
            raise
        raise OSError(str(error)) from error
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeoutError(f"no whole answer within {seconds:.3g} s")


def get(host: str, port: int, path: str, *, seconds: float, limit: int) -> bytes:
    """Return the body of a peer's answer with status 200.

    Args:
        host: name or address of the peer.
        port: its agent's.
        path: what is asked for.
        seconds: within which the whole answer must be there.
        limit: bytes of the largest body.

    Raises:
        OSError: there was no whole answer in time, another status, or a larger body.
    """
    status, body = ask(host, port, path, seconds=seconds, limit=limit)
    if status != http.client.OK or len(body) > limit:
        raise OSError(f"status {status}, {len(body)} bytes")
    return body


def ask(host: str, port: int, path: str, *, seconds: float, limit: int) -> tuple[int, bytes]:
    """Return status and body of a peer's answer, the latter up to one byte more than `limit`.

    A redirect is not followed and no proxy of the environment is used: peers are asked directly.

    Args:
        host: name or address of the peer.
        port: its port.
        path: what is asked for.
        seconds: within which the answer must be there.
        limit: bytes of the largest body.

    Raises:
        OSError: there was no whole answer in time.
    """
    end = time.monotonic() + seconds
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    connection.connect()
    try:
        # The connection forgets its socket where the answer's end is that of the connection.
        with within(connection.sock, end - time.monotonic()):
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read(limit + 1)
    finally:
        connection.close()
    return response.status, body
