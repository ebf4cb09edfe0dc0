"""Backup: one run of a policy, from its resource to a verified recovery set."""

from datetime import datetime, timedelta
from typing import Any, NoReturn

from stackroles import naming
from stackroles.agents.backup.protocol import RETENTION_FILE, RunOutcome
from stackroles.agents.galera.protocol import BACKUP_PATH
from stackroles.agents.galera.protocol import PORT as AGENT_PORT
from stackroles.agents.text import shorten
from stackroles.api.v1alpha1.backup import BackupProgress, BackupSpec, BackupStatus
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.api.v1alpha1.common import dump, parse_spec
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.config.endpoint import HTTP, Endpoint
from stackroles.constants import LABEL_STEP
from stackroles.domains.backup.build import COMPONENT, step_label
from stackroles.domains.backup.build_job import MAIN, Run, build_backup_job, build_inputs
from stackroles.domains.backup.decide import (
    SourceCandidate,
    choose_source,
    degradation,
    has_expired,
    is_old_failure,
    keeps_log,
    patience_ends,
)
from stackroles.domains.backup.outcome import (
    awaits_pod,
    read_outcome,
    read_progress,
    termination_text,
)
from stackroles.domains.backup.reconcile_inputs import list_members, list_secrets, read_inputs
from stackroles.domains.backup.reconcile_queue import (
    copied_members,
    policy_run,
    restore_before,
    retention_input,
    run_before,
    runs_of_policy,
)
from stackroles.domains.backup.reconcile_removal import reconcile_removal
from stackroles.domains.backup.status import (
    REASONS,
    expired,
    finding_of,
    is_finished,
    is_verified,
    running,
    with_outcome,
)
from stackroles.errors import NotReady
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.apply_failures import reporting_apply_failures
from stackroles.reconcile.blocked import attribute_to, missing_controller
from stackroles.reconcile.clouds import cloud_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.repository import find_claim_problem, find_secret_problem, start_lock
from stackroles.roles.topology import DEFAULT
from stackroles.workloads.conditions import Finding
from stackroles.workloads.pod import failure_message, first_finding, runs_container
from stackroles.workloads.recovery_set.pod import RunParent
from stackroles.workloads.recovery_set.users import RUN
from stackroles.workloads.run_conditions import conditions_of_run
from stackroles.workloads.step import ending_of

Object = dict[str, Any]
_APPLIED = Finding(Reason.APPLIED)
_LOOK_AGAIN = 15.0
_NEXT_TURN = 5.0
_LAG_LOOK = 2.0
_CAUSE_LENGTH = 300
# How often a run's log is read.
_PROGRESS_PERIOD = 10.0
_PROGRESS_SECONDS = 15.0


async def reconcile_backup(context: Context, resource: Object) -> None:
    """Bring one Backup to its end; how it ended is never changed again."""
    if resource["metadata"].get("deletionTimestamp"):
        async with reporting_apply_failures(context, resource):
            await reconcile_removal(context, resource)
        return
    if is_verified(resource.get("status", {})):
        # Also one of an operator that had no finalizer for it.
        await context.cluster.set_finalizer(resource, present=True)
    if is_finished(resource.get("status", {})):
        await _apply_retention(context, resource)
        return
    async with reporting_apply_failures(context, resource):
        await _run(context, resource)


async def _run(context: Context, resource: Object) -> None:
    """Start the run, or take over how far it is."""
    namespace, name = resource["metadata"]["namespace"], resource["metadata"]["name"]
    job = context.cluster.get("Job", namespace, naming.child(name, RUN))
    if job is None:
        await _start(context, resource)
    elif job not in context.cluster.owned(resource, "Job"):
        raise NotReady(f"{ref_of(job)} of an earlier Backup of this name is still there", 2.0)
    else:
        await _track_job(context, resource, job)


async def _apply_retention(context: Context, resource: Object) -> None:
    """Remove what a run that ended does not need any more, and at last the Backup itself."""
    cluster, metadata = context.cluster, resource["metadata"]
    policy = resource["spec"]["policy"]
    runs = {run.name: run for run in runs_of_policy(context, metadata["namespace"], policy)}
    run = runs.get(metadata["name"], policy_run(resource))
    gone = has_expired(run, runs.values())
    if run.scheduled and (gone or is_old_failure(run, runs.values())):
        await cluster.delete(resource)
        return
    status = BackupStatus.model_validate(resource["status"])
    if gone:
        status = status.model_copy(update={"verified": False})
        await _write(context, resource, status, _APPLIED, expired(policy))
    for inputs in cluster.owned(resource, "ConfigMap"):
        await cluster.delete(inputs)
    if not keeps_log(run, runs.values()):
        for job in cluster.owned(resource, "Job"):
            await cluster.delete(job)


