"""What a gate, its probes, the proxies and the operator say to each other.

The operator gives the GateSettings as a file; the gate answers a GateStatus at the path that all
agents have (status_protocol.py), always with 200: that it answers at all is the gate's liveness.
The kubelet's path there is 200 while the gate is healthy and settled, active or not. Between gates
is the Lease: the operator makes it, and a gate may only get and update that one.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from stackroles.agents.wire import OPTIONAL, key

PORT: Final = 9301
# HAProxy's check: 200 while this member takes requests, 404 while it drains or stops, else 503.
SERVING_PATH: Final = "/serving"

# Annotations of the Lease. A request holds the reason as text; who carries it out removes it.
SWITCHOVER: Final = "stackroles.io/switchover"
# A Switchover as JSON; who takes the Lease completes it.
LAST_SWITCHOVER: Final = "stackroles.io/last-switchover"


# How long connections that the child has not accepted yet may keep it from its end.
BACKLOG_SECONDS: Final = 30.0


class Standby(StrEnum):
    """What a member without the Lease does."""

    HOT = "Hot"  # its child runs; only the endpoint sends it nothing
    COLD = "Cold"  # its child does not run


class OnApiLoss(StrEnum):
    """What a holder does that cannot renew."""

    STOP = "Stop"
    # Goes on as long as it sees no other holder: only beside a fence of the resource itself.
    KEEP = "Keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Where the child answers 200 to 399 while it can serve."""

    port: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSettings:
    """How a member of an ActivePassive role competes.

    Attributes:
        lease: name of the Lease.
        namespace: where it is.
        standby: what a member without it does.
        duration_seconds: unchanged for so long, a Lease has expired to the others.
        renew_deadline_seconds: counted from the request of the last renewal, when a cold member's
            child has been killed; less than `duration_seconds`.
        retry_seconds: between two looks at the Lease, or two renewals.
        on_api_loss: what a holder does that cannot renew.
    """

    lease: str
    namespace: str
    standby: Standby
    duration_seconds: int = field(default=8, metadata=OPTIONAL)
    renew_deadline_seconds: float = field(default=6.0, metadata=OPTIONAL)
    retry_seconds: float = field(default=1.5, metadata=OPTIONAL)
    on_api_loss: OnApiLoss = field(default=OnApiLoss.STOP, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What the operator gives.

    A pod's grace period must cover `longest_stop`.

    Attributes:
        command: the child, a program and its arguments.
        health: how the child is asked; None for a role without HTTP, which is healthy while it
            runs.
        drain_seconds: how long the proxies may take to notice that this member leaves.
        stop_seconds: between the child's SIGTERM and SIGKILL.
        claim: None for ActiveActive, which needs no Lease and no access to the Kubernetes API.
        port: the gate's own.
    """

    command: tuple[str, ...]
    health: Health | None
    drain_seconds: float
    stop_seconds: float
    claim: ClaimSettings | None = field(default=None, metadata=OPTIONAL)
    port: int = field(default=PORT, metadata=OPTIONAL)

    @property
    def longest_stop(self) -> float:
        """Seconds from SIGTERM to the gate's exit at the most."""
        # Until a successor serves, and until it is known that the Lease was given back.
        handover = 1.5 * self.claim.duration_seconds if self.claim else 0.0
        return handover + self.drain_seconds + BACKLOG_SECONDS + self.stop_seconds + 2.0


class State(StrEnum):
    """What a member is."""

    STANDBY = "Standby"
    ACTIVATING = "Activating"  # its child starts, or does not answer yet
    ACTIVE = "Active"
    STOPPING = "Stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switchover:
    """A change of the holder.

    Attributes:
        source: the pod that held the Lease; "" when it is not known.
        target: the pod that took it; "" while none has.
        at: when it was given up or taken, in RFC 3339.
        reason: why, for a person.
        duration: seconds without an active member; None while there is none, or if not known.
    """

    source: str = field(metadata=key("from"))
    target: str = field(metadata=key("to"))
    at: str
    reason: str
    duration: float | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateStatus:
    """What a gate answers.

    Attributes:
        state: what this member is.
        holder: the pod that holds the Lease, or `operator/...`; "" when none does, or in
            ActiveActive.
        since: seconds since this member is in this state.
        transitions: how often the Lease's holder has changed; 0 in ActiveActive.
        last_switchover: the last change of the holder that is on the Lease.
        message: what a person should know; "" when there is nothing.
    """

    state: State
    holder: str
    since: float
    transitions: int = 0
    last_switchover: Switchover | None = field(
        default=None, metadata=key("lastSwitchover", optional=True)
    )
    message: str = ""
