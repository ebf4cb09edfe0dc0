"""One RabbitMQ member: its volume, what it answers, and what it does before its broker starts."""

import subprocess
import sys
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from stackroles.agents import annotations, peer_http, wire
from stackroles.agents.actions import add_action
from stackroles.agents.broker.membership import Start, decide, is_forgotten
from stackroles.agents.broker.protocol import (
    DECISION_ANNOTATION,
    BrokerDecision,
    BrokerMode,
    BrokerSettings,
    BrokerStatus,
    State,
)
from stackroles.agents.broker.volume import BrokerVolume
from stackroles.agents.leaving_protocol import LEAVE_ANNOTATION
from stackroles.agents.status_protocol import STATUS_PATH

ASK_TIMEOUT: Final = 2.0
PAUSE: Final = 1.0
# A member that goes on to wait says so to people.
PATIENCE: Final = 30.0
LARGEST: Final = 65536
_TOOL_SECONDS: Final = 120


def ask_peer(host: str, port: int) -> BrokerStatus | None:
    """Return what the agent at a host answers, None without an answer."""
    try:
        body = peer_http.get(host, port, STATUS_PATH, seconds=ASK_TIMEOUT, limit=LARGEST)
        return wire.loads(BrokerStatus, body)
    except (OSError, wire.WireError):
        return None


