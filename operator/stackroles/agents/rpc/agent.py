"""Calls RPC servers over the broker, as their clients do, and answers which of them are deaf.

It runs in a service's image, with the service's own file of options and account: what it shows is
what a client of the service would meet. The call is oslo.messaging's own `oslo_rpc_server_ping`,
which a server answers with `rpc_ping_enabled` (oslo_messaging/rpc/dispatcher.py) from the queue and
the threads that take its other calls.
"""

import importlib
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from stackroles.agents.rpc.protocol import PORT, RpcStatus, servers_in
from stackroles.agents.rpc.rounds import Rounds
from stackroles.agents.status_server import StatusHandler, serve_status

PING: Final = "oslo_rpc_server_ping"
# The monitor's own server, by which it sees whether the broker carries calls.
OWN_TOPIC, OWN_HOST = "stackroles-rpc-monitor", "monitor"
ANSWER_SECONDS: Final = 10
PERIOD: Final = 1.0
THREADS: Final = 8


def log(text: str) -> None:
    """Write a line to the log."""
    print(f"rpc-monitor: {text}", file=sys.stderr, flush=True)


class Transport:
    """A connection to the broker, and the monitor's own RPC server on it."""

    def __init__(self, exchange: str, arguments: Sequence[str]) -> None:
        self._messaging: Any = importlib.import_module("oslo_messaging")
        # The global options: the switch of the ping is read from these, whatever is given.
        conf = importlib.import_module("oslo_config.cfg").CONF
        # As the service itself does; its servers' queues are bound to that exchange alone.
        self._messaging.set_transport_defaults(exchange)
        conf([*arguments], project="stackroles")
        self._transport = self._messaging.get_rpc_transport(conf)
        own = self._messaging.Target(topic=OWN_TOPIC, server=OWN_HOST)
        self._server = self._messaging.get_rpc_server(
            self._transport, own, [object()], executor="threading"
        )
        self._server.start()

    def call(self, topic: str, host: str) -> str:
        """Call a server; return why there was no answer, empty when there was one."""
        target = self._messaging.Target(topic=topic, server=host)
        client = self._messaging.get_rpc_client(
            self._transport, target, timeout=ANSWER_SECONDS, retry=1
        )
        try:
            client.call({}, PING)
        # What a driver may raise is not declared; whatever it is, there was no answer.
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def close(self) -> None:
        """End the server and the connection."""
        self._server.stop()
        self._transport.cleanup()


class Monitor:
    """The monitor as its HTTP server sees it."""

    def __init__(self, exchange: str, arguments: Sequence[str]) -> None:
        self._exchange = exchange
        self._arguments = arguments
        self._transport: Transport | None = None
        self._lock = threading.Lock()
        self._rounds = Rounds()
        self.ready = True

    @property
    def status(self) -> RpcStatus:
        """How the servers answer."""
        with self._lock:
            return self._rounds.status

    def ask(self, servers: frozenset[str]) -> None:
        """Have exactly these servers called from now on."""
        with self._lock:
            self._rounds.ask(servers, time.monotonic())

    def run(self, pool: ThreadPoolExecutor) -> None:
        """Call what is due."""
        with self._lock:
            due = self._rounds.due(time.monotonic())
        if not due:
            return
        lost = self._own_call()
        with self._lock:
            self._rounds.connect(connected=not lost, now=time.monotonic())
        if lost:
            log(f"the broker does not carry calls: {lost}")
            self._close()
            return
        list(pool.map(self._call, due))

    def _own_call(self) -> str:
        try:
            if self._transport is None:
                self._transport = Transport(self._exchange, self._arguments)
        # As above: a broker that is away shows by any of the driver's errors.
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return self._transport.call(OWN_TOPIC, OWN_HOST)

    def _call(self, server: str) -> None:
        topic, _, host = server.partition("/")
        assert self._transport is not None  # noqa: S101 - the own call made it
        failure = self._transport.call(topic, host)
        if failure:
            log(f"{server} did not answer: {failure}")
        with self._lock:
            self._rounds.note(server, answered=not failure, now=time.monotonic())

    def _close(self) -> None:
        """Give a connection up that carries nothing; the next round makes another."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()


class MonitorHandler(StatusHandler):
    """Answers how servers answer, and has those called that a request names."""

    def code(self, path: str) -> int | None:  # type: ignore[explicit-override]
        """Return HTTP's status for a path, None where nothing is."""
        bare, _, query = path.partition("?")
        if query and isinstance(self.server.member, Monitor):
            self.server.member.ask(servers_in(query))
        return super().code(bare)


def main(arguments: Sequence[str]) -> int:
    """Run the monitor until it is ended.

    Args:
        arguments: the service's control exchange, then what its programs take.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    monitor = Monitor(arguments[0], arguments[1:])
    serve_status(PORT, monitor, MonitorHandler)
    with ThreadPoolExecutor(THREADS) as pool:
        while True:
            monitor.run(pool)
            time.sleep(PERIOD)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
