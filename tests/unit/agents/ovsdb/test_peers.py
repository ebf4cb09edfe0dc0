import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stackroles.agents.ovsdb import peers
from stackroles.agents.ovsdb.membership import Answer, Peer

DATABASE = "OVN_Northbound"


@contextmanager
def empty_member() -> Iterator[int]:
    with peers.EmptyServer(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_member_without_a_file_says_so_over_the_wire() -> None:
    with empty_member() as port:
        assert peers.ask("127.0.0.1", port, DATABASE) == Answer(Peer.EMPTY)


def test_member_that_does_not_answer_is_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    assert peers.ask("127.0.0.1", port, DATABASE) == Answer()


def test_member_that_speaks_something_else_is_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert peers.ask("127.0.0.1", server.getsockname()[1], DATABASE) == Answer()
        thread.join()


def test_messages_are_cut_apart_wherever_the_network_cut_them() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for part in (b'{"id": 1, "res', b'ult": []} {"id"', b": 2}"):
            theirs.sendall(part)
        theirs.shutdown(socket.SHUT_WR)
        found = peers.messages(ours, time.monotonic() + 10.0)
        assert [m["id"] for m in found] == [1, 2]


def test_a_message_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_LARGEST", 100)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b'{"id": "' + b"x" * 200)
        with pytest.raises(ValueError, match="100 bytes"):
            list(peers.messages(ours, time.monotonic() + 10.0))


def test_a_message_that_drips_is_given_up_in_time() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b'{"id"')
        with pytest.raises(TimeoutError):
            list(peers.messages(ours, time.monotonic()))
