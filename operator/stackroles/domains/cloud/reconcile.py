"""CloudController: credentials, roles and steps in the order of their needs, and its status."""

import re
from collections.abc import Collection, Iterable
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
from stackroles.domains.cloud.bringup import BringUp, build_graph, plan_bring_up
from stackroles.domains.cloud.phases import completed
from stackroles.domains.cloud.reconcile_scale import refuse_shrinking
from stackroles.domains.cloud.reconcile_served import accepted_password, watch_apis
from stackroles.domains.cloud.reconcile_steps import Steps
from stackroles.domains.cloud.served import assess_served, refused_administrator
from stackroles.domains.cloud.status import (
    ObservedCloud,
    assess_cloud,
    remembered,
)
from stackroles.domains.credentials.generate import ADMIN, ADMIN_PASSWORD
from stackroles.domains.credentials.reconcile import (
    Credentials,
    observe_credentials,
    watch_user_secrets,
)
from stackroles.domains.database.reconcile_part import part_of
from stackroles.domains.database.status import DatabaseState
from stackroles.domains.messaging.reconcile import watch_brokers
from stackroles.domains.messaging.status import MESSAGING
from stackroles.errors import ClusterError, Rejected
from stackroles.kube.apply import ChildRecord, records_of
from stackroles.kube.kinds import ObjectRef, ref_of
from stackroles.reconcile.blocked import refuse
from stackroles.reconcile.clouds import cloud_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.observe import (
    config_maps_in_use,
    existing_config_maps,
    explain_roles,
    observe_roles,
)
from stackroles.reconcile.teardown import reconcile_teardown
from stackroles.roles import registry
from stackroles.roles.keystone import CATALOGUE
from stackroles.workloads.conditions import Finding, ObservationTime
from stackroles.workloads.config_maps import kept_config_maps
from stackroles.workloads.manifests.children import build_roles, unique
from stackroles.workloads.role import RoleState

Object = dict[str, Any]
log = structlog.get_logger(__name__)

# Some findings depend on how long something lasts, which no event shows.
_UNSETTLED_SECONDS = 15.0
_CREDENTIALS_SECONDS = 10.0
# How the API server says that a field cannot change (StatefulSets have a message of their own).
_REFUSED = re.compile(r'\w+(?:\.\w+)* "[^"]+"(?= is invalid)')
_IMMUTABLE = ("field is immutable", "updates to statefulset spec for fields other than")


async def reconcile_cloud_controller(context: Context, resource: Object) -> None:
    """Bring a cloud's controllers to what the resource declares, as far as its needs allow.

    Raises:
        SpecInvalid: the spec asks for what cannot be.
        ClusterError: a child was refused; all others were applied, and the status says so.
    """
    blocked: Finding | None = None
    if resource["metadata"].get("deletionTimestamp"):
        blocked = await reconcile_teardown(context, resource)
        if blocked is None:
            return
    cloud = cloud_of(context, resource)
    if cloud.spec.suspend:
        context.rest(ref_of(resource))
        message = "Nothing is changed while spec.suspend is true; what runs keeps running."
        await refuse(context, resource, blocked or Finding(Reason.SUSPENDED, message))
        return
    await context.cluster.set_finalizer(resource, present=True)
    previous, observed_at = _previous(resource), context.observed_at(resource)
    refuse_shrinking(context.cluster, cloud, registry.CONTROLLER_ROLES, previous.phases)
    await CloudPass(context, resource, cloud, previous, observed_at).run(blocked)


