"""What the operator and the agent of an endpoint say to each other.

The operator gives the EndpointSettings as a file; the agent answers an EndpointStatus.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from stackroles.agents.wire import OPTIONAL

# The agent's own.
PORT: Final = 9302
# On the Service whose EndpointSlices name a role's members, from where Kubernetes copies it to
# these: requests for the role are refused. Its value is the name of the Restore that says so.
PAUSED_LABEL: Final = "stackroles.io/paused-by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One role behind the endpoint.

    Attributes:
        name: the role, also the name of HAProxy's backend.
        service: the Service whose EndpointSlices name its members.
        port: where the members listen.
        listen: where the endpoint listens for them.
        slots: servers of the backend, named s1, s2 and so on: how many members it can have.
    """

    name: str
    service: str
    port: int
    listen: int
    slots: int

    @property
    def variable(self) -> str:
        """The environment variable in which HAProxy finds the number of its listening socket."""
        return f"LISTEN_{self.listen}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """What the operator gives.

    A pod's grace period must cover `drain_seconds` and `stop_seconds`.

    Attributes:
        namespace: where the EndpointSlices are.
        backends: the roles behind the endpoint.
        command: HAProxy and its arguments; it inherits the listening socket of each backend.
        socket: path of its runtime socket.
        port: the agent's own.
        drain_seconds: how long connections are still accepted after SIGTERM, until every node has
            withdrawn this pod from its Services.
        stop_seconds: how long the sessions that are left then may take.
        paused_map: HAProxy's map of the backends that are paused, as its configuration names it;
            "" when it has none.
    """

    namespace: str
    backends: tuple[Backend, ...]
    command: tuple[str, ...]
    socket: str
    port: int
    drain_seconds: float
    stop_seconds: float
    paused_map: str = field(default="", metadata=OPTIONAL)

    @property
    def selector(self) -> str:
        """The label selector of the EndpointSlices of all backends."""
        services = ",".join(sorted({backend.service for backend in self.backends}))
        return f"kubernetes.io/service-name in ({services})"


class MemberState(StrEnum):
    """What a member is to HAProxy."""

    UP = "Up"
    # It does not answer as serving: it starts, stands by, or is gone.
    DOWN = "Down"
    # Requests under way are completed.
    DRAINING = "Draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """What the agent answers.

    Attributes:
        members: of each backend, the members by address.
        message: what a person should know; "" when there is nothing.
        paused: of each backend whose requests are refused, the name of the Restore that says so.
    """

    members: Mapping[str, Mapping[str, MemberState]] = field(default_factory=dict)
    message: str = ""
    paused: Mapping[str, str] = field(default_factory=dict, metadata=OPTIONAL)
