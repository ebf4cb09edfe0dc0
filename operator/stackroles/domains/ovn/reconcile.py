"""OVN's databases of a cloud, reconciled by themselves: how their members stand."""

from collections.abc import Mapping
from typing import Any, Final

from stackroles.addresses import pod_address
from stackroles.agents.ovsdb.protocol import PORT, OvsdbStatus
from stackroles.agents.status_protocol import STATUS_PATH
from stackroles.config.cloud import Cloud
from stackroles.domains.ovn.departures import view_members
from stackroles.domains.ovn.status import DATABASES, Reports, assess_databases
from stackroles.kube.kinds import PartRef, ref_of
from stackroles.reconcile.clouds import active_cloud
from stackroles.reconcile.context import Context
from stackroles.reconcile.departures import reconcile_departures
from stackroles.reconcile.parts import service_of
from stackroles.reconcile.pod_http import get_messages, url_of
from stackroles.roles import registry
from stackroles.workloads.departures import MemberView
from stackroles.workloads.manifests.metadata import selector

Object = dict[str, Any]

PART: Final = "ovn"
_INTERVAL = 5.0
_DEADLINE = 5.0


def databases_of(resource: Object) -> PartRef:
    """Return the key of a CloudController's OVN databases."""
    return PartRef(*ref_of(resource), PART)


async def reconcile_databases(context: Context, resource: Object) -> None:
    """Have the members' agents asked from now on, and publish how the databases stand.

    Raises:
        SpecInvalid: the spec asks for what cannot be; the pass over the cloud says so.
    """
    cloud = active_cloud(context, resource)
    if cloud is None:
        return
    reports: dict[str, Reports] = {}
    leaving: dict[str, str] = {}
    for role in DATABASES:
        if context.cluster.get("StatefulSet", cloud.namespace, cloud.workload(role)) is None:
            continue
        found = _reports(context, resource, cloud, role)
        if found is not None:
            reports[role] = found
            leaving[role] = await _let_go(context, resource, cloud, role, found)
    if reports:
        sizes = {role: cloud.replicas[role] for role in reports}
        state = assess_databases(reports, sizes, leaving)
        context.publish(resource, databases_of(resource), state)


async def _let_go(
    context: Context, resource: Object, cloud: Cloud, role: str, polled: Reports
) -> str:
    """Let members leave that are not wanted any more; return what is under way."""

    async def look() -> Mapping[int, MemberView]:
        return view_members(await pull_reports(_addresses(context, cloud, role)))

    definition = registry.role(role)
    return await reconcile_departures(
        context,
        resource,
        cloud,
        definition,
        polled=view_members(polled),
        look=look,
        reader=service_of(resource, definition.service),
    )


def _reports(context: Context, resource: Object, cloud: Cloud, role: str) -> Reports | None:
    """Return what a role's members answered last, None before the first round."""
    part = databases_of(resource)

    async def ask() -> Reports:
        return await pull_reports(_addresses(context, cloud, role))

    name = f"{part.whole}/{role}"
    context.poller.ensure(name, ask, interval=_INTERVAL, deadline=_DEADLINE, notify=part)
    seen = context.poller.latest(name)
    return seen.value if seen is not None else None


def _addresses(context: Context, cloud: Cloud, role: str) -> dict[str, str]:
    """Return the address of each member's pod by its name, empty where it has none yet."""
    pods = context.cluster.list("Pod", cloud.namespace, selector(cloud, role))
    return {pod["metadata"]["name"]: pod_address(pod) for pod in pods}


async def pull_reports(addresses: Mapping[str, str]) -> Reports:
    """Return each member's report by pod name, asked side by side within a second.

    Args:
        addresses: pod address by pod name, empty where there is none yet.
    """
    urls = {name: url_of(ip, PORT, STATUS_PATH) for name, ip in addresses.items() if ip}
    return {**dict.fromkeys(addresses), **await get_messages(OvsdbStatus, urls)}
