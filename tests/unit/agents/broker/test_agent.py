"""A RabbitMQ member's agent: what it answers, and what it does before and beside its broker."""

import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.broker import agent, node, watch
from stackroles.agents.broker import member as member_module
from stackroles.agents.broker.member import BrokerMember, ask_peer
from stackroles.agents.broker.membership import Peers
from stackroles.agents.broker.node import NodeView
from stackroles.agents.broker.protocol import (
    DECISION_ANNOTATION,
    BrokerDecision,
    BrokerMode,
    BrokerSettings,
    BrokerStatus,
    State,
)
from stackroles.agents.broker.watch import PARTED_SEEN, BrokerWatch, End
from stackroles.agents.leaving_protocol import LEAVE_ANNOTATION
from stackroles.agents.silence import SILENT_SECONDS
from stackroles.agents.status_server import StatusServer
from stackroles.roles import rabbitmq
from tests.support.clouds import cloud

NODES = [f"rabbit@demo-rabbitmq-{n}.demo-rabbitmq.ns.svc" for n in range(3)]
ALL = frozenset(NODES)
ALONE = frozenset({NODES[1]})
EMPTY = BrokerStatus(State.EMPTY)
SERVING = BrokerStatus(State.RUNNING, ALL)
WITHOUT = BrokerStatus(State.RUNNING, ALL - ALONE)
STOPPED = BrokerStatus(State.STOPPED)
INCIDENT = "0123abcd"


def others(
    first: BrokerStatus | None, second: BrokerStatus | None
) -> dict[str, BrokerStatus | None]:
    """Return what the peers of member 1 answer."""
    return {NODES[0]: first, NODES[2]: second}


class Server:
    """The broker's process."""

    pid = 0

    def __init__(self) -> None:
        self.terminated = False

    def poll(self) -> int | None:
        return 0 if self.terminated else None

    def wait(self, seconds: float) -> int:
        return 0

    def terminate(self) -> None:
        self.terminated = True


