"""Services."""

from typing import Any

from stackroles.agents.gate.protocol import PORT as GATE_PORT
from stackroles.config.owner import Owner
from stackroles.roles import endpoint
from stackroles.roles.container import Port
from stackroles.roles.definition import RoleDefinition
from stackroles.roles.endpoint import members_service
from stackroles.workloads.manifests.metadata import Manifest, labels, metadata, selector


def published_ports(role: RoleDefinition) -> tuple[Port, ...]:
    """Return the ports that others reach through the role's Service."""
    return tuple(p for c in role.containers for p in c.ports if p.published)


def build_services(owner: Owner, role: RoleDefinition) -> list[Manifest]:
    """Return the role's Services, none for a role that nobody calls.

    A headless one gives every member a name and publishes members that are not ready yet: they must
    find each other to become so. The Service of a role behind the endpoint leads to the proxies;
    they find its members by a second one.
    """
    ports = published_ports(role)
    if not ports:
        return []
    if not role.endpoint:
        return [_service(owner, role, owner.workload(role.name), ports, headless=role.headless)]
    called = tuple(port for port in ports if port.number != GATE_PORT)
    service = _service(owner, role, owner.workload(role.name), called)
    service["spec"]["selector"] = selector(owner, endpoint.NAME)
    members = _service(owner, role, members_service(owner, role.name), ports, headless=True)
    return [service, members]


def lead_to_members(owner: Owner, role: RoleDefinition, service: Manifest) -> Manifest:
    """Return the Service of a role behind the endpoint while the proxies do not serve it yet."""
    return {**service, "spec": {**service["spec"], "selector": selector(owner, role.name)}}


def _service(
    owner: Owner,
    role: RoleDefinition,
    name: str,
    ports: tuple[Port, ...],
    *,
    headless: bool = False,
) -> Manifest:
    spec: dict[str, Any] = {
        "type": "ClusterIP",
        "selector": selector(owner, role.name),
        "ports": [
            {"name": p.name, "port": p.number, "targetPort": p.number, "protocol": p.protocol}
            for p in ports
        ],
    }
    if headless:
        spec |= {"clusterIP": "None", "publishNotReadyAddresses": True}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(owner, name, labels(owner, role.name, role.service)),
        "spec": spec,
    }
