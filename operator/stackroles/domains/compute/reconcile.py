"""ComputePool: chooses nodes, runs agents on them, and says how they stand."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from stackroles.api.v1alpha1.common import dump, parse_spec
from stackroles.api.v1alpha1.compute import ComputePoolSpec
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.pool import Pool
from stackroles.constants import FINALIZER
from stackroles.domains.compute import reconcile_removal
from stackroles.domains.compute.membership import Enrolment, plan_enrolment
from stackroles.domains.compute.reconcile_agents import apply_agents, startable
from stackroles.domains.compute.reconcile_cloud import PoolCloud
from stackroles.domains.compute.reconcile_node import (
    enrol,
    nodes_of,
    previous_status,
    record,
)
from stackroles.domains.compute.reconcile_pool_agents import Known, PoolAgents
from stackroles.domains.compute.reconcile_view import (
    candidates,
    claims,
    pool_of,
    previous,
)
from stackroles.domains.compute.status_node import ENROLLING, READY, UNAVAILABLE
from stackroles.domains.compute.status_pool import Selection, assess_pool
from stackroles.errors import CloudError, ClusterError
from stackroles.kube.apply import AppliedRecord
from stackroles.kube.kinds import ref_of
from stackroles.openstack.access import CloudAccess
from stackroles.openstack.hosts import Host
from stackroles.reconcile.blocked import missing_controller, write_blocked_status
from stackroles.reconcile.context import Context
from stackroles.reconcile.observe import (
    explain_roles,
    observe_roles,
)
from stackroles.reconcile.teardown import namespace_ends
from stackroles.roles import registry
from stackroles.workloads.conditions import Finding
from stackroles.workloads.step import StepState

Object = dict[str, Any]
log = structlog.get_logger(__name__)
_UNSETTLED_SECONDS = 15.0
_NO_RIGHTS = (
    "The operator was installed without rights on nodes: a ComputePool cannot see or label any. "
    "Install it with nodeRights: true; what runs keeps running until then."
)


async def reconcile_compute_pool(context: Context, resource: Object) -> None:
    """Bring a pool's nodes to what the resource declares.

    Raises:
        SpecInvalid: the spec, or its CloudController's, asks for what cannot be.
        ClusterError: a child was rejected; the status says so.
    """
    deleting = bool(resource["metadata"].get("deletionTimestamp"))
    if deleting and FINALIZER not in (resource["metadata"].get("finalizers") or ()):
        return
    namespace, name = resource["metadata"]["namespace"], resource["spec"].get("controller", "")
    controller = context.cluster.get("CloudController", namespace, name)
    if deleting and (controller is None or await namespace_ends(context, resource)):
        log.warning("The cloud is gone or goes with its namespace: no guest is searched for")
        await reconcile_removal.abandon(context, resource)
        return
    spec = parse_spec(ComputePoolSpec, resource)
    if controller is None or (spec.suspend and not deleting):
        context.rest(ref_of(resource))
        message = "Nothing is changed while spec.suspend is true; what runs keeps running."
        suspended = Finding(Reason.SUSPENDED, message) if spec.suspend else None
        await write_blocked_status(
            context, resource, suspended or missing_controller(name, namespace)
        )
        return
    pool = pool_of(context, resource, spec, controller)
    if deleting and not reconcile_removal.present(context, pool):
        await reconcile_removal.remove_finalizer(context, resource)
        return
    if not context.settings.node_rights:
        # Nodes that cannot be seen are not gone: none may leave for that.
        await write_blocked_status(
            context, resource, Finding(Reason.NODE_RIGHTS_MISSING, _NO_RIGHTS)
        )
        return
    await context.cluster.set_finalizer(resource, present=True)
    await PoolPass(context, resource, pool, controller).run()


@dataclass(frozen=True, slots=True)
class PassFindings:
    """What a pass found out about the pool as a whole.

    Attributes:
        reconciled: whether all was applied, or why not.
        progressing: what is under way or in the way; None to derive it from the nodes.
        rolling: how the roll of the data plane stands, None when there is none.
        libvirt: whether all nodes run the libvirt that is declared.
        api_error: why the cloud could not be asked, empty when it could.
    """

    reconciled: Finding
    progressing: Finding | None
    rolling: Finding | None
    libvirt: Finding
    api_error: str


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
        self._zone = pool.spec.availability_zone or previous(resource).availability_zone

    async def run(self) -> None:
        """Choose nodes, apply agents, ask the cloud, and say how it stands."""
        enrolment = plan_enrolment(
            *claims(self._context, self._resource), candidates(self._context)
        )
        access = await self._cloud.access()
        hosts, api_error, has_answer = self._cloud.hosts()
        await self._record(enrolment, hosts)
        mappable = self._mappable(hosts)
        discovery = self._cloud.discovery(mappable)
        roles, missing = startable(self._context, self._pool, self._controller)
        records, failure = await apply_agents(
            self._context, self._resource, self._pool, [*roles], discovery[:-1]
        )
        step = await self._cloud.discover(discovery) if mappable else StepState(node="")
        mapped = self._mapped(step)
        agents = PoolAgents(self._context, self._resource, self._pool)
        kept = {*enrolment.members, *enrolment.enrol}
        if has_answer or api_error:
            asked = access if has_answer and not api_error and not self._deleting else None
            gates = await agents.keep_gates(kept, hosts, asked)
            await agents.report(kept, Known(hosts, mapped, api_error, gates))
        rolling = None if failure else await agents.roll()
        probing = None if failure or self._deleting else await agents.probe(kept)
        trouble, held = await self._cloud_side(enrolment, access, mapped)
        if self._deleting and not reconcile_removal.present(self._context, self._pool):
            await reconcile_removal.remove_finalizer(self._context, self._resource)
            return
        leaving = Finding(Reason.LEAVING, held.message) if held else None
        reconciled = held if held and self._deleting else _reconciled(failure)
        trouble = step.problem or leaving or trouble or probing or await self._pods_rejected()
        progressing = trouble or _waiting(missing, self._pool.cloud.name)
        findings = PassFindings(reconciled, progressing, rolling, agents.libvirt(), api_error)
        await self._report(enrolment, records, findings)
        if failure is not None:
            raise failure

    async def _pods_rejected(self) -> Finding | None:
        """Return why pods of an agent are rejected, where they are."""
        cluster, now = self._context.cluster, self._context.clock.now()
        states = observe_roles(cluster, self._pool, registry.COMPUTE_ROLES, now)
        problems = [
            state.problem for state in await explain_roles(cluster, self._pool, states, now)
        ]
        return next(
            (found for found in problems if found and found.reason is Reason.PODS_REFUSED), None
        )

    async def _record(self, enrolment: Enrolment, hosts: Mapping[str, Host]) -> None:
        """See that each node has its ComputeNode, also a host that only nova remembers."""
        kept = (*enrolment.members, *enrolment.enrol)
        for name in kept:
            await enrol(self._context, self._resource, self._pool, name)
        reason = reconcile_removal.disabled_reason(self._pool)
        closed = {n for n, host in hosts.items() if not host.enabled and host.reason == reason}
        for name in sorted({*enrolment.leaving, *closed} - {*kept}):
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
            held = reconcile_removal.unavailable(
                self._context, self._resource, self._cloud.unavailable
            )
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
            self._context, self._resource, self._pool, access, leaving
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

    async def _report(
        self,
        enrolment: Enrolment,
        records: tuple[AppliedRecord, ...] | None,
        findings: PassFindings,
    ) -> None:
        nodes = {
            name: previous_status(node)
            for name, node in nodes_of(self._context, self._pool).items()
        }
        selection = Selection(
            selected=enrolment.selected,
            pending=(*enrolment.enrol, *enrolment.waiting),
            leaving=enrolment.leaving,
            taken=enrolment.taken,
            releasing=enrolment.releasing,
        )
        status = assess_pool(
            selection,
            nodes,
            reconciled=findings.reconciled,
            progressing=findings.progressing,
            rolling=findings.rolling,
            libvirt=findings.libvirt,
            previous=previous(self._resource),
            observed_at=self._context.observed_at(self._resource),
            unknown=findings.api_error if nodes else "",
        )
        written = dump(status.model_copy(update={"availability_zone": self._zone}))
        if records is not None:
            written["children"] = [record.to_dict() for record in records]
        await self._context.cluster.patch_status(self._resource, written)
        # That another pool has released a node is no event of this one's.
        if enrolment.releasing or any(node.state != READY for node in nodes.values()):
            self._context.enqueue(ref_of(self._resource), _UNSETTLED_SECONDS)


def _reconciled(failure: ClusterError | None) -> Finding:
    if failure is None:
        return Finding(Reason.APPLIED, "All that can run yet is applied.")
    return Finding(Reason.APPLY_FAILED, str(failure))


def _waiting(missing: set[str], cloud: str) -> Finding | None:
    if not missing:
        return None
    message = f"Waits for {', '.join(sorted(missing))} of CloudController {cloud}."
    return Finding(Reason.WAITING_FOR_CONTROLLER, message)
