"""Volumes of a role's members grow to the size that the user declares."""

from typing import Any

import structlog

from stackroles.config.owner import Owner
from stackroles.errors import Forbidden, Rejected
from stackroles.kube.cluster import Cluster
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.claims import lacks_room, plan_growth, refused
from stackroles.workloads.conditions import Finding
from stackroles.workloads.manifests.metadata import ownerless, selector

Object = dict[str, Any]
log = structlog.get_logger(__name__)


async def grow_claims(cluster: Cluster, owner: Owner, role: RoleDefinition) -> Finding | None:
    """Have the claims of a role's members grow, also of members that were made of the old template.

    The template of a StatefulSet cannot change, so that it keeps its first size
    (kube/ownership.py). Storage classes are read only while a claim lacks room.

    Returns:
        Why a claim keeps another size than declared, None where none does.

    Raises:
        ClusterError: the API server does not answer.
    """
    size = owner.settings(role.name).storage_size
    if role.volume is None or size is None:
        return None
    workload = owner.workload(role.name)
    labels = ownerless(selector(owner, role.name))
    claims = [
        claim
        for claim in cluster.list("PersistentVolumeClaim", owner.namespace, labels)
        if claim["metadata"]["name"].startswith(f"{role.volume.claim}-{workload}-")
    ]
    names = {claim["spec"].get("storageClassName", "") for claim in lacks_room(claims, size)}
    expandable = {name: await _expands(cluster, name) for name in sorted(names - {""})}
    growth = plan_growth(role.name, workload, size, claims, expandable)
    problem = growth.problem
    for claim in growth.claims:
        try:
            await cluster.grow_claim(claim, size)
        except (Forbidden, Rejected) as error:
            problem = refused(role.name, claim, size, str(error))
        else:
            log.info("Enlarged a volume claim", claim=claim["metadata"]["name"], size=size)
    return problem


async def _expands(cluster: Cluster, name: str) -> bool:
    found = await cluster.read("StorageClass", "", name)
    return bool(found and found.get("allowVolumeExpansion"))
