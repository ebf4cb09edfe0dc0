"""BackupPolicy: the repository's claim, its schedules, and what their triggers make due."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.api.v1alpha1.backup_policy_status import BackupPolicyStatus
from stackroles.api.v1alpha1.common import dump, parse_spec
from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.config.cloud import Cloud
from stackroles.constants import GROUP_VERSION, LABEL_OWNER_NAME, LABEL_STEP
from stackroles.domains.backup import copies
from stackroles.domains.backup.build import (
    COMPONENT,
    build_cron_job,
    schedule_trigger,
    step_label,
)
from stackroles.domains.backup.build_verification import trigger
from stackroles.domains.backup.decide import due
from stackroles.domains.backup.reconcile_copies import is_copying, run_copies
from stackroles.domains.backup.reconcile_repository import ensure_claim
from stackroles.domains.backup.reconcile_shipper import reconcile_shipping
from stackroles.domains.backup.reconcile_verification import (
    is_open,
    run_verifications,
    triggers_of,
)
from stackroles.domains.backup.schedule import Schedule, missed
from stackroles.domains.backup.status import is_finished, is_verified, never_due, overdue
from stackroles.domains.backup.verify import finding_of
from stackroles.errors import NotReady, Rejected, SpecInvalid
from stackroles.reconcile.apply_failures import Attempts
from stackroles.reconcile.blocked import attribute_to, missing_controller
from stackroles.reconcile.clouds import cloud_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.repository import find_claim_problem, find_secret_problem
from stackroles.workloads.conditions import Finding, build_condition, conditions_of
from stackroles.workloads.marks import MARK
from stackroles.workloads.recovery_set.pod import RunParent

Object = dict[str, Any]
_LOOK_AGAIN = 30.0
_UTC = (None, "UTC", "Etc/UTC")


async def reconcile_backup_policy(context: Context, resource: Object) -> None:
    """Bring one BackupPolicy to its spec.

    Raises:
        ClusterError: something was refused; all else was done, and it was reported.
        SpecInvalid: the spec asks for what cannot be, or its CronJob was rejected.
        NotReady: something is waited for.
    """
    metadata = resource["metadata"]
    if metadata.get("deletionTimestamp"):
        return
    namespace = metadata["namespace"]
    policy = parse_spec(BackupPolicySpec, resource)
    controller = context.cluster.get("CloudController", namespace, policy.controller)
    if controller is None:
        missing = missing_controller(policy.controller, namespace)
        await _write(context, resource, _previous(resource), missing)
        raise NotReady(missing.message, delay=_LOOK_AGAIN)
    parent = RunParent.of(resource, policy.controller, COMPONENT)
    with attribute_to(controller):
        cloud = cloud_of(context, controller)
    await _bring(context, resource, cloud, parent, policy)


async def _bring(
    context: Context, resource: Object, cloud: Cloud, parent: RunParent, policy: BackupPolicySpec
) -> None:
    """Apply what a policy has, make the Backup that is due, and say how it stands."""
    attempts = Attempts()
    small = secret = volume = invalid = shipped = None
    with attempts.attempt():
        small = await ensure_claim(context, resource, parent, policy)
    status = _previous(resource)
    try:
        with attempts.attempt():
            status = await _apply(context, resource, cloud, parent, policy)
    except SpecInvalid as error:
        invalid = error
    with attempts.attempt():
        status = await _run_due(context, resource, parent, status)
    with attempts.attempt():
        status = await run_verifications(context, resource, cloud, policy, status)
    with attempts.attempt():
        status = await run_copies(context, resource, cloud, policy, status)
    with attempts.attempt():
        status, shipped = await reconcile_shipping(context, resource, cloud, policy, status)
    with attempts.attempt():
        secret = await find_secret_problem(context, parent.namespace, policy)
        volume = await find_claim_problem(context, parent.namespace, parent.name, policy)
    refused = Finding(invalid.reason, invalid.message) if invalid else attempts.apply_failure
    if refused is None:
        # The next attempt may bring all of it: until then the status stays as it is.
        attempts.raise_failure()
    reconciled = refused or secret or small or Finding(Reason.APPLIED)
    due = _missed(context, parent, status)
    stored = [*_stored(context, policy, status), *([shipped] if shipped else [])]
    await _write(context, resource, status, reconciled, volume=volume, due=due, stored=stored)
    attempts.raise_failure()
    if invalid:
        raise invalid
    if waits := secret or volume:
        raise NotReady(waits.message, delay=_LOOK_AGAIN)
    if is_open(status) or is_copying(status):
        raise NotReady("A verification or a copy is under way or waits", delay=_LOOK_AGAIN)
    if shipped:
        # A shipper that stands still says nothing new.
        raise NotReady("Binary logs are shipped", delay=_LOOK_AGAIN)


def _stored(
    context: Context, policy: BackupPolicySpec, status: BackupPolicyStatus
) -> list[Finding]:
    """Return the conditions of the stored sets: of their verifications and their copies."""
    found = []
    if policy.verification:
        local, now = policy.time_zone not in _UTC, context.clock.now()
        found.append(finding_of(policy.verification, status.verifications, now, local=local))
    if policy.copies:
        found.append(copies.finding_of(policy.copies, status.copies))
    return found


async def _apply(
    context: Context, resource: Object, cloud: Cloud, parent: RunParent, policy: BackupPolicySpec
) -> BackupPolicyStatus:
    if Schedule.of(policy.schedule).is_never_due:
        raise never_due(policy.schedule)
    triggers = [trigger(parent.name, item) for item in policy.verification]
    wanted, *others = [
        build_cron_job(cloud, parent, policy, each)
        for each in (schedule_trigger(parent, policy), *triggers)
    ]
    before = _cron_job(context, parent)
    await _remove_unwanted(context, resource, {parent.name, *(each.name for each in triggers)})
    try:
        records = await context.cluster.apply_children(resource, [wanted, *others])
    except Rejected as error:
        raise SpecInvalid(
            Reason.SPEC_INVALID,
            "The API server refuses a CronJob of this policy: correct spec.schedule or "
            "spec.timeZone, or a schedule of spec.verification; a CronJob that exists stays as it "
            f"is. It says: {error}",
        ) from error
    status = _previous(resource)
    update: Object = {"children": tuple(record.to_dict() for record in records)}
    # The generation counts for a pass that applied it and could not write its status.
    known = status.schedule_since and status.observed_generation == _generation(resource)
    if not known or _timing(before) != _timing(wanted):
        update["schedule_since"] = context.clock.now()
    return BackupPolicyStatus.model_validate(status.model_dump() | update)


async def _remove_unwanted(context: Context, resource: Object, wanted: set[str]) -> None:
    """Remove the CronJobs of levels that are not verified any more."""
    for found in context.cluster.owned(resource, "CronJob"):
        if found["metadata"]["name"] not in wanted:
            await context.cluster.delete(found)


def _cron_job(context: Context, parent: RunParent) -> Object | None:
    """Return the CronJob that runs: while another spec of it is refused, the former one."""
    return context.cluster.get("CronJob", parent.namespace, parent.name)


def _timing(cron_job: Object | None) -> Object:
    """Return what says when a CronJob's runs are due, {} of none."""
    spec = cron_job["spec"] if cron_job else {}
    return {key: spec[key] for key in ("schedule", "suspend", "timeZone") if key in spec}


