"""How the agents of a pool's nodes stand in one pass, and what follows for each node."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from stackroles.config.pool import Pool
from stackroles.domains.compute.gate import HostGate
from stackroles.domains.compute.reconcile_cloud import facts
from stackroles.domains.compute.reconcile_gate import builds_of, keep_gates, observe_gates
from stackroles.domains.compute.reconcile_node import (
    agents_expected,
    nodes_of,
    pods_by_node,
    report_node,
)
from stackroles.domains.compute.reconcile_probe import answer_requests, newest_report
from stackroles.domains.compute.reconcile_reports import watch_reports
from stackroles.domains.compute.reconcile_rollout import (
    libvirt_current,
    outdated_roles,
    roll_data_plane,
)
from stackroles.domains.compute.status_node import ObservedNode
from stackroles.kube.kinds import ref_of
from stackroles.openstack.access import CloudAccess
from stackroles.openstack.hosts import Host
from stackroles.reconcile.apply_failures import Attempts
from stackroles.reconcile.context import Context
from stackroles.workloads.conditions import Finding

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """What the cloud says of a pool's hosts.

    Attributes:
        hosts: hosts by name.
        mapped: hosts that the scheduler knows.
        api_error: why the cloud could not be asked, empty when it could.
        gates: what is known of builds on each host.
    """

    hosts: Mapping[str, Host]
    mapped: Collection[str]
    api_error: str
    gates: Mapping[str, HostGate]


class PoolAgents:
    """A pool's agents as seen at one time."""

    def __init__(self, context: Context, resource: Object, pool: Pool, attempts: Attempts) -> None:
        self._attempts = attempts
        self._context = context
        self._resource = resource
        self._pool = pool
        self._pods = pods_by_node(context, pool)
        self._reports = watch_reports(context, resource, pool)
        self._probes = {
            name: newest_report(context, pool, name, self._pods.get(name, ()))
            for name in nodes_of(context, pool)
        }
        self._outdated = {
            node: outdated_roles(context, pool, found) for node, found in self._pods.items()
        }

    def libvirt(self) -> Finding:
        """Return which nodes run the former libvirt."""
        return libvirt_current(self._pool, self._outdated)

    async def roll(self) -> Finding | None:
        """Replace the data plane of the node whose turn it is; return how that stands."""
        return await roll_data_plane(self._context, self._resource, self._pool, self._pods)

    async def probe(self, kept: Collection[str]) -> Finding | None:
        """Have nodes that are asked to run their probe guests again; return what prevents it."""
        nodes = nodes_of(self._context, self._pool)
        staying = {name: nodes[name] for name in kept if name in nodes}
        return await answer_requests(
            self._context,
            self._resource,
            self._pool,
            nodes=staying,
            agents=self._pods,
            reports=self._probes,
            attempts=self._attempts,
        )

    async def keep_gates(
        self, kept: Collection[str], hosts: Mapping[str, Host], access: CloudAccess | None
    ) -> Mapping[str, HostGate]:
        """Close hosts on which no guest runs and open those on which one did.

        Args:
            kept: nodes that stay in the pool.
            hosts: what the cloud says of them, by name.
            access: the cloud; None where nothing may be changed now.
        """
        nodes = nodes_of(self._context, self._pool)
        staying = {name: nodes[name] for name in kept if name in nodes}
        gates = observe_gates(staying, hosts, self._probes, self._reports)
        if access is None:
            return gates
        done = await keep_gates(self._context, self._pool, access, gates)
        if done.changed:
            self._context.poller.refresh(f"{ref_of(self._resource)}/hosts")
        return done.hosts

    async def report(self, kept: Collection[str], known: Known) -> None:
        """Write the status of each ComputeNode of the pool."""
        for name, node in nodes_of(self._context, self._pool).items():
            observed = ObservedNode(
                name=name,
                host=facts(known.hosts.get(name)),
                pods=self._pods.get(name, []),
                roles=agents_expected(),
                mapped=name in known.mapped,
                leaving=name not in kept,
                gone=self._context.cluster.get("Node", "", name) is None,
                api_error=known.api_error,
                zone=self._pool.spec.availability_zone,
                report=self._reports.get(name),
                builds=builds_of(known.gates.get(name), node, self._reports.get(name)),
                outdated=self._outdated.get(name, ()),
            )
            with self._attempts.attempt():
                await report_node(self._context, node, observed, self._probes.get(name))