class Rig:
    """Member 1 with a volume, the programs it called, and its broker's process."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.called: list[tuple[str, ...]] = []
        self.balanced = 0
        self.emptied = 0
        self.spread = 0
        self.messages: int | None = 0
        self.responds = True
        self.home = tmp_path
        monkeypatch.setattr(watch, "listens", lambda port: True)
        monkeypatch.setattr(node, "shrink_queues", lambda node: True)
        monkeypatch.setattr(node, "cut_off", lambda node: self.messages)
        monkeypatch.setattr(node, "balance", self._balance)
        monkeypatch.setattr(node, "empty_queues", self._empty)
        monkeypatch.setattr(node, "spread_streams", self._spread)
        monkeypatch.setattr(subprocess, "run", self._run)
        monkeypatch.setattr(member_module, "PAUSE", 0.0)
        given = wire.loads(BrokerSettings, rabbitmq.files(cloud())["/etc/stackroles/broker.json"])
        settings = replace(given, home=str(tmp_path), port=0)
        self.member = BrokerMember(settings, "demo-rabbitmq-1", "uid-1")
        self.member.annotations = tmp_path / "annotations"
        self.server = Server()
        self.watch = BrokerWatch(self.member, self.server)  # type: ignore[arg-type]

    def _balance(self, node: str) -> None:
        self.balanced += 1

    def _empty(self, node: str) -> None:
        self.emptied += 1

    def _spread(self, node: str) -> None:
        self.spread += 1

    def _run(self, command: tuple[str, ...], **_: object) -> "subprocess.CompletedProcess[bytes]":
        self.called.append(command)
        return subprocess.CompletedProcess(command, 0)

    def did(self) -> list[str]:
        """Return what the member answers that it did by itself."""
        return list(self.member.status.actions.values())

    def tools(self) -> list[tuple[str, ...]]:
        """Return what rabbitmqctl was called for."""
        return [command[4:] for command in self.called]

    def observe(
        self, members: frozenset[str] | None, peers: Peers, times: int = 1, **facts: Any
    ) -> None:
        """Let the broker answer with its members, or not at all."""
        view = None if members is None else NodeView(members=members, **facts)
        for _ in range(times):
            self.watch.observe(view, lambda: peers, lambda: self.responds)

    def put_data(self, fellows: frozenset[str] = ALL, seen: frozenset[str] = ALL) -> None:
        """Put data on the volume, with what RabbitMQ writes beside it."""
        folder = self.home / "mnesia" / self.member.node
        folder.mkdir(parents=True)
        listed = ",".join(f"'{name}'" for name in sorted(fellows))
        (folder / "cluster_nodes.config").write_text(f"{{[{listed}],[{listed}]}}.\n")
        ran = ",".join(f"'{name}'" for name in sorted(seen))
        (folder / "nodes_running_at_shutdown").write_text(f"[{ran}].\n")

    def decide(self, mode: BrokerMode, attempt: str = "", incident: str = INCIDENT) -> None:
        """Publish a decision, for the present attempt where none is named."""
        attempt = attempt or self.member.status.attempt
        decision = wire.dumps(BrokerDecision(attempt=attempt, mode=mode, incident=incident))
        text = f'other="1"\n{DECISION_ANNOTATION}={json.dumps(decision)}\n'
        self.member.annotations.write_text(text)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(tmp_path, monkeypatch)


def test_the_role_gives_the_agent_what_it_reads(rig: Rig) -> None:
    assert rig.member.node == NODES[1]
    assert set(rig.member.ask_peers()) == {NODES[0], NODES[2]}


def test_a_member_is_ready_when_its_broker_is_in_the_others_cluster(rig: Rig) -> None:
    assert not rig.member.ready
    rig.observe(ALL, others(SERVING, SERVING))
    assert rig.member.ready


def test_a_broker_in_a_cluster_of_its_own_is_never_ready_and_is_stopped(rig: Rig) -> None:
    rig.messages = 7
    rig.observe(ALONE, others(WITHOUT, WITHOUT))
    assert not rig.member.ready
    assert not rig.server.terminated  # it may be about to join
    rig.observe(ALONE, others(WITHOUT, WITHOUT), times=2)
    assert rig.server.terminated
    assert rig.member.status.state is State.SPLIT
    assert "its queues hold 7 messages" in rig.member.status.message
    (action,) = rig.did()
    assert action.startswith("stops its broker, which is in a cluster of its own with 7 messages")
    assert not rig.member.may_yield
    rig.observe(ALONE, others(WITHOUT, WITHOUT))
    assert rig.member.status.state is State.SPLIT  # until its process has ended


@pytest.mark.parametrize(("messages", "may"), [(0, True), (1, False), (None, False)])
def test_a_second_cluster_yields_by_itself_only_without_messages(
    rig: Rig, messages: int | None, *, may: bool
) -> None:
    rig.messages = messages
    rig.observe(ALONE, others(WITHOUT, WITHOUT), times=3)
    assert rig.member.may_yield is may


def test_a_broker_that_misses_one_call_stays_ready_and_one_that_paused_does_not(rig: Rig) -> None:
    rig.observe(ALL, others(SERVING, SERVING))
    rig.observe(None, {})
    assert rig.member.ready
    rig.observe(None, {}, times=2)
    assert rig.member.status.state is State.STOPPED


@pytest.mark.parametrize(("responds", "ended"), [(False, True), (True, False)])
def test_a_broker_that_hangs_is_ended_and_one_that_paused_is_not(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, *, responds: bool, ended: bool
) -> None:
    rig.observe(ALL, others(SERVING, SERVING))
    began = time.monotonic()
    rig.responds = responds
    for seconds in (60.0, SILENT_SECONDS - 1):
        monkeypatch.setattr(time, "monotonic", lambda: began + seconds)  # noqa: B023
        rig.observe(None, others(SERVING, SERVING))
        assert not rig.server.terminated
    monkeypatch.setattr(time, "monotonic", lambda: began + SILENT_SECONDS + 1)
    rig.observe(None, others(SERVING, SERVING))
    assert rig.server.terminated is ended
    text = f"starts its broker again, which answered nothing for {SILENT_SECONDS:.0f} s"
    assert rig.did() == ([text] if ended else [])


@pytest.mark.parametrize("served", [True, False])
def test_a_broker_that_served_and_dies_is_reported(rig: Rig, *, served: bool) -> None:
    if served:
        rig.observe(ALL, others(SERVING, SERVING))
    rig.server.terminated = True
    assert rig.watch.run() == End(0, again=served, stopped=False)
    assert rig.did() == (["starts its broker again, which ended with 0"] if served else [])


def test_a_broker_that_is_to_stop_is_no_loss(rig: Rig) -> None:
    rig.observe(ALL, others(SERVING, SERVING))
    rig.watch.stop()
    assert rig.watch.run().stopped
    assert rig.did() == []


def test_a_broker_that_stays_parted_from_a_majority_is_started_again(rig: Rig) -> None:
    there = replace(SERVING, running=ALL - ALONE)
    apart: dict[str, Any] = {"running": ALONE, "partitions": ALL - ALONE}
    rig.observe(ALL, others(there, there), times=PARTED_SEEN - 1, **apart)
    rig.observe(ALL, others(SERVING, SERVING), running=ALL)  # they met again
    rig.observe(ALL, others(there, there), times=PARTED_SEEN - 1, **apart)
    assert not rig.server.terminated
    rig.observe(ALL, others(there, there), **apart)
    assert rig.server.terminated
    assert rig.did() == [f"starts its broker again, which stays parted from {NODES[0]}, {NODES[2]}"]


def test_consent_to_give_way_is_applied_once(rig: Rig) -> None:
    rig.put_data()
    rig.member.begin()
    rig.decide(BrokerMode.YIELD)
    assert rig.member.decision() is not None
    rig.member.volume.give_way(INCIDENT)
    assert not rig.member.volume.has_data()
    rig.put_data()
    rig.member.begin()
    rig.decide(BrokerMode.YIELD)
    assert rig.member.decision() is None
    assert rig.member.status.yielded == INCIDENT


def test_a_first_start_that_was_cut_off_begins_anew(rig: Rig) -> None:
    volume = rig.member.volume
    assert not volume.has_data()
    rig.member.ask_peers = lambda: others(EMPTY, EMPTY)  # type: ignore[method-assign]
    rig.member.prepare()
    assert rig.did() == []  # nothing was lost
    rig.put_data()
    assert not volume.has_data()
    rig.member.prepare()
    rig.put_data()
    rig.observe(ALL, others(SERVING, SERVING))
    assert volume.has_data()


def test_a_member_that_joins_is_ready_once_every_queue_has_a_member_there(rig: Rig) -> None:
    """Until then no older member may be replaced: it may hold the only copies."""
    rig.member.ask_peers = lambda: others(WITHOUT, WITHOUT)  # type: ignore[method-assign]
    rig.member.prepare()
    rig.observe(ALL, others(SERVING, SERVING), lacks=21)
    assert not rig.member.ready
    assert "no member of 21 queues yet" in rig.member.status.message
    rig.observe(ALL, others(SERVING, SERVING))
    assert rig.member.ready
    # From then on queues that lack a member are no reason to send its clients away.
    rig.observe(ALL, others(SERVING, SERVING), lacks=1)
    assert rig.member.ready


def test_a_member_that_waits_says_for_whom(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member_module, "PATIENCE", -1.0)
    logged: list[str] = []
    answers = iter([others(STOPPED, None), others(SERVING, SERVING)])

    def ask() -> dict[str, BrokerStatus | None]:
        logged.append(rig.member.status.message)
        return next(answers)

    rig.member.ask_peers = ask  # type: ignore[method-assign]
    rig.member.prepare()
    assert "demo-rabbitmq-1 has an empty volume and waits" in logged[1]
    assert NODES[0] in logged[1]
    assert rig.tools() == [("forget_cluster_node", NODES[1])]
    assert NODES[0] in rig.called[0]
    assert rig.did() == ["joins the others anew, who have forgotten its lost data"]


def test_data_that_a_majority_has_forgotten_is_put_aside_and_kept(rig: Rig) -> None:
    rig.put_data()
    rig.member.begin()
    rig.member.ask_peers = lambda: others(SERVING, SERVING)  # type: ignore[method-assign]
    rig.member.leave_former_cluster()
    assert rig.member.volume.has_data()
    rig.member.ask_peers = lambda: others(WITHOUT, WITHOUT)  # type: ignore[method-assign]
    rig.member.leave_former_cluster()
    assert not rig.member.volume.has_data()
    assert (rig.home / "aside" / NODES[1] / "cluster_nodes.config").exists()
    assert rig.member.status.state is State.EMPTY
    assert rig.did() == ["puts its data aside and joins the others anew, who go on without it"]


def test_a_stopped_member_reports_with_whom_it_ran_last(rig: Rig) -> None:
    rig.put_data(seen=ALL - {NODES[0]})
    rig.member.begin()
    assert rig.member.status.last_seen == ALL - {NODES[0]}


def test_a_majority_does_not_wait_for_ever_for_the_rest(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.put_data(seen=ALL - {NODES[0]})
    rig.member.begin()
    peers = others(None, BrokerStatus(State.STOPPED, last_seen=ALL))
    rig.observe(None, peers)
    assert not rig.member.starts_first
    monkeypatch.setattr(watch, "FIRST_SECONDS", -1.0)
    rig.observe(None, peers)
    assert rig.server.terminated
    assert rig.did() == ["starts first, since a majority is there and the rest does not come"]
    rig.member.begin()
    assert rig.member.status.first
    rig.member.force_boot()
    assert rig.tools() == [("force_boot",)]
    # Not twice for one loss: the next start waits as usual.
    again = BrokerWatch(rig.member, Server())  # type: ignore[arg-type]
    again.observe(None, lambda: peers, lambda: True)
    assert not rig.member.starts_first


def test_a_broker_that_served_and_does_not_answer_is_left_alone(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may only lack CPU, or have paused: it resumes when there is a majority."""
    monkeypatch.setattr(watch, "FIRST_SECONDS", -1.0)
    rig.put_data()
    rig.observe(ALL, others(SERVING, SERVING))
    rig.observe(None, others(None, BrokerStatus(State.STOPPED, last_seen=ALL)), times=5)
    assert rig.member.status.state is State.STOPPED
    assert not rig.server.terminated


