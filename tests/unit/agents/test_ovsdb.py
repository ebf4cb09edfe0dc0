import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stackroles.agents import ovsdb
from stackroles.agents.ovsdb import Create, Join, OvsdbSettings, Peer, Wait, decide, read_peer
from stackroles.roles import ovn
from tests.support.clouds import cloud

DATABASE = "OVN_Northbound"
ROW = [{"rows": [{"connected": True}]}]


def test_first_member_makes_the_cluster_when_all_others_are_empty() -> None:
    assert decide(0, {1: Peer.EMPTY, 2: Peer.EMPTY}) == Create()
    assert decide(0, {}) == Create()


@pytest.mark.parametrize("ordinal", [1, 2])
def test_only_the_first_member_makes_the_cluster(ordinal: int) -> None:
    others = {n: Peer.EMPTY for n in range(3) if n != ordinal}
    assert isinstance(decide(ordinal, others), Wait)


@pytest.mark.parametrize("state", [Peer.UNKNOWN, Peer.WAITING])
def test_one_member_that_may_have_data_forbids_a_new_cluster(state: Peer) -> None:
    assert isinstance(decide(0, {1: Peer.EMPTY, 2: state}), Wait)


@pytest.mark.parametrize("ordinal", [0, 1, 2])
def test_a_cluster_that_serves_is_joined_through_all_who_serve(ordinal: int) -> None:
    others = [n for n in range(3) if n != ordinal]
    peers = {others[0]: Peer.SERVING, others[1]: Peer.SERVING}
    assert decide(ordinal, peers) == Join(tuple(others))
    assert decide(ordinal, {others[0]: Peer.UNKNOWN, others[1]: Peer.SERVING}) == Join((others[1],))


def test_wait_says_for_whom() -> None:
    decision = decide(0, {1: Peer.UNKNOWN, 2: Peer.EMPTY})
    assert isinstance(decision, Wait)
    assert "[1]" in decision.because


@pytest.mark.parametrize(
    ("databases", "rows", "peer"),
    [
        ([], None, Peer.EMPTY),
        (["_Server", DATABASE], ROW, Peer.SERVING),
        (["_Server", DATABASE], [{"rows": [{"connected": False}]}], Peer.WAITING),
        (["_Server", DATABASE], [{"rows": []}], Peer.UNKNOWN),
        (["_Server", DATABASE], [{"error": "not allowed"}], Peer.UNKNOWN),
        (["_Server"], ROW, Peer.UNKNOWN),
        (None, ROW, Peer.UNKNOWN),
    ],
)
def test_answers_mean(databases: object, rows: object, peer: Peer) -> None:
    assert read_peer(databases, rows, DATABASE) is peer


# As ovs-appctl of 3.5.0 printed it when member 0 had come back with a new volume.
STATUS = """\
3bbb
Name: OVN_Northbound
Cluster ID: dff2 (dff2e511-204a-4b4f-af15-33918c4eaa84)
Server ID: 3bbb (3bbb84a4-bffc-4be1-ad3a-2026e5e955c0)
Address: tcp:nb-0.nb:6643
Status: cluster member
Role: follower
Leader: 3acf
Servers:
    41c6 (41c6 at tcp:nb-0.nb:6643)
    3acf (3acf at tcp:nb-1.nb:6643) last msg 640 ms ago
    efa5 (efa5 at tcp:nb-2.nb:6643) last msg 3974 ms ago
    3bbb (3bbb at tcp:nb-0.nb:6643) (self)
"""


def test_former_self_is_found_by_its_address() -> None:
    assert ovsdb.stale_servers(STATUS, "tcp:nb-0.nb:6643") == ["41c6"]
    assert ovsdb.stale_servers(STATUS.replace("    41c6", "    #"), "tcp:nb-0.nb:6643") == []


@contextmanager
def empty_member() -> Iterator[int]:
    with ovsdb.EmptyServer(("127.0.0.1", 0), ovsdb._Empty) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_member_without_a_file_says_so_over_the_wire() -> None:
    with empty_member() as port:
        assert ovsdb.ask("127.0.0.1", port, DATABASE) is Peer.EMPTY


