"""Follows a RabbitMQ member's broker while its process lives.

All in the main thread: as PID 1 it reaps what programs leave behind (epmd), which must not take the
exit status of a program that another thread waits for.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stackroles.agents.broker import node
from stackroles.agents.broker.member import ASK_TIMEOUT, PAUSE, BrokerMember, log
from stackroles.agents.broker.membership import (
    Peers,
    gives_way,
    is_parted,
    may_start_first,
    other_cluster,
)
from stackroles.agents.broker.node import NodeView
from stackroles.agents.broker.protocol import BrokerMode, State
from stackroles.agents.children import reap
from stackroles.agents.signals import Wakeup
from stackroles.agents.silence import SILENT_SECONDS, Silence

WATCH_PERIOD: Final = 5.0
# A broker is asked in milliseconds; one that is starved of CPU may miss two calls.
MISSED: Final = 3
# Members join and leave in moments; a second cluster stays.
SPLIT_SEEN: Final = 3
# Nodes that meet again may still connect; those that stay parted do so for ever.
PARTED_SEEN: Final = 4
# A majority that is there waits so long for the rest.
FIRST_SECONDS: Final = 20.0
# Watch periods without a change, after which leaders are spread again.
_CALM: Final = 6
_KILL_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class End:
    """How a broker ended.

    Attributes:
        status: its exit status.
        again: whether it had served, or is to be started in another way.
        stopped: whether it was to end for good.
    """

    status: int
    again: bool
    stopped: bool


class BrokerWatch:
    """Asks the broker and the other members again and again.

    Args:
        member: whose broker it is.
        server: the broker's process.
    """

    def __init__(self, member: BrokerMember, server: "subprocess.Popen[bytes]") -> None:
        self._member = member
        self._server = server
        self._missed = 0
        self._split = 0
        self._parted = 0
        self._calm = 0
        self._silence = Silence()
        self._served = False
        self._again = False
        self._stopping = False

    def run(self) -> End:
        """Observe until the process ends."""
        wakeup = Wakeup()
        try:
            while True:
                reap({self._server.pid})
                status = self._server.poll()
                if status is not None:
                    self._note_death(status)
                    return End(status, self._again or self._served, self._stopping)
                running = self._member.status.state is State.RUNNING
                if not wakeup.wait(WATCH_PERIOD if running else PAUSE):
                    self.observe(
                        node.ask_broker(self._member.node),
                        self._member.ask_peers,
                        lambda: node.responds(self._member.node),
                    )
        finally:
            wakeup.close()

    def _note_death(self, status: int) -> None:
        """Say that a broker which served has ended by itself."""
        stopped = self._again or self._stopping or self._member.status.state is State.SPLIT
        if self._served and not stopped:
            self._member.note(f"starts its broker again, which ended with {status}")

    def stop(self) -> None:
        """End the broker for good; called by a signal's handler, so that it takes no lock."""
        self._stopping = True
        self._server.terminate()

    def observe(
        self,
        view: NodeView | None,
        ask_peers: Callable[[], Peers],
        responds: Callable[[], bool],
    ) -> None:
        """Take one answer of the broker.

        Args:
            view: what it says, None when it does not run or did not answer.
            ask_peers: returns what the other members answer, by node.
            responds: returns whether its process answers at all: a broker that has paused does.
        """
        if self._member.status.state is State.SPLIT:
            return
        answered = view is not None or (self._served and responds())
        if self._silence.hangs(time.monotonic(), answered=answered):
            seconds = f"{SILENT_SECONDS:.0f} s"
            self._member.note(f"starts its broker again, which answered nothing for {seconds}")
            self._end()
            return
        if view is None or not self._takes_clients():
            self._missed += 1
            if self._missed >= MISSED or self._member.status.state is not State.RUNNING:
                self._waits(ask_peers)
            return
        self._missed = 0
        peers = ask_peers()
        other = other_cluster(self._member.node, view.members, peers)
        if other:
            self._gives_way(view, other, peers)
        elif self._member.volume.continuing:
            self._continue(view)
        elif self._member.is_to_leave:
            self._leave(view)
        else:
            self._split = 0
            self._serves(view)
            self._rejoins(view, peers)

    def _takes_clients(self) -> bool:
        """Return whether clients can connect; one that leaves has closed its listeners."""
        return self._member.is_to_leave or listens(self._member.settings.amqp_port)

    def _waits(self, ask_peers: Callable[[], Peers]) -> None:
        """A broker that does not serve waits for others, or has paused in a minority."""
        member = self._member
        if member.status.state is State.FORMING:
            return
        member.be_stopped("it continues alone" if member.volume.continuing else "")
        decision = member.decision()
        if decision is not None and decision.mode is BrokerMode.CONTINUE:
            peers = ask_peers()
            if not any(peer and peer.state is State.RUNNING for peer in peers.values()):
                member.continue_alone(decision)
                self._end()
        elif member.seconds > FIRST_SECONDS and self._may_start_first(ask_peers):
            member.note("starts first, since a majority is there and the rest does not come")
            member.starts_first = True
            self._end()

    def _may_start_first(self, ask_peers: Callable[[], Peers]) -> bool:
        member = self._member
        # One that has served is paused in a minority, and resumes with it, or lacks CPU.
        if self._served or member.volume.continuing or member.forced:
            return False
        return may_start_first(member.node, member.volume.last_seen(), ask_peers())

    def _end(self) -> None:
        """End a broker that serves nobody: while it waits for others it may not heed SIGTERM."""
        self._again = True
        self._server.terminate()
        try:
            self._server.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)

    def _continue(self, view: NodeView) -> None:
        """Let queues go on with the members that are here, and forget the other brokers."""
        member = self._member
        if not node.shrink_queues(member.node):
            log("its queues do not go on without their other members yet")
            return
        left = [other for other in sorted(view.members - {member.node}) if not member.forget(other)]
        if left:
            log(f"not forgotten yet: {', '.join(left)}")
            return
        member.volume.end_continuing()
        log("it is the cluster now")

    def _leave(self, view: NodeView) -> None:
        """Stop for good once every queue does without a member here."""
        member = self._member
        member.be(State.RUNNING, f"{member.pod} leaves the cluster", members=view.members)
        if view.holds:
            log(f"it leaves, as the operator asks: {view.holds} queues have a member here")
            node.empty_queues(member.node)
            return
        member.leave_cluster()
        self._again = True
        self._server.terminate()

    def _serves(self, view: NodeView) -> None:
        member = self._member
        self._served = True
        member.forced = False
        member.volume.formed()
        if not view.lacks:
            member.volume.filled()
        filling = member.volume.filling
        text = f"{member.pod} has no member of {view.lacks} queues yet" if filling else ""
        member.be(
            State.RUNNING,
            text,
            members=view.members,
            running=view.running,
            partitions=view.partitions,
            alarms=view.alarms,
            disk_free=view.disk_free,
            disk_limit=view.disk_limit,
            queues=view.reported(),
            messages=view.messages,
            largest=view.largest,
        )
        self._spread(view)

    def _rejoins(self, view: NodeView, peers: Peers) -> None:
        """Start a broker again that is parted from a larger side."""
        parted = bool(view.partitions) and is_parted(self._member.node, view.running, peers)
        self._parted = self._parted + 1 if parted else 0
        if self._parted == PARTED_SEEN:
            others = ", ".join(sorted(view.partitions))
            self._member.note(f"starts its broker again, which stays parted from {others}")
            self._end()

    def _spread(self, view: NodeView) -> None:
        """Once nothing changes any more, have every broker lead some of the queues.

        One member does it, the first that runs.
        """
        whole = view.running == view.members and min(view.running) == self._member.node
        self._calm = self._calm + 1 if whole else 0
        if self._calm < _CALM:
            return
        self._calm = 0
        if view.small:
            node.spread_streams(self._member.node)
        elif min(view.leaders.values()) == 0 and sum(view.leaders.values()) >= len(view.members):
            log("not every broker leads a queue: leaders are spread")
            node.balance(self._member.node)

    def _gives_way(self, view: NodeView, other: frozenset[str], peers: Peers) -> None:
        """Stop a second cluster; clients come by name, whether a member is ready or not."""
        member = self._member
        self._split += 1
        text = (
            f"{member.pod} is in a cluster of its own ({', '.join(sorted(view.members))}) beside "
            f"that of {', '.join(sorted(other))}. Its broker is stopped"
        )
        member.be(State.RUNNING, text, members=view.members)
        if self._split < SPLIT_SEEN:
            return
        messages = node.cut_off(member.node)
        member.may_yield = messages is not None and gives_way(
            member.node, view.members, messages, peers
        )
        held = "an unknown number of" if messages is None else str(messages)
        log(f"{text}; {held} messages")
        member.note(
            f"stops its broker, which is in a cluster of its own with {held} messages beside that "
            f"of {', '.join(sorted(other))}"
        )
        member.be(State.SPLIT, f"{text}, its queues hold {held} messages", members=view.members)
        self._server.terminate()


def listens(port: int) -> bool:
    """Return whether somebody accepts connections at a port of this pod."""
    try:
        with socket.create_connection(("localhost", port), timeout=ASK_TIMEOUT):
            return True
    except OSError:
        return False
