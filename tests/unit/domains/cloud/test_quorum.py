"""QuorumAtRisk: said before the majority is lost."""

import pytest

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.cloud.quorum import assess_quorum
from stackroles.roles import registry
from stackroles.workloads.role import RoleState


def state(name: str, desired: int, ready: int) -> RoleState:
    return RoleState(name=name, present=True, desired=desired, ready=ready)


@pytest.mark.parametrize(
    ("desired", "ready", "at_risk"),
    [
        (3, 3, False),
        (3, 2, True),
        # The majority is lost: that is in Available, and this does not become better by it.
        (3, 1, True),
        (5, 4, False),
        (5, 3, True),
        (4, 4, False),
        (4, 3, True),
        # One member has none to spare by choice.
        (1, 1, False),
        (1, 0, False),
        # Members that are still to leave are members.
        (3, 5, False),
    ],
)
@pytest.mark.parametrize("role", ["mariadb", "rabbitmq", "ovn-nb", "ovn-sb"])
def test_a_majority_without_a_member_to_spare(
    role: str, desired: int, ready: int, at_risk: bool
) -> None:
    found = assess_quorum(registry.CONTROLLER_ROLES, [state(role, desired, ready)])
    assert found.reason is (Reason.NO_MEMBER_TO_SPARE if at_risk else Reason.MEMBERS_TO_SPARE)
    assert (f"{role} {ready}/{desired}" in found.message) is at_risk


def test_roles_without_a_majority_to_lose_do_not_count() -> None:
    found = assess_quorum(registry.CONTROLLER_ROLES, [state("nova-api", 3, 1)])
    assert found.reason is Reason.MEMBERS_TO_SPARE