async def _start(context: Context, resource: Object) -> None:
    """Choose where the copy comes from and make the Job, once."""
    namespace = resource["metadata"]["namespace"]
    if resource.get("status", {}).get("startedAt"):
        gone = Finding(
            Reason.BACKUP_FAILED,
            "The backup's Job was deleted before it ended: apply a new Backup.",
        )
        await _end(context, resource, gone, None)
        return
    policy_name = parse_spec(BackupSpec, resource).policy
    policy_object = context.cluster.get("BackupPolicy", namespace, policy_name)
    if policy_object is None:
        message = f"BackupPolicy {policy_name} does not exist in {namespace}: apply it."
        await _wait(context, resource, Finding(Reason.POLICY_MISSING, message))
    with attribute_to(policy_object):
        policy = parse_spec(BackupPolicySpec, policy_object)
    problem = await find_secret_problem(context, namespace, policy)
    if problem:
        await _wait(context, resource, problem)
    controller = context.cluster.get("CloudController", namespace, policy.controller)
    if controller is None:
        await _wait(context, resource, missing_controller(policy.controller, namespace))
    problem = await find_claim_problem(context, namespace, policy_name, policy)
    if problem:
        waits = Finding(Reason.BACKUP_WAITING, problem.message)
        await _wait(context, resource, _APPLIED, waits)
    with attribute_to(controller):
        cloud = cloud_of(context, controller)
    if restore := await restore_before(context, cloud, resource["metadata"]["name"]):
        message = f"Restore {restore} of this cloud is under way; it ends first."
        await _wait(context, resource, _APPLIED, Finding(Reason.BACKUP_QUEUED, message))
    await _wait_while_degraded(context, resource, policy, controller)
    async with start_lock(context):
        await _begin(context, resource, cloud, policy)


async def _wait_while_degraded(
    context: Context, resource: Object, policy: BackupPolicySpec, controller: Object
) -> None:
    """Let a scheduled run wait while the cloud is degraded, as long as its policy is patient."""
    conditions = controller.get("status", {}).get("conditions") or ()
    patience = timedelta(seconds=policy.degraded_patience_seconds)
    until = patience_ends(policy_run(resource), patience, context.clock.now())
    if until is None or not (why := degradation(conditions)):
        return
    message = (
        f"The cloud is degraded ({shorten(why, _CAUSE_LENGTH)}): the run begins when it is not, "
        f"or at {until.isoformat(timespec='seconds')}, as degradedPatienceSeconds of its policy "
        "asks for."
    )
    await _wait(context, resource, _APPLIED, Finding(Reason.BACKUP_WAITING, message))


async def _begin(
    context: Context, resource: Object, cloud: Cloud, policy: BackupPolicySpec
) -> None:
    """Start the run if it is its turn and there is a member to copy from."""
    before = await run_before(context, resource, cloud, policy)
    if before:
        waits = Finding(
            Reason.BACKUP_QUEUED,
            f"{before[:1].upper()}{before[1:]} comes first: one run at a time writes a repository "
            f"(kubectl get jobs,pods -l {LABEL_STEP}={step_label(RUN)} shows what is at work).",
        )
        await _wait(context, resource, _APPLIED, waits, _NEXT_TURN)
    controller = context.cluster.get("CloudController", cloud.namespace, cloud.name) or {}
    writer = controller.get("status", {}).get("writer")
    members, size = list_members(context, cloud), cloud.replicas[DEFAULT.database.name]
    copied = copied_members(context, cloud.namespace)
    source = choose_source(members, writer, size, copied)
    if source is None:
        message = "No database member but the writer is in sync; the copy starts when one is."
        if (busy := choose_source(members, writer, size)) is not None:
            message = (
                f"{busy.name} streams to Backup {copied[busy.name]}: a member streams one copy at "
                "a time; this one starts when that has its copy, or has failed."
            )
        await _wait(context, resource, _APPLIED, Finding(Reason.BACKUP_WAITING, message))
    await _create_job(context, resource, cloud, policy, source)


