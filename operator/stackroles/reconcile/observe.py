"""What of a cloud is there: reads from the cache only."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.owner import Owner
from stackroles.constants import (
    ANNOTATION_CONFIG_MAPS,
    LABEL_COMPONENT,
    LABEL_INSTANCE,
    LABEL_NAME,
    LABEL_OWNER_KIND,
)
from stackroles.kube.cluster import Cluster
from stackroles.roles import registry
from stackroles.roles.clustering import workload_of
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.conditions import Finding
from stackroles.workloads.manifests.metadata import ownerless, selector
from stackroles.workloads.pod import default_class_missing, storage_class_missing
from stackroles.workloads.rejected_pods import FAILED_CREATE, assess_rejections, lacks_pods
from stackroles.workloads.role import RoleState, observe_role

Object = dict[str, Any]


def observe_roles(
    cluster: Cluster, owner: Owner, roles: Iterable[RoleDefinition], now: datetime
) -> tuple[RoleState, ...]:
    """Return the state of each role of an owner."""
    return tuple(_observe(cluster, owner, role, now) for role in roles)


def _observe(cluster: Cluster, owner: Owner, role: RoleDefinition, now: datetime) -> RoleState:
    kind = workload_of(role, owner).value
    workload = cluster.get(kind, owner.namespace, owner.workload(role.name))
    if workload is not None and workload["metadata"].get("deletionTimestamp"):
        workload = None
    pods = cluster.list("Pod", owner.namespace, selector(owner, role.name))
    return observe_role(role, owner.members_of(role.name), workload, pods, now)


async def explain_roles(
    cluster: Cluster, owner: Owner, states: Iterable[RoleState], now: datetime
) -> tuple[RoleState, ...]:
    """Return the states with reasons that take a read of their own, made only where one lacks.

    The scheduler only says that a volume is missing, not that its storage class is; that pods are
    rejected is shown by Events alone.
    """
    return tuple([await _explain(cluster, owner, state, now) for state in states])


async def _explain(cluster: Cluster, owner: Owner, state: RoleState, now: datetime) -> RoleState:
    if state.problem is not None and state.problem.reason is Reason.VOLUME_PENDING:
        return await _explain_volume(cluster, owner, state)
    if state.problem is not None or not state.present or state.complete:
        return state
    kind = workload_of(registry.role(state.name), owner).value
    workload = cluster.get(kind, owner.namespace, owner.workload(state.name))
    pods = cluster.list("Pod", owner.namespace, selector(owner, state.name))
    if workload is None or not lacks_pods(workload, pods, state.desired, now):
        return state
    return replace(state, problem=await explain_pods(cluster, workload, pods, now))


async def explain_pods(
    cluster: Cluster, controller: Object, pods: Iterable[Object], now: datetime
) -> Finding | None:
    """Return why a controller that lacks pods may make none, None where nobody says so."""
    events = await cluster.read_events(controller, FAILED_CREATE)
    return assess_rejections(controller, pods, events, now)


async def _explain_volume(cluster: Cluster, owner: Owner, state: RoleState) -> RoleState:
    labels = ownerless(selector(owner, state.name))
    claims = cluster.list("PersistentVolumeClaim", owner.namespace, labels)
    for claim in claims:
        if claim.get("status", {}).get("phase") == "Pending":
            finding = await _explain_claim(cluster, claim)
            if finding is not None:
                return replace(state, problem=finding)
    return state


async def _explain_claim(cluster: Cluster, claim: Object) -> Finding | None:
    what = f"Volume claim {claim['metadata']['name']}"
    name = claim["spec"].get("storageClassName")
    if name is None:
        return default_class_missing(what)
    if await cluster.read("StorageClass", "", name) is None:
        return storage_class_missing(what, name)
    return None


def existing_config_maps(
    cluster: Cluster, resource: Object, among: Callable[[Object], bool] = lambda _: True
) -> dict[str, str]:
    """Return ConfigMaps that a resource owns, with the role or step each belongs to."""
    return {
        found["metadata"]["name"]: found["metadata"].get("labels", {}).get(LABEL_NAME, "")
        for found in cluster.owned(resource, "ConfigMap")
        if among(found)
    }


def config_maps_in_use(cluster: Cluster, owner: Owner, service: str = "") -> frozenset[str]:
    """Return the ConfigMaps that live pods of an owner, or of one of its services, name."""
    labels = {LABEL_INSTANCE: owner.name, LABEL_OWNER_KIND: owner.owner_kind}
    if service:
        labels[LABEL_COMPONENT] = service
    used: set[str] = set()
    for pod in cluster.list("Pod", owner.namespace, labels):
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        names = pod["metadata"].get("annotations", {}).get(ANNOTATION_CONFIG_MAPS, "")
        used.update(name for name in names.split(",") if name)
    return frozenset(used)