class BrokerMember:
    """This member: its data, its broker, and what it answers."""

    annotations = annotations.ANNOTATIONS

    def __init__(self, settings: BrokerSettings, pod: str, uid: str = "") -> None:
        self.settings = settings
        self.pod = pod
        self.uid = uid
        self.node = f"rabbit@{settings.host(pod)}"
        self.volume = BrokerVolume(Path(settings.home), self.node)
        # Once, until it serves: where that was not enough, a person has to look.
        self.forced = False
        self.starts_first = False
        self.may_yield = False
        self._attempt = ""
        self._actions: dict[str, str] = {}
        self._status = BrokerStatus(State.EMPTY)
        self._since = time.monotonic()

    @property
    def status(self) -> BrokerStatus:
        """What it answers."""
        seconds = int(time.monotonic() - self._since)
        return replace(self._status, attempt=self._attempt, seconds=seconds, actions=self._actions)

    @property
    def seconds(self) -> float:
        """For how long it has been in its state."""
        return time.monotonic() - self._since

    def be(self, state: State, message: str = "", **facts: Any) -> None:
        """Answer from now on that it is in a state, and what is known of it there."""
        if state is not self._status.state:
            self._since = time.monotonic()
        facts |= {"recovered": self.volume.recovered, "yielded": self.volume.yielded}
        self._status = BrokerStatus(state, message=message, **facts)

    def note(self, action: str) -> None:
        """Answer from now on, and log, what is done about a loss; the pod is its subject."""
        log(f"{self.pod} {action}")
        self._actions = add_action(self._actions, action, datetime.now(UTC))

    def be_stopped(self, message: str = "") -> None:
        """Answer that it has data and does not serve."""
        first = self.starts_first or self.forced or bool(self.volume.continuing)
        self.be(State.STOPPED, message, last_seen=self.volume.last_seen(), first=first)

    @property
    def ready(self) -> bool:
        """Whether clients may come."""
        return self._status.state is State.RUNNING and not self._status.message

    def pause(self) -> None:
        """Let the others get on before they are asked again."""
        time.sleep(PAUSE)

    def ask_peers(self) -> dict[str, BrokerStatus | None]:
        """Return what each of the other members answers, by node."""
        own = self.settings.host(self.pod)
        return {
            f"rabbit@{host}": ask_peer(host, self.settings.port)
            for host in self.settings.members
            if host != own
        }

    @property
    def is_to_leave(self) -> bool:
        """Whether the operator has asked this member to leave, and no longer counts it as one."""
        wanted = self.settings.host(self.pod) in self.settings.members
        return not wanted and bool(self.uid) and self._note(LEAVE_ANNOTATION) == self.uid

    def _note(self, name: str) -> str | None:
        try:
            return annotations.read_annotation(self.annotations.read_text(), name)
        except OSError:
            return None

    def decision(self) -> BrokerDecision | None:
        """Return what the operator decided for this attempt and was not applied yet, or None."""
        text = self._note(DECISION_ANNOTATION)
        try:
            found = wire.loads(BrokerDecision, text) if text else None
        except wire.WireError:
            return None
        if found is None or found.attempt != self._attempt:
            return None
        # The operator decides anew for each attempt, also while this member continues by the first.
        applied = (self.volume.continuing, self.volume.recovered, self.volume.yielded)
        return found if found.incident not in applied else None

    def begin(self) -> None:
        """Begin an attempt to start the broker."""
        self._attempt = uuid.uuid4().hex
        self.may_yield = False
        if self.volume.has_data():
            self.be_stopped()
        else:
            self.be(State.EMPTY)

    def leave_former_cluster(self) -> None:
        """Put data aside that a majority of the members has forgotten: it could only crash."""
        if not is_forgotten(self.node, self.volume.fellows(), self.ask_peers()):
            return
        self.note("puts its data aside and joins the others anew, who go on without it")
        self.volume.put_aside()
        self.be(State.EMPTY)

    def prepare(self) -> None:
        """Wait until a broker without data may start; its former self is forgotten then."""
        while True:
            decision = decide(self.node, self.ask_peers())
            if isinstance(decision, Start):
                if not decision.forget_by:
                    break
                if self._forget(decision.forget_by):
                    self.note("joins the others anew, who have forgotten its lost data")
                    break
            else:
                self._report_waiting(decision.because)
            self.pause()
        self.volume.begin_forming()
        self.be(State.FORMING)

    def _report_waiting(self, because: str) -> None:
        text = f"{self.pod} has an empty volume and waits, since {because}"
        message = text if self.seconds > PATIENCE else ""
        if message != self._status.message:
            log(text)
        self.be(State.EMPTY, message)

    def _forget(self, by: str) -> bool:
        why = "which leaves" if self.volume.leaving else "whose volume is empty"
        log(f"{by} is to forget {self.node}, {why}")
        return self._tool("rabbitmqctl", "--longnames", "-n", by, "forget_cluster_node", self.node)

    def leave_cluster(self) -> None:
        """Take the running broker out of its cluster, which leaves its data empty.

        Its node stays up meanwhile: a broker that saw one of two nodes end would pause.
        """
        self.volume.begin_leaving()
        for command in ("stop_app", "reset"):
            self._tool("rabbitmqctl", "--longnames", "-n", self.node, command)

    def depart(self) -> bool:
        """Return whether the others count this member no more; one that does is to forget it.

        Where none serves any more the broker has to be started again: they need it to leave.
        """
        peers = self.ask_peers()
        serving = {n: p for n, p in peers.items() if p and p.state is State.RUNNING}
        knowing = sorted(name for name, peer in serving.items() if self.node in peer.members)
        if serving and not knowing:
            self.be(State.LEFT)
            return True
        if knowing:
            self._forget(knowing[0])
        elif self.seconds > PATIENCE:
            self.volume.end_leaving()
        return False

    def continue_alone(self, decision: BrokerDecision) -> None:
        """Note, before anything else, that this member goes on without the others."""
        if decision.mode is BrokerMode.CONTINUE:
            self.note(f"goes on without the others, by the consent to incident {decision.incident}")
            self.volume.begin_continuing(decision.incident)

    def force_boot(self) -> None:
        """Have the next start of the broker wait for no other one."""
        self.forced, self.starts_first = True, False
        self._tool("rabbitmqctl", "--longnames", "-n", self.node, "force_boot")

    def forget(self, other: str) -> bool:
        """Have the running broker forget another node; return whether it did."""
        return self._tool(
            "rabbitmqctl", "--longnames", "-n", self.node, "forget_cluster_node", other
        )

    def _tool(self, *command: str) -> bool:
        try:
            return subprocess.run(command, check=False, timeout=_TOOL_SECONDS).returncode == 0
        except subprocess.TimeoutExpired:
            log(f"no end of {' '.join(command)} within {_TOOL_SECONDS} s")
            return False


def log(text: str) -> None:
    """Write a line to the log."""
    print(f"broker: {text}", file=sys.stderr, flush=True)
