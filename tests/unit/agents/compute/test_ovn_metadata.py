"""When the metadata agent is started."""

import socket
from pathlib import Path

from stackroles.agents.compute.ovn_metadata import answers


def test_a_socket_that_is_not_there_does_not_answer(tmp_path: Path) -> None:
    assert not answers(str(tmp_path / "db.sock"))


def test_a_socket_that_was_left_behind_does_not_answer(tmp_path: Path) -> None:
    path = str(tmp_path / "db.sock")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    assert not answers(path)


def test_a_socket_that_is_listened_to_answers(tmp_path: Path) -> None:
    path = str(tmp_path / "db.sock")
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(path)
        served.listen()
        assert answers(path)
