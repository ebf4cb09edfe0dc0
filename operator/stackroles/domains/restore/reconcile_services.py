"""Phases of a restore that stop the services of a cloud, set them up anew, and start them."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from stackroles.api.v1alpha1.conditions import ConditionType
from stackroles.config.cloud import Cloud
from stackroles.constants import LABEL_COMPONENT, LABEL_INSTANCE, LABEL_OWNER_KIND, LABEL_STEP
from stackroles.domains.restore.build import build_sync
from stackroles.domains.restore.phases import NAMED, Phase, Progress, started_at
from stackroles.domains.restore.reconcile_jobs import (
    children_for_volumes,
    ensure_job,
    has_ended,
    observe_job,
)
from stackroles.domains.restore.reconcile_reader import read_set
from stackroles.domains.restore.work import Work
from stackroles.reconcile.context import Context
from stackroles.reconcile.observe import observe_roles
from stackroles.reconcile.parts import housekeeping_of, service_of
from stackroles.reconcile.restoring import write_record
from stackroles.roles import mariadb, registry
from stackroles.workloads.housekeeping import COMPONENT, is_run
from stackroles.workloads.listing import list_some
from stackroles.workloads.manifests.metadata import STEP_NAME, selector
from stackroles.workloads.pod import condition_of, time_of
from stackroles.workloads.restoring import RestoreRecord, Stopped, stopped_roles
from stackroles.workloads.step import is_complete

Object = dict[str, Any]


async def set_stopped(
    context: Context, work: Work, stopped: Stopped, *, made: bool = False
) -> RestoreRecord:
    """Record what rests from now on, and have every service act on it; return the record.

    Args:
        context: what a pass is given.
        work: the Restore.
        stopped: what rests.
        made: whether the Restore makes the cloud.

    Raises:
        NotReady: it is not seen by all passes yet.
    """
    record = replace(work.record, stopped=stopped, made=made or work.record.made)
    await write_record(context.cluster, work.cloud, work.record, record)
    for service in registry.SERVICES:
        context.enqueue(service_of(work.subject.controller, service.name))
    context.enqueue(housekeeping_of(work.subject.controller))
    return record


async def pause(context: Context, work: Work) -> Progress:
    """Stop whatever writes the database; the endpoint says meanwhile what is under way."""
    if work.record.stopped is Stopped.NOTHING:
        # A backup may have taken hours since the set was read.
        known, why = await _read_set(context, work)
        if not known:
            return Progress(message=f"Nothing is stopped yet. {why}")
    if work.record.stopped is Stopped.DATABASE:
        return Progress(done=True, message="No service has run.", record=work.record)
    record = await set_stopped(context, work, Stopped.SERVICES)
    found = {"stopped_at": work.status.stopped_at or work.now}
    left = _left(context, work.cloud, Stopped.SERVICES)
    if left:
        return Progress(message=f"Stopping {list_some(left, NAMED)}.", found=found, record=record)
    return Progress(done=True, message="No service runs.", found=found, record=record)


async def _read_set(context: Context, work: Work) -> tuple[bool, str]:
    """Return whether the set can be read at present, and why it cannot."""
    manifest, why = await read_set(context, work.resource, work.cloud, work.subject.source)
    return manifest is not None, why


def _left(context: Context, cloud: Cloud, stopped: Stopped) -> list[str]:
    """Return the pods of roles that are to have none, and those that remove deleted rows."""
    roles = stopped_roles(stopped, registry.CONTROLLER_ROLES, registry.SERVICES)
    pods = [
        pod
        for role in roles
        for pod in context.cluster.list("Pod", cloud.namespace, selector(cloud, role))
    ]
    # The housekeeping's own pass ends them; one that has ended writes nothing any more.
    jobs = selector(cloud, STEP_NAME) | {LABEL_COMPONENT: COMPONENT}
    runs = context.cluster.list("Pod", cloud.namespace, jobs)
    pods += [pod for pod in runs if is_run(pod) and not has_ended(pod)]
    return sorted(pod["metadata"]["name"] for pod in pods)


async def stop(context: Context, work: Work) -> Progress:
    """Stop the database; done once none of its pods is left, nor can be made again."""
    record = await set_stopped(context, work, Stopped.DATABASE)
    cloud, cluster = work.cloud, context.cluster
    workload = cluster.get("StatefulSet", cloud.namespace, cloud.workload(mariadb.NAME))
    left = _left(context, cloud, Stopped.DATABASE)
    if workload is not None and workload.get("spec", {}).get("replicas") != 0:
        return Progress(message="The database is being stopped.", record=record)
    if left:
        return Progress(message=f"Stopping {list_some(left, NAMED)}.", record=record)
    # From the next phase on there is no way back.
    known, why = await _read_set(context, work)
    message = f"No database member runs. {why}".strip()
    return Progress(done=known, message=message, record=record)


async def set_up(context: Context, work: Work) -> Progress:
    """Have the set-up steps run again on what was restored: passwords, schemas, cells."""
    since = _copied_since(context, work)
    left: list[str] = []
    problems: list[str] = []
    for label in _step_labels():
        jobs = _jobs(context, work.cloud, label)
        for job in jobs:
            if _made(job) < since and not job["metadata"].get("deletionTimestamp"):
                await context.cluster.delete(job)
        if not any(_made(job) >= since and is_complete(job) for job in jobs):
            left.append(label)
            states = [observe_job(context, job) for job in jobs if _made(job) >= since]
            problems += [why for state in states if (why := state.failed or state.message)]
    if left:
        message = " ".join((f"Running {list_some(sorted(left), NAMED)}.", *problems[:1]))
        return Progress(message=message)
    return Progress(done=True, message="All set-up steps have run on what was restored.")


def _copied_since(context: Context, work: Work) -> datetime:
    """Return from when on what ran has met no data of then: the database was stopped before.

    By the API server's clock, as Jobs have it: that of the operator may be another.
    """
    found = [_made(child) for child in children_for_volumes(context, work.resource)]
    return min(found, default=started_at(work.status.phases, Phase.SETUP) or work.now)


def _step_labels() -> Iterable[str]:
    """Yield the labels of set-up steps that work on the database."""
    for service in registry.SERVICES:
        if service.databases or service.name == mariadb.NAME:
            for step in service.steps:
                if step.tasks and not step.guards:
                    yield f"{service.name}.{step.name}"


def _jobs(context: Context, cloud: Cloud, label: str) -> list[Object]:
    labels = {LABEL_INSTANCE: cloud.name, LABEL_OWNER_KIND: cloud.owner_kind, LABEL_STEP: label}
    return context.cluster.list("Job", cloud.namespace, labels)


def _made(child: Object) -> datetime:
    return datetime.fromisoformat(child["metadata"]["creationTimestamp"])


async def reconcile_others(context: Context, work: Work) -> Progress:
    """Have what others hold agree with the restored databases again: OVN's with neutron's."""
    left: list[str] = []
    for service in registry.SERVICES:
        for step in service.after_restore:
            children = build_sync(work.cloud, work.parent, service, step)
            state = await ensure_job(context, work.resource, children, again=True)
            if not state.complete:
                left.append(f"{service.name}/{step.name} {state.failed or state.message}".strip())
    if left:
        return Progress(message=f"Running {'; '.join(left)}.")
    return Progress(done=True, message="OVN's databases agree with neutron's.")


async def open_services(context: Context, work: Work) -> Progress:
    """Start the services; done once each of them and the APIs serve.

    A role that lacks a member, as on a node that is away, has served without it before.
    """
    record = await set_stopped(context, work, Stopped.NOTHING)
    rested = stopped_roles(Stopped.DATABASE, registry.CONTROLLER_ROLES, registry.SERVICES)
    roles = [role for role in registry.CONTROLLER_ROLES if role.name in rested]
    states = observe_roles(context.cluster, work.cloud, roles, work.now)
    left = [state.name for state in states if not state.available]
    if left:
        return Progress(message=f"Waiting for {list_some(left, NAMED)}.", record=record)
    status = work.subject.controller.get("status") or {}
    available = condition_of(status, ConditionType.AVAILABLE.value) or {}
    since, stopped = time_of(available.get("lastTransitionTime")), work.status.stopped_at
    if available.get("status") != "True" or since is None or (stopped and since <= stopped):
        return Progress(
            message=f"Waiting for the APIs: {available.get('message', '')}", record=record
        )
    return Progress(done=True, message="All APIs serve.", record=record)
