"""How nodes leave a pool: closed to new guests, empty, agents gone, then out of the cloud."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.pool import Pool, pool_label
from stackroles.constants import FINALIZER, LABEL_POOL
from stackroles.domains.compute.reconcile_node import nodes_of, pods_by_node
from stackroles.domains.compute.reconcile_view import is_ready_node
from stackroles.errors import CloudError
from stackroles.kube.kinds import ref_of
from stackroles.openstack.access import DEADLINE, CloudAccess
from stackroles.openstack.hosts import Host, close_hosts, open_hosts, remove_hosts
from stackroles.reconcile.context import Context, Observation
from stackroles.workloads.conditions import Finding

Object = dict[str, Any]
log = structlog.get_logger(__name__)

_LOOK_AGAIN = 10.0
_SOON = 2.0
_BETWEEN_LOOKS = 5.0


_LEAVES = "leaves ComputePool "


def closing_reason(pool: Pool) -> str:
    """Return the words under which a pool disables a service."""
    return f"{_LEAVES}{pool.namespace}/{pool.name}"


def is_closed(host: Host) -> bool:
    """Tell whether a pool disabled a host's service; only that is taken back."""
    return not host.enabled and host.reason.startswith(_LEAVES)


def labelled(context: Context, pool: Pool) -> set[str]:
    """Return the nodes that carry the pool's label."""
    return {
        node["metadata"]["name"]
        for node in context.cluster.list("Node")
        if node["metadata"].get("labels", {}).get(LABEL_POOL) == pool.label
    }


def present(context: Context, pool: Pool) -> set[str]:
    """Return the nodes that a pool has not let go of."""
    return labelled(context, pool) | nodes_of(context, pool).keys()


def unasked(context: Context, resource: Object, why: str) -> Finding:
    """Return why nodes cannot leave while nobody may ask the cloud."""
    return _blocked(context, resource, f"Guests cannot be counted: {why}.")


async def abandon(context: Context, resource: Object) -> None:
    """Let a pool go whose cloud is gone: nobody can count guests or keep services any more."""
    metadata = resource["metadata"]
    value = pool_label(metadata["namespace"], metadata["name"])
    for node in context.cluster.list("Node"):
        if node["metadata"].get("labels", {}).get(LABEL_POOL) == value:
            await context.cluster.label_node(node, {LABEL_POOL: None})
    await let_go(context, resource)


async def let_go(context: Context, resource: Object) -> None:
    """Let the resource of a pool go that has no nodes any more."""
    context.forget(ref_of(resource))
    context.cluster.forget(resource)
    await context.cluster.set_finalizer(resource, present=False)


async def release(
    context: Context,
    resource: Object,
    pool: Pool,
    access: CloudAccess,
    names: Collection[str],
) -> Finding | None:
    """Take nodes out of a pool, as far as what is on them allows.

    Args:
        context: the operator's context.
        resource: the ComputePool.
        pool: the pool.
        access: the cloud.
        names: the nodes that shall leave.

    Returns:
        What holds it up or is still under way, None when all of them have left.
    """
    seen = _watch(context, resource, pool, access, names)
    if seen is not None and seen.error:
        where = ", ".join(sorted(names))
        return _blocked(
            context, resource, f"The cloud cannot be asked for guests on {where}: {seen.error}."
        )
    closed: Closed = seen.value if seen is not None else Closed()
    finding = await _send_away(context, resource, pool, access, closed.free & {*names})
    occupied = {name: words for name, words in closed.occupied.items() if name in names}
    if occupied:
        where = "; ".join(f"{name}: {words}" for name, words in sorted(occupied.items())[:5])
        return _blocked(
            context,
            resource,
            f"Hosts are still needed ({where}) and take no new guests. Move or delete the guests, "
            "confirm or revert resizes; a claim of neither is freed by openstack resource provider "
            "allocation delete.",
        )
    looked_at = sorted(set(names) - closed.free)
    if looked_at:
        words = f"{', '.join(looked_at)} take no new guests; what is on them is looked at twice."
        return Finding(Reason.DELETING, words)
    return finding


@dataclass(frozen=True)
class Closed:
    """Hosts that take no new guests, as last looked at.

    Attributes:
        occupied: what still needs each of them, in words.
        empty: hosts that nothing needs.
        free: hosts that nothing needed at the look before, either.
    """

    occupied: Mapping[str, str] = field(default_factory=dict)
    empty: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()


def _watch(
    context: Context,
    resource: Object,
    pool: Pool,
    access: CloudAccess,
    names: Collection[str],
) -> Observation | None:
    """Have hosts closed and looked at; return what was seen last.

    A guest on its way when its host was closed shows up only a little later, hence two looks.
    """
    poll, wanted = _poll(resource), tuple(sorted(names))

    async def look() -> Closed:
        found = await access.call(
            "Closing compute hosts", close_hosts, wanted, closing_reason(pool)
        )
        before = context.poller.latest(poll)
        again = before is not None and before.value is not None and not before.error
        empty = frozenset(name for name, occupancy in found.items() if occupancy.empty)
        return Closed(
            occupied={n: o.words for n, o in found.items() if not o.empty},
            empty=empty,
            free=empty & before.value.empty if before is not None and again else frozenset(),
        )

    context.poller.ensure(
        poll,
        look,
        interval=_BETWEEN_LOOKS,
        deadline=DEADLINE,
        notify=ref_of(resource),
        target=f"{pool.cloud.uid}/compute",
    )
    return context.poller.latest(poll)


def stay(context: Context, resource: Object) -> None:
    """Forget what was seen of hosts that were to leave: none is, or one stays after all."""
    context.poller.forget(_poll(resource))


def _poll(resource: Object) -> str:
    return f"{ref_of(resource)}/leaving"


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
        # What was seen before names them still.
        context.poller.forget(f"{ref_of(resource)}/hosts")
    known = nodes_of(context, pool)
    for name in gone:
        if name in known and not known[name]["metadata"].get("deletionTimestamp"):
            await context.cluster.delete(known[name])
    stopping = sorted(set(names) - set(gone))
    if not stopping:
        return None
    context.enqueue(ref_of(resource), _SOON)
    return Finding(Reason.DELETING, _still_stopping(context, stopping))


def _still_stopping(context: Context, names: Collection[str]) -> str:
    """Return what is said of agents that were told to go; on a machine that is off none will."""
    nodes = {name: context.cluster.get("Node", "", name) for name in names}
    off = [name for name, node in nodes.items() if node is not None and not is_ready_node(node)]
    advice = (
        f" No kubelet says so of {', '.join(off)}: where the machine is off for good, delete its "
        "Node (kubectl delete node), and they go with it."
    )
    return f"Agents on {', '.join(names)} are stopping.{advice if off else ''}"


async def take_back(access: CloudAccess, members: Collection[str]) -> tuple[str, ...]:
    """Open hosts that were to leave, this pool or another, and stay after all; return which."""
    return await access.call("Opening compute hosts", open_hosts, tuple(members), _LEAVES)


def _blocked(context: Context, resource: Object, message: str) -> Finding:
    context.enqueue(ref_of(resource), _LOOK_AGAIN)
    deleting = resource["metadata"].get("deletionTimestamp")
    escape = f" To leave all as it is, remove the finalizer {FINALIZER}." if deleting else ""
    return Finding(Reason.DELETION_BLOCKED, f"{message}{escape}")