def consented(rig: Rig) -> None:
    rig.put_data()
    rig.member.begin()
    rig.decide(BrokerMode.CONTINUE)
    rig.observe(None, others(EMPTY, None))


def test_by_consent_a_member_continues_and_forgets_the_others(rig: Rig) -> None:
    consented(rig)
    assert rig.did() == [f"goes on without the others, by the consent to incident {INCIDENT}"]
    assert rig.server.terminated
    assert rig.member.volume.continuing == INCIDENT
    rig.member.begin()
    rig.member.force_boot()
    rig.observe(ALL, others(EMPTY, None))
    assert not rig.member.ready  # others may have kept clients from it until now
    rig.observe(ALONE, others(EMPTY, None))
    assert rig.member.ready
    assert rig.member.status.recovered == INCIDENT
    forgotten = [command[1] for command in rig.tools() if command[0] == "forget_cluster_node"]
    assert forgotten == [NODES[0], NODES[2]]


def test_a_consent_is_applied_once_and_only_to_its_attempt(rig: Rig) -> None:
    rig.put_data()
    rig.member.begin()
    rig.decide(BrokerMode.CONTINUE, attempt="another")
    rig.observe(None, others(EMPTY, None))
    assert not rig.server.terminated
    rig.decide(BrokerMode.CONTINUE)
    rig.observe(None, others(SERVING, None))
    assert not rig.server.terminated  # the others serve
    rig.observe(None, others(EMPTY, None))
    assert rig.member.volume.continuing == INCIDENT
    rig.member.volume.end_continuing()
    assert rig.member.decision() is None


