"""ComputeNode: made for each node of a pool, and its status."""

from typing import Any

from pydantic import ValidationError

from stackroles.agents.compute.probe_protocol import ProbeReport
from stackroles.api.v1alpha1.common import dump
from stackroles.api.v1alpha1.compute import ComputeNodeStatus
from stackroles.config.pool import Pool
from stackroles.constants import GROUP_VERSION, LABEL_INSTANCE, LABEL_OWNER_KIND, LABEL_POOL
from stackroles.domains.compute.status_node import ObservedNode, assess_node
from stackroles.errors import NotReady
from stackroles.reconcile.context import Context
from stackroles.roles import registry
from stackroles.workloads.manifests.metadata import labels, owner_reference

Object = dict[str, Any]
KIND = "ComputeNode"


def build_compute_node(pool: Pool, node: str) -> Object:
    """Return the ComputeNode of a node, which has the node's name."""
    return {
        "apiVersion": GROUP_VERSION,
        "kind": KIND,
        "metadata": {
            "name": node,
            "namespace": pool.namespace,
            "labels": labels(pool, "compute-node", "nova"),
            "ownerReferences": [owner_reference(pool)],
        },
        "spec": {"pool": pool.name, "nodeName": node},
    }


def nodes_of(context: Context, pool: Pool) -> dict[str, Object]:
    """Return the ComputeNodes of a pool by node."""
    return {
        found["spec"]["nodeName"]: found
        for found in context.cluster.list(KIND, pool.namespace)
        if found["spec"].get("pool") == pool.name
        and any(r["uid"] == pool.uid for r in found["metadata"].get("ownerReferences") or ())
    }


async def record(context: Context, resource: Object, pool: Pool, name: str) -> None:
    """See that a node that leaves has its ComputeNode, unless another pool's took its place."""
    if context.cluster.get(KIND, pool.namespace, name) is None:
        await context.cluster.create_once(build_compute_node(pool, name), resource)


async def enrol(context: Context, resource: Object, pool: Pool, name: str) -> None:
    """See that a node has its ComputeNode and lets the pool's agents onto it.

    Raises:
        NotReady: the ComputeNode of another pool came first.
    """
    found = await context.cluster.create_once(build_compute_node(pool, name), resource)
    references = found["metadata"].get("ownerReferences") or ()
    if all(reference["uid"] != pool.uid for reference in references):
        raise NotReady(f"ComputeNode {name} of another pool was just made", delay=1.0)
    node = context.cluster.get("Node", "", name)
    if node is not None:
        await context.cluster.label_node(node, {LABEL_POOL: pool.label})


def pods_by_node(context: Context, pool: Pool) -> dict[str, list[Object]]:
    """Return the agents' pods by the node they are bound to."""
    wanted = {LABEL_INSTANCE: pool.name, LABEL_OWNER_KIND: pool.owner_kind}
    found: dict[str, list[Object]] = {}
    for pod in context.cluster.list("Pod", pool.namespace, wanted):
        owners = pod["metadata"].get("ownerReferences") or ()
        if any(owner["kind"] == "DaemonSet" for owner in owners):
            found.setdefault(pod.get("spec", {}).get("nodeName", ""), []).append(pod)
    return found


async def report_node(
    context: Context, resource: Object, observed: ObservedNode, probe: ProbeReport | None
) -> None:
    """Write the status of one ComputeNode, if it differs."""
    status = assess_node(observed, probe, previous_status(resource), context.observed_at(resource))
    await context.cluster.patch_status(resource, dump(status))


def previous_status(resource: Object) -> ComputeNodeStatus:
    """Return a ComputeNode's status so far; one of another form counts for none."""
    try:
        return ComputeNodeStatus.model_validate(resource.get("status") or {})
    except ValidationError:
        return ComputeNodeStatus()


def agents_expected() -> int:
    """Return how many agents' pods a node must have."""
    return len(registry.COMPUTE_ROLES)
