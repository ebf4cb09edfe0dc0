"""All services and roles, found by name."""

from stackroles.config.cloud import Cloud
from stackroles.config.pool import Pool
from stackroles.roles import (
    endpoint,
    glance,
    haproxy,
    keystone,
    libvirt,
    mariadb,
    memcached,
    neutron,
    node_agent,
    nova,
    nova_compute,
    openvswitch,
    ovn,
    ovn_controller,
    ovn_metadata,
    placement,
    rabbitmq,
)
from stackroles.roles.allowed_sections import AllowedSections, by_name
from stackroles.roles.definition import OpenStackService, RoleDefinition, Step

_CLIENTS: tuple[OpenStackService, ...] = (
    haproxy.SERVICE,
    endpoint.SERVICE,
    rabbitmq.SERVICE,
    memcached.SERVICE,
    keystone.SERVICE,
    glance.SERVICE,
    placement.SERVICE,
    nova.SERVICE,
    neutron.SERVICE,
    ovn.SERVICE,
)

# In the order in which they are shown to a person.
SERVICES: tuple[OpenStackService, ...] = (mariadb.service(_CLIENTS), *_CLIENTS)
# Those whose passwords and keys `spec.credentials` may bring.
CREDENTIALS: tuple[OpenStackService, ...] = (
    *(service for service in SERVICES if service.has_credentials),
    keystone.ADMINISTRATOR,
)
_APIS: tuple[RoleDefinition[Cloud], ...] = (
    keystone.KEYSTONE,
    glance.GLANCE,
    placement.PLACEMENT,
    nova.NOVA_API,
    nova.NOVA_METADATA,
    nova.NOVA_NOVNCPROXY,
    neutron.NEUTRON_API,
)
CONTROLLER_ROLES: tuple[RoleDefinition[Cloud], ...] = (
    mariadb.MARIADB,
    haproxy.HAPROXY,
    endpoint.endpoint_role(endpoint.backends_of(_APIS)),
    rabbitmq.RABBITMQ,
    memcached.MEMCACHED,
    ovn.OVN_NB,
    ovn.OVN_SB,
    ovn.OVN_NORTHD,
    *_APIS,
    nova.NOVA_CONDUCTOR,
    nova.NOVA_SCHEDULER,
    nova.NOVA_RPC_MONITOR,
    neutron.NEUTRON_PERIODIC,
    neutron.NEUTRON_MAINTENANCE,
)
COMPUTE_ROLES: tuple[RoleDefinition[Pool], ...] = (
    openvswitch.OPENVSWITCH,
    ovn_controller.OVN_CONTROLLER,
    ovn_metadata.OVN_METADATA,
    libvirt.LIBVIRT,
    nova_compute.NOVA_COMPUTE,
    node_agent.NODE_AGENT,
)

ROLES: tuple[RoleDefinition, ...] = (*CONTROLLER_ROLES, *COMPUTE_ROLES)


def service(name: str) -> OpenStackService:
    """Return a service; raises KeyError for an unknown name."""
    return {s.name: s for s in SERVICES}[name]


def role(name: str) -> RoleDefinition:
    """Return a role; raises KeyError for an unknown name."""
    return {r.name: r for r in ROLES}[name]


def steps() -> dict[str, tuple[OpenStackService, Step[Cloud]]]:
    """Return all steps by their name in the graph, "<service>/<step>"."""
    return {f"{s.name}/{step.name}": (s, step) for s in SERVICES for step in s.steps}


def accepted(roles: tuple[RoleDefinition, ...]) -> dict[str, AllowedSections]:
    """Return what each role, and each of their services, takes of `spec.config`."""
    return by_name((role.service, role.name, role.options) for role in roles)
