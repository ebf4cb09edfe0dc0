"""What a RabbitMQ member's agent answers: one form for the members and the operator."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


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

    def to_json(self) -> dict[str, Any]:
        """Return the answer's body."""
        return {
            "state": self.state.value,
            "members": sorted(self.members),
            "message": self.message,
        }

    @classmethod
    def from_json(cls, document: Any) -> "BrokerStatus":
        """Return the status in a body; raises ValueError, KeyError or TypeError for another."""
        return cls(
            state=State(document["state"]),
            members=frozenset(str(name) for name in document["members"]),
            message=str(document["message"]),
        )
