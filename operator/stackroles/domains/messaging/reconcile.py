"""Asks the brokers' agents again and again which cluster they are in."""

from collections.abc import Awaitable, Callable, Mapping

from stackroles.addresses import pod_address
from stackroles.agents.broker_protocol import Status
from stackroles.config.cloud import Cloud
from stackroles.domains.messaging.status import MESSAGING, assess_brokers, parse_report
from stackroles.kube.kinds import ObjectRef
from stackroles.reconcile.context import Context
from stackroles.reconcile.pod_http import get_all, url_of
from stackroles.roles.rabbitmq import AGENT_PORT
from stackroles.workloads.conditions import Finding
from stackroles.workloads.manifests.metadata import selector

_INTERVAL = 10.0
_DEADLINE = 5.0
Reports = Mapping[str, Status | None]


async def pull_reports(addresses: Mapping[str, str]) -> Reports:
    """Return each broker's report by pod name, asked side by side within a second.

    Args:
        addresses: pod address by pod name.
    """
    urls = {name: url_of(ip, AGENT_PORT, "/status") for name, ip in addresses.items()}
    return {name: parse_report(answer) for name, answer in (await get_all(urls)).items()}


def watch_brokers(
    context: Context,
    ref: ObjectRef,
    cloud: Cloud,
    pull: Callable[[Mapping[str, str]], Awaitable[Reports]] = pull_reports,
) -> Finding | None:
    """Have the brokers' agents asked from now on; return what needs a person.

    Args:
        context: the cluster and the poller.
        ref: the CloudController, which is reconciled when an answer differs from the last.
        cloud: the same, resolved.
        pull: how pods are asked; over HTTP by default.
    """

    async def ask() -> Reports:
        pods = context.cluster.list("Pod", cloud.namespace, selector(cloud, MESSAGING))
        found = {p["metadata"]["name"]: pod_address(p) for p in pods}
        return await pull({name: ip for name, ip in found.items() if ip})

    name = f"{ref}/brokers"
    context.poller.ensure(name, ask, interval=_INTERVAL, deadline=_DEADLINE, notify=ref)
    seen = context.poller.latest(name)
    return assess_brokers(seen.value) if seen and seen.value else None
