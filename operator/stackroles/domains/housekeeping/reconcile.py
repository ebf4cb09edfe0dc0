"""A cloud's housekeeping, reconciled by itself: its schedule, and one run after another."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from stackroles.api.v1alpha1.cloud_controller import CloudControllerStatus
from stackroles.api.v1alpha1.conditions import ConditionType
from stackroles.api.v1alpha1.housekeeping import (
    Housekeeping,
    HousekeepingMode,
    ServiceHousekeeping,
)
from stackroles.config.cloud import Cloud
from stackroles.constants import (
    ANNOTATION_CONFIG_MAPS,
    LABEL_COMPONENT,
    LABEL_INSTANCE,
    LABEL_OWNER_KIND,
    LABEL_STEP,
)
from stackroles.domains.housekeeping.build import build_cron_job, build_job, step_label
from stackroles.domains.housekeeping.decide import Mark, Situation, decide, with_result
from stackroles.domains.housekeeping.status import (
    HousekeepingState,
    assess_housekeeping,
    began,
    result_of,
)
from stackroles.errors import Rejected
from stackroles.reconcile.clouds import active_cloud
from stackroles.reconcile.context import Context
from stackroles.reconcile.parts import housekeeping_of
from stackroles.reconcile.restoring import read_record
from stackroles.roles import registry
from stackroles.workloads.housekeeping import COMPONENT, is_run
from stackroles.workloads.pod import condition_of, first_finding
from stackroles.workloads.step import ending_of

Object = dict[str, Any]

_LOOK_AGAIN: Final = 30.0
_SERVICES: Final = tuple(service for service in registry.SERVICES if service.housekeeping)


async def reconcile_housekeeping(context: Context, resource: Object) -> None:
    """Bring the schedule to what is declared, begin the run that is due, and publish how it stands.

    Raises:
        SpecInvalid: the spec asks for what cannot be; the pass over the cloud says so.
        ClusterError: something was refused.
        NotReady: a child still belongs to an earlier owner of this name.
    """
    cloud = active_cloud(context, resource)
    if cloud is None:
        return
    work = _Pass(context, resource, cloud)
    declared = cloud.spec.housekeeping
    if declared is None:
        await work.end()
    else:
        await work.run(declared)


class _Pass:
    """One pass over the housekeeping of one cloud."""

    def __init__(self, context: Context, resource: Object, cloud: Cloud) -> None:
        self._context, self._resource, self._cloud = context, resource, cloud
        self._part = housekeeping_of(resource)
        self._now = context.observed_at(resource).now

    async def end(self) -> None:
        """Remove all that housekeeping has."""
        for kind in ("CronJob", "Job"):
            for child in self._own(kind):
                await self._delete(child)
        await self._prune_config_maps(())
        self._context.publish(self._resource, self._part, HousekeepingState(children=()))

    async def run(self, declared: Housekeeping) -> None:
        """Go on with what is declared."""
        children, problems = await self._apply(declared)
        runs = {run.service: run for run in self._last_runs()}
        jobs = [job for job in self._own("Job") if is_run(job)]
        for job in sorted(jobs, key=began):
            if (found := self._result(declared, job)) is not None:
                runs = dict(with_result(runs, found))
            elif problem := first_finding(self._pods(job), self._now):
                problems.append(problem.message)
        restore = await self._restore()
        seen = self._observe(declared, jobs, runs, self._hold(restore))
        decision = decide(seen)
        await self._retire(jobs, interrupted=bool(restore))
        if decision.begins is not None and decision.mark is not None:
            service = registry.service(decision.begins)
            for child in build_job(self._cloud, service, declared.mode, decision.mark.id):
                await self._context.cluster.create_once(child, self._resource)
        elif decision.waits:
            self._context.enqueue(self._part, _LOOK_AGAIN)
        ended = tuple(runs[name] for name in sorted(runs))
        health = assess_housekeeping(declared, ended, decision.refused, problems)
        state = HousekeepingState(runs=ended, health=health, children=children)
        self._context.publish(self._resource, self._part, state)

    async def _apply(self, declared: Housekeeping) -> tuple[tuple[Object, ...], list[str]]:
        """Apply the schedule; return its record, and why it could not be."""
        cron_job = build_cron_job(self._cloud, declared)
        try:
            records = await self._context.cluster.apply_children(self._resource, [cron_job])
        except Rejected as error:
            why = (
                "The API server refuses the CronJob: correct spec.housekeeping.schedule or "
                f"timeZone; a CronJob that exists stays as it is. It says: {error}."
            )
            return (), [why]
        return tuple(record.to_dict() for record in records), []

    def _observe(
        self,
        declared: Housekeeping,
        jobs: list[Object],
        runs: dict[str, ServiceHousekeeping],
        hold: str,
    ) -> Situation:
        marks = [
            Mark(job["metadata"]["uid"], began(job)) for job in self._own("Job") if not is_run(job)
        ]
        begun: dict[str, datetime] = {name: run.last_time for name, run in runs.items()}
        for job in jobs:
            service, _ = _what(job)
            if service:
                begun[service] = max(begun.get(service, began(job)), began(job))
        return Situation(
            declared=declared,
            services=[service.name for service in _SERVICES],
            marks=marks,
            begun=begun,
            last=runs,
            active=frozenset(_what(job)[0] for job in jobs if not ending_of(job)),
            hold=hold,
        )

    async def _restore(self) -> str:
        """Return the name of a Restore that is under way, "" without one."""
        cluster, cloud = self._context.cluster, self._cloud
        record = await read_record(cluster, cloud.namespace, cloud.name)
        return "" if record is None or record.ended else record.name

    def _hold(self, restore: str) -> str:
        """Return why no run may begin, "" when one may."""
        if restore:
            return f"Restore {restore} is under way"
        status = self._resource.get("status") or {}
        ready = condition_of(status, ConditionType.READY.value) or {}
        degraded = condition_of(status, ConditionType.DATABASE_DEGRADED.value) or {}
        if ready.get("status") != "True":
            return "the cloud is not Ready"
        return "" if degraded.get("status") == "False" else "the database is not sound"

    async def _retire(self, jobs: list[Object], *, interrupted: bool) -> None:
        """Delete the Jobs of former runs, those under way for a Restore, and their configuration.

        The last one of each service stays, for its log.
        """
        newest: dict[str, Object] = {}
        for job in sorted(jobs, key=began):
            newest[_what(job)[0]] = job
        kept = []
        for job in jobs:
            ended = bool(ending_of(job))
            if (ended and newest[_what(job)[0]] is not job) or (interrupted and not ended):
                await self._delete(job)
            else:
                kept.append(job)
        await self._prune_config_maps(kept)

    async def _prune_config_maps(self, jobs: Iterable[Object]) -> None:
        names = {name for job in jobs for name in _config_maps(job)}
        for found in self._own("ConfigMap"):
            if found["metadata"]["name"] not in names:
                await self._delete(found)

    def _last_runs(self) -> tuple[ServiceHousekeeping, ...]:
        """Return the last runs as this process knows them, or as the status has them."""
        state = self._context.latest(self._resource, self._part)
        if isinstance(state, HousekeepingState) and state.runs:
            return state.runs
        written = (self._resource.get("status") or {}).get("housekeeping") or ()
        return CloudControllerStatus.model_validate({"housekeeping": written}).housekeeping

    def _result(self, declared: Housekeeping, job: Object) -> ServiceHousekeeping | None:
        service, mode = _what(job)
        if mode is None:
            return None
        return result_of(service, mode, declared.older_than_days, job, self._pods(job))

    def _pods(self, job: Object) -> list[Object]:
        return self._context.cluster.owned(job, "Pod")

    def _own(self, kind: str) -> list[Object]:
        labels = {
            LABEL_INSTANCE: self._cloud.name,
            LABEL_OWNER_KIND: self._cloud.owner_kind,
            LABEL_COMPONENT: COMPONENT,
        }
        found = self._context.cluster.list(kind, self._cloud.namespace, labels)
        return [child for child in found if not child["metadata"].get("deletionTimestamp")]

    async def _delete(self, child: Object) -> None:
        await self._context.cluster.delete(child)


def _config_maps(job: Object) -> list[str]:
    annotations = job["metadata"].get("annotations", {})
    return [name for name in annotations.get(ANNOTATION_CONFIG_MAPS, "").split(",") if name]


def _what(job: Object) -> tuple[str, HousekeepingMode | None]:
    """Return the service and the mode of a run by its Job's label, "" where they are not known."""
    label = job["metadata"].get("labels", {}).get(LABEL_STEP)
    return next(
        (
            (service.name, mode)
            for service in _SERVICES
            for mode in HousekeepingMode
            if label == step_label(service.name, mode)
        ),
        ("", None),
    )