def test_a_member_that_was_interrupted_while_it_continued_goes_on(rig: Rig) -> None:
    consented(rig)
    later = BrokerMember(rig.member.settings, "demo-rabbitmq-1")
    later.begin()
    assert later.volume.continuing == INCIDENT
    assert later.status.first


def test_a_member_that_continues_is_not_stopped_by_the_same_consent_again(rig: Rig) -> None:
    consented(rig)
    rig.server.terminated = False
    rig.member.begin()
    rig.member.force_boot()
    rig.decide(BrokerMode.CONTINUE)  # for the new attempt, as the operator does
    rig.observe(None, others(EMPTY, None))
    assert not rig.server.terminated


def test_leaders_are_spread_when_nothing_changes_and_one_broker_leads_none(rig: Rig) -> None:
    facts: dict[str, Any] = {"running": ALL, "leaders": {NODES[0]: 9, NODES[1]: 9, NODES[2]: 0}}
    rig.observe(ALL, others(SERVING, SERVING), times=20, **facts)
    assert rig.balanced == 0  # the first member does it
    rig.member.node = NODES[0]
    rig.observe(ALL, others(SERVING, SERVING), times=5, **facts)
    assert rig.balanced == 0
    rig.observe(ALL, others(SERVING, SERVING), **facts)
    assert (rig.balanced, rig.spread) == (1, 0)


@contextmanager
def serving(member: BrokerMember) -> Iterator[int]:
    server = StatusServer(0, member)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_members_understand_each_other_over_http(rig: Rig) -> None:
    with serving(rig.member) as port:
        assert ask_peer("localhost", port) == EMPTY
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"http://localhost:{port}/ready")
        rig.observe(ALL, others(SERVING, SERVING))
        assert ask_peer("localhost", port) == SERVING
        with urllib.request.urlopen(f"http://localhost:{port}/ready") as response:
            assert response.status == 200
    assert ask_peer("localhost", port) is None


