"""What a gate knows of itself, its child and the Lease; values without I/O or clock.

Times are seconds of this machine's CLOCK_BOOTTIME, which also counts while a machine sleeps and is
never set.
"""

from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Any

from stackroles.agents.gate.protocol import GateSettings, OnApiLoss, Standby

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What of the settings decides.

    Attributes:
        standby: None for ActiveActive.
        keep: a holder that cannot renew goes on.
        duration: unchanged for so long, a Lease has expired to the others.
        deadline: counted from a renewal's request, when a cold child must be dead.
        retry: between two requests.
        drain: how long the proxies may take to notice a change.
        stop: between SIGTERM and SIGKILL.
    """

    standby: Standby | None
    keep: bool = False
    duration: float = 0.0
    deadline: float = 0.0
    retry: float = 0.0
    drain: float
    stop: float

    @classmethod
    def of(cls, settings: GateSettings) -> "Rules":
        """Return those of a member."""
        claim, drain, stop = settings.claim, settings.drain_seconds, settings.stop_seconds
        if claim is None:
            return cls(standby=None, drain=drain, stop=stop)
        return cls(
            standby=claim.standby,
            keep=claim.on_api_loss is OnApiLoss.KEEP,
            duration=claim.duration_seconds,
            deadline=claim.renew_deadline_seconds,
            retry=claim.retry_seconds,
            drain=drain,
            stop=stop,
        )

    @property
    def cold(self) -> bool:
        """Whether the child runs only while the Lease is held."""
        return self.standby is Standby.COLD

    @property
    def grace(self) -> float:
        """How long before the deadline the child is asked to end."""
        return self.deadline / 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A Lease as the server last sent it.

    Attributes:
        version: its resourceVersion: while that is the same, nobody has written.
        holder: who holds it, "" when it was given back or never taken.
        held_before: whether anybody ever held it.
        duration: how long it holds without being written.
        request: the reason of a requested switchover, "" without one.
        at: when this version was first seen.
        lease: all of it.
    """

    version: str
    holder: str
    held_before: bool
    duration: float
    request: str
    at: float
    lease: Object = field(compare=False, repr=False)

    def expired(self, now: float) -> bool:
        """Return whether its holder must have ended its child by now."""
        return now >= self.at + self.duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """Why a member gives the Lease up, or may not take it.

    Attributes:
        reason: for a person.
        since: when that was decided.
        at: the same by the wall clock, for people.
        wait: how long it leaves the Lease to others, once released.
        stopping: it ends, and takes the Lease never again.
        released: when the Lease was given up; None before.
    """

    reason: str
    since: float
    at: str
    wait: float
    stopping: bool = False
    released: float | None = None

    def taken_back(self, now: float) -> bool:
        """Return whether the others have had the time to take the Lease."""
        return self.released is not None and now >= self.released + self.wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A member's own claim.

    Attributes:
        identity: the holder's name on the Lease; another one for each attempt.
        seen: the Lease; None before the first answer.
        stale: what happened to the last request is not known, or somebody else wrote.
        conflict: it is known that somebody else wrote.
        asked: when the last request was sent.
        held: this attempt took the Lease, and neither gave it up nor saw another holder since.
        until: when the claim ends that the last renewal made.
        leaving: set while it gives the Lease up.
        not_before: it does not take the Lease earlier.
        overlap: until when a hot member takes requests although it has given the Lease up.
        trouble: why the last request failed, for a person.
    """

    identity: str
    seen: Sighting | None = None
    stale: bool = False
    conflict: bool = False
    asked: float = -inf
    held: bool = False
    until: float = -inf
    leaving: Leaving | None = None
    not_before: float = -inf
    overlap: float = -inf
    trouble: str = ""

    @property
    def stopping(self) -> bool:
        """Whether this member ends."""
        return self.leaving is not None and self.leaving.stopping

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last seen; "" for nobody."""
        return self.seen.holder if self.seen else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """The child as it was last seen.

    Attributes:
        running: whether any process of it runs.
        since: when it was started, or ended.
        healthy: whether it can serve.
        backlog: whether connections wait that it has not accepted.
        health_since: since when that is so.
        was_healthy: whether it was in this run.
        asked: when it was sent SIGTERM; None before.
        ends: how often in a row it ended by itself soon after its start.
        last_end: how it last ended by itself, for a person.
        not_before: it is not started earlier.
    """

    running: bool = False
    since: float = -inf
    healthy: bool = False
    backlog: bool = False
    health_since: float = -inf
    was_healthy: bool = False
    asked: float | None = None
    ends: int = 0
    last_end: str = ""
    not_before: float = -inf


class Request(Enum):
    """What to ask of the Kubernetes API."""

    LOOK = "look"
    TAKE = "take"
    RENEW = "renew"
    RELEASE = "release"


class ChildMove(Enum):
    """What to do with the child."""

    NONE = "none"
    START = "start"
    TERMINATE = "terminate"
    KILL = "kill"
