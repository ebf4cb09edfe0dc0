"""All services and roles, found by name."""

from stackroles.roles.definition import RoleDefinition, ServiceDefinition, Step

# Filled by the modules of this package, in the order in which they are shown to a person.
SERVICES: tuple[ServiceDefinition, ...] = ()
CONTROLLER_ROLES: tuple[RoleDefinition, ...] = ()
COMPUTE_ROLES: tuple[RoleDefinition, ...] = ()


def service(name: str) -> ServiceDefinition:
    """Return a service; raises KeyError for an unknown name."""
    return {s.name: s for s in SERVICES}[name]


def role(name: str) -> RoleDefinition:
    """Return a role; raises KeyError for an unknown name."""
    return {r.name: r for r in (*CONTROLLER_ROLES, *COMPUTE_ROLES)}[name]


def steps() -> dict[str, tuple[ServiceDefinition, Step]]:
    """Return all steps by their name in the graph, "<service>/<step>"."""
    return {f"{s.name}/{step.name}": (s, step) for s in SERVICES for step in s.steps}
