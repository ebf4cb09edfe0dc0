"""How nodes leave a pool: closed to new guests, empty, agents gone, then out of the cloud."""

from collections.abc import Collection, Mapping
from typing import Any

import structlog

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.pool import Pool, pool_label
from stackroles.constants import FINALIZER, LABEL_POOL
from stackroles.domains.compute.reconcile_node import nodes_of, pods_by_node
from stackroles.domains.compute.reconcile_view import is_ready_node
from stackroles.domains.compute.removal import Occupation, RemovalStep, decide
from stackroles.errors import CloudError
from stackroles.kube.kinds import ref_of
from stackroles.openstack.access import DEADLINE, CloudAccess
from stackroles.openstack.hosts import Host, disable_leaving_hosts, enable_hosts, remove_hosts
from stackroles.reconcile.apply_failures import Attempts, reporting_apply_failures
from stackroles.reconcile.context import Context, Observation
from stackroles.workloads.conditions import Finding

Object = dict[str, Any]
log = structlog.get_logger(__name__)

_RETRY_SECONDS = 10.0
_SOON = 2.0
_INTERVAL = 5.0


_LEAVES = "leaves ComputePool "


def disabled_reason(pool: Pool) -> str:
    """Return the reason for which a pool disables a service."""
    return f"{_LEAVES}{pool.namespace}/{pool.name}"


def is_disabled_for_leaving(host: Host) -> bool:
    """Return whether a pool disabled a host's service; only that is taken back."""
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


def unavailable(context: Context, resource: Object, why: str) -> Finding:
    """Return why nodes cannot leave while nobody may ask the cloud."""
    return _blocked(context, resource, f"Guests cannot be counted: {why}.")


async def abandon(context: Context, resource: Object) -> None:
    """Let a pool go whose cloud is gone: nobody can count guests or keep services any more."""
    metadata = resource["metadata"]
    value = pool_label(metadata["namespace"], metadata["name"])
    for node in context.cluster.list("Node"):
        if node["metadata"].get("labels", {}).get(LABEL_POOL) == value:
            await context.cluster.label_node(node, {LABEL_POOL: None})
    await remove_finalizer(context, resource)


async def remove_finalizer(context: Context, resource: Object) -> None:
    """Let the resource of a pool go that has no nodes any more."""
    context.forget(ref_of(resource))
    context.cluster.forget(resource)
    async with reporting_apply_failures(context, resource):
        await context.cluster.set_finalizer(resource, present=False)


async def remove_nodes(
    context: Context,
    resource: Object,
    pool: Pool,
    access: CloudAccess,
    names: Collection[str],
    *,
    attempts: Attempts,
) -> Finding | None:
    """Take nodes out of a pool, as far as what is on them allows.

    Args:
        context: the operator's context.
        resource: the ComputePool.
        pool: the pool.
        access: the cloud.
        names: the nodes that shall leave.
        attempts: of the pass; what fails on one node holds up no other.

    Returns:
        What holds it up or is still under way, None when all of them have left.
    """
    seen = _watch(context, resource, pool, access, names)
    if seen is not None and seen.error:
        where = ", ".join(sorted(names))
        return _blocked(
            context, resource, f"The cloud cannot be asked for guests on {where}: {seen.error}."
        )
    occupation: Occupation = seen.value if seen is not None else Occupation()
    steps = await _unpin(context, pool, _decide(context, pool, names, occupation), attempts)
    finding = await _remove(context, resource, access, _at(steps, RemovalStep.REMOVE), attempts)
    blocked, stopping = _at(steps, RemovalStep.BLOCK), _at(steps, RemovalStep.WAIT)
    if blocked:
        where = "; ".join(f"{name}: {occupation.occupied[name]}" for name in blocked[:5])
        return _blocked(
            context,
            resource,
            f"Hosts are still needed ({where}) and take no new guests. Move or delete the guests, "
            "confirm or revert resizes; a claim of neither is freed by openstack resource provider "
            "allocation delete.",
        )
    observed = _at(steps, RemovalStep.OBSERVE)
    if observed:
        return Finding(
            Reason.DELETING,
            f"{', '.join(observed)} take no new guests; what is on them is counted twice.",
        )
    if finding is None and stopping:
        context.enqueue(ref_of(resource), _SOON)
        return Finding(Reason.DELETING, _still_stopping(context, stopping))
    return finding