class CloudPass:
    """One pass over one cloud."""

    def __init__(
        self,
        context: Context,
        resource: Object,
        cloud: Cloud,
        previous: CloudControllerStatus,
        observed_at: ObservationTime,
    ) -> None:
        self._context = context
        self._resource = resource
        self._cloud = cloud
        self._previous = previous
        self._observed_at = observed_at
        self._roles = registry.CONTROLLER_ROLES
        self._services = registry.SERVICES
        self._steps = Steps(context, resource, cloud, self._services)

    async def run(self, blocked: Finding | None = None) -> None:
        """Observe, plan, build, apply, observe again, and say how it stands.

        Args:
            blocked: what blocks its deletion, if it is to go.
        """
        ref = ref_of(self._resource)
        watch_user_secrets(self._context, ref, self._cloud)
        credentials = await observe_credentials(
            self._context,
            self._resource,
            self._cloud,
            self._services,
            accepted_password(self._context, ref),
        )
        await self._steps.listen(self._observed_at.now)
        before = self._observe()
        plan = self._plan(before, credentials)
        records, failure, held = await self._apply(plan.run, credentials)
        await self._steps.run(plan.run, before.steps, credentials, held)
        await self._steps.replace_members(self._observed_at.now, held)
        after = self._observe()
        roles = await explain_roles(
            self._context.cluster, self._cloud, after.roles, self._observed_at.now
        )
        steps = await self._steps.explain(after.steps)
        roles = self._with_brokers(roles)
        apis, refused = self._apis(roles, credentials)
        after = replace(
            after,
            roles=roles,
            steps=steps,
            waiting=plan.waiting,
            database=self._database(),
            failing_apis=apis,
        )
        reconciled = blocked or _reconciled(credentials, failure, refused)
        await self._report(after, reconciled, records)
        if failure is not None:
            raise failure
        self._requeue(after, credentials)

    def _observe(self) -> ObservedCloud:
        now = self._observed_at.now
        return ObservedCloud(
            roles=observe_roles(self._context.cluster, self._cloud, self._roles, now),
            steps=self._steps.observe(self._previous.phases, now),
        )

    def _plan(self, before: ObservedCloud, credentials: Credentials) -> BringUp:
        """Decide what runs; nothing new starts while credentials lack."""
        graph = build_graph(self._roles, self._services)
        if credentials.finding is None:
            return plan_bring_up(graph, before.done, before.present)
        waiting = {node: frozenset[str]() for node in graph.keys() - before.present}
        return BringUp(run=before.present, waiting=waiting)

    async def _apply(
        self, run: frozenset[str], credentials: Credentials
    ) -> tuple[tuple[ChildRecord, ...] | None, ClusterError | None, frozenset[str]]:
        """Apply what runs, then remove what is no longer wanted.

        Returns:
            What was applied, and None; or None and the gravest refusal, when all else was applied.
            Last the services to whom a refused child belongs.

        Raises:
            NotReady: a child still belongs to an earlier owner of this name.
        """
        roles = (role for role in self._roles if role.name in run)
        manifests = [
            *credentials.manifests,
            *unique([*build_roles(self._cloud, roles), *self._steps.config_maps(run)]),
        ]
        cluster = self._context.cluster
        applied = await cluster.apply_each(self._resource, manifests)
        failure, records = applied.failure, applied.records
        if isinstance(failure, ClusterError):
            log.warning("A child was refused", error=str(failure))
            return None, failure, _services_of(manifests, applied.refused)
        if failure is not None:
            raise failure
        nobody = frozenset[str]()
        if credentials.finding is not None:
            # What could not be derived is not unwanted: nothing is removed, and it stays on record.
            known = {(record.kind, record.name) for record in records}
            others = records_of(self._resource).values()
            return (*records, *(r for r in others if (r.kind, r.name) not in known)), None, nobody
        await cluster.prune(self._resource, [*manifests, *self._kept(manifests)])
        return records, None, nobody

    def _kept(self, manifests: Iterable[Object]) -> list[ObjectRef]:
        """Return what stays besides the present manifests: configuration in use, and the state."""
        roles = self._observe().roles  # again: what was just applied has begun to roll
        rolling = {role.name for role in roles if role.present and not role.complete}
        names = kept_config_maps(
            existing_config_maps(self._context.cluster, self._cloud, self._resource),
            (m["metadata"]["name"] for m in manifests if m["kind"] == "ConfigMap"),
            config_maps_in_use(self._context.cluster, self._cloud),
            rolling,
        )
        state = naming.state(self._cloud.name)
        return [ObjectRef("ConfigMap", self._cloud.namespace, name) for name in (*names, state)]

    def _database(self) -> DatabaseState:
        """Return what the database's own pass found, or what the status says it was."""
        found = self._context.parts.latest(part_of(self._resource))
        return found if isinstance(found, DatabaseState) else remembered(self._previous)

    def _with_brokers(self, roles: Iterable[RoleState]) -> tuple[RoleState, ...]:
        """Return the roles with what the brokers' agents say of members that need a person."""
        known = tuple(roles)
        if not any(role.name == MESSAGING and role.present for role in known):
            return known
        found = watch_brokers(self._context, ref_of(self._resource), self._cloud)
        return tuple(
            replace(role, problem=found) if found and role.name == MESSAGING else role
            for role in known
        )

    def _apis(
        self, roles: Iterable[RoleState], credentials: Credentials
    ) -> tuple[Finding | None, Finding | None]:
        """Return why not all APIs are known to serve, and that the administrator is refused."""
        admin = credentials.values.get(ADMIN)
        if admin is None or CATALOGUE not in completed(self._previous.phases):
            return None, None
        apis = watch_apis(
            self._context,
            ref_of(self._resource),
            self._cloud,
            self._services,
            available={role.name for role in roles if role.available},
            password=admin[ADMIN_PASSWORD],
            offered=credentials.offered,
        )
        new = self._previous.time_to_ready_seconds is None
        failing = assess_served(
            apis.state, apis.expected, apis.keystone, self._previous.conditions, new=new
        )
        secret = naming.child(self._cloud.name, ADMIN)
        return failing, refused_administrator(apis.state, apis.keystone, secret)

    async def _report(
        self,
        after: ObservedCloud,
        reconciled: Finding,
        records: tuple[ChildRecord, ...] | None,
    ) -> None:
        status = assess_cloud(
            self._cloud,
            after,
            reconciled,
            services=self._services,
            roles=self._roles,
            previous=self._previous,
            observed_at=self._observed_at,
        )
        written = dump(status)
        if records is not None:
            written["children"] = [record.to_dict() for record in records]
        await self._context.cluster.patch_status(self._resource, written)

    def _requeue(self, after: ObservedCloud, credentials: Credentials) -> None:
        """Enqueue another pass where time alone changes what is to be reported or done."""
        if credentials.finding is not None:
            self._context.enqueue(ref_of(self._resource), _CREDENTIALS_SECONDS)
        elif not after.settled:
            self._context.enqueue(ref_of(self._resource), _UNSETTLED_SECONDS)


