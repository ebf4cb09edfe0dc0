"""The ActivePassive roles of a cloud, reconciled by themselves: their Leases, and who is active."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from stackroles.addresses import pod_address
from stackroles.agents.gate.protocol import PORT, GateStatus
from stackroles.agents.status_protocol import STATUS_PATH
from stackroles.config.cloud import Cloud
from stackroles.domains.clustering.status import ClusteringState, assess_turns, has_lease
from stackroles.kube.kinds import PartRef, ref_of
from stackroles.reconcile.clouds import active_cloud
from stackroles.reconcile.context import Context
from stackroles.reconcile.pod_http import get_messages, url_of
from stackroles.roles import registry
from stackroles.roles.clustering import takes_turns
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.manifests.gate import build_lease
from stackroles.workloads.manifests.metadata import selector

Object = dict[str, Any]
Reports = Mapping[str, Mapping[str, GateStatus | None]]

PART: Final = "clustering"
_INTERVAL = 2.0
_DEADLINE = 5.0


def clustering_of(resource: Object) -> PartRef:
    """Return the key of a CloudController's roles whose members take turns."""
    return PartRef(*ref_of(resource), PART)


async def reconcile_clustering(context: Context, resource: Object) -> None:
    """Make the Leases that gates hold, have the gates asked from now on, and publish who is active.

    Raises:
        SpecInvalid: the spec asks for what cannot be; the pass over the cloud says so.
        ClusterError: a Lease was refused.
    """
    cloud = active_cloud(context, resource)
    if cloud is None:
        return
    part = clustering_of(resource)
    roles = [role for role in registry.CONTROLLER_ROLES if takes_turns(role, cloud)]
    name = f"{part.whole}/gates"
    if not roles:
        context.poller.forget(name)
        context.publish(resource, part, ClusteringState())
        return
    asks = _ask(context, cloud, roles)
    context.poller.ensure(name, asks, interval=_INTERVAL, deadline=_DEADLINE, notify=part)
    seen = context.poller.latest(name)
    reports: Reports = seen.value if seen is not None and seen.value is not None else {}
    for role in roles:
        await _ensure_lease(context, cloud, role, reports.get(role.name, {}))
    if reports:
        turns = {role.name: assess_turns(reports.get(role.name, {})) for role in roles}
        context.publish(resource, part, ClusteringState(turns))


def _ask(context: Context, cloud: Cloud, roles: list[RoleDefinition]) -> Callable[[], Any]:
    async def ask() -> Reports:
        found: dict[str, dict[str, GateStatus | None]] = {}
        for role in roles:
            pods = context.cluster.list("Pod", cloud.namespace, selector(cloud, role.name))
            urls = {
                pod["metadata"]["name"]: url_of(address, PORT, STATUS_PATH)
                for pod in pods
                if (address := pod_address(pod))
            }
            found[role.name] = await get_messages(GateStatus, urls)
        return found

    return ask


async def _ensure_lease(
    context: Context,
    cloud: Cloud,
    role: RoleDefinition,
    reports: Mapping[str, GateStatus | None],
) -> None:
    """Make a Lease that is not there; nobody watches Leases, which are renewed all the time."""
    lease = build_lease(cloud, role)
    if has_lease(reports):
        return
    if await context.cluster.read("Lease", cloud.namespace, lease["metadata"]["name"]) is None:
        await context.cluster.apply(lease)
