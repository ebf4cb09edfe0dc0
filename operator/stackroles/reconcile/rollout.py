"""Rolls that wait for a check: members of roles that a step guards."""

from datetime import datetime
from typing import Any

from stackroles.config.cloud import Cloud
from stackroles.kube.cluster import Cluster
from stackroles.roles import registry
from stackroles.roles.clustering import workload_of
from stackroles.workloads.manifests.metadata import selector
from stackroles.workloads.pod import assess_pod, is_ready
from stackroles.workloads.rolling import next_to_replace, outdated

Object = dict[str, Any]


def has_outdated(cluster: Cluster, cloud: Cloud, role: str) -> bool:
    """Return whether a role has members of an older template."""
    workload, pods = _members(cluster, cloud, role)
    return bool(outdated(workload, pods))


async def replace_outdated(
    cluster: Cluster, cloud: Cloud, role: str, *, checked: bool, now: datetime
) -> None:
    """Replace the member of a role whose turn it is, if it is anyone's.

    Args:
        cluster: the cluster.
        cloud: the cloud.
        role: the role.
        checked: whether its new template has passed its check, as of this moment.
        now: the time of the observation.
    """
    workload, pods = _members(cluster, cloud, role)
    pod = next_to_replace(
        pods,
        outdated(workload, pods),
        checked=checked,
        serves=is_ready,
        is_stuck=lambda pod: assess_pod(pod, now) is not None,
    )
    if pod is not None:
        await cluster.delete(dict(pod))


def _members(cluster: Cluster, cloud: Cloud, role: str) -> tuple[Object | None, list[Object]]:
    kind = workload_of(registry.role(role), cloud).value
    workload = cluster.get(kind, cloud.namespace, cloud.workload(role))
    pods = cluster.list("Pod", cloud.namespace, selector(cloud, role))
    return workload, sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))
