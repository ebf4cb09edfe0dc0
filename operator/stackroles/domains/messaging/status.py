"""How the brokers stand, as far as it shows in a cloud's status."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.roles.topology import DEFAULT
from stackroles.workloads.conditions import Finding

MESSAGING = DEFAULT.broker.name


@dataclass(frozen=True, slots=True)
class BrokerReport:
    """What a member's agent says.

    Attributes:
        state: "empty", "forming", "stopped", "running" or "split" (agents/broker.py).
        members: nodes of the cluster that its broker is in.
        message: what a person should know; empty when there is nothing.
    """

    state: str
    members: tuple[str, ...] = ()
    message: str = ""


def parse_report(answer: Any) -> BrokerReport | None:
    """Return an agent's answer to /status, or None when it is none."""
    if not isinstance(answer, dict):
        return None
    try:
        return BrokerReport(
            state=str(answer["state"]),
            members=tuple(sorted(str(name) for name in answer["members"])),
            message=str(answer["message"]),
        )
    except (KeyError, TypeError):
        return None


def assess_brokers(reports: Mapping[str, BrokerReport | None]) -> Finding | None:
    """Return what keeps members out of the cluster that needs a person, None where nothing does.

    Args:
        reports: by pod name; None without an answer.
    """
    said = [f"{r.message}." for _, r in sorted(reports.items()) if r and r.message]
    if not said:
        return None
    return Finding(Reason.MESSAGING_BLOCKED, " ".join(said))
