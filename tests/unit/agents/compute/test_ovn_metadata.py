"""When the metadata agent is started."""

import json
import socket
from pathlib import Path

import pytest

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


def answer(uuid: str) -> str:
    """Return what ovsdb-client 3.5 prints for the first row of a switch's database."""
    return json.dumps([{"rows": [{"_uuid": ["uuid", uuid]}] if uuid else []}]) + "\n"


def test_the_agent_starts_again_with_a_database_that_was_made_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answered: list[str | None] = [None, None, answer("one"), None, answer(""), answer("one")]

    def run(*_: str) -> str:
        if (text := answered.pop(0)) is None:
            raise AgentError("failed to connect (No such file or directory)")
        return text

    monkeypatch.setattr("stackroles.agents.compute.node.run", run)
    watch = SwitchWatch()
    assert all(watch.same() for _ in range(6))
    assert capsys.readouterr().out.count("cannot be asked") == 2

    answered.append(answer("two"))
    assert not watch.same()