def asked_to_leave(rig: Rig, *, wanted: bool = False, uid: str = "uid-1") -> None:
    """Annotate the pod of a member that is not one of those wanted any more."""
    if not wanted:
        hosts = tuple(h for h in rig.member.settings.members if not h.startswith(rig.member.pod))
        rig.member.settings = replace(rig.member.settings, members=hosts)
    rig.member.annotations.write_text(f'{LEAVE_ANNOTATION}="{uid}"\n')


def test_a_member_leaves_its_queues_then_its_cluster(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.put_data()
    rig.member.begin()
    asked_to_leave(rig)
    rig.observe(ALL, others(SERVING, SERVING), holds=3)
    assert not rig.member.ready
    assert rig.emptied == 1
    assert not rig.member.volume.leaving
    monkeypatch.setattr(watch, "listens", lambda port: False)  # it has closed its listeners
    rig.observe(ALL, others(SERVING, SERVING))
    assert rig.server.terminated
    assert rig.tools() == [("stop_app",), ("reset",)]
    rig.member.begin()
    assert rig.member.volume.leaving
    answers = iter([others(None, None), others(SERVING, None), others(WITHOUT, None)])
    rig.member.ask_peers = lambda: next(answers)
    assert [rig.member.depart() for _ in range(3)] == [False, False, True]
    assert rig.called[-1][-2:] == ("forget_cluster_node", NODES[1])
    assert rig.member.status.state is State.LEFT


def test_a_member_that_the_others_need_is_started_again_before_it_leaves(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its node ended before it had left, and the other one of two paused."""
    monkeypatch.setattr(member_module, "PATIENCE", -1.0)
    rig.put_data()
    rig.member.volume.begin_leaving()
    rig.member.ask_peers = lambda: others(STOPPED, None)  # type: ignore[method-assign]
    agent.leave(rig.member)
    assert not rig.member.volume.leaving
    assert rig.member.volume.has_data()


@pytest.mark.parametrize(("wanted", "uid"), [(True, "uid-1"), (False, "uid-of-a-former-pod")])
def test_a_request_that_outlived_its_cause_takes_nobody_away(
    rig: Rig, uid: str, *, wanted: bool
) -> None:
    asked_to_leave(rig, wanted=wanted, uid=uid)
    rig.observe(ALL, others(SERVING, SERVING), holds=3)
    assert rig.member.ready
    assert not rig.emptied


def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *ends: End) -> tuple[int, int]:
    """Return the exit status of an agent whose broker ends so, and how often it was started."""
    left = list(ends)
    given = json.loads(rabbitmq.files(cloud())["/etc/stackroles/broker.json"])
    cookie = tmp_path / "cookie"
    cookie.write_text("cookie")
    path = tmp_path / "broker.json"
    path.write_text(json.dumps({**given, "home": str(tmp_path), "cookie": str(cookie)}))
    monkeypatch.setenv("POD_NAME", "demo-rabbitmq-1")
    monkeypatch.setenv("POD_UID", "uid-1")
    monkeypatch.setattr(agent, "serve_status", lambda port, member: None)
    monkeypatch.setattr(agent, "run_once", lambda member: left.pop(0))
    return agent.main([str(path)]), len(ends) - len(left)


FAILED = End(1, again=False, stopped=False)
KILLED = End(137, again=True, stopped=False)
STOPPED_FOR_GOOD = End(-15, again=True, stopped=True)


def test_by_consent_a_second_cluster_puts_its_data_aside(rig: Rig) -> None:
    rig.put_data()
    rig.member.begin()
    rig.decide(BrokerMode.YIELD)
    agent.wait_for_consent(rig.member)
    assert not rig.member.volume.has_data()
    assert rig.did() == [
        f"puts its data aside and joins the others anew, by the consent to incident {INCIDENT}"
    ]


def test_a_broker_that_served_is_started_again_until_it_is_to_stop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ends = (*[KILLED] * 9, STOPPED_FOR_GOOD)
    assert ran(monkeypatch, tmp_path, *ends) == (0, 10)


def test_a_broker_that_cannot_be_started_ends_its_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its restarts, and what it logged last, are then in the conditions."""
    ends = (FAILED, FAILED, KILLED, FAILED, FAILED, FAILED, KILLED)
    assert ran(monkeypatch, tmp_path, *ends) == (1, 6)
