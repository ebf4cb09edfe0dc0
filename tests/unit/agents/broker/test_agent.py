"""A RabbitMQ member's agent: when a broker may start, and which of two clusters stays."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from stackroles.agents import wire
from stackroles.agents.broker import agent
from stackroles.agents.broker.agent import BrokerMember, BrokerWatch, parse_answer
from stackroles.agents.broker.membership import Start, Wait, decide, other_cluster
from stackroles.agents.broker.protocol import BrokerSettings, BrokerStatus, State
from stackroles.agents.status_server import StatusServer
from stackroles.roles import rabbitmq
from tests.support.clouds import cloud

NODES = [f"rabbit@demo-rabbitmq-{n}.demo-rabbitmq.ns.svc" for n in range(3)]
ALL = frozenset(NODES)
EMPTY = BrokerStatus(State.EMPTY)
SERVING = BrokerStatus(State.RUNNING, ALL)
STOPPED = BrokerStatus(State.STOPPED)


def others(
    first: BrokerStatus | None, second: BrokerStatus | None
) -> dict[str, BrokerStatus | None]:
    """Return what the peers of member 1 answer."""
    return {NODES[0]: first, NODES[2]: second}


def test_a_member_that_lost_its_volume_is_forgotten_by_one_that_serves_first() -> None:
    assert decide(NODES[1], others(SERVING, SERVING)) == Start(forget_by=NODES[0])
    assert decide(NODES[1], others(None, SERVING)) == Start(forget_by=NODES[2])


def test_a_new_member_joins_those_who_do_not_know_it() -> None:
    assert (
        decide(NODES[1], others(BrokerStatus(State.RUNNING, frozenset(NODES[:1])), EMPTY))
        == Start()
    )


def test_a_cluster_is_formed_only_when_all_say_that_they_have_no_data() -> None:
    assert decide(NODES[1], others(EMPTY, EMPTY)) == Start()
    assert decide(NODES[1], others(EMPTY, BrokerStatus(State.FORMING))) == Start()
    assert decide(NODES[0], {}) == Start()


@pytest.mark.parametrize("other", [None, STOPPED, BrokerStatus(State.SPLIT)])
def test_a_member_that_may_have_data_forbids_a_new_cluster(other: BrokerStatus | None) -> None:
    decision = decide(NODES[1], others(EMPTY, other))
    assert isinstance(decision, Wait)
    assert NODES[2] in decision.because


def test_of_two_clusters_the_larger_one_stays() -> None:
    alone = frozenset({NODES[1]})
    assert other_cluster(NODES[1], alone, others(SERVING, SERVING)) == ALL
    stranger = BrokerStatus(State.RUNNING, alone)
    assert other_cluster(NODES[0], ALL, {NODES[1]: stranger, NODES[2]: SERVING}) == frozenset()


def test_of_two_equal_clusters_one_stays() -> None:
    alone = [frozenset({node}) for node in NODES]
    first = other_cluster(NODES[0], alone[0], {NODES[2]: BrokerStatus(State.RUNNING, alone[2])})
    last = other_cluster(NODES[2], alone[2], {NODES[0]: BrokerStatus(State.RUNNING, alone[0])})
    assert (first, last) == (frozenset(), alone[0])


def test_members_of_one_cluster_and_silent_ones_are_no_second_cluster() -> None:
    assert other_cluster(NODES[1], ALL, others(SERVING, None)) == frozenset()
    assert other_cluster(NODES[1], ALL, others(STOPPED, EMPTY)) == frozenset()


@pytest.mark.parametrize(
    ("text", "members"),
    [
        (
            "{ok, {true, ['rabbit@a.x.svc', 'rabbit@b.x.svc']}}",
            {"rabbit@a.x.svc", "rabbit@b.x.svc"},
        ),
        ("{ok, {true, [rabbit@a]}}", {"rabbit@a"}),
        ("{ok, {false, ['rabbit@a.x.svc']}}", None),
        ("{error, undef}", None),
        ("", None),
    ],
)
def test_the_brokers_answer_is_read(text: str, members: set[str] | None) -> None:
    assert parse_answer(text) == (None if members is None else frozenset(members))


class Server:
    """The broker's process."""

    def __init__(self) -> None:
        self.terminated = False

    def poll(self) -> int | None:
        return 0 if self.terminated else None

    def terminate(self) -> None:
        self.terminated = True


