"""The messaging cluster of a cloud, reconciled by itself: which cluster its brokers are in."""

from collections.abc import Mapping
from typing import Any, Final

from stackroles.addresses import pod_address
from stackroles.agents.broker.protocol import PORT, BrokerStatus
from stackroles.agents.status_protocol import STATUS_PATH
from stackroles.domains.messaging.status import MESSAGING, assess_brokers
from stackroles.kube.kinds import PartRef, ref_of
from stackroles.reconcile.clouds import active_cloud
from stackroles.reconcile.context import Context
from stackroles.reconcile.pod_http import get_messages, url_of
from stackroles.workloads.manifests.metadata import selector

Object = dict[str, Any]

PART: Final = "messaging"
_INTERVAL = 10.0
_DEADLINE = 5.0
Reports = Mapping[str, BrokerStatus | None]


async def pull_reports(addresses: Mapping[str, str]) -> Reports:
    """Return each broker's report by pod name, asked side by side within a second.

    Args:
        addresses: pod address by pod name.
    """
    urls = {name: url_of(ip, PORT, STATUS_PATH) for name, ip in addresses.items()}
    return await get_messages(BrokerStatus, urls)


def messaging_of(resource: Object) -> PartRef:
    """Return the key of a CloudController's messaging cluster."""
    return PartRef(*ref_of(resource), PART)


async def reconcile_messaging(context: Context, resource: Object) -> None:
    """Have the brokers' agents asked from now on, and publish what needs a person.

    Raises:
        SpecInvalid: the spec asks for what cannot be; the pass over the cloud says so.
    """
    cloud = active_cloud(context, resource)
    if cloud is None:
        return
    workload = context.cluster.get("StatefulSet", cloud.namespace, cloud.workload(MESSAGING))
    if workload is None:
        return
    part = messaging_of(resource)

    async def ask() -> Reports:
        pods = context.cluster.list("Pod", cloud.namespace, selector(cloud, MESSAGING))
        found = {p["metadata"]["name"]: pod_address(p) for p in pods}
        return await pull_reports({name: ip for name, ip in found.items() if ip})

    name = f"{part.whole}/brokers"
    context.poller.ensure(name, ask, interval=_INTERVAL, deadline=_DEADLINE, notify=part)
    seen = context.poller.latest(name)
    if seen is not None and seen.value is not None:
        context.publish(resource, part, assess_brokers(seen.value))
