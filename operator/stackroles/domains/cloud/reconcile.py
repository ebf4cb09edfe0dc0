"""CloudController: what its parts found becomes its status; it begins and ends them."""

from dataclasses import replace
from typing import Any

import structlog
from pydantic import ValidationError

from stackroles import naming
from stackroles.api.v1alpha1.cloud_controller import CloudControllerStatus
from stackroles.api.v1alpha1.common import dump
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.constants import LABEL_COMPONENT
from stackroles.domains.cloud.bringup import held_nodes, plan_bring_up
from stackroles.domains.cloud.phases import completed
from stackroles.domains.cloud.reconcile_credentials import CredentialsState
from stackroles.domains.cloud.reconcile_parts import (
    CREDENTIALS_READ,
    GRAPH,
    SERVICE_PARTS,
    credentials_of,
    service_states,
    services_of,
    to_children,
)
from stackroles.domains.cloud.reconcile_served import accepted_password, watch_apis
from stackroles.domains.cloud.rolls import explain_hold
from stackroles.domains.cloud.served import assess_served, rejected_administrator
from stackroles.domains.cloud.service import ServiceState
from stackroles.domains.cloud.status import ObservedCloud, assess_cloud, remembered
from stackroles.domains.clustering.reconcile import clustering_of
from stackroles.domains.clustering.status import ClusteringState, decisions
from stackroles.domains.credentials.generate import ADMIN, ADMIN_PASSWORD
from stackroles.domains.credentials.reconcile import CloudSecrets
from stackroles.domains.database.reconcile_part import part_of
from stackroles.domains.database.status import DATABASE, DatabaseState
from stackroles.domains.housekeeping.status import HousekeepingState, remembered_housekeeping
from stackroles.domains.messaging.reconcile import messaging_of
from stackroles.domains.messaging.status import MESSAGING, MessagingState, remembered_messaging
from stackroles.domains.ovn.reconcile import databases_of
from stackroles.domains.ovn.status import OvnState, remembered_databases
from stackroles.kube.kinds import ObjectRef, ref_of
from stackroles.reconcile.blocked import write_blocked_status
from stackroles.reconcile.clouds import cloud_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.observe import config_maps_in_use, existing_config_maps
from stackroles.reconcile.parts import housekeeping_of
from stackroles.reconcile.restoring import read_record
from stackroles.reconcile.teardown import await_parts, reconcile_teardown
from stackroles.roles import registry
from stackroles.roles.keystone import CATALOGUE
from stackroles.roles.resolve import options_without_effect
from stackroles.workloads.conditions import Finding, joined
from stackroles.workloads.config_maps import kept_config_maps
from stackroles.workloads.course import Course
from stackroles.workloads.housekeeping import is_housekeeping
from stackroles.workloads.restoring import RecordUnreadable, Stopped

Object = dict[str, Any]
log = structlog.get_logger(__name__)


async def reconcile_cloud_controller(context: Context, resource: Object) -> None:
    """Make a cloud's status of what its parts found, and remove what belongs to none of them.

    Raises:
        SpecInvalid: the spec asks for what cannot be.
        ClusterError: the Kubernetes API refused or did not answer.
    """
    blocked: Finding | None = None
    if resource["metadata"].get("deletionTimestamp"):
        blocked = await reconcile_teardown(context, resource)
        if blocked is None:
            return
    cloud = cloud_of(context, resource)
    if cloud.spec.suspend:
        await_parts(context, resource)
        context.rest(ref_of(resource))
        message = "Nothing is changed while spec.suspend is true; what runs keeps running."
        await write_blocked_status(context, resource, blocked or Finding(Reason.SUSPENDED, message))
        return
    # Its parts begin once it is there.
    await context.cluster.set_finalizer(resource, present=True)
    previous = _previous(resource)
    credentials = context.latest(resource, credentials_of(resource))
    services = service_states(context, resource)
    if credentials is None or len(services) < len(SERVICE_PARTS):
        return  # each wakes this pass when its first has ended
    await CloudPass(
        context, resource, cloud, previous=previous, credentials=credentials, services=services
    ).run(blocked)


