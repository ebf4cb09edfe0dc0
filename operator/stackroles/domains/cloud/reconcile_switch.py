"""Changes of a role's clustering while it runs: what is applied of it in between."""

from collections.abc import Collection, Iterable
from typing import Any

from stackroles.config.cloud import Cloud
from stackroles.kube.cluster import Cluster
from stackroles.roles import endpoint
from stackroles.roles.clustering import workload_of
from stackroles.roles.definition import RoleDefinition, Workload
from stackroles.workloads.manifests.metadata import selector
from stackroles.workloads.manifests.service import lead_to_members
from stackroles.workloads.pod import is_gated

Object = dict[str, Any]

# Which kind controls the pods of a workload.
_CONTROLLERS = {Workload.STATEFUL_SET: "StatefulSet", Workload.DEPLOYMENT: "ReplicaSet"}


def adapt(
    cluster: Cluster,
    cloud: Cloud,
    role: RoleDefinition,
    children: Iterable[Object],
    serving: Collection[str],
) -> list[Object]:
    """Return a role's children as they can be applied now.

    Its Service leads to the proxies once they serve and every member has the gate that they ask.
    Its workload waits for the pods of one of another kind to end, with which it shares a volume;
    that one is no longer wanted, and removed.

    Args:
        cluster: what runs.
        cloud: the cloud as declared.
        role: the role.
        children: as `build_role` made them.
        serving: the roles that have served.
    """
    pods = cluster.list("Pod", cloud.namespace, selector(cloud, role.name))
    direct = role.endpoint and not (endpoint.NAME in serving and all(map(is_gated, pods)))
    waits = bool(role.volume and role.clustering.standby) and _has_former(role, cloud, pods)
    name, adapted = cloud.workload(role.name), []
    for child in children:
        if direct and (child["kind"], child["metadata"]["name"]) == ("Service", name):
            adapted.append(lead_to_members(cloud, role, child))
        elif not (waits and child["kind"] in _CONTROLLERS):
            adapted.append(child)
    return adapted


def _has_former(role: RoleDefinition, cloud: Cloud, pods: Iterable[Object]) -> bool:
    """Return whether pods run that a workload of another kind controls."""
    wanted = _CONTROLLERS[workload_of(role, cloud)]
    owners = [o for pod in pods for o in pod["metadata"].get("ownerReferences", ())]
    return any(owner["kind"] != wanted for owner in owners if owner.get("controller"))
