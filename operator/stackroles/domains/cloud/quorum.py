"""Whether roles that decide by majority can lose a member; pure."""

from collections.abc import Iterable

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.conditions import Finding
from stackroles.workloads.role import RoleState


def assess_quorum(roles: Iterable[RoleDefinition], states: Iterable[RoleState]) -> Finding:
    """Return whether the loss of one more member would take the majority of some role.

    A role that is to have one member has none to spare by choice. A planned roll counts: while its
    member is away, another may be lost.

    Args:
        roles: the roles there are.
        states: how each stands; members count that are ready, by their own agents' checks.
    """
    found = {state.name: state for state in states}
    at_risk = [
        found[role.name]
        for role in roles
        if role.quorum and role.name in found and _at_risk(found[role.name])
    ]
    if not at_risk:
        return Finding(Reason.MEMBERS_TO_SPARE, "")
    named = ", ".join(f"{role.name} {role.ready}/{role.desired}" for role in at_risk)
    return Finding(
        Reason.NO_MEMBER_TO_SPARE,
        f"No member to spare: {named}. With one more that is lost, or without these, the role "
        "serves nobody. Bring the missing ones back before another one, or its node, goes away.",
    )


def _at_risk(state: RoleState) -> bool:
    majority = state.desired // 2 + 1
    return state.present and state.desired > 1 and state.ready <= majority < state.desired
