"""One service of a cloud as its own pass found it, and what services are to one another."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stackroles.domains.cloud.bringup import Graph
from stackroles.roles.definition import OpenStackService, RoleDefinition
from stackroles.workloads.conditions import Finding
from stackroles.workloads.role import RoleState
from stackroles.workloads.step import StepState


@dataclass(frozen=True, slots=True, kw_only=True)
class RolesAndSteps:
    """Roles and steps as observed.

    Attributes:
        roles: state of each role, in the order in which they are shown.
        steps: state of each step.
    """

    roles: tuple[RoleState, ...]
    steps: tuple[StepState, ...]

    @property
    def done(self) -> frozenset[str]:
        """Roles and steps that are done."""
        roles = {role.name for role in self.roles if role.done}
        return frozenset(roles | {step.node for step in self.steps if step.done})

    @property
    def present(self) -> frozenset[str]:
        """Roles that exist."""
        return frozenset(role.name for role in self.roles if role.present)

    @property
    def rolling(self) -> frozenset[str]:
        """Roles whose members are being replaced, or wait for it."""
        return frozenset(role.name for role in self.roles if role.rolling)

    @property
    def settled(self) -> bool:
        """Whether nothing is under way."""
        return all(role.complete for role in self.roles) and all(step.done for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState(RolesAndSteps):
    """A service as its last reconciliation left it.

    Attributes:
        generation: generation of the CloudController that it was applied for.
        children: records of its children, as `status.children` has them.
        failure: why not all of it was applied; None when all was.
        held: roles that have a new template and wait for their turn, with those they wait for.
    """

    generation: int
    children: tuple[Mapping[str, Any], ...] = ()
    failure: Finding | None = None
    held: Mapping[str, frozenset[str]] = field(default_factory=dict)


def nodes_of(service: OpenStackService, roles: Iterable[RoleDefinition]) -> frozenset[str]:
    """Return the roles and steps of a service, as the graph of a bring-up names them."""
    own = {role.name for role in roles if role.service == service.name}
    return frozenset(own | {f"{service.name}/{step.name}" for step in service.steps})


def dependents_of(
    service: OpenStackService,
    services: Iterable[OpenStackService],
    roles: Sequence[RoleDefinition],
    graph: Graph,
) -> tuple[str, ...]:
    """Return the other services of which some role or step needs one of this service's."""
    own = nodes_of(service, roles)
    return tuple(
        other.name
        for other in services
        if other.name != service.name and any(graph[node] & own for node in nodes_of(other, roles))
    )