def _services_of(manifests: Iterable[Object], refused: Collection[ObjectRef]) -> frozenset[str]:
    """Return the services to whom refused children belong."""
    names = {(ref.kind, ref.name) for ref in refused}
    return frozenset(
        manifest["metadata"]["labels"][LABEL_COMPONENT]
        for manifest in manifests
        if (manifest["kind"], manifest["metadata"]["name"]) in names
    )


def _reconciled(
    credentials: Credentials, failure: ClusterError | None, refused: Finding | None
) -> Finding:
    if credentials.finding is not None:
        return credentials.finding
    if failure is None:
        return (
            refused
            or credentials.changed
            or Finding(Reason.APPLIED, "All that can run yet is applied.")
        )
    texts = [str(failure), *getattr(failure, "__notes__", ())]
    immutable = [text for text in texts if any(phrase in text for phrase in _IMMUTABLE)]
    if isinstance(failure, Rejected) and immutable:
        names = sorted({name for text in immutable for name in _REFUSED.findall(text)})
        return Finding(
            Reason.IMMUTABLE_FIELD_CHANGED,
            f"{', '.join(names) or immutable[0]}: what was changed cannot change once the object "
            "exists (of a StatefulSet: size and storage class of its volumes). Set it back; or "
            "delete it with kubectl delete --cascade=orphan, so that it is made again around its "
            "pods: volumes that exist stay as they are.",
        )
    return Finding(Reason.APPLY_FAILED, " Also: ".join(texts))


def _previous(resource: Object) -> CloudControllerStatus:
    """Return the status so far; one that an older version wrote in another form counts for none."""
    try:
        return CloudControllerStatus.model_validate(resource.get("status") or {})
    except ValidationError:
        log.warning("The status could not be read and is written anew")
        return CloudControllerStatus()
