"""Services."""

from typing import Any

from stackroles.config.owner import Owner
from stackroles.roles.container import Port
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.manifests.metadata import Manifest, labels, metadata, selector


def published_ports(role: RoleDefinition) -> tuple[Port, ...]:
    """Return the ports that others reach through the role's Service."""
    return tuple(p for c in role.containers for p in c.ports if p.published)


def build_service(owner: Owner, role: RoleDefinition) -> Manifest | None:
    """Return the role's Service, None for a role that nobody calls.

    A headless one gives every member a name and publishes members that are not ready yet: they must
    find each other to become so.
    """
    ports = published_ports(role)
    if not ports:
        return None
    spec: dict[str, Any] = {
        "type": "ClusterIP",
        "selector": selector(owner, role.name),
        "ports": [
            {"name": p.name, "port": p.number, "targetPort": p.number, "protocol": p.protocol}
            for p in ports
        ],
    }
    if role.headless:
        spec |= {"clusterIP": "None", "publishNotReadyAddresses": True}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(
            owner, owner.workload(role.name), labels(owner, role.name, role.service)
        ),
        "spec": spec,
    }
