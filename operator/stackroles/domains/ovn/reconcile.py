"""OVN's databases of a cloud, reconciled by themselves: how their members stand."""

from collections.abc import Mapping
from typing import Any, Final

from stackroles.addresses import pod_address
from stackroles.agents.ovsdb.protocol import PORT, OvsdbStatus
from stackroles.agents.status_protocol import STATUS_PATH
from stackroles.config.cloud import Cloud
from stackroles.domains.ovn.status import DATABASES, Reports, assess_databases
from stackroles.kube.kinds import PartRef, ref_of
from stackroles.reconcile.clouds import active_cloud
from stackroles.reconcile.context import Context
from stackroles.reconcile.pod_http import get_messages, url_of
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
    for role in DATABASES:
        if context.cluster.get("StatefulSet", cloud.namespace, cloud.workload(role)) is None:
            continue
        found = _reports(context, resource, cloud, role)
        if found is not None:
            reports[role] = found
    if reports:
        state = assess_databases(reports, {role: cloud.replicas[role] for role in reports})
        context.publish(resource, databases_of(resource), state)


def _reports(context: Context, resource: Object, cloud: Cloud, role: str) -> Reports | None:
    """Return what a role's members answered last, None before the first round."""
    part = databases_of(resource)

    async def ask() -> Reports:
        pods = context.cluster.list("Pod", cloud.namespace, selector(cloud, role))
        return await pull_reports({p["metadata"]["name"]: pod_address(p) for p in pods})

    name = f"{part.whole}/{role}"
    context.poller.ensure(name, ask, interval=_INTERVAL, deadline=_DEADLINE, notify=part)
    seen = context.poller.latest(name)
    return seen.value if seen is not None else None


async def pull_reports(addresses: Mapping[str, str]) -> Reports:
    """Return each member's report by pod name, asked side by side within a second.

    Args:
        addresses: pod address by pod name, empty where there is none yet.
    """
    urls = {name: url_of(ip, PORT, STATUS_PATH) for name, ip in addresses.items() if ip}
    return {**dict.fromkeys(addresses), **await get_messages(OvsdbStatus, urls)}
