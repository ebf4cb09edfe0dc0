"""RPC servers of a cloud: has them called once a minute, and replaces those that are deaf."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Final

import structlog

from stackroles.addresses import pod_address
from stackroles.agents.gate import lease as leases
from stackroles.agents.rpc.protocol import PORT, RpcStatus, query_of, server_of
from stackroles.agents.status_protocol import STATUS_PATH
from stackroles.config.cloud import Cloud
from stackroles.constants import LABEL_NAME, LABEL_PART_OF
from stackroles.domains.messaging.rpc import (
    RpcServer,
    assess_deaf,
    assess_silence,
    choose_restarts,
    find_deaf,
)
from stackroles.kube.kinds import PartRef
from stackroles.reconcile.context import Context
from stackroles.reconcile.pod_http import get_messages, url_of
from stackroles.roles import nova, registry
from stackroles.roles.clustering import takes_turns
from stackroles.workloads.conditions import Finding
from stackroles.workloads.manifests.gate import lease_of
from stackroles.workloads.manifests.metadata import selector
from stackroles.workloads.pod import is_ready

Object = dict[str, Any]
log = structlog.get_logger(__name__)

MONITOR: Final = nova.NOVA_RPC_MONITOR.name
COMPUTE: Final = "nova-compute"
_INTERVAL: Final = 5.0
_DEADLINE: Final = 5.0
# A pod is deleted on an answer of now only.
_FRESH_SECONDS: Final = 3 * (_INTERVAL + _DEADLINE)


async def reconcile_rpc(
    context: Context, resource: Object, cloud: Cloud, part: PartRef
) -> Finding | None:
    """Have the cloud's RPC servers called from now on, and replace the pods of deaf ones.

    Args:
        context: what a pass is given.
        resource: the CloudController.
        cloud: the cloud as declared.
        part: whose pass it is.

    Returns:
        What a person should know, None where all answer or nothing is known.

    Raises:
        ClusterError: the Kubernetes API refused or did not answer.
    """
    name = f"{part.whole}/rpc"
    ask = _ask(context, cloud)
    context.poller.ensure(name, ask, interval=_INTERVAL, deadline=_DEADLINE, notify=part)
    seen = context.poller.latest(name)
    fresh = seen is not None and not seen.error
    old = context.clock.monotonic() - seen.at if seen is not None else 0.0
    status: RpcStatus | None = seen.value if seen and fresh and old < _FRESH_SECONDS else None
    pods = await _pods(context, cloud)
    now = context.clock.now()
    servers = [_server(role, pod, now) for role, pod in pods]
    deaf = find_deaf(servers, status)
    by_name = {pod["metadata"]["name"]: pod for _, pod in pods}
    for server in choose_restarts(servers, deaf):
        log.warning("Replacing a deaf RPC server", pod=server.pod, server=server.name)
        await context.cluster.event(
            resource,
            "Warning",
            "RpcServerReplaced",
            f"{server.pod} holds its connection to the broker and does not answer RPC calls; its "
            "pod is deleted, so that a new process takes its place.",
        )
        await context.cluster.delete(by_name[server.pod])
    return assess_deaf(deaf) or assess_silence(servers, status)


def _ask(context: Context, cloud: Cloud) -> Callable[[], Coroutine[Any, Any, RpcStatus | None]]:
    async def ask() -> RpcStatus | None:
        pods = context.cluster.list("Pod", cloud.namespace, selector(cloud, MONITOR))
        # Of a node that is gone the former one stays listed, with its address.
        monitors = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        monitors.sort(key=is_ready, reverse=True)
        address = next((found for pod in monitors if (found := pod_address(pod))), None)
        if address is None:
            return None
        servers = await _pods(context, cloud)
        query = query_of(_name(role, pod) for role, pod in servers if is_ready(pod))
        return (
            await get_messages(
                RpcStatus, {MONITOR: url_of(address, PORT, f"{STATUS_PATH}?{query}")}
            )
        )[MONITOR]

    return ask


async def _pods(context: Context, cloud: Cloud) -> list[tuple[str, Object]]:
    """Return role and pod of every process that is to answer RPC calls."""
    found: list[tuple[str, Object]] = []
    for role in nova.RPC_TOPICS:
        if role == COMPUTE:
            labels = {LABEL_NAME: role, LABEL_PART_OF: cloud.name}
            pods = context.cluster.list("Pod", cloud.namespace, labels)
        else:
            pods = context.cluster.list("Pod", cloud.namespace, selector(cloud, role))
            if takes_turns(registry.role(role), cloud):
                # The program of a standby does not run.
                holder = await _holder(context, cloud, role)
                pods = [pod for pod in pods if pod["metadata"]["name"] == holder]
        found += [(role, pod) for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    return found


async def _holder(context: Context, cloud: Cloud, role: str) -> str:
    name = lease_of(cloud, registry.role(role))
    lease = await context.cluster.read("Lease", cloud.namespace, name)
    return leases.pod_of((lease or {}).get("spec", {}).get("holderIdentity") or "")


def _name(role: str, pod: Object) -> str:
    """Return the name of a pod's RPC server: nova's host is the node's, or the pod's own."""
    compute = role == COMPUTE
    host = pod["spec"].get("nodeName", "") if compute else pod["metadata"]["name"]
    return server_of(nova.RPC_TOPICS[role], host)


def _server(role: str, pod: Object, now: datetime) -> RpcServer:
    made = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    return RpcServer(
        name=_name(role, pod),
        role=role,
        pod=pod["metadata"]["name"],
        ready=is_ready(pod),
        age=(now - made).total_seconds(),
    )
