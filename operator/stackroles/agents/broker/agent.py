"""PID 1 of a RabbitMQ member: no member with an empty volume makes a second cluster.

A broker that lost its volume is still a member to the others: they refuse it as inconsistent, and
after its retries it boots as a cluster of its own (rabbit_mnesia:can_join_cluster,
rabbit_peer_discovery, seen with 4.0.5). Clients that land there share no queue with the rest. So a
member without data asks all the others first: one that serves is made to forget the member's former
self, and then is joined; a new cluster is formed only when all the others have answered that they
have no data either. No answer means unknown, never empty.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stackroles.agents import peer_http, wire
from stackroles.agents.broker.membership import Start, decide, other_cluster
from stackroles.agents.broker.protocol import (
    BrokerSettings,
    BrokerStatus,
    State,
)
from stackroles.agents.children import ChildSignals, reap
from stackroles.agents.status_protocol import STATUS_PATH
from stackroles.agents.status_server import serve_status

ASK_TIMEOUT = 2.0
PAUSE = 1.0
WATCH_PERIOD = 5.0
# A member that goes on to wait says so to people.
PATIENCE = 30.0
# A broker is asked in milliseconds; one that is starved of CPU may miss two calls.
MISSED = 3
# Members join and leave in moments; a second cluster stays.
SPLIT_SEEN = 3
LARGEST = 65536
SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
QUESTION = b"{rabbit:is_running(), rabbit_nodes:list_members()}.\n"


def parse_answer(text: str) -> frozenset[str] | None:
    """Return the members in erl_call's answer, None when the broker does not run.

    The answer is an Erlang term: {ok, {true, ['rabbit@a', 'rabbit@b']}}.
    """
    match = re.fullmatch(r"\{ok,\s*\{true,\s*\[(.*)\]\}\}\s*", text.strip(), re.DOTALL)
    return frozenset(re.findall(r"[\w.@-]+", match[1])) if match else None


def ask_broker(node: str) -> frozenset[str] | None:
    """Return the members of the cluster that the local broker is in, None when it does not run.

    erl_call is a C program that speaks Erlang's distribution: 20 ms, where rabbitmqctl starts a
    whole virtual machine for 0.6 s of CPU. Its own name is fixed, since every name stays in the
    broker's memory; it takes the cookie from HOME.
    """
    command = ["erl_call", "-timeout", "5", "-h", "agent", "-name", node, "-e"]
    try:
        asked = subprocess.run(command, input=QUESTION, capture_output=True, timeout=8, check=False)
    except subprocess.TimeoutExpired:
        return None
    return parse_answer(asked.stdout.decode(errors="replace"))


def ask_peer(host: str, port: int) -> BrokerStatus | None:
    """Return what the agent at a host answers, None without an answer."""
    try:
        body = peer_http.get(host, port, STATUS_PATH, seconds=ASK_TIMEOUT, limit=LARGEST)
        return wire.loads(BrokerStatus, body)
    except (OSError, wire.WireError):
        return None


@dataclass
class BrokerMember:
    """This member: its data, its broker, and what it answers."""

    settings: BrokerSettings
    pod: str
    status: BrokerStatus = field(default_factory=lambda: BrokerStatus(State.EMPTY))

    @property
    def node(self) -> str:
        """The name of its node."""
        return f"rabbit@{self.settings.host(self.pod)}"

    @property
    def ready(self) -> bool:
        """Whether clients may come."""
        return self.status.state is State.RUNNING and not self.status.message

    @property
    def _data(self) -> Path:
        return Path(self.settings.home) / "mnesia"

    @property
    def _marker(self) -> Path:
        """Stands while a broker starts on an empty volume: what it leaves was in no cluster yet."""
        return Path(self.settings.home) / ".forming"

    def has_data(self) -> bool:
        """Return whether the volume was in a cluster; remains of a first start are removed."""
        if self._marker.exists():
            log("the first start on this volume was cut off: it begins anew")
            shutil.rmtree(self._data, ignore_errors=True)
        return (self._data / self.node).exists()

    def ask_peers(self) -> dict[str, BrokerStatus | None]:
        """Return what each of the other members answers, by node."""
        own = self.settings.host(self.pod)
        return {
            f"rabbit@{host}": ask_peer(host, self.settings.port)
            for host in self.settings.members
            if host != own
        }

    def prepare(self) -> None:
        """Wait until a broker without data may start; its former self is forgotten then."""
        since = time.monotonic()
        while True:
            decision = decide(self.node, self.ask_peers())
            if isinstance(decision, Start):
                if not decision.forget_by or self._forget(decision.forget_by):
                    break
            else:
                self._report_waiting(decision.because, since)
            time.sleep(PAUSE)
        self._marker.touch()
        self.status = BrokerStatus(State.FORMING)

    def _report_waiting(self, because: str, since: float) -> None:
        text = f"{self.pod} has an empty volume and waits, since {because}"
        message = text if time.monotonic() - since > PATIENCE else ""
        if message != self.status.message:
            log(text)
        self.status = BrokerStatus(State.EMPTY, message=message)

    def _forget(self, by: str) -> bool:
        log(f"{by} is to forget {self.node}, whose volume is empty")
        command = ["rabbitmqctl", "--longnames", "-n", by, "forget_cluster_node", self.node]
        done = subprocess.run(command, check=False, timeout=120)
        return done.returncode == 0

    def formed(self) -> None:
        """Note that the volume is in a cluster from now on."""
        self._marker.unlink(missing_ok=True)


class BrokerWatch:
    """Asks the broker and the other members again and again while the broker's process lives.

    All in the main thread: as PID 1 it reaps what programs leave behind (epmd), which must not take
    the exit status of a program that another thread waits for.
    """

    def __init__(self, member: BrokerMember, server: "subprocess.Popen[bytes]") -> None:
        self._member = member
        self._server = server
        self._missed = 0
        self._split = 0

    def run(self) -> int:
        """Observe until the process ends; return its exit status."""
        signals = ChildSignals()
        while True:
            reap({self._server.pid})
            status = self._server.poll()
            if status is not None:
                return status
            running = self._member.status.state is State.RUNNING
            if not signals.wait(WATCH_PERIOD if running else PAUSE):
                self.observe(ask_broker(self._member.node), self._member.ask_peers)

    def observe(self, members: frozenset[str] | None, ask_peers: Any) -> None:
        """Take one answer of the broker; a member of a second cluster is stopped.

        Args:
            members: nodes of its cluster, None when it does not run or did not answer.
            ask_peers: returns what the other members answer, by node.
        """
        member = self._member
        if members is None or not listens(member.settings.amqp_port):
            self._missed += 1
            if self._missed >= MISSED or member.status.state is not State.RUNNING:
                forming = member.status.state is State.FORMING
                member.status = BrokerStatus(State.FORMING if forming else State.STOPPED)
            return
        self._missed = 0
        other = other_cluster(member.node, members, ask_peers())
        if not other:
            self._split = 0
            member.formed()
            member.status = BrokerStatus(State.RUNNING, members)
            return
        self._split += 1
        text = (
            f"{member.pod} is in a cluster of its own ({', '.join(sorted(members))}) beside that "
            f"of {', '.join(sorted(other))}. Its broker is stopped. To have it join them, delete "
            f"its volume claim data-{member.pod} and its pod"
        )
        member.status = BrokerStatus(State.RUNNING, members, text)
        if self._split >= SPLIT_SEEN:
            log(text)
            member.status = BrokerStatus(State.SPLIT, message=text)
            self._server.terminate()


def listens(port: int) -> bool:
    """Return whether somebody accepts connections at a port of this pod."""
    try:
        with socket.create_connection(("localhost", port), timeout=ASK_TIMEOUT):
            return True
    except OSError:
        return False


def install_cookie(settings: BrokerSettings) -> None:
    """Copy the cookie: Erlang refuses one that others may read, and a Secret's file is a link."""
    path = Path(settings.home) / ".erlang.cookie"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(Path(settings.cookie).read_bytes())
    path.chmod(0o400)


def log(text: str) -> None:
    """Write a line to the log."""
    print(f"broker: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run the member; return its exit status."""
    settings = wire.loads(BrokerSettings, Path(arguments[0]).read_bytes())
    member = BrokerMember(settings, os.environ["POD_NAME"])
    # PID 1 has no default action for signals: without a handler SIGTERM would be ignored.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    install_cookie(settings)
    serve_status(settings.port, member)
    if member.has_data():
        member.status = BrokerStatus(State.STOPPED)
    else:
        member.prepare()
    server = subprocess.Popen([SERVER])
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    status = BrokerWatch(member, server).run()
    while member.status.state is State.SPLIT:
        # A restart would only start the second cluster again: a person decides.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        signal.pause()
    return 0 if status == -signal.SIGTERM else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
