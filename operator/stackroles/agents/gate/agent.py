"""PID 1 of a role that the endpoint serves, or that is ActivePassive: runs its child by the rules.

One thread decides and moves the child. Others ask the Kubernetes API, ask the child, and answer
HTTP, and put what they learn into a queue: however long they hang, a claim ends in time.
"""

import os
import queue
import signal
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stackroles.agents import children, wire
from stackroles.agents.gate import decision, lease
from stackroles.agents.gate.backlog import waiting
from stackroles.agents.gate.health import BUSY, REPLACEABLE, HealthWatch
from stackroles.agents.gate.http_server import serve
from stackroles.agents.gate.member import Ask, Member
from stackroles.agents.gate.model import ChildMove, Object, Rules
from stackroles.agents.gate.process import ChildProcess, describe, exit_code
from stackroles.agents.gate.protocol import ClaimSettings, GateSettings, Standby
from stackroles.agents.kube_api import CONFLICT, ApiError, KubeApi

# The longest that a decision which depends on time alone is late.
TICK = 0.2


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request to the API that was sent at a time of CLOCK_BOOTTIME."""

    ask: Ask
    sent: float
    found: Object | Exception


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Whether a run of the child can serve."""

    run: int
    healthy: bool


Event = Answer | HealthReport | None
Events = queue.SimpleQueue[Event]