def _previous(resource: Object) -> BackupPolicyStatus:
    return BackupPolicyStatus.model_validate(resource.get("status", {}))


def _generation(resource: Object) -> int:
    return int(resource["metadata"].get("generation", 0))


async def _run_due(
    context: Context, resource: Object, parent: RunParent, status: BackupPolicyStatus
) -> BackupPolicyStatus:
    """Make one Backup for all triggers of the schedule that are younger than the last one.

    A run that is due several times, because none could begin, is due once.
    """
    fresh = due(triggers_of(context, parent, MARK), status.last_scheduled_time)
    if not fresh:
        return status
    if not _has_waiting(context, parent):
        backup = {
            "apiVersion": GROUP_VERSION,
            "kind": "Backup",
            "metadata": parent.metadata(fresh[-1].name, MARK, keep=True),
            "spec": {"policy": parent.name},
        }
        await context.cluster.create_once(backup, resource)
    return status.model_copy(update={"last_scheduled_time": fresh[-1].created})


def _has_waiting(context: Context, parent: RunParent) -> bool:
    """Return whether a Backup of the schedule has not begun yet: it does what is due."""
    scheduled = {LABEL_STEP: step_label(MARK), LABEL_OWNER_NAME: parent.name}
    return any(
        not backup.get("status", {}).get("startedAt") and not is_finished(backup.get("status", {}))
        for backup in context.cluster.list("Backup", parent.namespace, scheduled)
    )


def _missed(context: Context, parent: RunParent, status: BackupPolicyStatus) -> datetime | None:
    """Return when a run was due that the cluster did not begin; without a CronJob none is due."""
    timing = _timing(_cron_job(context, parent))
    if not timing or timing.get("suspend") or status.schedule_since is None:
        return None
    return missed(
        timing["schedule"],
        local=timing.get("timeZone") not in _UTC,
        since=status.schedule_since,
        last=status.last_scheduled_time,
        now=context.clock.now(),
    )


async def _write(
    context: Context,
    resource: Object,
    status: BackupPolicyStatus,
    reconciled: Finding,
    *,
    volume: Finding | None = None,
    due: datetime | None = None,
    stored: Iterable[Finding] = (),
) -> None:
    name, namespace = resource["metadata"]["name"], resource["metadata"]["namespace"]
    generation, now = _generation(resource), context.clock.now()
    backups = context.cluster.naming("Backup", namespace, "policy", name)
    last, update = _last_runs(backups)
    last = overdue(due) if due else last
    progressing = volume or Finding(Reason.ROLLOUT_COMPLETE)
    ready = volume or last
    if reconciled.reason is not Reason.APPLIED:
        ready = reconciled
    elif ready.reason.status != "False":
        ready = Finding(Reason.AS_DESIRED, last.message)
    stalled = Reason.NEEDS_ATTENTION if ready.reason.status == "False" else Reason.HEALTHY
    findings = (
        reconciled,
        progressing,
        last,
        *stored,
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
    """Return the finding about the newest finished run, and the fields with the newest names."""
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
    message = next(
        (c["message"] for c in newest["status"]["conditions"] if c["type"] == "Complete"), ""
    )
    return Finding(
        Reason.LAST_BACKUP_FAILED, f"{newest['metadata']['name']} failed: {message}"
    ), fields