async def _create_job(
    context: Context,
    resource: Object,
    cloud: Cloud,
    policy: BackupPolicySpec,
    source: SourceCandidate,
) -> None:
    parent = RunParent.of(resource, cloud.name, COMPONENT)
    policy_name = resource["spec"]["policy"]
    policy_object = context.cluster.get("BackupPolicy", cloud.namespace, policy_name) or {}
    run = Run(
        policy=policy,
        policy_name=policy_name,
        policy_uid=policy_object.get("metadata", {}).get("uid", ""),
        source=Endpoint(HTTP, source.address, AGENT_PORT).url(BACKUP_PATH),
        secrets=list_secrets(context, cloud),
    )
    retention = await retention_input(context, cloud, run.policy_name, policy)
    files = {**await read_inputs(context, cloud), RETENTION_FILE: retention}
    inputs = build_inputs(parent, files, cloud.agents)
    # Its set, or parts of it, are removed before the Backup is gone (reconcile_removal).
    await context.cluster.set_finalizer(resource, present=True)
    await context.cluster.create_once(inputs, resource)
    await context.cluster.create_once(build_backup_job(cloud, parent, run, inputs), resource)
    status = BackupStatus.model_validate(resource.get("status", {}))
    status = status.model_copy(update={"started_at": context.clock.now(), "source": source.name})
    await _write(context, resource, status, _APPLIED, running(source.name, None, None))


async def _track_job(context: Context, resource: Object, job: Object) -> None:
    """Read how far the Job is; take over its outcome when it has ended."""
    ending, pods = ending_of(job), context.cluster.owned(job, "Pod")
    status = BackupStatus.model_validate(resource.get("status", {}))
    if not ending:
        started = status.started_at or datetime.fromisoformat(job["metadata"]["creationTimestamp"])
        progress = _progress(context, resource, pods) or status.progress
        status = status.model_copy(update={"started_at": started, "progress": progress})
        problem = first_finding(pods, context.clock.now())
        finding = running(status.source or "a member", progress, problem)
        await _write(context, resource, status, _APPLIED, finding)
        return
    failed = ending["type"] == "Failed"
    if awaits_pod(ending, pods, context.clock.now()):
        raise NotReady("The Job has ended; its pod is not seen to have yet", delay=_LAG_LOOK)
    outcome = read_outcome(termination_text(pods, MAIN))
    why = f"{ending.get('reason', '')} {ending.get('message', '')}".strip() if failed else ""
    message = next((message for pod in pods if (message := failure_message(pod))), "")
    await _end(context, resource, finding_of(outcome, why, message), outcome)


def _progress(context: Context, resource: Object, pods: list[Object]) -> BackupProgress | None:
    """Have the log of a run's pod read now and then; return how far the run was last."""
    pod = next((pod for pod in pods if runs_container(pod, MAIN)), None)
    name = f"{ref_of(resource)}/progress"
    if pod is None:
        return None
    namespace, pod_name = pod["metadata"]["namespace"], pod["metadata"]["name"]

    async def read() -> BackupProgress | None:
        log = await context.cluster.read_log(namespace, pod_name, MAIN)
        return read_progress(log)

    context.poller.ensure(
        name, read, interval=_PROGRESS_PERIOD, deadline=_PROGRESS_SECONDS, notify=ref_of(resource)
    )
    seen = context.poller.latest(name)
    return seen.value if seen else None


async def _wait(
    context: Context,
    resource: Object,
    reconciled: Finding,
    complete: Finding | None = None,
    delay: float = _LOOK_AGAIN,
) -> NoReturn:
    """Say what is waited for; raises NotReady so that another pass follows."""
    status = BackupStatus.model_validate(resource.get("status", {}))
    finding = complete or Finding(Reason.BACKUP_WAITING, reconciled.message)
    await _write(context, resource, status, reconciled, finding)
    raise NotReady(finding.message, delay=delay)


async def _end(
    context: Context, resource: Object, finding: Finding, outcome: RunOutcome | None
) -> None:
    context.forget(ref_of(resource))
    status = BackupStatus.model_validate(resource.get("status", {}))
    status = with_outcome(status, outcome, context.clock.now())
    await _write(context, resource, status, _APPLIED, finding)
    # What it does not need any more goes with the next pass.
    context.enqueue(ref_of(resource))


async def _write(
    context: Context, resource: Object, status: BackupStatus, reconciled: Finding, complete: Finding
) -> None:
    generation = resource["metadata"].get("generation", 0)
    at = (generation, context.clock.now())
    conditions = conditions_of_run(REASONS, reconciled, complete, status.conditions, at)
    update = {"observed_generation": generation, "conditions": conditions}
    await context.cluster.patch_status(resource, dump(status.model_copy(update=update)))