def settings(tmp_path: Path, port: int = 0) -> BrokerSettings:
    given = wire.loads(BrokerSettings, rabbitmq.files(cloud())["/etc/stackroles/broker.json"])
    return replace(given, home=str(tmp_path), port=port)


@pytest.fixture
def member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BrokerMember:
    monkeypatch.setattr(agent, "listens", lambda port: True)
    return BrokerMember(settings(tmp_path), "demo-rabbitmq-1")


def observe(
    watch: BrokerWatch, members: frozenset[str] | None, peers: Mapping[str, BrokerStatus | None]
) -> None:
    watch.observe(members, lambda: peers)


def test_the_role_gives_the_agent_what_it_reads(member: BrokerMember) -> None:
    assert member.node == NODES[1]
    assert set(member.ask_peers()) == {NODES[0], NODES[2]}


def test_a_member_is_ready_when_its_broker_is_in_the_others_cluster(member: BrokerMember) -> None:
    watch = BrokerWatch(member, Server())  # type: ignore[arg-type]
    assert not member.ready
    observe(watch, ALL, others(SERVING, SERVING))
    assert member.ready


def test_a_broker_in_a_cluster_of_its_own_is_never_ready_and_is_stopped(
    member: BrokerMember,
) -> None:
    server = Server()
    watch = BrokerWatch(member, server)  # type: ignore[arg-type]
    alone = frozenset({NODES[1]})
    observe(watch, alone, others(SERVING, SERVING))
    assert not member.ready
    assert not server.terminated  # it may be about to join
    for _ in range(2):
        observe(watch, alone, others(SERVING, SERVING))
    assert server.terminated
    assert member.status.state is State.SPLIT
    assert "delete its volume claim data-demo-rabbitmq-1 and its pod" in member.status.message


def test_a_broker_that_misses_one_call_stays_ready_and_one_that_paused_does_not(
    member: BrokerMember,
) -> None:
    watch = BrokerWatch(member, Server())  # type: ignore[arg-type]
    observe(watch, ALL, others(SERVING, SERVING))
    observe(watch, None, {})
    assert member.ready
    for _ in range(2):
        observe(watch, None, {})
    assert member.status == BrokerStatus(State.STOPPED)


def test_a_first_start_that_was_cut_off_begins_anew(member: BrokerMember, tmp_path: Path) -> None:
    assert not member.has_data()
    member.ask_peers = lambda: others(EMPTY, EMPTY)  # type: ignore[method-assign]
    member.prepare()
    (tmp_path / "mnesia" / member.node).mkdir(parents=True)
    assert not member.has_data()
    member.prepare()
    (tmp_path / "mnesia" / member.node).mkdir(parents=True)
    observe(BrokerWatch(member, Server()), ALL, others(SERVING, SERVING))  # type: ignore[arg-type]
    assert member.has_data()


def test_a_member_that_waits_says_for_whom(
    member: BrokerMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "PAUSE", 0.0)
    monkeypatch.setattr(agent, "PATIENCE", -1.0)
    logged: list[str] = []
    answers = iter([others(STOPPED, None), others(SERVING, SERVING)])

    def ask() -> dict[str, BrokerStatus | None]:
        logged.append(member.status.message)
        return next(answers)

    forgotten: list[str] = []
    member.ask_peers = ask  # type: ignore[method-assign]
    member._forget = lambda by: not forgotten.append(by)  # type: ignore[method-assign,func-returns-value]
    member.prepare()
    assert "demo-rabbitmq-1 has an empty volume and waits" in logged[1]
    assert NODES[0] in logged[1]
    assert forgotten == [NODES[0]]


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


def test_members_understand_each_other_over_http(member: BrokerMember) -> None:
    with serving(member) as port:
        assert agent.ask_peer("localhost", port) == EMPTY
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"http://localhost:{port}/ready")
        member.status = SERVING
        assert agent.ask_peer("localhost", port) == SERVING
        with urllib.request.urlopen(f"http://localhost:{port}/ready") as response:
            assert response.status == 200
    assert agent.ask_peer("localhost", port) is None
