"""A user's consent to go on without what lost members held: `spec.roles.<role>.recovery`."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.cloud import Cloud

_PROPOSAL = re.compile(r"\{from: (\S+), incident: ([0-9a-f]{8})\}")


def proposed(message: str) -> tuple[str, str]:
    """Return the member and the incident of the only consent that a condition's message names."""
    [(member, incident)] = _PROPOSAL.findall(message)
    return member, incident


def give(cloud: Cloud, role: str, member: str, incident: str) -> None:
    """Consent to go on from a member."""
    _patch(cloud, role, {"from": member, "incident": incident})


@contextmanager
def withdrawn(cloud: Cloud, role: str) -> Iterator[None]:
    """Leave no consent behind."""
    try:
        yield
    finally:
        _patch(cloud, role, None)


def lose(cloud: Cloud, lost: list[str]) -> None:
    """Take the volumes and pods of some members at once."""
    claims = [f"data-{member}" for member in lost]
    cloud.kubectl.run("delete", "pvc", *claims, "--wait=false")
    cloud.kubectl.run("delete", "pod", *lost, "--force", "--grace-period=0")


def lose_majority(cloud: Cloud, role: str, reason: str, seconds: float) -> tuple[str, str]:
    """Take the volumes of all members but the first; return the consent that a condition names.

    Args:
        cloud: whose role it is.
        role: the role.
        reason: of the condition Progressing, which names the lost members.
        seconds: the deadline.
    """
    survivor, *lost = cloud.members(role)
    lose(cloud, lost)
    message = cloud.wait_reason("Progressing", reason, seconds=seconds)["message"]
    member, incident = proposed(message)
    assert member == survivor
    assert all(name in message for name in lost)
    return member, incident


def _patch(cloud: Cloud, role: str, recovery: dict[str, str] | None) -> None:
    patch = {"spec": {"roles": {role: {"recovery": recovery}}}}
    cloud.kubectl.run(
        "patch", "cloudcontroller", cloud.name, "--type=merge", f"--patch={json.dumps(patch)}"
    )
