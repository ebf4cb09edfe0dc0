"""When the metadata agent is started."""

import socket
from pathlib import Path

import pytest

from stackroles.agents.compute import ovn_metadata
from stackroles.agents.compute.node import AgentError
from stackroles.agents.compute.ovn_metadata import SwitchWatch, answers


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


def test_the_agent_starts_again_with_a_database_that_was_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered: list[str | None] = [None, "one\n", None, "one\n", "two\n"]

    def vsctl(*_: str) -> str:
        if (answer := answered.pop(0)) is None:
            raise AgentError("database connection failed (No such file or directory)")
        return answer

    monkeypatch.setattr(ovn_metadata, "vsctl", vsctl)
    watch = SwitchWatch()
    assert [watch.same() for _ in range(5)] == [True, True, True, True, False]
