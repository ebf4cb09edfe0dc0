"""The monitor beside a broker that carries calls, or does not."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from stackroles.agents import wire
from stackroles.agents.peer_http import get
from stackroles.agents.rpc import agent
from stackroles.agents.rpc.protocol import RpcStatus, query_of
from stackroles.agents.status_server import serve_status

DEAF, WELL = "conductor/deaf", "conductor/well"


@dataclass
class Broker:
    """Carries calls, and has servers that answer or are deaf."""

    up: bool = True
    deaf: set[str] = field(default_factory=set)
    opened: int = 0
    closed: int = 0

    def open(self, exchange: str, arguments: object) -> "Broker":
        """Connect; refused while the broker is away."""
        if not self.up:
            raise ConnectionRefusedError("nobody listens")
        self.opened += 1
        return self

    def call(self, topic: str, host: str) -> str:
        """Return why a call has no answer."""
        deaf = not self.up or f"{topic}/{host}" in self.deaf
        return "MessagingTimeout: no reply" if deaf else ""

    def close(self) -> None:
        """End the connection."""
        self.closed += 1


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    found = Broker()
    monkeypatch.setattr(agent, "Transport", found.open)
    return found


def rounds(monitor: agent.Monitor) -> RpcStatus:
    """Let the monitor call what is due; return what it then answers."""
    with ThreadPoolExecutor(2) as pool:
        monitor.run(pool)
    return monitor.status


def test_nobody_is_called_who_is_not_asked_for(broker: Broker) -> None:
    assert rounds(agent.Monitor("nova", [])) == RpcStatus()
    assert broker.opened == 0


def test_a_deaf_server_is_reported_and_others_are_not(broker: Broker) -> None:
    broker.deaf = {DEAF}
    monitor = agent.Monitor("nova", [])
    server = serve_status(0, monitor, agent.MonitorHandler)
    port = server.server_address[1]
    get("127.0.0.1", port, f"/status?{query_of([DEAF, WELL])}", seconds=5, limit=1000)
    assert rounds(monitor) == RpcStatus(connected=True, unanswered={DEAF: 1}, called=2, answered=1)
    body = get("127.0.0.1", port, "/status", seconds=5, limit=1000)
    assert wire.loads(RpcStatus, body) == monitor.status
    server.shutdown()
    server.server_close()


def test_without_the_broker_nobody_is_deaf_and_the_connection_is_made_anew(broker: Broker) -> None:
    monitor = agent.Monitor("nova", [])
    monitor.ask(frozenset({WELL}))
    broker.up = False
    assert rounds(monitor) == RpcStatus()
    broker.up = True
    monitor.ask(frozenset({DEAF}))
    assert rounds(monitor) == RpcStatus(connected=True, called=1, answered=1)
    broker.up = False
    monitor.ask(frozenset({WELL}))
    assert rounds(monitor) == RpcStatus()
    assert (broker.opened, broker.closed) == (1, 1)
