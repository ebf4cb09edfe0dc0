"""A peer's answer is bounded in time and size, whatever the peer does."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from stackroles.agents import peer_http

LIMIT = 100


@contextmanager
def peer(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a peer that answers its first connection by `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def sends(text: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(text)


def get(port: int, seconds: float = 10.0) -> bytes:
    return peer_http.get("127.0.0.1", port, "/report", seconds=seconds, limit=LIMIT)


def test_a_body_is_returned() -> None:
    with peer(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as port:
        assert get(port) == b"ok"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"HTTP/1.1 503 Unavailable\r\nContent-Length: 2\r\n\r\nno", "status 503"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://a/\r\nContent-Length: 0\r\n\r\n", "302"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (LIMIT + 1), "101 bytes"),
        (b"no HTTP at all", "HTTP"),
        (b"", "closed connection"),
    ],
)
def test_everything_else_is_no_answer(text: bytes, problem: str) -> None:
    with peer(sends(text)) as port, pytest.raises(OSError, match=problem):
        get(port)


@pytest.mark.parametrize(
    "begin",
    [
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 90\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 90\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n",
    ],
)
def test_an_answer_that_drips_is_given_up_in_time(begin: bytes) -> None:
    cut_off, given_up = threading.Event(), threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(begin)
        # Fewer bytes than the limit, so that only the time ends it; the peer sees that it did.
        for _ in range(80):
            if given_up.wait(0.1):
                return
            try:
                connection.sendall(b" ")
            except OSError:
                cut_off.set()
                return

    with peer(drip) as port:
        try:
            with pytest.raises(TimeoutError):
                get(port, seconds=0.3)
            assert cut_off.wait(5.0)
        finally:
            given_up.set()


def test_a_peer_that_is_not_there_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        get(port)
