"""The volumes of a cloud's database members, as a restore finds them."""

from typing import Any

from stackroles.config.cloud import Cloud
from stackroles.domains.restore.build import member_claim
from stackroles.reconcile.context import Context
from stackroles.roles import mariadb

Object = dict[str, Any]


async def observe_capacity(
    context: Context, cloud: Cloud, *, unused: bool
) -> dict[str, str | None]:
    """Return the sizes of the volumes of all database members, by claim, as quantities.

    "" for a claim that has no volume and gets none by itself, None for one that does not exist, or
    gets its volume with the first pod that mounts it.

    Args:
        context: what a pass is given.
        cloud: the cloud.
        unused: whether no member of its database has started, whose pod would wait for its volume.
    """
    found: dict[str, str | None] = {}
    for ordinal in range(cloud.replicas[mariadb.NAME]):
        name = member_claim(cloud, ordinal)
        claim = context.cluster.get("PersistentVolumeClaim", cloud.namespace, name)
        if claim is None or (unused and await _awaits_pod(context, claim)):
            found[name] = None
        else:
            found[name] = _capacity(claim)
    return found


def has_volume(context: Context, cloud: Cloud, ordinal: int) -> bool:
    """Return whether a database member has a volume, on which something may be."""
    name = member_claim(cloud, ordinal)
    claim = context.cluster.get("PersistentVolumeClaim", cloud.namespace, name)
    return claim is not None and _phase(claim) != "Pending"


async def _awaits_pod(context: Context, claim: Object) -> bool:
    """Return whether a claim gets its volume once a pod mounts it."""
    name = claim["spec"].get("storageClassName") if _phase(claim) == "Pending" else None
    found = await context.cluster.read("StorageClass", "", name) if name else None
    return (found or {}).get("volumeBindingMode") == "WaitForFirstConsumer"


def _capacity(claim: Object) -> str:
    if _phase(claim) == "Lost":
        # What its volume had is in the status still.
        return ""
    return str(claim.get("status", {}).get("capacity", {}).get("storage", ""))


def _phase(claim: Object) -> str:
    # The API server gives it to every claim.
    return str(claim.get("status", {}).get("phase") or "Pending")
