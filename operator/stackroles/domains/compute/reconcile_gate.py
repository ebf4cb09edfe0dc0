"""Closes hosts to the scheduler while no guest runs on them, and opens them when one did."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from stackroles.agents.compute.node_protocol import NodeReport
from stackroles.agents.compute.probe_protocol import ProbeReport
from stackroles.config.pool import Pool
from stackroles.domains.compute.gate import FAILING, UNPROVEN, GateAction, HostGate, decide
from stackroles.domains.compute.probing import is_answered
from stackroles.domains.compute.reconcile_node import previous_status
from stackroles.domains.compute.reconcile_reports import Reports
from stackroles.domains.compute.status_node import Builds
from stackroles.errors import CloudError
from stackroles.openstack.access import CloudAccess
from stackroles.openstack.hosts import Host, disable_hosts, enable_hosts
from stackroles.reconcile.context import Context

Object = dict[str, Any]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """The hosts of a pool that nova knows, after this pass' decisions.

    Attributes:
        hosts: what is known of each, by name.
        changed: whether a service was disabled or enabled.
    """

    hosts: Mapping[str, HostGate]
    changed: bool = False


def observe_gates(
    nodes: Mapping[str, Object],
    hosts: Mapping[str, Host],
    probes: Mapping[str, ProbeReport | None],
    reports: Reports,
) -> dict[str, HostGate]:
    """Return what is known of each node's host that nova knows.

    Args:
        nodes: ComputeNodes by node.
        hosts: hosts by name.
        probes: the newest report of each node's probe guest, None where none is known now.
        reports: what the nodes' agents say.
    """
    return {
        name: _gate(node, hosts[name], probes.get(name), reports)
        for name, node in nodes.items()
        if name in hosts
    }


def _gate(node: Object, host: Host, probe: ProbeReport | None, reports: Reports) -> HostGate:
    before, report = previous_status(node), reports.get(host.name)
    request = before.guest_probe or ""
    return HostGate(
        enabled=host.enabled,
        reason=host.reason,
        failures=report.build_failures if report else None,
        counted_from=before.builds_counted_from,
        proven=probe.proven if probe else None,
        proof=probe.reason if probe else "",
        # A probe may answer a person's request as well.
        answered=request if probe and is_answered(request, probe) else "",
        request=request,
    )


def builds_of(gate: HostGate | None, node: Object, report: NodeReport | None) -> Builds:
    """Return what a node's status says of builds on its host.

    Args:
        gate: what is known of the host; None while nova does not say, as after a start of the
            operator: what was decided before stays.
        node: the ComputeNode.
        report: what the node's agent says, None while it does not.
    """
    if gate is None:
        before = previous_status(node)
        gate = HostGate(
            enabled=True,
            failures=report.build_failures if report else None,
            counted_from=before.builds_counted_from,
            request=before.guest_probe or "",
        )
    return Builds(
        failures=gate.counted,
        closed=gate.fault,
        counted_from=gate.counted_from,
        request=gate.request,
    )


async def keep_gates(
    context: Context, pool: Pool, access: CloudAccess, gates: Mapping[str, HostGate]
) -> Gates:
    """Disable and enable the services of hosts that stay, as far as is called for.

    Args:
        context: the operator's context.
        pool: the pool.
        access: the cloud.
        gates: what is known of each host that stays.
    """
    now = context.clock.now().replace(microsecond=0)
    actions = decide(gates, pool.spec.build_failure_threshold, now)
    reasons = {name: action.close for name, action in actions.items() if action.close}
    opened = sorted(name for name, action in actions.items() if action.open)
    try:
        if reasons:
            await access.call("Disabling compute services", disable_hosts, reasons)
            log.warning("Disabled compute services", reasons=reasons)
        for prefix in (FAILING, UNPROVEN) if opened else ():
            await access.call("Enabling compute services", enable_hosts, opened, prefix)
            log.info("Enabled compute services", nodes=opened)
    except CloudError as error:
        log.warning("Compute services could not be changed", error=str(error))
        return Gates(hosts=gates)
    after = {name: _after(gate, actions.get(name), now) for name, gate in gates.items()}
    return Gates(hosts=after, changed=bool(reasons or opened))


def _after(gate: HostGate, action: GateAction | None, now: datetime) -> HostGate:
    """Return a host as it is after an action."""
    if action is None:
        # Enabled by somebody else: what was asked for is not needed any more.
        return replace(gate, request="") if gate.enabled and gate.request else gate
    if action.open:
        return replace(gate, enabled=True, reason="", request="", counted_from=now)
    if action.close:
        return replace(gate, enabled=False, reason=action.close, request=action.request)
    return replace(gate, request=action.request)
