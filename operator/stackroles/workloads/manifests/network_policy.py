"""NetworkPolicies: who may reach a role."""

from typing import Any

from stackroles.config.owner import Owner
from stackroles.constants import LABEL_NAME, LABEL_PART_OF, MANAGED_BY
from stackroles.roles.container import Port
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.manifests.metadata import Manifest, labels, metadata, selector


def build_network_policy(owner: Owner, role: RoleDefinition) -> Manifest | None:
    """Return the policy of a role's ingress, None for pods in the node's own network.

    Published ports are reached by the cloud's pods and by the operator, which asks members how they
    are; by everybody only where the role says who that is. Other ports belong to the members.
    """
    if role.host_network:
        return None
    ports = [port for container in role.containers for port in container.ports]
    published = [port for port in ports if port.published]
    own = [port for port in ports if not port.published]
    ingress: list[dict[str, Any]] = []
    if published:
        rule: dict[str, Any] = {"ports": _ports(published)}
        if not role.open_because:
            rule["from"] = [
                {"podSelector": {"matchLabels": {LABEL_PART_OF: owner.cloud_name}}},
                {
                    "namespaceSelector": {},
                    "podSelector": {"matchLabels": {LABEL_NAME: MANAGED_BY}},
                },
            ]
        ingress.append(rule)
    if own:
        members = {"podSelector": {"matchLabels": selector(owner, role.name)}}
        ingress.append({"ports": _ports(own), "from": [members]})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(
            owner, owner.workload(role.name), labels(owner, role.name, role.service)
        ),
        "spec": {
            "podSelector": {"matchLabels": selector(owner, role.name)},
            "policyTypes": ["Ingress"],
            "ingress": ingress,
        },
    }


def _ports(ports: list[Port]) -> list[dict[str, Any]]:
    return [{"port": port.number, "protocol": port.protocol} for port in ports]
