"""What the server says over its control socket."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stackroles.agents.ovsdb.control import Refused, control


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[[bytes], str]]:
    """Have a server answer one command; the path of its socket is returned."""
    threads = []

    def answering(answer: bytes) -> str:
        path = str(tmp_path / "control")
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with listening, connection:
                assert b"cluster/status" in connection.recv(1000)
                connection.sendall(answer)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return path

    yield answering
    for thread in threads:
        thread.join(5)


def test_an_answer_is_a_text(server: Callable[[bytes], str]) -> None:
    path = server(b'{"id":"cluster/status","result":"Status: cluster member\\n","error":null}')
    assert control(path, "cluster/status", "OVN_Northbound") == "Status: cluster member\n"


def test_a_refusal_has_no_result(server: Callable[[bytes], str]) -> None:
    # As ovsdb-server of 3.5.0 answers once it has left its cluster.
    path = server(b'{"id":"cluster/status","error":"unknown cluster\\n"}')
    with pytest.raises(Refused, match=r"^unknown cluster$"):
        control(path, "cluster/status", "OVN_Northbound")


def test_no_server_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        control(str(tmp_path / "nobody"), "cluster/status", "OVN_Northbound")
