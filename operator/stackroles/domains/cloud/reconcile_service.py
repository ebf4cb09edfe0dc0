"""One service of a cloud, reconciled by itself: its roles and steps in the order of their needs."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.constants import ANNOTATION_EXTERNAL_KEYS, LABEL_COMPONENT
from stackroles.domains.cloud.bringup import held_nodes, plan_bring_up
from stackroles.domains.cloud.phases import completed, recorded_phases
from stackroles.domains.cloud.reconcile_credentials import CredentialsState
from stackroles.domains.cloud.reconcile_parts import (
    CREDENTIALS_READ,
    GRAPH,
    credentials_of,
    service_states,
    to_children,
)
from stackroles.domains.cloud.reconcile_rolls import find_held, is_workload, render_children
from stackroles.domains.cloud.reconcile_steps import Steps
from stackroles.domains.cloud.reconcile_switch import adapt
from stackroles.domains.cloud.service import ServiceState, dependents_of, nodes_of
from stackroles.domains.credentials.generate import external_digest
from stackroles.domains.credentials.reconcile import CloudSecrets
from stackroles.errors import ClusterError
from stackroles.kube.kinds import ObjectRef
from stackroles.reconcile.apply_failures import TEMPORARY, assess_apply_failure
from stackroles.reconcile.claims import grow_claims
from stackroles.reconcile.clouds import active_cloud
from stackroles.reconcile.context import Context, Reconcile
from stackroles.reconcile.departures import held_size
from stackroles.reconcile.observe import (
    config_maps_in_use,
    existing_config_maps,
    explain_roles,
    observe_roles,
)
from stackroles.reconcile.parts import service_of
from stackroles.reconcile.restoring import read_resting
from stackroles.roles import registry
from stackroles.roles.definition import OpenStackService, RoleDefinition
from stackroles.workloads.conditions import Finding
from stackroles.workloads.config_maps import kept_config_maps
from stackroles.workloads.manifests.children import annotate_pods, pause, resize, unique
from stackroles.workloads.step import StepState

Object = dict[str, Any]
log = structlog.get_logger(__name__)

# Some findings depend on how long something lasts, which no event tells.
_UNSETTLED_SECONDS = 15.0


def reconciler_of(service: OpenStackService) -> Reconcile:
    """Return what reconciles one service of any cloud."""
    return partial(reconcile_service, service)


async def reconcile_service(service: OpenStackService, context: Context, resource: Object) -> None:
    """Bring one service of a cloud to what the resource declares, and publish how it stands.

    Raises:
        SpecInvalid: the spec asks for what cannot be; the pass over the cloud says so.
        ClusterError: a child was refused; all others were applied, and it was published.
        NotReady: a child still belongs to an earlier owner of this name.
    """
    cloud = active_cloud(context, resource)
    credentials = context.latest(resource, credentials_of(resource))
    if cloud is None or credentials is None:
        return
    await ServicePass(context, resource, cloud, service, credentials).run()


class ServicePass:
    """One pass over one service of one cloud."""

    def __init__(
        self,
        context: Context,
        resource: Object,
        cloud: Cloud,
        service: OpenStackService,
        credentials: CredentialsState,
    ) -> None:
        self._context = context
        self._resource = resource
        self._cloud = cloud
        self._service = service
        self._credentials: CloudSecrets = credentials.credentials
        self._held = service.name in credentials.refused
        self._nodes = nodes_of(service, registry.CONTROLLER_ROLES)
        self._without_credentials = self._nodes & held_nodes(
            CREDENTIALS_READ, self._credentials.broken
        )
        self._part = service_of(resource, service.name)
        self._now = context.observed_at(resource).now
        self._roles = [r for r in registry.CONTROLLER_ROLES if r.service == service.name]
        self._serving = completed(recorded_phases(resource))
        self._held_rolls: Mapping[str, frozenset[str]] = {}
        self._steps = Steps(context, resource, cloud, service, self._part)
        self._restore, self._resting = "", frozenset[str]()

    async def run(self) -> None:
        """Observe, plan, build, apply, observe again, and publish how it stands."""
        try:
            state, failure = await self._bring()
        except TEMPORARY:
            if self._context.latest(self._resource, self._part) is None:
                # The cloud's status must not wait for it: as it was, of the generation it was.
                former = self._resource.get("status", {}).get("observedGeneration", 0)
                self._publish(replace(self._failed(None), generation=former))
            raise
        except Exception as error:
            # Whatever it is, the cloud's status must not go on as if nothing was.
            what = f"Service {self._service.name}: its pass failed: {str(error) or repr(error)}"
            self._publish(self._failed(Finding(Reason.APPLY_FAILED, what)))
            raise
        self._publish(state)
        if failure is not None:
            raise failure
        if not state.settled:
            self._context.enqueue(self._part, _UNSETTLED_SECONDS)

    async def _bring(self) -> tuple[ServiceState, ClusterError | None]:
        await self._steps.read_logs(self._now)
        self._restore, self._resting = await read_resting(self._context.cluster, self._cloud)
        before = self._observe()
        run = self._plan(before)
        records, failure = await self._apply(run)
        problem = assess_apply_failure(failure) if failure else await self._grow_claims()
        if failure is None and not self._held:
            await self._steps.run(run, before.steps, self._credentials)
            await self._steps.replace_members(self._now)
        after, cluster = self._observe(), self._context.cluster
        return replace(
            after,
            roles=await explain_roles(cluster, self._cloud, after.roles, self._now),
            steps=await self._steps.explain(after.steps),
            children=records,
            failure=problem,
            held=self._held_rolls,
        ), failure

    def _observe(self) -> ServiceState:
        """Return how the service's roles and steps stand by the cache."""
        roles = observe_roles(self._context.cluster, self._cloud, self._roles, self._now)
        return ServiceState(
            generation=self._resource["metadata"].get("generation", 0),
            # One that waits for its turn has not seen its template either.
            roles=tuple(
                replace(role, current=role.current and role.name not in self._held_rolls)
                for role in roles
            ),
            steps=self._steps.observe(recorded_phases(self._resource), self._now),
        )

    def _failed(self, failure: Finding | None) -> ServiceState:
        """Return how the service stood last, and by the cache; nothing is rendered for it."""
        before: ServiceState | None = self._context.latest(self._resource, self._part)
        nodes = (f"{self._service.name}/{step.name}" for step in self._service.steps)
        done = self._serving
        return ServiceState(
            generation=self._resource["metadata"].get("generation", 0),
            roles=observe_roles(self._context.cluster, self._cloud, self._roles, self._now),
            steps=before.steps
            if before
            else tuple(StepState(node=n, done=n in done) for n in nodes),
            children=to_children(self._resource, (), self._is_own),
            failure=failure,
        )

    def _plan(self, own: ServiceState) -> frozenset[str]:
        """Return the service's roles and steps that may run; none begins without credentials."""
        states = service_states(self._context, self._resource) | {self._service.name: own}
        done = frozenset[str]().union(*(state.done for state in states.values()))
        plan = plan_bring_up(GRAPH, done, own.present)
        return (plan.run & self._nodes) - (self._without_credentials - own.present)

    async def _apply(self, run: frozenset[str]) -> tuple[tuple[Object, ...], ClusterError | None]:
        """Apply what runs, then remove what is no longer wanted.

        Returns:
            The children, and the gravest failure, when all else was applied.

        Raises:
            NotReady: a child still belongs to an earlier owner of this name.
        """
        roles = [role for role in self._roles if role.name in run and not self._lacks_keys()]
        rendered = [child for role in roles for child in self._render(role)]
        manifests = unique([*rendered, *self._steps.config_maps(run)])
        self._held_rolls = self._find_held()
        manifests = [manifest for manifest in manifests if not self._is_held(manifest)]
        applied = await self._context.cluster.apply_each(self._resource, manifests)
        failure = applied.failure
        if failure is not None:
            if not isinstance(failure, ClusterError):
                raise failure
            log.warning("A child was refused", error=str(failure))
        if failure is not None or self._without_credentials or self._held_rolls:
            # What is not applied now is not unwanted: nothing is removed, and it stays on record.
            return to_children(self._resource, applied.records, self._is_own), failure
        kept = self._kept(manifests, run)
        await self._context.cluster.prune(self._resource, [*manifests, *kept], among=self._owns)
        return to_children(self._resource, applied.records, kept.__contains__), None

    async def _grow_claims(self) -> Finding | None:
        """Have members' volumes grow; return why one of them does not."""
        cluster = self._context.cluster
        found = [await grow_claims(cluster, self._cloud, role) for role in self._roles]
        return next((problem for problem in found if problem), None)

    def _find_held(self) -> Mapping[str, frozenset[str]]:
        """Return the service's roles whose roll waits, with those that they wait for.

        None does while roles rest for a Restore: nobody is served then that could be disturbed.
        """
        if self._resting:
            return {}
        states = service_states(self._context, self._resource)
        failing = {name for name, state in states.items() if state.failure is not None}
        failing -= {self._service.name}
        broken = held_nodes(CREDENTIALS_READ, self._credentials.broken)
        stuck = {r.name for r in registry.CONTROLLER_ROLES if r.service in failing} | broken
        found = find_held(self._context, self._cloud, self._serving, stuck, self._now)
        own = {role.name for role in self._roles}
        return {role: behind for role, behind in found.items() if role in own}

    def _is_held(self, manifest: Object) -> bool:
        return any(is_workload(manifest, self._cloud, role) for role in self._held_rolls)

    def _render(self, role: RoleDefinition) -> list[Object]:
        built = render_children(self._context, self._cloud, role)
        if role.quorum and role.name in self._serving:
            built = resize(built, held_size(self._context, self._resource, self._cloud, role))
        built = adapt(self._context.cluster, self._cloud, role, built, self._serving)
        if role.name in self._resting:
            built = pause(resize(built, 0), self._restore)
        if not self._has_external_keys():
            return built
        keys = external_digest(self._service, self._credentials.values[self._service.name])
        return annotate_pods(built, ANNOTATION_EXTERNAL_KEYS, keys)

    def _has_external_keys(self) -> bool:
        asks = self._service.external_for
        return asks is not None and asks(self._cloud.spec)

    def _lacks_keys(self) -> bool:
        """Return whether a part of the pods is not known: without it they would be replaced."""
        return self._has_external_keys() and self._service.name not in self._credentials.values

    def _kept(self, manifests: Iterable[Object], run: frozenset[str]) -> frozenset[ObjectRef]:
        """Return the configuration that stays besides the present manifests."""
        # Again: what was just applied has begun to roll.
        roles = observe_roles(self._context.cluster, self._cloud, self._roles, self._now)
        names = kept_config_maps(
            existing_config_maps(self._context.cluster, self._resource, self._owns),
            (m["metadata"]["name"] for m in manifests if m["kind"] == "ConfigMap"),
            config_maps_in_use(self._context.cluster, self._cloud, self._service.name),
            {role.name for role in roles if role.present and not role.complete}
            | {node.replace("/", "-") for node in self._steps.nodes - run},
        )
        return frozenset(ObjectRef("ConfigMap", self._cloud.namespace, name) for name in names)

    def _owns(self, child: Object) -> bool:
        component = child["metadata"].get("labels", {}).get(LABEL_COMPONENT)
        return bool(child["kind"] != "Secret" and component == self._service.name)

    def _is_own(self, ref: ObjectRef) -> bool:
        child = self._context.cluster.get(*ref)
        return child is not None and self._owns(child)

    def _publish(self, state: ServiceState) -> None:
        before: ServiceState | None = self._context.latest(self._resource, self._part)
        readers: set[str] = set()
        if before is None or before.done != state.done:
            readers |= set(
                dependents_of(self._service, registry.SERVICES, registry.CONTROLLER_ROLES, GRAPH)
            )
        if before is not None and before.rolling - state.rolling:
            states = service_states(self._context, self._resource)
            readers |= {name for name, other in states.items() if other.held}
        self._context.publish(
            self._resource,
            self._part,
            state,
            [service_of(self._resource, name) for name in sorted(readers)],
        )
