"""The end of a CloudController: not while pools use it, and with what its policy says."""

from typing import Any

from stackroles import naming
from stackroles.api.v1alpha1.common import DeletionPolicy
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.constants import FINALIZER, LABEL_OWNER_KIND, LABEL_OWNER_NAME
from stackroles.errors import NotReady
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.context import Context
from stackroles.workloads.conditions import Finding

Object = dict[str, Any]


async def reconcile_teardown(context: Context, resource: Object) -> Finding | None:
    """Let a CloudController go, unless pools still name it.

    What has no owner reference to it (Secrets, volumes, the state of the database) stays with
    `deletionPolicy: Retain`, and a CloudController of the same name takes it up again.

    Returns:
        What blocks it, None when it is gone. As long as it is blocked the cloud is kept up: guests
        cannot be moved without it, and a deletion in the foreground takes children all the same.
    """
    if FINALIZER not in (resource["metadata"].get("finalizers") or ()):
        return None
    ends = await namespace_ends(context, resource)
    pools = users_of(context, resource)
    if pools and not ends:
        name = resource["metadata"]["name"]
        return Finding(
            Reason.DELETION_BLOCKED,
            f"ComputePools still belong to {name}: {', '.join(pools)}. The cloud is kept up until "
            "they are deleted. To leave them behind, remove the finalizer "
            f"{FINALIZER} from this resource.",
        )
    await_parts(context, resource)
    policy = (resource.get("spec") or {}).get("deletionPolicy")
    if policy == DeletionPolicy.DELETE and not ends:
        await _delete_kept(context, resource)
    context.forget(ref_of(resource))
    context.cluster.forget(resource)
    await context.cluster.set_finalizer(resource, present=False)
    return None


def await_parts(context: Context, resource: Object) -> None:
    """Let the passes of a resource's parts end that began before it was to rest or to go.

    Raises:
        NotReady: some still go on; new ones do nothing.
    """
    if context.active(ref_of(resource)):
        raise NotReady("Passes that began before have not ended", 1.0)


def is_kept_up(context: Context, resource: Object) -> bool:
    """Tell whether a CloudController is kept up: one that is to go is, as long as pools use it.

    What goes on for it must not write down again what its end has removed, and begins nothing
    before its finalizer says that there will be an end.
    """
    metadata = resource["metadata"]
    if FINALIZER not in (metadata.get("finalizers") or ()):
        return False
    return not metadata.get("deletionTimestamp") or bool(users_of(context, resource))


async def namespace_ends(context: Context, resource: Object) -> bool:
    """Return whether a resource's namespace is being deleted, with all that a teardown needs.

    Passwords and the cloud's own APIs go in any order then; whoever waits for them waits for ever.
    """
    namespace = await context.cluster.read("Namespace", "", resource["metadata"]["namespace"])
    return bool(namespace and namespace["metadata"].get("deletionTimestamp"))


def users_of(context: Context, resource: Object) -> list[str]:
    """Return the names of the pools that belong to a CloudController."""
    namespace, name = resource["metadata"]["namespace"], resource["metadata"]["name"]
    return [
        pool["metadata"]["name"]
        for pool in context.cluster.list("ComputePool", namespace)
        if pool.get("spec", {}).get("controller") == name
    ]


async def _delete_kept(context: Context, resource: Object) -> None:
    """Delete what has no owner reference to the resource, so that nothing keeps it.

    StatefulSets first: while they are there, their controller makes a claim anew that is deleted.
    """
    namespace, name = resource["metadata"]["namespace"], resource["metadata"]["name"]
    labels = {LABEL_OWNER_NAME: name, LABEL_OWNER_KIND: "CloudController"}
    kept = [
        *context.cluster.owned(resource, "StatefulSet"),
        *context.cluster.list("Secret", namespace, labels),
        *context.cluster.list("PersistentVolumeClaim", namespace, labels),
    ]
    state = context.cluster.get("ConfigMap", namespace, naming.state(name))
    for child in (*kept, *((state,) if state else ())):
        if not child["metadata"].get("deletionTimestamp"):
            await context.cluster.delete(child)
