"""Whether a Restore has all that it needs; nothing is stopped by it."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from stackroles.agents.backup.reader_protocol import Manifest
from stackroles.api.v1alpha1.backup import BackupStatus, Quarantine
from stackroles.api.v1alpha1.restore import Preflight, RestoreSpec, SafetyBackup
from stackroles.config.cloud import Cloud
from stackroles.domains.restore.former import named_secrets
from stackroles.domains.restore.phases import Phase
from stackroles.domains.restore.point_in_time import Asked, completed_at, history_of
from stackroles.domains.restore.preflight import Observed, assess
from stackroles.domains.restore.reconcile_reader import end_reader, read_coverage, read_set
from stackroles.domains.restore.reconcile_volumes import observe_capacity
from stackroles.domains.restore.status import (
    another,
    blocked,
    checked,
    consent_required,
    running,
)
from stackroles.domains.restore.waiting import LATER, SOON, Waiting
from stackroles.domains.restore.work import Source, Subject
from stackroles.reconcile.context import Context
from stackroles.reconcile.repository import user_of
from stackroles.roles import mariadb
from stackroles.workloads.manifests.metadata import selector
from stackroles.workloads.pod import is_ready
from stackroles.workloads.recovery_set.repository import repository_id
from stackroles.workloads.restoring import RestoreRecord, Stopped

Object = dict[str, Any]


async def check(
    context: Context,
    resource: Object,
    spec: RestoreSpec,
    subject: Subject,
    record: RestoreRecord | None,
) -> Preflight:
    """Return what the restore would do; it may begin.

    Raises:
        Waiting: something is missing, or only this was asked for.
    """
    if record is not None and not record.ended:
        raise Waiting(another(record.name), again=LATER)
    if writer := _run_at_work(context, resource, subject.source.policy_name):
        waits = f"Backup {writer} writes the repository; it ends first."
        raise Waiting(running(Phase.PREFLIGHT, waits), again=LATER)
    source, namespace = subject.source, subject.cloud.namespace
    if user := user_of(context, repository_id(namespace, source.policy_name, source.access)):
        waits = f"{user[:1].upper()}{user[1:]} works with the repository; it ends first."
        raise Waiting(running(Phase.PREFLIGHT, waits), again=LATER)
    manifest, why = await read_set(context, resource, subject.cloud, subject.source)
    if manifest is None:
        raise Waiting(running(Phase.PREFLIGHT, why), again=SOON)
    rests = record is not None and record.stopped is not Stopped.NOTHING
    observed = await _observe(context, spec, subject, manifest, rests=rests)
    asked = await _ask(context, resource, subject, manifest, spec.point_in_time)
    observed = replace(observed, asked=asked)
    found = assess(observed)
    status = {"preflight": found}
    if found.missing:
        raise Waiting(blocked(found), again=LATER, found=status)
    if spec.dry_run:
        await end_reader(context, resource)
        raise Waiting(checked(found), found=status)
    if found.overwrites and spec.overwrite != subject.cloud.name:
        # It holds the repository's volume, on one node, for as long as the user thinks.
        await end_reader(context, resource)
        raise Waiting(consent_required(found, subject.cloud.name), found=status)
    return found


async def _ask(
    context: Context, resource: Object, subject: Subject, manifest: Manifest, at: datetime | None
) -> Asked | None:
    """Return what is known of a point in time, None where none is asked for.

    Raises:
        Waiting: it cannot be read at present.
    """
    if at is None:
        return None
    history, source = history_of(manifest), subject.source
    coverage, why = await read_coverage(context, resource, subject.cloud, source, history)
    if coverage is None:
        raise Waiting(running(Phase.PREFLIGHT, why), again=SOON)
    backup = context.cluster.get("Backup", subject.cloud.namespace, manifest.name)
    if backup is not None and backup["spec"]["policy"] != source.policy_name:
        backup = None
    return Asked(at=at, completed=completed_at(manifest, backup), coverage=coverage)


async def _observe(
    context: Context, spec: RestoreSpec, subject: Subject, manifest: Manifest, *, rests: bool
) -> Observed:
    cloud, cluster = subject.cloud, context.cluster
    names = named_secrets(cloud) if subject.former is not None else ()
    # The user's own are not watched.
    held = {name: await cluster.read_secret(cloud.namespace, name) for name in names}
    return Observed(
        cloud=cloud,
        manifest=manifest,
        copied_at=began_at(manifest, subject.source),
        capacity=await observe_capacity(context, cloud, unused=rests or subject.former is not None),
        away=_away(context, cloud),
        former=subject.former,
        rests=rests,
        secrets=tuple(name for name in held if held[name] is not None),
        unsaved=_unsaved(context, spec, subject, rests=rests),
        quarantine=_quarantine(context, subject, manifest.name),
        allowed=spec.allow_quarantined or "",
    )


def _unsaved(context: Context, spec: RestoreSpec, subject: Subject, *, rests: bool) -> str:
    """Return the BackupPolicy that a safety backup lacks, empty where it lacks none."""
    policy, namespace = subject.source.policy_name, subject.cloud.namespace
    if subject.former is not None or rests or spec.safety_backup is SafetyBackup.NEVER:
        return ""
    found = context.cluster.get("BackupPolicy", namespace, policy)
    return "" if found is not None else policy


def _run_at_work(context: Context, resource: Object, policy: str) -> str:
    """Return the Backup whose run is at work: its retention may remove the very set."""
    namespace = resource["metadata"]["namespace"]
    for backup in context.cluster.naming("Backup", namespace, "policy", policy):
        status = backup.get("status") or {}
        if status.get("startedAt") and not status.get("completedAt"):
            return str(backup["metadata"]["name"])
    return ""


def _quarantine(context: Context, subject: Subject, name: str) -> tuple[Quarantine, ...]:
    """Return what verifications found wrong with a set, nothing where it has no Backup."""
    backup = context.cluster.get("Backup", subject.cloud.namespace, name)
    if backup is None or backup["spec"]["policy"] != subject.source.policy_name:
        return ()
    return BackupStatus.model_validate(backup.get("status") or {}).quarantine


def _away(context: Context, cloud: Cloud) -> dict[str, str]:
    """Return the nodes of database members that are not ready, by pod."""
    found = {}
    for pod in context.cluster.list("Pod", cloud.namespace, selector(cloud, mariadb.NAME)):
        node = pod.get("spec", {}).get("nodeName")
        if node and not is_ready(context.cluster.get("Node", "", node) or {}):
            found[pod["metadata"]["name"]] = node
    return found


def began_at(manifest: Manifest, source: Source) -> datetime | None:
    """Return when a set was begun, as it says itself, or as its Backup does."""
    if manifest.time:
        return datetime.fromisoformat(manifest.time)
    return source.copied_at
