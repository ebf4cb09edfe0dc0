"""How the brokers stand, as far as it shows in a cloud's status."""

from collections.abc import Mapping
from dataclasses import dataclass

from stackroles.agents.broker.protocol import BrokerStatus
from stackroles.api.v1alpha1.cloud_controller import CloudControllerStatus
from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.roles.topology import DEFAULT
from stackroles.workloads.conditions import Finding

MESSAGING = DEFAULT.broker.name


@dataclass(frozen=True, slots=True)
class MessagingState:
    """How the messaging cluster stands.

    Attributes:
        problem: what keeps members out of it that needs a person, None where nothing does.
    """

    problem: Finding | None = None


def assess_brokers(reports: Mapping[str, BrokerStatus | None]) -> MessagingState:
    """Return how the messaging cluster stands by its members' reports.

    Args:
        reports: by pod name; None without an answer.
    """
    messages = [f"{r.message}." for _, r in sorted(reports.items()) if r and r.message]
    if not messages:
        return MessagingState()
    return MessagingState(Finding(Reason.MESSAGING_BLOCKED, " ".join(messages)))


def remembered_messaging(previous: CloudControllerStatus) -> MessagingState:
    """Return how it stood by a cloud's status: what is known of it when an operator begins."""
    kind = ConditionType.PROGRESSING
    progressing = next((c for c in previous.conditions if c.type == kind), None)
    role = next((role for role in previous.roles if role.name == MESSAGING), None)
    if progressing is None or progressing.reason != Reason.MESSAGING_BLOCKED.value or role is None:
        return MessagingState()
    return MessagingState(Finding(Reason.MESSAGING_BLOCKED, role.message or progressing.message))
