"""Has nodes run their probe guests again, and nova-compute use what they have shown."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from stackroles.agents.compute.probe_protocol import ProbeReport
from stackroles.config.pool import Pool
from stackroles.constants import LABEL_INSTANCE, LABEL_NAME, LABEL_OWNER_KIND, LABEL_STEP
from stackroles.domains.compute.build_probe import SERVICE, build_probe_job, step_of
from stackroles.domains.compute.probing import differs, unanswered
from stackroles.domains.compute.status_node import read_report
from stackroles.reconcile.apply_failures import Attempts
from stackroles.reconcile.context import Context
from stackroles.reconcile.step_job import StepJob
from stackroles.roles.nova_compute import NOVA_COMPUTE, PROBE
from stackroles.workloads.conditions import Finding
from stackroles.workloads.step import assess_step

Object = dict[str, Any]
log = structlog.get_logger(__name__)

_ADVICE = "look at the log of its pod and at libvirt's pod on that node"


def probe_pods(context: Context, pool: Pool, node: str) -> list[Object]:
    """Return the pods in which a node has probed again."""
    labels = {
        LABEL_INSTANCE: pool.name,
        LABEL_OWNER_KIND: pool.owner_kind,
        LABEL_STEP: f"{SERVICE}.{step_of(node)}",
    }
    return context.cluster.list("Pod", pool.namespace, labels)


def newest_report(
    context: Context, pool: Pool, node: str, agents: Sequence[Object]
) -> ProbeReport | None:
    """Return the newest report of a node's probes, None where none is known now.

    Args:
        context: the operator's context.
        pool: the node's pool.
        node: its name.
        agents: the pods of its agents.
    """
    return read_report([*agents, *probe_pods(context, pool, node)], PROBE)


async def answer_requests(
    context: Context,
    resource: Object,
    pool: Pool,
    *,
    nodes: Mapping[str, Object],
    agents: Mapping[str, Sequence[Object]],
    reports: Mapping[str, ProbeReport | None],
    attempts: Attempts,
) -> Finding | None:
    """Run the probe guest on nodes that are asked to, and replace nova-compute where it must be.

    Args:
        context: the operator's context.
        resource: the ComputePool.
        pool: the same.
        nodes: the ComputeNodes that stay in it, by node.
        agents: the pods of the agents, by node.
        reports: the newest report of each node's probe guest.
        attempts: of the pass; what fails on one node holds up no other.

    Returns:
        Why a probe cannot be run; None where all run or have run.
    """
    trouble = None
    for name, node in sorted(nodes.items()):
        pods, report = agents.get(name, ()), reports.get(name)
        request = unanswered(node, report)
        with attempts.attempt():
            if request:
                found = await _run(context, resource, pool, name, request)
                trouble = trouble or found
            else:
                await _replace_outdated(context, name, pods, report)
    return trouble


async def _run(
    context: Context, resource: Object, pool: Pool, name: str, request: str
) -> Finding | None:
    job = StepJob(context, resource, build_probe_job(pool, name, request))
    state = assess_step(f"nova/probe on {name}", _ADVICE, *job.seen(), context.clock.now())
    await job.run(state)
    return state.problem


async def _replace_outdated(
    context: Context, name: str, pods: Sequence[Object], report: ProbeReport | None
) -> None:
    """Delete nova-compute's pod where it was started with something else than was proven since."""
    for pod in pods:
        role = pod["metadata"].get("labels", {}).get(LABEL_NAME)
        leaving = pod["metadata"].get("deletionTimestamp")
        if role != NOVA_COMPUTE.name or leaving:
            continue
        if differs(read_report([pod], PROBE), report):
            log.info("Restarting nova-compute with what was proven", node=name)
            await context.cluster.delete(pod)