def boottime() -> float:
    """Return CLOCK_BOOTTIME in seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def log(text: str) -> None:
    """Write a line to the log."""
    print(f"gate: {text}", file=sys.stderr, flush=True)


class LeaseClient:
    """Asks the API in a thread of its own, one request after the other."""

    def __init__(self, api: KubeApi, claim: ClaimSettings, events: Events) -> None:
        self._api, self._events = api, events
        self._path = lease.path(claim.namespace, claim.lease)
        # Three attempts before the claim ends.
        self._seconds = claim.renew_deadline_seconds / 3
        self._asks: queue.SimpleQueue[Ask] = queue.SimpleQueue()

    def start(self) -> None:
        """Begin to answer, until the process ends."""
        threading.Thread(target=self._answer_always, daemon=True).start()

    def put(self, ask: Ask) -> None:
        """Send a request; its answer becomes an event."""
        self._asks.put(ask)

    def _answer_always(self) -> None:
        while True:
            ask = self._asks.get()
            # A claim counts from here: the server may write at once and answer late.
            sent = boottime()
            try:
                found: Object | Exception = self._request(ask)
            except Exception as error:  # the deciding thread ends by others than OSError
                found = error
            self._events.put(Answer(ask, sent, found))

    def _request(self, ask: Ask) -> Object:
        if ask.body is None:
            return self._api.get(self._path, seconds=self._seconds)
        return self._api.update(self._path, ask.body, seconds=self._seconds)


class Gate:
    """The deciding thread: the member, its child, and what is under way."""

    def __init__(self, settings: GateSettings, identity: str, api: KubeApi | None) -> None:
        """Take what the operator gave.

        Args:
            settings: the settings.
            identity: the holder's name on the Lease.
            api: None for ActiveActive.
        """
        self._settings = settings
        self._events: Events = queue.SimpleQueue()
        self.member = Member(identity, Rules.of(settings), boottime())
        self._child: ChildProcess | None = None
        self._run = 0
        self._stop = False
        self._said = ""
        self._last_status = 0
        self._health = (
            HealthWatch(
                settings.health,
                REPLACEABLE if self.member.rules.standby is Standby.HOT else BUSY,
                lambda *seen: self._events.put(HealthReport(*seen)),
            )
            if settings.health
            else None
        )
        claim = settings.claim
        self._leases = LeaseClient(api, claim, self._events) if api and claim else None

    def run(self) -> int:
        """Run until the child of ActiveActive ends, or SIGTERM is carried out.

        Returns:
            The exit status.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._begin_stop())
        signal.signal(signal.SIGCHLD, lambda *_: self._events.put(None))
        serve(self._settings.port, self.member, boottime)
        for thread in (self._health, self._leases):
            if thread is not None:
                thread.start()
        while (status := self._step()) is None:
            self._take_events()
        return status

    def _begin_stop(self) -> None:
        self._stop = True
        self._events.put(None)  # reentrant, as a handler's must be

    def _take_events(self) -> None:
        try:
            event = self._events.get(timeout=TICK)
            while True:
                self._take(event)
                event = self._events.get_nowait()
        except queue.Empty:
            pass

    def _take(self, event: Event) -> None:
        if isinstance(event, HealthReport) and event.run == self._run:
            self.member.health(healthy=event.healthy, now=boottime())
        if not isinstance(event, Answer):
            return
        if isinstance(event.found, OSError):
            conflict = isinstance(event.found, ApiError) and event.found.status == CONFLICT
            self.member.failed(str(event.found), conflict=conflict)
        elif isinstance(event.found, Exception):
            raise event.found
        else:
            self.member.answered(event.ask, event.sent, event.found, boottime())

    def _step(self) -> int | None:
        """Decide once; return the exit status when this gate is done."""
        wall = datetime.now(UTC)
        if self._stop:
            self.member.stop(boottime(), wall)
        self._observe_child()
        if self._run and self._child is None and self._settings.claim is None:
            return exit_code(self._last_status)
        self.member.tick(boottime(), wall)
        self._move_child()
        ask = self.member.ask(boottime(), wall)
        if ask is not None and self._leases is not None:
            self._leases.put(ask)
        self._announce()
        return 0 if self.member.may_exit(boottime()) else None

    def _observe_child(self) -> None:
        child = self._child
        children.reap(child.awaited if child else set())
        if child is None:
            return
        if child.leader_ended():
            # What is left of it takes no requests while it is killed.
            self.member.health(healthy=False, now=boottime())
            self._last_status = child.finish()
            self._child = None
            if self._health:
                self._health.follow(0)
            how = describe(self._last_status)
            log(f"the program ended {how}")
            self.member.ended(how, boottime())
        elif child.watchdog_lost() and self.member.child.asked is None:
            log("the watchdog is gone: the program is killed")
            self.member.terminated(boottime())
            child.kill()
        elif self._settings.health is None and child.begun:
            self.member.health(healthy=True, now=boottime())
        elif self._settings.health and self.member.own.stopping:
            self.member.backlog(waits=waiting(self._settings.health.port) > 0)

    def _move_child(self) -> None:
        member, now = self.member, boottime()
        move = member.move(now)
        until = decision.deadline(member.own, now, member.rules)
        if move is ChildMove.START:
            self._run += 1
            log(f"starts {self._settings.command[0]}")
            cold = member.rules.cold
            self._child = ChildProcess(self._settings.command, until if cold else None)
            member.started(now)
            if self._health:
                self._health.follow(self._run)
        if self._child is None:
            return
        if move is ChildMove.KILL:
            self._child.kill()
        elif move is ChildMove.TERMINATE:
            member.terminated(now)
            self._child.terminate()
        else:
            self._child.arm(until)

    def _announce(self) -> None:
        """Log what a person would want to find there."""
        status = self.member.status(boottime())
        text = f"{status.state}; holder {status.holder or 'none'}"
        if self.member.own.leaving or self.member.own.trouble:
            text += f"; {status.message}"
        if text != self._said:
            self._said = text
            log(text)


def check(settings: GateSettings) -> None:
    """Refuse settings under which two members could run at once, or none.

    Raises:
        ValueError: says what is wrong.
    """
    claim = settings.claim
    if claim is None:
        return
    if not 0 < claim.retry_seconds < claim.renew_deadline_seconds < claim.duration_seconds:
        raise ValueError("retry_seconds < renew_deadline_seconds < duration_seconds must hold")
    if claim.standby is Standby.HOT and settings.health is None:
        raise ValueError("a hot standby needs health: it takes requests by HTTP only")


def identity(environment: Mapping[str, str]) -> str:
    """Return this attempt's name on the Lease: a restarted container is not its former self."""
    attempt = uuid.uuid4().hex[:8]
    return f"{environment['POD_NAME']}_{environment['POD_UID']}_{attempt}"


def main(arguments: Sequence[str]) -> int:
    """Run the gate by the settings in a file; return its exit status."""
    settings = wire.loads(GateSettings, Path(arguments[0]).read_bytes())
    check(settings)
    if settings.claim is None:
        return Gate(settings, "", None).run()
    return Gate(settings, identity(os.environ), KubeApi.in_pod(os.environ)).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
