import os
from dataclasses import replace
from pathlib import Path

import pytest

from stackroles.agents import wire
from stackroles.agents.ovsdb import database_file
from stackroles.agents.ovsdb.membership import Peer
from stackroles.agents.ovsdb.protocol import OvsdbSettings
from stackroles.roles import ovn
from tests.support.clouds import cloud

TOOL = """#!/bin/sh
# As ovsdb-tool of 3.5.0: a file without its first record has no name.
case "$1" in
db-name) [ -s "$2" ] && echo OVN_Northbound && exit 0
  echo "ovsdb-tool: ovsdb error: $2: cannot identify file type" >&2; exit 1;;
join-cluster) echo "joined $5" > "$2";;
*) exit 9;;
esac
"""


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OvsdbSettings:
    """A member whose file is empty, with a stand-in for ovsdb-tool."""
    tool = tmp_path / "ovsdb-tool"
    tool.write_text(TOOL)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "nb.db").touch()
    settings = wire.loads(OvsdbSettings, ovn.NORTH.settings(cloud()))
    return replace(settings, path=str(tmp_path / "nb.db"))


def test_a_broken_file_is_kept_aside_and_the_cluster_joined_anew(
    broken: OvsdbSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([Peer.UNKNOWN, Peer.WAITING, Peer.UNKNOWN, Peer.SERVING])
    monkeypatch.setattr(database_file, "ask", lambda *_: next(answers))
    monkeypatch.setattr(database_file, "PAUSE", 0.0)

    database_file.prepare(broken, 0)

    path = Path(broken.path)
    assert path.read_text().startswith("joined")
    assert path.with_suffix(".broken").read_text() == ""


def test_a_file_that_can_be_read_is_left_alone(
    broken: OvsdbSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(broken.path).write_text("whole")
    monkeypatch.setattr(database_file, "ask", lambda *_: pytest.fail("nobody is asked"))

    database_file.prepare(broken, 0)

    assert Path(broken.path).read_text() == "whole"