def _decide(
    context: Context, pool: Pool, names: Collection[str], occupation: Occupation
) -> dict[str, RemovalStep]:
    pinned, pods = labelled(context, pool), pods_by_node(context, pool)
    return {
        name: decide(name, occupation, labelled=name in pinned, pods=len(pods.get(name, ())))
        for name in sorted(names)
    }


def _at(steps: Mapping[str, RemovalStep], step: RemovalStep) -> list[str]:
    return [name for name, found in steps.items() if found is step]


async def _unpin(
    context: Context, pool: Pool, steps: Mapping[str, RemovalStep], attempts: Attempts
) -> dict[str, RemovalStep]:
    """Take the pool's label from nodes whose turn it is; return the steps after that."""
    pods = pods_by_node(context, pool)
    after = dict(steps)
    for name in _at(steps, RemovalStep.UNPIN):
        node = context.cluster.get("Node", "", name)
        with attempts.attempt():
            if node is not None:
                await context.cluster.label_node(node, {LABEL_POOL: None})
            after[name] = RemovalStep.WAIT if pods.get(name) else RemovalStep.REMOVE
    return after


def _watch(
    context: Context,
    resource: Object,
    pool: Pool,
    access: CloudAccess,
    names: Collection[str],
) -> Observation | None:
    """Have hosts closed and observed; return what was seen last."""
    poll, wanted = _poll(resource), tuple(sorted(names))

    async def observe() -> Occupation:
        found = await access.call(
            "Closing compute hosts", disable_leaving_hosts, wanted, disabled_reason(pool)
        )
        before = context.tasks.latest(poll)
        again = before is not None and before.value is not None and not before.error
        empty = frozenset(name for name, occupancy in found.items() if occupancy.empty)
        return Occupation(
            occupied={n: o.description for n, o in found.items() if not o.empty},
            empty=empty,
            free=empty & before.value.empty if before is not None and again else frozenset(),
        )

    context.tasks.ensure(
        poll,
        observe,
        interval=_INTERVAL,
        deadline=DEADLINE,
        notify=ref_of(resource),
        target=f"{pool.cloud.uid}/compute",
    )
    return context.tasks.latest(poll)


def cancel(context: Context, resource: Object) -> None:
    """Forget what was seen of hosts that were to leave: none is, or one stays after all."""
    context.tasks.forget(_poll(resource))


def _poll(resource: Object) -> str:
    return f"{ref_of(resource)}/leaving"


async def _remove(
    context: Context,
    resource: Object,
    access: CloudAccess,
    names: Collection[str],
    attempts: Attempts,
) -> Finding | None:
    """Remove hosts without agents from the cloud, then their ComputeNodes."""
    if not names:
        return None
    try:
        removed = await access.call("Removing compute hosts", remove_hosts, names)
    except CloudError as error:
        return _blocked(context, resource, f"The cloud keeps {', '.join(names)}: {error}.")
    log.info("Removed compute hosts", nodes=names, removed=removed)
    # What was seen before names them still.
    context.poller.forget(f"{ref_of(resource)}/hosts")
    namespace = resource["metadata"]["namespace"]
    for name in names:
        known = context.cluster.get("ComputeNode", namespace, name)
        if known is not None and not known["metadata"].get("deletionTimestamp"):
            with attempts.attempt():
                await context.cluster.delete(known)
    return None


def _still_stopping(context: Context, names: Collection[str]) -> str:
    """Return that agents are being removed; on a machine that is off none goes."""
    nodes = {name: context.cluster.get("Node", "", name) for name in names}
    off = [name for name, node in nodes.items() if node is not None and not is_ready_node(node)]
    advice = (
        f" No kubelet says so of {', '.join(off)}: where the machine is off for good, delete its "
        "Node (kubectl delete node), and they go with it."
    )
    return f"Agents on {', '.join(names)} are stopping.{advice if off else ''}"


async def reenable_hosts(access: CloudAccess, members: Collection[str]) -> tuple[str, ...]:
    """Open hosts that were to leave, this pool or another, and stay after all; return which."""
    return await access.call("Opening compute hosts", enable_hosts, tuple(members), _LEAVES)


def _blocked(context: Context, resource: Object, message: str) -> Finding:
    context.enqueue(ref_of(resource), _RETRY_SECONDS)
    deleting = resource["metadata"].get("deletionTimestamp")
    escape = f" To leave all as it is, remove the finalizer {FINALIZER}." if deleting else ""
    return Finding(Reason.DELETION_BLOCKED, f"{message}{escape}")
