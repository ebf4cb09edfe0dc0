"""Members of a role that decides by majority leave one by one, where there are to be fewer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from stackroles.agents.leaving_protocol import LEAVE_ANNOTATION
from stackroles.config.cloud import Cloud
from stackroles.kube.kinds import Key, PartRef, ref_of, uid_of
from stackroles.reconcile.context import Context
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.departures import (
    Ask,
    Departure,
    MemberView,
    Remove,
    Wait,
    next_departure,
    size_for,
)
from stackroles.workloads.manifests.metadata import selector

Object = dict[str, Any]
Look = Callable[[], Awaitable[Mapping[int, MemberView]]]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Departures:
    """How far a role is on its way to fewer members.

    Attributes:
        going: the member that has left and may go, None where none has.
        message: what is under way or waited for, empty when nothing is.
    """

    going: int | None = None
    message: str = ""


def departures_of(resource: Object, role: str) -> PartRef:
    """Return the key under which it is published."""
    return PartRef(*ref_of(resource), f"departures/{role}")


def held_size(context: Context, resource: Object, cloud: Cloud, role: RoleDefinition) -> int:
    """Return how many members a role's StatefulSet is to have now.

    While members leave, and while nothing is known of them, that is how many it has.
    """
    workload = context.cluster.get("StatefulSet", cloud.namespace, cloud.workload(role.name))
    found = context.latest(resource, departures_of(resource, role.name))
    going = found.going if isinstance(found, Departures) else None
    return size_for(cloud.replicas[role.name], _size(workload), going)


async def reconcile_departures(
    context: Context,
    resource: Object,
    cloud: Cloud,
    role: RoleDefinition,
    *,
    polled: Mapping[int, MemberView],
    look: Look,
    reader: Key,
) -> str:
    """Do what is to be done next so that a role has fewer members; publish how far it is.

    The claim of a member that has left is deleted before its pod is: it stays until the pod is gone
    (pvc-protection), and an operator that ends in between leaves no claim behind.

    Args:
        context: what a pass is given.
        resource: the CloudController.
        cloud: the cloud as declared.
        role: the role.
        polled: what was known of the members last, by ordinal.
        look: asks all members now; a change is made on that alone.
        reader: who scales the StatefulSet.

    Returns:
        What is under way or waited for, empty when nothing is.
    """
    step = _next(context, cloud, role, polled)
    if isinstance(step, (Ask, Remove)):
        step = _next(context, cloud, role, await look())
    await _ask(context, cloud, role, step.ordinal if isinstance(step, Ask) else None)
    if isinstance(step, Remove):
        await _delete_claim(context, cloud, role, step.ordinal)
    found = _found(role, step, cloud.replicas[role.name])
    context.publish(resource, departures_of(resource, role.name), found, (reader,))
    return found.message


def _next(
    context: Context, cloud: Cloud, role: RoleDefinition, members: Mapping[int, MemberView]
) -> Departure | None:
    workload = context.cluster.get("StatefulSet", cloud.namespace, cloud.workload(role.name))
    return next_departure(
        wanted=cloud.replicas[role.name],
        present=_size(workload) or 0,
        settled=workload is not None and _is_settled(workload),
        members=members,
    )


def _size(workload: Object | None) -> int | None:
    return workload["spec"].get("replicas", 1) if workload else None


def _is_settled(workload: Object) -> bool:
    """Return whether all pods are of the newest template."""
    status = workload.get("status", {})
    seen = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    return bool(seen and status.get("updatedReplicas", 0) >= (_size(workload) or 0))


async def _ask(context: Context, cloud: Cloud, role: RoleDefinition, leaver: int | None) -> None:
    """Have exactly one member asked to leave, or none; one that was asked and stays no more is."""
    asked = None if leaver is None else f"{cloud.workload(role.name)}-{leaver}"
    for pod in context.cluster.list("Pod", cloud.namespace, selector(cloud, role.name)):
        before = pod["metadata"].get("annotations", {}).get(LEAVE_ANNOTATION)
        if pod["metadata"]["name"] == asked:
            if before != uid_of(pod):
                log.info("Asked a member to leave its cluster", pod=asked)
                await context.cluster.annotate_pod(pod, {LEAVE_ANNOTATION: uid_of(pod)})
        elif before is not None and _ordinal(pod) < cloud.replicas[role.name]:
            await context.cluster.annotate_pod(pod, {LEAVE_ANNOTATION: None})


async def _delete_claim(context: Context, cloud: Cloud, role: RoleDefinition, ordinal: int) -> None:
    if role.volume is None:
        return
    name = f"{role.volume.claim}-{cloud.workload(role.name)}-{ordinal}"
    claim = context.cluster.get("PersistentVolumeClaim", cloud.namespace, name)
    if claim is not None and not claim["metadata"].get("deletionTimestamp"):
        log.info("Deleted the volume claim of a member that has left", claim=name)
        await context.cluster.delete(claim)


def _found(role: RoleDefinition, step: Departure | None, wanted: int) -> Departures:
    match step:
        case None:
            return Departures()
        case Ask(ordinal):
            return Departures(message=f"Member {ordinal} leaves the cluster of {role.name}.")
        case Remove(ordinal):
            message = f"Member {ordinal} has left the cluster of {role.name}, and is removed."
            return Departures(going=ordinal, message=message)
        case Wait(because):
            return Departures(
                message=f"{role.name} is to have {wanted} members, and none leaves yet: {because}."
            )


def _ordinal(pod: Object) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])
