"""A member that is lost with its volume is replaced by a user's consent."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from stackroles.agents import wire
from stackroles.config.cloud import Cloud
from stackroles.kube.kinds import PartRef
from stackroles.reconcile.cloud_state import read_fact, record_fact
from stackroles.reconcile.context import Context
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.conditions import Finding
from stackroles.workloads.departures import MemberView
from stackroles.workloads.manifests.metadata import ownerless, selector
from stackroles.workloads.replacement import (
    AbsentMember,
    Replacement,
    RoleView,
    find_absent,
    plan_replacement,
)

Object = dict[str, Any]
Look = Callable[[], Awaitable[Mapping[int, MemberView]]]
log = structlog.get_logger(__name__)

# How long a member is away shows in no change of any object.
_WATCH_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """What is recorded of the last replacement in a role, before it is done.

    Attributes:
        member: the pod.
        claim: identity of the volume claim that is given up.
        incident: what was consented to.
    """

    member: str
    claim: str = field(metadata=wire.key("claimUid"))
    incident: str


async def _keep_all(_: AbsentMember) -> None:
    """Forget nothing: the role has no record of its members' volumes."""


async def reconcile_replacement(
    context: Context,
    resource: Object,
    cloud: Cloud,
    role: RoleDefinition,
    *,
    part: PartRef,
    polled: Mapping[int, MemberView],
    look: Look,
    refused: str = "",
    forget: Callable[[AbsentMember], Awaitable[None]] = _keep_all,
) -> Finding | None:
    """Replace the lost member that the user consents to; return what needs a person.

    The consent names the volume claim by the incident's number, so that it is carried out once:
    what an ended operator left undone is done, and a new claim has another number.

    Args:
        context: what a pass is given.
        resource: the CloudController.
        cloud: the cloud as declared.
        role: the role.
        part: the part of the resource whose pass it is.
        polled: what was known of the members last, by ordinal.
        look: asks all members now; a member is replaced on that alone.
        refused: why nobody may be replaced now; empty where nothing speaks against it.
        forget: takes the member's volume out of what the role records of volumes.

    Raises:
        ClusterError: the Kubernetes API refused or did not answer.
        NotReady: what is recorded has changed meanwhile.
    """
    absent = _absent(context, cloud, role)
    if not absent:
        return None
    context.enqueue(part, _WATCH_SECONDS)
    declared = cloud.spec.roles.get(role.name)
    consent = declared.replace_member if declared else None

    def plan(members: Mapping[int, MemberView]) -> Replacement:
        view = RoleView(
            owner_uid=cloud.uid,
            role=role.name,
            wanted=cloud.replicas[role.name],
            members=members,
            refused=refused,
        )
        return plan_replacement(view, absent, consent, context.clock.now())

    step = plan(polled)
    if step.member is not None:
        step = plan(await look())
    if step.member is not None:
        await _record(context, resource, cloud, role, step)
        await forget(step.member)
        await _delete(context, cloud, step.member)
    return step.problem


def _absent(context: Context, cloud: Cloud, role: RoleDefinition) -> list[AbsentMember]:
    cluster, labels = context.cluster, selector(cloud, role.name)
    prefix = f"{role.volume.claim}-" if role.volume else ""
    claims = cluster.list("PersistentVolumeClaim", cloud.namespace, ownerless(labels))
    return find_absent(
        list(cluster.list("Pod", cloud.namespace, labels)),
        {claim["metadata"]["name"].removeprefix(prefix): claim for claim in claims},
        {node["metadata"]["name"]: node for node in cluster.list("Node")},
    )


async def _record(
    context: Context, resource: Object, cloud: Cloud, role: RoleDefinition, step: Replacement
) -> None:
    """Record a replacement, with an Event; one that is on record is only gone on with."""
    assert step.member is not None and step.problem is not None  # noqa: S101, PT018 - one to replace
    replaced = Replaced(member=step.member.pod, claim=step.member.claim_uid, incident=step.incident)
    key, after = f"{role.name}-replaced", wire.dumps(replaced, sort_keys=True)
    before = await read_fact(context.cluster, cloud, key)
    if before == after:
        return
    await record_fact(context.cluster, cloud, key, before, after)
    await context.cluster.event(resource, "Warning", "MemberReplaced", step.problem.message)


async def _delete(context: Context, cloud: Cloud, member: AbsentMember) -> None:
    """Delete the claim, which stays until the pod is gone (pvc-protection), then the pod.

    A kubelet that is gone never ends a pod; without the grace period nobody waits for it.
    """
    cluster = context.cluster
    claim = cluster.get("PersistentVolumeClaim", cloud.namespace, member.claim)
    if claim is not None and not claim["metadata"].get("deletionTimestamp"):
        await cluster.delete(claim)
    pod = cluster.get("Pod", cloud.namespace, member.pod)
    if pod is not None:
        await cluster.delete(pod, grace_seconds=0)
    log.info("Replaced a lost member", member=member.pod, claim=member.claim)
