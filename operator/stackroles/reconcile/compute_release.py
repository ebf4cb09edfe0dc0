"""How nodes leave a pool: closed to new guests, empty, agents gone, then out of the cloud."""

from collections.abc import Collection
from typing import Any

import structlog

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.pool import Pool, pool_label
from stackroles.constants import FINALIZER, LABEL_POOL
from stackroles.errors import CloudError
from stackroles.kube.kinds import ref_of
from stackroles.openstack.access import CloudAccess
from stackroles.openstack.fleet import close_hosts, open_hosts, remove_hosts
from stackroles.reconcile.compute_cloud import PoolCloud
from stackroles.reconcile.compute_node import nodes_of, pods_by_node
from stackroles.reconcile.compute_view import refuse
from stackroles.reconcile.context import Context
from stackroles.status.conditions import Finding

Object = dict[str, Any]
log = structlog.get_logger(__name__)

_LOOK_AGAIN = 10.0
_SOON = 2.0


def closing_reason(pool: Pool) -> str:
    """Return the words under which a pool disables a service; only those are taken back."""
    return f"leaves ComputePool {pool.namespace}/{pool.name}"


def labelled(context: Context, pool: Pool) -> set[str]:
    """Return the nodes that carry the pool's label."""
    return {
        node["metadata"]["name"]
        for node in context.cluster.list("Node")
        if node["metadata"].get("labels", {}).get(LABEL_POOL) == pool.label
    }


async def teardown(context: Context, resource: Object, pool: Pool) -> None:
    """Let a pool go when its nodes have no guests."""
    names = labelled(context, pool) | nodes_of(context, pool).keys()
    if names:
        access = await PoolCloud(context, resource, pool).access()
        if access is None:
            held: Finding | None = _blocked(
                context,
                resource,
                f"The Secret with the password of {pool.cloud.name}'s administrator is missing: "
                "guests cannot be counted.",
            )
        else:
            held = await release(context, resource, pool, access, names)
        if held is not None:
            await refuse(context, resource, held)
            return
    await _let_go(context, resource)


async def abandon(context: Context, resource: Object) -> None:
    """Let a pool go whose cloud is gone: nobody can count guests or keep services any more."""
    metadata = resource["metadata"]
    value = pool_label(metadata["namespace"], metadata["name"])
    for node in context.cluster.list("Node"):
        if node["metadata"].get("labels", {}).get(LABEL_POOL) == value:
            await context.cluster.label_node(node, {LABEL_POOL: None})
    await _let_go(context, resource)


async def _let_go(context: Context, resource: Object) -> None:
    context.poller.forget(f"{ref_of(resource)}/")
    context.cluster.forget(resource)
    await context.cluster.set_finalizer(resource, present=False)


async def release(
    context: Context,
    resource: Object,
    pool: Pool,
    access: CloudAccess,
    names: Collection[str],
) -> Finding | None:
    """Take nodes out of a pool, as far as guests allow.

    Args:
        context: the operator's context.
        resource: the ComputePool.
        pool: the pool.
        access: the cloud.
        names: the nodes that shall leave.

    Returns:
        What holds it up or is still under way, None when all of them have left.
    """
    try:
        guests = await access.call(
            "Closing compute hosts", close_hosts, tuple(names), closing_reason(pool)
        )
    except CloudError as error:
        return _blocked(
            context,
            resource,
            f"The cloud cannot be asked for guests on {', '.join(sorted(names))}: {error}.",
        )
    empty = set(names) - guests.keys()
    finding = await _send_away(context, resource, pool, access, empty)
    if guests:
        count = sum(guests.values())
        where = ", ".join(f"{name} ({number})" for name, number in sorted(guests.items())[:5])
        return _blocked(
            context,
            resource,
            f"{count} guests are still on {where}. Move or delete them; their hosts take no new "
            "ones.",
        )
    return finding


async def _send_away(
    context: Context,
    resource: Object,
    pool: Pool,
    access: CloudAccess,
    names: Collection[str],
) -> Finding | None:
    """Take agents from empty nodes, then what the cloud knows of them."""
    for name in sorted(labelled(context, pool) & set(names)):
        node = context.cluster.get("Node", "", name)
        if node is not None:
            await context.cluster.label_node(node, {LABEL_POOL: None})
    running = pods_by_node(context, pool)
    gone = sorted(name for name in names if not running.get(name))
    if gone:
        try:
            removed = await access.call("Removing compute hosts", remove_hosts, gone)
        except CloudError as error:
            return _blocked(context, resource, f"The cloud keeps {', '.join(gone)}: {error}.")
        log.info("Removed compute hosts", nodes=gone, removed=removed)
    known = nodes_of(context, pool)
    for name in gone:
        if name in known and not known[name]["metadata"].get("deletionTimestamp"):
            await context.cluster.delete(known[name])
    stopping = sorted(set(names) - set(gone))
    if not stopping:
        return None
    context.enqueue(ref_of(resource), _SOON)
    return Finding(Reason.DELETING, f"Agents on {', '.join(stopping)} are stopping.")


async def take_back(access: CloudAccess, pool: Pool, members: Collection[str]) -> tuple[str, ...]:
    """Open hosts that were to leave and stay after all; return which."""
    return await access.call(
        "Opening compute hosts", open_hosts, tuple(members), closing_reason(pool)
    )


def _blocked(context: Context, resource: Object, message: str) -> Finding:
    context.enqueue(ref_of(resource), _LOOK_AGAIN)
    deleting = resource["metadata"].get("deletionTimestamp")
    escape = f" To leave all as it is, remove the finalizer {FINALIZER}." if deleting else ""
    return Finding(Reason.DELETION_BLOCKED, f"{message}{escape}")
