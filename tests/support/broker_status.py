"""What the agents of brokers answer, and what the brokers lack to be whole."""

import json
from typing import Any

from stackroles.agents.broker.protocol import PORT
from stackroles.agents.status_protocol import STATUS_PATH
from tests.support.cloud import Cloud


def status(cloud: Cloud, member: str) -> dict[str, Any]:
    """Return what a member's agent answers."""
    found: dict[str, Any] = json.loads(cloud.agent(member, PORT, STATUS_PATH))
    return found


def lacking(cloud: Cloud, members: list[str]) -> dict[str, str]:
    """Return member -> what it lacks, for those that lack something.

    Nothing is lacking where all brokers serve together and every queue has a member on each.
    """
    found = {member: status(cloud, member) for member in members}
    return {
        member: answer["message"] or answer["state"]
        for member, answer in found.items()
        if answer["state"] != "running"
        or len(answer["running"]) != len(members)
        or answer["message"]
        or any(queues["small"] or queues["silent"] for queues in answer["queues"].values())
    }
