"""Bootstrap steps: their Jobs, and those the operator does itself through the clouds' APIs."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from stackroles import naming
from stackroles.api.v1alpha1.cloud_controller import Phase
from stackroles.config.cloud import Cloud
from stackroles.domains.cloud.phases import completed
from stackroles.domains.credentials.generate import ADMIN, ADMIN_PASSWORD, SERVICE_PASSWORD
from stackroles.domains.credentials.reconcile import CloudSecrets
from stackroles.errors import ClusterError
from stackroles.kube.kinds import Key, ref_of
from stackroles.openstack.access import administrator
from stackroles.openstack.catalogue import ensure_catalogue, wanted
from stackroles.reconcile.clouds import render
from stackroles.reconcile.context import Context, Observation
from stackroles.reconcile.observe import explain_pods
from stackroles.reconcile.rollout import has_outdated, replace_outdated
from stackroles.reconcile.step_job import StepJob
from stackroles.roles import registry
from stackroles.roles.definition import OpenStackService, Step
from stackroles.workloads.manifests.children import build_step
from stackroles.workloads.rejected_pods import lacks_pods
from stackroles.workloads.step import StepState, assess_step, failed_step, is_complete, log_wanted

Object = dict[str, Any]
log = structlog.get_logger(__name__)

# A step that the operator does itself is repeated until it is done, and checked afterwards.
_UNTIL_DONE = 5.0
_AFTERWARDS = 600.0
_DEADLINE = 90.0
# While members are replaced a check may fail; one that goes on to fail for so long is reported.
_FAILING = 60.0


class Steps:
    """The steps of one service in one pass."""

    def __init__(
        self,
        context: Context,
        resource: Object,
        cloud: Cloud,
        service: OpenStackService,
        key: Key,
    ) -> None:
        """Take what the pass works on; `key` is whose pass it is."""
        self._context = context
        self._resource = resource
        self._cloud = cloud
        self._service = service
        self._key = key
        self._logs: dict[str, str] = {}

    @property
    def nodes(self) -> frozenset[str]:
        """The steps, as the graph of a bring-up names them."""
        return frozenset(self._node(step) for step in self._service.steps)

    async def read_logs(self, now: datetime) -> None:
        """Read the end of the logs of steps that run for long, or failed without a message."""
        wanted: dict[str, str] = {}
        for step in self._service.steps:
            job, pods = self._job(step).seen() if step.tasks else (None, [])
            if job is None or is_complete(job):
                continue
            for pod in pods:
                container = log_wanted(pod, now)
                if container is not None:
                    wanted[pod["metadata"]["name"]] = container
        # Side by side: a kubelet that is gone lets each of its pods wait for the whole time-out.
        texts = await asyncio.gather(*(self._read_log(*pod) for pod in wanted.items()))
        self._logs.update(zip(wanted, texts, strict=True))

    async def _read_log(self, pod: str, container: str) -> str:
        try:
            return await self._context.cluster.read_log(self._cloud.namespace, pod, container)
        except ClusterError as error:
            # What the step did stays as it is; a check that fails must not hold up the pass.
            log.warning("The log of a step could not be read", pod=pod, error=str(error))
            return f"its log could not be read: {error}"

    def observe(self, phases: Iterable[Phase], now: datetime) -> tuple[StepState, ...]:
        """Return how each step stands.

        Args:
            phases: phases so far; a step of the operator's own that was done before a restart
                counts as done while it is being verified.
            now: the time of the observation.
        """
        before = completed(phases)
        return tuple(
            self._observe_job(step, now) if step.tasks else self._observe_own(step, before)
            for step in self._service.steps
        )

    def children(self, step: Step) -> list[Object]:
        """Return the step's manifests: configuration, and the Job last."""
        return render(
            self._context,
            self._cloud,
            self._node(step),
            lambda: build_step(self._cloud, self._service, step),
        )

    def config_maps(self, run: frozenset[str]) -> list[Object]:
        """Return the configuration of the steps that run."""
        return [
            child
            for step in self._service.steps
            if step.tasks and self._node(step) in run and not self._is_idle(step)
            for child in self.children(step)[:-1]
        ]

    async def run(
        self, run: frozenset[str], states: Iterable[StepState], credentials: CloudSecrets
    ) -> None:
        """Start the steps that may run and are not done, and try failed ones again.

        Args:
            run: nodes that may run.
            states: how the steps stand.
            credentials: what the operator's own steps need.
        """
        known = {state.node: state for state in states}
        for step in self._service.steps:
            node = self._node(step)
            if node not in run:
                continue
            if self._is_idle(step):
                await self._job(step).remove()
            elif step.tasks:
                await self._job(step).run(known[node])
            else:
                self._run_own(step, credentials)

    async def replace_members(self, now: datetime) -> None:
        """Go on with the rolls that steps guard: a step is observed anew, as are the members."""
        for step in self._service.steps:
            if step.guards:
                checked = self._observe_job(step, now).done
                await replace_outdated(
                    self._context.cluster, self._cloud, step.guards, checked=checked, now=now
                )

    def _run_own(self, step: Step, credentials: CloudSecrets) -> None:
        """Do the operator's own step again and again: users and the catalogue of all services."""
        name, values, services = self._poll_name(step), credentials.values, registry.SERVICES
        admin = administrator(self._cloud, values[ADMIN][ADMIN_PASSWORD])
        passwords = {s.name: values[s.name][SERVICE_PASSWORD] for s in services if s.identity}
        verifies = (self._inputs(), passwords)  # stays in this process's memory
        contents = wanted(self._cloud, services, passwords)
        access = self._context.openstack.access(self._cloud, admin.password)

        async def ensure() -> tuple[str, dict[str, str]]:
            changes = await access.call(
                "Filling keystone's catalogue", ensure_catalogue, contents, admin
            )
            if changes:
                log.info("Changed keystone", changes=changes)
            return verifies

        latest = self._context.tasks.latest(name)
        verified = latest is not None and latest.value == verifies and not latest.error
        self._context.tasks.ensure(
            name,
            ensure,
            interval=_AFTERWARDS if verified else _UNTIL_DONE,
            deadline=_DEADLINE,
            notify=self._key,
            target=f"{ref_of(self._resource)}/identity",
        )

    def _observe_job(self, step: Step, now: datetime) -> StepState:
        if self._is_idle(step):
            return StepState(node=self._node(step), done=True)
        seen, pods = self._job(step).seen()
        return assess_step(self._node(step), step.advice, seen, pods, now, logs=self._logs)

    def _job(self, step: Step) -> StepJob:
        return StepJob(self._context, self._resource, self.children(step)[-1], self._key)

    async def explain(self, states: Iterable[StepState]) -> tuple[StepState, ...]:
        """Return the states with the reason why a Job makes no pod, which takes a read."""
        known = {state.node: state for state in states}
        for step in self._service.steps:
            state = known[self._node(step)]
            if step.tasks and not state.done and state.problem is None:
                known[state.node] = await self._explain(step, state)
        return tuple(known.values())

    async def _explain(self, step: Step, state: StepState) -> StepState:
        (job, pods), now = self._job(step).seen(), self._context.clock.now()
        if job is None or not lacks_pods(job, pods, 1, now):
            return state
        return replace(state, problem=await explain_pods(self._context.cluster, job, pods, now))

    def _observe_own(self, step: Step, before: frozenset[str]) -> StepState:
        node = self._node(step)
        latest = self._context.tasks.latest(self._poll_name(step))
        if latest is None:
            return StepState(node=node, done=node in before)
        done = latest.value is not None and latest.value[0] == self._inputs()
        if not latest.error or (done and not self._goes_on_to_fail(latest)):
            return StepState(node=node, done=done)
        return replace(failed_step(node, step.advice, latest.error), done=done)

    def _goes_on_to_fail(self, seen: Observation) -> bool:
        """Return whether a check has failed for long; a pass is asked for when that may be so."""
        now = self._context.clock.monotonic()
        left = _FAILING - (now - (now if seen.failing_since is None else seen.failing_since))
        if left > 0:
            self._context.enqueue(self._key, left + 1.0)
        return left <= 0

    def _is_idle(self, step: Step) -> bool:
        """Return whether a step guards a role none of whose members is to be replaced."""
        guarded = step.guards
        return bool(guarded) and not has_outdated(self._context.cluster, self._cloud, guarded)

    def _inputs(self) -> str:
        """Return the hash of what the operator's own steps work from, without the passwords."""
        entries = [[s.name, s.identity, s.catalogue] for s in registry.SERVICES]
        return naming.digest([entries, self._cloud.uid, self._cloud.spec.region])

    def _poll_name(self, step: Step) -> str:
        return f"{ref_of(self._resource)}/{self._node(step)}"

    def _node(self, step: Step) -> str:
        return f"{self._service.name}/{step.name}"
