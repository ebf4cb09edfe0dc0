"""BackupPolicy: the repository's claim, the schedule, and a Backup for each mark it leaves."""

from datetime import datetime
from typing import Any

from stackroles.api.v1alpha1.backup import BackupPolicySpec, BackupPolicyStatus
from stackroles.api.v1alpha1.common import dump, parse_spec
from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.builders.backup import MARK, Parent, build_cron_job, build_repository_claim
from stackroles.config.cloud import Cloud
from stackroles.constants import (
    GROUP_VERSION,
    LABEL_INSTANCE,
    LABEL_OWNER_KIND,
    LABEL_STEP,
)
from stackroles.errors import NotReady, Rejected, SpecInvalid
from stackroles.plan.backup import Mark, due
from stackroles.reconcile.backup import encryption_problem, missing_controller
from stackroles.reconcile.clouds import cloud_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.refusal import blaming
from stackroles.status.backup import is_finished, is_verified
from stackroles.status.conditions import Finding, build_condition, conditions_of

Object = dict[str, Any]
_LOOK_AGAIN = 30.0


async def reconcile_backup_policy(context: Context, resource: Object) -> None:
    """Bring one BackupPolicy to its spec."""
    metadata = resource["metadata"]
    if metadata.get("deletionTimestamp"):
        return
    namespace = metadata["namespace"]
    policy = parse_spec(BackupPolicySpec, resource)
    status = BackupPolicyStatus.model_validate(resource.get("status", {}))
    controller = context.cluster.get("CloudController", namespace, policy.controller)
    if controller is None:
        missing = missing_controller(policy.controller, namespace)
        await _write(context, resource, status, missing)
        raise NotReady(missing.message, delay=_LOOK_AGAIN)
    parent = Parent(
        kind=resource["kind"],
        name=metadata["name"],
        uid=metadata["uid"],
        namespace=namespace,
        cloud=policy.controller,
    )
    with blaming(controller):
        cloud = cloud_of(context, controller)
    status = await _apply(context, resource, cloud, parent, policy)
    status = await _run_due(context, resource, parent, status)
    problem = await encryption_problem(context, namespace, policy.encryption_secret)
    await _write(context, resource, status, problem or Finding(Reason.APPLIED))
    if problem:
        raise NotReady(problem.message, delay=_LOOK_AGAIN)


async def _apply(
    context: Context, resource: Object, cloud: Cloud, parent: Parent, policy: BackupPolicySpec
) -> BackupPolicyStatus:
    claim = build_repository_claim(parent, policy)
    if claim:
        await context.cluster.create_once(claim, resource)
    try:
        records = await context.cluster.apply_children(
            resource, [build_cron_job(cloud, parent, policy)]
        )
    except Rejected as error:
        raise SpecInvalid(
            "SpecInvalid",
            "The API server refuses the CronJob of this policy: correct spec.schedule or "
            f"spec.timeZone; a CronJob that exists stays as it is. It says: {error}",
        ) from error
    status = BackupPolicyStatus.model_validate(resource.get("status", {}))
    children = tuple(record.to_dict() for record in records)
    return BackupPolicyStatus.model_validate(dump(status) | {"children": children})


async def _run_due(
    context: Context, resource: Object, parent: Parent, status: BackupPolicyStatus
) -> BackupPolicyStatus:
    """Make a Backup for each mark of the schedule that is younger than the last one."""
    marks = [
        Mark(job["metadata"]["name"], datetime.fromisoformat(job["metadata"]["creationTimestamp"]))
        for job in context.cluster.list(
            "Job",
            parent.namespace,
            {
                LABEL_STEP: f"backup.{MARK}",
                LABEL_INSTANCE: parent.name,
                LABEL_OWNER_KIND: parent.kind,
            },
        )
    ]
    for mark in due(marks, status.last_scheduled_time):
        backup = {
            "apiVersion": GROUP_VERSION,
            "kind": "Backup",
            "metadata": parent.metadata(mark.name, MARK, keep=True),
            "spec": {"policy": parent.name},
        }
        await context.cluster.create_once(backup, resource)
        status = status.model_copy(update={"last_scheduled_time": mark.created})
    return status


async def _write(
    context: Context, resource: Object, status: BackupPolicyStatus, reconciled: Finding
) -> None:
    name, namespace = resource["metadata"]["name"], resource["metadata"]["namespace"]
    generation, now = resource["metadata"].get("generation", 0), context.clock.now()
    backups = [
        backup
        for backup in context.cluster.list("Backup", namespace)
        if backup["spec"]["policy"] == name
    ]
    last, update = _last_runs(backups)
    ready = reconciled
    if reconciled.reason is Reason.APPLIED:
        ready = last if last.reason.status == "False" else Finding(Reason.AS_DESIRED, last.message)
    stalled = Reason.NEEDS_ATTENTION if ready.reason.status == "False" else Reason.HEALTHY
    findings = (
        reconciled,
        last,
        Finding(Reason.SETTLED),
        Finding(stalled, ready.message if stalled is Reason.NEEDS_ATTENTION else ""),
    )
    known = {condition.type: condition for condition in status.conditions}
    conditions = (
        *conditions_of(findings, status.conditions, generation, now),
        build_condition(ConditionType.READY, ready, known.get("Ready"), (generation, now)),
    )
    update |= {"observed_generation": generation, "conditions": conditions}
    await context.cluster.patch_status(resource, dump(status.model_copy(update=update)))


def _last_runs(backups: list[Object]) -> tuple[Finding, dict[str, Any]]:
    """Return what is said of the newest finished run, and the fields that name the newest ones."""
    by_age = sorted(backups, key=lambda backup: backup["metadata"]["creationTimestamp"])
    finished = [backup for backup in by_age if is_finished(backup.get("status", {}))]
    verified = [backup for backup in finished if is_verified(backup.get("status", {}))]
    fields: dict[str, Any] = {}
    if by_age:
        fields["last_backup"] = by_age[-1]["metadata"]["name"]
    if verified:
        fields["last_successful_backup"] = verified[-1]["metadata"]["name"]
        completed = verified[-1]["status"].get("completedAt")
        fields["last_successful_time"] = datetime.fromisoformat(completed) if completed else None
    if not finished:
        return Finding(Reason.NO_BACKUP_YET, "No run has ended yet."), fields
    newest = finished[-1]
    if newest in verified:
        return Finding(
            Reason.LAST_BACKUP_VERIFIED, f"{newest['metadata']['name']} is verified."
        ), fields
    said = next(
        (c["message"] for c in newest["status"]["conditions"] if c["type"] == "Complete"), ""
    )
    return Finding(
        Reason.LAST_BACKUP_FAILED, f"{newest['metadata']['name']} failed: {said}"
    ), fields
