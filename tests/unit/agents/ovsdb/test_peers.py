import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stackroles.agents.ovsdb import peers
from stackroles.agents.ovsdb.membership import Peer

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
        assert peers.ask("127.0.0.1", port, DATABASE) is Peer.EMPTY


def test_member_that_does_not_answer_is_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    assert peers.ask("127.0.0.1", port, DATABASE) is Peer.UNKNOWN


def test_member_that_speaks_something_else_is_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert peers.ask("127.0.0.1", server.getsockname()[1], DATABASE) is Peer.UNKNOWN
        thread.join()


def test_messages_are_cut_apart_wherever_the_network_cut_them() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for part in (b'{"id": 1, "res', b'ult": []} {"id"', b": 2}"):
            theirs.sendall(part)
        theirs.shutdown(socket.SHUT_WR)
        assert [m["id"] for m in peers.messages(ours)] == [1, 2]
