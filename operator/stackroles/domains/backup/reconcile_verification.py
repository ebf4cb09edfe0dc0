"""Verifications of a policy's sets: started when they are due and the repository is free."""

from datetime import datetime
from typing import Any

from stackroles.agents.backup.verification_protocol import Level
from stackroles.api.v1alpha1.backup import BackupStatus
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec, Verification
from stackroles.api.v1alpha1.backup_policy_status import BackupPolicyStatus, VerificationStatus
from stackroles.api.v1alpha1.common import dump
from stackroles.config.cloud import Cloud
from stackroles.constants import (
    LABEL_INSTANCE,
    LABEL_OWNER_KIND,
    LABEL_STEP,
)
from stackroles.domains.backup.build import COMPONENT, step_label
from stackroles.domains.backup.build_verification import (
    build_verification,
    mark_step,
    read_run,
)
from stackroles.domains.backup.decide import ScheduleTrigger, due
from stackroles.domains.backup.outcome import (
    awaits_pod,
    failure_text,
    read_verification,
    termination_text,
)
from stackroles.domains.backup.reconcile_jobs import clean_jobs, jobs_of
from stackroles.domains.backup.reconcile_queue import restore_before
from stackroles.domains.backup.verify import (
    Started,
    Verdict,
    adopted,
    attributed,
    begun,
    ended,
    in_force,
    job_of,
    next_run,
    quarantined,
    verdict_of,
)
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.repository import (
    find_access_problem,
    start_lock,
    user_of,
)
from stackroles.workloads.pod import first_finding
from stackroles.workloads.recovery_set.pod import RunParent
from stackroles.workloads.recovery_set.repository import repository_id
from stackroles.workloads.recovery_set.users import VERIFICATION
from stackroles.workloads.step import ending_of

Object = dict[str, Any]


def triggers_of(context: Context, parent: RunParent, step: str) -> list[ScheduleTrigger]:
    """Return the marks that a policy's CronJob for a step has left."""
    marks = {
        LABEL_STEP: step_label(step),
        LABEL_INSTANCE: parent.name,
        LABEL_OWNER_KIND: parent.owner_kind,
    }
    return [
        ScheduleTrigger(
            job["metadata"]["name"], datetime.fromisoformat(job["metadata"]["creationTimestamp"])
        )
        for job in context.cluster.list("Job", parent.namespace, marks)
    ]


def is_open(status: BackupPolicyStatus) -> bool:
    """Return whether a verification is under way or waits, so that it is looked at again."""
    return any(found.running or found.waits for found in status.verifications)


async def run_verifications(
    context: Context,
    resource: Object,
    cloud: Cloud,
    policy: BackupPolicySpec,
    status: BackupPolicyStatus,
) -> BackupPolicyStatus:
    """Take over what ended, and start what is due; return the policy's status.

    Raises:
        ClusterError: something was refused; the next pass tries again.
    """
    jobs = jobs_of(context, resource, VERIFICATION)
    runs = (run for job in jobs if (run := read_run(job)))
    known = adopted(status.verifications, runs)
    wanted = {item.level: item for item in policy.verification}
    results, now = [], context.clock.now()
    for level in (*wanted, *(level for level in known if level not in wanted)):
        item = wanted.get(level)
        line = item.schedule if item and not policy.suspend else None
        found = in_force(known.get(level) or VerificationStatus(level=level), line, now)
        if found.running:
            found = await _track(context, resource, found)
        if not found.running and item:
            found = await _start_due(context, resource, cloud, (policy, item), found)
        # One whose level was taken out of the policy goes on to its verdict.
        if found.running or level in wanted:
            results.append(found)
    named: set[str | None] = set()
    for found in (*status.verifications, *results):
        named |= {found.job, found.again.job if found.again else None}
    await clean_jobs(context, resource, VERIFICATION, named)
    if len(results) < len(known):
        # Their Jobs go with the next pass, once this status is written.
        context.enqueue(ref_of(resource))
    return status.model_copy(update={"verifications": tuple(results)})


async def _track(
    context: Context, resource: Object, known: VerificationStatus
) -> VerificationStatus:
    """Return what became of a verification that was started."""
    namespace, now = resource["metadata"]["namespace"], context.clock.now()
    job = context.cluster.get("Job", namespace, job_of(known))
    if job is None:
        return ended(known, _GONE, None, None, now)
    pods, ending = context.cluster.owned(job, "Pod"), ending_of(job)
    if not ending:
        problem = first_finding(pods, now)
        return known.model_copy(update={"waits": problem.message if problem else None})
    if awaits_pod(ending, pods, now):
        return known
    run = read_run(job)
    started = Started(run.backup, run.backup_uid) if run else Started(known.running or "")
    backup = context.cluster.get("Backup", namespace, started.backup)
    text = termination_text(pods, VERIFICATION)
    outcome, dropped = attributed(read_verification(text), started, backup)
    failed = dropped or _failed(failure_text(ending, pods) or "it ended without a report")
    verdict = verdict_of(outcome, failed)
    if backup is not None:
        await _mark(context, backup, known.level, verdict)
    return ended(known, verdict, outcome, backup, now)


def _failed(why: str) -> str:
    return f"The verification's Job did not succeed: {why}."


_GONE = verdict_of(None, _failed("it was deleted before it ended"))


async def _mark(context: Context, backup: Object, level: Level, verdict: Verdict) -> None:
    """Put a damaged set into quarantine, or take it out."""
    status = BackupStatus.model_validate(backup.get("status", {}))
    changed = quarantined(status, level, verdict, context.clock.now())
    if changed != status:
        await context.cluster.patch_status(backup, dump(changed))


async def _start_due(
    context: Context,
    resource: Object,
    cloud: Cloud,
    wanted: tuple[BackupPolicySpec, Verification],
    known: VerificationStatus,
) -> VerificationStatus:
    """Start a level's verification if one is due and can begin."""
    policy, item = wanted
    parent = RunParent.of(resource, cloud.name, COMPONENT)
    namespace, name = parent.namespace, parent.name
    marks = due(triggers_of(context, parent, mark_step(item.level)), known.last_scheduled_time)
    run = next_run(marks, context.cluster.naming("Backup", namespace, "policy", name), known)
    if run is None and marks:
        return _waiting(known, "No verified recovery set is there yet.")
    if run is None:
        return known.model_copy(update={"waits": None})
    if problem := await find_access_problem(context, namespace, name, policy):
        return _waiting(known, problem.message)
    if restore := await restore_before(context, cloud, ""):
        return _waiting(known, f"Restore {restore} of this cloud is under way; it ends first.")
    async with start_lock(context):
        if user := user_of(context, repository_id(namespace, name, policy)):
            return _waiting(known, f"{user} works with the repository; it ends first.")
        for child in build_verification(cloud, parent, policy, item, run):
            await context.cluster.create_once(child, resource)
    return begun(known, run)


def _waiting(known: VerificationStatus, why: str) -> VerificationStatus:
    return known.model_copy(update={"waits": why[:1].upper() + why[1:]})
