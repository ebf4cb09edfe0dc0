import threading
from dataclasses import replace
from pathlib import Path

import pytest

from stackroles.agents import wire
from stackroles.agents.ovsdb import agent, database_file
from stackroles.agents.ovsdb.protocol import OvsdbSettings
from stackroles.roles import ovn
from tests.support.clouds import cloud


def test_settings_of_the_role_are_what_the_agent_reads() -> None:
    settings = wire.loads(OvsdbSettings, ovn.SOUTH.settings(cloud()))
    assert settings.raft(1) == "tcp:demo-ovn-sb-1.demo-ovn-sb.ns.svc.cluster.local:6644"
    assert settings.schema == "/usr/share/ovn/ovn-sb.ovsschema"
    config = agent.server_config(settings)
    assert config["remotes"]["ptcp:6642:0.0.0.0"] == {"inactivity-probe": 60000}


def test_a_member_that_has_its_file_searches_for_its_former_self_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # It joined anew and was ended before that one was gone, which counts against the majority.
    settings = wire.loads(OvsdbSettings, ovn.NORTH.settings(cloud()))
    database = tmp_path / "nb.db"
    database.touch()
    settings = replace(settings, path=str(database), control=str(tmp_path / "control"))
    (tmp_path / "ovsdb.json").write_text(wire.dumps(settings))
    monkeypatch.setenv("POD_NAME", "demo-ovn-nb-0")
    monkeypatch.setattr("stackroles.agents.ovsdb.agent.signal.signal", lambda *_: None)
    looked = threading.Event()

    class Server:
        def __init__(self, command: list[str]) -> None:
            assert command[0] == "ovsdb-server"

        def wait(self) -> int:
            assert looked.wait(5)
            return 0

    monkeypatch.setattr("stackroles.agents.ovsdb.agent.subprocess.Popen", Server)
    monkeypatch.setattr(database_file, "fault_of", lambda _: "")
    monkeypatch.setattr(agent, "kick_former_self", lambda *_: looked.set())
    assert agent.main([str(tmp_path / "ovsdb.json")]) == 0