class CloudPass:
    """One pass over one cloud."""

    def __init__(
        self,
        context: Context,
        resource: Object,
        cloud: Cloud,
        *,
        previous: CloudControllerStatus,
        credentials: CredentialsState,
        services: dict[str, ServiceState],
    ) -> None:
        self._context = context
        self._resource = resource
        self._cloud = cloud
        self._previous = previous
        self._credentials = credentials
        self._services = services

    async def run(self, blocked: Finding | None = None) -> None:
        """Put together what the parts found, and write it.

        Args:
            blocked: what blocks its deletion, if it is to go.
        """
        newest = self._resource["metadata"].get("generation", 0)
        if self._generation() < newest == self._previous.observed_generation:
            for key in services_of(self._resource):
                self._context.enqueue(key)
        if self._generation() < min(newest, self._previous.observed_generation):
            # Found before the spec was invalid or suspended: each part wakes this pass anew.
            return
        credentials = self._credentials.credentials
        observed = replace(self._observe(credentials), restoring=await self._restoring())
        apis, refused = self._apis(observed, credentials)
        failure = self._credentials.failure or joined(s.failure for s in self._services.values())
        reconciled = blocked or _reconciled(credentials, failure, refused, self._ignored())
        if failure is None and credentials.finding is None:
            await self._prune()
        await self._report(replace(observed, failing_apis=apis), reconciled)

    def _ignored(self) -> Finding | None:
        """Return which options have no effect, None where all have."""
        found = options_without_effect(self._cloud.spec.config, registry.CONTROLLER_ROLES)
        return Finding(Reason.OPTION_WITHOUT_EFFECT, " ".join(found)) if found else None

    def _observe(self, credentials: CloudSecrets) -> ObservedCloud:
        """Return how the cloud stands by what its parts found."""
        roles = {role.name: role for s in self._services.values() for role in s.roles}
        ovn, messaging, database = self._ovn(), self._messaging(), self._database()
        problems = {**ovn.problems, MESSAGING: messaging.problem}
        for name, problem in problems.items():
            if problem is not None and roles[name].present:
                roles[name] = replace(roles[name], problem=problem)
        held = {role: b for s in self._services.values() for role, b in s.held.items()}
        noted = {**ovn.notes, MESSAGING: messaging.note, DATABASE: database.note}
        notes = {role: explain_hold(behind) for role, behind in held.items()}
        notes |= {name: note for name, note in noted.items() if note}
        turns = self._clustering().roles
        for name, turn in turns.items():
            # Whatever its members' own checks find: a role without an active member does not serve.
            if turn.active is None:
                roles[name] = replace(roles[name], available=False)
        observed = ObservedCloud(
            roles=tuple(roles[role.name] for role in registry.CONTROLLER_ROLES),
            active={name: turn.active for name, turn in turns.items() if turn.active},
            steps=tuple(s for name in SERVICE_PARTS for s in self._services[name].steps),
            database=database,
            notes=notes,
            courses={name: Course(decisions(turn)) for name, turn in turns.items()}
            | {DATABASE: database.course, MESSAGING: messaging.course, **ovn.courses},
            messaging=messaging.health if roles[MESSAGING].present else None,
            housekeeping=self._housekeeping(),
        )
        waiting = dict(plan_bring_up(GRAPH, observed.done, observed.present).waiting)
        withheld = (
            held_nodes(CREDENTIALS_READ, credentials.broken) - observed.done - observed.present
        )
        waiting |= dict.fromkeys(withheld, frozenset[str]())
        return replace(observed, waiting=waiting)

    async def _restoring(self) -> Finding | None:
        """Return what a Restore is about, None while there is none."""
        cluster, cloud = self._context.cluster, self._cloud
        try:
            record = await read_record(cluster, cloud.namespace, cloud.name)
        except RecordUnreadable:
            # Whoever would have to act on it says so.
            return None
        if record is None:
            return None
        if not record.ended:
            what = f"Restore {record.name} is under way; its status shows how far it is."
            return Finding(Reason.RESTORING, what)
        if record.stopped is Stopped.NOTHING:
            return None
        return Finding(
            Reason.DATABASE_BLOCKED,
            f"Restore {record.name} ended before the data of this cloud was there: the database "
            "rests. Apply another Restore; it names what of it needs a consent. Or, to start the "
            "database with what its volumes hold, which is nothing where the Restore has made the "
            f"cloud, remove the key restore from ConfigMap {naming.state(cloud.name)}.",
        )

    def _generation(self) -> int:
        """Return the generation that all parts have been applied for."""
        generations = (state.generation for state in self._services.values())
        return min(self._credentials.generation, *generations)

    def _children(self) -> list[Object]:
        """Return the records of all children, each once: services share their agents."""
        children = [c for state in self._services.values() for c in state.children]
        children += self._housekeeping().children or ()
        left = to_children(self._resource, (), self._is_left)
        records = {
            (c["kind"], c["name"]): c for c in (*left, *self._credentials.children, *children)
        }
        return [dict(records[key]) for key in sorted(records)]

    def _is_left(self, ref: ObjectRef) -> bool:
        child = self._context.cluster.get(*ref)
        if child is None:
            return False
        unknown = is_housekeeping(child) and self._housekeeping().children is None
        return unknown or _belongs_to_no_part(child)

    async def _prune(self) -> None:
        """Remove what belongs to no service: agents that none uses any more, former services'."""
        if self._generation() < self._resource["metadata"].get("generation", 0):
            return
        cluster, namespace = self._context.cluster, self._cloud.namespace
        children = [c for s in self._services.values() for c in s.children]
        wanted = [ObjectRef(c["kind"], namespace, c["name"]) for c in children]
        roles = [role for state in self._services.values() for role in state.roles]
        kept = kept_config_maps(
            existing_config_maps(cluster, self._resource, _belongs_to_no_part),
            (),
            config_maps_in_use(cluster, self._cloud),
            {role.name for role in roles if role.present and not role.complete},
        )
        names = (*kept, naming.state(self._cloud.name))
        keep = [*wanted, *(ObjectRef("ConfigMap", namespace, name) for name in names)]
        await cluster.prune(self._resource, keep, among=_belongs_to_no_part)

    def _clustering(self) -> ClusteringState:
        """Return who is active by the gates, nobody known before they were asked."""
        found = self._context.latest(self._resource, clustering_of(self._resource))
        return found if isinstance(found, ClusteringState) else ClusteringState()

    def _messaging(self) -> MessagingState:
        """Return what the messaging cluster's own pass found, or what the status says it was."""
        found = self._context.latest(self._resource, messaging_of(self._resource))
        return found if isinstance(found, MessagingState) else remembered_messaging(self._previous)

    def _housekeeping(self) -> HousekeepingState:
        """Return what the housekeeping's own pass found, or what the status says it was."""
        found = self._context.latest(self._resource, housekeeping_of(self._resource))
        known = isinstance(found, HousekeepingState)
        return found if known else remembered_housekeeping(self._previous)

    def _ovn(self) -> OvnState:
        """Return what the pass over OVN's databases found, or what the status says it was."""
        found = self._context.latest(self._resource, databases_of(self._resource))
        return found if isinstance(found, OvnState) else remembered_databases(self._previous)

    def _database(self) -> DatabaseState:
        """Return what the database's own pass found, or what the status says it was."""
        found = self._context.latest(self._resource, part_of(self._resource))
        return found if isinstance(found, DatabaseState) else remembered(self._previous)

    def _apis(
        self, observed: ObservedCloud, credentials: CloudSecrets
    ) -> tuple[Finding | None, Finding | None]:
        """Return why not all APIs are known to serve, and that the administrator is refused."""
        admin = credentials.values.get(ADMIN)
        if admin is None or CATALOGUE not in completed(self._previous.phases):
            return None, None
        ref = ref_of(self._resource)
        apis = watch_apis(
            self._context,
            ref,
            self._cloud,
            registry.SERVICES,
            available={role.name for role in observed.roles if role.available},
            password=admin[ADMIN_PASSWORD],
            offered=credentials.offered,
        )
        new = self._previous.time_to_ready_seconds is None
        failing = assess_served(
            apis.state,
            apis.expected,
            apis.keystone,
            self._previous.conditions,
            new=new,
            error=apis.error,
        )
        if credentials.offered and accepted_password(self._context, ref) == credentials.offered:
            self._context.enqueue(credentials_of(self._resource))
        secret = naming.child(self._cloud.name, ADMIN)
        return failing, rejected_administrator(apis.state, apis.keystone, secret)

    async def _report(self, observed: ObservedCloud, reconciled: Finding) -> None:
        observed_at = replace(
            self._context.observed_at(self._resource), generation=self._generation()
        )
        status = assess_cloud(
            self._cloud,
            observed,
            reconciled,
            services=registry.SERVICES,
            roles=registry.CONTROLLER_ROLES,
            previous=self._previous,
            observed_at=observed_at,
        )
        written = dump(status) | {"children": self._children()}
        await self._context.cluster.patch_status(self._resource, written)


def _belongs_to_no_part(child: Object) -> bool:
    component = child["metadata"].get("labels", {}).get(LABEL_COMPONENT)
    is_service = component in SERVICE_PARTS
    return not (child["kind"] == "Secret" or is_service or is_housekeeping(child))


def _reconciled(
    credentials: CloudSecrets,
    failure: Finding | None,
    refused: Finding | None,
    ignored: Finding | None,
) -> Finding:
    """Return what is wrong, the gravest first; one that is merely second is not to be hidden."""
    wrong = joined((credentials.finding, failure, refused, credentials.changed, ignored))
    return wrong or Finding(Reason.APPLIED, "All that can run yet is applied.")


def _previous(resource: Object) -> CloudControllerStatus:
    """Return the status so far; one that an older version wrote in another form counts for none."""
    try:
        return CloudControllerStatus.model_validate(resource.get("status") or {})
    except ValidationError:
        log.warning("The status could not be read and is written anew")
        return CloudControllerStatus()
