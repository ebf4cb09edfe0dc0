"""Gates, watchdogs, children and one Lease server, simulated: every fault at any moment.

The gates are `Member`s, the code that also runs in pods. Time goes in steps; between two steps
every process that is able to has acted.
"""

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from math import inf
from typing import Any

from stackroles.agents.gate import decision
from stackroles.agents.gate.member import Ask, Member
from stackroles.agents.gate.model import ChildMove, Rules
from stackroles.agents.gate.protocol import SWITCHOVER, Standby

STEP = 0.25
RULES = Rules(
    standby=Standby.COLD, duration=8.0, deadline=6.0, retry=1.5, drain=2.0, stop=3.0
)  # the defaults
TIMEOUT = RULES.deadline / 3
ACKNOWLEDGED = 3.0  # process.py: a watchdog that has not answered for longer is frozen


class Process(Enum):
    """A process of a pod."""

    RUNS = "runs"
    STOPPED = "stopped"
    DEAD = "dead"


class Conflict(Exception):  # noqa: N818
    """Somebody wrote in between."""


class Server:
    """The Lease, and who may write it."""

    def __init__(self) -> None:
        self.version = 0
        self.uid = 0
        self.up = True
        self.lease: dict[str, Any] = {}
        self.recreate()

    def recreate(self) -> None:
        """Make the Lease, as the operator does, also after somebody deleted it."""
        self.uid += 1
        self.write({"metadata": {"uid": str(self.uid)}, "spec": {}})

    def write(self, lease: dict[str, Any]) -> None:
        self.version += 1
        self.lease = copy.deepcopy(lease)
        self.lease["metadata"]["resourceVersion"] = str(self.version)

    def annotate(self) -> None:
        """Request a switchover."""
        lease = copy.deepcopy(self.lease)
        lease["metadata"].setdefault("annotations", {})[SWITCHOVER] = "a test"
        self.write(lease)

    def do(self, ask: Ask) -> dict[str, Any]:
        """Carry out a request; raises OSError or Conflict."""
        if not self.up:
            raise OSError("503")
        if ask.body is not None:
            if ask.body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                raise Conflict
            self.write(ask.body)
        return copy.deepcopy(self.lease)


@dataclass
class Flight:
    """A request under way, and what comes back."""

    ask: Ask
    sent: float  # by the pod's clock
    began: float
    arrives: float
    takes: float  # the answer's way back; inf: it is lost
    back: float = inf
    result: dict[str, Any] | Exception | None = None


@dataclass
class Pod:
    """One pod: its gate, watchdog and child as processes, its clocks, its network."""

    number: int
    offset: float
    rate: float
    gate: Process = Process.DEAD
    dog: Process = Process.DEAD
    frozen: bool = False
    exists: bool = False  # the child's process
    begun: bool = False  # it became its program
    armed: float = inf
    pipe: list[float] = field(default_factory=list)
    unanswered: float = inf
    term: float = inf  # when a child that was asked ends
    deaf: bool = False
    request_takes: float = 0.0
    answer_takes: float = 0.0
    wall: float = 0.0
    attempt: int = 0
    restarts: float = 0.0
    member: Member = field(init=False)
    flights: list[Flight] = field(default_factory=list)
    current: Flight | None = None

    def boottime(self, now: float) -> float:
        return self.offset + now * self.rate

    def wall_clock(self, now: float) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=now + self.wall)

    @property
    def executes(self) -> bool:
        """Whether the child does anything now."""
        return self.exists and self.begun and not self.frozen


