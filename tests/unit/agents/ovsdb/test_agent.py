import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.leaving_protocol import LEAVE_ANNOTATION
from stackroles.agents.ovsdb import agent, watch
from stackroles.agents.ovsdb.control import Refused
from stackroles.agents.ovsdb.member import Member
from stackroles.agents.ovsdb.membership import Answer, Peer
from stackroles.agents.ovsdb.protocol import (
    DECISION_ANNOTATION,
    Mode,
    OvsdbDecision,
    OvsdbSettings,
    State,
)
from stackroles.agents.ovsdb.server import refusal, server_config
from stackroles.agents.ovsdb.watch import Watch
from stackroles.agents.silence import SILENT_SECONDS
from stackroles.roles import ovn
from tests.support.clouds import cloud

OWN, OTHER = "dff2e511-204a-4b4f-af15-33918c4eaa84", "5b2f991a-c17a-407c-8fe2-dc30ac4bf95c"
MEMBER = f"""\
Cluster ID: dff2 ({OWN})
Server ID: 3bbb (3bbb84a4-bffc-4be1-ad3a-2026e5e955c0)
Status: cluster member
Role: follower
Term: 4
Leader: 3acf
Servers:
    3acf (3acf at tcp:demo-ovn-nb-1.demo-ovn-nb.ns.svc.cluster.local:6643) last msg 640 ms ago
    3bbb (3bbb at tcp:demo-ovn-nb-0.demo-ovn-nb.ns.svc.cluster.local:6643) (self)
"""
FORMER = "    41c6 (41c6 at tcp:demo-ovn-nb-0.demo-ovn-nb.ns.svc.cluster.local:6643)\n"
DISCONNECTED = "disconnected from the cluster (election timeout)"
NO_LEADER = MEMBER.replace("Leader: 3acf", "Leader: unknown")
HERE = {1: Answer(Peer.SERVING, OWN), 2: Answer(Peer.SERVING, OWN)}
THERE = {1: Answer(Peer.SERVING, OTHER), 2: Answer(Peer.SERVING, OTHER)}


def settings() -> OvsdbSettings:
    return wire.loads(OvsdbSettings, ovn.NORTH.settings(cloud()))


class Server:
    """A server's process and what it says over its control socket."""

    def __init__(self, status: str | Exception, *, connected: bool) -> None:
        self.status = status
        self.connected = connected
        self.commands: list[str] = []
        self.terminated = False
        self.killed = False

    def control(self, _: str, command: str, *arguments: str) -> str:
        if command != "cluster/status":
            self.commands.append(" ".join((command, *arguments[1:])))
            return ""
        if isinstance(self.status, Exception):
            raise self.status
        return self.status

    def terminate(self) -> None:
        self.terminated = True

    def kill(self) -> None:
        self.killed = True


def observe(
    monkeypatch: pytest.MonkeyPatch,
    server: Server,
    others: dict[int, Answer] = HERE,
    member: Member | None = None,
) -> tuple[Member, Watch]:
    found = member or Member(settings(), "demo-ovn-nb-0", "uid")
    monkeypatch.setattr(watch, "control", server.control)
    state = Peer.SERVING if server.connected else Peer.WAITING
    monkeypatch.setattr(watch, "ask", lambda *_: Answer(state, OWN))
    monkeypatch.setattr(Member, "ask_others", lambda _: others)
    process: Any = server
    watching = Watch(found, process)
    watching.observe()
    return found, watching


@pytest.mark.parametrize(
    ("status", "connected", "state", "ready"),
    [
        (MEMBER, True, State.MEMBER, True),
        # It knows its leader and has no contact to a majority: what it shows is of the past.
        (MEMBER, False, State.MEMBER, False),
        (NO_LEADER, False, State.MEMBER, False),
        (MEMBER.replace("cluster member", "joining cluster"), False, State.JOINING, False),
        (NO_LEADER.replace("cluster member", DISCONNECTED), False, State.MEMBER, False),
        (MEMBER.replace("cluster member", "leaving cluster"), False, State.LEAVING, False),
        (ConnectionRefusedError(), False, State.STARTING, False),
        (ValueError("no answer"), False, State.STARTING, False),
    ],
)
def test_who_is_ready(
    monkeypatch: pytest.MonkeyPatch,
    status: str | Exception,
    connected: bool,
    state: State,
    ready: bool,
) -> None:
    server = Server(status, connected=connected)
    member, watching = observe(monkeypatch, server)
    assert (member.status.state, member.ready) == (state, ready)
    assert not watching.again
    assert server.commands == []


