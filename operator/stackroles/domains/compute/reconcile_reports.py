"""What the agents of a pool's nodes report."""

from typing import Any

from stackroles.addresses import pod_address
from stackroles.agents.compute.node_protocol import NodeReport
from stackroles.config.pool import Pool
from stackroles.domains.compute.client import pull_node_reports
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.context import Context
from stackroles.roles.node_agent import NODE_AGENT
from stackroles.workloads.manifests.metadata import selector

Object = dict[str, Any]
Reports = dict[str, NodeReport | None]

_INTERVAL = 10.0
_DEADLINE = 10.0


def watch_reports(context: Context, resource: Object, pool: Pool) -> Reports:
    """Have the nodes' agents asked again and again; return their last reports by node."""
    name = f"{ref_of(resource)}/reports"

    async def pull() -> Reports:
        return await pull_now(context, pool)

    context.poller.ensure(
        name, pull, interval=_INTERVAL, deadline=_DEADLINE, notify=ref_of(resource)
    )
    seen = context.poller.latest(name)
    reports: Reports = seen.value if seen is not None and seen.value and not seen.error else {}
    return reports


async def pull_now(context: Context, pool: Pool) -> Reports:
    """Return what each node's agent says now."""
    pods = context.cluster.list("Pod", pool.namespace, selector(pool, NODE_AGENT.name))
    addresses = {
        pod["spec"]["nodeName"]: address
        for pod in pods
        if pod.get("spec", {}).get("nodeName") and (address := pod_address(pod))
    }
    return await pull_node_reports(addresses)
