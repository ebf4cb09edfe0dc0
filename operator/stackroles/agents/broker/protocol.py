"""What a RabbitMQ member's agent, the other members and the operator say to each other.

The operator gives the BrokerSettings as a file; the agent answers a Status.
"""

from dataclasses import dataclass
from enum import StrEnum

PORT = 15691


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """What the operator gives: hosts of the members, ports, and where data is."""

    members: tuple[str, ...]
    port: int
    amqp_port: int
    home: str
    cookie: str

    def host(self, pod: str) -> str:
        """Return the host of a pod of this StatefulSet."""
        return f"{pod}.{self.members[0].partition('.')[2]}"


class State(StrEnum):
    """What a member is."""

    EMPTY = "empty"
    FORMING = "forming"
    STOPPED = "stopped"
    RUNNING = "running"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """What a member answers.

    Attributes:
        state: what it is; without data it is EMPTY, or FORMING once it may start.
        members: nodes of the cluster that its broker is in; empty while that does not run.
        message: what a person should know; empty when there is nothing.
    """

    state: State
    members: frozenset[str] = frozenset()
    message: str = ""
