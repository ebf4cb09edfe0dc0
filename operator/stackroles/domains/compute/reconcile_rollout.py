"""Replaces the pods of a pool's data plane, node by node, and reports other former pods."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.pool import Pool
from stackroles.constants import LABEL_NAME
from stackroles.domains.compute.reconcile_reports import Reports, pull_now
from stackroles.domains.compute.reconcile_view import is_ready_node
from stackroles.domains.compute.rolling import NodePlane, next_step
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.context import Context
from stackroles.roles import registry
from stackroles.roles.libvirt import LIBVIRT
from stackroles.workloads.conditions import Finding
from stackroles.workloads.pod import assess_pod, is_ready

Object = dict[str, Any]
log = structlog.get_logger(__name__)

_SOON = 3.0
# Both are kept by Kubernetes' own controllers: the API server counts a DaemonSet's templates, and
# its controller writes the number on each pod. By them it knows itself which pod is updated.
_GENERATION = "deprecated.daemonset.template.generation"
_POD_GENERATION = "pod-template-generation"
DATA_PLANE = tuple(role.name for role in registry.COMPUTE_ROLES if role.data_plane)


def outdated_roles(context: Context, pool: Pool, pods: Sequence[Object]) -> tuple[str, ...]:
    """Return the roles of which a node has a pod of a former template, sorted.

    Args:
        context: the operator's context.
        pool: the pool.
        pods: the node's agents' pods.
    """
    found = {_role(pod) for pod in pods if _is_outdated(_daemon_set(context, pool, pod), pod)}
    return tuple(sorted(found))


async def roll_data_plane(
    context: Context, resource: Object, pool: Pool, pods: Mapping[str, Sequence[Object]]
) -> Finding | None:
    """Replace the data plane's pods of one node, if it is any node's turn.

    Args:
        context: the operator's context.
        resource: the ComputePool.
        pool: the pool.
        pods: the agents' pods by node.

    Returns:
        What is under way or waited for, None when no node has pods of a former template.
    """
    roles = _present(context, pool)
    planes = {node: _plane(context, pool, node, pods[node], roles) for node in sorted(pods) if node}
    if not any(plane.outdated for plane in planes.values()):
        return None
    reports = await pull_now(context, pool)
    step = next_step({node: _with_report(plane, reports, node) for node, plane in planes.items()})
    if not step.left:
        return None
    context.enqueue(ref_of(resource), _SOON)
    for name in step.pods:
        pod = context.cluster.get("Pod", pool.namespace, name)
        if pod is not None:
            await context.cluster.delete(pod)
    nodes = f"{', '.join(step.left[:5])}{' ...' if len(step.left) > 5 else ''}"
    if step.pods:
        log.info("Replaces the data plane of a node", node=step.node, pods=step.pods)
        return Finding(
            Reason.ROLLING_OUT,
            f"The data plane is replaced node by node, now on {step.node}; {len(step.left)} "
            f"have the former one: {nodes}.",
        )
    return Finding(
        Reason.ROLLING_OUT,
        f"The data plane is replaced node by node; {len(step.left)} have the former one: {nodes}. "
        f"Waits until all others carry traffic: {step.waits}.",
    )


def libvirt_current(pool: Pool, outdated: Mapping[str, Collection[str]]) -> Finding:
    """Return which nodes run the former libvirt, and what to do.

    Args:
        pool: the pool.
        outdated: roles with a pod of a former template, by node.
    """
    nodes = sorted(node for node, roles in outdated.items() if LIBVIRT.name in roles)
    if not nodes:
        return Finding(Reason.LIBVIRT_UPDATED, "All nodes run the libvirt that is declared.")
    shown = f"{', '.join(nodes[:5])}{' ...' if len(nodes) > 5 else ''}"
    return Finding(
        Reason.LIBVIRT_OUTDATED,
        f"{len(nodes)} nodes run the former libvirt: {shown}. Guests keep running while it is "
        "replaced, but none on that node can be started, stopped or moved for some seconds. One "
        f"node after the other: kubectl -n {pool.namespace} delete pod -l "
        f"{LABEL_NAME}={LIBVIRT.name} --field-selector spec.nodeName={nodes[0]}",
    )


def _present(context: Context, pool: Pool) -> tuple[str, ...]:
    kind = "DaemonSet"
    return tuple(
        role
        for role in DATA_PLANE
        if context.cluster.get(kind, pool.namespace, pool.workload(role)) is not None
    )


def _plane(
    context: Context, pool: Pool, node: str, pods: Sequence[Object], roles: Sequence[str]
) -> NodePlane:
    mine = {role: [pod for pod in pods if _role(pod) == role] for role in roles}
    known = context.cluster.get("Node", "", node)
    now = context.clock.now()
    staying = [pod for found in mine.values() for pod in found if not _leaves(pod)]
    former = [pod for pod in staying if _is_outdated(_daemon_set(context, pool, pod), pod)]
    return NodePlane(
        online=known is not None and is_ready_node(known),
        outdated=_names(former),
        stuck=_names(pod for pod in former if assess_pod(pod, now) is not None),
        ready_since=max((_ready_since(pod) for pod in staying), default=0),
        pending=next((f"its {role} is not ready" for role, found in mine.items()
                      if not any(is_ready(pod) and not _leaves(pod) for pod in found)), ""),
    )  # fmt: skip


def _with_report(plane: NodePlane, reports: Reports, node: str) -> NodePlane:
    report = reports.get(node)
    if report is None:
        return plane
    return replace(plane, report=report.data_plane, seen_at=report.at)


def _names(pods: Iterable[Object]) -> tuple[str, ...]:
    return tuple(sorted(pod["metadata"]["name"] for pod in pods))


def _ready_since(pod: Object) -> int:
    """Return when a pod became ready, in seconds since the epoch, 0 where it is not known."""
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition["type"] == "Ready" and condition.get("lastTransitionTime"):
            return int(datetime.fromisoformat(condition["lastTransitionTime"]).timestamp())
    return 0


def _is_outdated(daemon_set: Object | None, pod: Object) -> bool:
    if daemon_set is None:
        return False
    wanted = daemon_set["metadata"].get("annotations", {}).get(_GENERATION)
    found = pod["metadata"].get("labels", {}).get(_POD_GENERATION)
    return wanted is not None and found is not None and wanted != found


def _daemon_set(context: Context, pool: Pool, pod: Object) -> Object | None:
    name = pool.workload(_role(pod))
    found: Object | None = context.cluster.get("DaemonSet", pool.namespace, name)
    return found


def _role(pod: Object) -> str:
    role: str = pod["metadata"].get("labels", {}).get(LABEL_NAME, "")
    return role


def _leaves(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))