class World:
    """All of it."""

    def __init__(self, pods: int) -> None:
        self.now = 0.0
        self.server = Server()
        self.pods = [Pod(n, offset=1000.0 * n, rate=1 + (n - 1) * 0.01) for n in range(pods)]
        self.gate_first = False

    def step(self) -> None:
        """Let one step of time pass."""
        self.now += STEP
        arrived = [(f.arrives, n, f) for n, p in enumerate(self.pods) for f in p.flights]
        for _, _, flight in sorted(arrived, key=lambda item: item[:2]):
            if flight.result is None and flight.arrives <= self.now:
                try:
                    flight.result = self.server.do(flight.ask)
                except (OSError, Conflict) as error:
                    flight.result = error
                flight.back = self.now + flight.takes
        for pod in self.pods:
            pod.flights = [f for f in pod.flights if f.result is None or f is pod.current]
            if pod.gate is Process.DEAD and not pod.exists and self.now >= pod.restarts:
                self.boot(pod)
            if not pod.frozen:
                actors = [self._watch, self._decide]
                for act in reversed(actors) if self.gate_first else actors:
                    act(pod)
        running = [pod.number for pod in self.pods if pod.executes]
        assert len(running) < 2, f"at {self.now} the children of {running} run"

    def boot(self, pod: Pod) -> None:
        """Start the container."""
        pod.attempt += 1
        identity = f"pod-{pod.number}_u_{pod.attempt}"
        pod.member = Member(identity, RULES, pod.boottime(self.now))
        pod.gate, pod.dog, pod.frozen, pod.current = Process.RUNS, Process.DEAD, False, None

    def _watch(self, pod: Pod) -> None:
        if pod.dog is Process.RUNS:
            if pod.pipe:
                pod.armed, pod.pipe, pod.unanswered = pod.pipe[-1], [], inf
            if pod.gate is Process.DEAD or pod.boottime(self.now) >= pod.armed:
                pod.exists, pod.dog = False, Process.DEAD
        if pod.exists and self.now >= pod.term:
            pod.exists = False

    def _decide(self, pod: Pod) -> None:
        """Do what agent.py's loop does once."""
        if pod.gate is not Process.RUNS:
            return
        bt, wall, member = pod.boottime(self.now), pod.wall_clock(self.now), pod.member
        self._receive(pod, bt)
        if member.child.running:
            self._observe_child(pod, bt)
        member.tick(bt, wall)
        self._move_child(pod, bt)
        ask = member.ask(bt, wall)
        if ask is not None:
            pod.current = Flight(ask, bt, self.now, self.now + pod.request_takes, pod.answer_takes)
            pod.flights.append(pod.current)
        if member.may_exit(bt):
            self.kill_gate(pod)

    def _receive(self, pod: Pod, bt: float) -> None:
        """Take an answer; after a stop its bytes may be there before the time-out is noticed."""
        flight = pod.current
        if flight is None:
            return
        if flight.result is not None and self.now >= flight.back:
            pod.current = None
            if isinstance(flight.result, Exception):
                conflict = isinstance(flight.result, Conflict)
                pod.member.failed("refused", conflict=conflict)
            else:
                pod.member.answered(flight.ask, flight.sent, flight.result, bt)
        elif self.now >= flight.began + TIMEOUT:
            pod.current = None
            pod.member.failed("timed out")

    def _observe_child(self, pod: Pod, bt: float) -> None:
        member = pod.member
        if not pod.exists:
            pod.dog = Process.DEAD
            member.ended("somehow", bt)
        elif pod.dog is Process.DEAD or self.now >= pod.unanswered + ACKNOWLEDGED:
            member.terminated(bt)
            pod.exists = False
        else:
            if pod.unanswered == inf:
                pod.begun = True
            member.health(healthy=pod.begun, now=bt)

    def _move_child(self, pod: Pod, bt: float) -> None:
        move = pod.member.move(bt)
        until = decision.deadline(pod.member.own, bt, RULES)
        if move is ChildMove.START:
            assert not pod.exists
            pod.exists, pod.begun, pod.term, pod.armed = True, False, inf, inf
            pod.dog, pod.pipe, pod.unanswered = Process.RUNS, [until], self.now
            pod.member.started(bt)
        elif move is ChildMove.KILL:
            pod.exists = False
        elif move is ChildMove.TERMINATE:
            pod.member.terminated(bt)
            pod.term = inf if pod.deaf else self.now + 1.0
        elif pod.exists and (pod.pipe[-1] if pod.pipe else pod.armed) != until:
            pod.pipe.append(until)
            pod.unanswered = min(pod.unanswered, self.now)

    def kill_gate(self, pod: Pod) -> None:
        """Kill the gate; its container is started again later."""
        pod.gate, pod.current, pod.restarts = Process.DEAD, None, self.now + 3.0
        if pod.dog is not Process.RUNS:
            pod.exists = False  # the end of PID 1 ends its container

    def heal(self) -> None:
        """End all faults."""
        self.server.up = True
        for pod in self.pods:
            pod.frozen = pod.deaf = False
            pod.request_takes = pod.answer_takes = 0.0
            if pod.gate is Process.STOPPED:
                pod.gate = Process.RUNS
            if pod.dog is Process.STOPPED:
                pod.dog = Process.RUNS
