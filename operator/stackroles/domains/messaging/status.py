"""How the brokers stand, as far as it shows in a cloud's status."""

from collections.abc import Mapping

from stackroles.agents.broker.protocol import BrokerStatus
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.roles.topology import DEFAULT
from stackroles.workloads.conditions import Finding

MESSAGING = DEFAULT.broker.name


def assess_brokers(reports: Mapping[str, BrokerStatus | None]) -> Finding | None:
    """Return what keeps members out of the cluster that needs a person, None where nothing does.

    Args:
        reports: by pod name; None without an answer.
    """
    messages = [f"{r.message}." for _, r in sorted(reports.items()) if r and r.message]
    if not messages:
        return None
    return Finding(Reason.MESSAGING_BLOCKED, " ".join(messages))
