"""What of a cloud is there: reads from the cache only."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from stackroles import naming
from stackroles.builders.metadata import selector
from stackroles.config.owner import Owner
from stackroles.constants import (
    ANNOTATION_CONFIG_MAPS,
    LABEL_INSTANCE,
    LABEL_NAME,
    LABEL_OWNER_KIND,
)
from stackroles.kube.cluster import Cluster
from stackroles.roles.definition import RoleDefinition
from stackroles.status.role import RoleState, observe_role

Object = dict[str, Any]


def observe_roles(
    cluster: Cluster, owner: Owner, roles: Iterable[RoleDefinition], now: datetime
) -> tuple[RoleState, ...]:
    """Return the state of each role of an owner."""
    return tuple(_observe(cluster, owner, role, now) for role in roles)


def _observe(cluster: Cluster, owner: Owner, role: RoleDefinition, now: datetime) -> RoleState:
    workload = cluster.get(role.workload.value, owner.namespace, owner.workload(role.name))
    if workload is not None and workload["metadata"].get("deletionTimestamp"):
        workload = None
    pods = cluster.list("Pod", owner.namespace, selector(owner, role.name))
    return observe_role(role, owner.members_of(role.name), workload, pods, now)


def existing_config_maps(cluster: Cluster, owner: Owner, resource: Object) -> dict[str, str]:
    """Return the ConfigMaps that a resource owns, with the role or step each belongs to."""
    return {
        found["metadata"]["name"]: found["metadata"].get("labels", {}).get(LABEL_NAME, "")
        for found in cluster.owned(resource, "ConfigMap")
        if found["metadata"]["name"] != naming.state(owner.name)
    }


def config_maps_in_use(cluster: Cluster, owner: Owner) -> frozenset[str]:
    """Return the ConfigMaps that live pods of an owner name."""
    labels = {LABEL_INSTANCE: owner.name, LABEL_OWNER_KIND: owner.owner_kind}
    used: set[str] = set()
    for pod in cluster.list("Pod", owner.namespace, labels):
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        names = pod["metadata"].get("annotations", {}).get(ANNOTATION_CONFIG_MAPS, "")
        used.update(name for name in names.split(",") if name)
    return frozenset(used)