def test_a_server_that_hangs_is_asked_to_end_and_then_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(MEMBER, connected=True)
    member, watching = observe(monkeypatch, server)
    began = time.monotonic()
    server.status, server.connected = TimeoutError(), False

    def after(seconds: float) -> tuple[bool, bool]:
        monkeypatch.setattr(time, "monotonic", lambda: began + seconds)
        watching.observe()
        return server.terminated, server.killed

    assert after(SILENT_SECONDS - 1) == (False, False)
    assert after(SILENT_SECONDS + 1) == (True, False)
    assert watching.again
    assert list(member.status.actions.values()) == [
        f"starts its server again, which answered nothing for {SILENT_SECONDS:.0f} s"
    ]
    assert after(SILENT_SECONDS + 2 + watch.KILL_SECONDS) == (True, True)
    assert not member.ready


def test_a_server_that_has_never_answered_may_load_its_file_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(TimeoutError(), connected=False)
    _, watching = observe(monkeypatch, server)
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + 10 * SILENT_SECONDS)
    watching.observe()
    assert not server.terminated


def test_a_member_is_not_without_data_before_that_was_seen() -> None:
    assert Member(settings(), "demo-ovn-nb-0", "uid").status.state is State.STARTING


def test_former_self_is_removed_whenever_it_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    # It joined anew and was ended before that one was gone, which counts against the majority.
    server = Server(MEMBER + FORMER, connected=True)
    member, watching = observe(monkeypatch, server)
    assert server.commands == ["cluster/kick 41c6"]
    watching.observe()
    assert list(member.status.actions.values()) == [
        "has joined anew and removes its former self, server 41c6"
    ]


@pytest.mark.parametrize(("others", "again"), [(HERE, False), (THERE, True)])
def test_gives_way_when_the_others_serve_in_another_cluster(
    monkeypatch: pytest.MonkeyPatch, others: dict[int, Answer], again: bool
) -> None:
    server = Server(NO_LEADER, connected=False)
    _, watching = observe(monkeypatch, server, others)
    assert (watching.again, server.terminated) == (again, again)


def test_who_joins_a_cluster_that_was_given_up_joins_the_one_that_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Seen: it had learned the former cluster's identity, and waited for that one for ever.
    joining = NO_LEADER.replace("cluster member", "joining cluster")
    survivor = {1: Answer(Peer.SERVING, OTHER), 2: Answer()}
    _, watching = observe(monkeypatch, Server(joining, connected=False), survivor)
    assert watching.again
    assert watching.fault == f"it is of cluster {OWN}, and others serve in {OTHER}"
    _, watching = observe(monkeypatch, Server(NO_LEADER, connected=False), survivor)
    assert (watching.again, watching.fault) == (False, "")


def test_one_whose_cluster_is_gone_is_prepared_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(Refused("unknown cluster"), connected=False)
    member, watching = observe(monkeypatch, server)
    assert (watching.again, server.terminated, member.ready) == (True, True, False)


@pytest.mark.parametrize(
    ("pod", "annotated", "leaves"),
    [
        ("demo-ovn-nb-3", "uid", True),
        ("demo-ovn-nb-3", "uid of another pod", False),
        ("demo-ovn-nb-3", None, False),
        # The cluster is to have three: number two is wanted, whatever was asked of it before.
        ("demo-ovn-nb-2", "uid", False),
    ],
)
def test_leaves_when_it_is_asked_and_not_wanted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pod: str, annotated: str | None, leaves: bool
) -> None:
    annotations = tmp_path / "annotations"
    if annotated is not None:
        annotations.write_text(f'other="x"\n{LEAVE_ANNOTATION}="{annotated}"\n')
    member = Member(replace(settings(), annotations=str(annotations)), pod, "uid")
    server = Server(MEMBER, connected=True)
    observe(monkeypatch, server, member=member)
    assert server.commands == (["cluster/leave"] if leaves else [])