def test_member_that_does_not_answer_is_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    assert ovsdb.ask("127.0.0.1", port, DATABASE) is Peer.UNKNOWN


def test_member_that_speaks_something_else_is_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert ovsdb.ask("127.0.0.1", server.getsockname()[1], DATABASE) is Peer.UNKNOWN
        thread.join()


def test_messages_are_cut_apart_wherever_the_network_cut_them() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for part in (b'{"id": 1, "res', b'ult": []} {"id"', b": 2}"):
            theirs.sendall(part)
        theirs.shutdown(socket.SHUT_WR)
        assert [m["id"] for m in ovsdb.messages(ours)] == [1, 2]


def test_settings_of_the_role_are_what_the_agent_reads() -> None:
    document = json.loads(ovn.SOUTH.settings(cloud()))
    settings = OvsdbSettings(**{**document, "members": tuple(document["members"])})
    assert settings.raft(1) == "tcp:demo-ovn-sb-1.demo-ovn-sb.ns.svc.cluster.local:6644"
    assert settings.schema == "/usr/share/ovn/ovn-sb.ovsschema"
    config = ovsdb.server_config(settings)
    assert config["remotes"]["ptcp:6642:0.0.0.0"] == {"inactivity-probe": 60000}


def test_a_member_that_has_its_file_searches_for_its_former_self_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # It joined anew and was ended before that one was gone, which counts against the majority.
    document = json.loads(ovn.NORTH.settings(cloud()))
    database = tmp_path / "nb.db"
    database.touch()
    document |= {"path": str(database), "control": str(tmp_path / "control")}
    (tmp_path / "ovsdb.json").write_text(json.dumps(document))
    monkeypatch.setenv("POD_NAME", "demo-ovn-nb-0")
    monkeypatch.setattr("stackroles.agents.ovsdb.signal.signal", lambda *_: None)
    looked = threading.Event()

    class Server:
        def __init__(self, command: list[str]) -> None:
            assert command[0] == "ovsdb-server"

        def wait(self) -> int:
            assert looked.wait(5)
            return 0

    monkeypatch.setattr("stackroles.agents.ovsdb.subprocess.Popen", Server)
    monkeypatch.setattr(ovsdb, "fault_of", lambda _: "")
    monkeypatch.setattr(ovsdb, "kick_former_self", lambda *_: looked.set())
    assert ovsdb.main([str(tmp_path / "ovsdb.json")]) == 0


@pytest.mark.parametrize("state", [Peer.EMPTY, Peer.UNKNOWN, Peer.WAITING])
def test_a_broken_file_makes_no_cluster_and_stays_while_nobody_serves(state: Peer) -> None:
    decision = decide(0, {1: state, 2: state}, "no header")
    assert isinstance(decision, Wait)
    assert "no header" in decision.because


def test_a_member_with_a_broken_file_joins_those_who_serve() -> None:
    assert decide(0, {1: Peer.SERVING, 2: Peer.UNKNOWN}, "no header") == Join((1,))


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
    document = json.loads(ovn.NORTH.settings(cloud()))
    known = {**document, "path": str(tmp_path / "nb.db"), "members": tuple(document["members"])}
    return OvsdbSettings(**known)


def test_a_broken_file_is_kept_aside_and_the_cluster_joined_anew(
    broken: OvsdbSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([Peer.UNKNOWN, Peer.WAITING, Peer.UNKNOWN, Peer.SERVING])
    monkeypatch.setattr(ovsdb, "ask", lambda *_: next(answers))
    monkeypatch.setattr(ovsdb, "PAUSE", 0.0)

    ovsdb.prepare(broken, 0)

    path = Path(broken.path)
    assert path.read_text().startswith("joined")
    assert path.with_suffix(".broken").read_text() == ""


def test_a_file_that_can_be_read_is_left_alone(
    broken: OvsdbSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(broken.path).write_text("whole")
    monkeypatch.setattr(ovsdb, "ask", lambda *_: pytest.fail("nobody is asked"))

    ovsdb.prepare(broken, 0)

    assert Path(broken.path).read_text() == "whole"
