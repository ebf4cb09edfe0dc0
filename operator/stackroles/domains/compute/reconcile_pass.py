"""One pass over a ComputePool: no action that is refused holds up the others."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import structlog

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.pool import Pool
from stackroles.domains.compute import reconcile_removal
from stackroles.domains.compute.membership import Enrolment, plan_enrolment
from stackroles.domains.compute.reconcile_agents import apply_agents, startable
from stackroles.domains.compute.reconcile_cloud import PoolCloud
from stackroles.domains.compute.reconcile_node import enrol, nodes_of, previous_status, record
from stackroles.domains.compute.reconcile_pool_agents import Known, PoolAgents
from stackroles.domains.compute.reconcile_pool_status import PassOutcome, write_pool_status
from stackroles.domains.compute.reconcile_view import candidates, claims, previous
from stackroles.domains.compute.status_node import ENROLLING, READY, UNAVAILABLE
from stackroles.errors import CloudError, ClusterError
from stackroles.kube.apply import AppliedRecord
from stackroles.kube.kinds import ref_of
from stackroles.openstack.access import CloudAccess
from stackroles.openstack.hosts import Host
from stackroles.reconcile.apply_failures import Attempts
from stackroles.reconcile.context import Context
from stackroles.reconcile.observe import explain_roles, observe_roles
from stackroles.roles import registry
from stackroles.workloads.conditions import Finding
from stackroles.workloads.step import StepState

Object = dict[str, Any]
log = structlog.get_logger(__name__)


class PoolPass:
    """One pass over one pool.

    One that is to go is kept up until its nodes have left: guests cannot be moved without agents,
    and a deletion in the foreground takes children all the same.
    """

    def __init__(self, context: Context, resource: Object, pool: Pool, controller: Object) -> None:
        self._context = context
        self._resource = resource
        self._pool = pool
        self._controller = controller
        self._deleting = bool(resource["metadata"].get("deletionTimestamp"))
        self._cloud = PoolCloud(context, resource, pool, controller)
        self._unavailable = self._cloud.unavailable
        self._attempts = Attempts()
        self._zone = pool.spec.availability_zone or previous(resource).availability_zone

    async def run(self) -> None:
        """Choose nodes, apply agents, ask the cloud, and say how it stands.

        Raises:
            ClusterError: an action failed; all others were done, and the status was written.
            NotReady: what an action needs is not there yet; as above.
        """
        enrolment = plan_enrolment(
            *claims(self._context, self._resource), candidates(self._context)
        )
        hosts, api_error, has_answer = self._cloud.hosts()
        access = await self._read_access()
        await self._record(enrolment, hosts)
        mappable = self._mappable(hosts)
        discovery = self._cloud.discovery(mappable)
        missing, records = await self._apply(discovery[:-1])
        step = StepState(node="")
        with self._attempts.attempt():
            if mappable:
                step = await self._cloud.discover(discovery)
        mapped = self._mapped(step)
        agents = PoolAgents(self._context, self._resource, self._pool, self._attempts)
        kept = {*enrolment.members, *enrolment.enrol}
        if has_answer or api_error:
            asked = access if has_answer and not api_error and not self._deleting else None
            gates = await agents.keep_gates(kept, hosts, asked)
            await agents.report(kept, Known(hosts, mapped, api_error, gates))
        rolling, probing = await self._replace(agents, kept, applied=records is not None)
        trouble, held = await self._cloud_side(enrolment, access, mapped)
        if self._deleting and not reconcile_removal.present(self._context, self._pool):
            await reconcile_removal.remove_finalizer(self._context, self._resource)
            return
        leaving = Finding(Reason.LEAVING, held.message) if held else None
        trouble = step.problem or leaving or trouble or probing or await self._pods_rejected()
        outcome = PassOutcome(
            enrolment=enrolment,
            records=records,
            blocked=held if self._deleting else None,
            attempts=self._attempts,
            progressing=trouble or _waiting(missing, self._pool.cloud.name),
            rolling=rolling,
            libvirt=agents.libvirt(),
            api_error=api_error,
            zone=self._zone,
        )
        await write_pool_status(self._context, self._resource, self._pool, outcome)
        self._attempts.raise_failure()

    async def _read_access(self) -> CloudAccess | None:
        try:
            return await self._cloud.access()
        except ClusterError as error:
            self._attempts.add(error)
            self._unavailable = str(error)
            return None

    async def _apply(
        self, others: Iterable[Object]
    ) -> tuple[set[str], tuple[AppliedRecord, ...] | None]:
        """Apply the agents that may run, and some other objects.

        Returns:
            The controller's roles that agents wait for; what was applied, None where not all was.
        """
        roles, missing = startable(self._context, self._pool, self._controller)
        with self._attempts.attempt():
            return missing, await apply_agents(
                self._context, self._resource, self._pool, roles, others
            )
        return missing, None

    async def _replace(
        self, agents: PoolAgents, kept: Collection[str], *, applied: bool
    ) -> tuple[Finding | None, Finding | None]:
        """Replace former agents, and have probe guests run; return how either stands."""
        rolling = probing = None
        if not applied:
            return None, None
        with self._attempts.attempt():
            rolling = await agents.roll()
        if not self._deleting:
            probing = await agents.probe(kept)
        return rolling, probing

    async def _pods_rejected(self) -> Finding | None:
        """Return why pods of an agent are rejected, where they are."""
        cluster, now = self._context.cluster, self._context.clock.now()
        states = observe_roles(cluster, self._pool, registry.COMPUTE_ROLES, now)
        with self._attempts.attempt():
            states = await explain_roles(cluster, self._pool, states, now)
        problems = [state.problem for state in states]
        return next(
            (found for found in problems if found and found.reason is Reason.PODS_REFUSED), None
        )

    async def _record(self, enrolment: Enrolment, hosts: Mapping[str, Host]) -> None:
        """See that each node has its ComputeNode, also a host that only nova remembers."""
        kept = (*enrolment.members, *enrolment.enrol)
        for name in kept:
            with self._attempts.attempt():
                await enrol(self._context, self._resource, self._pool, name)
        reason = reconcile_removal.disabled_reason(self._pool)
        closed = {n for n, host in hosts.items() if not host.enabled and host.reason == reason}
        for name in sorted({*enrolment.leaving, *closed} - {*kept}):
            with self._attempts.attempt():
                await record(self._context, self._resource, self._pool, name)

    def _mappable(self, hosts: Mapping[str, Host]) -> dict[str, Host]:
        """Return hosts that may be mapped into their cell.

        A host on which no probe guest ran would take guests the moment it is mapped, so that it has
        to be closed before.
        """
        nodes = nodes_of(self._context, self._pool)
        unproven = {
            name
            for name, node in nodes.items()
            if (status := previous_status(node)).virt_proven is False and status.state == ENROLLING
        }
        return {n: host for n, host in hosts.items() if n not in unproven or not host.enabled}

    def _mapped(self, step: StepState) -> set[str]:
        """Return the hosts that the scheduler knows: all after the step, before it the old ones."""
        nodes = nodes_of(self._context, self._pool)
        if step.done:
            return set(nodes)
        served = (READY, UNAVAILABLE)
        return {name for name, node in nodes.items() if previous_status(node).state in served}

    async def _cloud_side(
        self, enrolment: Enrolment, access: CloudAccess | None, mapped: set[str]
    ) -> tuple[Finding | None, Finding | None]:
        """Do what needs the cloud's APIs: poll hosts, fill the zone, let nodes go.

        Returns:
            What is wrong with hosts that stay, and what holds up those that leave.
        """
        if access is None:
            held = reconcile_removal.unavailable(self._context, self._resource, self._unavailable)
            return None, held if self._deleting else None
        kept = {*enrolment.members, *enrolment.enrol}
        nodes = nodes_of(self._context, self._pool)
        settled = all(previous_status(node).state == READY for node in nodes.values())
        reason = reconcile_removal.disabled_reason(self._pool)
        names = kept | nodes.keys()
        self._cloud.watch_hosts(access, names, reason, settled=settled and bool(nodes))
        hosts, _, _ = self._cloud.hosts()
        if any(
            reconcile_removal.is_disabled_for_leaving(hosts[name]) for name in kept & hosts.keys()
        ):
            await self._reenable(access, kept)
        trouble = self._place(access, {name: hosts.get(name) for name in kept & mapped})
        leaving = {*enrolment.leaving, *nodes.keys()} - kept
        if not leaving:
            reconcile_removal.cancel(self._context, self._resource)
            return trouble, None
        return trouble, await reconcile_removal.remove_nodes(
            self._context, self._resource, self._pool, access, leaving, attempts=self._attempts
        )

    def _place(self, access: CloudAccess, hosts: Mapping[str, Host | None]) -> Finding | None:
        """Put hosts into the pool's zone, or out of the one it had; return what prevents it."""
        zone = self._pool.spec.availability_zone
        trouble, done = self._cloud.keep_zone(access, hosts, self._zone)
        if done:
            self._zone = zone
            if zone and any(host and host.zone != zone for host in hosts.values()):
                self._context.poller.refresh(f"{ref_of(self._resource)}/hosts")
        return trouble

    async def _reenable(self, access: CloudAccess, kept: Iterable[str]) -> None:
        try:
            opened = await reconcile_removal.reenable_hosts(access, tuple(kept))
        except CloudError as error:
            log.warning("Hosts that stay after all could not be opened", error=str(error))
            return
        log.info("Opened compute hosts", nodes=opened)
        reconcile_removal.cancel(self._context, self._resource)
        self._context.poller.refresh(f"{ref_of(self._resource)}/hosts")


def _waiting(missing: set[str], cloud: str) -> Finding | None:
    if not missing:
        return None
    message = f"Waits for {', '.join(sorted(missing))} of CloudController {cloud}."
    return Finding(Reason.WAITING_FOR_CONTROLLER, message)