@pytest.mark.parametrize(
    ("attempt", "connected", "ends"),
    [("own", False, True), ("another", False, False), ("own", True, False)],
)
def test_continues_alone_when_it_is_told_to_and_has_no_majority(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, attempt: str, connected: bool, ends: bool
) -> None:
    annotations = tmp_path / "annotations"
    member = Member(replace(settings(), annotations=str(annotations)), "demo-ovn-nb-0", "uid")
    own = member.status.attempt if attempt == "own" else attempt
    decided = OvsdbDecision(attempt=own, mode=Mode.CONTINUE, incident="0123abcd")
    annotations.write_text(f"{DECISION_ANNOTATION}={json.dumps(wire.dumps(decided))}\n")
    server = Server(MEMBER, connected=connected)
    _, watching = observe(monkeypatch, server, member=member)
    assert (watching.again, server.terminated) == (ends, ends)


def test_a_member_that_misses_two_calls_stays_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(MEMBER, connected=True)
    member, watching = observe(monkeypatch, server)
    server.status = TimeoutError()
    seen = []
    for _ in range(3):
        watching.observe()
        seen.append(member.ready)
    assert seen == [True, True, False]


def test_one_without_a_majority_for_a_minute_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member(settings(), "demo-ovn-nb-0", "uid")
    assert not member.status.stuck
    monkeypatch.setattr("stackroles.agents.ovsdb.member.STUCK_SECONDS", -1.0)
    observe(monkeypatch, Server(NO_LEADER, connected=False), member=member)
    assert member.status.stuck
    monkeypatch.undo()
    observe(monkeypatch, Server(MEMBER, connected=True), member=member)
    assert not member.status.stuck


def test_host_of_a_member_that_is_to_leave() -> None:
    assert settings().host(4) == "demo-ovn-nb-4.demo-ovn-nb.ns.svc.cluster.local"


def test_settings_of_the_role_are_what_the_agent_reads() -> None:
    found = wire.loads(OvsdbSettings, ovn.SOUTH.settings(cloud()))
    assert found.raft(1) == "tcp:demo-ovn-sb-1.demo-ovn-sb.ns.svc.cluster.local:6644"
    assert found.schema == "/usr/share/ovn/ovn-sb.ovsschema"
    config = server_config(found)
    assert config["remotes"]["ptcp:6642:0.0.0.0"] == {"inactivity-probe": 60000}


OPEN = "2026-11-27T04:37:38Z|00003|ovsdb_server|WARN|failed to open database '/d/nb.db': "


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            OPEN + "ovsdb error: server does not belong to cluster\n",
            "ovsdb error: server does not belong to cluster",
        ),
        (
            OPEN
            + "I/O error: /d/nb.db: error reading 9 bytes starting at offset 61 (End of file)\n",
            "I/O error: /d/nb.db: error reading 9 bytes starting at offset 61 (End of file)",
        ),
        (OPEN + "I/O error: /d/nb.db: open failed (No space left on device)\n", ""),
        ("x|WARN|failed to configure databases\n", ""),
    ],
)
def test_a_refused_file_is_known_from_the_log(line: str, fault: str) -> None:
    assert refusal(line) == fault


class Ended:
    """A server that has ended."""

    def __init__(self, status: int, fault: str = "") -> None:
        self.ended = threading.Event()
        self.ended.set()
        self.status = status
        self.fault = fault


@pytest.mark.parametrize(
    ("soon", "server", "expected"),
    [
        (False, Ended(-9), None),
        (True, Ended(1), 1),
        (True, Ended(0), 0),
        (True, Ended(1, "ovsdb error: no header"), None),
    ],
)
def test_a_server_that_was_killed_is_started_again_and_one_that_cannot_start_is_not(
    monkeypatch: pytest.MonkeyPatch, soon: bool, server: Ended, expected: int | None
) -> None:
    prepared = []
    monkeypatch.setattr(agent, "SOON", 3600.0 if soon else -1.0)
    monkeypatch.setattr("stackroles.agents.ovsdb.agent.signal.signal", lambda *_: None)
    monkeypatch.setattr(agent, "prepare", lambda _, refused: prepared.append(refused))
    monkeypatch.setattr(agent, "OvsdbServer", lambda _: server)
    run = agent.Run(Member(settings(), "demo-ovn-nb-0", "uid"))
    assert run.once() == expected
    killed = ["starts its server again, which ended with -9"]
    assert list(run.member.status.actions.values()) == (killed if not soon else [])
    run.once()
    assert prepared == ["", server.fault]
