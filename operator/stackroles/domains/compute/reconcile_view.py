"""What a pool's reconcile reads of its own resource, of other pools and of nodes."""

from typing import Any

import structlog
from pydantic import ValidationError

from stackroles.addresses import is_ipv6, node_address
from stackroles.api.v1alpha1.compute import ComputePoolSpec, ComputePoolStatus
from stackroles.config.pool import Pool, is_label_of, pool_label
from stackroles.constants import LABEL_POOL
from stackroles.domains.compute.membership import Candidate, Claim
from stackroles.reconcile.blocked import attribute_to
from stackroles.reconcile.clouds import cloud_of
from stackroles.reconcile.context import Context
from stackroles.roles.keystone import CATALOGUE

Object = dict[str, Any]
log = structlog.get_logger(__name__)


def is_filled(controller: Object) -> bool:
    """Return whether the catalogue of a CloudController's keystone was filled, at any time."""
    phases = (controller.get("status") or {}).get("phases") or ()
    return any(p["name"] == CATALOGUE and p.get("completedAt") for p in phases)


def claims(context: Context, resource: Object) -> tuple[Claim, list[Claim]]:
    """Return the pool and all others as the plan sees them."""
    mine, uid = _claim(resource), resource["metadata"]["uid"]
    others = [
        _claim(other)
        for other in context.cluster.list("ComputePool")
        if other["metadata"]["uid"] != uid
    ]
    return mine, others


def _claim(resource: Object) -> Claim:
    metadata = resource["metadata"]
    return Claim(
        name=f"{metadata['namespace']}/{metadata['name']}",
        label=pool_label(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        selector=(resource.get("spec") or {}).get("nodeSelector") or {},
        created=metadata.get("creationTimestamp", ""),
        deleting=bool(metadata.get("deletionTimestamp")),
    )


def candidates(context: Context) -> list[Candidate]:
    """Return all nodes as the plan sees them."""
    enrolled: dict[str, dict[str, str]] = {}
    for found in context.cluster.list("ComputeNode"):
        pool = f"{found['metadata']['namespace']}/{found['spec']['pool']}"
        for reference in found["metadata"].get("ownerReferences") or ():
            enrolled.setdefault(found["spec"]["nodeName"], {})[reference["uid"]] = pool
    return [
        Candidate(
            name=node["metadata"]["name"],
            labels=node["metadata"].get("labels", {}),
            claimed=node["metadata"].get("labels", {}).get(LABEL_POOL, ""),
            foreign=_is_foreign(context, node["metadata"].get("labels", {}).get(LABEL_POOL, "")),
            ready=is_ready_node(node),
            enrolled=enrolled.get(node["metadata"]["name"], {}),
            ipv6=ip if is_ipv6(ip := node_address(node)) else "",
        )
        for node in context.cluster.list("Node")
        if not node["metadata"].get("deletionTimestamp")
    ]


def is_ready_node(node: Object) -> bool:
    """Return whether a node's kubelet reports it as ready."""
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in node.get("status", {}).get("conditions") or ()
    )


def _is_foreign(context: Context, label: str) -> bool:
    watched = context.settings.namespaces
    read = set(watched) - set(context.unread())
    return bool(label and watched) and not any(is_label_of(label, name) for name in read)


def pool_of(context: Context, resource: Object, spec: ComputePoolSpec, controller: Object) -> Pool:
    """Return the pool with its cloud.

    Raises:
        SpecInvalid: the cloud's own spec is wrong.
    """
    metadata = resource["metadata"]
    with attribute_to(controller):
        cloud = cloud_of(context, controller)
    return Pool(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        spec=spec,
        cloud=cloud,
    )


def previous(resource: Object) -> ComputePoolStatus:
    """Return the status so far; one of another form counts for none."""
    try:
        return ComputePoolStatus.model_validate(resource.get("status") or {})
    except ValidationError:
        log.warning("The status could not be read and is written anew")
        return ComputePoolStatus()
